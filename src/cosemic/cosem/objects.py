"""Objects of a meter that know their class: attributes and methods by name, values with their meaning.

A ``CosemObject`` has no I/O: what has to be asked of the meter is a procedure (see ``cosem.procedures``). The clients
bind it to a connection: ``meter["1-0:1.8.0"]`` gives one whose ``read``, ``write`` and ``call`` do the asking.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

from cosemic.codec.axdr import Data, Typed, Value
from cosemic.cosem.access import (
    GetItem,
    MeterCache,
    Obis,
    Procedure,
    call_method,
    get_list,
    set_attribute,
)
from cosemic.cosem.catalog import attribute_target, describe, method_target
from cosemic.cosem.fitting import fit, fit_parameter
from cosemic.cosem.interpreting import interpret
from cosemic.cosem.model import (
    AttributeDeclaration,
    ClassDeclaration,
    MethodDeclaration,
    interface_class,
    interface_classes,
    may_be_secret,
)
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.procedures import moment
from cosemic.cosem.values import (
    CAPTURED_ATTRIBUTES,
    SCALED_ATTRIBUTES,
    SCALER_ATTRIBUTE,
    Reading,
    ScalerUnit,
    reading,
    scale,
)
from cosemic.enums import AccessRight, InterfaceClass
from cosemic.errors import LocalProtocolError, ServiceError
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Action, Set

_T = TypeVar("_T")

Key: TypeAlias = "Obis | tuple[int, Obis]"
"""An OBIS code, or (class id, OBIS code) where a meter has several objects with the same code."""
Member: TypeAlias = "str | int"
"""An attribute or method by the standard's name or by its number."""

_LARGE = frozenset(
    {
        (int(InterfaceClass.PROFILE_GENERIC), 2),
        (int(InterfaceClass.ASSOCIATION_LN), 2),
        (int(InterfaceClass.ASSOCIATION_SN), 2),
    }
)
"""Left out where all attributes are read: a buffer is read with ``read_profile``, an object list with ``objects``."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a write or a call would send: nothing was sent and nothing counted.

    ``apdu`` is the first APDU, before protection (the only one, unless it is too long for the meter and goes in
    blocks); ``value`` what it carries. Printed, keys and passwords are left out of both.
    """

    target: str
    request: Set | Action = field(repr=False)
    value: Typed | None = field(repr=False)
    apdu: bytes = field(repr=False)
    secret: bool = False
    """Whether ``value`` and ``apdu`` may hold a key or a password."""

    def __str__(self) -> str:
        if self.secret:
            verb = "write" if isinstance(self.request, Set) else "call"
            return f"would {verb} {self.target}; what it carries may be secret and is not shown"
        value = "" if self.value is None else f" with {self.value!r}"
        verb = "write" if isinstance(self.request, Set) else "call"
        return f"would {verb} {self.target}{value}: {self.apdu.hex()}"


class CosemObject:
    """One object of one meter. ``values`` holds what was read of it; ``obj.value`` is short for one of them.

    The class is that of the object list where it was read, else the one that was given.
    """

    __slots__ = ("_cache", "_class_id", "_data", "_entry", "obis")

    def __init__(self, cache: MeterCache, key: Key, entry: ObjectEntry | None = None) -> None:
        class_id, obis = key if isinstance(key, tuple) else (None, key)
        self._entry = entry
        self._cache = cache
        self._class_id = class_id
        self._data: dict[int, Data] = {}
        self.obis = ObisCode.parse(obis)

    # What it is

    @property
    def known(self) -> bool:
        """Whether the class is known; reading the object list makes it so."""
        return self._found is not None or self._class_id is not None

    @property
    def entry(self) -> ObjectEntry | None:
        """Its entry of the object list, with version and access rights; None while the list was not read."""
        return self._found

    @property
    def class_id(self) -> int:
        """The interface class; LocalProtocolError while it is not known."""
        entry = self._found
        if entry is not None:
            return entry.class_id
        if self._class_id is None:
            raise LocalProtocolError(
                f"the class of {self.obis} is not known yet: read it, or read the object list with objects(), "
                "or give the class as in meter[3, '1-0:1.8.0']"
            )
        return self._class_id

    @property
    def version(self) -> int:
        """The version of the interface class: from the object list, else the newest that is declared."""
        return self.declaration.version if self._found is None else self._found.version

    @property
    def declaration(self) -> ClassDeclaration:
        """The interface class: names and types of attributes and methods."""
        entry = self._found
        return interface_class(self.class_id) if entry is None else entry.declaration

    @property
    def class_name(self) -> str:
        """The name of the interface class."""
        return self.declaration.name

    @property
    def name(self) -> str:
        """What the object is, in words, from its OBIS code."""
        return describe(self.obis)

    @property
    def unit(self) -> str | None:
        """The unit of a register, once its scaler_unit was read; None for what has none."""
        scaler_unit = self._scaler_unit
        return None if scaler_unit is None else scaler_unit.symbol

    @property
    def attributes(self) -> Mapping[int, AccessRight]:
        """The access right of each attribute; empty while the object list was not read."""
        return {} if self._found is None else self._found.attributes

    @property
    def methods(self) -> Mapping[int, AccessRight]:
        """The access right of each method; empty while the object list was not read."""
        return {} if self._found is None else self._found.methods

    @property
    def selectors(self) -> Mapping[int, tuple[int, ...]]:
        """Access selectors that an attribute takes."""
        return {} if self._found is None else self._found.selectors

    @property
    def base_name(self) -> int | None:
        """The short name of attribute 1, in an association with short names."""
        return None if self._found is None else self._found.base_name

    def may_read(self, attribute: Member) -> bool:
        """Whether this association may read an attribute; True while the object list was not read."""
        return self._found is None or self._found.may_read(self.attribute_number(attribute))

    def may_write(self, attribute: Member) -> bool:
        """Whether this association may write an attribute; True while the object list was not read."""
        return self._found is None or self._found.may_write(self.attribute_number(attribute))

    def may_call(self, method: Member) -> bool:
        """Whether this association may invoke a method; True while the object list was not read."""
        return self._found is None or self._found.may_call(self.method_number(method))

    def attribute_rights(self, attribute: Member) -> str:
        """The right in words; ``not known`` while the object list was not read."""
        number = self.attribute_number(attribute)
        return "not known" if self._found is None else self._found.attribute_rights(number)

    def method_rights(self, method: Member) -> str:
        """The right in words; ``not known`` while the object list was not read."""
        number = self.method_number(method)
        return "not known" if self._found is None else self._found.method_rights(number)

    def attribute_number(self, attribute: Member) -> int:
        """The number of an attribute; LookupError names those that there are."""
        if isinstance(attribute, int):
            if not 1 <= attribute <= 127:
                raise LookupError(f"attributes have numbers from 1 to 127, not {attribute}")
            return attribute
        declared = self.declaration
        for item in declared.attributes:
            if item.name == attribute:
                return item.number
        names = ", ".join(item.name for item in declared.attributes)
        raise LookupError(f"{declared.name} (version {declared.version}) has no attribute {attribute!r}: {names}")

    def method_number(self, method: Member) -> int:
        """The number of a method; LookupError names those that there are."""
        if isinstance(method, int):
            if not 1 <= method <= 127:
                raise LookupError(f"methods have numbers from 1 to 127, not {method}")
            return method
        declared = self.declaration
        for item in declared.methods:
            if item.name == method:
                return item.number
        names = ", ".join(item.name for item in declared.methods) or "none"
        raise LookupError(f"{declared.name} (version {declared.version}) has no method {method!r}: {names}")

    # What was read

    @property
    def values(self) -> dict[str, object]:
        """Everything that was read, by the name of the attribute, with its meaning."""
        declared = self.declaration
        return {declared.attribute_name(number): self._meaning(number) for number in sorted(self._data)}

    @property
    def data(self) -> Mapping[int, Data]:
        """Everything that was read, as it came, by the number of the attribute."""
        return self._data

    def __getitem__(self, attribute: Member) -> object:
        """What was read of an attribute; LookupError where it was not read."""
        number = self.attribute_number(attribute)
        if number not in self._data:
            name = self.declaration.attribute_name(number)
            raise LookupError(f"{name} of {self} was not read yet: read({name!r})")
        return self._meaning(number)

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        if not self.known:
            return f"{self.obis} ({self.name})"
        value = ""
        if self.class_id in SCALED_ATTRIBUTES and 2 in self._data:
            value = f" = {self._meaning(2)}"
        return f"{self.class_name} {self.obis} ({self.name}){value}"

    def _meaning(self, number: int) -> object:
        value = self._data[number].value
        if number in SCALED_ATTRIBUTES.get(self.class_id, ()):
            scaler_unit = self._scaler_unit
            if scaler_unit is None or isinstance(value, bool) or not isinstance(value, int | float):
                return value
            return reading(value, scaler_unit, obis=self.obis, **self._captured())
        return interpret(self._attribute(number), value)

    def _captured(self) -> dict[str, Any]:
        """Status and time of capture, as far as they were read."""
        places = CAPTURED_ATTRIBUTES.get(self.class_id)
        if places is None:
            return {}
        status, time = (self._data.get(number) for number in places)
        return {
            "status": None if status is None else status.value,
            "time": None if time is None or time.value is None else moment(time.value),
        }

    def _attribute(self, number: int) -> AttributeDeclaration:
        try:
            return self.declaration.attribute(number)
        except KeyError:
            return AttributeDeclaration(number, f"attribute {number}", frozenset())

    @property
    def _scaler_unit(self) -> ScalerUnit | None:
        number = SCALER_ATTRIBUTE.get(self.class_id) if self.known else None
        if number is None:
            return None
        if number in self._data:
            return ScalerUnit.from_value(self._data[number].value)
        cached = self._cache.registers.get(self.obis)
        return cached[1] if cached is not None and cached[0] == self.class_id else None

    @property
    def _found(self) -> ObjectEntry | None:
        if self._entry is not None:
            return self._entry
        objects = self._cache.objects
        if self._class_id is None and objects:
            classes = [class_id for class_id, obis in objects if obis == self.obis]
            if len(classes) > 1:
                raise LocalProtocolError(
                    f"several objects are called {self.obis}, of classes {', '.join(map(str, sorted(classes)))}: "
                    f'say which, as in meter[{classes[0]}, "{self.obis}"]'
                )
            if not classes:
                raise LocalProtocolError(
                    f"the object list of this association has no {self.obis} ({self.name}); "
                    f'to ask for it all the same give its class, as in meter[3, "{self.obis}"]'
                )
            self._class_id = classes[0]
        return None if self._class_id is None else objects.get((self._class_id, self.obis))

    # What is asked of the meter

    def reading(self, *attributes: Member, with_list: bool = True) -> Procedure[dict[str, object]]:
        """Read attributes, or without any all that may be read but buffers; what the meter refuses is left out.

        Attributes that are named and refused raise their ServiceError. A register's scaler_unit is read with it where
        it is not known. Returns the values by name.
        """
        numbers = [self.attribute_number(attribute) for attribute in attributes] or self._readable()
        asked = list(numbers)
        scaler = SCALER_ATTRIBUTE.get(self.class_id)
        if scaler is not None and scaler not in asked and self._scaler_unit is None:
            asked += [scaler] if set(asked) & set(SCALED_ATTRIBUTES[self.class_id]) else []
        items: list[GetItem] = [(self.class_id, self.obis, number) for number in asked]
        results = yield from get_list(items, with_list=with_list, cache=self._cache)
        first_error: ServiceError | None = None
        for number, result in zip(asked, results, strict=True):
            if result.data is not None:
                self._data[number] = result.data
                if number == scaler:
                    self._cache.registers[self.obis] = (self.class_id, ScalerUnit.from_value(result.data.value))
            elif number in numbers:
                first_error = first_error or result.error
        if first_error is not None and (attributes or not any(number in self._data for number in numbers)):
            raise first_error
        declared = self.declaration
        return {declared.attribute_name(n): self._meaning(n) for n in numbers if n in self._data}

    def writing(self, attribute: Member, value: object, *, force: bool = False) -> Procedure[None]:
        """Write an attribute, in the type that it has: as read from the meter where that is ambiguous.

        LocalProtocolError where the access rights forbid it (``force`` asks the meter all the same), TypeError or
        ValueError where the value does not fit.
        """
        number = self.attribute_number(attribute)
        yield from self.before_writing(number, value)
        request = self.write_request(number, value, force=force)
        yield from set_attribute(self.class_id, self.obis, number, request.values[0], cache=self._cache)
        self._data[number] = request.values[0]

    def before_writing(self, attribute: Member, value: object) -> Procedure[None]:
        """Read what is there, where only that tells the type to write in, or the scaler."""
        number = self.attribute_number(attribute)
        if isinstance(value, Typed | Data):
            return
        scaled = number in SCALED_ATTRIBUTES.get(self.class_id, ()) and self._scaler_unit is None
        if scaled or (number not in self._data and self._ambiguous(number)):
            with contextlib.suppress(ServiceError):  # write-only: the declaration has to do
                yield from self.reading(number)

    def calling(self, method: Member, parameters: object = None, *, force: bool = False) -> Procedure[Value]:
        """Invoke a method; without ``parameters`` it gets those that the standard prescribes where these mean nothing.

        LocalProtocolError as in ``writing``.
        """
        request = self.call_request(method, parameters, force=force)
        number = request.items[0].method
        return (yield from call_method(self.class_id, self.obis, number, request.parameters[0], cache=self._cache))

    def write_request(self, attribute: Member, value: object, *, force: bool = False) -> Set:
        """The request of ``writing``; LocalProtocolError where access rights forbid it."""
        number = self.attribute_number(attribute)
        target = attribute_target(self.class_id, self.obis, number)
        if not force and not self.may_write(number):
            raise LocalProtocolError(f"{target}: this association has {self.attribute_rights(number)}, not write")
        if not force:
            self._check_version(value, target)
        if number in SCALED_ATTRIBUTES.get(self.class_id, ()):
            value = self._unscaled(value, target)
        typed = fit(self._attribute(number), value, like=self._data.get(number), owner=str(self.obis))
        return Set.one(self.class_id, self.obis, number, typed)

    def call_request(self, method: Member, parameters: object = None, *, force: bool = False) -> Action:
        """The request of ``calling``; LocalProtocolError where access rights forbid it."""
        number = self.method_number(method)
        target = method_target(self.class_id, self.obis, number)
        if not force and not self.may_call(number):
            raise LocalProtocolError(f"{target}: this association has {self.method_rights(number)}")
        if not force:
            self._check_version(parameters, target)
        try:
            declared = self.declaration.method(number)
        except KeyError:
            declared = MethodDeclaration(number, f"method {number}")
        return Action.one(self.class_id, self.obis, number, fit_parameter(declared, parameters, owner=str(self.obis)))

    def is_critical(self, method: Member) -> bool:
        """Whether to ask before calling: it switches, changes keys, tariffs, firmware, or loses billing data."""
        number = self.method_number(method)
        declared = next((item for item in self.declaration.methods if item.number == number), None)
        return declared is None or declared.critical  # nobody knows what an undeclared one does

    def _check_version(self, value: object, target: str) -> None:
        """Refuse to guess types by the declaration of another version than the meter has."""
        declared = self.declaration
        if declared.version != self.version and not isinstance(value, Typed | Data):
            raise LocalProtocolError(
                f"{target}: the meter has version {self.version} of {declared.name}, whose layout is not declared "
                f"(the nearest is {declared.version}); give a typed value such as axdr.unsigned(1), or force it"
            )

    def _unscaled(self, value: object, target: str) -> object:
        """The number to send for a value in the unit of the register; what is no plain number stays as it is."""
        if isinstance(value, Reading):
            value = value.value
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return value
        scaler_unit = self._scaler_unit
        if scaler_unit is None:
            raise LocalProtocolError(
                f"{target}: the scaler is not known, so {value} cannot be written in its unit: read the register "
                "first, or give the raw number with its type"
            )
        raw = scale(value, -scaler_unit.scaler)
        like = self._data.get(2)
        if like is not None and isinstance(like.value, float):
            return float(raw)
        if raw != raw.to_integral_value():
            raise LocalProtocolError(
                f"{target}: {value} {scaler_unit.symbol} is finer than the register, which counts in "
                f"{Decimal(1).scaleb(scaler_unit.scaler):f} {scaler_unit.symbol}"
            )
        return int(raw)

    def dry_run(self, request: Set | Action, preview: Callable[[Set | Action], bytes]) -> DryRun:
        """What a request would send; ``preview`` makes its APDU."""
        if isinstance(request, Set):
            number = request.items[0][0].attribute
            name = self.declaration.attribute_name(number)
            target = attribute_target(self.class_id, self.obis, number)
            carried: Data | None = request.values[0]
        else:
            number = request.items[0].method
            name = self.declaration.method_name(number)
            target = method_target(self.class_id, self.obis, number)
            carried = request.parameters[0]
        value = None if carried is None else carried.typed
        return DryRun(target, request, value, preview(request), may_be_secret(name))

    def _member(self, name: str, call: Callable[..., _T]) -> object:
        """What ``obj.name`` is: ``call`` for the name of a method, else the value that was read of the attribute."""
        if name.startswith("_"):
            raise AttributeError(name)
        if not self.known:
            if is_method_name(name):
                return call
            raise AttributeError(f"the class of {self.obis} is not known yet, so neither is {name!r}: read it first")
        declared = self.declaration
        if any(method.name == name for method in declared.methods):
            return call
        try:
            return self[name]
        except LookupError as error:
            raise AttributeError(str(error)) from None

    def _readable(self) -> list[int]:
        numbers = sorted(self.attributes) or [item.number for item in self.declaration.attributes]
        return [n for n in numbers if self.may_read(n) and (self.class_id, n) not in _LARGE]

    def _ambiguous(self, number: int) -> bool:
        declared = self.declaration.attributes
        return not 1 <= number <= len(declared) or len(declared[number - 1].types) != 1


def read_units(
    entries: Iterable[ObjectEntry], *, with_list: bool = True, cache: MeterCache
) -> Procedure[dict[ObisCode, ScalerUnit]]:
    """Read the scaler_unit of every register that is not in ``cache`` yet; what the meter refuses stays without."""
    wanted: list[GetItem] = [
        (entry.class_id, entry.obis, SCALER_ATTRIBUTE[entry.class_id])
        for entry in entries
        if entry.class_id in SCALER_ATTRIBUTE
        and entry.may_read(SCALER_ATTRIBUTE[entry.class_id])
        and entry.obis not in cache.registers
    ]
    found: dict[ObisCode, ScalerUnit] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        results = yield from get_list(wanted[start : start + _AT_ONCE], with_list=with_list, cache=cache)
        for result in results:
            if result.error is None:
                found[result.obis] = ScalerUnit.from_value(result.value)
                cache.registers[result.obis] = (result.class_id, found[result.obis])
    return found


_AT_ONCE = 20
"""Units in one request."""


def is_method_name(name: str) -> bool:
    """Whether some interface class has a method of that name."""
    return name in _method_names()


@functools.cache
def _method_names() -> frozenset[str]:
    return frozenset(method.name for declared in interface_classes() for method in declared.methods)
