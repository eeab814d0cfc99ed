"""What a meter sends unasked (IEC 62056-5-3, clause 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.fields import (
    Apdu,
    AttributeDescriptor,
    LongInvokeId,
    Reader,
    encode_data_list,
    encode_octet_string,
)
from cosemic.apdu.short_name import VariableAccess, decode_variables, encode_variables
from cosemic.codec.axdr import Data
from cosemic.errors import DecodeError
from cosemic.tolerances import Tolerance, note


@dataclass(frozen=True, slots=True)
class DataNotification(Apdu, LongInvokeId):
    """Data-Notification: a push. ``date_time`` is raw: empty, or the twelve octets of a date-time (others as sent)."""

    TAG: ClassVar[int] = 0x0F
    long_invoke_id_and_priority: int
    date_time: bytes
    body: Data

    def _encode(self) -> bytes:
        return b"".join(
            (
                b"\x0f",
                self.long_invoke_id_and_priority.to_bytes(4, "big"),
                encode_octet_string(self.date_time),
                bytes(self.body),
            )
        )


@dataclass(frozen=True, slots=True)
class DataNotificationConfirm(Apdu, LongInvokeId):
    """Data-Notification-Confirm: the answer to a confirmed push."""

    TAG: ClassVar[int] = 0x10
    long_invoke_id_and_priority: int
    date_time: bytes = b""

    def _encode(self) -> bytes:
        return b"\x10" + self.long_invoke_id_and_priority.to_bytes(4, "big") + encode_octet_string(self.date_time)


@dataclass(frozen=True, slots=True)
class EventNotificationRequest(Apdu):
    """Event-Notification-Request: one attribute. ``time`` is raw (twelve octets by the standard) or None."""

    TAG: ClassVar[int] = 0xC2
    time: bytes | None
    attribute: AttributeDescriptor
    value: Data

    def _encode(self) -> bytes:
        time = b"\x00" if self.time is None else b"\x01" + encode_octet_string(self.time)
        return b"\xc2" + time + self.attribute.encode() + bytes(self.value)


@dataclass(frozen=True, slots=True)
class InformationReportRequest(Apdu):
    """InformationReportRequest (short names). ``current_time`` is the text of a GeneralizedTime, raw, or None."""

    TAG: ClassVar[int] = 0x18
    current_time: bytes | None
    specifications: tuple[VariableAccess, ...]
    data: tuple[Data, ...]

    def _encode(self) -> bytes:
        time = b"\x00" if self.current_time is None else b"\x01" + encode_octet_string(self.current_time)
        return b"\x18" + time + encode_variables(self.specifications) + encode_data_list(self.data)


def decode_data_notification(reader: Reader) -> DataNotification:
    """Data-Notification; the reader stands after the tag."""
    invoke = reader.unsigned32("long-invoke-id-and-priority")
    start = reader.offset
    try:
        notification = DataNotification(invoke, reader.octet_string("date-time"), reader.data())
    except DecodeError:
        if not _tagged_date_time(reader, start):
            raise
    else:
        if not reader.left or not _tagged_date_time(reader, start):
            return notification
    note(Tolerance.DATE_TIME_TAG, "the date-time of a data-notification begins with 09 0C")
    reader.offset = start + 1
    return DataNotification(invoke, reader.octet_string("date-time"), reader.data())


def decode_data_notification_confirm(reader: Reader) -> DataNotificationConfirm:
    """Data-Notification-Confirm; the reader stands after the tag."""
    invoke = reader.unsigned32("long-invoke-id-and-priority")
    return DataNotificationConfirm(invoke, reader.octet_string("date-time"))


def decode_event_notification_request(reader: Reader) -> EventNotificationRequest:
    """Event-Notification-Request; the reader stands after the tag."""
    time = reader.octet_string("time") if reader.boolean("time flag") else None
    attribute = reader.attribute()
    return EventNotificationRequest(time, attribute, reader.data())


def decode_information_report_request(reader: Reader) -> InformationReportRequest:
    """InformationReportRequest; the reader stands after the tag."""
    time = reader.octet_string("current-time") if reader.boolean("current-time flag") else None
    specifications = decode_variables(reader)
    return InformationReportRequest(time, specifications, reader.sequence_of(reader.data, "data"))


def _tagged_date_time(reader: Reader, start: int) -> bool:
    """Whether the date-time is coded as Data (09 0C ...): Kaifa meters of the Norwegian HAN do so."""
    return Tolerance.DATE_TIME_TAG in reader.tolerances and reader.octets[start : start + 2] == b"\x09\x0c"
