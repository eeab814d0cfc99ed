"""What the APDUs share: the base class, invoke ids, descriptors, and a reader that checks every length.

A-XDR (IEC 61334-6) as IEC 62056-5-3 uses it: a CHOICE is one octet, an OPTIONAL begins with a presence octet, a
SEQUENCE OF begins with its length, a BOOLEAN is true when it is not zero.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, TypeVar

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Limits
from cosemic.enums import ActionResult, DataAccessResult, known
from cosemic.errors import DecodeError, LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.tolerances import Tolerance

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")

DATA_ACCESS_RESULTS: tuple[DataAccessResult | int, ...] = tuple(known(DataAccessResult, n) for n in range(256))
ACTION_RESULTS: tuple[ActionResult | int, ...] = tuple(known(ActionResult, n) for n in range(256))


class Apdu:
    """Base of every APDU. ``encode()`` gives the canonical octets; ``TAG`` is the first of them."""

    __slots__ = ()
    TAG: ClassVar[int]

    def encode(self) -> bytes:
        """The octets of this APDU; LocalProtocolError where a field has a value that cannot be put on the wire."""
        try:
            return self._encode()
        except (struct.error, OverflowError, ValueError) as error:
            raise LocalProtocolError(f"{type(self).__name__} has a field that cannot be encoded: {error}") from None

    def _encode(self) -> bytes:
        raise NotImplementedError


class InvokeId:
    """Reads the octet Invoke-Id-And-Priority (IEC 62056-5-3, clause 8)."""

    __slots__ = ()
    invoke_id_and_priority: int

    @property
    def invoke_id(self) -> int:
        """Bits 0 to 3."""
        return self.invoke_id_and_priority & 0x0F

    @property
    def confirmed(self) -> bool:
        """Service class: an answer is wanted."""
        return bool(self.invoke_id_and_priority & 0x40)

    @property
    def high_priority(self) -> bool:
        """Priority bit."""
        return bool(self.invoke_id_and_priority & 0x80)


class LongInvokeId:
    """Reads the 32 bits of Long-Invoke-Id-And-Priority (IEC 62056-5-3, clause 8)."""

    __slots__ = ()
    long_invoke_id_and_priority: int

    @property
    def long_invoke_id(self) -> int:
        """Bits 0 to 23."""
        return self.long_invoke_id_and_priority & 0xFFFFFF

    @property
    def self_descriptive(self) -> bool:
        """The answer shall repeat the specifications of the request."""
        return bool(self.long_invoke_id_and_priority & 0x10000000)

    @property
    def break_on_error(self) -> bool:
        """Processing option: stop at the first item that fails."""
        return bool(self.long_invoke_id_and_priority & 0x20000000)

    @property
    def confirmed(self) -> bool:
        """Service class: an answer is wanted."""
        return bool(self.long_invoke_id_and_priority & 0x40000000)

    @property
    def high_priority(self) -> bool:
        """Priority bit."""
        return bool(self.long_invoke_id_and_priority & 0x80000000)


def invoke_octet(invoke_id: int, confirmed: bool = True, high_priority: bool = True) -> int:
    """Make Invoke-Id-And-Priority; the invoke id is taken modulo 16."""
    return invoke_id & 0x0F | (0x40 if confirmed else 0) | (0x80 if high_priority else 0)


def long_invoke_number(
    long_invoke_id: int,
    confirmed: bool = True,
    high_priority: bool = True,
    *,
    self_descriptive: bool = False,
    break_on_error: bool = False,
) -> int:
    """Make Long-Invoke-Id-And-Priority; the invoke id is taken modulo 2**24."""
    return (
        long_invoke_id & 0xFFFFFF
        | (0x10000000 if self_descriptive else 0)
        | (0x20000000 if break_on_error else 0)
        | (0x40000000 if confirmed else 0)
        | (0x80000000 if high_priority else 0)
    )


@dataclass(frozen=True, slots=True, init=False)
class AttributeDescriptor:
    """Cosem-Attribute-Descriptor: which attribute of which object. Attribute 0 means all of them."""

    class_id: int
    instance: ObisCode
    attribute: int

    # One object for each request: filling the slots directly halves the time of the generated __init__.
    def __init__(self, class_id: int, instance: ObisCode, attribute: int) -> None:
        _set_class_id(self, class_id)
        _set_instance(self, instance)
        _set_attribute(self, attribute)

    def encode(self) -> bytes:
        """Nine octets."""
        return DESCRIPTOR.pack(self.class_id, self.instance.octets, self.attribute)

    def __str__(self) -> str:
        return f"{self.class_id}/{self.instance}/{self.attribute}"


_set_class_id = AttributeDescriptor.__dict__["class_id"].__set__
_set_instance = AttributeDescriptor.__dict__["instance"].__set__
_set_attribute = AttributeDescriptor.__dict__["attribute"].__set__


@dataclass(frozen=True, slots=True)
class MethodDescriptor:
    """Cosem-Method-Descriptor: which method of which object."""

    class_id: int
    instance: ObisCode
    method: int

    def encode(self) -> bytes:
        """Nine octets."""
        return DESCRIPTOR.pack(self.class_id, self.instance.octets, self.method)

    def __str__(self) -> str:
        return f"{self.class_id}/{self.instance}/{self.method}"


@dataclass(frozen=True, slots=True)
class SelectiveAccess:
    """Selective-Access-Descriptor: the selector and its parameters."""

    selector: int
    parameters: Data

    def encode(self) -> bytes:
        """Selector and parameters."""
        return bytes((self.selector,)) + bytes(self.parameters)


AttributeItem = tuple[AttributeDescriptor, SelectiveAccess | None]
"""Cosem-Attribute-Descriptor-With-Selection."""

DESCRIPTOR = struct.Struct(">H6sb")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class Reader:
    """Reads one APDU from its octets; every step is checked against what is there, and raises DecodeError only."""

    __slots__ = ("limits", "octets", "offset", "tolerances")

    def __init__(self, octets: bytes, offset: int, limits: Limits, tolerances: frozenset[Tolerance]) -> None:
        self.octets = octets
        self.offset = offset
        self.limits = limits
        self.tolerances = tolerances

    def error(self, message: str, offset: int | None = None) -> DecodeError:
        """A DecodeError that keeps the octets and the place."""
        return DecodeError(message, octets=self.octets, offset=self.offset if offset is None else offset)

    @property
    def left(self) -> int:
        """How many octets are left."""
        return len(self.octets) - self.offset

    def octet(self, what: str) -> int:
        """One octet."""
        offset = self.offset
        if offset >= len(self.octets):
            raise self.error(f"{what} missing: the APDU ends after {offset} octets")
        self.offset = offset + 1
        return self.octets[offset]

    def take(self, count: int, what: str) -> bytes:
        """That many octets."""
        start = self.offset
        end = start + count
        if end > len(self.octets):
            raise self.error(f"{what} cut short: {count} octets needed, {self.left} left")
        self.offset = end
        return self.octets[start:end]

    def unsigned16(self, what: str) -> int:
        """Unsigned16."""
        value: int = _U16.unpack(self.take(2, what))[0]
        return value

    def unsigned32(self, what: str) -> int:
        """Unsigned32."""
        value: int = _U32.unpack(self.take(4, what))[0]
        return value

    def boolean(self, what: str) -> bool:
        """BOOLEAN; also the presence octet of an OPTIONAL."""
        return self.octet(what) != 0

    def length(self, what: str) -> int:
        """A length or count; not yet compared with what follows."""
        if self.offset >= len(self.octets):
            raise self.error(f"{what} missing: the APDU ends after {self.offset} octets")
        length, self.offset = axdr.decode_length(self.octets, self.offset)
        return length

    def octet_string(self, what: str) -> bytes:
        """OCTET STRING with its length."""
        return self.take(self.length(f"length of {what}"), what)

    def sequence_of(self, item: Callable[[], _T], what: str) -> tuple[_T, ...]:
        """SEQUENCE OF: a count, then the items. No item is shorter than one octet, so a false count ends early."""
        count = self.length(f"number of {what}")
        if count > self.left:
            raise self.error(f"{count} {what} announced, but only {self.left} octets follow")
        if count > self.limits.elements:
            raise self.error(f"{count} {what} exceed the limit of {self.limits.elements}")
        return tuple([item() for _ in range(count)])

    def data(self) -> Data:
        """Data, checked to its last element."""
        value, self.offset = Data.decode_prefix(self.octets, self.offset, self.limits)
        return value

    def attribute(self) -> AttributeDescriptor:
        """Cosem-Attribute-Descriptor."""
        class_id, instance, attribute = DESCRIPTOR.unpack(self.take(9, "attribute descriptor"))
        return AttributeDescriptor(class_id, ObisCode.from_bytes(instance), attribute)

    def method(self) -> MethodDescriptor:
        """Cosem-Method-Descriptor."""
        class_id, instance, method = DESCRIPTOR.unpack(self.take(9, "method descriptor"))
        return MethodDescriptor(class_id, ObisCode.from_bytes(instance), method)

    def access(self) -> SelectiveAccess | None:
        """Selective-Access-Descriptor OPTIONAL."""
        if not self.boolean("access selection flag"):
            return None
        return self.selection()

    def selection(self) -> SelectiveAccess:
        """Selective-Access-Descriptor."""
        selector = self.octet("access selector")
        return SelectiveAccess(selector, self.data())

    def attribute_item(self) -> AttributeItem:
        """Cosem-Attribute-Descriptor-With-Selection."""
        attribute = self.attribute()
        return attribute, self.access()

    def data_access_result(self) -> DataAccessResult | int:
        """Data-Access-Result; a code that the standard does not know stays a number."""
        return DATA_ACCESS_RESULTS[self.octet("data-access-result")]

    def action_result(self) -> ActionResult | int:
        """Action-Result; a code that the standard does not know stays a number."""
        return ACTION_RESULTS[self.octet("action-result")]

    def get_data_result(self) -> Data | DataAccessResult | int:
        """Get-Data-Result."""
        choice = self.octet("choice of the result")
        if choice == 0:
            return self.data()
        if choice == 1:
            return self.data_access_result()
        raise self.error(
            f"Get-Data-Result has choice {choice:02X}; only 00 (data) and 01 (data-access-result) exist",
            self.offset - 1,
        )


def encode_octet_string(value: bytes) -> bytes:
    """OCTET STRING with its length."""
    return axdr.encode_length(len(value)) + value


def encode_access(access: SelectiveAccess | None) -> bytes:
    """Selective-Access-Descriptor OPTIONAL."""
    return b"\x00" if access is None else b"\x01" + access.encode()


def encode_attribute_items(items: tuple[AttributeItem, ...]) -> bytes:
    """SEQUENCE OF Cosem-Attribute-Descriptor-With-Selection."""
    parts = [axdr.encode_length(len(items))]
    for attribute, access in items:
        parts.append(attribute.encode())
        parts.append(encode_access(access))
    return b"".join(parts)


def encode_methods(methods: tuple[MethodDescriptor, ...]) -> bytes:
    """SEQUENCE OF Cosem-Method-Descriptor."""
    return axdr.encode_length(len(methods)) + b"".join([method.encode() for method in methods])


def encode_data_list(values: tuple[Data, ...]) -> bytes:
    """SEQUENCE OF Data."""
    return axdr.encode_length(len(values)) + b"".join([bytes(value) for value in values])


def encode_get_data_result(result: Data | DataAccessResult | int) -> bytes:
    """Get-Data-Result."""
    if isinstance(result, Data):
        return b"\x00" + bytes(result)
    return bytes((1, result))


def shown(apdu: DataclassInstance, hidden: tuple[str, ...]) -> str:
    """A repr with the fields that are there; of hidden ones only how many octets they have."""
    parts = []
    for item in fields(apdu):
        value: object = getattr(apdu, item.name)
        if value is not None:
            parts.append(f"{item.name}={_length_of(value) if item.name in hidden else repr(value)}")
    return f"{type(apdu).__name__}({', '.join(parts)})"


def _length_of(value: object) -> str:
    if isinstance(value, tuple):
        return f"<{len(value)} values>"
    return f"<{len(bytes(value))} octets>" if isinstance(value, bytes | Data) else "<hidden>"


# Where an association object takes its new secret: secret and change_HLS_secret of Association LN, change_secret of
# Association SN (IEC 62056-6-2).
_SECRET_ATTRIBUTES = frozenset({(15, 7)})
_SECRET_METHODS = frozenset({(15, 2), (12, 5)})


def sets_secret(*attributes: AttributeDescriptor) -> bool:
    """Whether one of these attributes takes a password or a key in plain form."""
    return any((item.class_id, item.attribute) in _SECRET_ATTRIBUTES for item in attributes)


def changes_secret(*methods: MethodDescriptor) -> bool:
    """Whether one of these methods takes a password or a key in plain form."""
    return any((item.class_id, item.method) in _SECRET_METHODS for item in methods)
