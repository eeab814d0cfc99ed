"""Events, reports of short names, models as definitions, and captured rows in pushes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from cosemic.apdu.fields import AttributeDescriptor
from cosemic.apdu.notify import EventNotificationRequest, InformationReportRequest
from cosemic.apdu.short_name import VariableName
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem.meter_model import MeterModel, ModelObject
from cosemic.cosem.object_list import ObjectEntry
from cosemic.obis import ObisCode
from cosemic.push.messages import Label
from cosemic.times import CosemDateTime
from tests.push.plain import notification, obis, scaler_unit, understand

TIME = bytes.fromhex("07e80c01060000000000ffc400")[:9] + bytes.fromhex("ffc400")
MOMENT = datetime(2024, 11, 30, 23, 0, tzinfo=UTC)


def thing(class_id: int, name: str, base_name: int | None = None, **values: Typed) -> ModelObject:
    entry = ObjectEntry(class_id, 0, ObisCode.parse(name), base_name=base_name)
    return ModelObject(entry, {int(key[1:]): Data.of(value) for key, value in values.items()})


def columns(*places: tuple[int, str, int]) -> Typed:
    return axdr.array(
        *(
            axdr.structure(axdr.long_unsigned(class_id), obis(name), axdr.integer(attribute), axdr.long_unsigned(0))
            for class_id, name, attribute in places
        )
    )


def test_an_event_names_its_attribute() -> None:
    descriptor = AttributeDescriptor(3, ObisCode.parse("1-0:1.7.0"), 2)
    apdu = EventNotificationRequest(TIME, descriptor, Data.of(axdr.double_long_unsigned(1234))).encode()
    push = understand(apdu)
    (reading,) = push.readings
    assert push.kind == "event-notification"
    assert push.time == MOMENT
    assert (reading.value, reading.scaler, reading.unit, reading.label) == (1234, None, "", Label.ATTRIBUTE)
    assert "scaler and unit of one value are not known (1-0:1.7.0*255" in (push.hint or "")
    model = MeterModel((thing(3, "1-0:1.7.0", _3=scaler_unit(-1, 27)),))
    (known,) = understand(apdu, definition=model).readings
    assert (known.value, known.unit) == (Decimal("123.4"), "W")
    assert push.tree == axdr.double_long_unsigned(1234)


def test_an_event_of_a_clock_or_without_a_time() -> None:
    clock = AttributeDescriptor(8, ObisCode.parse("0-0:1.0.0"), 2)
    push = understand(EventNotificationRequest(None, clock, Data.of(axdr.octet_string(TIME))).encode())
    assert push.readings[0].value == MOMENT
    short = EventNotificationRequest(b"\x07\xe8", clock, Data.of(axdr.null_data())).encode()
    assert understand(short).notes == ("a time of 2 octets was left unread",)
    assert understand(short).readings[0].value is None


def report(*values: Typed, names: tuple[int, ...], time: bytes | None = None) -> bytes:
    specifications = tuple(map(VariableName, names))
    return InformationReportRequest(time, specifications, tuple(map(Data.of, values))).encode()


def test_a_report_of_short_names_is_a_tree() -> None:
    apdu = report(axdr.unsigned(1), axdr.unsigned(2), names=(0x2008, 0x3008), time=b"20241130230000Z")
    push = understand(apdu)
    assert push.kind == "information-report"
    assert push.readings == ()
    assert push.tree == axdr.structure(axdr.unsigned(1), axdr.unsigned(2))
    assert push.time == MOMENT
    assert "short names" in (push.hint or "")


def test_a_model_tells_the_objects_of_short_names() -> None:
    model = MeterModel((thing(3, "1-0:1.8.0", 0x2000, _3=scaler_unit(3, 30)), thing(8, "0-0:1.0.0", 0x3000)))
    apdu = report(axdr.double_long_unsigned(7), axdr.octet_string(TIME), names=(0x2008, 0x3008))
    push = understand(apdu, definition=model)
    energy, clock = push.readings
    assert (energy.value, energy.unit, energy.attribute) == (Decimal(7000), "Wh", 2)
    assert clock.value == push.time == MOMENT
    assert push.hint is None
    unread = understand(report(axdr.unsigned(1), names=(0x2008,), time=b"yesterday"))
    assert "was left unread" in unread.notes[0]


def test_a_model_has_the_push_objects_and_the_scalers() -> None:
    model = MeterModel(
        (
            thing(40, "0-0:25.9.0", _2=columns((3, "1-0:1.8.0", 2), (1, "0-0:96.1.0", 2))),
            thing(40, "0-1:25.9.0", _2=columns((8, "0-0:1.0.0", 2), (3, "1-0:2.8.0", 2))),
            thing(3, "1-0:1.8.0", _3=scaler_unit(1, 30)),
            thing(3, "1-0:2.8.0", _3=scaler_unit(2, 30)),
            thing(3, "1-0:9.9.9", _3=axdr.null_data()),
        )
    )
    first = understand(
        notification(axdr.structure(axdr.double_long_unsigned(5), axdr.octet_string(b"12"))), definition=model
    )
    assert [reading.value for reading in first.readings] == [Decimal(50), "12"]
    second = understand(
        notification(axdr.structure(axdr.octet_string(TIME), axdr.double_long_unsigned(5))), definition=model
    )
    assert [reading.value for reading in second.readings] == [MOMENT, Decimal(500)]
    pairs = notification(axdr.structure(axdr.structure(obis("1-0:2.8.0"), axdr.double_long_unsigned(6))))
    assert understand(pairs, definition=model).readings[0].value == Decimal(600)


ROWS = axdr.array(
    axdr.structure(axdr.octet_string(TIME), axdr.double_long_unsigned(10), axdr.unsigned(0)),
    axdr.structure(axdr.null_data(), axdr.double_long_unsigned(12), axdr.null_data()),
)
CAPTURED = ((8, "0-0:1.0.0", 2), (3, "1-0:1.8.0", 2), (1, "0-0:96.10.1", 2))


def test_rows_of_a_profile_become_readings_with_times() -> None:
    model = MeterModel(
        (
            thing(40, "0-0:25.9.0", _2=columns((1, "0-0:96.1.0", 2), (7, "1-0:99.1.0", 2))),
            thing(7, "1-0:99.1.0", _3=columns(*CAPTURED), _4=axdr.double_long_unsigned(900)),
            thing(3, "1-0:1.8.0", _3=scaler_unit(1, 30)),
        )
    )
    apdu = notification(axdr.structure(axdr.octet_string(b"77"), ROWS))
    for _ in range(2):
        push = understand(apdu, definition=model)
        assert push.meter_id == "77"
        assert [(str(r.obis), r.value, r.unit, r.raw, r.time) for r in push.readings[1:]] == [
            ("1-0:1.8.0*255", Decimal(100), "Wh", 10, MOMENT),
            ("0-0:96.10.1*255", 0, "", 0, MOMENT),
            ("1-0:1.8.0*255", Decimal(120), "Wh", 12, MOMENT.replace(minute=15)),
        ]


def test_a_push_that_has_rows_and_their_columns() -> None:
    body = axdr.structure(columns(*CAPTURED), ROWS)
    definition = [(7, "1-0:99.1.0", 3), (7, "1-0:99.1.0", 2)]
    push = understand(notification(body), definition=definition)
    assert [reading.raw for reading in push.readings] == [10, 0, 12]
    assert isinstance(push.readings[0].time, datetime)
    misfit = axdr.structure(columns(*CAPTURED[:2]), ROWS)
    (whole,) = understand(notification(misfit), definition=definition).readings
    assert whole.raw == ROWS.plain


def test_compact_data_by_its_template() -> None:
    buffer = TIME + (1234).to_bytes(4, "big") + b"\x05"
    template = bytes((2, 3, 25, 6, 17))
    definition = [(62, "0-0:66.0.0", 2), (62, "0-0:66.0.0", 3), (62, "0-0:66.0.0", 5)]
    body = axdr.structure(axdr.octet_string(buffer), columns(*CAPTURED), axdr.octet_string(template))
    energy, status = understand(notification(body), definition=definition).readings
    assert (energy.raw, status.raw, energy.time) == (1234, 5, MOMENT)
    (alone,) = understand(notification(axdr.structure(axdr.octet_string(buffer))), definition=definition[:1]).readings
    assert alone.raw == buffer


def test_an_extended_register_brings_its_time() -> None:
    definition = [(4, "0-1:24.2.1", 2), (4, "0-1:24.2.1", 5), (4, "0-1:24.2.1", 3), (4, "0-1:24.2.1", 1)]
    body = axdr.structure(
        axdr.double_long_unsigned(5), axdr.octet_string(TIME), scaler_unit(-2, 13), obis("0-1:24.2.1")
    )
    value, time = understand(notification(body), definition=definition).readings
    assert (value.value, value.unit, value.time, value.device) == (Decimal("0.05"), "m³", MOMENT, 1)
    assert time.attribute == 5
    assert not isinstance(value.time, CosemDateTime)
