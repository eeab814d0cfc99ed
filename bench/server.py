"""Canned DLMS server over TCP with the wrapper: any GET is answered by a fixed response.

Blocking sockets, a thread per connection, answers prepared before the start, so
that the client under test is the bottleneck. ``python server.py [port] [block]``
prints the port and serves until killed. A GET of class 7 attribute 2 is answered
with the uniform profile buffer in blocks of ``block`` octets of raw data.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading

import corpus

AARE = bytes.fromhex("6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f0400007e1fffff0007")
RLRE = bytes.fromhex("6303800100")


def blocks(data: bytes, size: int) -> list[bytes]:
    """GET-response-with-datablock APDUs (invoke-id octet 0, patched on sending)."""
    out = []
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    for number, part in enumerate(parts, 1):
        last = number == len(parts)
        out.append(
            b"\xc4\x02\x00" + bytes((last,)) + struct.pack(">I", number) + b"\x00" + corpus.length(len(part)) + part
        )
    return out


class Server:
    def __init__(self, block: int) -> None:
        self.profile = blocks(corpus.uniform_bytes(), block)
        self.register = b"\x00\x06" + struct.pack(">I", corpus.REGISTER_VALUE)
        profile = corpus.PROFILE[1]
        self.others = {  # what a client asks to know the columns of the profile
            (7, profile, 3): b"\x00" + corpus.CAPTURE_OBJECTS,
            (7, profile, 4): b"\x00\x06" + struct.pack(">I", 900),
            (7, profile, 5): b"\x00\x16\x01",
            **{(3, name, 3): b"\x00" + corpus.SCALER_UNIT for class_id, name in corpus.CAPTURES if class_id == 3},
        }

    def result(self, item: bytes) -> bytes:
        """Get-Data-Result of an attribute descriptor."""
        return self.others.get((int.from_bytes(item[:2], "big"), item[2:8], item[8]), self.register)

    def answer(self, apdu: bytes) -> bytes | None:
        tag = apdu[0]
        if tag == 0xC0:
            if apdu[1] == 1:
                if apdu[3:5] == b"\x00\x07" and apdu[11] == 2:
                    block = self.profile[0]
                    return block[:2] + apdu[2:3] + block[3:]
                return b"\xc4\x01" + apdu[2:3] + self.result(apdu[3:12])
            if apdu[1] == 3:
                items = [self.result(apdu[at : at + 10]) for at in range(4, len(apdu), 10)]
                return b"\xc4\x03" + apdu[2:4] + b"".join(items)
            number = int.from_bytes(apdu[3:7], "big")  # GET-request-next: last received
            block = self.profile[number]
            return block[:2] + apdu[2:3] + block[3:]
        if tag == 0x60:
            return AARE
        if tag == 0x62:
            return RLRE
        return None

    def serve(self, conn: socket.socket) -> None:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buf = b""
        while True:
            data = conn.recv(65536)
            if not data:
                conn.close()
                return
            buf += data
            while len(buf) >= 8:
                size = int.from_bytes(buf[6:8], "big")
                if len(buf) < 8 + size:
                    break
                out = self.answer(buf[8 : 8 + size])
                if out is not None:
                    conn.sendall(b"\x00\x01" + buf[4:6] + buf[2:4] + len(out).to_bytes(2, "big") + out)
                buf = buf[8 + size :]


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    block = int(sys.argv[2]) if len(sys.argv) > 2 else 1024
    server = Server(block)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(512)
    print(sock.getsockname()[1], flush=True)
    while True:
        conn, _ = sock.accept()
        threading.Thread(target=server.serve, args=(conn,), daemon=True).start()


if __name__ == "__main__":
    main()
