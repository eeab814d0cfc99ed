"""What an explanation learns on its way: keys, system titles, unfinished blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cosemic.enums import ApduTag

if TYPE_CHECKING:
    from cosemic.explain.short_names import ShortNames
    from cosemic.security.ec import SoftwareKey

MOST_OCTETS = 16 << 20
"""What blocks or segments may add up to before they are given up."""

_HEX_LENGTHS = (16, 32)
_MOST_REQUESTS = 64
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
    """What ``explain`` may open and check with; octets or hex. The keys never show in a repr.

    ``system_titles`` are tried in turn besides those that an AARQ or AARE of the same capture carries. ``kek`` opens
    wrapped keys; ``private_keys`` are key agreement keys of either side, ``public_keys`` those of signers and of the
    other side of an agreement: hexadecimal, PEM, or certificates in PEM, which are taken as they are.
    """

    encryption_key: bytes | str | None = field(default=None, repr=False)
    authentication_key: bytes | str | None = field(default=None, repr=False)
    system_titles: tuple[bytes | str, ...] = ()
    dedicated_key: bytes | str | None = field(default=None, repr=False)
    broadcast_key: bytes | str | None = field(default=None, repr=False)
    kek: bytes | str | None = field(default=None, repr=False)
    private_keys: tuple[bytes | str, ...] = field(default=(), repr=False)
    public_keys: tuple[bytes | str, ...] = ()
    agreement: tuple[SoftwareKey, ...] = field(init=False, default=(), repr=False)
    """The private keys, ready to use."""
    known_public: tuple[tuple[int, bytes], ...] = field(init=False, default=())
    """Suite and octets of each public key."""

    def __post_init__(self) -> None:
        for name in ("encryption_key", "authentication_key", "dedicated_key", "broadcast_key", "kek"):
            octets = _octets(getattr(self, name), name.replace("_", " "))
            if octets is not None and len(octets) not in _HEX_LENGTHS:
                raise ValueError(f"the {name.replace('_', ' ')} has {len(octets)} octets; 16 or 32 are possible")
            object.__setattr__(self, name, octets)
        titles = tuple(title for title in (_octets(t, "system title") for t in self.system_titles) if title is not None)
        for title in titles:
            if len(title) != 8:
                raise ValueError(f"the system title {title.hex()} has {len(title)} octets; 8 are needed")
        object.__setattr__(self, "system_titles", titles)
        if self.private_keys or self.public_keys:
            from cosemic.security.public_keys import load_private, load_public

            object.__setattr__(self, "agreement", tuple(load_private(key) for key in self.private_keys))
            object.__setattr__(self, "known_public", tuple(load_public(key) for key in self.public_keys))


@dataclass(slots=True)
class GeneralBlocks:
    """The blocks of one general block transfer; they may come twice, late, or not at all."""

    parts: dict[int, bytes] = field(default_factory=dict, repr=False)
    last: int | None = None
    octets: int = 0
    note: str = ""
    whole: bytes | None = field(default=None, repr=False)
    """The APDU, when the block that was just taken completed it."""

    def take(self, number: int, block: bytes, *, last: bool) -> None:
        """Take a block; ``whole`` and ``note`` say what came of it."""
        self.note, self.whole = "", None
        if number == 1 and self.parts.get(1) != block:
            self.parts, self.last, self.octets = {}, None, 0  # a new transfer
        if number in self.parts:
            self.note = "came before"
            return
        self.parts[number] = block
        self.octets += len(block)
        if self.octets > MOST_OCTETS:
            self.note, self.parts, self.last, self.octets = "too many octets; given up", {}, None, 0
            return
        if last:
            self.last = number
        if self.last is not None:
            missing = [n for n in range(1, self.last + 1) if n not in self.parts]
            if not missing:
                self.whole = b"".join(self.parts[n] for n in range(1, self.last + 1))
                self.parts, self.last, self.octets = {}, None, 0
            else:
                shown = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
                self.note = f"missing so far: block {shown}"


@dataclass(slots=True)
class Conversation:
    """State across the frames and APDUs of one capture."""

    keys: Keys = field(default_factory=Keys)
    client_title: bytes | None = None
    meter_title: bytes | None = None
    dedicated_key: bytes | None = field(default=None, repr=False)
    mechanism: int | None = None
    speaker: str = ""
    """Who sends what is explained now: addresses, ports or a direction; blocks of two speakers do not mix."""
    blocks: dict[str, bytearray] = field(default_factory=dict, repr=False)
    general_blocks: dict[str, GeneralBlocks] = field(default_factory=dict, repr=False)
    asked: dict[str, list[str]] = field(default_factory=dict, repr=False)
    """What the items of a request were, to name those of its answer by."""
    short_names: ShortNames | None = None
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

    def ask(self, key: str, items: list[str]) -> None:
        """Remember what a request asked for; the oldest of many is forgotten."""
        self.asked.pop(key, None)
        while len(self.asked) >= _MOST_REQUESTS:
            del self.asked[next(iter(self.asked))]
        self.asked[key] = items

    def is_amid_blocks(self) -> bool:
        """Whether the present speaker has begun a general block transfer and not ended it."""
        blocks = self.general_blocks.get(self.speaker)
        return blocks is not None and bool(blocks.parts)

    def gather_general(self, number: int, block: bytes, *, last: bool) -> GeneralBlocks:
        """Take one block of a general block transfer of the present speaker."""
        while len(self.general_blocks) >= _MOST_REQUESTS:
            del self.general_blocks[next(iter(self.general_blocks))]
        blocks = self.general_blocks.setdefault(self.speaker, GeneralBlocks())
        blocks.take(number, block, last=last)
        return blocks

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
