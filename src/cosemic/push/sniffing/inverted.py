"""Text on an inverted line, turned round: from the octets that a UART makes of it back to what the meter sends.

On an inverted line a start bit is high and a stop bit low, so the receiver takes some later bit for the start: the
octets are shifted, each by another number of bits, and what lies between two of them is lost. What is left still says a
lot: each octet gives nine bits in a row, between two octets there are only zeros of the true line, or ones and then
zeros, and every true octet has a start bit, a stop bit and is a letter. So the most likely text is searched for, bit by
bit, as one decodes a convolutional code. It needs letters: octets of binary frames leave too many possibilities.
"""

from __future__ import annotations

from typing import Final, TypeAlias

MAX_OCTETS: Final = 320
"""Octets that are looked at; the work is proportional to them."""

_BEAM: Final = 48
_LONGEST_RUN: Final = 10

_State: TypeAlias = tuple[int, int]
"""Where in an octet we are (0: before its start bit, 1-8: its bits, 9: its stop bit), and its bits so far."""

_Path: TypeAlias = tuple[float, bytes]
"""How likely, and the text so far."""

_UNKNOWN: Final = -1  # the bits of an octet whose beginning was not heard

_WEIGHTS: Final = {
    **dict.fromkeys(range(0x20, 0x7F), -2.6),
    **{ord(letter): -0.7 for letter in "01234.()-:*\r\n"},
    **{ord(letter): -1.2 for letter in "56789kWhVA!"},
}


def turn_round(octets: bytes, *, with_parity: bool = False) -> bytes:
    """The likeliest text behind octets of an inverted line; what it is worth shows in whether it makes sense.

    The octets were received as 8N1. ``with_parity`` is for a meter that sends 7E1 instead of 8N1.
    """
    paths: dict[_State, _Path] = {(0, 0): (0.0, b"")} | {(place, _UNKNOWN): (-1.0, b"") for place in range(1, 10)}
    is_first = True
    for octet in octets[:MAX_OCTETS]:
        if not is_first:
            paths = _best(_between(paths, with_parity))
        is_first = False
        found = _inside(paths, octet, with_parity)
        if not found:  # octets were lost: begin anew, with what there is
            score, text = max(paths.values(), default=(0.0, b""))
            found = {(0, 0): (score - 8.0, text)} | {(place, _UNKNOWN): (score - 9.0, text) for place in range(1, 10)}
        paths = found
    return max(paths.values(), default=(0.0, b""))[1]


def _inside(paths: dict[_State, _Path], octet: int, with_parity: bool) -> dict[_State, _Path]:
    """What is possible after a start bit, a one on the true line, and the eight bits of an octet, turned round."""
    bits = [1, *(1 - (octet >> place & 1) for place in range(8))]
    for bit in bits:
        paths = _advance(paths, bit, with_parity)
    return paths


def _between(paths: dict[_State, _Path], with_parity: bool) -> dict[_State, _Path]:
    """What may lie between two octets: nothing, where the receiver takes a low stop bit for a start bit; else zeros of
    the true line; or ones, while the receiver waits for the line to rise, and then zeros."""
    found = dict(paths)
    ones = paths
    for count in range(_LONGEST_RUN + 1):
        zeros = ones
        for _ in range(_LONGEST_RUN):
            zeros = _advance(zeros, 0, with_parity)
            if not zeros:
                break
            for state, (score, text) in zeros.items():
                _keep(found, state, (score - 0.4 if count else score, text))
        ones = _advance(ones, 1, with_parity)
    return found


def _advance(paths: dict[_State, _Path], bit: int, with_parity: bool) -> dict[_State, _Path]:
    """What is possible after one more bit of the true line."""
    following: dict[_State, _Path] = {}
    for state, path in paths.items():
        _step(following, state, path, bit, with_parity)
    return following


def _step(following: dict[_State, _Path], state: _State, path: _Path, bit: int, with_parity: bool) -> None:
    place, value = state
    if place == 0:
        state = (0, 0) if bit else (1, 0)
    elif place == 9:
        if not bit:
            return
        if value != _UNKNOWN:
            weight = _WEIGHTS.get(value)
            if weight is None:
                return
            path = (path[0] + weight, path[1] + bytes((value,)))
        state = (0, 0)
    elif place == 8 and value != _UNKNOWN and bit != (with_parity and value.bit_count() & 1):
        return  # a letter has seven bits; the eighth is 0, or the parity
    else:
        state = (place + 1, value if value == _UNKNOWN or place == 8 else value | bit << (place - 1))
    _keep(following, state, path)


def _keep(paths: dict[_State, _Path], state: _State, path: _Path) -> None:
    known = paths.get(state)
    if known is None or path[0] > known[0]:
        paths[state] = path


def _best(paths: dict[_State, _Path]) -> dict[_State, _Path]:
    if len(paths) <= _BEAM:
        return paths
    return dict(sorted(paths.items(), key=lambda item: -item[1][0])[:_BEAM])
