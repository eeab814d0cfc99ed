"""URLs of optical ports, TLS, M-Bus and RFC 2217, and what is wrong with others."""

import pytest

from cosemic.link.signon_messages import SignOnOptions
from cosemic.transports.certificates import TlsSettings
from cosemic.transports.targets import Framing, Target, parse_url

SEVEN_EVEN = {"baud": 300, "data_bits": 7, "parity": "E"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "optical:///dev/ttyUSB0",
            Target("optical", Framing.HDLC, device="/dev/ttyUSB0", sign_on=SignOnOptions(), **SEVEN_EVEN),
        ),
        (
            "optical://COM3?address=0042&max_baud=9600&wake_up=yes&marker=no",
            Target(
                "optical",
                Framing.HDLC,
                device="COM3",
                sign_on=SignOnOptions(address="0042", max_baud=9600, wake_up=True, requires_marker=False),
                **SEVEN_EVEN,
            ),
        ),
        (
            "optical:///dev/ttyUSB0?software_parity=yes&baud=9600",
            Target(
                "optical",
                Framing.HDLC,
                device="/dev/ttyUSB0",
                sign_on=SignOnOptions(initial_baud=9600, software_parity=True),
            ),
        ),
        (
            "optical-tcp://192.0.2.1:2000",
            Target("optical-tcp", Framing.HDLC, host="192.0.2.1", port=2000, sign_on=SignOnOptions(), **SEVEN_EVEN),
        ),
        (
            "optical-rfc2217://server:2000?max_baud=4800",
            Target(
                "optical-rfc2217",
                Framing.HDLC,
                host="server",
                port=2000,
                sign_on=SignOnOptions(max_baud=4800),
                **SEVEN_EVEN,
            ),
        ),
        (
            "rfc2217://[2001:db8::1]:2000?baud=19200&parity=even",
            Target("rfc2217", Framing.HDLC, host="2001:db8::1", port=2000, baud=19200, parity="E"),
        ),
        (
            "mbus:///dev/ttyUSB0?address=5",
            Target("mbus", Framing.MBUS, device="/dev/ttyUSB0", baud=2400, parity="E", mbus_address=5),
        ),
        (
            "mbus:///dev/ttyUSB0?baud=9600&parity=none",
            Target("mbus", Framing.MBUS, device="/dev/ttyUSB0"),
        ),
        (
            "mbus-tcp://bus:10001?address=250",
            Target("mbus-tcp", Framing.MBUS, host="bus", port=10001, mbus_address=250),
        ),
        (
            "tls://meter",
            Target("tls", Framing.WRAPPER, host="meter", port=4059, tls=TlsSettings()),
        ),
        (
            "tls://meter:1?framing=hdlc&ca=/etc/ca.pem&certificate=c.pem&key=k.pem&server_name=M&check_name=no",
            Target(
                "tls",
                Framing.HDLC,
                host="meter",
                port=1,
                tls=TlsSettings(
                    ca_file="/etc/ca.pem",
                    certificate_file="c.pem",
                    key_file="k.pem",
                    server_name="M",
                    check_name=False,
                ),
            ),
        ),
    ],
)
def test_urls(url: str, expected: Target) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("optical://", "optical:///dev/ttyUSB0"),
        ("optical:///dev/ttyUSB0?parity=even", "unknown setting 'parity'"),
        ("optical:///dev/ttyUSB0?wake_up=maybe", "there are yes and no"),
        ("optical:///dev/ttyUSB0?baud=1000", "the sign-on begins at one of 300"),
        ("optical:///dev/ttyUSB0?max_baud=50", "at least 300"),
        ("optical:///dev/ttyUSB0?address=" + "1" * 33, "up to 32"),
        ("optical-tcp://host", "no port"),
        ("optical-tcp://host:1?flow_control=rtscts", "unknown setting"),
        ("rfc2217://host", "no port"),
        ("mbus-tcp://host:1?baud=2400", "unknown setting 'baud'"),
        ("mbus:///dev/ttyUSB0?address=256", "0 to 255"),
        ("mbus:///dev/ttyUSB0?address=x", "not a number"),
        ("tls://host?framing=mbus", "there are wrapper and hdlc"),
        ("tls://host?key=k.pem", "needs the file of its certificate"),
        ("tls://host?key_password=x", "unknown setting 'key_password'"),
        ("tls://host/path", "unexpected path"),
        ("coap://host", "unknown scheme coap://"),
    ],
)
def test_bad_urls_say_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert says in str(caught.value)
    assert url in str(caught.value) or "coap" in url


@pytest.mark.parametrize(
    "url",
    [
        "optical:///dev/ttyUSB0",
        "optical:///dev/ttyUSB0?address=0042",
        "optical-tcp://host:2000",
        "optical-rfc2217://host:2000",
        "rfc2217://host:2000?baud=9600",
        "mbus:///dev/ttyUSB0?address=5&baud=2400",
        "mbus-tcp://host:1?address=0",
        "tls://host:4059",
    ],
)
def test_a_target_names_itself(url: str) -> None:
    assert str(parse_url(url)) == url
    assert parse_url(str(parse_url(url))) == parse_url(url)


def test_speed_and_time_to_open() -> None:
    optical = parse_url("optical:///dev/ttyUSB0")
    assert optical.bit_rate == 9600
    assert parse_url("optical:///dev/ttyUSB0?max_baud=300").bit_rate == 300
    assert 5 < optical.opening_time < 30
    assert parse_url("optical:///dev/ttyUSB0?wake_up=yes").opening_time > optical.opening_time
    assert parse_url("mbus:///dev/ttyUSB0").bit_rate == 2400
    assert parse_url("tls://host").bit_rate is None
    assert parse_url("tls://host").opening_time == 0
