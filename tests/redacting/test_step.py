"""What ``explain --redact`` hides, ``redact`` masks: the two agree about what is secret."""

from __future__ import annotations

import pytest

from cosemic.captures import Chunk, open_capture
from cosemic.explain import Sensitivity, explain_chunks
from cosemic.redacting import redact
from tests.redacting.support import RECORDED, SALT, lines
from tests.vectors.collection import REASON, load

SOURCES: dict[str, list[Chunk]] = {
    str(case["name"]): list(open_capture("\n".join(lines(case)).encode()))
    for topic in ("pushes", "issue-captures", "sessions")
    for case in load(topic)
}
SOURCES |= {file.stem: list(open_capture(file)) for file in sorted(RECORDED.glob("*.hex"))}


@pytest.mark.skipif(not SOURCES, reason=REASON)
@pytest.mark.parametrize("name", SOURCES)
def test_what_is_hidden_there_is_masked_here(name: str) -> None:
    chunks = SOURCES[name]
    was, now = explain_chunks(chunks), explain_chunks(redact(chunks, salt=SALT).chunks)
    after = {(line.buffer, line.offset): line for line in now.lines if line.length}
    for line in was.lines:
        if line.sensitivity < Sensitivity.IDENTITY or line.length < 6 or len(set(line.octets[3:])) < 2:
            continue
        if line.field in ("segment", "block data", "raw data", "information"):
            continue  # looked at where it is put together
        masked = after.get((line.buffer, line.offset))
        assert masked is None or masked.octets != line.octets, line
