"""Columns of a profile as columns of text. Needs numpy; import it only where it is wanted."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from cosemic.codec.columns import Numbers, Strings
from cosemic.cosem.profile_files import Style
from cosemic.cosem.profile_times import Times
from cosemic.cosem.profile_vectors import Vectors
from cosemic.enums import DataType

_SECOND: Final = 1_000_000
_HEX: Final = np.frombuffer(b"".join(b"%02x" % octet for octet in range(256)), np.uint8).reshape(256, 2)
_SMALLEST: Final = -6
"""The scaler down to which Arrow writes decimals without an exponent."""


def column_texts(pyarrow: Any, vectors: Vectors, place: int, style: Style) -> Any:
    """An Arrow array of texts, each what ``style.cell`` writes for the cell."""
    vector = vectors.vector(place) if len(vectors) else None
    texts = None
    if isinstance(vector, Times):
        texts = _times(pyarrow, vector, style)
    elif isinstance(vector, Numbers):
        scaler = vectors.columns[place].scaler
        if vector.values.dtype != np.float64 and (scaler is None or scaler >= _SMALLEST):
            texts = vectors.arrow_column(pyarrow, place).cast(pyarrow.string())
    elif isinstance(vector, Strings):
        if DataType.OCTET_STRING in vectors.tags(place):
            texts = _quoted(pyarrow, _hex(pyarrow, vector), style)
        else:
            found = vectors.arrow_column(pyarrow, place)
            if not pyarrow.compute.any(pyarrow.compute.match_substring_regex(found, style.unsafe)).as_py():
                texts = _quoted(pyarrow, found, style)
    if texts is None:
        return pyarrow.array([style.cell(cell) for cell in vectors.cells(place)], pyarrow.string())
    return pyarrow.compute.fill_null(texts, style.null)


def _quoted(pyarrow: Any, texts: Any, style: Style) -> Any:
    return pyarrow.compute.binary_join_element_wise(style.quote, texts, style.quote, "") if style.quote else texts


def _times(pyarrow: Any, times: Times, style: Style) -> Any:
    """ISO 8601 with the offset; None for times that have none, and for parts of seconds."""
    if times.utc is None or bool((times.local % _SECOND).any()):
        return None
    offsets, inverse = np.unique(times.local - times.utc, return_inverse=True)
    if bool((offsets % (60 * _SECOND)).any()):
        return None
    ends = [_offset(int(offset) // (60 * _SECOND)) + style.quote for offset in offsets.tolist()]
    made = pyarrow.array(times.local, pyarrow.timestamp("us")).cast(pyarrow.timestamp("s"))
    seconds = pyarrow.compute.strftime(made, format="%Y-%m-%dT%H:%M:%S")
    ending = pyarrow.array(ends).take(pyarrow.array(inverse))
    texts = pyarrow.compute.binary_join_element_wise(style.quote, seconds, ending, "")
    if times.valid is None:
        return texts
    return pyarrow.compute.if_else(pyarrow.array(times.valid), texts, pyarrow.scalar(None, pyarrow.string()))


def _offset(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _hex(pyarrow: Any, strings: Strings) -> Any:
    octets = np.ascontiguousarray(_HEX[strings.octets])
    valid = None if strings.valid is None else pyarrow.py_buffer(np.packbits(strings.valid, bitorder="little"))
    buffers = [valid, pyarrow.py_buffer(strings.offsets.astype(np.int64) * 2), pyarrow.py_buffer(octets)]
    wide = pyarrow.Array.from_buffers(pyarrow.large_string(), len(strings.offsets) - 1, buffers)
    return wide.cast(pyarrow.string())
