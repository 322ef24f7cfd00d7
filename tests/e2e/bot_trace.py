# SPDX-License-Identifier: GPL-2.0-or-later
"""The spam bot that was recorded in 2010 (bot/spambot-2010.* of the traces), read for the stories
that let it loose again. Its servers move into the fixture's addresses, network by network."""

from __future__ import annotations

import csv
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BOT = bytes([192, 168, 1, 222])
SMTP = 25
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

# 198.18.0.0/24 is the gateway's and 198.18.1.0/24 the honest neighbour's server's.
FIRST_NETWORK = (198 << 16 | 18 << 8) + 2
NETWORKS = 510


class Servers:
    """One /24 of the fixture for each /24 of the trace, in order of appearance; the last octet
    stays. So distinct networks stay distinct, and neighbours stay neighbours."""

    def __init__(self) -> None:
        self._networks: dict[bytes, int] = {}

    def place(self, server: bytes) -> bytes:
        number = self._networks.setdefault(server[:3], len(self._networks))
        if number >= NETWORKS:
            raise SystemExit(f"the fixture has room for {NETWORKS} networks: take fewer seconds")
        return (FIRST_NETWORK + number).to_bytes(3, "big") + server[3:]


@dataclass(frozen=True, slots=True)
class Packet:
    """A TCP segment. `headers` are its IPv4 and TCP headers; the payload was cut off when it was
    recorded, its length was not."""

    time: float
    headers: bytes
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    seq: int
    ack: int
    flags: int
    payload_bytes: int

    @property
    def opens(self) -> bool:
        return self.flags & (SYN | ACK) == SYN


def packets(folder: Path) -> Iterator[Packet]:
    """All TCP packets of the capture, in its order."""
    capture = (folder / "bot/spambot-2010.smtp-hdrs.pcap").read_bytes()
    if struct.unpack_from("<I16xI", capture) != (0xA1B2C3D4, 1):
        raise SystemExit("the capture is not a little-endian pcap of Ethernet frames")
    at = 24
    while at < len(capture):
        seconds, micros, captured = struct.unpack_from("<III", capture, at)
        ip = capture[at + 16 + 14 : at + 16 + captured]
        at += 16 + captured
        if ip[9] == 6:
            yield _packet(seconds + micros / 1e6, ip)


def _packet(time: float, ip: bytes) -> Packet:
    tcp = (ip[0] & 0x0F) * 4
    source_port, destination_port = struct.unpack_from(">HH", ip, tcp)
    seq, ack, offset, flags = struct.unpack_from(">IIBB", ip, tcp + 4)
    headers_bytes = tcp + (offset >> 4) * 4
    return Packet(
        time=time,
        headers=ip[:headers_bytes],
        source=ip[12:16],
        destination=ip[16:20],
        source_port=source_port,
        destination_port=destination_port,
        seq=seq,
        ack=ack,
        flags=flags,
        payload_bytes=int.from_bytes(ip[2:4], "big") - headers_bytes,
    )


@dataclass(frozen=True, slots=True)
class Step:
    """What one side did: `says` bytes, then `ends` ("", "fin", "rst"); so many seconds after the
    SYN, and after it had heard so many bytes of the other side."""

    after: float
    heard: int
    says: int
    ends: str


@dataclass(slots=True)
class Connection:
    """`answer` is SYN-ACK, RST or "" (silence), `answer_after` the seconds that it took."""

    began: float
    port: int
    server: bytes
    answer: str
    answer_after: float
    client: list[Step] = field(default_factory=list)
    mail_server: list[Step] = field(default_factory=list)


def connections(folder: Path, seconds: float) -> list[Connection]:
    """Those that began within the first `seconds`; `began` counts from the first one. What and
    whom from the list of flows, when they spoke and ended from the capture. The bot used no source
    port twice, so the port names the connection."""
    with (folder / "bot/spambot-2010.flows.csv").open(newline="") as flows:
        rows = list(csv.DictReader(flows))
    servers, first = Servers(), float(rows[0]["ts"])
    found = {}
    for row in rows:
        began, port = float(row["ts"]) - first, int(row["sport"])
        if began >= seconds:
            continue
        server = servers.place(bytes(int(octet) for octet in row["dst"].split(".")))
        answer = "SYN-ACK" if row["synack_dt"] else "RST" if row["rst_dt"] else ""
        after = float(row["synack_dt"] or row["rst_dt"] or 0)
        found[port] = Connection(began, port, server, answer, after)
    for port, talk in _talks(folder, found).items():
        if found[port].answer == "SYN-ACK":
            found[port].client, found[port].mail_server = _steps(talk, found[port].began + first)
    return list(found.values())


def _talks(folder: Path, ports: dict[int, Connection]) -> dict[int, list[Packet]]:
    talks = defaultdict(list)
    for packet in packets(folder):
        port = packet.source_port if packet.source == BOT else packet.destination_port
        if port in ports:
            talks[port].append(packet)
    return talks


def _steps(talk: list[Packet], began: float) -> tuple[list[Step], list[Step]]:
    """The client's and the server's. Sequence numbers tell what is new, so that what the network
    made the recorded ones repeat is said once."""
    first = {
        packet.source == BOT: packet.seq + 1 for packet in reversed(talk) if packet.flags & SYN
    }
    said = {True: 0, False: 0}
    closed = set()
    steps: dict[bool, list[Step]] = {True: [], False: []}
    for packet in talk:
        by_client = packet.source == BOT
        new = _distance(first[by_client] + said[by_client], packet.seq + packet.payload_bytes)
        says = new if packet.payload_bytes and new > 0 else 0
        ends = "rst" if packet.flags & RST else "fin" if packet.flags & FIN else ""
        if (by_client, ends) in closed:
            ends = ""
        closed.add((by_client, ends))
        if says or ends:
            # A FIN is acknowledged like one more byte.
            heard = min(_distance(first[not by_client], packet.ack), said[not by_client])
            steps[by_client].append(Step(packet.time - began, max(heard, 0), says, ends))
        said[by_client] += says
    return steps[True], steps[False]


def _distance(start: int, end: int) -> int:
    """From one sequence number to another, which may lie behind it."""
    return (end - start + 0x80000000) % 0x100000000 - 0x80000000
