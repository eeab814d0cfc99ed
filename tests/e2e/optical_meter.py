"""The optical port of a meter, after IEC 62056-21 clause 6.3 and annex B: a script on its own, without the project.

It makes a pty, prints its name, and behaves as the line and the meter: octets that come or go while the other end of
the pty is set to another speed are lost. After the sign-on it passes HDLC on to a TCP port. Last it prints what it saw.

Arguments: HDLC_PORT BEHAVIOUR [DEVICE_ADDRESS]
"""

import json
import os
import select
import socket
import sys
import termios
import time
import tty

SPEEDS = {termios.B300: 300, termios.B4800: 4800, termios.B9600: 9600, termios.B19200: 19200}
MODE_E = b"/TST5\\2INDEPENDENT\r\n"
BEHAVIOUR = sys.argv[2]
ADDRESS = sys.argv[3] if len(sys.argv) > 3 else ""
SEEN = []


def parity(octets):
    return bytes(octet | (0x80 if bin(octet).count("1") % 2 else 0) for octet in octets)


class Line:
    def __init__(self):
        self.master, self.slave = os.openpty()  # the slave stays open here, so that the line outlives its users
        tty.setraw(self.slave)
        self.speed = 300

    def other_speed(self):
        return SPEEDS.get(termios.tcgetattr(self.master)[5], 0)

    def receive(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return b""
        data = os.read(self.master, 4096)
        if BEHAVIOUR == "echo":
            os.write(self.master, data)
        if self.other_speed() != self.speed:
            SEEN.append(f"{len(data)} octets at {self.other_speed()} while the meter listens at {self.speed}")
            return b""
        return data

    def message(self, end, seconds):
        """Octets up to one of the ends, without parity."""
        held = b""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            held += bytes(octet & 0x7F for octet in self.receive(until - time.monotonic()))
            if held.endswith(end):
                return held
        return held

    def send(self, octets):
        if BEHAVIOUR in ("parity", "software-parity"):
            octets = parity(octets)
        if self.other_speed() != self.speed:
            SEEN.append(f"the client listens at {self.other_speed()} while the meter speaks at {self.speed}")
            octets = bytes(len(octets))
        os.write(self.master, octets)


def sign_on(line):
    """True when the line is HDLC's."""
    line.speed = 300
    asked = time.monotonic()
    request = line.message(b"!\r\n", 30)
    SEEN.append({"request": request.lstrip(b"\x00").decode(), "wake_up": request.count(b"\x00")})
    if BEHAVIOUR == "silent":
        return False
    if request.lstrip(b"\x00") not in (b"/?!\r\n", b"/?%s!\r\n" % ADDRESS.encode()):
        return False
    time.sleep(0.2)  # tr
    if BEHAVIOUR == "garbage":
        line.send(b"\xc1\x82\x03no meter\r\n")
        return False
    if BEHAVIOUR == "mode-c":
        line.send(b"/TST5MODE C\r\n")
        return False
    line.send(MODE_E)
    sent = time.monotonic()
    choice = line.message(b"\r\n", 2.0)
    SEEN.append({"choice": choice.decode(), "after": time.monotonic() - sent >= 0.19, "asked": asked > 0})
    if len(choice) != 6 or choice[:2] != b"\x062" or choice[3:] != b"2\r\n":
        return False
    line.speed = {b"0": 300, b"4": 4800, b"5": 9600}[choice[2:3]]
    time.sleep(6 * 10 / 300 + 0.2)  # what the octets take on a line, and tr
    if BEHAVIOUR == "refuses":
        line.send(b"\x02F.F(00)!\r\n\x03\x00")
        return False
    if BEHAVIOUR != "no-confirmation":
        line.send(choice)
    return True


def hdlc(line, port):
    """Pass HDLC on, both ways, until a DISC is answered by UA."""
    with socket.create_connection(("127.0.0.1", port)) as meter:
        disconnecting = False
        while True:
            ready, _, _ = select.select([line.master, meter], [], [], 20)
            if not ready:
                return
            if line.master in ready:
                data = line.receive(0)
                disconnecting = disconnecting or b"\x53" in data[3:8]
                meter.sendall(data)
            if meter in ready:
                data = meter.recv(4096)
                if not data:
                    return
                os.write(line.master, data)
                if disconnecting and b"\x73" in data[3:8]:
                    return


def main():
    line = Line()
    print(os.ttyname(line.slave), flush=True)
    if sign_on(line):
        SEEN.append({"hdlc": line.speed})
        hdlc(line, int(sys.argv[1]))
    print(json.dumps(SEEN), flush=True)
    sys.stdin.read()  # whoever started this ends it


main()
