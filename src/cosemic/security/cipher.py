"""Seals and opens with AES-GCM (IEC 62056-5-3, 5.3; Green Book 9.2.7.2).

Imported when the first key is used, for it loads the package cryptography.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.modes import GCM

from cosemic.errors import AuthenticationError, DecodeError, KeyMissing
from cosemic.security.suites import AUTHENTICATED, ENCRYPTED, HEADER, HEADER_LENGTH, LAST_COUNTER, TAG_LENGTH, describe


class CipherKey:
    """One block cipher key with the authentication key that goes with it; seals and opens protected content.

    ``name`` tells in errors which key it is. The cipher objects are made once.
    """

    __slots__ = ("_aes", "_authentication_key", "_gcm", "_openers", "associated_data", "name")

    def __init__(self, key: bytes, authentication_key: bytes | None, name: str) -> None:
        self.name = name
        self._authentication_key = authentication_key
        self._gcm = AESGCM(key)
        self._aes = algorithms.AES128(key) if len(key) == 16 else algorithms.AES256(key)  # quicker than AES
        self._openers: list[tuple[bytearray, Cipher[GCM]]] = []
        self.associated_data: dict[int, bytes] = {}

    def __repr__(self) -> str:
        return f"<CipherKey {self.name}>"

    def with_authentication_key(self, key: bytes | None) -> CipherKey:
        """The same cipher key with that authentication key; itself where it has that one."""
        return self if key == self._authentication_key else CipherKey(bytes(self._aes.key), key, self.name)

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
        protection = control & 0x30
        if protection == 0x30:
            # The library's tag has 16 octets; the standard's is the first twelve of it.
            return header + self._gcm.encrypt(title + header[1:], information, associated)[:-4]
        vector = title + header[1:]
        if protection == AUTHENTICATED:
            return header + information + self._gcm.encrypt(vector, b"", associated + information)[:TAG_LENGTH]
        if protection == ENCRYPTED:
            return header + self._gcm.encrypt(vector, information, None)[:-16]
        return header + information

    def open(
        self,
        control: int,
        title: bytes,
        counter: int,
        content: bytes,
        header: bytes = b"",
        ahead: DecryptorsAhead | None = None,
    ) -> bytes:
        """The information in ``SC || IC || payload``; AuthenticationError when its tag does not hold.

        ``control`` and ``counter`` are those of the content, ``header`` is what the tag covers after ``SC || AK``.
        Content without the bit *authenticated* has no tag: it comes back unverified, and the policy has to decide.
        ``ahead`` is for a sender whose messages come one after the other.
        """
        vector = title + content[1:HEADER_LENGTH]
        if not control & AUTHENTICATED:
            payload = content[HEADER_LENGTH:]
            # GCM encrypts by exclusive-or with a key stream, so encrypting the ciphertext gives the plaintext.
            return self._gcm.encrypt(vector, payload, None)[:-16] if control & ENCRYPTED else payload
        if len(content) < _SHORTEST:
            raise DecodeError(
                f"{len(content)} octets are too short for SC, IC and the tag of {TAG_LENGTH} octets that SC announces"
            )
        associated = self.associated_data.get(control) or self.associated(control)
        if header:
            associated += header
        body = content[HEADER_LENGTH:-TAG_LENGTH]
        # The tag is checked by the library, although making it again and comparing would take half the time: what is
        # open here was never handed out unverified, not even by a mistake of ours.
        decryptor = None
        if not control & ENCRYPTED:
            associated += body
        elif ahead is not None and ahead.associated == associated and ahead.key is self:
            decryptor = ahead.ready.pop(vector, None)
        if decryptor is None:
            decryptor = self._decryptor(vector, counter, associated, ahead)
        try:
            information = decryptor.update(body) if control & ENCRYPTED else body
            decryptor.finalize_with_tag(content[-TAG_LENGTH:])
        except InvalidTag:
            raise AuthenticationError(
                "the tag does not verify: another key (encryption or authentication), another system title, or an "
                f"altered message ({describe(control, title, counter, self.name)})"
            ) from None
        if ahead is not None:
            ahead.last = counter
        return information

    def _decryptor(
        self, vector: bytes, counter: int, associated: bytes, ahead: DecryptorsAhead | None
    ) -> AEADDecryptionContext:
        """One that has taken the associated data already."""
        if not _IS_READ_LATE:
            decryptor = Cipher(self._aes, GCM(vector, None, TAG_LENGTH)).decryptor()
            decryptor.authenticate_additional_data(associated)
            return decryptor
        # Taken out of the list while it is used, so that threads cannot write into the same vector.
        try:
            opener = self._openers.pop()
        except IndexError:
            octets = bytearray(12)
            opener = octets, Cipher(self._aes, GCM(octets, None, TAG_LENGTH))
        octets, cipher = opener
        if ahead is not None:
            for following in ahead.following(self, counter, associated):
                octets[:] = vector[:-4] + following.to_bytes(4)
                decryptor = cipher.decryptor()
                decryptor.authenticate_additional_data(associated)
                ahead.ready[bytes(octets)] = decryptor
        octets[:] = vector
        decryptor = cipher.decryptor()
        decryptor.authenticate_additional_data(associated)
        self._openers.append(opener)
        return decryptor


class DecryptorsAhead:
    """Decryptors for the next messages of one sender, made several at a time while its counters rise by one.

    Making one is most of the work of opening a short message, and most of that is the processor's fetching of the
    library's code, which an exchange over a line has made it forget; several in a row take hardly longer than one. Each
    is for one vector, and used once. They take 1.3 KB each, so there are none before a sender has proved to go on.
    """

    __slots__ = ("_run", "associated", "key", "last", "ready")

    def __init__(self) -> None:
        self.associated = b""
        """What they have taken as associated data; for another they are of no use."""
        self.key: CipherKey | None = None
        """Whose they are; another key begins anew."""
        self.last = -1
        """The counter of the last message whose tag was found right."""
        self.ready: dict[bytes, AEADDecryptionContext] = {}
        """By vector: system title and counter."""
        self._run = 0

    def following(self, key: CipherKey, counter: int, associated: bytes) -> range:
        """For which counters one is to be made beside that for ``counter``, which was not made ahead."""
        self.ready.clear()
        is_next = key is self.key and associated == self.associated and counter == self.last + 1
        self._run = self._run + 1 if is_next else 0
        self.key, self.associated = key, associated
        size = min(max(self._run - _PATIENCE, 0), _MOST_AHEAD)
        return range(counter + 1, min(counter + size, LAST_COUNTER) + 1)


def _is_read_late() -> bool:
    """Whether a cipher reads its vector when a decryptor is made, and not before: up to now it does."""
    octets, key = bytearray(12), algorithms.AES128(bytes(16))
    cipher = Cipher(key, GCM(octets, None, TAG_LENGTH))
    octets[:] = bytes(range(12))
    return cipher.decryptor().update(bytes(16)) == Cipher(key, GCM(bytes(range(12)))).encryptor().update(bytes(16))


_IS_READ_LATE: Final = _is_read_late()
_SHORTEST: Final = HEADER_LENGTH + TAG_LENGTH
_PATIENCE: Final = 8
_MOST_AHEAD: Final = 7
