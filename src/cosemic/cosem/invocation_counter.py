"""Where a meter shows the last invocation counter that it saw from us, and how it is read. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cosemic.cosem.access import Procedure, get
from cosemic.errors import AssociationRefused, DlmsError, LinkError, RemoteProtocolError, SecurityError, ServiceError
from cosemic.obis import ObisCode

INVOCATION_COUNTER: Final = ObisCode(0, 0, 43, 1, 0, 255)
PUBLIC_CLIENT: Final = 16


@dataclass(frozen=True, slots=True)
class CounterSource:
    """The object that shows the counter, and the client without security that may read it.

    By default 0-0:43.1.0*255, class 1, attribute 2, and the public client 16. Where a meter has a counter for each of
    its clients, E tells them apart (0-0:43.1.e*255).
    """

    obis: ObisCode | str = INVOCATION_COUNTER
    class_id: int = 1
    attribute: int = 2
    client_sap: int = PUBLIC_CLIENT

    def __post_init__(self) -> None:
        object.__setattr__(self, "obis", ObisCode.parse(self.obis))

    def __str__(self) -> str:
        return f"{self.obis} (class {self.class_id}, attribute {self.attribute}, client {self.client_sap})"


def read_invocation_counter(source: CounterSource) -> Procedure[int]:
    """The counter that the meter shows; SecurityError when it is none."""
    value = yield from get(source.class_id, source.obis, source.attribute)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0xFFFF_FFFF:
        raise SecurityError(f"{source} holds no invocation counter but a {type(value).__name__}; name another object")
    return value


def not_read(source: CounterSource, error: DlmsError) -> DlmsError:
    """What it means that the counter could not be read; errors of the line stay what they are."""
    if isinstance(error, LinkError) or not isinstance(error, (ServiceError, AssociationRefused, RemoteProtocolError)):
        return error
    return SecurityError(
        f"the invocation counter could not be read from {source}: {error}; name another object or client "
        "(counter_source), or use another counter_recovery"
    )
