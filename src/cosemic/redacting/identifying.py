"""What tells whose meter it is: objects, attributes, texts. What stays has to be known; the rest is masked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cosemic.cosem.model import interface_class, may_be_secret
from cosemic.errors import DlmsError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

_SECRET_MEMBERS = frozenset(((15, "attribute", 7), (15, "method", 2), (12, "attribute", 7), (12, "method", 5)))
_SECURITY_SETUP = 64
_WORDS = frozenset(
    (
        "address", "addresses", "identification", "identifier", "id", "caller", "callers", "calling", "phone", "number",
        "destination", "host", "hostname", "mac", "ip", "apn", "imei", "imsi", "iccid", "cell", "user", "username",
        "name", "names", "message", "messages", "text", "server", "domain", "device", "devices", "customer", "title",
        "certificate", "certificates", "gateway", "dns", "prefix", "subnet", "mask", "sms", "location",
    )
)  # fmt: skip
_NOT_IDENTIFYING = frozenset(("logical_name", "script_logical_name", "active_mask"))
_NETWORK_CLASSES = frozenset((27, 28, 29, 40, 41, 42, 43, 44, 45, 46, 47, 48, 64, 72, 74, 76, 100, 101, 102, 151))
"""Modems, addresses, push destinations, security setups, M-Bus clients: their numbers are masked too."""
_NETWORK_GROUPS = frozenset((2, 25, 26, 27, 28, 29, 30, 31))
"""C of codes for modems, IP, PLC, ZigBee, wireless M-Bus."""

_LIST_VERSION = re.compile(rb"[A-Za-z]{2,10}_?V?[0-9]{3,4}")


@dataclass(frozen=True, slots=True)
class Member:
    """What a value belongs to, as far as the capture tells: class, object, attribute or method."""

    class_id: int | None = None
    obis: bytes | None = None
    number: int | None = None
    kind: str = "attribute"

    @property
    def is_secret(self) -> bool:
        """Whether the value is a key, a password or the like: nothing of it may stay."""
        if self.class_id is None or self.number is None:
            return False
        if (self.class_id, self.kind, self.number) in _SECRET_MEMBERS:
            return True
        if self.class_id == _SECURITY_SETUP:
            return self.kind == "method" or self.number >= 4
        return may_be_secret(self._name)

    @property
    def is_identifying(self) -> bool:
        """Whether even a number here may say whose meter it is, or where it is."""
        if self.obis is not None and identifies(self.obis):
            return True
        if self.class_id is None or self.number is None or self.number == 1:
            return False
        name = self._name
        if name in _NOT_IDENTIFYING or name.startswith("number_of"):
            return False
        return not _WORDS.isdisjoint(re.split(r"[^a-z0-9]+", name))

    @property
    def is_of_network(self) -> bool:
        """Whether its longer numbers are addresses, or ids of devices; the code tells where there is no class."""
        if self.class_id is None and self.obis is not None:
            return self.obis[0] == 0 and self.obis[2] in _NETWORK_GROUPS
        return self.class_id in _NETWORK_CLASSES

    @property
    def _name(self) -> str:
        declared = interface_class(self.class_id or 0)
        number = self.number or 0
        return declared.attribute_name(number) if self.kind == "attribute" else declared.method_name(number)


UNKNOWN = Member()
"""Nobody knows what the value is of: its request is not in the capture."""
PUSHED = Member(kind="push")
"""A value of a push, or a parameter: readings, unless something in it says otherwise."""


def identifies(obis: bytes) -> bool:
    """Whether the object of that code holds a number or text that belongs to one meter or customer."""
    _, _, c, d, _, _ = obis
    if c == 0 and d == 0:
        return True  # electricity, heat, gas, water ids
    if c == 42:
        return True  # logical device name
    return c == 96 and d in (1, 13)  # device ids, consumer messages


def names_tariff(obis: bytes) -> bool:
    """Whether the object names the tariff in force, which is the same for all customers of a kind."""
    return obis[2:4] == b"\x60\x0e"


def is_obis(octets: bytes) -> bool:
    """Whether six octets are a code of an object rather than, say, a MAC address."""
    if len(octets) != 6 or octets[0] > 15 or not (octets[5] == 255 or octets[5] <= 126):
        return False
    if octets[5] == 255:
        return True
    code = ObisCode.from_bytes(octets)
    return code.describe() not in ("", str(code))


def is_moment(octets: bytes) -> bool:
    """Whether twelve octets are a date-time."""
    if len(octets) != 12:
        return False
    try:
        CosemDateTime.from_bytes(octets)
    except (DlmsError, ValueError, ArithmeticError):
        return False
    year = int.from_bytes(octets[:2], "big")
    return 1970 <= year <= 2100 or year == 0xFFFF


def is_list_version(text: bytes) -> bool:
    """Whether a text names a version of a list (``KFM_001``, ``AIDON_V0001``): layouts are told by it."""
    return bool(_LIST_VERSION.fullmatch(text)) and (b"_" in text)
