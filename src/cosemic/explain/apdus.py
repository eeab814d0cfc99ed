"""Any APDU, annotated: which walk belongs to which tag."""

from __future__ import annotations

from cosemic.apdu.base import decode_apdu
from cosemic.enums import Conformance
from cosemic.errors import DlmsError
from cosemic.explain import acse, ciphering, general, services
from cosemic.explain.annotations import Cursor, Fault, Sensitivity
from cosemic.explain.conversation import Conversation
from cosemic.explain.service import Service
from cosemic.explain.values import NOT_AXDR, take_length
from cosemic.tolerances import ALL, STRICT

_BLOCK_TRANSFER = 0xE0
_TO_DEVICE, _FROM_DEVICE = 0xE6, 0xE7
_DEEPEST = 6


def walk_apdu(cursor: Cursor, conversation: Conversation) -> None:
    """Annotate one APDU. Octets that make no sense become a fault line; nothing is raised for them."""
    depth, layer = cursor.depth, cursor.layer
    start, first = cursor.position, len(cursor.page.lines)
    try:
        _dispatch(cursor, conversation)
        lines = cursor.page.lines[first:]
        is_prefixed = cursor.data[start] in (_TO_DEVICE, _FROM_DEVICE)  # what is behind was checked by itself
        if not is_prefixed and not any(line.error or line.meaning == NOT_AXDR for line in lines):
            _check(cursor, start)
    except Fault as fault:
        cursor.depth = depth + 1
        cursor.fail(fault)
    cursor.depth, cursor.layer = depth, layer


def knows(tag: int) -> bool:
    """Whether an APDU begins with this octet."""
    return tag in _TAGS


def _dispatch(cursor: Cursor, conversation: Conversation) -> None:
    tag = cursor.peek()
    if tag < 0:
        raise Fault(cursor.position, "an APDU belongs here, and there is nothing")
    if tag in acse.NAMES:
        cursor.layer = "acse"
        acse.walk_acse(cursor, conversation, lambda inner: _inside(inner, conversation))
        return
    cursor.layer = "xdlms"
    if tag in services.WALKS:
        _service(cursor, conversation, tag)
    elif tag in (0x01, 0x08):
        _initiate(cursor, conversation, tag)
    elif tag in ciphering.GLOBAL or tag in ciphering.DEDICATED or tag in ciphering.GENERAL:
        ciphering.walk_ciphered(cursor, conversation, walk_apdu)
    elif tag == 0xDD:
        general.walk_general_ciphering(cursor, conversation, walk_apdu)
    elif tag == 0xDF:
        if conversation.nesting >= _DEEPEST:
            raise Fault(cursor.position, "signed too many times over")
        conversation.nesting += 1
        try:
            general.walk_general_signing(cursor, conversation, walk_apdu)
        finally:
            conversation.nesting -= 1
    elif tag == _BLOCK_TRANSFER:
        _general_block_transfer(cursor, conversation)
    elif tag in (_TO_DEVICE, _FROM_DEVICE):
        _gateway(cursor, conversation)
    else:
        raise Fault(cursor.position, f"no APDU begins with 0x{tag:02X}")


def _check(cursor: Cursor, start: int) -> None:
    """Ask the decoder of the library too: it checks fields that the walk only shows."""
    octets = cursor.data[start : cursor.position]
    try:
        decode_apdu(octets, tolerances=STRICT)
    except DlmsError as strict:
        try:
            decode_apdu(octets, tolerances=ALL)
        except DlmsError as error:
            cursor.head("fault", error=" ".join(str(error).split()))
        else:
            cursor.head("note", f"bends the standard, and is accepted: {' '.join(str(strict).split())}")


def _inside(cursor: Cursor, conversation: Conversation) -> None:
    """The APDU in a user information field."""
    walk_apdu(cursor, conversation)
    if cursor.left:
        cursor.rest("octets after the APDU", error=f"{cursor.left} octets too many")


def _service(cursor: Cursor, conversation: Conversation, tag: int) -> None:
    name, walk = services.WALKS[tag]
    headline = cursor.head(name)
    cursor.depth += 1
    cursor.take(1, "the tag")
    cursor.write("tag", name)
    service = Service(cursor, conversation)
    try:
        walk(service)
    finally:
        if service.said:
            shown = ", ".join(service.said[:6]) + (", …" if len(service.said) > 6 else "")
            cursor.page.amend(headline, meaning=shown)
    cursor.depth -= 1


def _initiate(cursor: Cursor, conversation: Conversation, tag: int) -> None:
    name = "initiate-request" if tag == 0x01 else "initiate-response"
    headline = cursor.head(name)
    cursor.depth += 1
    cursor.take(1, "the tag")
    cursor.write("tag", name)
    service = Service(cursor, conversation)
    if tag == 0x01:
        if service.option("dedicated key"):
            conversation.dedicated_key = service.octets("dedicated key", secret=Sensitivity.SECRET)
        given = cursor.take(1, "response allowed")[0]
        allowed = cursor.take(1, "response allowed")[0] != 0 if given else True
        cursor.write("response allowed", allowed, "" if given else "the default")
    present = cursor.take(1, "quality of service")[0]
    quality = cursor.take(1, "quality of service")[0] if present else None
    cursor.write("quality of service", quality, "" if present else "absent")
    cursor.number(1, "DLMS version")
    block = _conformance(cursor)
    size = cursor.number(
        2, "client's maximum receive PDU size" if tag == 0x01 else "meter's maximum receive PDU size"
    )  # fmt: skip
    if tag == 0x08:
        vaa = cursor.take(2, "VAA name")
        cursor.write(
            "VAA name", vaa.hex(),
            {"0007": "logical names", "fa00": "short names"}.get(vaa.hex(), "neither 0007 nor FA00"),
        )  # fmt: skip
    cursor.page.amend(headline, meaning=f"PDU size {size}, conformance {block:06x}")
    cursor.depth -= 1


def _conformance(cursor: Cursor) -> int:
    head = cursor.take(2, "the conformance tag")
    if head[:1] != b"\x5f":
        raise Fault(cursor.mark, "the conformance block begins with 5F 1F 04 00")
    size = head[1] if head[1] != 0x1F else cursor.take(1, "the conformance length")[0]
    content = cursor.take(size, "the conformance block")
    block = int.from_bytes(content[-3:], "big")
    bits = [
        flag.name.lower().replace("_", "-") for flag in Conformance if flag.value and flag.value & block and flag.name
    ]
    cursor.write("conformance", f"{block:06x}", ", ".join(bits))
    return block


def _general_block_transfer(cursor: Cursor, conversation: Conversation) -> None:
    headline = cursor.head("general-block-transfer")
    cursor.depth += 1
    cursor.take(1, "the tag")
    cursor.write("tag", "general-block-transfer")
    control = cursor.take(1, "block control")[0]
    last, streaming, window = bool(control & 0x80), bool(control & 0x40), control & 0x3F
    cursor.write(
        "block control", None,
        f"{'last block' if last else 'more blocks follow'}, "
        f"{'streaming' if streaming else 'not streaming'}, window {window}",
    )  # fmt: skip
    number = cursor.number(2, "block number")
    acknowledged = cursor.number(2, "block number acknowledged")
    length = take_length(cursor)
    raw = cursor.take(length, "block data")
    cursor.write("block data", None, f"{length} octets", sensitivity=Sensitivity.SECRET)
    words = f"block {number}{', the last' if last else ''}, {length} octets, acknowledges {acknowledged}"
    if length or (last and conversation.is_amid_blocks()):  # else it only acknowledges
        blocks = conversation.gather_general(number, raw, last=last)
        words += f"; {blocks.note}" if blocks.note else ""
        if blocks.whole:
            _general_blocks(cursor, conversation, blocks.whole)
    cursor.page.amend(headline, meaning=words)
    cursor.depth -= 1


def _general_blocks(cursor: Cursor, conversation: Conversation, whole: bytes) -> None:
    """The APDU that the blocks of one side add up to; a buffer of its own."""
    if conversation.nesting >= _DEEPEST:
        raise Fault(cursor.position, "blocks in blocks, too many times over")
    conversation.nesting += 1
    inner = Cursor(whole, cursor.page, depth=cursor.depth + 1, layer="xdlms", buffer="blocks, put together")
    inner.head("blocks, put together", f"{len(whole)} octets")
    _inside(inner, conversation)
    conversation.nesting -= 1


def _gateway(cursor: Cursor, conversation: Conversation) -> None:
    """The prefix of a gateway (Green Book, annex on gateways), and the APDU behind it."""
    tag = cursor.take(1, "the prefix")[0]
    headline = cursor.head("gateway prefix", "to the device" if tag == _TO_DEVICE else "from the device")
    cursor.depth += 1
    cursor.write("prefix", f"{tag:02X}", "request to a device" if tag == _TO_DEVICE else "response of a device")
    network = cursor.number(1, "network id")
    length = cursor.take(1, "the length of the address")[0]
    address = cursor.take(length, "the physical device address")
    wrong = None if address else "a device address has at least one octet"
    text = address.decode("ascii") if address.isalnum() else ""
    cursor.write("device address", address.hex(), text, sensitivity=Sensitivity.IDENTITY, error=wrong)
    cursor.page.amend(
        headline, meaning=f"{'to' if tag == _TO_DEVICE else 'from'} a device in network {network}"
    )  # fmt: skip
    cursor.depth -= 1
    if conversation.nesting >= _DEEPEST:
        raise Fault(cursor.position, "prefixes before prefixes, too many times over")
    conversation.nesting += 1
    try:
        walk_apdu(cursor, conversation)
    finally:
        conversation.nesting -= 1


_TAGS = frozenset(
    {*services.WALKS, *acse.NAMES, *ciphering.GLOBAL, *ciphering.DEDICATED, *ciphering.GENERAL}
    | {0x01, 0x08, 0xDD, 0xDF, _BLOCK_TRANSFER, _TO_DEVICE, _FROM_DEVICE}
)
