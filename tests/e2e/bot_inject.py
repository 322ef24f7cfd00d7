# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: bot_inject.py TRACES INTERFACE GATEWAY_MAC SOURCE SECONDS: sends the packets that the
recorded bot sent in its first SECONDS, with their own timing, as if they came from SOURCE.

Ends by itself or on SIGTERM, and prints what it sent as one line of JSON. Nobody may answer these
packets, or the stream is no longer the recorded one: a kernel that gets a SYN-ACK for a connection
that it does not know resets it in the bot's name. So SOURCE has to be an address that nobody here
owns (what comes back finds no neighbour), and the story lets the servers swallow what they get."""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import bot_trace

ETH_P_IP = 0x0800


def checksum(octets: bytes) -> int:
    """RFC 1071."""
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def readdressed(packet: bot_trace.Packet, source: bytes, server: bytes) -> bytes:
    """The packet between other addresses, as long as it was; zeros where its payload was."""
    ip_bytes = (packet.headers[0] & 0x0F) * 4
    ip = bytearray(packet.headers[:ip_bytes])
    tcp = bytearray(packet.headers[ip_bytes:] + bytes(packet.payload_bytes))
    ip[12:20] = source + server
    ip[10:12] = tcp[16:18] = b"\0\0"
    ip[10:12] = checksum(bytes(ip)).to_bytes(2, "big")
    pseudo_header = struct.pack(">4s4sBBH", source, server, 0, socket.IPPROTO_TCP, len(tcp))
    tcp[16:18] = checksum(pseudo_header + bytes(tcp)).to_bytes(2, "big")
    return bytes(ip + tcp)


def stream(traces: Path, source: bytes, seconds: float) -> Iterator[tuple[float, str, bytes]]:
    """(seconds after the first packet, what it is, packet)."""
    servers, first, opened = bot_trace.Servers(), 0.0, set()
    for packet in bot_trace.packets(traces):
        if packet.source != bot_trace.BOT or packet.destination_port != bot_trace.SMTP:
            continue
        first = first or packet.time
        if packet.time - first >= seconds:
            return
        what = "other_packets"
        if packet.opens:
            contact = packet.source_port, packet.seq
            what = "syns_repeated" if contact in opened else "syns"
            opened.add(contact)
        server = servers.place(packet.destination)
        yield packet.time - first, what, readdressed(packet, source, server)


def main(traces: str, interface: str, gateway_mac: str, source: str, seconds: str) -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    frames = list(stream(Path(traces), socket.inet_aton(source), float(seconds)))
    sent = {"syns": 0, "syns_repeated": 0, "other_packets": 0}
    gateway = (interface, ETH_P_IP, 0, 0, bytes.fromhex(gateway_mac.replace(":", "")))
    began, latest = time.monotonic(), 0.0
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as wire:
        for after, what, packet in frames:
            if stopped.wait(max(0, began + after - time.monotonic())):
                break
            wire.sendto(packet, gateway)
            sent[what] += 1
            latest = max(latest, time.monotonic() - began - after)
    spent = {
        "seconds": round(time.monotonic() - began, 3),
        "latest_packet_late_seconds": round(latest, 4),
    }
    print(json.dumps(sent | spent), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
