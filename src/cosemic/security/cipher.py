"""Seals and opens with AES-GCM (IEC 62056-5-3, 5.3; Green Book 9.2.7.2).

Imported when the first key is used, for it loads the package cryptography.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.modes import GCM

from cosemic.errors import AuthenticationError, DecodeError, KeyMissing
from cosemic.security.suites import AUTHENTICATED, ENCRYPTED, HEADER, HEADER_LENGTH, TAG_LENGTH, describe


class CipherKey:
    """One block cipher key with the authentication key that goes with it; seals and opens protected content.

    ``name`` tells in errors which key it is. The cipher objects are made once.
    """

    __slots__ = ("_aes", "_authentication_key", "_gcm", "associated_data", "name")

    def __init__(self, key: bytes, authentication_key: bytes | None, name: str) -> None:
        self.name = name
        self._authentication_key = authentication_key
        self._gcm = AESGCM(key)
        self._aes = algorithms.AES(key)
        self.associated_data: dict[int, bytes] = {}

    def __repr__(self) -> str:
        return f"<CipherKey {self.name}>"

    def associated(self, control: int) -> bytes:
        """``SC || AK``, the start of the additional authenticated data; KeyMissing without an authentication key."""
        data = self.associated_data.get(control)
        if data is None:
            data = bytes([control])
            if control & AUTHENTICATED:
                if self._authentication_key is None:
                    raise KeyMissing(
                        f"authentication needs the authentication key beside the {self.name}; none was given"
                    )
                data += self._authentication_key
            self.associated_data[control] = data
        return data

    def seal(self, control: int, title: bytes, counter: int, information: bytes, associated: bytes) -> bytes:
        """Protect as the bits of ``control`` say: ``SC || IC || payload``. The caller never repeats a counter."""
        header = HEADER.pack(control, counter)
        vector = title + header[1:]
        protection = control & 0x30
        if protection == 0x30:
            # The library's tag has 16 octets; the standard's is the first twelve of it.
            return header + self._gcm.encrypt(vector, information, associated)[:-4]
        if protection == AUTHENTICATED:
            return header + information + self._gcm.encrypt(vector, b"", associated + information)[:TAG_LENGTH]
        if protection == ENCRYPTED:
            return header + self._gcm.encrypt(vector, information, None)[:-16]
        return header + information

    def open(self, control: int, title: bytes, counter: int, content: bytes, header: bytes = b"") -> bytes:
        """The information in ``SC || IC || payload``; AuthenticationError when its tag does not hold.

        ``control`` and ``counter`` are those of the content, ``header`` is what the tag covers after ``SC || AK``.
        Content without the bit *authenticated* has no tag: it comes back unverified, and the policy has to decide.
        """
        vector = title + content[1:HEADER_LENGTH]
        if not control & AUTHENTICATED:
            payload = content[HEADER_LENGTH:]
            # GCM encrypts by exclusive-or with a key stream, so encrypting the ciphertext gives the plaintext.
            return self._gcm.encrypt(vector, payload, None)[:-16] if control & ENCRYPTED else payload
        if len(content) < HEADER_LENGTH + TAG_LENGTH:
            raise DecodeError(
                f"{len(content)} octets are too short for SC, IC and the tag of {TAG_LENGTH} octets that SC announces"
            )
        associated = self.associated_data.get(control) or self.associated(control)
        if header:
            associated += header
        body = content[HEADER_LENGTH:-TAG_LENGTH]
        # The tag is checked by the library, although making it again and comparing would take half the time: what is
        # open here was never handed out unverified, not even by a mistake of ours.
        opener = Cipher(self._aes, GCM(vector, content[-TAG_LENGTH:], TAG_LENGTH)).decryptor()
        try:
            if control & ENCRYPTED:
                opener.authenticate_additional_data(associated)
                information = opener.update(body)
            else:
                opener.authenticate_additional_data(associated + body)
                information = body
            opener.finalize()
        except InvalidTag:
            raise AuthenticationError(
                "the tag does not verify: another key (encryption or authentication), another system title, or an "
                f"altered message ({describe(control, title, counter, self.name)})"
            ) from None
        return information
