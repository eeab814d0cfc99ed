"""What a meter tells a client that is let in: who it is, its associations, its security setup, its counters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cosemic.codec.axdr import Value
from cosemic.cosem.access import Procedure, get
from cosemic.cosem.object_list import ObjectEntry, decode_object_list
from cosemic.doctor.findings import Code, Finding, good, remark
from cosemic.enums import AuthenticationMechanism, InterfaceClass, known
from cosemic.errors import DlmsError
from cosemic.obis import ObisCode

DEVICE_NAME = ObisCode(0, 0, 42, 0, 0, 255)
CURRENT_ASSOCIATION = ObisCode(0, 0, 40, 0, 0, 255)
SECURITY_SETUP = ObisCode(0, 0, 43, 0, 0, 255)
COUNTER = ObisCode(0, 0, 43, 1, 0, 255)
_COUNTERS = bytes((43, 1))
_MOST_OBJECTS = 8


@dataclass(frozen=True, slots=True)
class Setup:
    """A security setup object: policy and suite as numbers, the system titles of the client and of the meter."""

    policy: int | None = None
    suite: int | None = None
    client_title: bytes | None = None
    server_title: bytes | None = None


@dataclass(frozen=True, slots=True)
class Partner:
    """An association that the meter has: with which client, by which mechanism."""

    client: int
    server: int | None = None
    mechanism: AuthenticationMechanism | int | None = None


@dataclass(slots=True)
class Survey:
    """What was read so far; filled while it is carried out, so that an end in the middle loses nothing."""

    device_name: bytes | None = None
    objects: list[ObjectEntry] | None = None
    setups: dict[ObisCode, Setup] = field(default_factory=dict)
    counters: dict[ObisCode, int] = field(default_factory=dict)
    partners: dict[ObisCode, Partner] = field(default_factory=dict)

    def carry_out(self, *, with_list: bool = True) -> Procedure[None]:
        """The requests, the smallest first: the object list may take a minute on a slow line."""
        name = yield from _value(InterfaceClass.DATA, DEVICE_NAME, 2)
        self.device_name = name if isinstance(name, bytes) else None
        named = yield from _value(InterfaceClass.ASSOCIATION_LN, CURRENT_ASSOCIATION, 9)
        code = named if isinstance(named, bytes) and len(named) == 6 and any(named) else None
        yield from self._security(SECURITY_SETUP if code is None else ObisCode.from_bytes(code))
        yield from self._counter(COUNTER)
        yield from self._partner(CURRENT_ASSOCIATION)
        if not with_list:
            return
        value = yield from _value(InterfaceClass.ASSOCIATION_LN, CURRENT_ASSOCIATION, 2)
        try:
            self.objects = decode_object_list(value)
        except DlmsError:
            return
        for obis in _instances(self.objects, InterfaceClass.SECURITY_SETUP, self.setups):
            yield from self._security(obis)
        for obis in _instances(self.objects, InterfaceClass.DATA, self.counters):
            yield from self._counter(obis)
        for obis in _instances(self.objects, InterfaceClass.ASSOCIATION_LN, self.partners):
            yield from self._partner(obis)

    def take(self, other: Survey) -> None:
        """Add what another association showed."""
        self.device_name = self.device_name or other.device_name
        self.objects = other.objects or self.objects
        self.setups.update(other.setups)
        self.counters.update(other.counters)
        self.partners.update(other.partners)

    def _security(self, obis: ObisCode) -> Procedure[None]:
        policy = yield from _value(InterfaceClass.SECURITY_SETUP, obis, 2)
        if policy is None:
            return
        suite = yield from _value(InterfaceClass.SECURITY_SETUP, obis, 3)
        client = yield from _value(InterfaceClass.SECURITY_SETUP, obis, 4)
        server = yield from _value(InterfaceClass.SECURITY_SETUP, obis, 5)
        self.setups[obis] = Setup(_number(policy), _number(suite), _title(client), _title(server))

    def _counter(self, obis: ObisCode) -> Procedure[None]:
        value = _number((yield from _value(InterfaceClass.DATA, obis, 2)))
        if value is not None:
            self.counters[obis] = value

    def _partner(self, obis: ObisCode) -> Procedure[None]:
        value = yield from _value(InterfaceClass.ASSOCIATION_LN, obis, 3)
        match value:
            case (int(client), int(server)):
                pass
            case _:
                return
        mechanism = _mechanism((yield from _value(InterfaceClass.ASSOCIATION_LN, obis, 6)))
        self.partners[obis] = Partner(int(client) & 0xFF, int(server), mechanism)

    def findings(self, probe: str) -> list[Finding]:
        """What was read, in words."""
        found: list[Finding] = []
        if self.device_name is not None:
            name = _text(self.device_name)
            found.append(good(probe, Code.DEVICE_NAME, f"logical device name {name}", name=name))
        partners = sorted(set(self.partners.values()), key=lambda partner: partner.client)
        if partners:
            text = ", ".join(f"client {p.client} ({mechanism_name(p.mechanism)})" for p in partners)
            clients = ",".join(str(partner.client) for partner in partners)
            found.append(good(probe, Code.ASSOCIATIONS, f"associations it tells of: {text}", clients=clients))
        for obis, setup in self.setups.items():
            found.append(good(probe, Code.SECURITY_SETUP, f"security setup {obis}: {_setup_text(setup)}", **_of(setup)))
        for obis, counter in self.counters.items():
            text = f"invocation counter {obis}: {counter}; the next message has to go above it"
            found.append(good(probe, Code.COUNTER, text, obis=obis.dotted, counter=counter))
        if not found:
            found.append(remark(probe, Code.DEVICE_NAME, "it lets this client in, but shows it nothing of all this"))
        return found


def mechanism_name(mechanism: AuthenticationMechanism | int | None) -> str:
    """``LLS``, ``HLS-GMAC``; for one that is not known, what is known."""
    if mechanism is None:
        return "mechanism not told"
    if isinstance(mechanism, AuthenticationMechanism):
        return "no authentication" if not mechanism else mechanism.name.replace("_", "-")
    return f"mechanism {mechanism}"


def _instances(objects: Iterable[ObjectEntry], class_id: int, known_ones: Iterable[ObisCode]) -> list[ObisCode]:
    seen = set(known_ones)
    wanted = [
        entry.obis
        for entry in objects
        if entry.class_id == class_id
        and entry.obis not in seen
        and (class_id != InterfaceClass.DATA or bytes(entry.obis)[2:4] == _COUNTERS)
    ]
    return wanted[:_MOST_OBJECTS]


def _value(class_id: int, obis: ObisCode, attribute: int) -> Procedure[Value]:
    """One attribute, None where the meter does not give it."""
    try:
        return (yield from get(class_id, obis, attribute))
    except DlmsError:
        return None


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _title(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and len(value) == 8 else None


def _mechanism(value: object) -> AuthenticationMechanism | int | None:
    """The last arc of the mechanism name, which meters give as a structure or as encoded octets."""
    last = value[-1] if isinstance(value, (tuple, bytes)) and value else None
    return known(AuthenticationMechanism, last) if isinstance(last, int) else None


def _text(name: bytes) -> str:
    return name.decode("ascii") if name.isascii() and name.decode("ascii").isprintable() else name.hex().upper()


def _setup_text(setup: Setup) -> str:
    parts = [f"policy {setup.policy} ({policy_words(setup.policy)})"]
    if setup.suite is not None:
        parts.append(f"suite {setup.suite}")
    if setup.server_title is not None:
        parts.append(f"the meter's system title {setup.server_title.hex().upper()}")
    if setup.client_title is not None:
        parts.append(f"the client's system title {setup.client_title.hex().upper()}")
    return ", ".join(parts)


def policy_words(policy: int | None) -> str:
    """What a security policy demands (IEC 62056-6-2, class 64): an enumeration in version 0, bits in version 1."""
    if policy is None or not 0 <= policy <= 0xFF:
        return "not known"
    if policy < len(_POLICIES):
        return _POLICIES[policy]
    demands = [
        f"{' and '.join(words)} {of}"
        for of, first in (("requests", 2), ("responses", 5))
        if (words := [word for bit, word in enumerate(_PROTECTIONS, first) if policy >> bit & 1])
    ]
    return ", ".join(demands) or "not known"


_POLICIES = ("no protection demanded", "authenticated", "encrypted", "authenticated and encrypted")
_PROTECTIONS = ("authenticated", "encrypted", "signed")


def _of(setup: Setup) -> dict[str, str | int | None]:
    return {
        "policy": setup.policy,
        "suite": setup.suite,
        "server_title": None if setup.server_title is None else setup.server_title.hex().upper(),
        "client_title": None if setup.client_title is None else setup.client_title.hex().upper(),
    }
