"""Nobody speaks in the name of a meter that has keys: neither by its address nor by its number."""

from __future__ import annotations

from cosemic.push.decoder import Interpreter, PushDecoder
from cosemic.push.messages import Diagnosis, Push, Undecoded
from cosemic.push.meters import KnownMeter
from cosemic.push.protection.keys import MeterKeys

PLAIN = bytes.fromhex("0F0000000100020409060000600100FF0908313233343536373809060100010800FF0600003039")
KEYS = MeterKeys(bytes(range(0x31, 0x41)), bytes(range(0x52, 0x62)))


class Known:
    """One meter by its address, one by its number."""

    def __init__(self, *, has_keys: bool) -> None:
        self.roof = KnownMeter("roof", has_keys=has_keys)
        self.garden = KnownMeter("garden", has_keys=has_keys)

    def by_sender(self, system_title: bytes | None, source: str | None) -> KnownMeter | None:
        return self.roof if source == "udp://192.0.2.2:5" else None

    def by_identity(self, meter_id: str) -> KnownMeter | None:
        return self.garden if meter_id == "12345678" else None


def decoded(source: str, *, has_keys: bool) -> Push | Undecoded:
    interpreter = Interpreter(KEYS, meters=Known(has_keys=has_keys), accept_plain=True)
    decoder = PushDecoder(interpreter=interpreter.at(source))
    (item,) = decoder.feed(PLAIN) + decoder.end()
    assert isinstance(item, (Push, Undecoded))
    return item


def test_a_plain_message_from_the_address_of_a_meter_with_keys() -> None:
    item = decoded("udp://192.0.2.2:5", has_keys=True)
    assert isinstance(item, Undecoded)
    assert item.diagnosis is Diagnosis.NOT_PROTECTED
    assert item.meter == "roof"
    assert decoded("udp://192.0.2.2:5", has_keys=False).meter == "roof"


def test_a_plain_message_with_the_number_of_a_meter_with_keys() -> None:
    item = decoded("udp://203.0.113.1:5", has_keys=True)
    assert isinstance(item, Push)
    assert item.meter is None
    assert decoded("udp://203.0.113.1:5", has_keys=False).meter == "garden"
