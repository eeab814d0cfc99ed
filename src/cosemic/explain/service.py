"""One service APDU under annotation: the pieces that its fields are made of."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.cosem.model import Meaning, class_name, in_words, interface_class
from cosemic.enums import (
    AccessSelector,
    ActionResult,
    DataAccessResult,
    known,
)
from cosemic.explain.acse import words
from cosemic.explain.annotations import Cursor, Fault, Sensitivity
from cosemic.explain.conversation import Conversation
from cosemic.explain.short_names import ShortNames
from cosemic.explain.values import obis_meaning, take_length, walk_value

_DEEPEST = 6


class Service:
    """One APDU on its way through a walk: the cursor, the conversation, and words for the heading."""

    __slots__ = ("conversation", "cursor", "said", "secret")

    def __init__(self, cursor: Cursor, conversation: Conversation) -> None:
        self.cursor = cursor
        self.conversation = conversation
        self.said: list[str] = []
        self.secret = Sensitivity.OPEN

    # -- pieces -------------------------------------------------------------------------------------------------------
    def dialogue(self, service: str) -> str:
        """Under which name a request of this dialogue is remembered: both directions give the same."""
        return f"{service} {' '.join(sorted(self.conversation.speaker.split()))}"

    def invoke(self) -> None:
        octet = self.cursor.take(1, "invoke-id-and-priority")[0]
        self.cursor.write(
            "invoke-id-and-priority", octet & 0x0F,
            f"invoke id {octet & 0x0F}, {'confirmed' if octet & 0x40 else 'unconfirmed'}, "
            f"{'high' if octet & 0x80 else 'normal'} priority",
        )  # fmt: skip

    def long_invoke(self) -> int:
        number = int.from_bytes(self.cursor.take(4, "long-invoke-id-and-priority"), "big")
        words_ = [
            f"invoke id {number & 0xFFFFFF}",
            "self-descriptive" if number >> 28 & 1 else "not self-descriptive",
            "break on error" if number >> 29 & 1 else "continue on error",
            "confirmed" if number >> 30 & 1 else "unconfirmed",
            f"{'high' if number >> 31 else 'normal'} priority",
        ]
        self.cursor.write("long-invoke-id-and-priority", number & 0xFFFFFF, ", ".join(words_))
        return number & 0xFFFFFF

    def choice(self, names: dict[int, str]) -> int:
        """The sub-type of an APDU."""
        number = self.cursor.take(1, "the choice")[0]
        if number not in names:
            raise Fault(self.cursor.position - 1, f"choice {number} is unknown; {range_words(names)} exist")
        self.cursor.write("choice", number, names[number])
        self.said.append(names[number])
        return number

    def option(self, what: str) -> bool:
        """Whether an optional element follows."""
        present = self.cursor.take(1, what)[0] != 0
        self.cursor.write(what, None, "present" if present else "absent")
        return present

    def count(self, what: str) -> int:
        count = take_length(self.cursor)
        if count > self.cursor.left:
            raise Fault(self.cursor.mark, f"{count} {what} announced, {self.cursor.left} octets are left")
        self.cursor.write(f"number of {what}", count)
        return count

    def descriptor(self, what: str = "attribute") -> Meaning | None:
        """class id, instance, attribute or method; what a value of the attribute, or the parameter, stands for."""
        cursor = self.cursor
        class_id = int.from_bytes(cursor.take(2, "class id"), "big")
        cursor.write("class id", class_id, class_name(class_id))
        instance = cursor.take(6, "instance id")
        text = obis_meaning(instance)
        cursor.write("instance id", ".".join(map(str, instance)), text)
        member = int.from_bytes(cursor.take(1, what), "big", signed=True)
        declared = interface_class(class_id)
        name = declared.attribute_name(member) if what == "attribute" else declared.method_name(member)
        cursor.write(what, member, "" if name == f"{what} {member}" else name)
        self.said.append(f"{class_name(class_id)} {text.partition(' ')[0]} {what} {member}")
        if (class_id, what, member) in _SECRET_MEMBERS:
            self.secret = Sensitivity.SECRET
        if what == "attribute":
            return next((item.meaning for item in declared.attributes if item.number == member), None)
        return next(
            (item.parameter.meaning for item in declared.methods if item.number == member and item.parameter), None
        )

    def access(self) -> None:
        """The optional selective access of an attribute."""
        if self.option("access selection"):
            selector = self.cursor.take(1, "access selector")[0]
            self.cursor.write("access selector", selector, words(known(AccessSelector, selector)))
            self.data("access parameters")

    def data(self, what: str = "value", meaning: Meaning | None = None) -> bytes:
        """One value; its octets. A number that has a name by ``meaning`` is told by it."""
        start = self.cursor.position
        lines = self.cursor.page.lines
        index = len(lines)
        walk_value(self.cursor, what, sensitivity=self.secret)
        if meaning is not None and len(lines) == index + 1:
            text = in_words(meaning, lines[index].value)
            if text is not None:
                self.cursor.page.amend(index, meaning=text)
        return self.cursor.data[start : self.cursor.position]

    def answers(self, items: list[str], position: int, word: str = "answers") -> None:
        """Say which item of the request this belongs to, where the request was in the capture."""
        if position < len(items):
            self.cursor.head(word, items[position])

    def short_name(self) -> str:
        """A short name, in words where the object list was in the capture."""
        name = int.from_bytes(self.cursor.take(2, "short name"), "big")
        text = self.short_names.describe(name)
        shown = f"0x{name:04X}"
        self.cursor.write(
            "short name", name - (name >> 15 << 16), f"{shown}, {text}" if text else shown
        )  # fmt: skip
        words_ = f"{shown} {text}" if text else shown
        self.said.append(words_)
        return words_

    @property
    def short_names(self) -> ShortNames:
        """What is known of the meter's short names."""
        names = self.conversation.short_names
        if names is None:
            names = self.conversation.short_names = ShortNames()
        return names

    def flag(self, what: str) -> bool:
        value = self.cursor.take(1, what)[0] != 0
        self.cursor.write(what, value)
        return value

    def octets(self, what: str, meaning: Callable[[bytes], str] | None = None, *, secret: Sensitivity) -> bytes:
        octets = self.cursor.take(take_length(self.cursor), what)
        self.cursor.write(what, octets.hex(), meaning(octets) if meaning else "", sensitivity=secret)
        return octets

    def access_result(self) -> None:
        code = self.cursor.take(1, "data access result")[0]
        text = words(known(DataAccessResult, code))
        self.cursor.write("data access result", code, text)
        self.said.append(text)

    def action_result(self) -> None:
        code = self.cursor.take(1, "action result")[0]
        text = words(known(ActionResult, code))
        self.cursor.write("action result", code, text)
        self.said.append(text)

    def data_or_result(self, what: str = "value") -> None:
        choice = self.cursor.take(1, "data or result")[0]
        if choice > 1:
            raise Fault(self.cursor.position - 1, "00 (data) or 01 (data-access-result) belongs here")
        self.cursor.write("result choice", choice, "data-access-result" if choice else "data")
        if choice:
            self.access_result()
        else:
            self.data(what)

    def block(self, service: str, *, has_last: bool = True, first: bool | None = None) -> None:
        """last-block, block-number, raw data; the whole is explained after the last one."""
        cursor = self.cursor
        last = self.flag("last block") if has_last else False
        number = cursor.number(4, "block number")
        self.said.append(f"block {number}{', the last' if last else ''}")
        self.raw_block(service, last=last, first=number == 1 if first is None else first)

    def raw_block(self, service: str, *, last: bool, first: bool) -> None:
        raw = self.octets("raw data", secret=Sensitivity.SECRET)
        whole = self.conversation.gather(service, raw, last=last, first=first)
        if whole is not None:
            self.whole(whole, service)

    def whole(self, octets: bytes, service: str) -> None:
        """What the blocks hold, put together; a buffer of its own."""
        if self.conversation.nesting >= _DEEPEST:
            raise Fault(self.cursor.position, "blocks in blocks, too many times over")
        self.conversation.nesting += 1
        name = f"{service} blocks, put together"
        cursor = Cursor(octets, self.cursor.page, depth=self.cursor.depth + 1, layer="data", buffer=name)
        cursor.head(name, f"{len(octets)} octets")
        inner = Service(cursor, self.conversation)
        inner.secret = Sensitivity.SECRET if service in self.conversation.hidden else Sensitivity.OPEN
        try:
            if service in _OWN_WALKS:
                _OWN_WALKS[service](inner)
            elif service in self.conversation.listed:
                for number in range(inner.count("values")):
                    if service == "get":
                        inner.data_or_result(f"value [{number}]")
                    else:
                        inner.data(f"value [{number}]")
            else:
                inner.data()
            if cursor.left:
                cursor.rest("further octets", f"{cursor.left} octets")
        except Fault as fault:
            cursor.fail(fault)
        finally:
            self.conversation.nesting -= 1

    def begin_blocks(self, service: str, *, listed: bool) -> None:
        """Remember what the request says about the blocks to come."""
        for words_, wanted in ((self.conversation.listed, listed), (self.conversation.hidden, bool(self.secret))):
            if wanted:
                words_.add(service)
            else:
                words_.discard(service)


_OWN_WALKS: dict[str, Callable[[Service], None]] = {}
"""How the blocks of a service are annotated when they are put together, where that is no single value."""


def walks_blocks(service: str) -> Callable[[Callable[[Service], None]], Callable[[Service], None]]:
    """Register the walk for the blocks of a service."""

    def register(walk: Callable[[Service], None]) -> Callable[[Service], None]:
        _OWN_WALKS[service] = walk
        return walk

    return register


_SECRET_MEMBERS = frozenset(
    {(15, "attribute", 7), (15, "method", 2), (12, "attribute", 7), (12, "method", 5), (64, "method", 2)}
)
"""Members whose values are passwords or wrapped keys: LLS secret, change of the HLS secret, key transfer."""


def range_words(names: dict[int, str]) -> str:
    """``1 to 4``: the choices that exist."""
    return f"{min(names)} to {max(names)}"
