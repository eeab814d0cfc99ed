"""The life of an image, against the simulated meter: every step, and what ends it."""

import contextlib
import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.apdu.services import ActionOutcome
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.image_transfer import ImageInfo, ImageState, ImageTransfer, ImageTransferStatus, read_image_state
from cosemic.enums import DataAccessResult
from cosemic.errors import ActionError, DataAccessError, DecodeError, DlmsError, LocalProtocolError, ServiceError
from cosemic.meter.demo import demo_meter
from cosemic.meter.image_transfer import ImageStore
from cosemic.protocol.requests import Action, ActionResults, GetResults
from tests.cosem.driving import ScriptedMeter, drive

IMAGE = bytes(range(256)) * 4 + b"end"
NAME = b"FW-2.1"
IMAGES = "0-0:44.0.0*255"


class World:
    def __init__(self, **options):
        self.store = ImageStore(block_size=100, **options)
        now = datetime(2025, 11, 22, tzinfo=UTC)
        self.meter = demo_meter(profile_rows=10, clock=lambda: now, images=self.store)
        self.calls = []

    def execute(self, request):
        if isinstance(request, Action):
            self.calls.append((request.items[0].method, request.parameters[0].value))
        return self.meter.execute((1, 1), request)

    def run(self, procedure):
        return drive(procedure, self.execute)

    def finish(self, procedure, pause=5.0):
        pauses = 0
        while waits := self.run(procedure()):
            assert waits == pause
            pauses += 1
        return pauses


def test_the_whole_life():
    world = World(sign=lambda image: hashlib.sha256(image).digest())
    seen = []
    transfer = ImageTransfer(IMAGE, "FW-2.1", progress=lambda done, count: seen.append((done, count)))
    state = world.run(transfer.send())
    assert state.missing(11) == []
    assert seen[0] == (0, 11)
    assert seen[-1] == (11, 11)
    assert world.calls[0] == (1, (NAME, 1027))
    assert [call[1][0] for call in world.calls[1:]] == list(range(11))
    assert world.calls[-1] == (2, (10, IMAGE[1000:]))  # the last block is short
    assert world.store.status is ImageTransferStatus.INITIATED
    assert world.finish(transfer.verify) == 0
    assert transfer.info == ImageInfo(1027, NAME, hashlib.sha256(IMAGE).digest())
    assert world.store.activations == 0
    assert world.finish(transfer.activate) == 0
    assert (transfer.activated, world.store.active) == (True, IMAGE)


def test_not_yet_is_polled_for():
    world = World(verifying=3, activating=2)
    transfer = ImageTransfer(IMAGE, NAME)
    world.run(transfer.send())
    assert world.finish(transfer.verify) == 2
    assert [call[0] for call in world.calls].count(3) == 1
    assert world.finish(transfer.activate) == 1
    assert [call[0] for call in world.calls].count(4) == 1
    assert world.store.active == IMAGE


def test_polling_has_an_end():
    world = World(verifying=1000)
    transfer = ImageTransfer(IMAGE, NAME, polls=4, interval=2.0)
    world.run(transfer.send())
    for _ in range(4):
        assert world.run(transfer.verify()) == 2.0
    with pytest.raises(ServiceError, match="still verifying after 8 s"):
        world.run(transfer.verify())


def test_lost_blocks_are_sent_again():
    lost = [2, 7, 7, 10]

    def loses(number):
        if number in lost:
            lost.remove(number)
            return True
        return False

    world = World(loses=loses)
    transfer = ImageTransfer(IMAGE, NAME)
    world.run(transfer.send())
    sent = [call[1][0] for call in world.calls[1:]]
    assert sent == [*range(11), 2, 7, 10, 7]
    assert world.store.image() == IMAGE


def test_a_block_that_never_stays_is_given_up():
    world = World(loses=lambda number: number == 5)
    with pytest.raises(ServiceError, match="does not keep block 5 of 11, sent 4 times"):
        world.run(ImageTransfer(IMAGE, NAME).send())


def test_a_refused_block_is_tried_again_and_then_given_up():
    world = World()
    world.meter.faults.force_method(18, IMAGES, 2, DataAccessResult.TEMPORARY_FAILURE, times=3)
    world.run(ImageTransfer(IMAGE, NAME).send())
    assert world.store.image() == IMAGE
    world = World()
    world.meter.faults.force_method(18, IMAGES, 2, DataAccessResult.HARDWARE_FAULT)
    with pytest.raises(ActionError, match=r"[Hh]ardware|HARDWARE"):
        world.run(ImageTransfer(IMAGE, NAME).send())


def test_a_meter_that_forgot_the_transfer_is_initiated_anew():
    world = World()
    forget = []

    def execute(request):
        if isinstance(request, Action) and request.items[0].method == 2 and len(forget) < 2:
            forget.append(1)
            world.store.status = ImageTransferStatus.NOT_INITIATED
        return world.execute(request)

    drive(ImageTransfer(IMAGE, NAME).send(), execute)
    assert world.store.image() == IMAGE
    assert [call[0] for call in world.calls].count(1) == 3


def test_resuming_in_another_process_sends_only_what_is_missing():
    world = World()
    first = ImageTransfer(IMAGE, NAME)
    steps = first.send()
    request = next(steps)
    while len(world.calls) < 6:
        request = steps.send(world.execute(request))
    world.calls.clear()
    with pytest.raises(LocalProtocolError, match=r"has an image already \(initiated\): resume"):
        world.run(ImageTransfer(IMAGE, NAME).send())
    assert world.calls == []
    world.run(ImageTransfer(IMAGE, NAME, resume=True).send())
    assert [call[1][0] for call in world.calls] == list(range(5, 11))
    assert world.store.image() == IMAGE


def test_another_image_is_left_alone_unless_told():
    world = World()
    other = ImageTransfer(b"other", b"FW-9")
    world.run(other.send())
    world.run(other.verify())
    for options in ({}, {"resume": True}):
        with pytest.raises(LocalProtocolError, match="has an image FW-9 already"):
            world.run(ImageTransfer(IMAGE, NAME, **options).send())
    world.run(ImageTransfer(IMAGE, NAME, replace=True).send())
    assert world.store.image() == IMAGE


def test_replacing_where_the_initiation_never_arrived():
    world = World()
    world.run(ImageTransfer(bytes(len(IMAGE)), b"FW-9").send())
    transfer = ImageTransfer(IMAGE, NAME, replace=True)
    steps = transfer.send()
    request = next(steps)
    assert steps.send(world.execute(request)).items[0].method == 1  # cut here
    steps.close()
    world.run(transfer.send())
    assert world.store.image() == IMAGE


def test_a_verified_image_is_not_sent_again():
    world = World()
    transfer = ImageTransfer(IMAGE, NAME)
    world.run(transfer.send())
    world.run(transfer.verify())
    world.calls.clear()
    again = ImageTransfer(IMAGE, NAME, resume=True)
    world.run(again.send())
    assert world.run(again.verify()) == 0
    assert world.calls == []


def test_a_verified_image_that_nobody_names_is_not_taken_for_ours():
    meter = ScriptedMeter({
        (18, IMAGES, 2): axdr.double_long_unsigned(100),
        (18, IMAGES, 4): axdr.double_long_unsigned(11),
        (18, IMAGES, 6): axdr.enum(3),
    })  # fmt: skip
    with pytest.raises(LocalProtocolError, match=r"has an image already \(verification successful\)"):
        drive(ImageTransfer(IMAGE, NAME, resume=True).send(), meter)
    with pytest.raises(LocalProtocolError, match="does not tell which image"):
        drive(ImageTransfer(IMAGE, NAME).verify(), meter)


def test_a_bad_image_is_said_and_sent_whole_again():
    verdicts = iter([False, True])
    world = World(accepts=lambda image: next(verdicts))
    transfer = ImageTransfer(IMAGE, NAME)
    world.run(transfer.send())
    with pytest.raises(ServiceError, match="finds the image bad"):
        world.run(transfer.verify())
    with pytest.raises(LocalProtocolError, match="only after it was verified"):
        world.run(transfer.activate())
    world.calls.clear()
    world.run(transfer.send())
    assert len(world.calls) == 12
    assert world.run(transfer.verify()) == 0


def test_a_failed_activation_is_said():
    world = World(activates=False)
    transfer = ImageTransfer(IMAGE, NAME)
    world.run(transfer.send())
    world.run(transfer.verify())
    with pytest.raises(ServiceError, match="activation failed"):
        world.run(transfer.activate())
    assert not transfer.activated


def test_what_would_be_activated_is_compared():
    world = World()
    transfer = ImageTransfer(IMAGE, NAME)
    world.run(transfer.send())
    world.store.identification = b"FW-3"
    with pytest.raises(ServiceError, match=r"would activate FW-3, 1027 octets, not FW-2\.1"):
        world.run(transfer.verify())
    with pytest.raises(LocalProtocolError):
        world.run(transfer.activate())


def test_a_meter_that_takes_none_or_is_busy():
    world = World()
    world.store.enabled = False
    with pytest.raises(LocalProtocolError, match="takes no images now"):
        world.run(ImageTransfer(IMAGE, NAME).send())
    world.store.enabled = True
    world.store.status = ImageTransferStatus.ACTIVATION_INITIATED
    with pytest.raises(LocalProtocolError, match=r"busy with an image \(activation initiated\)"):
        world.run(ImageTransfer(IMAGE, NAME, replace=True).send())
    world.store.status = ImageTransferStatus.NOT_INITIATED
    with pytest.raises(LocalProtocolError, match="send it first"):
        world.run(ImageTransfer(IMAGE, NAME).verify())
    assert world.calls == []


def test_a_client_without_rights_is_told_so():
    world = World()
    with pytest.raises(DataAccessError):
        drive(ImageTransfer(IMAGE, NAME).send(), lambda request: world.meter.execute((16, 1), request))


def test_another_block_size_in_another_association_begins_anew():
    world = World()
    transfer = ImageTransfer(IMAGE, NAME)
    steps = transfer.send()
    request = next(steps)
    while len(world.calls) < 6:
        request = steps.send(world.execute(request))
    world.store.block_size, world.store.identification = 64, b""  # it keeps no blocks of another size
    world.calls.clear()
    world.run(transfer.send())
    assert [call[0] for call in world.calls].count(1) == 1
    assert world.store.image() == IMAGE


def test_a_block_size_that_changes_meanwhile_is_an_error():
    world = World()
    transfer = ImageTransfer(IMAGE, NAME)

    def execute(request):
        world.store.block_size = 100 if len(world.calls) < 5 else 101
        return world.execute(request)

    with pytest.raises((ServiceError, ActionError)):
        drive(transfer.send(), execute)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_a_meter_answers_there_is_an_end(data):
    numbers = st.sampled_from([0, 1, 2, 3, 5, 40, 0xFFFFFFFF])
    answers = {
        2: numbers.map(axdr.double_long_unsigned) | st.just(DataAccessResult.READ_WRITE_DENIED),
        3: st.text("01", max_size=60).map(axdr.bit_string) | st.just(axdr.null_data()),
        4: numbers.map(axdr.double_long_unsigned) | st.just(DataAccessResult.READ_WRITE_DENIED),
        5: st.sampled_from([axdr.boolean(True), axdr.boolean(True), axdr.unsigned(3)]),
        6: st.integers(0, 8).map(axdr.enum),
        7: st.just(axdr.array()) | st.just(axdr.unsigned(1)),
    }
    steady = data.draw(st.fixed_dictionaries(answers))
    asked = 0

    def execute(request):
        nonlocal asked
        asked += 1
        assert asked < 3000
        if isinstance(request, Action):
            result = data.draw(st.sampled_from([0, 0, 0, 2, 250])) if asked < 60 else 0
            return ActionResults((ActionOutcome(result, None),))
        draw = asked < 60 and data.draw(st.booleans())
        values = [data.draw(answers[at.attribute]) if draw else steady[at.attribute] for at, _ in request.items]
        return GetResults(tuple(Data.of(value) if isinstance(value, axdr.Typed) else value for value in values))

    transfer = ImageTransfer(bytes(50), NAME, polls=5, resume=data.draw(st.booleans()))
    with contextlib.suppress(DlmsError):
        drive(transfer.send(), execute)
        for step in (transfer.verify, transfer.activate):
            while drive(step(), execute):
                pass
        assert transfer.activated


@pytest.mark.parametrize("size", [0, None])
def test_a_block_size_that_makes_no_sense(size):
    meter = ScriptedMeter({
        (18, IMAGES, 2): DataAccessResult.READ_WRITE_DENIED if size is None else axdr.double_long_unsigned(size),
        (18, IMAGES, 6): axdr.enum(1),
    })  # fmt: skip
    with pytest.raises(DecodeError, match="no block size"):
        drive(ImageTransfer(IMAGE, NAME, resume=True).send(), meter)


def test_what_is_missing_by_bits_and_by_number():
    def missing(bits, first, count=4):
        text = None if bits is None else axdr.BitString(bits)
        return ImageState(10, text, first, True, 1).missing(count)

    assert missing("0100", 0) == [0, 2, 3]
    assert missing("11", None) == [2, 3]  # bits only as far as blocks have come
    assert missing("11110000", 4) == []
    assert missing("1111", 2) == [2]  # they contradict each other: once more
    assert missing(None, 1) == [1, 2, 3]
    assert missing(None, None) == [0, 1, 2, 3]
    assert missing(None, 0xFFFFFFFF) == []


def test_images_are_told_of_in_an_array_or_alone():
    alone = axdr.structure(axdr.double_long_unsigned(5), axdr.octet_string(b"A"), axdr.octet_string(b""))
    for value, expected in ((alone, 1), (axdr.array(alone, alone), 2), (axdr.null_data(), 0), (axdr.array(), 0)):
        meter = ScriptedMeter({(18, IMAGES, 6): axdr.enum(9), (18, IMAGES, 7): value})
        state = drive(read_image_state(), meter)
        assert (len(state.images), state.status) == (expected, 9)
    with pytest.raises(DecodeError, match="size, identification and signature"):
        drive(
            read_image_state(),
            ScriptedMeter({(18, IMAGES, 6): axdr.enum(3), (18, IMAGES, 7): axdr.array(alone, axdr.unsigned(1))}),
        )


@pytest.mark.parametrize("image, name", [(b"", b"A"), (b"a", b""), (b"a", b"A" * 256)])
def test_what_is_no_image(image, name):
    with pytest.raises(ValueError, match="image"):
        ImageTransfer(image, name)
