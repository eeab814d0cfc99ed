"""Read, Write and InformationReport, annotated: services by short names (IEC 62056-5-3, 7.4)."""

from __future__ import annotations

from cosemic.explain.annotations import Cursor, Fault, Page, Sensitivity
from cosemic.explain.conversation import Conversation
from cosemic.explain.service import Service, range_words, walks_blocks
from cosemic.explain.values import take_length


def read_request(s: Service) -> None:
    s.conversation.ask(s.dialogue("read"), _variables(s))


@walks_blocks("read")
def _read_blocks(s: Service) -> None:
    """What the blocks of a long Read request hold: its variables."""
    s.conversation.ask(s.dialogue("read"), _variables(s))


def write_request(s: Service) -> None:
    blocks: list[tuple[bool, int]] = []
    items = _variables(s, blocks)
    if not blocks:
        s.conversation.ask(s.dialogue("write"), items)
    for number in range(s.count("values")):
        s.answers(items if len(items) > 1 else [], number, "for")
        octets = s.data(f"value [{number}]")
        if blocks and octets[:1] == b"\x09":
            last, block = blocks[0]
            chunk = octets[-_string_length(octets) :] if _string_length(octets) else b""
            whole = s.conversation.gather("write", chunk, last=last, first=block == 1)
            if whole is not None:
                s.whole(whole, "write")


@walks_blocks("write")
def _write_blocks(s: Service) -> None:
    """What the blocks of a long Write request hold: its variables and their values."""
    write_request(s)


def _string_length(octets: bytes) -> int:
    return take_length(Cursor(octets, Page(len(octets)), position=1))


def information_report(s: Service) -> None:
    if s.option("time"):
        s.octets("time", secret=Sensitivity.OPEN)
    items = _variables(s)
    for number in range(s.count("values")):
        s.answers(items if len(items) > 1 else [], number, "of")
        s.data(f"value [{number}]")


def _variables(s: Service, blocks: list[tuple[bool, int]] | None = None) -> list[str]:
    """The variables of a request; what each of them is, in words. ``blocks`` takes the blocks of a long Write."""
    items: list[str] = []
    names = {
        2: "variable name", 4: "parameterized access", 5: "block number access", 6: "read data block access",
        7: "write data block access",
    }  # fmt: skip
    for _ in range(s.count("variables")):
        choice = s.cursor.take(1, "access specification")[0]
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"access specification {choice} is unknown; {range_words(names)} exist")
        s.cursor.write("access specification", choice, names[choice])
        if choice in (2, 4):
            items.append(s.short_name())
            if choice == 4:
                s.cursor.number(1, "selector")
                s.data("parameter")
        elif choice == 5:
            items.append(f"block {s.cursor.number(2, 'block number')}")
        else:
            last = s.flag("last block")
            number = s.cursor.number(2, "block number")
            items.append(f"block {number}")
            if choice == 6:
                s.raw_block("read", last=last, first=number == 1)
            elif blocks is not None:
                blocks.append((last, number))
    return items


def read_response(s: Service) -> None:
    items = s.conversation.asked.get(s.dialogue("read"), [])
    for position in range(s.count("results")):
        s.answers(items, position)
        choice = s.cursor.take(1, "result")[0]
        names = {0: "data", 1: "data-access-error", 2: "data block", 3: "block number"}
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"choice {choice} is unknown; {range_words(names)} exist")
        s.cursor.write("result choice", choice, names[choice])
        if choice == 0:
            _value(s, f"value [{position}]")
        elif choice == 1:
            s.access_result()
        elif choice == 2:
            last = s.flag("last block")
            number = s.cursor.number(2, "block number")
            s.raw_block("read answer", last=last, first=number == 1)
        else:
            s.cursor.number(2, "block number")


def _value(s: Service, what: str) -> None:
    """A value that was read; an object list names the short names from then on."""
    learned = s.short_names.learn(s.data(what))
    if learned:
        s.cursor.head("object list", f"{learned} objects: short names are told by them from here on")


@walks_blocks("read answer")
def _read_answer_blocks(s: Service) -> None:
    """What the blocks of a long answer hold: a list of results, or, from some meters, the bare value."""
    octets = s.cursor.data[s.cursor.position : s.cursor.end]
    scratch = Service(Cursor(octets, Page(len(octets))), Conversation())
    try:
        _results(scratch)
        is_list = not scratch.cursor.left
    except Fault:
        is_list = False
    if is_list:
        _results(s)
    else:
        _value(s, "value")


def _results(s: Service) -> None:
    items = s.conversation.asked.get(s.dialogue("read"), [])
    for position in range(s.count("results")):
        s.answers(items, position)
        choice = s.cursor.take(1, "result")[0]
        if choice > 1:
            raise Fault(s.cursor.position - 1, "00 (data) or 01 (data-access-error) belongs here")
        s.cursor.write("result choice", choice, "data-access-error" if choice else "data")
        if choice:
            s.access_result()
        else:
            _value(s, f"value [{position}]")


def write_response(s: Service) -> None:
    items = s.conversation.asked.get(s.dialogue("write"), [])
    for position in range(s.count("results")):
        s.answers(items, position)
        choice = s.cursor.take(1, "result")[0]
        names = {0: "success", 1: "data-access-error", 2: "block number"}
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"choice {choice} is unknown; {range_words(names)} exist")
        s.cursor.write("result choice", choice, names[choice])
        s.said.append(names[choice])
        if choice == 1:
            s.access_result()
        elif choice == 2:
            s.cursor.number(2, "block number")
