"""AES key wrap (RFC 3394): a key of 128 or 256 bits under the master key, as key transfer and wrapped-key carry it.

IEC 62056-5-3, 5.3.3 and IEC 62056-6-2, class 64, method key_transfer. The wrapped key has eight octets more than the
key; they are an integrity check, so a wrong master key or an altered octet is an AuthenticationError, never a wrong
key. The check is OpenSSL's, which compares in constant time.
"""

from __future__ import annotations

from collections.abc import Sequence

from cosemic.errors import AuthenticationError, SecurityError
from cosemic.security.suites import KEY_LENGTH

CHECK_LENGTH = 8
"""Octets that wrapping adds."""

_LENGTHS = frozenset(KEY_LENGTH.values())


def wrap_key(master_key: bytes, key: bytes) -> bytes:
    """The key, wrapped; ValueError where one of the two has no length of a suite or is all zero."""
    _check(master_key, "master key")
    _check(key, "key to be wrapped")
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap

    return aes_key_wrap(master_key, key)


def unwrap_key(master_key: bytes, wrapped: bytes) -> bytes:
    """The key in a wrapped one.

    AuthenticationError when its check fails: another master key, or altered octets. SecurityError for a length that no
    wrapped key has, and for a key that is all zero. ValueError for an impossible master key.
    """
    _check(master_key, "master key")
    if len(wrapped) - CHECK_LENGTH not in _LENGTHS:
        raise SecurityError(f"a wrapped key has 24 or 40 octets, not {len(wrapped)}")
    from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

    try:
        key = aes_key_unwrap(master_key, wrapped)
    except InvalidUnwrap:
        raise AuthenticationError(
            "the wrapped key fails its check: it was wrapped with another master key, or altered"
        ) from None
    if not any(key):
        raise SecurityError("a wrapped key that is all zero inside; it is no secret and was not taken")
    return key


def unwrap_by_any(master_keys: Sequence[bytes], wrapped: bytes) -> tuple[bytes, bytes]:
    """The key in a wrapped one, and which of the master keys it was wrapped with; the error is that of the first."""
    problem: AuthenticationError | None = None
    for master_key in master_keys:
        try:
            return unwrap_key(master_key, wrapped), master_key
        except AuthenticationError as error:
            problem = problem or error
    raise problem or AuthenticationError("there is no master key to unwrap a key with")


def _check(key: bytes, name: str) -> None:
    if len(key) not in _LENGTHS:
        raise ValueError(f"the {name} has 16 or 32 octets, not {len(key)}")
    if not any(key):
        raise ValueError(f"the {name} is all zero; it protects nothing")
