"""What cosemic accepts from peers that bend the standard.

Each tolerance has a name, is logged when it is used (logger ``cosemic.tolerance``) and can be switched off: every
decoder and session takes a ``tolerances`` set. ``DEFAULT`` is what a client uses, ``STRICT`` accepts nothing, ``ALL``
accepts everything that does not touch security. ``SERVER_COUNTER_RESTART`` and ``GMAC_COUNTER_SHARED`` concern counters
and are in none of the three: they must be asked for by name, for one peer. No tolerance touches the check of a tag or a
signature.
"""

from __future__ import annotations

import enum
import logging

logger = logging.getLogger("cosemic.tolerance")


class Tolerance(enum.Enum):
    """One deviation from the standard that a receiver can live with; the value says which."""

    TRAILING_OCTETS = "octets after a complete APDU: the first value is taken (Gurux C clock, Gurux Java range reads)"
    ACSE_LENGTH = "an outer ACSE length that disagrees with the octets that are there"
    ACSE_ORDER = "ACSE fields out of order"
    ACSE_MECHANISM_FORM = "a mechanism name or version field in a form of its own (tag 85, protocol-version in an AARE)"
    ACSE_RELEASE_CONTENT = "an RLRE whose content is damaged or was not asked for; the association is over anyway"
    CONFORMANCE_LENGTH = "a conformance block with another BER length"
    QUALITY_OF_SERVICE = "a quality-of-service parameter where the standard says none"
    VAA_NAME = "a VAA name other than 0x0007 with logical names, or other than 0xFA00 with short names"
    NEGOTIATION_SUPERSET = "conformance or a PDU size that exceeds what was proposed: the smaller holds"
    UNNEGOTIATED_SERVICE = "a service, or protection by another tag, that was not negotiated"
    UNPROTECTED_RELEASE = "a plain RLRE, or an exception-response, as the answer to a ciphered RLRQ"
    AARE_CONTEXT_NAME = "an application context name in the AARE that differs from the one in the AARQ"
    HDLC_UA_PARAMETERS = "HDLC parameters where none belong, or larger than proposed: the smaller holds"
    HDLC_RECEIVE_NUMBER = "an N(R) that acknowledges nothing, as in I-frames that always carry N(R) = 0"
    HDLC_MISSING_LLC = "an APDU without the LLC header"
    LOCAL_ECHO = "our own frames coming back from an optical head or an RS-485 adapter"
    SIGN_ON_PARITY = "octets of an IEC 62056-21 sign-on with their parity in bit 7, on a line that is set to 8N1"
    SIGN_ON_CONFIRMATION = "a meter that does not send the acknowledgement of a sign-on back"
    MBUS_LENGTH_OVERFLOW = "an M-Bus long frame of 256 octets or more whose length field holds the last 8 bits only"
    MBUS_ACCESS_POINTS = "a further segment of an M-Bus push under other access points than the first"
    TEXT_PARITY = "a P1 text with its parity in bit 7, from a 7E1 line that is set to 8N1"
    TEXT_LINE_ENDS = "a P1 text whose line ends were changed on the way; its check sum holds with those of the meter"
    TEXT_CHECKSUM_DIGITS = "a check sum of a P1 text without its zeros in front"
    ECDSA_CHALLENGE_LENGTH = "a challenge of 8 to 31 octets in HLS with ECDSA, which has 32 to 64 (Gurux Python)"
    INVOKE_ID = "an answer with another invoke id where only one request is open"
    DATE_TIME_TAG = "a notification whose date-time has the type tag of an octet-string (09 0C)"
    PUSH_BARE_DESCRIPTORS = "a push whose attribute descriptors have no type tags, which is no valid A-XDR"
    PUSH_SWAPPED_NAMES = "a push in which OBIS codes have length and type tag in the wrong order (06 09)"
    COUNTER_ERROR_WITHOUT_COUNTER = "an exception-response invocation-counter-error that does not name the counter"
    GMAC_COUNTER_SHARED = "an HLS-GMAC reply under the very counter of the APDU that carries it (one IV used twice)"
    SERVER_COUNTER_RESTART = "a meter whose invocation counter starts again in each association (replays pass)"


ALL: frozenset[Tolerance] = frozenset(Tolerance) - {Tolerance.SERVER_COUNTER_RESTART, Tolerance.GMAC_COUNTER_SHARED}
DEFAULT: frozenset[Tolerance] = ALL - {Tolerance.TRAILING_OCTETS, Tolerance.INVOKE_ID}
STRICT: frozenset[Tolerance] = frozenset()


def note(tolerance: Tolerance, detail: str) -> None:
    """Log that a tolerance was used; ``detail`` must not contain a secret."""
    logger.info("tolerated %s: %s", tolerance.name, detail)
