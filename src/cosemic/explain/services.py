"""xDLMS service APDUs, annotated: GET, SET, ACTION, ACCESS, short names, notifications, errors (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.enums import (
    SERVICE_ERRORS,
    AccessSelector,
    ConfirmedService,
    ExceptionServiceError,
    ExceptionStateError,
    ServiceErrorType,
    known,
)
from cosemic.explain.acse import words
from cosemic.explain.annotations import Fault, Sensitivity
from cosemic.explain.service import Service, range_words
from cosemic.explain.short_name_walks import (
    information_report,
    read_request,
    read_response,
    write_request,
    write_response,
)
from cosemic.explain.values import moment_meaning, walk_pushed

Walk = Callable[[Service], None]


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
    meaning = None
    if choice in (1, 2):
        meaning = s.descriptor()
        s.access()
    elif choice in (4, 5):
        for _ in range(s.count("attributes")):
            s.descriptor()
            s.access()
    if choice == 1:
        s.data(meaning=meaning)
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
    meaning = None
    if choice in (1, 4):
        meaning = s.descriptor("method")
    elif choice in (3, 5):
        for _ in range(s.count("methods")):
            s.descriptor("method")
    if choice == 1:
        if s.option("method parameters"):
            s.data("parameters", meaning)
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
    meaning = s.descriptor()
    s.data(meaning=meaning)


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
    invoke_id = s.long_invoke()
    s.octets("date-time", moment_meaning, secret=Sensitivity.OPEN)
    items = _access_specifications(s)
    s.conversation.ask(s.dialogue(f"access {invoke_id}"), items)
    for number in range(s.count("data")):
        s.answers(items, number, "for")
        s.data(f"data [{number}]")


def access_response(s: Service) -> None:
    invoke_id = s.long_invoke()
    s.octets("date-time", moment_meaning, secret=Sensitivity.OPEN)
    items = s.conversation.asked.get(s.dialogue(f"access {invoke_id}"), [])
    if s.option("access request specification"):
        items = _access_specifications(s)
    for number in range(s.count("data")):
        s.answers(items, number)
        s.data(f"data [{number}]")
    count = s.count("results")
    if items and count != len(items):
        s.cursor.head("results", error=f"{count} results for {len(items)} items of the request")
    for number in range(count):
        s.answers(items, number)
        choice = s.cursor.take(1, "service")[0]
        names = {1: "get", 2: "set", 3: "action"}
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"choice {choice} is unknown; {range_words(names)} exist")
        s.cursor.write("service", choice, names[choice])
        if choice == 3:
            s.action_result()
        else:
            s.access_result()


def _access_specifications(s: Service) -> list[str]:
    """The items of a request; what each of them is, in words."""
    items: list[str] = []
    names = {1: "get", 2: "set", 3: "action", 4: "get with selection", 5: "set with selection"}
    for _ in range(s.count("specifications")):
        choice = s.cursor.take(1, "service")[0]
        if choice not in names:
            raise Fault(s.cursor.position - 1, f"choice {choice} is unknown; {range_words(names)} exist")
        s.cursor.write("service", choice, names[choice])
        s.said.append(names[choice])
        s.descriptor("method" if choice == 3 else "attribute")
        items.append(f"{names[choice]} {s.said[-1]}")
        if choice > 3:
            selector = s.cursor.take(1, "access selector")[0]
            s.cursor.write("access selector", selector, words(known(AccessSelector, selector)))
            s.data("access parameters")
    return items


def data_notification(s: Service) -> None:
    s.long_invoke()
    if s.cursor.data[s.cursor.position : s.cursor.position + 2] == b"\x09\x0c":
        s.cursor.take(1, "a tag")
        s.cursor.write("octet-string tag", None, "does not belong here by the standard; some meters send it")
    s.octets("date-time", moment_meaning, secret=Sensitivity.OPEN)
    walk_pushed(s.cursor)


def data_notification_confirm(s: Service) -> None:
    s.long_invoke()
    s.octets("date-time", moment_meaning, secret=Sensitivity.OPEN)


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
