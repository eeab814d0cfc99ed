"""read, set, call and objects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosemic.cli.critical import ask_first
from cosemic.cli.failing import CommandError, service_remedy
from cosemic.cli.names import live, resolved, show_dry_run
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected, resolve, warn
from cosemic.cli.output import dumps, human, say, table, typed_tree
from cosemic.cli.parsing import Target, parse_plain, parse_target, parse_value
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed, Value, type_name
from cosemic.cosem.model import interface_class
from cosemic.cosem.procedures import moment
from cosemic.cosem.values import SCALED_ATTRIBUTES, SCALER_ATTRIBUTE, ScalerUnit, reading
from cosemic.enums import DataAccessResult, DataType, InterfaceClass
from cosemic.errors import DataAccessError, DecodeError, DlmsError, ServiceError

if TYPE_CHECKING:
    from cosemic.blocking import DlmsClient

_NOT_A_REGISTER = (
    DataAccessResult.OBJECT_UNDEFINED,
    DataAccessResult.OBJECT_CLASS_INCONSISTENT,
    DataAccessResult.OBJECT_UNAVAILABLE,
)
_OTHERS = (int(InterfaceClass.DATA), int(InterfaceClass.CLOCK))
"""What an OBIS code alone may be when it is no register: the value of a data object, the time of a clock."""


@dataclass(slots=True)
class _Answer:
    """One target's result on its way to the screen."""

    target: Target
    class_id: int
    attribute: int
    value: object = None
    unit: str | None = None
    error: str | None = None
    remedy: str = ""
    data_type: str | None = None
    tree: object = None

    def to_dict(self, *, typed: bool) -> dict[str, object]:
        line: dict[str, object] = {
            "class_id": self.class_id,
            "obis": self.target.obis.dotted,
            "attribute": self.attribute,
            "value": self.tree if typed and self.tree is not None else self.value,
            "unit": self.unit,
            "error": self.error,
        }
        if typed:
            line["type"] = self.data_type
        return line

    def cells(self, *, typed: bool) -> list[str]:
        declared = interface_class(self.class_id).attribute_name(self.attribute)
        value = f"error: {self.error}" if self.error else f"{human(self.value)} {self.unit or ''}".rstrip()
        row = [
            str(self.target.obis),
            f"{self.class_id}/{self.attribute}",
            value,
            f"{self.target.obis.describe()}: {declared}",
        ]
        return [*row, self.data_type or ""] if typed else row


def read_targets(
    url: str, texts: Sequence[str], *, raw: bool, typed: bool, connection: ConnectionOptions | None,
    output: OutputOptions,
) -> int:  # fmt: skip
    """Print each target; 1 when one of them failed."""
    if not texts:
        raise CommandError("nothing to read: give an OBIS code or CLASS/OBIS/ATTRIBUTE after the URL")
    targets = [parse_target(text) for text in texts]
    answers: list[_Answer] = []
    with connected(url, connection, output) as client:
        for answer in _answers(client, targets, raw=raw, typed=typed):
            answers.append(answer)
            if output.json:
                say(dumps(answer.to_dict(typed=typed)))
    failed = [answer for answer in answers if answer.error]
    if not output.json:
        headings = ["OBIS", "class/attribute", "value", "meaning", *(["type"] if typed else [])]
        say(table(headings, [answer.cells(typed=typed) for answer in answers]))
    if failed:
        more = f" ({len(failed)} of {len(answers)} targets failed)" if len(answers) > 1 else ""
        warn(f"{failed[0].target.text}: {failed[0].error}{more}; {failed[0].remedy}")
    return 1 if failed else 0


def _answers(client: DlmsClient, targets: Sequence[Target], *, raw: bool, typed: bool) -> Iterator[_Answer]:
    for target in targets:
        try:
            target = resolved(client, target)
            if target.class_id is None or target.member is None:
                yield _by_obis(client, target, raw=raw, typed=typed)
            else:
                yield _attribute(client, target, target.class_id, target.member, raw=raw)
        except CommandError as error:
            class_id = int(InterfaceClass.REGISTER) if target.class_id is None else target.class_id
            words = str(error).removeprefix(f"{target.text}: ")
            yield _Answer(target, class_id, 0, error=words, remedy="see 'cosemic objects' for what there is")
        except (ServiceError, DecodeError) as error:
            class_id = int(InterfaceClass.REGISTER) if target.class_id is None else target.class_id
            attribute = 2 if target.member is None else target.member
            remedy = service_remedy(error, "read")
            yield _Answer(target, class_id, attribute, error=_words(error), remedy=remedy)


def _by_obis(client: DlmsClient, target: Target, *, raw: bool, typed: bool) -> _Answer:
    try:
        reading = client.read_register(target.obis)
    except DataAccessError as error:
        if error.result not in _NOT_A_REGISTER:
            raise
        for class_id in _OTHERS:
            try:
                return _attribute(client, target, class_id, 2, raw=raw)
            except DataAccessError:
                continue
        raise
    known_register = client.cache.registers.get(target.obis)
    class_id = int(InterfaceClass.REGISTER) if known_register is None else known_register[0]
    answer = _Answer(target, class_id, 2, reading.value, reading.unit)
    if raw:
        answer.value, answer.unit = reading.raw, None
    if typed:
        answer.data_type = type_name(client.get(class_id, target.obis, 2, typed=True).type)
    return answer


def _attribute(client: DlmsClient, target: Target, class_id: int, attribute: int, *, raw: bool) -> _Answer:
    if attribute in SCALED_ATTRIBUTES.get(class_id, ()) and not raw:
        return _register_value(client, target, class_id, attribute)
    typed = client.get(class_id, target.obis, attribute, typed=True)
    answer = _as_sent(target, class_id, attribute, typed)
    if not raw and _is_moment(class_id, attribute):
        with contextlib.suppress(DecodeError):
            answer.value = moment(axdr.decode(axdr.encode(typed)))
    return answer


def _register_value(client: DlmsClient, target: Target, class_id: int, attribute: int) -> _Answer:
    """The value of a register with its unit; as sent, and without a unit, where there is no scaler_unit for it."""
    scaler_attribute = SCALER_ATTRIBUTE[class_id]
    cached = client.cache.registers.get(target.obis)
    scaler_unit = cached[1] if cached is not None and cached[0] == class_id else None
    wanted = (attribute,) if scaler_unit is not None else (attribute, scaler_attribute)
    value, *scaler = client.get_list([(class_id, target.obis, number) for number in wanted])
    if value.error is not None:
        raise value.error
    assert value.data is not None
    answer = _as_sent(target, class_id, attribute, value.data.typed)
    with contextlib.suppress(DecodeError):
        if scaler_unit is None and scaler[0].error is None:
            scaler_unit = ScalerUnit.from_value(scaler[0].value)
            client.cache.registers[target.obis] = (class_id, scaler_unit)
        if scaler_unit is not None:
            scaled = reading(value.value, scaler_unit, obis=target.obis)
            answer.value, answer.unit, answer.tree = scaled.value, scaled.unit, None
    return answer


def _as_sent(target: Target, class_id: int, attribute: int, typed: Typed) -> _Answer:
    value: Value = axdr.decode(axdr.encode(typed))
    return _Answer(target, class_id, attribute, value, data_type=type_name(typed.type), tree=typed_tree(typed)["value"])


def _is_moment(class_id: int, attribute: int) -> bool:
    declared = interface_class(class_id).attributes
    return 1 <= attribute <= len(declared) and DataType.DATE_TIME in declared[attribute - 1].types


def set_target(
    url: str, text: str, kind: str | None, value: str, *, dry_run: bool, confirmed: bool,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Write one attribute and say so; without a type in the one that the meter has.

    Without ``confirmed``, and to all stations, nobody answers.
    """
    target = parse_target(text)
    if target.member is None and target.name is None:
        raise CommandError(f"{text!r} is no target to write: write CLASS/OBIS/ATTRIBUTE, for example 3/1.0.1.8.0.255/2")
    url, settings = resolve(url, connection)
    confirmed = confirmed and not settings.broadcast
    if not confirmed and (kind is None or target.name is not None):
        raise CommandError(
            f"{text!r}: without an answer nothing can be looked up: give CLASS/OBIS/ATTRIBUTE, type, value"
        )
    data = parse_plain(value) if kind is None else parse_value(kind, value)
    error: ServiceError | None = None
    with connected(url, settings, output, answers=confirmed) as client:
        target = resolved(client, target)
        assert target.class_id is not None
        assert target.member is not None
        try:
            if kind is None or dry_run:
                item = live(client, target)
                if dry_run:
                    return show_dry_run(target, item.write(target.member, data, dry_run=True), output)
                item.write(target.member, data, force=True)
            else:
                assert isinstance(data, Typed | Data)
                client.set(target.class_id, target.obis, target.member, data)
        except ServiceError as caught:
            error = caught
    result = _result_name(error) if error is not None else "success" if confirmed else "sent"
    done = f"{target.text}: written" if confirmed else f"{target.text}: sent; no answer is awaited"
    _report(output, target, "attribute", {"result": result}, error, done)
    return 0 if error is None else 1


def call_target(
    url: str, text: str, kind: str | None, value: str | None, *, dry_run: bool, yes: bool, confirmed: bool,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Invoke one method and print what it returns; without ``confirmed`` (and to all stations) nobody answers.

    What is hard to take back (supply, keys, tariffs, firmware) is asked about first, or refused, without ``yes``.
    """
    target = parse_target(text, method=True)
    parameters: object = None
    if kind is not None and value is None and kind != "null-data":
        if target.name is None:
            raise CommandError(f"a value is missing after the type {kind!r}")
        parameters, kind = parse_plain(kind), None  # a method by name takes a value without a type
    elif kind is not None:
        parameters = parse_value(kind, value or "")
    if not dry_run:
        ask_first(target, yes=yes)
    url, settings = resolve(url, connection)
    confirmed = confirmed and not settings.broadcast
    if not confirmed and target.name is not None:
        raise CommandError(f"{text!r}: without an answer nothing can be looked up: give CLASS/OBIS/METHOD, type, value")
    error: ServiceError | None = None
    answer: object = None
    with connected(url, settings, output, answers=confirmed) as client:
        by_name = target.name is not None
        target = resolved(client, target, method=True)
        assert target.class_id is not None
        assert target.member is not None
        try:
            if dry_run or by_name:
                item = live(client, target)
                if dry_run:
                    return show_dry_run(target, item.call(target.member, parameters, dry_run=True), output)
                ask_first(target, yes=yes)
                answer = item.call(target.member, parameters, force=True)
            else:
                assert parameters is None or isinstance(parameters, Typed | Data)
                answer = client.action(target.class_id, target.obis, target.member, parameters)
        except ServiceError as caught:
            error = caught
    done = f"{target.text}: done" if answer is None else f"{target.text}: {human(answer)}"
    if not confirmed:
        done = f"{target.text}: sent; no answer is awaited"
    result = _result_name(error) if error is not None else "success" if confirmed else "sent"
    _report(output, target, "method", {"result": result, "value": answer}, error, done)
    return 0 if error is None else 1


def _report(
    output: OutputOptions, target: Target, member: str, result: dict[str, object], error: DlmsError | None, done: str
) -> None:
    message = None if error is None else _words(error)
    if output.json:
        head = {"class_id": target.class_id, "obis": target.obis.dotted, member: target.member}
        say(dumps({**head, **result, "error": message}))
    elif error is None:
        say(done)
    if error is not None:
        warn(f"{target.text}: {message}; {service_remedy(error)}")


def _words(error: DlmsError) -> str:
    """The error without the target, which stands beside it anyway."""
    text = " ".join(str(error).split())
    target = getattr(error, "target", None)
    return text.removeprefix(f"{target}: ") if isinstance(target, str) else text


def _result_name(error: ServiceError) -> str | None:
    code = getattr(error, "result", None)
    name = getattr(code, "name", None)
    return name.lower().replace("_", "-") if isinstance(name, str) else None if code is None else str(code)


def list_objects(url: str, *, units: bool, connection: ConnectionOptions | None, output: OutputOptions) -> int:
    """Print the object list with the access rights of this association."""
    with connected(url, connection, output) as client:
        entries = client.objects(units=units)
    if output.json:
        for entry in entries:
            declared = entry.declaration
            line = {
                "class_id": entry.class_id,
                "version": entry.version,
                "class_name": entry.class_name,
                "obis": entry.obis.dotted,
                "name": entry.name,
                **({"unit": entry.unit} if units else {}),
                "attributes": [
                    {
                        "attribute": number,
                        "name": declared.attribute_name(number),
                        "read": entry.may_read(number),
                        "write": entry.may_write(number),
                        "rights": entry.attribute_rights(number),
                    }
                    for number in entry.attributes
                ],
                "methods": [
                    {"method": number, "name": declared.method_name(number), "call": entry.may_call(number)}
                    for number in entry.methods
                ],
            }
            say(dumps(line))
        return 0
    rows = [
        [
            f"{entry.class_id} v{entry.version}",
            entry.class_name,
            str(entry.obis),
            f"{entry.name} [{entry.unit}]" if entry.unit else entry.name,
            " ".join(
                f"{number}{_letters(entry.may_read(number), entry.may_write(number))}" for number in entry.attributes
            ),
            " ".join(str(number) for number in entry.methods if entry.may_call(number)),
        ]
        for entry in entries
    ]
    say(table(["class", "class name", "OBIS", "name", "attributes", "methods"], rows))
    say(f"\n{len(entries)} objects; attributes: r read, w write, - no access; methods that may be called")
    return 0


def _letters(read: bool, write: bool) -> str:
    return ("r" if read else "") + ("w" if write else "") or "-"
