"""Protected APDUs and general block transfer by their names; no cryptography here."""

from __future__ import annotations

from cosemic.apdu.ciphering import (
    DED_TAG,
    GENERAL_DED_CIPHERING,
    GENERAL_GLO_CIPHERING,
    GLO_TAG,
    PLAIN_TAG,
    CipheredApdu,
    GeneralDedCiphering,
    GeneralGloCiphering,
    SecurityHeader,
    unwrap_ciphered,
    wrap_ciphered,
    wrap_general,
)
from cosemic.apdu.general import (
    AgreedKey,
    GeneralBlockTransfer,
    GeneralCiphering,
    GeneralSigning,
    IdentifiedKey,
    KeyInfo,
    WrappedKey,
)

__all__ = [
    "DED_TAG",
    "GENERAL_DED_CIPHERING",
    "GENERAL_GLO_CIPHERING",
    "GLO_TAG",
    "PLAIN_TAG",
    "AgreedKey",
    "CipheredApdu",
    "GeneralBlockTransfer",
    "GeneralCiphering",
    "GeneralDedCiphering",
    "GeneralGloCiphering",
    "GeneralSigning",
    "IdentifiedKey",
    "KeyInfo",
    "SecurityHeader",
    "WrappedKey",
    "unwrap_ciphered",
    "wrap_ciphered",
    "wrap_general",
]
