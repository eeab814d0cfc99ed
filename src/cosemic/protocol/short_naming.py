"""Who knows which short name stands for what: the seams to the tables of the client and of the meter.

This layer moves names; what they mean is told by ``cosemic.cosem.short_names`` (client) and by
``cosemic.meter.short_names``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from cosemic.apdu.services import AttributeDescriptor, MethodDescriptor
from cosemic.enums import Conformance

if TYPE_CHECKING:
    from cosemic.enums import DataAccessResult

ASSOCIATION_BASE_NAME: Final = 0xFA00
"""The Association SN object of the association that asks; also the VAA name of a short-name association."""
OBJECT_LIST_NAME: Final = ASSOCIATION_BASE_NAME + 0x08
REPLY_TO_HLS_NAME: Final = ASSOCIATION_BASE_NAME + 0x58
"""Method 8 of the Association SN object (IEC 62056-6-2, 4.4.3)."""
CHANGE_SECRET_NAME: Final = ASSOCIATION_BASE_NAME + 0x40

SHORT_NAME_CONFORMANCE: Final = (
    Conformance.READ
    | Conformance.WRITE
    | Conformance.UNCONFIRMED_WRITE
    | Conformance.PARAMETERIZED_ACCESS
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.INFORMATION_REPORT
    | Conformance.DATA_NOTIFICATION
)
"""The services that exist here with short names."""

ONLY_SHORT_NAMES: Final = (
    Conformance.READ
    | Conformance.WRITE
    | Conformance.UNCONFIRMED_WRITE
    | Conformance.PARAMETERIZED_ACCESS
    | Conformance.INFORMATION_REPORT
)
ONLY_LOGICAL_NAMES: Final = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.ACCESS
    | Conformance.SELECTIVE_ACCESS
    | Conformance.EVENT_NOTIFICATION
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.PRIORITY_MGMT_SUPPORTED
    | Conformance.ATTRIBUTE_0_SUPPORTED_WITH_GET
    | Conformance.ATTRIBUTE_0_SUPPORTED_WITH_SET
)


class ShortNames(Protocol):
    """A client's table: from an attribute or a method to its short name.

    A name that cannot exist (a number that the class does not have, more than 16 bits) is a LocalProtocolError; an
    object that the meter does not list is answered by the result that a meter would give.
    """

    def attribute_name(self, at: AttributeDescriptor) -> int | DataAccessResult:
        """The short name of an attribute."""

    def method_name(self, at: MethodDescriptor) -> int | DataAccessResult:
        """The short name of a method."""

    def returns_value(self, at: MethodDescriptor) -> bool:
        """Whether the standard gives the method return parameters."""


class NamedObjects(Protocol):
    """A meter's table: from a short name to the attribute or method that has it."""

    @property
    def whole_list_in_blocks(self) -> bool:
        """Whether the blocks of a single long value hold a list of one result instead of the bare value."""

    def find(self, name: int) -> AttributeDescriptor | MethodDescriptor | None:
        """What has this short name; None for a name that nothing has."""
