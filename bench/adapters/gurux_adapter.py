"""gurux-dlms (Gurux.DLMS.Python), with gurux-net for TCP as in its client example."""

from __future__ import annotations

import corpus
from adapters.base import Adapter
from gurux_common import ReceiveParameters
from gurux_dlms import (
    AesGcmParameter,
    GXByteBuffer,
    GXDLMSClient,
    GXEnum,
    GXInt16,
    GXReplyData,
    GXStructure,
    GXArray,
    GXUInt8,
    GXUInt32,
    GXUInt64,
    GXInt32,
)
from gurux_dlms.enums import Authentication, DataType, InterfaceType, Security
from gurux_dlms.GXDLMS import GXDLMS
from gurux_dlms.GXDLMSChippering import GXDLMSChippering
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.internal._GXDataInfo import _GXDataInfo
from gurux_dlms.objects import GXDLMSClock, GXDLMSData, GXDLMSProfileGeneric, GXDLMSRegister
from gurux_net import GXNet
from gurux_net.enums import NetworkType

_WRAP = {
    corpus.UINT8: GXUInt8,
    corpus.UINT32: GXUInt32,
    corpus.UINT64: GXUInt64,
    corpus.INT16: GXInt16,
    corpus.INT32: GXInt32,
    corpus.ENUM: GXEnum,
}


def _client(interface):
    return GXDLMSClient(True, 16, 1, Authentication.NONE, None, interface)


class GuruxAdapter(Adapter):
    name = "gurux"
    distributions = ("gurux-dlms", "gurux-net", "gurux-common")
    fills_times = False
    import_statement = "from gurux_dlms import GXDLMSClient; from gurux_net import GXNet"
    notes = {
        "axdr_decode": "_GXCommon.getData over a GXByteBuffer (what GXDLMSClient.updateValue uses)",
        "axdr_encode": "_GXCommon.setData into a GXByteBuffer",
        "hdlc_parse": "GXDLMS.getHdlcData + getDataFromFrame per frame (no PDU parsing)",
        "hdlc_build": "GXDLMS.getHdlcFrame per frame",
        "xdlms": "GXDLMSClient.read / getData with InterfaceType.PDU",
        "cipher": "GXDLMSChippering.encryptAesGcm/decryptAesGcm (pure-Python AES-GCM)",
        "client": "GXDLMSClient + GXNet driven as GXDLMSReader of the official example does",
    }

    def __init__(self):
        self.pdu = _client(InterfaceType.PDU)
        self.settings = self.pdu.settings
        self.hdlc = _client(InterfaceType.HDLC)
        self.register = GXDLMSRegister("1.0.1.8.0.255")
        self.profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
        self.notes["profile_rows"] = "GXDLMSClient.updateValue(profile, 2, decoded) -> GXDateTime"

    # (a)
    def axdr_decode(self, data):
        return _GXCommon.getData(self.settings, GXByteBuffer(data), _GXDataInfo())

    def plain(self, v):
        if isinstance(v, list):
            return [self.plain(x) for x in v]
        if isinstance(v, (bytearray, bytes)):
            return bytes(v)
        if v is None or isinstance(v, (bool, str)):
            return v
        return int(getattr(v, "value", v))

    def profile_rows(self, data):
        pg = self.profile
        if not pg.captureObjects:
            for obj in (
                GXDLMSClock(),
                GXDLMSData("0.0.96.10.1.255"),
                *(GXDLMSRegister(f"1.0.{i}.8.0.255") for i in range(1, 5)),
            ):
                pg.addCaptureObject(obj, 2, 0)
        pg.buffer = []
        self.pdu.updateValue(pg, 2, self.axdr_decode(data))
        return pg.buffer

    def profile_row(self, rows, i):
        t = rows[i][0].value
        return [(t.year, t.month, t.day, t.hour, t.minute), *map(self.plain, rows[i][1:])]

    # (b)
    def axdr_build(self, value):
        tag, v = value
        if tag == corpus.STRUCTURE or tag == corpus.ARRAY:
            out = GXStructure() if tag == corpus.STRUCTURE else GXArray()
            for x in v:
                out.append(self.axdr_build(x))
            return out
        wrap = _WRAP.get(tag)
        return wrap(v) if wrap else v

    def axdr_encode(self, native):
        bb = GXByteBuffer()
        _GXCommon.setData(self.settings, bb, DataType.ARRAY, native)
        return bytes(bb.array())

    # (c)
    def hdlc_parse(self, stream):
        settings = self.hdlc.settings
        settings.senderFrame = 0x11  # an RR was sent last: N(S) counts up, N(R) stays
        settings.receiverFrame = corpus.control(7)
        rd = GXByteBuffer(stream)
        out = []
        data = GXReplyData()
        while rd.position < rd.size:
            GXDLMS.getHdlcData(False, settings, rd, data, None)
            if not data.complete:
                break
            GXDLMS.getDataFromFrame(rd, data, True)
            info = data.data
            out.append(info.array())
            info.clear()
        return out

    def hdlc_build(self, infos):
        settings = self.hdlc.settings
        settings.hdlc.maxInfoTX = len(infos[0]) + 3
        return b"".join(
            GXDLMS.getHdlcFrame(settings, corpus.control(i), GXByteBuffer(info)) for i, info in enumerate(infos)
        )

    # (d)
    def get_request(self):
        return bytes(self.pdu.read(self.register, 2)[0])

    def get_response(self, apdu):
        reply = GXReplyData()
        self.pdu.getData(GXByteBuffer(apdu), reply)
        return self.pdu.updateValue(self.register, 2, reply.value)

    # (e)
    def make_cipher(self):
        return bytearray(corpus.TITLE), bytearray(corpus.EK), bytearray(corpus.AK)

    def _parameters(self, cipher):
        p = AesGcmParameter(0xCC, *cipher)
        p.security = Security.AUTHENTICATION_ENCRYPTION
        return p

    def protect(self, cipher, apdu, ic):
        p = self._parameters(cipher)
        p.invocationCounter = ic
        return bytes(GXDLMSChippering.encryptAesGcm(p, bytearray(apdu)))

    def unprotect(self, cipher, ciphered):
        return bytes(GXDLMSChippering.decryptAesGcm(self.settings, self._parameters(cipher), GXByteBuffer(ciphered)))

    # (f)
    def connect(self, port):
        client = _client(InterfaceType.WRAPPER)
        media = GXNet(NetworkType.TCP, "127.0.0.1", port)
        media.open()
        c = client, media
        reply = GXReplyData()
        for it in client.aarqRequest():
            self._packet(c, it, reply)
        client.parseAareResponse(reply.data)
        return c

    @staticmethod
    def _packet(c, data, reply):
        """GXDLMSReader.readDLMSPacket2 without its tracing."""
        client, media = c
        reply.error = 0
        p = ReceiveParameters()
        p.eop = None
        p.allData = True
        p.waitTime = 5000
        p.Count = 8
        media.eop = None
        rd = GXByteBuffer()
        notify = GXReplyData()
        with media.getSynchronous():
            if not reply.isStreaming():
                media.send(data)
            while not client.getData(rd, reply, notify):
                p.count = client.getFrameSize(rd)
                if not media.receive(p):
                    raise TimeoutError
                rd.set(p.reply)
                p.reply = None
        if reply.error:
            raise RuntimeError(reply.error)

    def _read(self, c, item, attribute):
        client = c[0]
        reply = GXReplyData()
        self._packet(c, client.read(item, attribute)[0], reply)
        while reply.isMoreData():
            self._packet(c, client.receiverReady(reply), reply)
        return reply

    def read_register(self, c):
        return c[0].updateValue(self.register, 2, self._read(c, self.register, 2).value)

    def read_profile(self, c):
        return self._read(c, self.profile, 2).value

    def close(self, c):
        c[1].close()


ADAPTER = GuruxAdapter
