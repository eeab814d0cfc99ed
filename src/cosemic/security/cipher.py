"""Seals and opens with AES-GCM (IEC 62056-5-3, 5.3; Green Book 9.2.7.2).

Imported when the first key is used, for it loads the package cryptography.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.modes import GCM

from cosemic.errors import AuthenticationError, DecodeError, KeyMissing
from cosemic.security.suites import AUTHENTICATED, ENCRYPTED, HEADER, TAG_LENGTH, describe


class CipherKey:
    """One block cipher key with the authentication key that goes with it; seals and opens protected content.

    ``name`` tells in errors which key it is. The cipher objects are made once.
    """

    __slots__ = ("_aes", "_associated", "_authentication_key", "_gcm", "name")

    def __init__(self, key: bytes, authentication_key: bytes | None, name: str) -> None:
        self.name = name
        self._authentication_key = authentication_key
        self._gcm = AESGCM(key)
        self._aes = algorithms.AES(key)
        self._associated: dict[int, bytes] = {}

    def __repr__(self) -> str:
        return f"<CipherKey {self.name}>"

    def associated(self, control: int) -> bytes:
        """``SC || AK``, the start of the additional authenticated data; KeyMissing without an authentication key."""
        data = self._associated.get(control)
        if data is None:
            if self._authentication_key is None:
                raise KeyMissing(f"authentication needs the authentication key beside the {self.name}; none was given")
            data = self._associated[control] = bytes([control]) + self._authentication_key
        return data

    def seal(self, control: int, title: bytes, counter: int, information: bytes) -> bytes:
        """Protect as the bits of ``control`` say: ``SC || IC || payload``. The caller never repeats a counter."""
        header = HEADER.pack(control, counter)
        vector = title + header[1:]
        protection = control & 0x30
        if protection == 0x30:
            # The library's tag has 16 octets; the standard's is the first twelve of it.
            return header + self._gcm.encrypt(vector, information, self.associated(control))[:-4]
        if protection == AUTHENTICATED:
            tag = self._gcm.encrypt(vector, b"", self.associated(control) + information)
            return header + information + tag[:TAG_LENGTH]
        if protection == ENCRYPTED:
            return header + self._gcm.encrypt(vector, information, None)[:-16]
        return header + information

    def open(self, control: int, title: bytes, counter: int, payload: bytes) -> bytes:
        """The information of a payload, its tag verified; AuthenticationError when the tag does not hold.

        Content without the bit *authenticated* has no tag: it comes back unverified, and the policy has to decide.
        """
        vector = title + counter.to_bytes(4, "big")
        if not control & AUTHENTICATED:
            # GCM encrypts by exclusive-or with a key stream, so encrypting the ciphertext gives the plaintext.
            return self._gcm.encrypt(vector, payload, None)[:-16] if control & ENCRYPTED else payload
        if len(payload) < TAG_LENGTH:
            raise DecodeError(f"{len(payload)} octets are too short for the tag of {TAG_LENGTH} that SC announces")
        data = self.associated(control)
        body = payload[:-TAG_LENGTH]
        opener = Cipher(self._aes, GCM(vector, payload[-TAG_LENGTH:], TAG_LENGTH)).decryptor()
        try:
            if control & ENCRYPTED:
                opener.authenticate_additional_data(data)
                information = opener.update(body)
            else:
                opener.authenticate_additional_data(data + body)
                information = body
            opener.finalize()
        except InvalidTag:
            raise AuthenticationError(
                "the tag does not verify: another key (encryption or authentication), another system title, or an "
                f"altered message ({describe(control, title, counter, self.name)})"
            ) from None
        return information
