"""cosemic: DLMS/COSEM (IEC 62056) for Python.

Read, write and simulate electricity, gas, water and heat meters. Everything here is loaded when it is first used.
"""

from __future__ import annotations

import logging

TYPE_CHECKING = False  # importing typing would cost more than all the rest

if TYPE_CHECKING:
    from cosemic import blocking as blocking
    from cosemic.apdu.base import decode_apdu as decode_apdu
    from cosemic.apdu.base import encode_apdu as encode_apdu
    from cosemic.apdu.services import AttributeDescriptor as AttributeDescriptor
    from cosemic.apdu.services import MethodDescriptor as MethodDescriptor
    from cosemic.apdu.services import SelectiveAccess as SelectiveAccess
    from cosemic.client import DlmsClient as DlmsClient
    from cosemic.client import recover_counter as recover_counter
    from cosemic.codec import axdr as axdr
    from cosemic.codec.axdr import BitString as BitString
    from cosemic.codec.axdr import Data as Data
    from cosemic.codec.axdr import Typed as Typed
    from cosemic.cosem.invocation_counter import CounterSource as CounterSource
    from cosemic.cosem.profile import Profile as Profile
    from cosemic.cosem.values import Reading as Reading
    from cosemic.enums import AccessRight as AccessRight
    from cosemic.enums import ActionResult as ActionResult
    from cosemic.enums import ApduTag as ApduTag
    from cosemic.enums import AuthenticationMechanism as AuthenticationMechanism
    from cosemic.enums import Conformance as Conformance
    from cosemic.enums import DataAccessResult as DataAccessResult
    from cosemic.enums import DataType as DataType
    from cosemic.enums import InterfaceClass as InterfaceClass
    from cosemic.errors import ActionError as ActionError
    from cosemic.errors import AssociationRefused as AssociationRefused
    from cosemic.errors import AuthenticationError as AuthenticationError
    from cosemic.errors import CertificateError as CertificateError
    from cosemic.errors import ConfirmedServiceErrorReceived as ConfirmedServiceErrorReceived
    from cosemic.errors import DataAccessError as DataAccessError
    from cosemic.errors import DecodeError as DecodeError
    from cosemic.errors import DlmsError as DlmsError
    from cosemic.errors import ExceptionResponseError as ExceptionResponseError
    from cosemic.errors import FrameError as FrameError
    from cosemic.errors import KeyMissing as KeyMissing
    from cosemic.errors import LinkError as LinkError
    from cosemic.errors import LinkLost as LinkLost
    from cosemic.errors import LinkTimeout as LinkTimeout
    from cosemic.errors import LocalProtocolError as LocalProtocolError
    from cosemic.errors import MissingExtra as MissingExtra
    from cosemic.errors import RemoteProtocolError as RemoteProtocolError
    from cosemic.errors import ReplayError as ReplayError
    from cosemic.errors import SecurityError as SecurityError
    from cosemic.errors import SequenceError as SequenceError
    from cosemic.errors import ServiceError as ServiceError
    from cosemic.link.broadcast import ALL_STATIONS as ALL_STATIONS
    from cosemic.link.frames import HdlcAddress as HdlcAddress
    from cosemic.link.frames import HdlcFrame as HdlcFrame
    from cosemic.link.wrapper import WrapperPdu as WrapperPdu
    from cosemic.obis import ObisCode as ObisCode
    from cosemic.protocol.requests import Access as Access
    from cosemic.protocol.requests import Action as Action
    from cosemic.protocol.requests import Get as Get
    from cosemic.protocol.requests import Set as Set
    from cosemic.push.decoder import PushDecoder as PushDecoder
    from cosemic.push.listening.inventory import Inventory as Inventory
    from cosemic.push.listening.listener import PushListener as PushListener
    from cosemic.push.messages import Push as Push
    from cosemic.push.messages import PushReading as PushReading
    from cosemic.push.protection.keys import KeyTable as KeyTable
    from cosemic.push.protection.keys import MeterKeys as MeterKeys
    from cosemic.security.certificate_store import CertificateStore as CertificateStore
    from cosemic.security.context import SecurityContext as SecurityContext
    from cosemic.security.context import SecurityPolicy as SecurityPolicy
    from cosemic.security.counters import CounterStore as CounterStore
    from cosemic.security.counters import MemoryCounters as MemoryCounters
    from cosemic.security.counters import SqliteCounters as SqliteCounters
    from cosemic.security.ec import PrivateKey as PrivateKey
    from cosemic.security.ec import SoftwareKey as SoftwareKey
    from cosemic.security.key_store import EnvironmentKeyStore as EnvironmentKeyStore
    from cosemic.security.key_store import FileKeyStore as FileKeyStore
    from cosemic.security.key_store import KeyStore as KeyStore
    from cosemic.security.key_store import MemoryKeyStore as MemoryKeyStore
    from cosemic.security.key_store import security_context as security_context
    from cosemic.security.pkcs11 import Pkcs11KeyStore as Pkcs11KeyStore
    from cosemic.security.pkcs11 import Pkcs11Token as Pkcs11Token
    from cosemic.security.suites import EphemeralSignature as EphemeralSignature
    from cosemic.security.suites import GeneralAad as GeneralAad
    from cosemic.security.suites import GeneralKey as GeneralKey
    from cosemic.security.suites import KeyId as KeyId
    from cosemic.security.suites import SigningInput as SigningInput
    from cosemic.security.suites import SigningOrder as SigningOrder
    from cosemic.times import CosemDate as CosemDate
    from cosemic.times import CosemDateTime as CosemDateTime
    from cosemic.times import CosemTime as CosemTime
    from cosemic.tolerances import Tolerance as Tolerance
    from cosemic.transports.certificates import TlsSettings as TlsSettings
    from cosemic.transports.line import BlockingLine as BlockingLine
    from cosemic.transports.line import Line as Line
    from cosemic.transports.streams import BlockingStream as BlockingStream
    from cosemic.transports.streams import Stream as Stream
    from cosemic.transports.streams import open_stream as open_stream

    __version__: str

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until the user asks for logs

_MODULES = {
    "axdr": "cosemic.codec.axdr",
    "blocking": "cosemic.blocking",
}
_HOMES = {
    "cosemic.client": ("DlmsClient", "recover_counter"),
    "cosemic.cosem.invocation_counter": ("CounterSource",),
    "cosemic.obis": ("ObisCode",),
    "cosemic.times": ("CosemDate", "CosemDateTime", "CosemTime"),
    "cosemic.enums": (
        "AccessRight",
        "ActionResult",
        "ApduTag",
        "AuthenticationMechanism",
        "Conformance",
        "DataAccessResult",
        "DataType",
        "InterfaceClass",
    ),
    "cosemic.codec.axdr": ("BitString", "Data", "Typed"),
    "cosemic.apdu.base": ("decode_apdu", "encode_apdu"),
    "cosemic.apdu.services": ("AttributeDescriptor", "MethodDescriptor", "SelectiveAccess"),
    "cosemic.link.broadcast": ("ALL_STATIONS",),
    "cosemic.link.frames": ("HdlcAddress", "HdlcFrame"),
    "cosemic.link.wrapper": ("WrapperPdu",),
    "cosemic.protocol.requests": ("Access", "Action", "Get", "Set"),
    "cosemic.push.decoder": ("PushDecoder",),
    "cosemic.push.listening.inventory": ("Inventory",),
    "cosemic.push.protection.keys": ("KeyTable", "MeterKeys"),
    "cosemic.push.listening.listener": ("PushListener",),
    "cosemic.push.messages": ("Push", "PushReading"),
    "cosemic.security.context": ("SecurityContext", "SecurityPolicy"),
    "cosemic.security.counters": ("CounterStore", "MemoryCounters", "SqliteCounters"),
    "cosemic.security.certificate_store": ("CertificateStore",),
    "cosemic.security.key_store": (
        "EnvironmentKeyStore",
        "FileKeyStore",
        "KeyStore",
        "MemoryKeyStore",
        "security_context",
    ),
    "cosemic.security.pkcs11": ("Pkcs11KeyStore", "Pkcs11Token"),
    "cosemic.security.ec": ("PrivateKey", "SoftwareKey"),
    "cosemic.security.suites": (
        "EphemeralSignature",
        "GeneralAad",
        "GeneralKey",
        "KeyId",
        "SigningInput",
        "SigningOrder",
    ),
    "cosemic.cosem.values": ("Reading",),
    "cosemic.cosem.profile": ("Profile",),
    "cosemic.tolerances": ("Tolerance",),
    "cosemic.transports.certificates": ("TlsSettings",),
    "cosemic.transports.line": ("BlockingLine", "Line"),
    "cosemic.transports.streams": ("BlockingStream", "Stream", "open_stream"),
    "cosemic.errors": (
        "ActionError",
        "AssociationRefused",
        "AuthenticationError",
        "CertificateError",
        "ConfirmedServiceErrorReceived",
        "DataAccessError",
        "DecodeError",
        "DlmsError",
        "ExceptionResponseError",
        "FrameError",
        "KeyMissing",
        "LinkError",
        "LinkLost",
        "LinkTimeout",
        "LocalProtocolError",
        "MissingExtra",
        "RemoteProtocolError",
        "ReplayError",
        "SecurityError",
        "SequenceError",
        "ServiceError",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*_MODULES, *_HOME, "__version__"]


def __getattr__(name: str) -> object:
    from importlib import import_module

    value: object
    if name in _MODULES:
        value = import_module(_MODULES[name])
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("cosemic")
    else:
        raise AttributeError(f"module 'cosemic' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
