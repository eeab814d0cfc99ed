"""Lets pydlms-client take one push on a socket: prints its port, then what it says; see the package's docstring."""

import json
import socket
import sys

from pydlms import DlmsData, SecurityContext
from pydlms.push import PushDecoder
from pydlms.security.suites import SecurityPolicy


def plain(value):
    if isinstance(value, DlmsData):
        value = value.to_python()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


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
    security = None
    if config.get("ek"):
        security = SecurityContext(
            encryption_key=bytes.fromhex(config["ek"]),
            authentication_key=bytes.fromhex(config["ak"]),
            client_system_title=b"COLLECT1",
            policy=SecurityPolicy[config["policy"].upper().replace("-", "_")],
        )
    decoder = PushDecoder(framing=config["framing"], security=security)
    try:
        messages = [message for octets in receive(config) for message in decoder.feed(octets)]
        (message,) = messages
        found = {
            "value": plain(message.notification.body),
            "records": [
                [str(record.obis), record.attribute, plain(record.raw)] for record in message.records if record.obis
            ],
            "invoke_id": message.notification.long_invoke_id,
            "date_time": plain(message.notification.date_time),
            "authenticated": message.authenticated,
        }
        print(json.dumps(found), flush=True)
    except Exception as error:  # the other library's errors are part of what is tested
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
