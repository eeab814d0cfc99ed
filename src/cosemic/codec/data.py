"""``Data``: one encoded value as an APDU carries it, decoded when it is asked for."""

from __future__ import annotations

import struct
from collections.abc import Callable

from cosemic.codec.decoding import decode_prefix, decode_typed
from cosemic.codec.encoding import encode
from cosemic.codec.limits import DEFAULT_LIMITS, Limits
from cosemic.codec.scalars import SIZE, UNPACK
from cosemic.codec.typed import Typed, Value
from cosemic.errors import DecodeError

_UNSET: object = object()
_new = object.__new__


class Data:
    """One value of the type Data: its octets as received or to be sent, and its value.

    The constructor trusts its octets; ``decode`` and ``decode_prefix`` check them. Equal when the octets are equal.
    """

    __slots__ = ("_value", "octets")
    octets: bytes
    _value: object

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._value = _UNSET

    @classmethod
    def decode_prefix(cls, data: bytes, offset: int = 0, limits: Limits = DEFAULT_LIMITS) -> tuple[Data, int]:
        """The value that begins at ``offset``, checked to its end, and the offset after it."""
        if type(data) is not bytes:
            data = bytes(data)
        self = _new(cls)
        try:
            # The way of decode_prefix for numbers, which most answers are, without the call.
            tag = data[offset]
            unpack = UNPACK[tag]
            if unpack is not None and offset >= 0:
                end = offset + 1 + SIZE[tag]
                self._value = unpack(data, offset + 1)[0]
                self.octets = data[offset:end]
                return self, end
        except (IndexError, struct.error):
            pass
        self._value, end = decode_prefix(data, offset, limits=limits)
        self.octets = data[offset:end]
        return self, end

    @classmethod
    def decode(cls, data: bytes, limits: Limits = DEFAULT_LIMITS) -> Data:
        """The value of exactly these octets."""
        self, end = cls.decode_prefix(data, 0, limits)
        if end != len(data):
            raise DecodeError(f"{len(data) - end} octets after the value", offset=end)
        return self

    @classmethod
    def of(cls, value: Typed | Data | None) -> Data:
        """From a typed value; None is null-data; a Data stays as it is."""
        if isinstance(value, Typed):
            return cls(encode(value))
        if isinstance(value, Data):
            return value
        if value is None:
            return cls(b"\x00")
        raise TypeError(f"expected a typed value such as axdr.unsigned(1), not {value!r}")

    @property
    def value(self) -> Value:
        """The plain value."""
        if self._value is _UNSET:
            self._value, _ = decode_prefix(self.octets)
        return self._value  # type: ignore[return-value]

    @property
    def typed(self) -> Typed:
        """The value with its types."""
        return decode_typed(self.octets)

    def __bytes__(self) -> bytes:
        return self.octets

    def __eq__(self, other: object) -> bool:
        return self.octets == other.octets if isinstance(other, Data) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.octets)

    def __repr__(self) -> str:
        try:
            return f"Data({self.value!r})"
        except DecodeError:
            return f"Data(octets={self.octets!r})"


class PendingData(Data):
    """Octets that are to hold one value, looked at when it is asked for: a large buffer may be read in another way.

    ``check`` gives the Data that they are, or raises DecodeError.
    """

    __slots__ = ("_check",)

    def __init__(self, octets: bytes, check: Callable[[bytes], Data]) -> None:
        super().__init__(octets)
        self._check = check

    @property
    def value(self) -> Value:
        """The plain value; DecodeError where there is none."""
        if self._value is _UNSET:
            data = self._check(self.octets)
            self._value = data.value
            self.octets = data.octets
        return self._value  # type: ignore[return-value]

    @property
    def typed(self) -> Typed:
        """The value with its types."""
        return self._check(self.octets).typed
