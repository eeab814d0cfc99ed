"""The life of an image in a meter (class 18): sent block by block, verified, activated. Generators without I/O.

An ``ImageTransfer`` is a plan that outlives associations: after a cut, ``send()`` in a new one asks the meter what is
missing and goes on from there. Nothing here waits: ``verify()`` and ``activate()`` give the number of seconds after
which they want to be run again, 0 once they are done::

    transfer = ImageTransfer(image, "FW-2.1")
    client.run(transfer.send())
    while pause := client.run(transfer.verify()):
        time.sleep(pause)

Nothing is activated unless ``activate()`` is run; the meter may restart then, and the plan goes on in a new
association.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cosemic.codec import axdr
from cosemic.codec.axdr import BitString, Value
from cosemic.cosem.access import ItemResult, MeterCache, Obis, Procedure, call_method, get, get_list
from cosemic.cosem.octet_names import readable
from cosemic.enums import ActionResult, InterfaceClass, known
from cosemic.errors import ActionError, DecodeError, LocalProtocolError, ServiceError
from cosemic.obis import ObisCode

IMAGE: Final = ObisCode(0, 0, 44, 0, 0, 255)
"""The image transfer object of most meters."""
MAX_BLOCKS: Final = 1_000_000
"""More blocks than this are taken for a block size that went wrong."""

_CLASS = InterfaceClass.IMAGE_TRANSFER
_INITIATE, _TRANSFER, _VERIFY, _ACTIVATE = 1, 2, 3, 4


class ImageTransferStatus(enum.IntEnum):
    """image_transfer_status (attribute 6)."""

    NOT_INITIATED = 0
    INITIATED = 1
    VERIFICATION_INITIATED = 2
    VERIFICATION_SUCCESSFUL = 3
    VERIFICATION_FAILED = 4
    ACTIVATION_INITIATED = 5
    ACTIVATION_SUCCESSFUL = 6
    ACTIVATION_FAILED = 7

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


_BUSY = (ImageTransferStatus.VERIFICATION_INITIATED, ImageTransferStatus.ACTIVATION_INITIATED)
_AFTER_SENDING = (
    ImageTransferStatus.NOT_INITIATED,  # a meter that has forgotten everything with its restart
    ImageTransferStatus.VERIFICATION_SUCCESSFUL,
    ImageTransferStatus.ACTIVATION_INITIATED,
    ImageTransferStatus.ACTIVATION_SUCCESSFUL,
    ImageTransferStatus.ACTIVATION_FAILED,
)
_HELD = (ImageTransferStatus.INITIATED, ImageTransferStatus.VERIFICATION_SUCCESSFUL)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """One element of image_to_activate_info: what the meter would activate, as it has it."""

    size: int
    identification: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{readable(self.identification)}, {self.size} octets"


@dataclass(frozen=True, slots=True)
class ImageState:
    """An image transfer object as it was read; what the meter refused is None (``images``: empty)."""

    block_size: int | None
    transferred: BitString | None
    first_missing: int | None
    enabled: bool | None
    status: ImageTransferStatus | int
    images: tuple[ImageInfo, ...] = ()

    def missing(self, count: int) -> list[int]:
        """Which of ``count`` blocks the meter does not have, by its bits and by its first missing number."""
        first = self.first_missing
        if self.transferred is None:
            return list(range(min(0 if first is None else first, count), count))
        bits = str(self.transferred).ljust(count, "0")
        missing = [number for number in range(count) if bits[number] == "0"]
        if first is not None and first < count and bits[first] == "1":
            missing = sorted([*missing, first])
        return missing


def read_image_state(
    obis: Obis = IMAGE, *, with_list: bool = True, cache: MeterCache | None = None
) -> Procedure[ImageState]:
    """Read everything that the meter tells of images; DataAccessError when it refuses the status itself."""
    items = [(_CLASS, obis, number) for number in range(2, 8)]
    results = yield from get_list(items, with_list=with_list, cache=cache)
    found = {result.attribute: result for result in results}
    error = found[6].error
    if error is not None:
        raise error
    bits = found[3].value
    enabled = found[5].value
    return ImageState(
        _number(found[2]),
        bits if isinstance(bits, BitString) else None,
        _number(found[4]),
        enabled if isinstance(enabled, bool) else None,
        _status(found[6].value),
        () if found[7].error is not None else _images(found[7].value),
    )


@dataclass(slots=True, eq=False)
class ImageTransfer:
    """One image on its way into one meter. ``image`` and ``identification`` are what the maker of the meter gave.

    ``resume`` says that a transfer which is under way in the meter already is one of this very image; ``replace`` that
    one of another image is to be given up. Without either it is an error, before anything is changed. ``retries`` is
    how often a block is sent again that the meter refuses or loses, ``polls`` how often its progress with verifying or
    activating is looked at, every ``interval`` seconds. ``progress`` is called with the blocks that the meter has and
    the number of all.
    """

    image: bytes = field(repr=False)
    identification: bytes | str
    obis: ObisCode | str = IMAGE
    resume: bool = False
    replace: bool = False
    retries: int = 3
    polls: int = 120
    interval: float = 5.0
    progress: Callable[[int, int], object] | None = None
    cache: MeterCache | None = None
    with_list: bool = True
    status: ImageTransferStatus | int = ImageTransferStatus.NOT_INITIATED
    """What the meter said last."""
    info: ImageInfo | None = None
    """What the meter would activate, with its signature; known once verified, None where the meter does not tell."""
    verified: bool = False
    activated: bool = False
    _asked: bool = False
    _began: bool = False
    _block_size: int | None = None
    _distrusts: bool = False
    _verifications: int = 0
    _activations: int = 0
    _polls: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.identification, str):
            self.identification = self.identification.encode()
        if not 0 < len(self.image) < 1 << 32:
            raise ValueError(f"an image has 1 to {(1 << 32) - 1} octets, not {len(self.image)}")
        if not 0 < len(self.identification) <= 255:
            raise ValueError("an image needs the identification that its maker gave, of at most 255 octets")
        self.obis = ObisCode.parse(self.obis)

    # Sending

    def send(self) -> Procedure[ImageState]:
        """Initiate where necessary, and send every block that the meter does not have; what the object shows then.

        LocalProtocolError when the meter takes no images, or has another one; ServiceError when it goes on refusing or
        losing a block. After an error of the line run it again in a new association.
        """
        state = yield from self._read()
        if self._is_beyond_sending(state.status):
            return state
        if not self._is_under_way(state) or self._is_cut_otherwise(state):
            state = yield from self._initiate()
        self._began, self._block_size = True, state.block_size
        # After a failed verification nothing is believed: every block is sent once, whatever the meter claims to have.
        unsent = set(range(self._count(state))) if self._distrusts else set[int]()
        self._distrusts = False
        initiations = 0
        tries: dict[int, int] = {}
        while True:
            count = self._count(state)
            missing = sorted(unsent.union(state.missing(count)))
            self._report(count - len(missing), count)
            if not missing or state.status == ImageTransferStatus.VERIFICATION_SUCCESSFUL:
                return state
            for place, number in enumerate(missing):
                tries[number] = tries.get(number, 0) + 1
                if tries[number] > 1 + self.retries:
                    raise ServiceError(
                        f"the meter does not keep block {number} of {count}, sent {tries[number] - 1} times"
                    )
                try:
                    yield from self._block(number, state)
                except ActionError:
                    now = yield from self._read()
                    if now.status != ImageTransferStatus.INITIATED and initiations < self.retries:
                        initiations += 1
                        now = yield from self._initiate()
                        tries.clear()
                    elif tries[number] > self.retries:
                        raise
                    break
                unsent.discard(number)
                self._report(count - len(missing) + place + 1, count)
            state = yield from self._read()
            if state.block_size != self._block_size:
                raise ServiceError(
                    f"the meter changed its block size from {self._block_size} to {state.block_size} octets meanwhile"
                )

    def _is_beyond_sending(self, status: ImageTransferStatus | int) -> bool:
        """Whether this plan has the meter verifying or activating already, and only has to see how that ends."""
        if self._activations:
            return status in _AFTER_SENDING
        return status == ImageTransferStatus.VERIFICATION_INITIATED and (self.resume or self._verifications > 0)

    def _is_under_way(self, state: ImageState) -> bool:
        """Whether the meter has part of this image already; LocalProtocolError where it has another."""
        if state.enabled is False:
            raise LocalProtocolError("the meter takes no images now (image_transfer_enabled is false)")
        if state.status in _BUSY:
            raise LocalProtocolError(f"the meter is busy with an image ({state.status}): try again later")
        if state.status not in _HELD or self._distrusts or (self._asked and not self._began):
            return False
        named = [info.identification for info in state.images]
        # A verified image that nobody names could be any: only what this plan has sent is taken for it.
        resumes = self.resume and (bool(named) or state.status == ImageTransferStatus.INITIATED)
        if (self._began or resumes) and (not named or self.identification in named):
            return True
        if self.replace:
            return False
        other = f" {', '.join(map(readable, named))}" if named else ""
        raise LocalProtocolError(
            f"the meter has an image{other} already ({state.status}): resume if it is this one, or replace it"
        )

    def _is_cut_otherwise(self, state: ImageState) -> bool:
        """Whether the meter wants blocks of another size now than those that it has of us."""
        return state.status == ImageTransferStatus.INITIATED and self._block_size not in (None, state.block_size)

    def _initiate(self) -> Procedure[ImageState]:
        assert isinstance(self.identification, bytes)
        # Where the answer is lost nobody knows whose blocks the meter has, so that it is asked again. With the answer
        # they are ours, even those that it claims to have before one was sent.
        self._asked, self._began = True, False
        self.verified = False
        self._verifications = self._polls = 0
        parameters = axdr.structure(axdr.octet_string(self.identification), axdr.double_long_unsigned(len(self.image)))
        yield from call_method(_CLASS, self.obis, _INITIATE, parameters, cache=self.cache)
        self._began = True
        state = yield from self._read()
        self._block_size = state.block_size
        return state

    def _block(self, number: int, state: ImageState) -> Procedure[None]:
        size = state.block_size
        assert size is not None
        content = self.image[number * size : (number + 1) * size]
        parameters = axdr.structure(axdr.double_long_unsigned(number), axdr.octet_string(content))
        yield from call_method(_CLASS, self.obis, _TRANSFER, parameters, cache=self.cache)

    def _count(self, state: ImageState) -> int:
        size = state.block_size
        if size is None or size < 1:
            raise DecodeError(f"the meter gives no block size for images (attribute 2: {size})")
        count = -(-len(self.image) // size)
        if count > MAX_BLOCKS:
            raise DecodeError(f"the meter wants blocks of {size} octets, which makes {count} of them")
        return count

    def _report(self, done: int, count: int) -> None:
        if self.progress is not None:
            self.progress(done, count)

    # Verifying

    def verify(self) -> Procedure[float]:
        """Have the meter verify the image: 0 once it has, else the seconds after which to run this again.

        Afterwards identification and size of what the meter would activate are compared. ServiceError when the meter
        finds the image bad (``send()`` then sends all of it again), has another one, or never ends.
        """
        status = yield from self._read_status()
        if self._activations and status in _AFTER_SENDING:
            return 0.0
        if status in (ImageTransferStatus.INITIATED, ImageTransferStatus.VERIFICATION_FAILED):
            # A failure that was there before we asked is not ours; one that came after it is.
            if status == ImageTransferStatus.VERIFICATION_FAILED and self._verifications:
                self._bad()
            self._verifications += 1
            if self._verifications > 1 + self.retries:
                raise ServiceError(f"the meter does not verify the image, asked {self._verifications - 1} times")
            refusal = yield from self._ask(_VERIFY)
            status = yield from self._read_status()
            if status == ImageTransferStatus.VERIFICATION_FAILED:
                self._bad()
            if refusal is not None and status == ImageTransferStatus.INITIATED:
                raise refusal
        if status == ImageTransferStatus.VERIFICATION_SUCCESSFUL:
            yield from self._compare()
            self.verified, self._polls = True, 0
            return 0.0
        if status not in (ImageTransferStatus.INITIATED, ImageTransferStatus.VERIFICATION_INITIATED):
            raise LocalProtocolError(f"the meter has no image to verify (it says: {status}); send it first")
        return self._poll_again("verifying")

    def _bad(self) -> None:
        self._distrusts = True
        raise ServiceError("the meter finds the image bad (verification failed): check that it is made for this meter")

    def _compare(self) -> Procedure[None]:
        state = yield from self._read()
        ours = [
            info for info in state.images if (info.identification, info.size) == (self.identification, len(self.image))
        ]
        if state.images and not ours:
            raise ServiceError(
                f"the meter would activate {'; '.join(map(str, state.images))}, not "
                f"{ImageInfo(len(self.image), bytes(self._identification), b'')}: do not activate it"
            )
        if not state.images and not self._began:
            raise LocalProtocolError("the meter does not tell which image it has verified: send this one")
        self.info = ours[0] if ours else None

    # Activating

    def activate(self) -> Procedure[float]:
        """Have the meter activate the verified image: 0 once it has, else the seconds after which to run this again.

        The meter may restart and the line go down: run it again in a new association. LocalProtocolError for an image
        that this plan has not seen verified; ServiceError when the activation fails, or never ends.
        """
        if not self.verified:
            raise LocalProtocolError("an image is activated only after it was verified: run verify() first")
        status = yield from self._read_status()
        if status == ImageTransferStatus.VERIFICATION_SUCCESSFUL:
            if self._activations > self.retries:
                raise ServiceError(f"the meter does not activate the image, asked {self._activations} times")
            self._activations += 1
            refusal = yield from self._ask(_ACTIVATE)
            status = yield from self._read_status()
            if refusal is not None and status == ImageTransferStatus.VERIFICATION_SUCCESSFUL:
                raise refusal
        if status == ImageTransferStatus.ACTIVATION_FAILED:
            raise ServiceError("the meter could not activate the image (activation failed)")
        # Some meters have forgotten the whole transfer when they come back.
        gone = (ImageTransferStatus.ACTIVATION_SUCCESSFUL, ImageTransferStatus.NOT_INITIATED)
        if status in gone and self._activations:
            self.activated = True
            return 0.0
        if status not in (ImageTransferStatus.VERIFICATION_SUCCESSFUL, ImageTransferStatus.ACTIVATION_INITIATED):
            raise LocalProtocolError(f"the meter has no verified image to activate (it says: {status})")
        return self._poll_again("activating")

    # Steps

    @property
    def _identification(self) -> bytes:
        assert isinstance(self.identification, bytes)
        return self.identification

    def _ask(self, method: int) -> Procedure[ActionError | None]:
        """Start something that may take its time; a refusal other than "not yet" is given back."""
        try:
            yield from call_method(_CLASS, self.obis, method, axdr.integer(0), cache=self.cache)
        except ActionError as error:
            return None if error.result == ActionResult.TEMPORARY_FAILURE else error
        return None

    def _poll_again(self, doing: str) -> float:
        self._polls += 1
        if self._polls > self.polls:
            raise ServiceError(f"the meter is still {doing} after {self.polls * self.interval:g} s")
        return self.interval

    def _read(self) -> Procedure[ImageState]:
        state = yield from read_image_state(self.obis, with_list=self.with_list, cache=self.cache)
        self.status = state.status
        return state

    def _read_status(self) -> Procedure[ImageTransferStatus | int]:
        self.status = _status((yield from get(_CLASS, self.obis, 6, cache=self.cache)))
        return self.status


def _status(value: Value) -> ImageTransferStatus | int:
    if not isinstance(value, int):
        raise DecodeError(f"an image transfer status is a number, not {value!r:.80}")
    return known(ImageTransferStatus, value)


def _number(result: ItemResult) -> int | None:
    value = None if result.error is not None else result.value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _images(value: Value) -> tuple[ImageInfo, ...]:
    """The images of attribute 7; some meters give a single structure in place of an array of one."""
    images = []
    for element in value if isinstance(value, list) else [] if value is None else [value]:
        match element:
            case (int(size), bytes(identification), bytes(signature)):
                images.append(ImageInfo(size, identification, signature))
            case _:
                raise DecodeError(f"an image is told of as size, identification and signature, not as {element!r:.200}")
    return tuple(images)
