"""What a client's exchange is: a generator that yields APDUs and is sent the answers, and the terms it keeps to."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, TypeAlias

from cosemic.apdu.base import Apdu
from cosemic.enums import Conformance
from cosemic.errors import LocalProtocolError
from cosemic.protocol.requests import Result
from cosemic.protocol.short_naming import ShortNames
from cosemic.security.suites import SecurityPolicy
from cosemic.tolerances import Tolerance


@dataclass(frozen=True, slots=True)
class Demands:
    """Protection that one request, and its response, need besides what the policy of the association asks for."""

    request: SecurityPolicy = SecurityPolicy.NONE
    response: SecurityPolicy = SecurityPolicy.NONE


NO_DEMANDS: Final = Demands()

Exchange: TypeAlias = Generator[Apdu, Apdu, Result]


@dataclass(slots=True)
class Terms:
    """What an exchange has to keep to."""

    invoke: Callable[[], int]
    """The next invoke-id-and-priority octet."""
    room: int
    """The longest APDU before protection."""
    conformance: int
    """The negotiated conformance; a plain number, for speed."""
    max_octets: int
    tolerances: frozenset[Tolerance]
    long_invoke: Callable[[], int]
    """The next long invoke id."""
    high_priority: bool = True
    confirmed: bool = True
    room_in_blocks: int = 0
    """The longest APDU before protection that general blocks carry; 0 where they were not agreed on."""
    short_names: ShortNames | None = None
    """The table of short names in an association that uses them."""

    def require(self, bit: Conformance, what: str) -> None:
        """Refuse what was not negotiated, naming the conformance bit."""
        if not self.conformance & bit:
            name = (bit.name or str(bit)).lower().replace("_", "-")
            raise LocalProtocolError(f"{what}: the meter did not agree to '{name}' when the association was opened")
