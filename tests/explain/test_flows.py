"""Captures explained: every octet once, flows apart, messages that arrive in pieces."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cosemic.captures import Chunk, Direction
from cosemic.explain import Explanation, Sensitivity, explain_chunks

AT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
REQUEST = bytes.fromhex("000100100001000DC001C100030100010800FF0200")
ANSWER = bytes.fromhex("0001000100100009C401C1000600003039")
FRAME = bytes.fromhex("7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E")


def chunk(octets: bytes, source: str = "tcp://192.0.2.1:4059", direction: str = "<", **more) -> Chunk:
    return Chunk(AT, source, Direction(direction), octets, **more)


def octets(explanation: Explanation) -> bytes:
    return b"".join(line.octets for line in explanation.lines if line.buffer.startswith("message"))


def headings(explanation: Explanation) -> list[str]:
    return [f"{line.field} {line.meaning}" for line in explanation.lines if not line.length and not line.depth]


def test_a_message_in_pieces_is_one() -> None:
    pieces = [chunk(REQUEST[:7], direction=">"), chunk(REQUEST[7:], direction=">"), chunk(ANSWER), chunk(ANSWER)]
    explanation = explain_chunks(pieces)
    assert explanation.ok
    assert octets(explanation) == REQUEST + ANSWER * 2
    assert [line.split(",")[0] for line in headings(explanation) if line[0] in "<>"] == [
        "> message 1",
        "< message 2",
        "< message 3",
    ]


def test_flows_do_not_mix() -> None:
    other = "tcp://192.0.2.2:4059"
    explanation = explain_chunks(
        [chunk(ANSWER[:5]), chunk(FRAME[:9], other), chunk(ANSWER[5:]), chunk(FRAME[9:], other)]
    )
    assert explanation.ok
    assert octets(explanation) == ANSWER + FRAME
    assert [line for line in headings(explanation) if line.startswith("flow")] == [f"flow {pieces}" for pieces in (
        "tcp://192.0.2.1:4059", other
    )]  # fmt: skip


def test_datagrams_and_gaps_end_a_message() -> None:
    explanation = explain_chunks([chunk(ANSWER[:5], "udp://192.0.2.1:4059"), chunk(ANSWER, "udp://192.0.2.1:4059")])
    assert not explanation.ok
    assert "12345" in explanation.to_text()
    cut = explain_chunks(
        [chunk(ANSWER[:5]), chunk(ANSWER, note="7 octets before these were not captured", is_gap=True)]
    )
    assert "12345" in cut.to_text()
    assert "7 octets before these" in cut.to_text()


def test_addresses_are_hidden_on_request() -> None:
    explanation = explain_chunks([chunk(ANSWER, local="192.0.2.9:50000")])
    assert "192.0.2.9" in explanation.to_text()
    assert "192.0.2" not in explanation.redacted(Sensitivity.IDENTITY).to_text()


def test_no_octets_at_all_are_a_fault() -> None:
    assert explain_chunks([]).fault is not None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tcp://a:1", "udp://b:2", ""]), st.sampled_from(["<", ">", ""]), st.binary(max_size=40)
        )
    )
)
def test_every_octet_stands_in_one_line(pieces: list[tuple[str, str, bytes]]) -> None:
    explanation = explain_chunks([chunk(data, source, direction) for source, direction, data in pieces])
    assert len(octets(explanation)) == sum(len(data) for _, _, data in pieces)
