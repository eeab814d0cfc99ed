"""Outputs to files and to the terminal, read back with what everybody has: json, csv, sqlite3."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cosemic.codec.typed import BitString
from cosemic.delivery.csv_files import COLUMNS, CsvOutput
from cosemic.delivery.documents import Document, ReadingDocument, plain_of, to_document
from cosemic.delivery.exact_json import dumps, loads
from cosemic.delivery.json_lines import JsonLinesOutput
from cosemic.delivery.options import DeliveryOptions, outputs_from
from cosemic.delivery.outputs import OutputClosed, OutputUnavailable, Record
from cosemic.delivery.sqlite_files import SqliteOutput
from cosemic.delivery.tables import TableOutput, lines
from cosemic.push.messages import Push
from cosemic.times import CosemDateTime
from tests.delivery.messages import MOMENT, Received, dropped, energy, reading, undecoded
from tests.push.captures import READABLE, decoder_for, octets_of
from tests.vectors.collection import REASON


def records(count: int = 3) -> list[Record]:
    return [Record.of(energy(number)) for number in range(count)] + [Record.of(undecoded()), Record.of(dropped())]


def test_a_document_has_always_the_same_keys() -> None:
    for message in (energy(), undecoded(), dropped()):
        document = to_document(message)
        assert set(document) == set(Document.__annotations__)
        for one in document["readings"]:
            assert set(one) == set(ReadingDocument.__annotations__)
    assert to_document(undecoded())["diagnosis"] == "key-missing"
    assert to_document(dropped())["error"] == "the check sum does not hold"
    assert to_document(energy())["system_title"] == "4b464d1020300001"


def test_an_id_is_that_of_the_message() -> None:
    assert to_document(energy(1))["id"] == to_document(energy(1))["id"]
    assert len({to_document(energy(number, at=MOMENT))["id"] for number in range(100)}) == 100
    assert to_document(energy(1))["id"] < to_document(energy(2))["id"]
    assert to_document(energy(1), identity="mine")["id"] == "mine"


def test_numbers_stay_exact() -> None:
    for text in ("0.1", "230.10", "12345678901234567890.123456789", "-0.000000001", "1E+3", "1E-12", "0", "-5"):
        value = Decimal(text)
        assert loads(dumps(value)) == value
        assert "E" not in dumps(value)
    assert dumps(2**64 - 1) == "18446744073709551615"
    assert dumps([float("nan"), float("inf"), Decimal("NaN"), 1.5]) == "[null, null, null, 1.5]"
    assert json.loads(dumps({"a": '\0\x1b\n"\\ é 漢'})) == {"a": '\0\x1b\n"\\ é 漢'}
    with pytest.raises(TypeError):
        dumps(object())
    with pytest.raises(ValueError, match="nested too deeply"):
        loads("[" * 100_000)


def test_every_kind_of_value_is_plain() -> None:
    moment = CosemDateTime.from_datetime(MOMENT)
    values = (1, True, None, 1.5, "a", b"\x01\xff", BitString("0101"), moment, [1, (b"\x02",)], MOMENT, Decimal("1.50"))
    assert dumps([plain_of(value) for value in values]) == (
        f'[1, true, null, 1.5, "a", "01ff", "0101", "{moment.isoformat()}", [1, ["02"]], "{MOMENT.isoformat()}", 1.50]'
    )


def test_the_tree_is_there_where_readings_do_not_say_everything() -> None:
    item = energy().item
    assert isinstance(item, Push)
    bare = Push("data-notification", (), item.telegram, body=item.body)
    assert to_document(energy())["values"] is None
    assert to_document(energy(), with_values=True)["values"] is not None
    assert to_document(Received(MOMENT, "file", bare))["values"] == {
        "type": "structure",
        "value": [{"type": "double-long-unsigned", "value": 1234567}],
    }


@pytest.mark.skipif(not READABLE, reason=REASON)
@pytest.mark.parametrize("case", READABLE, ids=lambda case: case["name"])
def test_every_capture_goes_through_text_and_back(case) -> None:
    decoder = decoder_for(case)
    for item in decoder.feed(octets_of(case)) + decoder.end():
        record = Record.of(Received(datetime.now(UTC), "file", item))
        assert dumps(record.document) == record.text
        again = Record(text=record.text)
        assert again.document == record.document
        assert json.loads(record.text).keys() == Document.__annotations__.keys()
        assert list(lines(record.document))


async def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    for _ in range(2):
        output = JsonLinesOutput(path, sync=True)
        await output.deliver(records())
        await output.close()
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [document["id"] for document in found] == [record.id for record in records()] * 2


async def test_half_a_line_of_a_killed_process_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    output = JsonLinesOutput(path)
    await output.deliver(records(1))
    await output.close()
    whole = path.read_bytes()
    for cut in sorted(random.Random(1).sample(range(len(whole)), 40)):
        path.write_bytes(whole[:cut])
        output = JsonLinesOutput(path)
        await output.deliver(records(1))
        await output.close()
        kept = whole[:cut].rpartition(b"\n")
        assert path.read_bytes() == kept[0] + kept[1] + whole


async def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    for _ in range(2):
        output = CsvOutput(path)
        await output.deliver(records(2))
        await output.close()
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert len(rows) == 2 * (2 * 3 + 2)
    assert tuple(rows[0]) == COLUMNS
    assert rows[2]["value"] == "230.1"
    assert rows[0]["obis"] == "1.0.1.8.0.255"
    assert rows[6]["error"] == "no key for this meter; give --ek"
    assert rows[6]["value"] == ""


async def test_csv_leaves_a_file_with_other_columns_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("a,b,c\n1,2,3\n")
    output = CsvOutput(path)
    with pytest.raises(OutputUnavailable, match="other columns"):
        await output.deliver(records())
    await output.close()
    assert path.read_text() == "a,b,c\n1,2,3\n"


async def test_csv_holds_any_text(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    text = 'a,"b"\r\nc;\0é\n=1+1'
    push = Push("p1-text", (reading(text, "0-0:96.13.0", text),), energy().item.telegram)
    output = CsvOutput(path)
    await output.deliver([Record.of(Received(MOMENT, "file", push))] * 2)
    await output.close()
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert [row["value"] for row in rows] == [text.replace("\0", "�")] * 2


async def test_sqlite_takes_a_message_once(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite"
    output = SqliteOutput(path)
    await output.deliver(records())
    await output.deliver(records(5))
    await output.close()
    output = SqliteOutput(path)
    await output.deliver(records())
    await output.close()
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM messages").fetchone() == (7,)
    assert database.execute("SELECT count(*) FROM readings").fetchone() == (15,)
    found = database.execute(
        "SELECT value, number_value, unit FROM readings WHERE obis = '1.0.32.7.0.255' ORDER BY message LIMIT 1"
    ).fetchone()
    assert found == ("230.1", 230.1, "V")
    assert database.execute("SELECT error FROM messages WHERE kind = 'undecoded'").fetchone() == (
        "no key for this meter; give --ek",
    )
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


async def test_sqlite_leaves_other_tables_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE messages (a)")
    database.commit()
    database.close()
    output = SqliteOutput(path)
    with pytest.raises(OutputUnavailable, match="other tables"):
        await output.deliver(records())
    await output.close()
    path.write_bytes(b"this is no database, and long enough to be one" * 100)
    output = SqliteOutput(path)
    with pytest.raises(OutputUnavailable, match="cannot be written"):
        await output.deliver(records())
    await output.close()


@pytest.mark.parametrize("kind", [JsonLinesOutput, CsvOutput, SqliteOutput])
async def test_a_file_that_cannot_be_is_told(tmp_path: Path, kind) -> None:
    output = kind(tmp_path / "missing" / "file")
    with pytest.raises(OutputUnavailable, match="cannot be written"):
        await output.deliver(records())
    await output.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("kind", [JsonLinesOutput, CsvOutput])
async def test_a_full_disk_is_told(kind) -> None:
    output = kind(Path("/dev/full"))
    with pytest.raises(OutputUnavailable, match="No space left"):
        await output.deliver(records())
    await output.close()


async def test_the_end_of_a_pipe_is_told(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    output = JsonLinesOutput(fifo)
    await output.deliver([])
    os.close(reader)
    # The pipe is open for reading by the output itself, so a real one is used for the other end.
    await output.close()
    read_end, write_end = os.pipe()
    os.close(read_end)
    table = TableOutput(os.fdopen(write_end, "w", buffering=1), live=False)
    with pytest.raises(OutputClosed, match="nobody reads"):
        await table.deliver(records())


async def test_the_table_as_lines() -> None:
    file = io.StringIO()
    output = TableOutput(file, live=False)
    await output.deliver(records(1))
    await output.close()
    text = file.getvalue()
    assert "Active energy import  1234567 Wh" in text
    assert "undecoded: key-missing" in text
    assert "dropped: the check sum does not hold" in text


async def test_the_table_on_a_terminal() -> None:
    file = io.StringIO()
    output = TableOutput(file, live=True)
    await output.deliver(records(3))
    await output.close()
    text = file.getvalue()
    for word in ("cellar", "Voltage L1", "230.3", "1234569", "5 messages"):
        assert word in text


async def test_a_meter_cannot_move_the_cursor() -> None:
    text = "[red]x[/red]\x1b[2J\x1b]0;title\x07\r\n\u202e"
    push = Push("p1-text", (reading(text, "0-0:96.13.0", text, text),), energy().item.telegram, meter=text, hint=text)
    for live in (False, True):
        file = io.StringIO()
        output = TableOutput(file, live=live)
        await output.deliver([Record.of(Received(MOMENT, text, push))])
        await output.close()
        shown = file.getvalue()
        for bad in ("\x1b[2J", "\x1b]0", "\x07", "\u202e"):
            assert bad not in shown
        assert "[red]x" in shown


def test_options_make_outputs(tmp_path: Path) -> None:
    assert [output.name for output in outputs_from(DeliveryOptions(), terminal=io.StringIO())] == ["table"]
    options = DeliveryOptions(json="-", csv=str(tmp_path / "a.csv"), sqlite=str(tmp_path / "a.db"))
    assert [output.name.partition(":")[0] for output in outputs_from(options)] == ["json", "csv", "sqlite"]
    options = DeliveryOptions(mqtt="mqtt://me@broker", prometheus="9100", webhook="https://example.org/x?token=secret")
    names = [output.name for output in outputs_from(options)]
    assert names == ["mqtt:broker:1883/cosemic", "prometheus:127.0.0.1:9100", "webhook:https://example.org/x"]
    for wrong in (
        DeliveryOptions(mqtt="http://broker"),
        DeliveryOptions(mqtt="mqtt://me:hunter2@broker"),
        DeliveryOptions(mqtt="mqtt://broker", mqtt_prefix="a/+"),
        DeliveryOptions(mqtt="mqtt://broker:99999"),
        DeliveryOptions(prometheus="many"),
        DeliveryOptions(prometheus="99999"),
        DeliveryOptions(webhook="ftp://example.org"),
        DeliveryOptions(webhook="https://me:hunter2@example.org"),
        DeliveryOptions(webhook="https://example.org/", webhook_ca_file="/nowhere"),
    ):
        with pytest.raises(ValueError, match=r"\w") as told:
            outputs_from(wrong)
        assert "hunter2" not in str(told.value)
