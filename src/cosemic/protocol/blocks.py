"""Block transfer: putting blocks together, cutting a value into blocks, and the lists that travel in blocks.

IEC 62056-5-3, 7.4.1: the raw data of the blocks of one service, put together, is the encoding of what would have stood
in the service without blocks. Blocks are numbered from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cosemic.apdu.services import ActionOutcome
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, PendingData
from cosemic.enums import ActionResult, DataAccessResult, known
from cosemic.errors import DecodeError, RemoteProtocolError, SequenceError
from cosemic.tolerances import Tolerance, note

_MAX_EMPTY_BLOCKS = 8


class BlockCollector:
    """Puts the blocks of one transfer together, with their numbers checked and their size bounded."""

    __slots__ = ("_empty", "_limit", "number", "octets")

    def __init__(self, limit: int) -> None:
        self.octets = bytearray()
        self.number = 0
        self._limit = limit
        self._empty = 0

    def add(self, number: int, octets: bytes, last: bool) -> None:
        """Take one block; an error means that the transfer cannot go on."""
        if number != self.number + 1:
            raise SequenceError(f"block {number} came where block {self.number + 1} was due")
        self.number = number
        if len(self.octets) + len(octets) > self._limit:
            raise RemoteProtocolError(f"the blocks add up to more than {self._limit} octets")
        if octets:
            self._empty = 0
        elif not last:
            self._empty += 1
            if self._empty > _MAX_EMPTY_BLOCKS:
                raise RemoteProtocolError(f"{self._empty} empty blocks in a row: the transfer makes no progress")
        self.octets += octets


class BlockCutter:
    """Cuts octets into numbered blocks, each as long as the caller has room for."""

    __slots__ = ("_octets", "_position", "number")

    def __init__(self, octets: bytes) -> None:
        self.number = 0
        self._octets = octets
        self._position = 0

    def next(self, room: int) -> tuple[bool, int, bytes]:
        """The next block as (last block, number, octets), at most ``room`` octets with their length field."""
        size = block_octets(room)
        chunk = self._octets[self._position : self._position + size]
        self._position += len(chunk)
        self.number += 1
        return self._position >= len(self._octets), self.number, chunk


def block_octets(room: int) -> int:
    """How many raw octets fit in ``room`` together with their length field."""
    size = max(room - 1, 0)
    while size and size + len(axdr.encode_length(size)) > room:
        size -= 1
    return size


def exact(octets: bytes, tolerances: frozenset[Tolerance]) -> Data:
    """The one value that ``octets`` hold."""
    if Tolerance.TRAILING_OCTETS not in tolerances:
        return Data.decode(octets)
    data, end = Data.decode_prefix(octets, 0)
    if end != len(octets):
        note(Tolerance.TRAILING_OCTETS, f"{len(octets) - end} octets after the value")
    return data


def exact_later(octets: bytes, tolerances: frozenset[Tolerance]) -> Data:
    """As ``exact``, but only when the value is asked for."""
    return PendingData(octets, lambda octets: exact(octets, tolerances))


def encode_get_results(results: Sequence[Data | DataAccessResult | int]) -> bytes:
    """SEQUENCE OF Get-Data-Result."""
    parts = bytearray(axdr.encode_length(len(results)))
    for result in results:
        parts += get_result_octets(result)
    return bytes(parts)


def get_result_octets(result: Data | DataAccessResult | int) -> bytes:
    """Get-Data-Result: the choice octet, then the data or the data-access-result."""
    if isinstance(result, Data):
        return b"\x00" + bytes(result)
    return bytes((1, int(result)))


def decode_get_results(octets: bytes, tolerances: frozenset[Tolerance]) -> tuple[Data | DataAccessResult | int, ...]:
    """The inverse of ``encode_get_results``."""
    count, position = axdr.decode_length(octets, 0)
    _check_count(count, len(octets) - position, 2)
    results: list[Data | DataAccessResult | int] = []
    for _ in range(count):
        result, position = _get_result(octets, position)
        results.append(result)
    _check_end(octets, position, tolerances)
    return tuple(results)


def encode_data_list(values: Iterable[Data]) -> bytes:
    """SEQUENCE OF Data."""
    octets = [bytes(value) for value in values]
    return axdr.encode_length(len(octets)) + b"".join(octets)


def decode_data_list(octets: bytes, tolerances: frozenset[Tolerance]) -> tuple[Data, ...]:
    """The inverse of ``encode_data_list``."""
    count, position = axdr.decode_length(octets, 0)
    _check_count(count, len(octets) - position, 1)
    values: list[Data] = []
    for _ in range(count):
        value, position = Data.decode_prefix(octets, position)
        values.append(value)
    _check_end(octets, position, tolerances)
    return tuple(values)


def encode_outcome(outcome: ActionOutcome) -> bytes:
    """Action-Response-With-Optional-Data."""
    if outcome.return_parameters is None:
        return bytes((int(outcome.result), 0))
    return bytes((int(outcome.result), 1)) + get_result_octets(outcome.return_parameters)


def encode_outcomes(outcomes: Sequence[ActionOutcome]) -> bytes:
    """SEQUENCE OF Action-Response-With-Optional-Data."""
    return axdr.encode_length(len(outcomes)) + b"".join(map(encode_outcome, outcomes))


def decode_outcomes(octets: bytes, tolerances: frozenset[Tolerance]) -> tuple[ActionOutcome, ...]:
    """The inverse of ``encode_outcomes``."""
    count, position = axdr.decode_length(octets, 0)
    _check_count(count, len(octets) - position, 2)
    outcomes: list[ActionOutcome] = []
    for _ in range(count):
        outcome, position = _outcome(octets, position)
        outcomes.append(outcome)
    _check_end(octets, position, tolerances)
    return tuple(outcomes)


def decode_outcome(octets: bytes) -> ActionOutcome:
    """The blocks of a single ACTION response.

    The standard can be read in more than one way here, and meters differ: the blocks may hold the whole
    Action-Response-With-Optional-Data, its Get-Data-Result, or the return value alone. Only one of them uses up all
    octets, except by rare coincidence; they are tried in this order.
    """
    readers = (_outcome, _bare_result, _bare_value)
    for reader in readers:
        try:
            outcome, position = reader(octets, 0)
        except DecodeError:
            continue
        if position == len(octets):
            return outcome
    raise DecodeError("the blocks of the ACTION response do not hold a result", octets=octets[:64], offset=0)


def _get_result(octets: bytes, position: int) -> tuple[Data | DataAccessResult | int, int]:
    if position + 2 > len(octets):
        raise DecodeError("the list of results ends early", octets=octets[-64:], offset=position)
    choice = octets[position]
    if choice == 0:
        return Data.decode_prefix(octets, position + 1)
    if choice == 1:
        return known(DataAccessResult, octets[position + 1]), position + 2
    raise DecodeError(
        f"Get-Data-Result has no choice {choice}", octets=octets[position : position + 64], offset=position
    )


def _outcome(octets: bytes, position: int) -> tuple[ActionOutcome, int]:
    if position + 2 > len(octets):
        raise DecodeError("the list of action results ends early", octets=octets[-64:], offset=position)
    result, present = octets[position], octets[position + 1]
    if present == 0:
        return ActionOutcome(known(ActionResult, result), None), position + 2
    if present != 1:
        raise DecodeError(f"an optional field starts with 0 or 1, not {present}", octets=octets[:64], offset=position)
    value, position = _get_result(octets, position + 2)
    return ActionOutcome(known(ActionResult, result), value), position


def _bare_result(octets: bytes, position: int) -> tuple[ActionOutcome, int]:
    value, position = _get_result(octets, position)
    return ActionOutcome(ActionResult.SUCCESS, value), position


def _bare_value(octets: bytes, position: int) -> tuple[ActionOutcome, int]:
    value, position = Data.decode_prefix(octets, position)
    return ActionOutcome(ActionResult.SUCCESS, value), position


def _check_count(count: int, octets: int, least: int) -> None:
    if count * least > octets:
        raise DecodeError(f"a list of {count} cannot stand in {octets} octets", offset=0)


def _check_end(octets: bytes, position: int, tolerances: frozenset[Tolerance]) -> None:
    if position == len(octets):
        return
    if Tolerance.TRAILING_OCTETS not in tolerances:
        raise DecodeError(f"{len(octets) - position} octets after the list", octets=octets[-64:], offset=position)
    note(Tolerance.TRAILING_OCTETS, f"{len(octets) - position} octets after a list")
