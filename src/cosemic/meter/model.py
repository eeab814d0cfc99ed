"""A simulated meter without I/O: logical devices, associations, objects, access rights, a running clock.

It refuses as a strict meter does: an unknown OBIS code (or one that the association does not see) is object-undefined,
the wrong class object-class-inconsistent, an attribute without the right, and one that the object does not have,
read-write-denied (attribute 0 too, whose conformance bits are not offered), a value of another type type-unmatched, a
selector that makes no sense scope-of-access-violated. A right may demand that request and response are authenticated,
encrypted or signed: a request that falls short, or whose response cannot be protected so, is read-write-denied too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

from cosemic.apdu.services import (
    AccessGet,
    AccessSet,
    ActionOutcome,
    AttributeDescriptor,
    MethodDescriptor,
    SelectiveAccess,
)
from cosemic.codec.axdr import Data
from cosemic.cosem.object_list import CALL, ObjectEntry
from cosemic.cosem.rights import REQUEST_DEMANDS, RESPONSE_DEMANDS, demands_of, response_policy
from cosemic.enums import AccessRight, ActionResult, DataAccessResult, known
from cosemic.errors import DecodeError
from cosemic.meter.objects import Attribute, Level, MeterObject, Method, Refusal, demanding
from cosemic.obis import ObisCode
from cosemic.protocol import requests
from cosemic.protocol.requests import ActionResults, Get, GetResults, Request, Result, Set, SetResults
from cosemic.security.suites import SecurityPolicy
from cosemic.times import CosemDateTime

if TYPE_CHECKING:
    from cosemic.meter.push_setup import PushSetup
    from cosemic.protocol.settings import ServerSettings

logger = logging.getLogger("cosemic.meter")


@dataclass(frozen=True, slots=True, eq=False)
class MeterAssociation:
    """One association that a logical device offers. ``number`` is the E of its named object 0-0:40.0.E*255."""

    settings: ServerSettings
    level: Level
    number: int
    protected: bool = False
    """Keys are agreed: a request that comes without any protection is trusted no more than the public client."""
    security_setup: ObisCode | None = None
    """The security setup that holds its policy and keys."""
    own: Mapping[ObisCode, MeterObject] = field(default_factory=dict)
    """Objects that this association alone sees, each in place of the device's with the same OBIS code."""

    @property
    def client_sap(self) -> int:
        """The client that this association is for."""
        return self.settings.client_sap

    @property
    def server_sap(self) -> int:
        """The logical device that offers it."""
        return self.settings.server_sap


@dataclass(slots=True, eq=False)
class LogicalDevice:
    """A logical device: its name and its objects by OBIS code."""

    sap: int
    name: bytes
    objects: dict[ObisCode, MeterObject] = field(default_factory=dict)
    associations: list[MeterAssociation] = field(default_factory=list)
    push_setups: list[PushSetup] = field(default_factory=list)
    """What stands behind its objects of class 40; a ``PushAgenda`` works for them."""

    def add(self, *objects: MeterObject) -> None:
        """Put objects in; a second one with the same OBIS code replaces the first."""
        for item in objects:
            self.objects[item.obis] = item


@dataclass(slots=True)
class Access:
    """Who asks: given to every attribute and method of an object."""

    meter: SimulatedMeter
    device: LogicalDevice
    association: MeterAssociation
    level: Level
    now: datetime
    """The meter's time when the request came: one moment for everything that answers it."""
    met: int = int(REQUEST_DEMANDS | RESPONSE_DEMANDS)
    """The demands of a right that this request meets, and its response can."""
    peer_title: bytes | None = None
    """The system title of the client, where it gave one."""
    demands: int = 0
    """What the rights used so far demand of the response."""

    def admits(self, right: AccessRight) -> bool:
        """Whether the demands of a right are met; those on the response are noted."""
        if right <= _VERBS:
            return True
        if right & _DEMANDS & ~self.met:
            return False
        self.demands |= right & RESPONSE_DEMANDS
        return True


_VERBS = int(AccessRight.READ | AccessRight.WRITE)
_DEMANDS = int(REQUEST_DEMANDS | RESPONSE_DEMANDS)
_ANY = SecurityPolicy.AUTHENTICATED_ENCRYPTED | SecurityPolicy.SIGNED


class Faults:
    """Results that a test forces, by target: ``meter.faults.force(3, "1-0:1.8.0*255", 2, DataAccessResult.…)``."""

    def __init__(self) -> None:
        self._forced: dict[tuple[str, int, ObisCode, int], tuple[int, int | None]] = {}

    def force(
        self, class_id: int, obis: ObisCode | str, attribute: int, result: int, *, times: int | None = None
    ) -> None:
        """Answer every GET and SET of an attribute with ``result``, the next ``times`` ones or until ``clear``."""
        self._forced["attribute", class_id, ObisCode.parse(obis), attribute] = (result, times)

    def force_method(
        self, class_id: int, obis: ObisCode | str, method: int, result: int, *, times: int | None = None
    ) -> None:
        """Answer every ACTION of a method with ``result``."""
        self._forced["method", class_id, ObisCode.parse(obis), method] = (result, times)

    def clear(self) -> None:
        """Work as a meter should again."""
        self._forced.clear()

    def take(self, kind: str, class_id: int, obis: ObisCode, number: int) -> int | None:
        """The forced result of a target, None for none; counts it down."""
        if not self._forced:
            return None
        place = (kind, class_id, obis, number)
        result, times = self._forced.get(place, (None, None))
        if times is not None and result is not None:
            if times <= 1:
                del self._forced[place]
            else:
                self._forced[place] = (result, times - 1)
        return result


class SimulatedMeter:
    """A meter to test against. Give it requests with ``execute``; a server feeds it what its sessions receive.

    ``time`` gives the true time as an aware datetime; the meter's clock runs with it and can be set apart from it.
    """

    def __init__(
        self,
        devices: Iterable[LogicalDevice],
        *,
        time: Callable[[], datetime],
        zone: tzinfo = timezone(timedelta(hours=1)),
    ) -> None:
        self.devices: dict[int, LogicalDevice] = {device.sap: device for device in devices}
        self.zone = zone
        self.faults = Faults()
        self.offset = timedelta()
        self.on_confirmed: Callable[[tuple[int, int], int], object] | None = None
        """Called with (client SAP, server SAP) and the long invoke id of each push that a client has confirmed."""
        self.watchers: list[Callable[[], object]] = []
        """Each is called after a client has written an attribute or called a method: something may be due now."""
        self._time = time
        self._associations = {
            (association.client_sap, association.server_sap): association
            for device in self.devices.values()
            for association in device.associations
        }
        self._entries: dict[tuple[MeterAssociation, Level], list[ObjectEntry]] = {}

    def now(self) -> datetime:
        """The time that the meter's clock shows, in its own zone."""
        return (self._time() + self.offset).astimezone(self.zone)

    def set_time(self, moment: datetime) -> None:
        """Set the clock; it runs on from there."""
        self.offset += moment - self.now()

    @property
    def associations(self) -> Mapping[tuple[int, int], MeterAssociation]:
        """Every association by (client SAP, server SAP)."""
        return self._associations

    def association(self, client_sap: int, server_sap: int = 1) -> MeterAssociation | None:
        """The association that a client SAP has with a logical device, None for an unknown one."""
        return self._associations.get((client_sap, server_sap))

    def settings(self, client_sap: int, server_sap: int = 1) -> ServerSettings | None:
        """What a server session needs to know about that association, None for an unknown one."""
        association = self._associations.get((client_sap, server_sap))
        return None if association is None else association.settings

    def execute(
        self,
        association: MeterAssociation | tuple[int, int],
        request: Request,
        protection: SecurityPolicy | None = None,
    ) -> Result:
        """Do what a client of ``association`` (or of the pair client SAP, server SAP) asks for, item by item.

        ``protection`` is what protected the request; None means that the caller vouches for it, and for the response.
        """
        return self.carry_out(association, request, protection)[0]

    def carry_out(
        self,
        association: MeterAssociation | tuple[int, int],
        request: Request,
        protection: SecurityPolicy | None = None,
        *,
        protectable: SecurityPolicy = _ANY,
        peer_title: bytes | None = None,
    ) -> tuple[Result, SecurityPolicy]:
        """As ``execute``; with the result comes the protection that its response has to have at least.

        ``protectable`` is what a response can have: a right that demands more of it is refused.
        ``peer_title`` is the client's system title.
        """
        if isinstance(association, tuple):
            association = self._associations[association]
        level = association.level
        device = self.devices[association.server_sap]
        access = Access(self, device, association, level, self.now(), peer_title=peer_title)
        if protection is not None:
            if association.protected and not protection:
                access.level = Level.PUBLIC
            access.met = demands_of(protection, protectable)
        result = self._result(access, request)
        return result, response_policy(access.demands)

    def demand(
        self,
        obis: ObisCode | str,
        demands: AccessRight,
        *,
        attribute: int | None = None,
        method: int | None = None,
        server_sap: int = 1,
    ) -> None:
        """Let the rights of an object demand protection: those of one attribute, of one method, or all of them.

        What they demanded before is replaced. Without an attribute and a method the logical name (attribute 1) is left
        out, so that the object can still be found. LookupError when the object has no such part.
        """
        item = self.devices[server_sap].objects[ObisCode.parse(obis)]
        parts: list[Attribute | Method] = []
        if attribute is not None:
            parts.append(item.attributes[attribute])
        if method is not None:
            parts.append(item.methods[method])
        if not parts:
            parts = [part for number, part in item.attributes.items() if number > 1]
            parts += item.methods.values()
        for part in parts:
            part.rights = demanding(part.rights, demands)
        self._entries.clear()

    def _result(self, access: Access, request: Request) -> Result:
        if isinstance(request, Get):
            return GetResults(tuple(self._get(access, at, selection) for at, selection in request.items))
        if isinstance(request, Set):
            if len(request.values) != len(request.items):
                return SetResults((DataAccessResult.OTHER_REASON,) * len(request.items))
            pairs = zip(request.items, request.values, strict=True)
            return SetResults(tuple(self._set(access, at, selection, value) for (at, selection), value in pairs))
        if isinstance(request, requests.Access):
            return self._access(access, request)
        if len(request.parameters) != len(request.items):
            return ActionResults((ActionOutcome(ActionResult.OTHER_REASON, None),) * len(request.items))
        calls = zip(request.items, request.parameters, strict=True)
        return ActionResults(tuple(self._call(access, at, parameters) for at, parameters in calls))

    def object_entries(self, association: MeterAssociation, level: Level | None = None) -> list[ObjectEntry]:
        """The object list of an association: what it sees and what it may do."""
        level = association.level if level is None else level
        entries = self._entries.get((association, level))
        if entries is None:
            device = self.devices[association.server_sap]
            objects = device.objects | dict(association.own)
            entries = [_entry(item, level) for _, item in sorted(objects.items()) if item.visible(level)]
            self._entries[association, level] = entries
        return entries

    def _access(self, access: Access, request: requests.Access) -> requests.AccessResults:
        """Item by item; after a failure the rest is left undone where the client wants it so."""
        results: list[requests.AccessResult] = []
        failed = False
        for item, data in zip(request.items, request.data, strict=True):
            if failed and request.break_on_error:
                result = requests.AccessResult(DataAccessResult.OTHER_REASON)
            elif isinstance(item, AccessGet):
                read = self._get(access, item.attribute, item.access)
                result = (
                    requests.AccessResult(DataAccessResult.SUCCESS, read)
                    if isinstance(read, Data)
                    else requests.AccessResult(read)
                )
            elif isinstance(item, AccessSet):
                written = self._set(access, item.attribute, item.access, Data.of(None) if data is None else data)
                result = requests.AccessResult(written)
            else:
                outcome = self._call(access, item.method, data)
                returned = outcome.return_parameters
                result = requests.AccessResult(outcome.result, returned if isinstance(returned, Data) else None)
            failed = failed or bool(result.result)
            results.append(result)
        date_time = bytes(CosemDateTime.from_datetime(access.now)) if request.date_time else b""
        return requests.AccessResults(tuple(results), date_time)

    def _get(
        self, access: Access, at: AttributeDescriptor, selection: SelectiveAccess | None
    ) -> Data | DataAccessResult | int:
        forced = self.faults.take("attribute", at.class_id, at.instance, at.attribute)
        if forced is not None:
            return known(DataAccessResult, forced)
        try:
            attribute = _find(access, at.class_id, at.instance).attributes.get(at.attribute)
            if attribute is None:
                return DataAccessResult.READ_WRITE_DENIED
            right = attribute.rights[access.level]
            if AccessRight.READ not in right or not access.admits(right):
                return DataAccessResult.READ_WRITE_DENIED
            if selection is None:
                return Data.of(attribute.read(access))
            if attribute.select is None or selection.selector not in attribute.selectors:
                return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
            return attribute.select(access, selection)
        except Refusal as refusal:
            return refusal.result

    def _set(
        self, access: Access, at: AttributeDescriptor, selection: SelectiveAccess | None, value: Data
    ) -> DataAccessResult | int:
        forced = self.faults.take("attribute", at.class_id, at.instance, at.attribute)
        if forced is not None:
            return known(DataAccessResult, forced)
        try:
            attribute = _find(access, at.class_id, at.instance).attributes.get(at.attribute)
            if attribute is None or attribute.write is None:
                return DataAccessResult.READ_WRITE_DENIED
            right = attribute.rights[access.level]
            if AccessRight.WRITE not in right or not access.admits(right):
                return DataAccessResult.READ_WRITE_DENIED
            if selection is not None:
                return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
            attribute.write(access, value)
        except Refusal as refusal:
            return refusal.result
        except DecodeError:
            return DataAccessResult.TYPE_UNMATCHED
        logger.debug("client %d wrote %s", access.association.client_sap, at)
        self._changed()
        return DataAccessResult.SUCCESS

    def _call(self, access: Access, at: MethodDescriptor, parameters: Data | None) -> ActionOutcome:
        forced = self.faults.take("method", at.class_id, at.instance, at.method)
        if forced is not None:
            return ActionOutcome(known(ActionResult, forced), None)
        try:
            method = _find(access, at.class_id, at.instance).methods.get(at.method)
            if method is None:
                raise Refusal(DataAccessResult.READ_WRITE_DENIED)
            right = method.rights[access.level]
            if CALL not in right or not access.admits(right):
                raise Refusal(DataAccessResult.READ_WRITE_DENIED)
            returned = method.call(access, parameters)
        except Refusal as refusal:
            return ActionOutcome(known(ActionResult, int(refusal.result)), None)
        except DecodeError:
            return ActionOutcome(ActionResult.TYPE_UNMATCHED, None)
        logger.debug("client %d called %s", access.association.client_sap, at)
        self._changed()
        return ActionOutcome(ActionResult.SUCCESS, None if returned is None else Data.of(returned))

    def _changed(self) -> None:
        for watcher in self.watchers:
            watcher()


def _find(access: Access, class_id: int, obis: ObisCode) -> MeterObject:
    item = access.association.own.get(obis) or access.device.objects.get(obis)
    if item is None or not item.visible(access.level):
        raise Refusal(DataAccessResult.OBJECT_UNDEFINED)
    if item.class_id != class_id:
        raise Refusal(DataAccessResult.OBJECT_CLASS_INCONSISTENT)
    return item


def _entry(item: MeterObject, level: Level) -> ObjectEntry:
    return ObjectEntry(
        item.class_id,
        item.version,
        item.obis,
        {number: attribute.rights[level] for number, attribute in sorted(item.attributes.items())},
        {number: method.rights[level] for number, method in sorted(item.methods.items())},
        {number: item.selectors for number, item in sorted(item.attributes.items()) if item.selectors},
    )
