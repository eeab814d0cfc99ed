"""Objects of a meter that is connected, for scripts and threads: ``meter["1-0:1.8.0"]``."""

from __future__ import annotations

import functools
from typing import Any, Literal, Protocol, TypeVar, overload

from cosemic.codec.axdr import Value
from cosemic.cosem.access import MeterCache, Procedure
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.objects import CosemObject, DryRun, Key, Member
from cosemic.protocol.requests import Action, Set

_T = TypeVar("_T")


class Asks(Protocol):
    """What a live object needs of its client."""

    cache: MeterCache

    def run(self, procedure: Procedure[_T]) -> _T:
        """Carry out a procedure."""

    def list_objects(self) -> list[ObjectEntry]:
        """Read the object list into the cache."""

    def preview(self, request: Set | Action) -> bytes:
        """The APDU that a request would send."""

    @property
    def with_list(self) -> bool:
        """Whether the meter takes several attributes in one request."""


class LiveObject(CosemObject):
    """One object of a connected meter.

    ``obj.read()`` reads it, then its attributes have values: ``obj.value``, ``obj.time`` (``obj["value"]`` where
    a name means something else here). Methods are called by their names: ``clock.adjust_to_minute()``. A class
    that is not known yet is looked up in the object list, which is read for that once.
    """

    __slots__ = ("_client",)

    def __init__(self, client: Asks, key: Key, entry: ObjectEntry | None = None) -> None:
        super().__init__(client.cache, key, entry)
        self._client = client

    @overload
    def read(self) -> dict[str, object]: ...
    @overload
    def read(self, attribute: Member, /) -> object: ...
    @overload
    def read(self, first: Member, second: Member, /, *more: Member) -> dict[str, object]: ...

    def read(self, *attributes: Member) -> object:
        """Read one attribute and return it; several, or without names all that may be read, as a dict by name.

        Register values are ``Reading``s with their unit, date-times aware datetimes where they can be. All attributes
        means without the buffer of a profile and without object lists; what the meter refuses is then left out.
        """
        self._learn()
        values = self._client.run(self.reading(*attributes, with_list=self._client.with_list))
        return next(iter(values.values())) if len(attributes) == 1 else values

    @overload
    def write(self, attribute: Member, value: object, *, force: bool = False) -> None: ...
    @overload
    def write(self, attribute: Member, value: object, *, dry_run: Literal[True], force: bool = False) -> DryRun: ...

    def write(self, attribute: Member, value: object, *, dry_run: bool = False, force: bool = False) -> DryRun | None:
        """Write an attribute in the type that it has; a plain value will do.

        ``dry_run`` returns what would be sent instead. LocalProtocolError where the access rights forbid it (with
        ``force`` the meter is asked all the same); TypeError or ValueError where the value does not fit.
        """
        self._learn()
        if dry_run:
            self._client.run(self.before_writing(attribute, value))
            return self.dry_run(self.write_request(attribute, value, force=force), self._client.preview)
        self._client.run(self.writing(attribute, value, force=force))
        return None

    @overload
    def call(self, method: Member, parameters: object = None, *, force: bool = False) -> Value: ...
    @overload
    def call(
        self, method: Member, parameters: object = None, *, dry_run: Literal[True], force: bool = False
    ) -> DryRun: ...

    def call(
        self, method: Member, parameters: object = None, *, dry_run: bool = False, force: bool = False
    ) -> Value | DryRun:
        """Invoke a method and return what it returns; ``dry_run`` and ``force`` as in ``write``."""
        self._learn()
        if dry_run:
            return self.dry_run(self.call_request(method, parameters, force=force), self._client.preview)
        return self._client.run(self.calling(method, parameters, force=force))

    def __getattr__(self, name: str) -> Any:
        return self._member(name, functools.partial(self.call, name))

    def _learn(self) -> None:
        if not self.known:
            self._client.list_objects()
