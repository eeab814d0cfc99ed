"""What an explanation learns on its way: keys, system titles, unfinished blocks."""

from __future__ import annotations

from dataclasses import dataclass, field

from cosemic.enums import ApduTag

MOST_OCTETS = 16 << 20
"""What blocks or segments may add up to before they are given up."""

_HEX_LENGTHS = (16, 32)
_FROM_METER = frozenset(
    {
        ApduTag.GLO_INITIATE_RESPONSE, ApduTag.GLO_READ_RESPONSE, ApduTag.GLO_WRITE_RESPONSE,
        ApduTag.GLO_CONFIRMED_SERVICE_ERROR, ApduTag.GLO_INFORMATION_REPORT_REQUEST,
        ApduTag.DED_INITIATE_RESPONSE, ApduTag.DED_READ_RESPONSE, ApduTag.DED_WRITE_RESPONSE,
        ApduTag.DED_CONFIRMED_SERVICE_ERROR, ApduTag.DED_INFORMATION_REPORT_REQUEST,
        ApduTag.GLO_GET_RESPONSE, ApduTag.GLO_SET_RESPONSE, ApduTag.GLO_ACTION_RESPONSE,
        ApduTag.GLO_EVENT_NOTIFICATION_REQUEST, ApduTag.DED_GET_RESPONSE, ApduTag.DED_SET_RESPONSE,
        ApduTag.DED_ACTION_RESPONSE, ApduTag.DED_EVENT_NOTIFICATION_REQUEST,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keys:
    """What ``explain`` may open ciphered APDUs with; octets or hex. The keys never show in a repr.

    ``system_titles`` are tried in turn besides those that an AARQ or AARE of the same capture carries.
    """

    encryption_key: bytes | str | None = field(default=None, repr=False)
    authentication_key: bytes | str | None = field(default=None, repr=False)
    system_titles: tuple[bytes | str, ...] = ()
    dedicated_key: bytes | str | None = field(default=None, repr=False)
    broadcast_key: bytes | str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("encryption_key", "authentication_key", "dedicated_key", "broadcast_key"):
            octets = _octets(getattr(self, name), name.replace("_", " "))
            if octets is not None and len(octets) not in _HEX_LENGTHS:
                raise ValueError(f"the {name.replace('_', ' ')} has {len(octets)} octets; 16 or 32 are possible")
            object.__setattr__(self, name, octets)
        titles = tuple(title for title in (_octets(t, "system title") for t in self.system_titles) if title is not None)
        for title in titles:
            if len(title) != 8:
                raise ValueError(f"the system title {title.hex()} has {len(title)} octets; 8 are needed")
        object.__setattr__(self, "system_titles", titles)


@dataclass(slots=True)
class Conversation:
    """State across the frames and APDUs of one capture."""

    keys: Keys = field(default_factory=Keys)
    client_title: bytes | None = None
    meter_title: bytes | None = None
    dedicated_key: bytes | None = field(default=None, repr=False)
    mechanism: int | None = None
    blocks: dict[str, bytearray] = field(default_factory=dict, repr=False)
    listed: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    nesting: int = 0
    opened: int = 0

    def learn_title(self, title: bytes, *, from_client: bool) -> None:
        """Remember the system title that an AARQ or AARE carries."""
        if len(title) == 8:
            if from_client:
                self.client_title = title
            else:
                self.meter_title = title

    def titles_for(self, tag: int) -> list[bytes]:
        """System titles of the sender of an APDU with that tag, the likeliest first."""
        learned = [self.client_title, self.meter_title]
        if tag in _FROM_METER:
            learned.reverse()
        found: list[bytes] = []
        for title in (*learned, *self.keys.system_titles):
            if isinstance(title, bytes) and title not in found:
                found.append(title)
        return found

    def gather(self, service: str, block: bytes, *, last: bool, first: bool) -> bytes | None:
        """Collect a data block; the whole when it was the last one and the first one was seen."""
        if first:
            self.blocks[service] = bytearray()
        gathered = self.blocks.get(service)
        if gathered is None:
            return None
        gathered += block
        if len(gathered) > MOST_OCTETS:
            del self.blocks[service]
            return None
        if not last:
            return None
        del self.blocks[service]
        return bytes(gathered)


def _octets(value: bytes | str | None, what: str) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError(f"the {what} is not hexadecimal") from None
