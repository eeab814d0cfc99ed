"""A small meter made with gurux-dlms: a clock, a register, a writable data object and a load profile.

The server class of gurux-dlms 1.0.203 calls methods that it does not have; with the few that are added here it serves
the wrapper without security and with LLS. HDLC and GMAC do not work in it. Prints the port, then serves one connection
at a time until it is killed.
"""

import datetime
import socket

from gurux_dlms import GXDateTime, GXServerReply
from gurux_dlms.enums import (
    AccessMode,
    Authentication,
    DataType,
    InterfaceType,
    MethodAccessMode,
    SourceDiagnostic,
    Unit,
)
from gurux_dlms.objects import (
    GXDLMSAssociationLogicalName,
    GXDLMSCaptureObject,
    GXDLMSClock,
    GXDLMSData,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
)
from gurux_dlms.secure import GXDLMSSecureServer

EK = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
AK = bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")


class Reply(GXServerReply):
    """Its server calls setReply, which its reply class does not have."""

    def setReply(self, value):
        self.reply = value

    def getConnectionInfo(self):
        return self.connectionInfo


class Meter(GXDLMSSecureServer):
    def __init__(self):
        self.view = GXDLMSAssociationLogicalName()
        super().__init__(self.view, InterfaceType.WRAPPER)
        self.settings.maxServerPDUSize = 1024  # its maxReceivePDUSize setter calls itself without end
        self.getCiphering().systemTitle = b"GRXMETER"
        self.getCiphering().blockCipherKey = EK
        self.getCiphering().authenticationKey = AK
        register = GXDLMSRegister("1.0.1.8.0.255")
        register.value = 1234567
        register.scaler = 10
        register.unit = Unit.ACTIVE_ENERGY
        register.setDataType(2, DataType.UINT32)
        note = GXDLMSData("0.0.96.1.10.255")
        note.value = bytearray(b"hello")
        note.setDataType(2, DataType.OCTET_STRING)
        clock = GXDLMSClock()
        profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
        profile.capturePeriod = 900
        profile.captureObjects.append((clock, GXDLMSCaptureObject(2, 0)))
        profile.captureObjects.append((register, GXDLMSCaptureObject(2, 0)))
        start = datetime.datetime(2026, 3, 1)
        for index in range(200):
            profile.buffer.append([GXDateTime(start + datetime.timedelta(minutes=15 * index)), index])
        profile.entriesInUse = profile.profileEntries = 200
        for item in (self.view, register, note, clock, profile):
            self.items.append(item)
            self.view.objectList.append(item)  # left empty, its initialize() fails on its own list
        self.initialize()

    def isTarget(self, serverAddress, clientAddress):
        self.view.authenticationMechanismName.mechanismId = (
            Authentication.LOW if clientAddress == 32 else Authentication.HIGH_GMAC if clientAddress == 1 else 0
        )
        return serverAddress == 1

    def onValidateAuthentication(self, authentication, password):
        if authentication == Authentication.LOW and bytes(password) != b"00000000":
            return SourceDiagnostic.AUTHENTICATION_FAILURE
        return SourceDiagnostic.NONE

    def onGetAttributeAccess(self, arg):
        return AccessMode.READ_WRITE

    def onGetMethodAccess(self, arg):
        return MethodAccessMode.ACCESS

    def onFindObject(self, objectType, sn, ln):
        return None

    def _nothing(self, *args):
        return None

    onPreGet = onPostGet = onPreRead = onPostRead = onPreWrite = onPostWrite = onPreAction = onPostAction = _nothing
    notifyRead = notifyConnected = _nothing  # its handlers call these, which its server class does not have
    onConnected = onDisconnected = onInvalidConnection = _nothing


def main():
    meter = Meter()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        meter.reset()
        with connection:
            while data := connection.recv(4096):
                reply = Reply(bytearray(data))
                while True:
                    meter.handleRequest(reply)
                    if reply.reply:
                        connection.sendall(bytes(reply.reply))
                    if not reply.isStreaming():
                        break


if __name__ == "__main__":
    main()
