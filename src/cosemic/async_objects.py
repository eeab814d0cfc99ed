"""Objects of a meter that is connected, for asyncio: ``meter["1-0:1.8.0"]``."""

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

    async def run(self, procedure: Procedure[_T]) -> _T:
        """Carry out a procedure."""

    async def list_objects(self) -> list[ObjectEntry]:
        """Read the object list into the cache."""

    def preview(self, request: Set | Action) -> bytes:
        """The APDU that a request would send."""

    @property
    def with_list(self) -> bool:
        """Whether the meter takes several attributes in one request."""


class LiveObject(CosemObject):
    """One object of a connected meter.

    ``await obj.read()`` reads it, then its attributes have values: ``obj.value``, ``obj.time`` (``obj["value"]`` where
    a name means something else here). Methods are called by their names: ``await clock.adjust_to_minute()``. A class
    that is not known yet is looked up in the object list, which is read for that once.
    """

    __slots__ = ("_client",)

    def __init__(self, client: Asks, key: Key, entry: ObjectEntry | None = None) -> None:
        super().__init__(client.cache, key, entry)
        self._client = client

    @overload
    async def read(self) -> dict[str, object]: ...
    @overload
    async def read(self, attribute: Member, /) -> object: ...
    @overload
    async def read(self, first: Member, second: Member, /, *more: Member) -> dict[str, object]: ...

    async def read(self, *attributes: Member) -> object:
        """Read one attribute and return it; several, or without names all that may be read, as a dict by name.

        Register values are ``Reading``s with their unit, date-times aware datetimes where they can be. All attributes
        means without the buffer of a profile and without object lists; what the meter refuses is then left out.
        """
        await self._learn()
        values = await self._client.run(self.reading(*attributes, with_list=self._client.with_list))
        return next(iter(values.values())) if len(attributes) == 1 else values

    @overload
    async def write(self, attribute: Member, value: object, *, force: bool = False) -> None: ...
    @overload
    async def write(
        self, attribute: Member, value: object, *, dry_run: Literal[True], force: bool = False
    ) -> DryRun: ...

    async def write(
        self, attribute: Member, value: object, *, dry_run: bool = False, force: bool = False
    ) -> DryRun | None:
        """Write an attribute in the type that it has; a plain value will do.

        ``dry_run`` returns what would be sent instead. LocalProtocolError where the access rights forbid it (with
        ``force`` the meter is asked all the same); TypeError or ValueError where the value does not fit.
        """
        await self._learn()
        if dry_run:
            await self._client.run(self.before_writing(attribute, value))
            return self.dry_run(self.write_request(attribute, value, force=force), self._client.preview)
        await self._client.run(self.writing(attribute, value, force=force))
        return None

    @overload
    async def call(self, method: Member, parameters: object = None, *, force: bool = False) -> Value: ...
    @overload
    async def call(
        self, method: Member, parameters: object = None, *, dry_run: Literal[True], force: bool = False
    ) -> DryRun: ...

    async def call(
        self, method: Member, parameters: object = None, *, dry_run: bool = False, force: bool = False
    ) -> Value | DryRun:
        """Invoke a method and return what it returns; ``dry_run`` and ``force`` as in ``write``."""
        await self._learn()
        if dry_run:
            return self.dry_run(self.call_request(method, parameters, force=force), self._client.preview)
        return await self._client.run(self.calling(method, parameters, force=force))

    def __getattr__(self, name: str) -> Any:
        return self._member(name, functools.partial(self.call, name))

    async def _learn(self) -> None:
        if not self.known:
            await self._client.list_objects()
