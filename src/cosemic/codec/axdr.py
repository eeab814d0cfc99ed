"""A-XDR: the values of COSEM attributes to octets and back (IEC 62056-5-3, type Data; IEC 61334-6).

``decode`` gives plain values: null-data and dont-care None, array and compact-array list, structure tuple, octet-string
bytes, the other strings str, numbers int or float, boolean bool, bit-string BitString, date-time, date and time the
classes of ``cosemic.times``. An octet-string stays octets, whatever it may mean.
"""

from __future__ import annotations

from cosemic.codec.compact import TypeDescription, compact_array, compact_elements
from cosemic.codec.constructors import (
    array,
    bcd,
    bit_string,
    boolean,
    date,
    date_time,
    delta_double_long,
    delta_double_long_unsigned,
    delta_integer,
    delta_long,
    delta_long_unsigned,
    delta_unsigned,
    dont_care,
    double_long,
    double_long_unsigned,
    enum,
    float32,
    float64,
    floating_point,
    integer,
    long,
    long64,
    long64_unsigned,
    long_unsigned,
    null_data,
    octet_string,
    structure,
    time,
    unsigned,
    utf8_string,
    visible_string,
)
from cosemic.codec.data import Data, PendingData
from cosemic.codec.decoding import decode, decode_prefix, decode_typed, decode_typed_prefix
from cosemic.codec.encoding import encode
from cosemic.codec.limits import DEFAULT_LIMITS, Limits
from cosemic.codec.scalars import decode_length, encode_length
from cosemic.codec.text import describe, from_text
from cosemic.codec.typed import BitString, Typed, Value, type_name
from cosemic.enums import DataType

__all__ = [
    "DEFAULT_LIMITS",
    "BitString",
    "Data",
    "DataType",
    "Limits",
    "PendingData",
    "TypeDescription",
    "Typed",
    "Value",
    "array",
    "bcd",
    "bit_string",
    "boolean",
    "compact_array",
    "compact_elements",
    "date",
    "date_time",
    "decode",
    "decode_length",
    "decode_prefix",
    "decode_typed",
    "decode_typed_prefix",
    "delta_double_long",
    "delta_double_long_unsigned",
    "delta_integer",
    "delta_long",
    "delta_long_unsigned",
    "delta_unsigned",
    "describe",
    "dont_care",
    "double_long",
    "double_long_unsigned",
    "encode",
    "encode_length",
    "enum",
    "float32",
    "float64",
    "floating_point",
    "from_text",
    "integer",
    "long",
    "long64",
    "long64_unsigned",
    "long_unsigned",
    "null_data",
    "octet_string",
    "structure",
    "time",
    "type_name",
    "unsigned",
    "utf8_string",
    "visible_string",
]
