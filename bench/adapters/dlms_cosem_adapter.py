"""dlms-cosem (u9n). structlog is set to ERROR first: unconfigured, the library prints
every debug event to stdout, which would be what is measured (see the report)."""

from __future__ import annotations

import logging
import os

import structlog

if not os.environ.get("BENCH_STRUCTLOG_DEFAULT"):
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

import corpus
from adapters.base import Adapter
from dlms_cosem import cosem, dlms_data, enumerations, security, utils
from dlms_cosem.client import DlmsClient
from dlms_cosem.connection import XDlmsApduFactory
from dlms_cosem.hdlc import address, frames, state
from dlms_cosem.hdlc.connection import HdlcConnection
from dlms_cosem.io import BlockingTcpIO, TcpTransport
from dlms_cosem.parsers import ProfileGenericBufferParser
from dlms_cosem.protocol import xdlms
from dlms_cosem.security import NoSecurityAuthentication, SecurityControlField

_MAP = dlms_data.DlmsDataFactory.MAP


class DlmsCosemAdapter(Adapter):
    name = "dlms_cosem"
    distributions = ("dlms-cosem", "structlog", "attrs")
    import_statement = "from dlms_cosem.client import DlmsClient; from dlms_cosem.io import BlockingTcpIO, TcpTransport"
    envelope = "general_glo"
    notes = {
        "axdr_decode": "utils.parse_as_dlms_data (AXdrDecoder -> plain Python)",
        "axdr_encode": "DataArray(...).to_bytes() of a tree of DlmsData objects",
        "hdlc_parse": "HdlcConnection.receive_data/next_event; state set to AWAITING_RESPONSE before "
        "each event, since it has no windowing",
        "hdlc_build": "InformationFrame(...).to_bytes()",
        "xdlms": "GetRequestNormal.to_bytes; XDlmsApduFactory + parse_as_dlms_data",
        "cipher": "security.encrypt/decrypt plus the SC|IC header by the adapter; its envelope "
        "(general-glo) writes one length octet only, wrong above 127 octets",
        "client": "DlmsClient over TcpTransport(BlockingTcpIO)",
    }

    def __init__(self):
        self.client_address = address.HdlcAddress(corpus.CLIENT, None, "client")
        self.server_address = address.HdlcAddress(corpus.SERVER, None, "server")
        obis = cosem.Obis(*corpus.REGISTER[1])
        self.register = cosem.CosemAttribute(enumerations.CosemInterface.REGISTER, obis, 2)
        self.profile = cosem.CosemAttribute(
            enumerations.CosemInterface.PROFILE_GENERIC, cosem.Obis(*corpus.PROFILE[1]), 2
        )

    # (a)
    def axdr_decode(self, data):
        return utils.parse_as_dlms_data(data)

    def plain(self, v):
        if isinstance(v, list):
            return [self.plain(x) for x in v]
        return bytes(v) if isinstance(v, bytearray) else v

    def read_table(self, client):
        return self.profile_rows(client.get(self.profile))

    def profile_rows(self, data):
        I, O = enumerations.CosemInterface, cosem.Obis
        columns = [
            cosem.CosemAttribute(I.CLOCK, O(0, 0, 1, 0, 0), 2),
            cosem.CosemAttribute(I.DATA, O(0, 0, 96, 10, 1), 2),
            *(cosem.CosemAttribute(I.REGISTER, O(1, 0, i, 8, 0), 2) for i in range(1, 5)),
        ]
        return ProfileGenericBufferParser(columns, 15).parse_bytes(data)

    def profile_row(self, rows, i):
        t = rows[i][0].value
        return [(t.year, t.month, t.day, t.hour, t.minute), *(c.value for c in rows[i][1:])]

    # (b)
    def axdr_build(self, value):
        tag, v = value
        if tag in (corpus.ARRAY, corpus.STRUCTURE):
            v = [self.axdr_build(x) for x in v]
        return _MAP[tag](v)

    def axdr_encode(self, native):
        return native.to_bytes()

    # (c)
    def hdlc_parse(self, stream):
        conn = HdlcConnection(self.client_address, self.server_address)
        conn.client_rsn = 1
        conn.receive_data(stream)
        out = []
        buffer = conn.buffer
        while buffer:
            conn.state.current_state = state.AWAITING_RESPONSE
            frame = conn.next_event()
            if frame is state.NEED_DATA:  # a 7E inside the frame: it wants to be asked again
                continue
            out.append(frame.payload)
        return out

    def hdlc_build(self, infos):
        out = []
        for i, info in enumerate(infos):
            out.append(
                frames.InformationFrame(
                    self.server_address,
                    self.client_address,
                    info,
                    send_sequence_number=i % 8,
                    receive_sequence_number=1,
                ).to_bytes()
            )
        return b"".join(out)

    # (d)
    def get_request(self):
        return xdlms.GetRequestNormal(cosem_attribute=self.register).to_bytes()

    def get_response(self, apdu):
        return utils.parse_as_dlms_data(XDlmsApduFactory.apdu_from_bytes(apdu).data)

    # (e)
    def make_cipher(self):
        return SecurityControlField(0, authenticated=True, encrypted=True)

    def protect(self, sc, apdu, ic):
        return (
            sc.to_bytes() + ic.to_bytes(4, "big") + security.encrypt(sc, corpus.TITLE, ic, corpus.EK, apdu, corpus.AK)
        )

    def unprotect(self, sc, ciphered):
        pdu = xdlms.GeneralGlobalCipher.from_bytes(ciphered)
        return pdu.to_plain_apdu(corpus.EK, corpus.AK)

    # (f)
    def connect(self, port):
        client = DlmsClient(
            transport=TcpTransport(16, 1, BlockingTcpIO("127.0.0.1", port)), authentication=NoSecurityAuthentication()
        )
        client.connect()
        client.associate()
        return client

    def read_register(self, client):
        return utils.parse_as_dlms_data(client.get(self.register))

    def read_profile(self, client):
        return utils.parse_as_dlms_data(client.get(self.profile))

    def close(self, client):
        client.disconnect()


ADAPTER = DlmsCosemAdapter
