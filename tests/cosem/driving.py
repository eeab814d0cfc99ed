"""Drives procedures without a protocol: against a simulated meter, or against answers written down in a test."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.codec.axdr import Data, Typed
from cosemic.enums import DataAccessResult
from cosemic.errors import ServiceError
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Get, GetResults


def drive(procedure, execute: Callable):
    """Carry a procedure out; ``execute`` answers a request, or raises a ServiceError that is thrown in."""
    try:
        request = next(procedure)
        while True:
            try:
                answer = execute(request)
            except ServiceError as error:
                request = procedure.throw(error)
            else:
                request = procedure.send(answer)
    except StopIteration as stop:
        return stop.value


class ScriptedMeter:
    """Answers GETs from a table; what is not in the table is object-undefined. Keeps what it was asked."""

    def __init__(self, values: dict[tuple[int, str, int], object]) -> None:
        self.values = {(c, ObisCode.parse(o), a): value for (c, o, a), value in values.items()}
        self.asked: list[Get] = []

    def __call__(self, request):
        assert isinstance(request, Get)
        self.asked.append(request)
        return GetResults(tuple(self._one(at, access) for at, access in request.items))

    def _one(self, at, access):
        value = self.values.get((at.class_id, at.instance, at.attribute), DataAccessResult.OBJECT_UNDEFINED)
        if callable(value):
            value = value(access)
        return Data.of(value) if isinstance(value, Typed) else value
