"""Which services a server's association takes, and what serves them: by logical or by short names."""

from __future__ import annotations

from typing import Final

from cosemic.apdu.base import Apdu
from cosemic.apdu.services import (
    ActionRequestNextPblock,
    ActionRequestWithPblock,
    BlockNumberAccess,
    GetRequestNext,
    ReadRequest,
    SetRequestWithDatablock,
    UnconfirmedWriteRequest,
    WriteRequest,
)
from cosemic.enums import ApduTag, Conformance
from cosemic.protocol.serving import Serving
from cosemic.protocol.settings import ServerSettings
from cosemic.protocol.short_name_serving import ShortNameServing

FURTHER_BLOCKS: Final = (SetRequestWithDatablock, ActionRequestWithPblock)

WITHOUT_INVOKE_OCTET: Final[dict[type[Apdu], int]] = {ReadRequest: 0x40, WriteRequest: 0x40, UnconfirmedWriteRequest: 0}
"""Services without an invoke-id-and-priority, and what theirs would say: confirmed or not."""

OWN_BLOCKS: Final[dict[int, int]] = {
    ApduTag.GET_REQUEST: int(Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ),
    ApduTag.SET_REQUEST: int(Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE),
    ApduTag.ACTION_REQUEST: int(Conformance.BLOCK_TRANSFER_WITH_ACTION),
    ApduTag.READ_REQUEST: int(Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ),
    ApduTag.WRITE_REQUEST: int(Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE),
}
"""The services that have blocks of their own, by tag.

Where both kinds were agreed on, an answer that is too long goes in these unless its request came in general blocks: the
standard leaves it open, and dlms-cosem proposes general block transfer without knowing it.
"""

_BY_LOGICAL_NAME = frozenset((ApduTag.GET_REQUEST, ApduTag.SET_REQUEST, ApduTag.ACTION_REQUEST, ApduTag.ACCESS_REQUEST))
_BY_SHORT_NAME = frozenset((ApduTag.READ_REQUEST, ApduTag.WRITE_REQUEST, ApduTag.UNCONFIRMED_WRITE_REQUEST))


def asks_for_next_block(apdu: Apdu) -> bool:
    """Whether a request is for the next block of an answer that has begun."""
    if isinstance(apdu, ReadRequest):
        return any(isinstance(item, BlockNumberAccess) for item in apdu.specifications)
    return isinstance(apdu, GetRequestNext | ActionRequestNextPblock)


def services(settings: ServerSettings | None) -> frozenset[ApduTag]:
    """The tags of the requests that may come."""
    return _BY_LOGICAL_NAME if settings is None or settings.short_names is None else _BY_SHORT_NAME


def make_serving(settings: ServerSettings, conformance: Conformance) -> Serving | ShortNameServing:
    """The exchange of an association that was just opened."""
    if settings.short_names is not None:
        return ShortNameServing(settings.short_names, conformance, settings.max_octets, settings.tolerances)
    return Serving(conformance, settings.max_octets, settings.tolerances)
