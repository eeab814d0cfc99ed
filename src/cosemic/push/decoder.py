"""Octets to readings: reader, decryption and meaning in one, without I/O, without an event loop.

``PushDecoder`` is for one line: feed it what came, in pieces of any size, and take what it gives. Where many lines come
in, each has a decoder of its own and all share one ``Interpreter``: keys, counters that have been seen, layouts.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from copy import copy
from dataclasses import replace
from datetime import tzinfo
from typing import Protocol, runtime_checkable

from cosemic.errors import DecodeError
from cosemic.push.meaning.interpreting import NoPush, interpret
from cosemic.push.meaning.layout import Layout
from cosemic.push.messages import Decoded, Diagnosis, Push, Undecoded
from cosemic.push.meters import KnownMeter, KnownMeters, OneMeter
from cosemic.push.p1.texts import P1Error, interpret_p1
from cosemic.push.protection.decryption import Opened, PushRefused, PushSecurity
from cosemic.push.protection.keys import PushKeys
from cosemic.push.reader import StreamReader
from cosemic.push.telegrams import Content, Dropped, Framing, Heard, Telegram
from cosemic.tolerances import DEFAULT, Tolerance

_NOTHING = KnownMeter()
_PLAIN = (
    "the message is not protected, and there are keys for the meter that it seems to come from; such messages are "
    "accepted from others only. If it does not protect what it sends, say so: accept_plain in its part of the inventory"
)


@runtime_checkable
class KeysBySource(Protocol):
    """Keys that depend on where a message came from too, such as those of an inventory."""

    def from_source(self, source: str) -> PushKeys:
        """The keys as they are for messages from there."""


class Interpreter:
    """Telegrams to pushes. Any number of decoders in one thread may share it; of messages it keeps counters only.

    ``counters`` outlives the process where it is given: see ``PushSecurity``.
    """

    __slots__ = ("_keys", "_known", "_layouts", "_security", "_source", "_tolerances", "_zone")

    def __init__(
        self,
        keys: PushKeys | None = None,
        *,
        meters: KnownMeters | None = None,
        layouts: Iterable[Layout] | None = None,
        zone: tzinfo | None = None,
        accept_plain: bool | None = None,
        system_title: bytes | str | None = None,
        counters: MutableMapping[str, int] | None = None,
        tolerances: frozenset[Tolerance] = DEFAULT,
    ) -> None:
        self._keys = keys
        self._security = PushSecurity(
            keys, accept_plain=accept_plain, system_title=system_title, counters=counters, tolerances=tolerances
        )
        self._known = meters
        self._layouts = None if layouts is None else tuple(layouts)
        self._zone = zone
        self._tolerances = tolerances
        self._source: str | None = None

    def at(self, source: str) -> Interpreter:
        """The same for what comes from one source; it shares what was seen of counters."""
        keys: object = self._keys
        by_source = keys if isinstance(keys, KeysBySource) else None
        if self._known is None and by_source is None:
            return self
        other = copy(self)
        other._source = source
        if by_source is not None:
            other._security = self._security.with_keys(by_source.from_source(source))
        return other

    def decode(self, telegram: Telegram) -> Push | Undecoded:
        """What the telegram says, or why it says nothing; never raises for what a peer sent."""
        meters, source = self._known, self._source
        try:
            opened = self._open(telegram.octets)
        except PushRefused as refused:
            title = refused.system_title
            known = None if meters is None else meters.by_sender(title, source)
            return Undecoded(
                refused.diagnosis,
                refused.text,
                telegram,
                title,
                refused.invocation_counter,
                None if known is None else known.name,
            )
        known = _NOTHING
        if meters is not None:
            protection = opened.protection
            title = None if protection is None else protection.system_title
            known = meters.by_sender(title, source) or _NOTHING
            if known.has_keys and not known.accepts_plain and protection is None:
                return Undecoded(Diagnosis.NOT_PROTECTED, _PLAIN, telegram, meter=known.name)
        try:
            push = self._understand(telegram, opened, known)
            if meters is not None and known.name is None and push.meter_id is not None:
                found = meters.by_identity(push.meter_id)
                known = known if found is None or found.has_keys else found
                if known.is_of_use:  # it is known only now whose it is
                    push = self._understand(telegram, opened, known)
        except DecodeError as error:
            return _not_understood(telegram, opened, known, error)
        if known.name is not None or opened.notes:
            return replace(push, meter=known.name, notes=opened.notes + push.notes)
        return push

    def _open(self, octets: bytes) -> Opened:
        try:
            return self._security.open(octets)
        except PushRefused as refused:
            if refused.diagnosis is not Diagnosis.NOT_PROTECTED or refused.system_title or self._known is None:
                raise
            known = self._known.by_sender(None, self._source)
            if known is None or not known.accepts_plain:
                raise
        return self._security.open(octets, accept_plain=True)

    def _understand(self, telegram: Telegram, opened: Opened, known: KnownMeter) -> Push:
        zone = known.zone or self._zone
        if opened.content is Content.P1_TEXT:
            return interpret_p1(
                telegram, opened.apdu, protection=opened.protection, zone=zone, tolerances=self._tolerances
            )
        return interpret(
            telegram,
            opened.apdu,
            protection=opened.protection,
            layouts=self._layouts,
            layout=known.layout,
            definition=known.definition,
            zone=zone,
            tolerances=self._tolerances,
        )


def _not_understood(telegram: Telegram, opened: Opened, known: KnownMeter, error: DecodeError) -> Undecoded:
    if isinstance(error, NoPush):
        diagnosis = Diagnosis.NO_PUSH
    elif isinstance(error, P1Error):
        diagnosis = error.diagnosis
    else:
        diagnosis = Diagnosis.NOT_UNDERSTOOD if telegram.is_complete else Diagnosis.TRUNCATED
    protection = opened.protection
    return Undecoded(
        diagnosis,
        str(error),
        telegram,
        None if protection is None else protection.system_title,
        None if protection is None else protection.invocation_counter,
        known.name,
    )


class PushDecoder:
    """Feed octets, get readings.

    ``keys`` finds keys by system title; a ``MeterKeys`` serves for any. ``framing`` None recognises it, also anew in
    mid-stream. ``layout``, ``definition`` and ``zone`` say what is known of the one meter on this line, ``meters`` does
    so for many. ``accept_plain`` takes messages without protection though keys were given. ``interpreter`` is one that
    is shared, in place of all of these but ``framing``.
    """

    __slots__ = ("_interpreter", "_reader")

    def __init__(
        self,
        keys: PushKeys | None = None,
        *,
        framing: Framing | None = None,
        layout: Layout | str | None = None,
        definition: object = None,
        zone: tzinfo | None = None,
        meters: KnownMeters | None = None,
        accept_plain: bool | None = None,
        system_title: bytes | str | None = None,
        tolerances: frozenset[Tolerance] = DEFAULT,
        interpreter: Interpreter | None = None,
    ) -> None:
        if interpreter is None:
            if meters is None and (layout is not None or definition is not None):
                meters = OneMeter(KnownMeter(layout=layout, definition=definition))
            interpreter = Interpreter(
                keys,
                meters=meters,
                zone=zone,
                accept_plain=accept_plain,
                system_title=system_title,
                tolerances=tolerances,
            )
        self._interpreter = interpreter
        self._reader = StreamReader(framing, tolerances=tolerances)

    def feed(self, octets: bytes) -> list[Decoded]:
        """Take what came; gives what it completes. Never raises for what the octets are."""
        return self._decode(self._reader.feed(octets))

    def end_of_datagram(self) -> list[Decoded]:
        """A datagram is over, and with it any frame; general blocks go on to wait for their rest."""
        return self._decode(self._reader.end_of_datagram())

    def idle(self) -> list[Decoded]:
        """The line is silent: what has begun is not going to end."""
        return self._decode(self._reader.idle())

    def end(self) -> list[Decoded]:
        """The stream is over."""
        return self._decode(self._reader.end())

    def reset(self) -> None:
        """Forget what has begun: the line was opened anew."""
        self._reader.reset()

    def _decode(self, heard: list[Heard]) -> list[Decoded]:
        if not heard:
            return []
        decode = self._interpreter.decode
        return [item if isinstance(item, Dropped) else decode(item) for item in heard]
