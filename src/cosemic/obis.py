"""OBIS codes: six value groups A-F that name what an object is (IEC 62056-6-1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

_REDUCED: Final = re.compile(r"([0-9]{1,3})-([0-9]{1,3}):([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?:\*([0-9]{1,3}))?")
_DOTTED: Final = re.compile(r"([0-9]{1,3})" + r"\.([0-9]{1,3})" * 5)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{12}")
_CACHE_SIZE: Final = 4096


class ObisCode:
    """An immutable OBIS code; hashable, ordered by its octets.

    ``str()`` gives ``1-0:1.8.0*255``, ``dotted`` gives ``1.0.1.8.0.255``, ``bytes()`` the six octets.
    """

    __slots__ = ("octets",)
    octets: bytes

    ACTIVE_ENERGY_IMPORT_TOTAL: ClassVar[ObisCode]
    ACTIVE_ENERGY_EXPORT_TOTAL: ClassVar[ObisCode]
    ACTIVE_ENERGY_IMPORT_TARIFF_1: ClassVar[ObisCode]
    ACTIVE_ENERGY_IMPORT_TARIFF_2: ClassVar[ObisCode]
    ACTIVE_ENERGY_EXPORT_TARIFF_1: ClassVar[ObisCode]
    ACTIVE_ENERGY_EXPORT_TARIFF_2: ClassVar[ObisCode]
    REACTIVE_ENERGY_IMPORT_TOTAL: ClassVar[ObisCode]
    REACTIVE_ENERGY_EXPORT_TOTAL: ClassVar[ObisCode]
    APPARENT_ENERGY_IMPORT_TOTAL: ClassVar[ObisCode]
    APPARENT_ENERGY_EXPORT_TOTAL: ClassVar[ObisCode]
    ACTIVE_POWER_IMPORT: ClassVar[ObisCode]
    ACTIVE_POWER_EXPORT: ClassVar[ObisCode]
    REACTIVE_POWER_IMPORT: ClassVar[ObisCode]
    REACTIVE_POWER_EXPORT: ClassVar[ObisCode]
    APPARENT_POWER_IMPORT: ClassVar[ObisCode]
    MAXIMUM_DEMAND_IMPORT: ClassVar[ObisCode]
    MAXIMUM_DEMAND_EXPORT: ClassVar[ObisCode]
    POWER_FACTOR: ClassVar[ObisCode]
    FREQUENCY: ClassVar[ObisCode]
    VOLTAGE_L1: ClassVar[ObisCode]
    VOLTAGE_L2: ClassVar[ObisCode]
    VOLTAGE_L3: ClassVar[ObisCode]
    CURRENT_L1: ClassVar[ObisCode]
    CURRENT_L2: ClassVar[ObisCode]
    CURRENT_L3: ClassVar[ObisCode]
    CLOCK: ClassVar[ObisCode]
    LOGICAL_DEVICE_NAME: ClassVar[ObisCode]
    ASSOCIATION: ClassVar[ObisCode]
    SAP_ASSIGNMENT: ClassVar[ObisCode]
    SECURITY_SETUP: ClassVar[ObisCode]
    INVOCATION_COUNTER: ClassVar[ObisCode]
    LOAD_PROFILE: ClassVar[ObisCode]
    DAILY_PROFILE: ClassVar[ObisCode]
    BILLING_PROFILE: ClassVar[ObisCode]
    EVENT_LOG: ClassVar[ObisCode]
    EVENT_CODE: ClassVar[ObisCode]
    DISCONNECT_CONTROL: ClassVar[ObisCode]
    DEVICE_ID: ClassVar[ObisCode]
    FIRMWARE_VERSION: ClassVar[ObisCode]
    ERROR_REGISTER: ClassVar[ObisCode]
    ALARM_REGISTER: ClassVar[ObisCode]
    PUSH_SETUP: ClassVar[ObisCode]
    IMAGE_TRANSFER: ClassVar[ObisCode]

    def __init__(self, a: int, b: int, c: int, d: int, e: int, f: int = 255) -> None:
        try:
            octets = bytes((a, b, c, d, e, f))
        except (ValueError, TypeError):
            raise ValueError(f"an OBIS code has six numbers 0-255, not {(a, b, c, d, e, f)!r}") from None
        object.__setattr__(self, "octets", octets)

    @classmethod
    def from_bytes(cls, octets: bytes) -> ObisCode:
        """The code of a six-octet logical name."""
        if type(octets) is not bytes:
            octets = bytes(octets)
        code = _known.get(octets)
        if code is not None:
            return code
        if len(octets) != 6:
            raise ValueError(f"a logical name has six octets, not {len(octets)}: {octets.hex()!r}")
        code = object.__new__(cls)
        object.__setattr__(code, "octets", octets)
        if len(_known) < _CACHE_SIZE and cls is ObisCode:
            _known[octets] = code
        return code

    @classmethod
    def parse(cls, code: str | bytes | bytearray | ObisCode) -> ObisCode:
        """Read ``1-0:1.8.0*255``, ``1-0:1.8.0``, ``1.0.1.8.0.255``, ``0100010800FF`` or six octets; else ValueError."""
        if isinstance(code, ObisCode):
            return code
        if isinstance(code, bytes | bytearray):
            return cls.from_bytes(bytes(code))
        if isinstance(code, str):
            match = _REDUCED.fullmatch(code) or _DOTTED.fullmatch(code)
            if match:
                groups = [255 if group is None else int(group) for group in match.groups()]
                if max(groups) <= 255:
                    return cls.from_bytes(bytes(groups))
            elif _HEX.fullmatch(code):
                return cls.from_bytes(bytes.fromhex(code))
        raise ValueError(
            f"{code!r} is not an OBIS code; write it like 1-0:1.8.0*255, 1-0:1.8.0, 1.0.1.8.0.255 or 0100010800FF"
        )

    @property
    def a(self) -> int:
        """Medium."""
        return self.octets[0]

    @property
    def b(self) -> int:
        """Channel."""
        return self.octets[1]

    @property
    def c(self) -> int:
        """Quantity."""
        return self.octets[2]

    @property
    def d(self) -> int:
        """Processing."""
        return self.octets[3]

    @property
    def e(self) -> int:
        """Tariff, or a further classification."""
        return self.octets[4]

    @property
    def f(self) -> int:
        """Billing period; 255 is the current value."""
        return self.octets[5]

    @property
    def dotted(self) -> str:
        """``1.0.1.8.0.255``."""
        return ".".join(map(str, self.octets))

    def matches(self, pattern: Sequence[int | None] | str | bytes | ObisCode) -> bool:
        """Whether the code fits a pattern of six numbers, where None stands for any number."""
        groups = pattern if isinstance(pattern, list | tuple) else tuple(ObisCode.parse(pattern))  # type: ignore[arg-type]
        if len(groups) != 6:
            raise ValueError(f"a pattern of an OBIS code has six places, not {groups!r}")
        return all(want is None or want == have for want, have in zip(groups, self.octets, strict=True))

    def describe(self) -> str:
        """What the object measures or holds, in words, as far as its value groups tell."""
        from cosemic.obis_names import describe  # only here: the tables are not needed to work with codes

        return describe(self.octets)

    def __str__(self) -> str:
        a, b, c, d, e, f = self.octets
        return f"{a}-{b}:{c}.{d}.{e}*{f}"

    def __repr__(self) -> str:
        return f"ObisCode.parse({str(self)!r})"

    def __bytes__(self) -> bytes:
        return self.octets

    def __iter__(self) -> Iterator[int]:
        return iter(self.octets)

    def __hash__(self) -> int:
        return hash(self.octets)

    def __eq__(self, other: object) -> bool:
        return self.octets == other.octets if isinstance(other, ObisCode) else NotImplemented

    def __lt__(self, other: ObisCode) -> bool:
        return self.octets < other.octets if isinstance(other, ObisCode) else NotImplemented

    def __le__(self, other: ObisCode) -> bool:
        return self.octets <= other.octets if isinstance(other, ObisCode) else NotImplemented

    def __gt__(self, other: ObisCode) -> bool:
        return self.octets > other.octets if isinstance(other, ObisCode) else NotImplemented

    def __ge__(self, other: ObisCode) -> bool:
        return self.octets >= other.octets if isinstance(other, ObisCode) else NotImplemented

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an ObisCode cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an ObisCode cannot be changed")

    def __reduce__(self) -> tuple[object, tuple[bytes]]:
        return ObisCode.from_bytes, (self.octets,)

    def __copy__(self) -> ObisCode:
        return self

    def __deepcopy__(self, memo: object) -> ObisCode:
        return self


_known: dict[bytes, ObisCode] = {}
"""Codes seen before, so that each exists once; bounded, as a peer chooses what lies in it."""

for _name, _text in {
    "ACTIVE_ENERGY_IMPORT_TOTAL": "1-0:1.8.0",
    "ACTIVE_ENERGY_EXPORT_TOTAL": "1-0:2.8.0",
    "ACTIVE_ENERGY_IMPORT_TARIFF_1": "1-0:1.8.1",
    "ACTIVE_ENERGY_IMPORT_TARIFF_2": "1-0:1.8.2",
    "ACTIVE_ENERGY_EXPORT_TARIFF_1": "1-0:2.8.1",
    "ACTIVE_ENERGY_EXPORT_TARIFF_2": "1-0:2.8.2",
    "REACTIVE_ENERGY_IMPORT_TOTAL": "1-0:3.8.0",
    "REACTIVE_ENERGY_EXPORT_TOTAL": "1-0:4.8.0",
    "APPARENT_ENERGY_IMPORT_TOTAL": "1-0:9.8.0",
    "APPARENT_ENERGY_EXPORT_TOTAL": "1-0:10.8.0",
    "ACTIVE_POWER_IMPORT": "1-0:1.7.0",
    "ACTIVE_POWER_EXPORT": "1-0:2.7.0",
    "REACTIVE_POWER_IMPORT": "1-0:3.7.0",
    "REACTIVE_POWER_EXPORT": "1-0:4.7.0",
    "APPARENT_POWER_IMPORT": "1-0:9.7.0",
    "MAXIMUM_DEMAND_IMPORT": "1-0:1.6.0",
    "MAXIMUM_DEMAND_EXPORT": "1-0:2.6.0",
    "POWER_FACTOR": "1-0:13.7.0",
    "FREQUENCY": "1-0:14.7.0",
    "VOLTAGE_L1": "1-0:32.7.0",
    "VOLTAGE_L2": "1-0:52.7.0",
    "VOLTAGE_L3": "1-0:72.7.0",
    "CURRENT_L1": "1-0:31.7.0",
    "CURRENT_L2": "1-0:51.7.0",
    "CURRENT_L3": "1-0:71.7.0",
    "CLOCK": "0-0:1.0.0",
    "LOGICAL_DEVICE_NAME": "0-0:42.0.0",
    "ASSOCIATION": "0-0:40.0.0",
    "SAP_ASSIGNMENT": "0-0:41.0.0",
    "SECURITY_SETUP": "0-0:43.0.0",
    "INVOCATION_COUNTER": "0-0:43.1.0",
    "LOAD_PROFILE": "1-0:99.1.0",
    "DAILY_PROFILE": "1-0:99.2.0",
    "BILLING_PROFILE": "1-0:98.1.0",
    "EVENT_LOG": "0-0:99.98.0",
    "EVENT_CODE": "0-0:96.11.0",
    "DISCONNECT_CONTROL": "0-0:96.3.10",
    "DEVICE_ID": "0-0:96.1.0",
    "FIRMWARE_VERSION": "1-0:0.2.0",
    "ERROR_REGISTER": "0-0:97.97.0",
    "ALARM_REGISTER": "0-0:97.98.0",
    "PUSH_SETUP": "0-0:25.9.0",
    "IMAGE_TRANSFER": "0-0:44.0.0",
}.items():
    setattr(ObisCode, _name, ObisCode.parse(_text))
