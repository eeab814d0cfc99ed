"""pydlms-client."""

from __future__ import annotations

import corpus
from adapters.base import Adapter
from pydlms import DlmsClient
from pydlms.apdu import xdlms
from pydlms.cosem.data import DlmsData, decode_data, encode_data
from pydlms.cosem.profile import typed_rows
from pydlms.hdlc.address import HdlcAddress
from pydlms.hdlc.framing import FrameReader, HdlcFrame, encode_frame
from pydlms.obis import ObisCode
from pydlms.security.ciphering import unwrap, wrap
from pydlms.security.context import SecurityContext


class PydlmsAdapter(Adapter):
    name = "pydlms"
    distributions = ("pydlms-client", "construct")
    fills_times = False
    import_statement = "from pydlms import DlmsClient"
    notes = {
        "axdr_decode": "decode_data -> tree of DlmsData dataclasses (its native result)",
        "axdr_encode": "encode_data",
        "hdlc_parse": "FrameReader.feed (construct Struct per frame)",
        "hdlc_build": "encode_frame (construct Struct per frame)",
        "xdlms": "GetRequestNormal(...).to_bytes / decode_apdu",
        "cipher": "ciphering.wrap / unwrap with a SecurityContext (replay check on)",
        "client": "DlmsClient.tcp(...).get",
    }

    def __init__(self):
        self.client_address = HdlcAddress.client(corpus.CLIENT)
        self.server_address = HdlcAddress.server(corpus.SERVER)
        self.register = ObisCode.from_bytes(corpus.REGISTER[1])
        self.profile = ObisCode.from_bytes(corpus.PROFILE[1])

    # (a)
    def axdr_decode(self, data):
        return decode_data(data)[0]

    def plain(self, v):
        return v.to_python() if isinstance(v, DlmsData) else v

    def profile_rows(self, data):
        o = ObisCode
        columns = [
            (8, o(0, 0, 1, 0, 0, 255), 2, 0),
            (1, o(0, 0, 96, 10, 1, 255), 2, 0),
            *((3, o(1, 0, i, 8, 0, 255), 2, 0) for i in range(1, 5)),
        ]
        return typed_rows(columns, [row.value for row in decode_data(data)[0].value])

    def profile_row(self, rows, i):
        t = rows[i][0].to_datetime()
        return [(t.year, t.month, t.day, t.hour, t.minute), *rows[i][1:]]

    # (b)
    def axdr_build(self, value):
        tag, v = value
        if tag in (corpus.ARRAY, corpus.STRUCTURE):
            v = [self.axdr_build(x) for x in v]
        return DlmsData(tag, v)

    def axdr_encode(self, native):
        return encode_data(native)

    # (c)
    def hdlc_parse(self, stream):
        return [frame.info for frame in FrameReader().feed(stream)]

    def hdlc_build(self, infos):
        dest, src, ctrl = self.server_address, self.client_address, corpus.control
        return b"".join(encode_frame(HdlcFrame(dest, src, ctrl(i), info)) for i, info in enumerate(infos))

    # (d)
    def get_request(self):
        return xdlms.GetRequestNormal(corpus.INVOKE, xdlms.AttributeDescriptor(3, self.register, 2)).to_bytes()

    def get_response(self, apdu):
        return xdlms.decode_apdu(apdu).result.data.to_python()

    # (e)
    def make_cipher(self):
        return SecurityContext(
            encryption_key=corpus.EK,
            authentication_key=corpus.AK,
            client_system_title=corpus.TITLE,
            server_system_title=corpus.TITLE,
            invocation_counter=1,
        )

    def protect(self, ctx, apdu, ic):
        return wrap(ctx, apdu)  # takes the counter from the context

    def unprotect(self, ctx, ciphered):
        ctx._last_inbound.clear()  # the same APDU again: forget its counter
        return unwrap(ctx, ciphered).plaintext

    # (f)
    def connect(self, port):
        client = DlmsClient.tcp("127.0.0.1", port)
        client.connect()
        return client

    def read_register(self, client):
        return client.get(self.register, 3, 2).to_python()

    def read_profile(self, client):
        return client.get(self.profile, 7, 2)

    def close(self, client):
        client.close()


ADAPTER = PydlmsAdapter
