# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP segments as whole Ethernet frames with right checksums, in anybody's name. IPv4 only. What is
sent, and why, is the business of the stories' forgers."""

import errno
import json
import random
import socket
import struct
import subprocess
import time

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
PATIENCE_SECONDS = 5  # with a queue that is full
SYN_OPTIONS = bytes((2, 4, 5, 0xB4, 1, 3, 3, 7))  # MSS 1460, window scale 7


def checksum(octets: bytes) -> int:
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Wire:
    """An Ethernet interface, open for frames to the gateway."""

    def __init__(self, interface: str, gateway_mac: str):
        shown = subprocess.run(
            ["ip", "-j", "link", "show", interface], capture_output=True, text=True, check=True
        )
        own_mac = json.loads(shown.stdout)[0]["address"]
        self._ethernet = mac_bytes(gateway_mac) + mac_bytes(own_mac) + b"\x08\x00"
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind((interface, 0))
        self.sent = 0

    def send(self, packet: bytes) -> None:
        """`packet` begins with its IP header."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._socket.send(self._ethernet + packet)
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS or time.monotonic() > give_up:
                    raise
                # A full device queue does not show as a socket that is not writable.
                time.sleep(0.001)
        self.sent += 1


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def segment(
    source: tuple[str, int],
    destination: tuple[str, int],
    flags: int,
    sequence: int,
    acknowledged: int = 0,
    payload: bytes = b"",
) -> bytes:
    """An IP packet. The ends are address and port."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    options = SYN_OPTIONS if flags & SYN else b""
    tcp_bytes = 20 + len(options) + len(payload)
    tcp = struct.pack(
        "!HHIIBBHHH",
        source[1],
        destination[1],
        sequence & 0xFFFFFFFF,
        acknowledged & 0xFFFFFFFF,
        (20 + len(options)) // 4 << 4,
        flags,
        64240,
        0,
        0,
    )
    tcp += options + payload
    tcp_sum = checksum(addresses + struct.pack("!HH", socket.IPPROTO_TCP, tcp_bytes) + tcp)
    ip = struct.pack(
        "!BBHHHBBH",
        0x45,
        0,
        20 + tcp_bytes,
        random.getrandbits(16),
        0x4000,  # don't fragment
        64,
        socket.IPPROTO_TCP,
        0,
    )
    ip += addresses
    return (
        ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        + tcp[:16] + struct.pack("!H", tcp_sum) + tcp[18:]
    )
