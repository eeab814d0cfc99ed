"""Every Python block of README and docs runs; what they claim in tables is what the code has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosemic import tolerances
from cosemic.protocol.states import TRANSITIONS, Event
from tests.interop.peers import simulator

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    (page, number, block)
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL), 1)
]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    process = simulator()
    yield int(json.loads(process.first_line)["wrapper_port"])
    process.close()


@pytest.mark.parametrize("page, number, block", BLOCKS, ids=[f"{page.name}-{number}" for page, number, _ in BLOCKS])
def test_documentation_example_runs(
    page: Path, number: int, block: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSEMIC_STATE", str(tmp_path))
    code = block.replace("127.0.0.1:4059", f"127.0.0.1:{port}")
    exec(compile(code, f"{page.name}, block {number}", "exec"), {"__name__": "__main__"})


def test_the_first_lines_of_the_readme_are_the_whole_set_up() -> None:
    readme = (ROOT / "README.md").read_text()
    for heading in ("Try it", "Test it"):
        section = readme.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
        first = re.findall(r"```sh\n(.*?)\n", section)
        assert first == [f"python3 dev.py {'demo' if heading == 'Try it' else 'test'}"]


def test_every_tolerance_is_documented_with_its_default() -> None:
    rows = dict(
        re.findall(r"^\| `([A-Z_]+)` \| ([^|]+?) \|", (ROOT / "docs" / "tolerances.md").read_text(), re.MULTILINE)
    )
    assert set(rows) == {tolerance.name for tolerance in tolerances.Tolerance}
    for tolerance in tolerances.Tolerance:
        assert rows[tolerance.name].startswith("yes" if tolerance in tolerances.DEFAULT else "n")


def test_the_state_diagram_is_the_table() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE)
    undrawn = {Event.ABORT, Event.FAIL, Event.NOTIFY}
    table = {(old.name, new.name, event.name) for (old, event), new in TRANSITIONS.items() if event not in undrawn}
    assert set(drawn) == table
    assert len(drawn) == len(table)
