import pytest

from cosemic.transports.targets import Framing, Target, parse_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://192.0.2.10:4060", Target("tcp", Framing.WRAPPER, host="192.0.2.10", port=4060)),
        ("tcp://meter", Target("tcp", Framing.WRAPPER, host="meter", port=4059)),
        ("TCP://meter/", Target("tcp", Framing.WRAPPER, host="meter", port=4059)),
        ("hdlc://meter.example:1", Target("hdlc", Framing.HDLC, host="meter.example", port=1)),
        ("udp://[2001:db8::1]:4061", Target("udp", Framing.WRAPPER, host="2001:db8::1", port=4061)),
        ("tcp://[::1]", Target("tcp", Framing.WRAPPER, host="::1", port=4059)),
        ("serial:///dev/ttyUSB0", Target("serial", Framing.HDLC, device="/dev/ttyUSB0")),
        (
            "serial:///dev/ttyUSB0?baud=300&parity=even&data_bits=7&stop_bits=2&flow_control=rtscts",
            Target(
                "serial",
                Framing.HDLC,
                device="/dev/ttyUSB0",
                baud=300,
                parity="E",
                data_bits=7,
                stop_bits=2.0,
                flow_control="rtscts",
            ),
        ),
        ("serial://COM3?baud=115200", Target("serial", Framing.HDLC, device="COM3", baud=115200)),
    ],
)
def test_urls(url: str, expected: Target) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "not a URL"),
        ("192.0.2.10:4059", "tcp://192.0.2.10:4059"),
        ("/dev/ttyUSB0", "serial:///dev/ttyUSB0"),
        ("COM3", "serial://COM3"),
        ("http://meter", "tcp://, hdlc://, udp://, serial://"),
        ("tcp://", "no host"),
        ("tcp://:4059", "no host"),
        ("tcp://meter:70000", "bad host or port"),
        ("tcp://meter:x", "bad host or port"),
        ("tcp://meter:0", "port 0"),
        ("tcp://2001:db8::1", "brackets"),
        ("tcp://[2001:db8::1", "bad host or port"),
        ("tcp://meter/path", "unexpected path"),
        ("tcp://user:secret@meter", "no user name"),
        ("tcp://meter?baud=9600", "takes no settings"),
        ("serial://", "no device"),
        ("serial:///", "no device"),
        ("serial:///dev/ttyUSB0?speed=9600", "unknown setting 'speed'"),
        ("serial:///dev/ttyUSB0?baud=fast", "not a number"),
        ("serial:///dev/ttyUSB0?baud=-9600", "not a number"),
        ("serial:///dev/ttyUSB0?baud=1", "out of range"),
        ("serial:///dev/ttyUSB0?parity=x", "parity"),
        ("serial:///dev/ttyUSB0?data_bits=9", "data_bits"),
        ("serial:///dev/ttyUSB0?stop_bits=3", "stop_bits"),
        ("serial:///dev/ttyUSB0?flow_control=maybe", "flow_control"),
        ("serial:///dev/ttyUSB0?baud=300&baud=600", "twice"),
    ],
)
def test_bad_urls_say_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert says in str(caught.value)


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(ValueError) as caught:
        parse_url("tcp://user:hunter2@meter:4059")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["tcp://meter:4059", "hdlc://[::1]:4059", "serial:///dev/ttyUSB0?baud=9600", "serial://COM3?baud=9600"]
)
def test_a_target_names_itself(url: str) -> None:
    assert str(parse_url(url)) == url
    assert parse_url(str(parse_url(url))) == parse_url(url)
