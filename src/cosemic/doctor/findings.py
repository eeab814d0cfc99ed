"""What the doctor found out: one finding at a time, for people and for programs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Plain: TypeAlias = str | int | float | bool | None
"""What a fact of a finding may be; it goes into JSON as it stands."""


class Severity(enum.StrEnum):
    """How a finding is meant."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Code(enum.StrEnum):
    """What was found. The values are stable: programs may compare them."""

    # The way
    STARTED = "started"
    OPENED = "opened"
    CANNOT_OPEN = "cannot-open"
    CLOSED_AT_ONCE = "closed-at-once"
    TLS = "tls"
    NO_OCTET = "no-octet"
    NO_FRAME = "no-frame"
    ECHO = "echo"
    WRONG_SPEED = "wrong-speed"
    WRONG_PARITY = "wrong-parity"
    DAMAGED_FRAMES = "damaged-frames"
    OTHER_PROTOCOL = "other-protocol"
    PUSHES = "pushes"
    SIGN_ON = "sign-on"
    SPEED = "speed"
    # The link
    HDLC = "hdlc"
    WRAPPER = "wrapper"
    DISCONNECTED_MODE = "disconnected-mode"
    FRAME_REJECT = "frame-reject"
    # What the meter tells everybody
    PUBLIC_CLIENT = "public-client"
    NO_PUBLIC_CLIENT = "no-public-client"
    DEVICE_NAME = "device-name"
    ASSOCIATIONS = "associations"
    SECURITY_SETUP = "security-setup"
    COUNTER = "counter"
    # The login
    NO_LOGIN = "no-login"
    CHOICE = "choice"
    LOGGED_IN = "logged-in"
    LOGIN_REFUSED = "login-refused"
    WRONG_CLIENT = "wrong-client"
    WRONG_MECHANISM = "wrong-mechanism"
    WRONG_CONTEXT = "wrong-application-context"
    WRONG_PASSWORD = "wrong-password"
    WRONG_ENCRYPTION_KEY = "wrong-encryption-key"
    WRONG_AUTHENTICATION_KEY = "wrong-authentication-key"
    WRONG_KEY = "wrong-key"
    WRONG_SYSTEM_TITLE = "wrong-system-title"
    WRONG_SIGNING_KEY = "wrong-signing-key"
    WRONG_SUITE = "wrong-suite"
    COUNTER_TOO_LOW = "counter-too-low"
    KEYS_RIGHT = "keys-right"
    UNDECIDED = "undecided"
    # The examination itself
    BUDGET = "budget"
    CUT_SHORT = "cut-short"
    INTERNAL = "cannot-examine"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is known now. ``probe`` says by what, ``remedy`` what to do about it (empty: nothing).

    ``facts`` are for programs: addresses, numbers, titles. No finding holds a key, a password or what was deciphered.
    """

    probe: str
    code: Code
    severity: Severity
    text: str
    remedy: str = ""
    facts: Mapping[str, Plain] = field(default_factory=dict)

    @property
    def is_problem(self) -> bool:
        """Whether this keeps a client from reading the meter."""
        return self.severity is Severity.PROBLEM

    def to_dict(self) -> dict[str, object]:
        """Stable keys, for JSON."""
        return {
            "probe": self.probe,
            "code": self.code.value,
            "severity": self.severity.value,
            "text": self.text,
            "remedy": self.remedy or None,
            "facts": dict(self.facts),
        }


def good(probe: str, code: Code, text: str, **facts: Plain) -> Finding:
    """Something that is as it should be."""
    return Finding(probe, code, Severity.OK, text, "", facts)


def remark(probe: str, code: Code, text: str, remedy: str = "", **facts: Plain) -> Finding:
    """Something worth knowing."""
    return Finding(probe, code, Severity.NOTE, text, remedy, facts)


def problem(probe: str, code: Code, text: str, remedy: str, **facts: Plain) -> Finding:
    """Something that is in the way, and what to do about it."""
    return Finding(probe, code, Severity.PROBLEM, text, remedy, facts)
