"""cosemic, the blocking client."""

from __future__ import annotations

from datetime import timedelta, timezone

import corpus
from adapters.base import Adapter

from cosemic import HdlcFrame, ObisCode, SecurityContext, axdr, blocking, decode_apdu, encode_apdu
from cosemic.apdu.ciphering import unwrap_ciphered, wrap_ciphered
from cosemic.apdu.fields import AttributeDescriptor
from cosemic.apdu.get import GetRequestNormal
from cosemic.codec.axdr import Typed
from cosemic.cosem.profile import decode_profile, make_columns
from cosemic.cosem.selection import CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.link.frames import FrameReader, HdlcAddress
from cosemic.security.context import AssociationSecurity
from cosemic.security.counters import MemoryCounters


class CosemicAdapter(Adapter):
    name = "cosemic"
    distributions = ("cosemic",)
    import_statement = "from cosemic import blocking"

    def __init__(self):
        self.register = ObisCode.from_bytes(corpus.REGISTER[1])
        self.profile = ObisCode.from_bytes(corpus.PROFILE[1])
        captures = [CaptureObject(class_id, ObisCode.from_bytes(name), 2) for class_id, name in corpus.CAPTURES]
        self.columns = make_columns(captures, [ScalerUnit(0, 30) if c.class_id == 3 else None for c in captures])
        self.attribute = AttributeDescriptor(3, self.register, 2)

    def axdr_decode(self, data):
        return axdr.decode(data)

    def plain(self, value):
        return [self.plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    def profile_table(self, data):
        return decode_profile(self.columns, data, capture_period=900).to_arrow()

    def table_row(self, table, i):
        time, *cells = (column[i].as_py() for column in table.columns)
        t = time.astimezone(timezone(timedelta(hours=1)))
        return [(t.year, t.month, t.day, t.hour, t.minute), *map(int, cells)]

    def read_table(self, client):
        client.cache.scalers.clear()  # a reading of a meter that was never met
        return client.read_profile(self.profile).to_arrow()

    def axdr_build(self, value):
        tag, content = value
        if tag in (corpus.ARRAY, corpus.STRUCTURE):
            content = tuple(self.axdr_build(item) for item in content)
        return Typed(axdr.DataType(tag), content)

    def axdr_encode(self, native):
        return axdr.encode(native)

    def hdlc_parse(self, stream):
        return [frame.information for frame in FrameReader().feed(stream)]

    def hdlc_build(self, infos):
        server, client, control = HdlcAddress(corpus.SERVER), HdlcAddress(corpus.CLIENT), corpus.control
        return b"".join(HdlcFrame(server, client, control(i), info).encode() for i, info in enumerate(infos))

    def get_request(self):
        return encode_apdu(GetRequestNormal(corpus.INVOKE, self.attribute))

    def get_response(self, apdu):
        return decode_apdu(apdu).result.value

    def make_cipher(self):
        context = SecurityContext(
            system_title=corpus.TITLE,
            encryption_key=corpus.EK,
            authentication_key=corpus.AK,
            counters=MemoryCounters(),  # as the peers; what a durable store adds is protect_200 of cosemic_durable
        )
        return AssociationSecurity(context, role="client", peer_system_title=b"METER\0\0\1")

    def protect(self, cipher, apdu, ic):
        return wrap_ciphered(0xCC, cipher.protect(apdu))  # the counter is the store's next

    def make_opener(self):
        context = SecurityContext(
            system_title=b"METER\0\0\1",
            encryption_key=corpus.EK,
            authentication_key=corpus.AK,
            counters=MemoryCounters(),
        )
        return AssociationSecurity(context, role="server", peer_system_title=corpus.TITLE)

    def unprotect(self, cipher, ciphered):
        cipher._incoming[0].last = None  # the same APDU again: forget its counter
        return cipher.open(unwrap_ciphered(ciphered)[2])

    def connect(self, port):
        client = blocking.DlmsClient(f"tcp://127.0.0.1:{port}", client_sap=16, server_sap=1)
        client.connect()
        return client

    def read_register(self, client):
        return client.get(3, self.register, 2)

    def read_profile(self, client):
        return client.get(7, self.profile, 2)

    def close(self, client):
        client.close()


ADAPTER = CosemicAdapter
