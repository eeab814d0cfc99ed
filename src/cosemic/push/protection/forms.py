"""The forms of notifications that were met: where another of the same form comes, its values need not be decoded.

Meters push the same structure again and again. What a form fixes are the types and the lengths; what varies is inside
values. Octets of a form that was valid once are valid.
"""

from __future__ import annotations

import re
from typing import Final

from cosemic.codec.scalars import FORMATS, SIZE, decode_length
from cosemic.enums import DataType


class KnownForms:
    """Up to ``MOST_FORMS`` forms, one for each length of a notification; the one that came first gives way."""

    __slots__ = ("_forms",)

    def __init__(self) -> None:
        self._forms: dict[int, re.Pattern[bytes]] = {}

    def matches(self, octets: bytes) -> bool:
        """Whether these octets have a form that was learned."""
        form = self._forms.get(len(octets))
        return form is not None and form.fullmatch(octets) is not None

    def learn(self, octets: bytes, body: int) -> None:
        """Remember the form of a valid data-notification whose values begin at ``body``."""
        form = _form(octets, body)
        if form is None:
            return
        forms = self._forms
        forms.pop(len(octets), None)
        if len(forms) >= MOST_FORMS:
            del forms[next(iter(forms))]
        forms[len(octets)] = form


MOST_FORMS: Final = 64


def _form(octets: bytes, body: int) -> re.Pattern[bytes] | None:
    """A pattern for octets of the same types and lengths; None where a type may refuse what is inside it."""
    head = body - 1 if octets[body - 1] == 0 else body - 1 - _DATE_TIME
    pieces = [re.escape(octets[:1]), b".{4}", re.escape(octets[5 : head + 1]), b".{%d}" % (body - 1 - head)]
    offset = body
    while offset < len(octets):
        tag = octets[offset]
        content = offset + 1
        size = SIZE[tag]
        if tag in _COUNTED:
            count, content = decode_length(octets, content)
            size = (count + 7) // 8 if tag == DataType.BIT_STRING else 0 if tag in _CONSTRUCTED else count
        elif tag not in _PLAIN:
            return None
        pieces.append(re.escape(octets[offset:content]))
        if size:
            pieces.append(b".{%d}" % size)
        offset = content + size
    return re.compile(b"".join(pieces), re.DOTALL) if offset == len(octets) else None


_DATE_TIME: Final = 12
_CONSTRUCTED: Final = frozenset((int(DataType.ARRAY), int(DataType.STRUCTURE)))
_COUNTED: Final = _CONSTRUCTED | {
    int(DataType.OCTET_STRING),
    int(DataType.VISIBLE_STRING),
    int(DataType.BIT_STRING),
}
_PLAIN: Final = frozenset(int(tag) for tag in FORMATS) | {int(DataType.NULL_DATA), int(DataType.DONT_CARE)}
