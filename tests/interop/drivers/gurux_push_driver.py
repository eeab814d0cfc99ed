"""Lets gurux-dlms take one push on a socket: prints its port, then what the push says; see the package's docstring."""

import json
import os
import socket
import sys

from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.secure import GXDLMSSecureClient


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, float, str)):
        return value
    inner = getattr(value, "value", value)
    return int(inner) if isinstance(inner, int) else str(value)


def receive(config):
    """All octets of one connection, or so many datagrams."""
    if config["transport"] == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.settimeout(30)
            print(listening.getsockname()[1], flush=True)
            return [listening.recv(65536) for _ in range(config.get("datagrams", 1))]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        print(listening.getsockname()[1], flush=True)
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(30)
            octets = b""
            while piece := connection.recv(65536):
                octets += piece
    return [octets]


def main():
    config = json.loads(sys.stdin.readline())
    interface = InterfaceType.HDLC if config["framing"] == "hdlc" else InterfaceType.WRAPPER
    client = GXDLMSSecureClient(True, 103, 1, Authentication.NONE, None, interface)
    if config.get("ek"):
        client.ciphering.systemTitle = b"COLLECT1"
        client.ciphering.blockCipherKey = bytes.fromhex(config["ek"])
        client.ciphering.authenticationKey = bytes.fromhex(config["ak"])
        client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    buffer = GXByteBuffer()
    reply, notification = GXReplyData(), GXReplyData()
    try:
        for octets in receive(config):
            buffer.set(octets)
        while buffer.position < buffer.size:
            if client.getData(buffer, reply, notification) and not notification.isMoreData():
                break
        print(json.dumps({"value": plain(notification.value), "time": str(notification.time)}), flush=True)
    except Exception as error:  # the other library's errors are part of what is tested
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)
