"""Names from OBIS codes that stand beside the values, in the shapes that meters send them.

============================================================  ==========================================
shape                                                         seen at
============================================================  ==========================================
code, value, code, value, ... (texts, times before and among)  Landis+Gyr E450 (AT), Kamstrup, Kaifa (SE)
code, value, {scaler, unit}, code, ...                         Netz NÖ, Kaifa
{code, value}, {code, value, {scaler, unit}}                   Aidon, Kaifa (AT)
{class, code, attribute, value}                                definitions with their values
{{class, code, attribute}, value}, bare or with tags           Sagemcom XT211, EGD
============================================================  ==========================================

All of them also nested in arrays and structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cosemic.codec.axdr import DataType
from cosemic.cosem.values import ScalerUnit
from cosemic.obis import ObisCode
from cosemic.push.meaning.labelling import Labelled, Labels
from cosemic.push.meaning.nodes import ARRAY, OCTET_STRING, STRUCTURE, Body, Node, is_null, is_scaler_unit
from cosemic.push.messages import Label

_DATE_TIME_OCTETS: Final = 12
_LONGEST_TAIL: Final = 3


def label_by_pairs(body: Body, nodes: Sequence[Node] | None = None) -> Labels | None:
    """The values that have their OBIS code beside them; None where there is no such pair.

    ``nodes`` are those to look at; by default all of the body.
    """
    finder = _Finder(body)
    if nodes is None:
        nodes = (body.root,) if body.root.children is None else body.root.children
        if finder.structure(body.root):
            nodes = ()
    finder.sequence(nodes)
    return finder.labels if finder.labels.items else None


class _Finder:
    def __init__(self, body: Body) -> None:
        self.body = body
        self.labels = Labels()

    def sequence(self, nodes: Sequence[Node]) -> None:
        """Pairs one after another, and structures that are pairs or have some inside."""
        body = self.body
        at = 0
        while at < len(nodes):
            node = nodes[at]
            at += 1
            obis = body.obis(node)
            if obis is None:
                self.other(node)
                continue
            following = nodes[at] if at < len(nodes) else None
            is_code = following is not None and body.obis(following) is not None
            if following is None or (is_code and at + 1 < len(nodes) and body.obis(nodes[at + 1]) is None):
                self.labels.rest.append(node)
                self.labels.doubts.append(f"no value follows {obis}")
                continue
            scaler_unit = body.scaler_unit(nodes[at + 1]) if at + 1 < len(nodes) else None
            if scaler_unit is not None:
                self.labels.pinned.append(nodes[at + 1])
            self.labels.pinned.append(node)
            self.labels.items.append(Labelled(following, Label.PAIR, obis, scaler_unit=scaler_unit))
            at += 1 if scaler_unit is None else 2

    def other(self, node: Node) -> None:
        """A node that is no code: a pair, something with pairs inside, or a value without a name."""
        if node.children is None:
            if not is_null(node):
                self.labels.rest.append(node)
        elif not self.structure(node):
            before = len(self.labels.items)
            rest = len(self.labels.rest)
            self.sequence(node.children)
            if len(self.labels.items) == before:  # nothing in it has a name: it is one value without a name
                self.labels.rest[rest:] = [node]

    def structure(self, node: Node) -> bool:
        """One structure that is one pair; False where it is none."""
        parts = node.children
        if node.tag not in (STRUCTURE, ARRAY) or parts is None or len(parts) < 2:
            return False
        body = self.body
        descriptor = body.descriptor(parts[0])
        if descriptor is not None and not (node.tag == ARRAY and body.descriptor(parts[1]) is not None):
            self.take(node, parts[0], parts[1], parts[2:], *descriptor)
            return True
        if node.tag != STRUCTURE:
            return False
        descriptor = body.descriptor(node)
        if descriptor is not None:
            if len(parts) < 4:
                return False
            self.labels.pinned += parts[:3]
            self.take(node, parts[1], parts[3], parts[4:], *descriptor)
            return True
        obis = body.obis(parts[0])
        if obis is None or not self.is_tail(parts[2:]) or (len(parts) > 2 and body.obis(parts[1]) is not None):
            return False
        self.take(node, parts[0], parts[1], parts[2:], None, obis, None)
        return True

    def is_tail(self, parts: Sequence[Node]) -> bool:
        """Whether these can follow the value of one pair: scaler and unit, a time, a status."""
        return len(parts) <= _LONGEST_TAIL and all(
            is_scaler_unit(part) if part.children is not None else self.body.obis(part) is None for part in parts
        )

    def take(
        self,
        node: Node,
        key: Node,
        value: Node,
        tail: Sequence[Node],
        class_id: int | None,
        obis: ObisCode,
        attribute: int | None,
    ) -> None:
        """Take a value with its name and what follows it; a scaler that stands before the value counts as well."""
        if is_scaler_unit(value) and len(tail) == 1 and not is_scaler_unit(tail[0]):
            value, tail = tail[0], (value,)
        scaler_unit: ScalerUnit | None = None
        time: Node | None = None
        if len(tail) == 2 and tail[0].tag == DataType.INTEGER and tail[1].tag == DataType.ENUM:
            scaler, unit = self.body.whole_number(tail[0]), self.body.whole_number(tail[1])
            if scaler is not None and unit is not None:
                scaler_unit = ScalerUnit(scaler, unit)
                self.labels.pinned += tail
                tail = ()
        for part in tail:
            known = self.body.scaler_unit(part)
            if known is not None and scaler_unit is None:
                scaler_unit = known
                self.labels.pinned.append(part)
            elif time is None and _may_be_time(part):
                time = part
            elif not is_null(part):
                self.labels.rest.append(part)
        self.labels.pinned.append(key)
        self.labels.items.append(
            Labelled(value, Label.PAIR, obis, class_id, attribute, scaler_unit=scaler_unit, time=time)
        )


def _may_be_time(node: Node) -> bool:
    return node.tag == DataType.DATE_TIME or (node.tag == OCTET_STRING and node.end - node.content == _DATE_TIME_OCTETS)
