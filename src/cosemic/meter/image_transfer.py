"""Image transfer of the simulated meter (class 18), which can lose blocks and power, and take its time."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.codec import axdr
from cosemic.codec.axdr import BitString, Data, Typed
from cosemic.cosem.image_transfer import IMAGE, ImageTransferStatus
from cosemic.enums import DataAccessResult, InterfaceClass
from cosemic.errors import DecodeError
from cosemic.meter.model import Access
from cosemic.meter.objects import CALL_MANAGER, Attribute, MeterObject, Method, Refusal, expect_integer, rights
from cosemic.obis import ObisCode

_READ = rights("-", "r", "r")
_S = ImageTransferStatus


class ImageStore:
    """Where images go. Initiating one with the identification and size of the one that is there keeps its blocks.

    ``block_size`` in octets. ``loses`` says of a block that arrives whether it is acknowledged but not kept.
    ``written_every`` is how many blocks are kept in memory before they are written, and lost with the power.
    ``verifying`` and ``activating`` are how many times "not yet" is said: 0 answers the method at once. ``accepts``
    judges a complete image, ``sign`` makes the signature that image_to_activate_info shows.
    """

    def __init__(
        self,
        *,
        block_size: int = 200,
        max_size: int = 1 << 24,
        loses: Callable[[int], bool] | None = None,
        written_every: int = 1,
        verifying: int = 0,
        activating: int = 0,
        accepts: Callable[[bytes], bool] | None = None,
        activates: bool = True,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.block_size = block_size
        self.max_size = max_size
        self.loses = loses
        self.written_every = written_every
        self.verifying = verifying
        self.activating = activating
        self.accepts = accepts
        self.activates = activates
        self.sign = sign
        self.enabled = True
        self.status = _S.NOT_INITIATED
        self.identification = b""
        self.size = 0
        self.active: bytes | None = None
        """The image that was activated last."""
        self.active_identification: bytes | None = None
        self.activations = 0
        self._blocks: dict[int, bytes] = {}
        self._unwritten: set[int] = set()
        self._waits = 0
        self._outcome = _S.NOT_INITIATED

    @property
    def count(self) -> int:
        """How many blocks the image has."""
        return -(-self.size // self.block_size)

    def image(self) -> bytes | None:
        """The image, None while blocks are missing."""
        if not self.size or len(self._blocks) < self.count:
            return None
        return b"".join(self._blocks[number] for number in range(self.count))

    def lose_power(self) -> None:
        """The meter restarts: what was not written is gone, verifying begins anew, an activation is done."""
        for number in self._unwritten:
            del self._blocks[number]
        self._unwritten.clear()
        self._waits = 0
        if self.status is _S.VERIFICATION_INITIATED:
            self.status = _S.INITIATED
        elif self.status is _S.ACTIVATION_INITIATED:
            self._conclude(self._outcome)

    def meter_object(self, obis: ObisCode = IMAGE) -> MeterObject:
        """The object that clients see; managers may transfer images."""
        return MeterObject(
            InterfaceClass.IMAGE_TRANSFER,
            obis,
            0,
            {
                2: Attribute(lambda access: axdr.double_long_unsigned(self.block_size), _READ),
                3: Attribute(lambda access: axdr.bit_string(self._bits()), _READ),
                4: Attribute(lambda access: axdr.double_long_unsigned(self._first_missing()), _READ),
                5: Attribute(lambda access: axdr.boolean(self.enabled), _READ),
                6: Attribute(self._read_status, _READ),
                7: Attribute(lambda access: self._info(), _READ),
            },
            {
                1: Method(self._initiate, CALL_MANAGER),
                2: Method(self._block, CALL_MANAGER),
                3: Method(self._verify, CALL_MANAGER),
                4: Method(self._activate, CALL_MANAGER),
            },
        )

    def _first_missing(self) -> int:
        return next((number for number in range(self.count) if number not in self._blocks), self.count)

    def _bits(self) -> BitString:
        return BitString("".join("1" if number in self._blocks else "0" for number in range(self.count)))

    def _read_status(self, access: Access) -> Typed:
        if self._waits:
            self._waits -= 1
            if not self._waits:
                self._conclude(self._outcome)
        return axdr.enum(self.status)

    def _info(self) -> Typed:
        image = self.image()
        if image is None or self.status in (_S.NOT_INITIATED, _S.INITIATED):
            return axdr.array()
        signature = b"" if self.sign is None else self.sign(image)
        return axdr.array(
            axdr.structure(
                axdr.double_long_unsigned(self.size),
                axdr.octet_string(self.identification),
                axdr.octet_string(signature),
            )
        )

    def _initiate(self, access: Access, parameters: Data | None) -> None:
        match _plain(parameters):
            case (bytes(identification), int(size)) if 0 < size <= self.max_size:
                pass
            case _:
                raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        if not self.enabled:
            raise Refusal(DataAccessResult.READ_WRITE_DENIED)
        if self.status in (_S.VERIFICATION_INITIATED, _S.ACTIVATION_INITIATED):
            raise Refusal(DataAccessResult.TEMPORARY_FAILURE)
        same = (identification, size) == (self.identification, self.size) and self.status is _S.INITIATED
        self.identification, self.size, self.status = identification, size, _S.INITIATED
        if not same:
            self._blocks.clear()
            self._unwritten.clear()

    def _block(self, access: Access, parameters: Data | None) -> None:
        match _plain(parameters):
            case (int(number), bytes(content)):
                pass
            case _:
                raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        if self.status is not _S.INITIATED or not 0 <= number < self.count:
            raise Refusal(DataAccessResult.OTHER_REASON)
        if len(content) != min(self.block_size, self.size - number * self.block_size):
            raise Refusal(DataAccessResult.OTHER_REASON)
        if self.loses is not None and self.loses(number):
            return
        self._blocks[number] = content
        self._unwritten.add(number)
        if len(self._unwritten) >= self.written_every or len(self._blocks) == self.count:
            self._unwritten.clear()

    def _verify(self, access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        image = self.image()
        if self.status is _S.VERIFICATION_INITIATED:
            raise Refusal(DataAccessResult.TEMPORARY_FAILURE)
        if image is None or self.status not in (_S.INITIATED, _S.VERIFICATION_SUCCESSFUL, _S.VERIFICATION_FAILED):
            raise Refusal(DataAccessResult.OTHER_REASON)
        good = self.accepts is None or self.accepts(image)
        self._work(self.verifying, _S.VERIFICATION_INITIATED, _S(3 if good else 4))

    def _activate(self, access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        if self.status is _S.ACTIVATION_INITIATED:
            raise Refusal(DataAccessResult.TEMPORARY_FAILURE)
        if self.status is not _S.VERIFICATION_SUCCESSFUL:
            raise Refusal(DataAccessResult.OTHER_REASON)
        self.activations += 1
        self._work(self.activating, _S.ACTIVATION_INITIATED, _S(6 if self.activates else 7))

    def _work(self, waits: int, meanwhile: ImageTransferStatus, outcome: ImageTransferStatus) -> None:
        self._outcome = outcome
        if waits:
            self.status, self._waits = meanwhile, waits
            raise Refusal(DataAccessResult.TEMPORARY_FAILURE)
        self._conclude(outcome)
        if outcome in (_S.VERIFICATION_FAILED, _S.ACTIVATION_FAILED):
            raise Refusal(DataAccessResult.OTHER_REASON)

    def _conclude(self, outcome: ImageTransferStatus) -> None:
        self.status, self._waits = outcome, 0
        if outcome is _S.ACTIVATION_SUCCESSFUL:
            self.active, self.active_identification = self.image(), self.identification


def _plain(parameters: Data | None) -> object:
    try:
        return None if parameters is None else parameters.value
    except DecodeError:
        raise Refusal(DataAccessResult.TYPE_UNMATCHED) from None
