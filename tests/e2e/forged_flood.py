# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: forged_flood.py INTERFACE GATEWAY_MAC COUNT SERVER...

SYNs of COUNT different sources, none of them there. They are drawn from 172.16.0.0/12 in an order
that meets each address once; the servers take turns. Of every 20th source an ACK and a FIN follow,
as if its session had ended without a mail. Prints what it sent as one line of JSON."""

import json
import random
import socket
import struct
import sys
import time

from raw_frames import ACK, FIN, SYN, Wire, segment

FIRST, ADDRESSES = 0xAC100000, 1 << 20
# Odd, so that multiples of it meet each address once before one comes again.
STRIDE = 0x9E375
FINISH_EVERY = 20


def main(interface, gateway_mac, count, *servers):
    if not 0 < int(count) <= ADDRESSES:
        sys.exit(f"COUNT {count}: must be 1 to {ADDRESSES}")
    wire = Wire(interface, gateway_mac)
    start = time.monotonic()
    for turn in range(int(count)):
        address = FIRST + turn * STRIDE % ADDRESSES
        client = (socket.inet_ntoa(struct.pack("!I", address)), random.randrange(1024, 65536))
        server, isn = (servers[turn % len(servers)], 25), random.getrandbits(32)
        wire.send(segment(client, server, SYN, isn))
        if turn % FINISH_EVERY == 0:
            wire.send(segment(client, server, ACK, isn + 1, 1))
            wire.send(segment(client, server, ACK | FIN, isn + 1, 1))
    seconds = round(time.monotonic() - start, 1)
    print(json.dumps({"sources": int(count), "frames": wire.sent, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
