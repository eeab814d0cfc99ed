"""Passes 3 and 4 of HLS as a server sees them: by ACTION, or by Read with short names (IEC 62056-5-3, 5.3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from cosemic.apdu.base import Apdu
from cosemic.apdu.services import ActionRequestNormal, ActionResponseNormal, ReadResponse
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, DataAccessResult, InterfaceClass
from cosemic.protocol import short_name_serving
from cosemic.protocol.settings import LOGICAL_NAME_ASSOCIATION, ServerSettings


@dataclass(frozen=True, slots=True)
class Passes:
    """Pass 3 that came, and how pass 4 is written. ``octet`` None: with short names."""

    proof: bytes
    octet: int | None

    @classmethod
    def of(cls, apdu: Apdu, settings: ServerSettings) -> Passes | None:
        """Read pass 3; None for an APDU that is something else."""
        if settings.short_names is not None:
            proof = short_name_serving.proof(apdu)
            return None if proof is None else cls(_octets(proof), None)
        if (
            not isinstance(apdu, ActionRequestNormal)
            or apdu.method.class_id != InterfaceClass.ASSOCIATION_LN
            or apdu.method.instance not in (settings.association_object, LOGICAL_NAME_ASSOCIATION)
            or apdu.method.method != 1
        ):
            return None
        return cls(_octets(apdu.parameters), apdu.invoke_id_and_priority)

    def answer(self, proof: Data) -> Apdu:
        """Pass 4."""
        if self.octet is None:
            return ReadResponse((proof,))
        return ActionResponseNormal(self.octet, ActionResult.SUCCESS, proof)

    def refusal(self) -> Apdu:
        """The answer to a wrong pass 3."""
        if self.octet is None:
            return ReadResponse((DataAccessResult.OTHER_REASON,))
        return ActionResponseNormal(self.octet, ActionResult.OTHER_REASON, None)


def _octets(proof: Data | None) -> bytes:
    value = None if proof is None else proof.value
    return value if isinstance(value, bytes) else b""
