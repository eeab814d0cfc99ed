"""The asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Literal, overload

from cosemic.apdu.services import SelectiveAccess
from cosemic.async_connection import AsyncConnection, Opener
from cosemic.async_objects import LiveObject
from cosemic.codec.axdr import Data, Typed, Value
from cosemic.cosem import procedures, security_setup
from cosemic.cosem.access import GetItem, ItemResult, Obis
from cosemic.cosem.invocation_counter import CounterSource, read_invocation_counter
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.objects import Key, read_units
from cosemic.cosem.procedures import CLOCK, CURRENT_ASSOCIATION
from cosemic.cosem.profile import Profile
from cosemic.cosem.profile_reading import read_profile
from cosemic.cosem.push_objects import PUSH_SETUP
from cosemic.cosem.security_setup import SETUP
from cosemic.cosem.selection import CaptureObject, Moment
from cosemic.cosem.values import Reading
from cosemic.enums import DataAccessResult
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Action, Get, Set
from cosemic.security.keys import SecurityContext
from cosemic.times import CosemDateTime
from cosemic.transports.streams import Stream
from cosemic.transports.targets import Target

if TYPE_CHECKING:
    from cosemic.cosem.clock import ClockState, Synchronisation
    from cosemic.cosem.image_transfer import ImageState, ImageTransfer
    from cosemic.cosem.meter_model import MeterModel
    from cosemic.cosem.tariffs import TariffSettings
    from cosemic.enums import CertificateType
    from cosemic.security.certificate_store import CertificateInfo, Identification
    from cosemic.security.certificates import Certificate
    from cosemic.security.ec import PrivateKey
    from cosemic.security.issuing import CertificateRequest
    from cosemic.security.suites import KeyId, SecurityPolicy


class DlmsClient(AsyncConnection):
    """A client of one logical device of a meter, for asyncio.

    ``way`` is a URL (see ``cosemic.transports.targets``), a connected ``Stream`` of your own, or a coroutine function
    that opens one; for the latter two ``framing`` says "wrapper" or "hdlc".

    ``timeout`` is the time for one answer with all its repetitions, in seconds; a long answer gets it again for each
    block, up to ``exchange_limit``. ``response_timeout`` is the time until a frame is asked for again (``timeout``
    shared among the tries by default), ``retries`` how often; ``connect_timeout`` bounds the opening of the stream,
    ``connect_delay`` is a pause after it (GSM modems). HDLC takes ``physical_address``, ``address_size`` (octets),
    ``information_size`` and ``window`` (one number, or (transmit, receive)) and ``inter_octet_timeout``. ``tls`` adds
    to a ``tls://`` URL what should not stand there. ``gateway`` is the (network id, physical address) of a meter behind
    a gateway. With ``broadcast`` there is no association: ``set`` and ``action`` are sent unconfirmed to all stations
    of the address, and nothing is waited for.

    ``referencing`` "sn" is for meters with short names: all methods are the same, the object list is read before the
    first request that needs it (into ``cache.short_names``).

    ``block_transfer_window`` asks for answers in general blocks, so many in one go (1 to 63; 0 for none at all),
    ``push_policy`` the least protection that a push must have to be told of.

    One exchange at a time: calls from several tasks queue. After an error of the line, a time-out or a cancelled
    exchange the client is closed, and calls say so until ``reconnect()``; after a ``ServiceError`` it goes on.
    """

    __slots__ = ()

    # Services

    @overload
    async def get(
        self,
        class_id: int,
        obis: Obis,
        attribute: int,
        access: SelectiveAccess | None = None,
        *,
        typed: Literal[False] = False,
    ) -> Value: ...

    @overload
    async def get(
        self,
        class_id: int,
        obis: Obis,
        attribute: int,
        access: SelectiveAccess | None = None,
        *,
        typed: Literal[True],
    ) -> Typed: ...

    async def get(
        self,
        class_id: int,
        obis: Obis,
        attribute: int,
        access: SelectiveAccess | None = None,
        *,
        typed: bool = False,
    ) -> Value | Typed:
        """Read an attribute as plain Python, or with its types; DataAccessError when the meter refuses."""
        request = procedures.get_request(class_id, obis, attribute, access)
        data = procedures.got(request, await self.request(request), self.cache)
        return data.typed if typed else data.value

    async def get_list(self, items: Iterable[GetItem]) -> AsyncIterator[ItemResult]:
        """Read several attributes at once; each result has ``value`` or ``error``."""
        for item in await self.run(procedures.get_list(items, with_list=self.with_list, cache=self.cache)):
            yield item

    async def set(
        self,
        class_id: int,
        obis: Obis,
        attribute: int,
        value: Typed | Data | None,
        access: SelectiveAccess | None = None,
        *,
        check: bool = True,
    ) -> DataAccessResult | int:
        """Write an attribute. DataAccessError when the meter refuses; with ``check`` False its code is returned."""
        return await self.run(
            procedures.set_attribute(class_id, obis, attribute, value, access, check=check, cache=self.cache)
        )

    async def action(self, class_id: int, obis: Obis, method: int, parameters: Typed | Data | None = None) -> Value:
        """Invoke a method; what it returns as plain Python, None without any. ActionError when the meter refuses."""
        return await self.run(procedures.call_method(class_id, obis, method, parameters, cache=self.cache))

    async def access(
        self,
        requests: Iterable[Get | Set | Action],
        *,
        break_on_error: bool = False,
        self_descriptive: bool = False,
    ) -> list[ItemResult]:
        """Read, write and invoke in one ACCESS, in this order; each result has ``value`` or ``error``.

        ``requests`` are ``Get.one(...)``, ``Set.one(...)`` and ``Action.one(...)`` in any mixture. With
        ``break_on_error`` the meter leaves undone what follows a failure (other-reason). LocalProtocolError where the
        meter did not agree to ACCESS when the association was opened.
        """
        return await self.run(
            procedures.access(
                requests, break_on_error=break_on_error, self_descriptive=self_descriptive, cache=self.cache
            )
        )

    async def read_register(self, obis: Obis, *, class_id: int | None = None) -> Reading:
        """Read a register (classes 3, 4, 5) as an exact value with its unit."""
        return await self.run(
            procedures.read_register(obis, class_id=class_id, with_list=self.with_list, cache=self.cache)
        )

    async def read_clock(self, obis: Obis = CLOCK, *, zone: tzinfo | None = None) -> datetime | CosemDateTime:
        """The meter's time; ``zone`` for a clock whose deviation is not specified."""
        return await self.run(procedures.read_clock(obis, zone=zone, cache=self.cache))

    async def read_push_definition(self, obis: Obis = PUSH_SETUP) -> list[Value]:
        """What a push setup pushes, as ``PushDecoder`` and the inventory of a listener take it for a definition."""
        return await self.run(procedures.read_push_definition(obis, cache=self.cache))

    async def set_clock(self, time: Moment, obis: Obis = CLOCK) -> None:
        """Set the meter's time: an aware datetime in the meter's own zone, or a CosemDateTime."""
        await self.run(procedures.set_clock(time, obis, cache=self.cache))

    async def clock_state(self, obis: Obis = CLOCK, *, zone: tzinfo | None = None) -> ClockState:
        """Everything that the clock tells, with its offset from this computer's, measured over one reading.

        ``state.zone()`` is the meter's own zone with its daylight saving, as a tzinfo.
        """
        from cosemic.cosem.clock import read_clock_state

        reading = read_clock_state(obis, now=_now, zone=zone, with_list=self.with_list, cache=self.cache)
        return await self.run(reading)

    async def synchronise_clock(
        self,
        obis: Obis = CLOCK,
        *,
        threshold: timedelta = timedelta(seconds=2),
        limit: timedelta = timedelta(hours=1),
        force: bool = False,
        zone: tzinfo | None = None,
    ) -> Synchronisation:
        """Bring the clock to this computer's time where it is off by more than ``threshold``; see ``cosem.clock``.

        Off by more than ``limit`` it is left alone with a LocalProtocolError, unless ``force``.
        """
        from cosemic.cosem.clock import synchronise

        return await self.run(
            synchronise(_now, obis, threshold=threshold, limit=limit, force=force, zone=zone, cache=self.cache)
        )

    async def transfer_image(self, transfer: ImageTransfer, *, verify: bool = True) -> ImageState:
        """Send an image, or what the meter lacks of it, and have it verified; after a cut call it again.

        Nothing is activated: that is ``activate_image``.
        """
        state = await self.run(transfer.send())
        while verify and (pause := await self.run(transfer.verify())):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(pause)
        return state

    async def activate_image(self, transfer: ImageTransfer) -> None:
        """Activate the image that was verified. The meter may restart meanwhile: connect anew and call it again."""
        while pause := await self.run(transfer.activate()):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(pause)

    async def tariffs(self) -> TariffSettings:
        """Calendars, special days, scripts, schedules, limiters, register activations: see ``cosem.tariffs``."""
        from cosemic.cosem.tariffs import read_tariffs

        return await self.run(read_tariffs(with_list=self.with_list, cache=self.cache))

    async def objects(self, association: Obis = CURRENT_ASSOCIATION, *, units: bool = False) -> list[LiveObject]:
        """The objects that this association sees; errors name access rights from then on, and requests keep to them.

        ``units`` reads the scaler_unit of every register with them, so that each has its ``unit``.
        """
        entries = await self.list_objects(association)
        if units:
            await self.run(read_units(entries, with_list=self.with_list, cache=self.cache))
        return [LiveObject(self, (entry.class_id, entry.obis), entry) for entry in entries]

    async def list_objects(self, association: Obis = CURRENT_ASSOCIATION) -> list[ObjectEntry]:
        """The entries of the object list as they stand there; ``objects`` makes objects of them."""
        entries = await self.run(self._object_list(association))
        if ObisCode.parse(association) == CURRENT_ASSOCIATION:
            self.use_object_list(entries)
        return entries

    async def read_model(
        self, *, about: str = "", buffers: bool = False, progress: Callable[[int, int], object] | None = None
    ) -> MeterModel:
        """Everything that may be read of the meter but secrets, as ``cosemic.cosem.meter_model`` writes it to files.

        ``buffers`` reads the rows of profiles too; ``progress`` is called with (attributes done, all of them).
        """
        from cosemic.cosem.meter_model import read_model

        entries = await self.list_objects()
        reading = read_model(
            entries, about=about, buffers=buffers, with_list=self.with_list, cache=self.cache, progress=progress
        )
        return await self.run(reading)

    def __getitem__(self, key: Key) -> LiveObject:
        """One object of the meter: ``meter["1-0:1.8.0"]``, or ``meter[3, "1-0:1.8.0"]`` without an object list.

        Nothing is asked of the meter yet; ValueError for what is no OBIS code.
        """
        return LiveObject(self, key)

    async def read_profile(
        self,
        obis: Obis,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        last: int | None = None,
        columns: Iterable[Obis | CaptureObject] | None = None,
        **options: Any,
    ) -> Profile:
        """Read a profile: all of it, the rows of a time range (ends included), or the ``last`` newest ones.

        Further options, such as ``entries=(first, last)``, as for ``cosemic.cosem.profile_reading.read_profile``.
        """
        options.setdefault("with_list", self.with_list)
        options.setdefault("cache", self.cache)
        return await self.run(read_profile(obis, start=start, end=end, last=last, columns=columns, **options))

    async def read_compact_data(self, obis: Obis) -> Profile:
        """The values that a Compact data object (class 62) captured last, as a profile of one row."""
        from cosemic.cosem.compact_data import read_compact_data

        return await self.run(read_compact_data(obis, with_list=self.with_list, cache=self.cache))

    # The security setup; what its procedures promise is said in ``cosemic.cosem.security_setup``

    async def activate_policy(
        self,
        request: SecurityPolicy | str,
        response: SecurityPolicy | str | None = None,
        *,
        setup: Obis = SETUP,
        version: int | None = None,
    ) -> None:
        """Have the meter demand more protection from now on, of requests and of responses, and keep to it."""
        steps = security_setup.activate_policy(
            self._security, request, response, setup=setup, version=version, cache=self.cache
        )
        await self.run(steps)

    async def transfer_keys(
        self,
        keys: Mapping[KeyId, bytes | str],
        master_key: bytes | str | None = None,
        *,
        setup: Obis = SETUP,
        confirm: bool = True,
    ) -> None:
        """Give the meter new keys, wrapped with the master key, and go on with them once it took them."""
        steps = security_setup.transfer_keys(
            self._security, keys, master_key, setup=setup, confirm=confirm, cache=self.cache
        )
        await self.run(steps)

    async def agree_keys(
        self,
        key_ids: Iterable[KeyId],
        *,
        signing_key: PrivateKey | None = None,
        peer_signing_key: bytes | None = None,
        setup: Obis = SETUP,
        confirm: bool = True,
    ) -> dict[KeyId, bytes]:
        """Agree on new keys with the meter (suites 1 and 2), and go on with them; keep what is returned."""
        steps = security_setup.agree_keys(
            self._security,
            key_ids,
            self._server_title,
            signing_key=signing_key,
            peer_signing_key=peer_signing_key,
            setup=setup,
            confirm=confirm,
            cache=self.cache,
        )
        return await self.run(steps)

    async def generate_key_pair(self, purpose: CertificateType, *, setup: Obis = SETUP) -> None:
        """Have the meter make a new key pair."""
        await self.run(security_setup.generate_key_pair(purpose, setup=setup, cache=self.cache))

    async def generate_certificate_request(
        self, purpose: CertificateType, *, setup: Obis = SETUP
    ) -> CertificateRequest:
        """The meter's request for a certificate of its key pair."""
        return await self.run(security_setup.generate_certificate_request(purpose, setup=setup, cache=self.cache))

    async def import_certificate(self, certificate: Certificate | bytes | str, *, setup: Obis = SETUP) -> None:
        """Give the meter a certificate, DER or PEM."""
        await self.run(security_setup.import_certificate(certificate, setup=setup, cache=self.cache))

    async def export_certificate(self, which: Identification, *, setup: Obis = SETUP) -> Certificate:
        """A certificate that the meter holds; it is not verified."""
        return await self.run(security_setup.export_certificate(which, setup=setup, cache=self.cache))

    async def remove_certificate(self, which: Identification, *, setup: Obis = SETUP) -> None:
        """Have the meter remove a certificate."""
        await self.run(security_setup.remove_certificate(which, setup=setup, cache=self.cache))

    async def list_certificates(self, *, setup: Obis = SETUP) -> list[CertificateInfo]:
        """Which certificates the meter holds."""
        return await self.run(security_setup.list_certificates(setup=setup, cache=self.cache))


async def recover_counter(
    way: str | Target | Stream | Opener,
    security: SecurityContext,
    source: CounterSource | None = None,
    *,
    server_sap: int = 1,
    **options: Any,
) -> int:
    """Let our invocation counter go on above the last one that the meter saw, and return that one.

    It is read through an association of its own, as the public client without protection; ``options`` are those of
    DlmsClient (address, framing, times). What the meter shows is not authenticated: whoever can alter it on the way can
    use up the counters of the key, though never have one used twice. SecurityError when the object holds no counter,
    or one that would use up the key; ServiceError and AssociationRefused when the meter does not let us read it.
    """
    source = CounterSource() if source is None else source
    async with DlmsClient(way, client_sap=source.client_sap, server_sap=server_sap, **options) as client:
        counter = await client.run(read_invocation_counter(source))
    security.go_on_above(counter)
    return counter


def _now() -> datetime:
    return datetime.now(UTC)
