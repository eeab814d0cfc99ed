"""xDLMS service APDUs, annotated: GET, SET, ACTION, ACCESS, short names, notifications, errors (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.cosem.model import class_name, interface_class
from cosemic.enums import (
    SERVICE_ERRORS,
    AccessSelector,
    ActionResult,
    ConfirmedService,
    DataAccessResult,
    ExceptionServiceError,
    ExceptionStateError,
    ServiceErrorType,
    known,
)
from cosemic.explain.acse import words
from cosemic.explain.annotations import Cursor, Fault, Sensitivity
from cosemic.explain.conversation import Conversation
from cosemic.explain.values import moment_meaning, obis_meaning, take_length, walk_value

Walk = Callable[["Service"], None]


class Service:
    """One APDU on its way through a walk: the cursor, the conversation, and words for the heading."""

    __slots__ = ("conversation", "cursor", "said", "secret")

    def __init__(self, cursor: Cursor, conversation: Conversation) -> None:
        self.cursor = cursor
        self.conversation = conversation
        self.said: list[str] = []
        self.secret = Sensitivity.OPEN

    # -- pieces -------------------------------------------------------------------------------------------------------
    def invoke(self) -> None:
        octet = self.cursor.take(1, "invoke-id-and-priority")[0]
        self.cursor.write(
            "invoke-id-and-priority", octet & 0x0F,
            f"invoke id {octet & 0x0F}, {'confirmed' if octet & 0x40 else 'unconfirmed'}, "
            f"{'high' if octet & 0x80 else 'normal'} priority",
        )  # fmt: skip

    def long_invoke(self) -> None:
        number = int.from_bytes(self.cursor.take(4, "long-invoke-id-and-priority"), "big")
        words_ = [
            f"invoke id {number & 0xFFFFFF}",
            "self-descriptive" if number >> 28 & 1 else "not self-descriptive",
            "break on error" if number >> 29 & 1 else "continue on error",
            "confirmed" if number >> 30 & 1 else "unconfirmed",
            f"{'high' if number >> 31 else 'normal'} priority",
        ]
        self.cursor.write("long-invoke-id-and-priority", number & 0xFFFFFF, ", ".join(words_))

    def choice(self, names: dict[int, str]) -> int:
        """The sub-type of an APDU."""
        number = self.cursor.take(1, "the choice")[0]
        if number not in names:
            raise Fault(self.cursor.position - 1, f"choice {number} is unknown; {_range(names)} exist")
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

    def descriptor(self, what: str = "attribute") -> None:
        """class id, instance, attribute or method."""
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

    def access(self) -> None:
        """The optional selective access of an attribute."""
        if self.option("access selection"):
            selector = self.cursor.take(1, "access selector")[0]
            self.cursor.write("access selector", selector, words(known(AccessSelector, selector)))
            self.data("access parameters")

    def data(self, what: str = "value") -> None:
        walk_value(self.cursor, what, sensitivity=self.secret)

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
        name = f"{service} blocks, put together"
        cursor = Cursor(octets, self.cursor.page, depth=self.cursor.depth + 1, layer="data", buffer=name)
        cursor.head(name, f"{len(octets)} octets")
        inner = Service(cursor, self.conversation)
        inner.secret = Sensitivity.SECRET if service in self.conversation.hidden else Sensitivity.OPEN
        try:
            if service in self.conversation.listed:
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

    def begin_blocks(self, service: str, *, listed: bool) -> None:
        """Remember what the request says about the blocks to come."""
        for words_, wanted in ((self.conversation.listed, listed), (self.conversation.hidden, bool(self.secret))):
            if wanted:
                words_.add(service)
            else:
                words_.discard(service)


def get_request(s: Service) -> None:
    choice = s.choice({1: "normal", 2: "next", 3: "with-list"})
    s.invoke()
    if choice == 1:
        s.descriptor()
        s.access()
    elif choice == 2:
        s.said.append(f"block {s.cursor.number(4, 'block number')}")
    else:
        for _ in range(s.count("attributes")):
            s.descriptor()
            s.access()
    if choice != 2:
        s.begin_blocks("get", listed=choice == 3)


def get_response(s: Service) -> None:
    choice = s.choice({1: "normal", 2: "with-datablock", 3: "with-list"})
    s.invoke()
    if choice == 1:
        s.data_or_result()
    elif choice == 2:
        last = s.flag("last block")
        number = s.cursor.number(4, "block number")
        s.said.append(f"block {number}{', the last' if last else ''}")
        kind = s.cursor.take(1, "data or result")[0]
        s.cursor.write("result choice", kind, "data-access-result" if kind else "raw data")
        if kind:
            s.access_result()
        else:
            s.raw_block("get", last=last, first=number == 1)
    else:
        for number in range(s.count("results")):
            s.data_or_result(f"value [{number}]")


def set_request(s: Service) -> None:
    choice = s.choice(
        {1: "normal", 2: "with-first-datablock", 3: "with-datablock", 4: "with-list",
         5: "with-list-and-first-datablock"}
    )  # fmt: skip
    s.invoke()
    if choice in (1, 2):
        s.descriptor()
        s.access()
    elif choice in (4, 5):
        for _ in range(s.count("attributes")):
            s.descriptor()
            s.access()
    if choice == 1:
        s.data()
    elif choice == 4:
        for number in range(s.count("values")):
            s.data(f"value [{number}]")
    else:
        if choice != 3:
            s.begin_blocks("set", listed=choice == 5)
        s.block("set", first=choice != 3)


def set_response(s: Service) -> None:
    choice = s.choice({1: "normal", 2: "datablock", 3: "last-datablock", 4: "last-datablock-with-list", 5: "with-list"})
    s.invoke()
    if choice in (1, 3):
        s.access_result()
    elif choice in (4, 5):
        for _ in range(s.count("results")):
            s.access_result()
    if choice in (2, 3, 4):
        s.said.append(f"block {s.cursor.number(4, 'block number')}")


def action_request(s: Service) -> None:
    choice = s.choice(
        {1: "normal", 2: "next-pblock", 3: "with-list", 4: "with-first-pblock", 5: "with-list-and-first-pblock",
         6: "with-pblock"}
    )  # fmt: skip
    s.invoke()
    if choice in (1, 4):
        s.descriptor("method")
    elif choice in (3, 5):
        for _ in range(s.count("methods")):
            s.descriptor("method")
    if choice == 1:
        if s.option("method parameters"):
            s.data("parameters")
    elif choice == 2:
        s.said.append(f"block {s.cursor.number(4, 'block number')}")
    elif choice == 3:
        for number in range(s.count("parameters")):
            s.data(f"parameters [{number}]")
    else:
        if choice != 6:
            s.begin_blocks("action", listed=choice == 5)
        s.block("action", first=choice != 6)


def action_response(s: Service) -> None:
    choice = s.choice({1: "normal", 2: "with-pblock", 3: "with-list", 4: "next-pblock"})
    s.invoke()
    if choice == 1:
        s.action_result()
        if s.option("return parameters"):
            s.data_or_result("return parameters")
    elif choice == 2:
        s.block("action answer")
    elif choice == 3:
        for number in range(s.count("results")):
            s.action_result()
            if s.option("return parameters"):
                s.data_or_result(f"return parameters [{number}]")
    else:
        s.said.append(f"block {s.cursor.number(4, 'block number')}")


def event_notification(s: Service) -> None:
    if s.option("time"):
        s.octets("time", moment_meaning, secret=Sensitivity.OPEN)
    s.descriptor()
    s.data()


def exception_response(s: Service) -> None:
    state = s.cursor.take(1, "state error")[0]
    s.cursor.write("state error", state, words(known(ExceptionStateError, state)))
    service = s.cursor.take(1, "service error")[0]
    text = words(known(ExceptionServiceError, service))
    s.cursor.write("service error", service, text)
    s.said += [words(known(ExceptionStateError, state)), text]
    if service == ExceptionServiceError.INVOCATION_COUNTER_ERROR and s.cursor.left:
        s.cursor.number(4, "invocation counter", "the meter expects a higher one")


def confirmed_service_error(s: Service) -> None:
    service = s.cursor.take(1, "service")[0]
    s.cursor.write("service", service, words(known(ConfirmedService, service)))
    kind = s.cursor.take(1, "kind of error")[0]
    s.cursor.write("kind of error", kind, words(known(ServiceErrorType, kind)))
    error = s.cursor.take(1, "error")[0]
    names = SERVICE_ERRORS.get(kind, ())
    text = names[error] if error < len(names) else "unknown"
    s.cursor.write("error", error, text)
    s.said += [words(known(ConfirmedService, service)), words(known(ServiceErrorType, kind)), text]


def access_request(s: Service) -> None:
    s.long_invoke()
    s.octets("date-time", moment_meaning, secret=Sensitivity.OPEN)
    _access_specifications(s)
    for number in range(s.count("data")):
        s.data(f"data [{number}]")


def access_response(s: Service) -> None:
    s.long_invoke()
    s.octets("date-time", moment_meaning, secret=Sensitivity.OPEN)
    if s.option("access request specification"):
        _access_specifications(s)
    for number in range(s.count("data")):
        s.data(f"data [{number}]")
    for _ in range(s.count("results")):
        choice = s.cursor.take(1, "service")[0]
        names = {1: "get", 2: "set", 3: "action"}
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"choice {choice} is unknown; {_range(names)} exist")
        s.cursor.write("service", choice, names[choice])
        if choice == 3:
            s.action_result()
        else:
            s.access_result()


def _access_specifications(s: Service) -> None:
    names = {1: "get", 2: "set", 3: "action", 4: "get with selection", 5: "set with selection"}
    for _ in range(s.count("specifications")):
        choice = s.cursor.take(1, "service")[0]
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"choice {choice} is unknown; {_range(names)} exist")
        s.cursor.write("service", choice, names[choice])
        s.said.append(names[choice])
        s.descriptor("method" if choice == 3 else "attribute")
        if choice > 3:
            selector = s.cursor.take(1, "access selector")[0]
            s.cursor.write("access selector", selector, words(known(AccessSelector, selector)))
            s.data("access parameters")


def data_notification(s: Service) -> None:
    s.long_invoke()
    if s.cursor.data[s.cursor.position : s.cursor.position + 2] == b"\x09\x0c":
        s.cursor.take(1, "a tag")
        s.cursor.write("octet-string tag", None, "does not belong here by the standard; some meters send it")
    s.octets("date-time", moment_meaning, secret=Sensitivity.OPEN)
    s.data()


def data_notification_confirm(s: Service) -> None:
    s.long_invoke()
    s.octets("date-time", moment_meaning, secret=Sensitivity.OPEN)


def read_request(s: Service) -> None:
    _variables(s)


def write_request(s: Service) -> None:
    _variables(s)
    for number in range(s.count("values")):
        s.data(f"value [{number}]")


def information_report(s: Service) -> None:
    if s.option("time"):
        s.octets("time", secret=Sensitivity.OPEN)
    write_request(s)


def _variables(s: Service) -> None:
    names = {
        2: "variable name", 4: "parameterized access", 5: "block number access", 6: "read data block access",
        7: "write data block access",
    }  # fmt: skip
    for _ in range(s.count("variables")):
        choice = s.cursor.take(1, "access specification")[0]
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"access specification {choice} is unknown; {_range(names)} exist")
        s.cursor.write("access specification", choice, names[choice])
        if choice in (2, 4):
            name = s.cursor.take(2, "short name")
            s.cursor.write("short name", int.from_bytes(name, "big", signed=True), f"0x{name.hex().upper()}")
            s.said.append(f"0x{name.hex().upper()}")
            if choice == 4:
                s.cursor.number(1, "selector")
                s.data("parameter")
        elif choice == 5:
            s.cursor.number(2, "block number")
        else:
            last = s.flag("last block")
            number = s.cursor.number(2, "block number")
            if choice == 6:
                s.raw_block("read", last=last, first=number == 1)


def read_response(s: Service) -> None:
    for position in range(s.count("results")):
        choice = s.cursor.take(1, "result")[0]
        names = {0: "data", 1: "data-access-error", 2: "data block", 3: "block number"}
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"choice {choice} is unknown; {_range(names)} exist")
        s.cursor.write("result choice", choice, names[choice])
        if choice == 0:
            s.data(f"value [{position}]")
        elif choice == 1:
            s.access_result()
        elif choice == 2:
            last = s.flag("last block")
            number = s.cursor.number(2, "block number")
            s.raw_block("read answer", last=last, first=number == 1)
        else:
            s.cursor.number(2, "block number")


def write_response(s: Service) -> None:
    for _ in range(s.count("results")):
        choice = s.cursor.take(1, "result")[0]
        names = {0: "success", 1: "data-access-error", 2: "block number"}
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"choice {choice} is unknown; {_range(names)} exist")
        s.cursor.write("result choice", choice, names[choice])
        s.said.append(names[choice])
        if choice == 1:
            s.access_result()
        elif choice == 2:
            s.cursor.number(2, "block number")


WALKS: dict[int, tuple[str, Walk]] = {
    0x05: ("read-request", read_request),
    0x06: ("write-request", write_request),
    0x0C: ("read-response", read_response),
    0x0D: ("write-response", write_response),
    0x0E: ("confirmed-service-error", confirmed_service_error),
    0x0F: ("data-notification", data_notification),
    0x10: ("data-notification-confirm", data_notification_confirm),
    0x16: ("unconfirmed-write-request", write_request),
    0x18: ("information-report-request", information_report),
    0xC0: ("get-request", get_request),
    0xC1: ("set-request", set_request),
    0xC2: ("event-notification-request", event_notification),
    0xC3: ("action-request", action_request),
    0xC4: ("get-response", get_response),
    0xC5: ("set-response", set_response),
    0xC7: ("action-response", action_response),
    0xD8: ("exception-response", exception_response),
    0xD9: ("access-request", access_request),
    0xDA: ("access-response", access_response),
}
"""How each service APDU is annotated, by tag."""

_SECRET_MEMBERS = frozenset(
    {(15, "attribute", 7), (15, "method", 2), (12, "attribute", 7), (12, "method", 5), (64, "method", 2)}
)
"""Members whose values are passwords or wrapped keys: LLS secret, change of the HLS secret, key transfer."""


def _range(names: dict[int, str]) -> str:
    return f"{min(names)} to {max(names)}"
