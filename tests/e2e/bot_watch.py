# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: bot_watch.py watch INTERFACE SOURCE   a line for each TCP packet of SOURCE that leaves or
                                             comes in there: the kernel's time, and what it is
       bot_watch.py block SENT PASSED        from the lines of the client's and of the gateway's
                                             interface: what the bot did until it was blocked

At the gateway this has to be an interface with XDP: a packet that XDP drops is seen by no socket.
The moments are the kernel's, so that a machine too busy to run us does not change the result."""

from __future__ import annotations

import json
import socket
import struct
import sys
from pathlib import Path

ETH_P_ALL = 3
ETH_P_IP = 0x0800
SO_TIMESTAMPNS = 35
SYN, ACK = 0x02, 0x10


def watch(interface: str, source: str) -> None:
    bot, tried = socket.inet_aton(source), set()
    # Only a socket for all protocols is shown what leaves.
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as wire:
        wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        wire.bind((interface, ETH_P_ALL))
        print("ready", flush=True)
        while True:
            packet, ancillary, _, origin = wire.recvmsg(2048, 64)
            if origin[1] != ETH_P_IP or packet[12:16] != bot or packet[9] != socket.IPPROTO_TCP:
                continue
            tcp = (packet[0] & 0x0F) * 4
            what = "other"
            if packet[tcp + 13] & (SYN | ACK) == SYN:
                connection = struct.unpack_from(">HHI", packet, tcp)
                what = "repeated" if connection in tried else "syn"
                tried.add(connection)
            seconds, nanos = struct.unpack("qq", ancillary[0][2])
            print(f"{seconds}.{nanos:09} {what}", flush=True)


def read(path: str) -> list[tuple[float, str]]:
    lines = (line.split() for line in Path(path).read_text().splitlines()[1:])
    return [(float(time), what) for time, what in lines]


def block(sent_path: str, passed_path: str) -> None:
    """The brake holds SYNs alone, a block every packet: so the bot was blocked between the last
    packet that passed and the next one that is no SYN."""
    sent, passed = read(sent_path), read(passed_path)
    last_passed = passed[-1][0]
    lost = next((time for time, what in sent if time > last_passed and what == "other"), None)
    if lost is None:
        raise SystemExit("nothing that the bot sent was dropped by a block")
    until = [what for time, what in sent if time <= lost]
    found = {
        "syns": until.count("syn") + until.count("repeated"),
        "repeated": until.count("repeated"),
        "let_through": sum(what != "other" for _, what in passed),
        "seconds": round(lost - sent[0][0], 3),
        "syns_after": sum(what != "other" for time, what in sent if time > lost),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    {"watch": watch, "block": block}[sys.argv[1]](*sys.argv[2:])
