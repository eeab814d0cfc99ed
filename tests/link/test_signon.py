"""The sign-on of IEC 62056-21 mode E: both roles, in fake time; the octets are those of the standard's clause 6.3."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cosemic.errors import DecodeError, LinkError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link.signon import SignedOn, SignOnClient, SignOnFailed, SignOnServer, SwitchLine
from cosemic.link.signon_messages import Identification, LineSettings, SignOnOptions
from cosemic.tolerances import STRICT, Tolerance

REQUEST = b"/?!\r\n"
METER = b"/LGZ5\\2ZMD4054407.B32\r\n"
ACKNOWLEDGEMENT = b"\x06252\r\n"


class Run:
    """A client in fake time: what it sent and when, how it set the line, how it ended."""

    def __init__(self, options: SignOnOptions | None = None, **more: object) -> None:
        self.client = SignOnClient(options or SignOnOptions(), **more)  # type: ignore[arg-type]
        self.now = 0.0
        self.sent: list[tuple[float, bytes]] = []
        self.lines: list[LineSettings] = []
        self.outcome: SignedOn | SignOnFailed | None = None
        self.client.start(self.now)
        self.look()

    def look(self) -> None:
        if data := self.client.data_to_send():
            self.sent.append((self.now, data))
        for event in self.client.events():
            if isinstance(event, SwitchLine):
                self.lines.append(event.settings)
            else:
                assert self.outcome is None
                self.outcome = event

    def receive(self, data: bytes) -> None:
        self.client.receive_data(data, self.now)
        self.look()

    def wait(self, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until something holds, or nothing is waited for."""
        while not until() and (due := self.client.next_deadline()) is not None:
            self.now = due
            self.client.on_time(self.now)
            self.look()

    def identified(self, identification: bytes = METER) -> None:
        """Up to the acknowledgement, with the line at its new speed."""
        self.receive(identification)
        self.wait(lambda: bool(self.lines) or self.outcome is not None)

    @property
    def error(self) -> str:
        assert isinstance(self.outcome, SignOnFailed)
        return str(self.outcome.error)


def test_signs_on_as_the_standard_says() -> None:
    run = Run()
    assert run.sent == [(0.0, REQUEST)]
    run.now = 1.0
    run.identified()
    sent_at, octets = run.sent[1]
    assert octets == ACKNOWLEDGEMENT
    assert 0.199 < sent_at - 1.0 < 1.5  # the reaction time tr
    assert run.now - sent_at >= 6 * 10 / 300  # the six octets have left at 300 baud before the speed changes
    assert run.lines == [LineSettings(9600, 7, "E")]
    run.receive(ACKNOWLEDGEMENT)
    assert run.lines == [LineSettings(9600, 7, "E"), LineSettings(9600, 8, "N")]
    run.wait()
    assert run.outcome == SignedOn(Identification("LGZ", "5", "2", "ZMD4054407.B32"), LineSettings(9600, 8, "N"))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_octets_come_as_they_like(size: int) -> None:
    run = Run()
    for start in range(0, len(METER), size):
        run.receive(METER[start : start + size])
        run.now += 0.03
    run.wait(lambda: bool(run.lines))
    for octet in ACKNOWLEDGEMENT:
        run.receive(bytes((octet,)))
    run.wait()
    assert isinstance(run.outcome, SignedOn)


@pytest.mark.parametrize(
    ("meter", "options", "acknowledgement", "baud"),
    [
        (b"/ABC0\\2X\r\n", SignOnOptions(), b"\x06202\r\n", 300),
        (b"/ABC6\\2X\r\n", SignOnOptions(), b"\x06262\r\n", 19200),
        (b"/ABC6\\2X\r\n", SignOnOptions(max_baud=9600), b"\x06252\r\n", 9600),
        (b"/ABC5\\2X\r\n", SignOnOptions(max_baud=5000), b"\x06242\r\n", 4800),
        (b"/ABC5\\2X\r\n", SignOnOptions(max_baud=300), b"\x06202\r\n", 300),
        (b"/ABC5\\@\\2X\r\n", SignOnOptions(), b"\x06252\r\n", 9600),
    ],
)
def test_the_speed_is_the_largest_that_both_have(
    meter: bytes, options: SignOnOptions, acknowledgement: bytes, baud: int
) -> None:
    run = Run(options)
    run.receive(meter)
    run.wait(lambda: len(run.sent) == 2)
    assert run.sent[1][1] == acknowledgement
    run.receive(acknowledgement)
    run.wait()
    assert isinstance(run.outcome, SignedOn)
    assert run.outcome.settings == LineSettings(baud, 8, "N")


def test_a_small_third_letter_wants_a_fast_answer() -> None:
    run = Run()
    run.receive(b"/LGz5\\2X\r\n")
    run.wait(lambda: len(run.sent) == 2)
    assert 0.02 <= run.sent[1][0] < 0.2


def test_the_request_names_the_meter() -> None:
    assert Run(SignOnOptions(address="00123 abC")).sent == [(0.0, b"/?00123 abC!\r\n")]


def test_wakes_a_meter_up() -> None:
    run = Run(SignOnOptions(wake_up=True))
    assert run.sent == [(0.0, bytes(66))]  # 2.2 s of NUL at 300 baud
    run.receive(b"\x00\xff")  # what comes meanwhile is noise
    run.wait(lambda: len(run.sent) == 2)
    at, octets = run.sent[1]
    assert octets == REQUEST
    assert 2.1 + 1.5 <= at <= 2.3 + 1.7
    run.identified()
    run.receive(ACKNOWLEDGEMENT)
    run.wait()
    assert isinstance(run.outcome, SignedOn)


def test_an_echoing_head() -> None:
    """Our octets come back: the first copy of the acknowledgement is not the meter's."""
    run = Run()
    run.receive(REQUEST)
    run.identified()
    run.receive(ACKNOWLEDGEMENT)
    assert run.lines == [LineSettings(9600, 7, "E")]
    run.receive(ACKNOWLEDGEMENT)
    assert run.lines[1:] == [LineSettings(9600, 8, "N")]
    run.wait()
    assert isinstance(run.outcome, SignedOn)


def test_the_echo_of_a_fast_head_comes_before_the_switch() -> None:
    run = Run()
    run.receive(REQUEST + METER)
    run.wait(lambda: len(run.sent) == 2)
    run.receive(ACKNOWLEDGEMENT)  # while it is leaving
    run.wait(lambda: bool(run.lines))
    assert run.outcome is None
    run.receive(ACKNOWLEDGEMENT)
    run.wait()
    assert isinstance(run.outcome, SignedOn)


def test_no_copy_of_the_acknowledgement() -> None:
    run = Run()
    run.identified()
    run.wait()
    assert isinstance(run.outcome, SignedOn)
    strict = Run(tolerances=STRICT)
    strict.identified()
    strict.wait()
    assert "no copy of the acknowledgement" in strict.error


def test_trailing_octets() -> None:
    run = Run()
    run.receive(METER + b"\x00\x00")
    run.wait(lambda: bool(run.lines))
    run.receive(b"\x7f" + ACKNOWLEDGEMENT + b"\x00\xff")
    run.receive(b"noise")
    run.wait()
    assert isinstance(run.outcome, SignedOn)


def _even(octets: bytes) -> bytes:
    return bytes(octet | (bin(octet).count("1") % 2) << 7 for octet in octets)


def test_parity_bits_on_a_line_of_eight_bits() -> None:
    run = Run()
    assert _even(METER) != METER
    run.identified(_even(METER))
    run.receive(_even(ACKNOWLEDGEMENT))
    run.wait()
    assert isinstance(run.outcome, SignedOn)
    strict = Run(tolerances=STRICT)
    strict.receive(_even(METER))
    strict.wait()
    assert "no identification" in strict.error


def test_parity_made_by_us() -> None:
    """For a line that stays at 8N1: the wire is the same as with 7E1."""
    run = Run(SignOnOptions(software_parity=True), tolerances=STRICT)
    assert run.sent == [(0.0, _even(REQUEST))]
    run.receive(_even(METER))
    run.wait(lambda: bool(run.lines))
    assert run.sent[1][1] == _even(ACKNOWLEDGEMENT)
    run.receive(_even(ACKNOWLEDGEMENT))
    run.wait()
    assert run.lines == [LineSettings(9600, 8, "N")]
    assert isinstance(run.outcome, SignedOn)


def test_silence() -> None:
    run = Run()
    run.wait()
    assert [octets for _, octets in run.sent] == [REQUEST] * 3
    assert "no octet at all" in run.error
    assert isinstance(run.outcome, SignOnFailed)
    assert isinstance(run.outcome.error, LinkTimeout)
    assert run.now <= SignOnOptions().longest


def test_only_an_echo() -> None:
    run = Run()
    while run.outcome is None:
        run.receive(REQUEST)
        tries = len(run.sent)
        run.wait(lambda tries=tries: len(run.sent) > tries)
    assert "only our own request" in run.error


def test_octets_but_no_identification() -> None:
    run = Run()
    run.receive(b"\xc3\x81\x00garbage")
    run.wait()
    assert "10 octets came back" in run.error
    assert "no identification" in run.error
    assert "parity" in run.error


@pytest.mark.parametrize(("step", "count"), [(0.5, 40), (1.4, 1), (0.01, 1)])
def test_a_line_that_never_falls_silent_ends_too(step: float, count: int) -> None:
    run = Run()
    while run.outcome is None and run.now < 100:
        run.now += step
        run.receive(b"\x55" * count)
        if (due := run.client.next_deadline()) is not None and run.now >= due:
            run.client.on_time(run.now)
            run.look()
    assert "no identification" in run.error
    assert run.now <= SignOnOptions().longest
    assert len(run.error) < 400


def test_the_second_try_is_heard() -> None:
    run = Run()
    run.wait(lambda: len(run.sent) == 2)
    run.identified()
    assert run.sent[2][1] == ACKNOWLEDGEMENT


@pytest.mark.parametrize(
    ("meter", "says"),
    [
        (b"/ABC5EMH4 WITHOUT E\r\n", "mode C only"),
        (b"/ABC5\\@X\r\n", "mode C only"),
        (b"/ABCE\\2MODE B\r\n", "mode B only"),
        (b"/ABC \\2MODE A\r\n", "mode A only"),
    ],
)
def test_meters_of_other_modes(meter: bytes, says: str) -> None:
    run = Run()
    run.receive(meter)
    assert says in run.error
    assert meter.decode().strip() in run.error
    assert len(run.sent) == 1  # nothing more is said to it


def test_mode_e_without_being_offered() -> None:
    run = Run(SignOnOptions(requires_marker=False))
    run.identified(b"/ABC5X\r\n")
    assert run.sent[1][1] == ACKNOWLEDGEMENT


@pytest.mark.parametrize(("octets", "says"), [(b"\x02F.F(00)\r\n", "mode C"), (b"\x15", "NAK")])
def test_a_meter_that_does_something_else(octets: bytes, says: str) -> None:
    run = Run()
    run.identified()
    run.receive(octets)
    assert says in run.error
    assert "/LGZ5" in run.error


def test_the_line_is_lost() -> None:
    run = Run()
    run.client.end_of_stream(1.0)
    run.look()
    assert isinstance(run.outcome, SignOnFailed)
    assert isinstance(run.outcome.error, LinkLost)
    assert run.client.next_deadline() is None


def test_wrong_calls_and_options() -> None:
    run = Run()
    with pytest.raises(LocalProtocolError):
        run.client.start(1.0)
    for wrong in (
        {"address": "1" * 33},
        {"address": "a!b"},
        {"address": "ä"},
        {"initial_baud": 1000},
        {"max_baud": 100},
        {"response_timeout": 0},
        {"tries": 0},
    ):
        with pytest.raises(ValueError):
            SignOnOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line", [b"", b"/", b"/AB5X\r\n", b"/1BC5X\r\n", b"LGZ5\\2X", b"/ABC5" + b"X" * 40, b"/ABC5\xffX\r\n", b"/?!\r\n"]
)
def test_what_is_no_identification(line: bytes) -> None:
    with pytest.raises(DecodeError):
        Identification.decode(line)


def test_identifications() -> None:
    for line in (METER, b"/ISk5MT174-0001\r\n", b"/EMH4\\@LZQJL0014E\r\n", b"/ABC5\r\n", b"/ABC5\\2\r\n"):
        assert Identification.decode(line).encode() == line
    assert Identification.decode(METER.rstrip()).offers_hdlc
    assert not Identification.decode(b"/ISk5MT174-0001\r\n").offers_hdlc
    assert Identification.decode(b"/ISk5MT174-0001\r\n").baud == 9600


# the meter's side


class Meter:
    def __init__(self, **options: object) -> None:
        self.server = SignOnServer(Identification("COS", "5", "2", "X"), **options)  # type: ignore[arg-type]
        self.now = 0.0

    def receive(self, data: bytes) -> list[object]:
        self.server.receive_data(data, self.now)
        return self.look()

    def look(self) -> list[object]:
        sent = self.server.data_to_send()
        return [*([sent] if sent else []), *self.server.events()]

    def wait(self) -> list[object]:
        due = self.server.next_deadline()
        assert due is not None
        self.now = due
        self.server.on_time(due)
        return self.look()


def test_the_meter_answers_a_request_and_confirms_mode_e() -> None:
    meter = Meter()
    assert meter.receive(bytes(60) + b"/?") == []
    assert meter.receive(b"!\r\n") == []
    assert meter.wait() == [b"/COS5\\2X\r\n"]
    assert meter.receive(b"\x06242\r\n") == [SwitchLine(LineSettings(4800, 7, "E"))]
    assert meter.wait() == [b"\x06242\r\n"]
    assert meter.wait() == [
        SwitchLine(LineSettings(4800, 8, "N")),
        SignedOn(Identification("COS", "5", "2", "X"), LineSettings(4800, 8, "N")),
    ]
    assert meter.server.next_deadline() is None


@pytest.mark.parametrize("choice", [b"\x06050\r\n", b"\x06051\r\n", b"\x06262\r\n", b"\x062A2\r\n"])
def test_the_meter_waits_again_after_other_choices(choice: bytes) -> None:
    """Mode C, and speeds that it did not offer."""
    meter = Meter()
    meter.receive(REQUEST)
    meter.wait()
    assert meter.receive(choice) == []
    assert meter.server.next_deadline() is None
    meter.receive(REQUEST)
    assert meter.wait() == [b"/COS5\\2X\r\n"]


def test_the_meter_waits_again_after_silence() -> None:
    meter = Meter()
    meter.receive(REQUEST)
    meter.wait()
    assert meter.wait() == []
    meter.receive(REQUEST)
    assert meter.wait() == [b"/COS5\\2X\r\n"]


def test_the_meter_hears_its_own_address_only() -> None:
    meter = Meter(address="0042")
    meter.receive(b"/?43!\r\n")
    assert meter.server.next_deadline() is None
    meter.receive(b"/?0000042!\r\n")
    assert meter.wait() == [b"/COS5\\2X\r\n"]


def test_the_meter_bears_garbage() -> None:
    meter = Meter()
    meter.receive(b"\xff" * 100_000)
    assert len(meter.server._held) <= 512
    meter.receive(_even(REQUEST))
    assert meter.wait() == [b"/COS5\\2X\r\n"]


def test_a_meter_of_mode_e_has_one_of_its_speeds() -> None:
    with pytest.raises(ValueError, match="baud"):
        SignOnServer(Identification("COS", "A", "2", "X"))


def test_link_errors_are_os_errors() -> None:
    run = Run()
    run.receive(b"/ABC5X\r\n")
    assert isinstance(run.outcome, SignOnFailed)
    assert isinstance(run.outcome.error, LinkError)


def test_no_tolerance_is_needed_for_a_meter_that_keeps_to_the_standard() -> None:
    run = Run(tolerances=frozenset[Tolerance]())
    run.identified()
    run.receive(ACKNOWLEDGEMENT)
    run.wait()
    assert isinstance(run.outcome, SignedOn)
