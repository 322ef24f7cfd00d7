# SPDX-License-Identifier: GPL-2.0-or-later
"""The SYNs that an iptables rule hands to user space (-j NFQUEUE), one by one, each to be let go
when its time has come. This speaks to nfnetlink_queue; who waits how long is not decided here."""

from __future__ import annotations

import errno
import os
import socket
import struct

NETLINK_NETFILTER = 12
NLM_F_REQUEST, NLM_F_ACK = 0x01, 0x04
NLMSG_ERROR = 2
PACKET, VERDICT, CONFIG = 0x300, 0x301, 0x302  # NFNL_SUBSYS_QUEUE << 8 | enum nfqnl_msg_types
CONFIG_COMMAND, CONFIG_PARAMS = 1, 2
COMMAND_BIND, COPY_PACKET = 1, 2
PACKET_HEADER, VERDICT_HEADER, MARK, PAYLOAD = 1, 2, 3, 10
NF_DROP, NF_ACCEPT = 0, 1


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(octets: bytes) -> dict[int, bytes]:
    found = {}
    while len(octets) >= 4:
        length, kind = struct.unpack_from("=HH", octets)
        found[kind & 0x3FFF] = octets[4:length]
        octets = octets[(length + 3) & ~3 :]
    return found


class SynQueue:
    def __init__(self, number: int) -> None:
        self._number = number
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._netlink.bind((0, 0))
        bind = struct.pack(">BxH", COMMAND_BIND, socket.AF_UNSPEC)
        self._configure(attribute(CONFIG_COMMAND, bind))
        self._configure(attribute(CONFIG_PARAMS, struct.pack(">IB", 0xFFFF, COPY_PACKET)))
        self._netlink.setblocking(False)

    def fileno(self) -> int:
        return self._netlink.fileno()

    def take(self) -> list[tuple[int, bytes]]:
        """(number of the packet, its IP header and what follows) of all that wait."""
        taken = []
        try:
            while True:
                message = self._netlink.recv(65536)
                (kind,) = struct.unpack_from("=4xH", message)
                if kind == PACKET:
                    parts = attributes(message[20:])
                    (number,) = struct.unpack_from(">I", parts[PACKET_HEADER])
                    taken.append((number, parts[PAYLOAD]))
        except BlockingIOError:
            return taken

    def accept(self, number: int, mark: int = 0) -> None:
        self._decide(NF_ACCEPT, number, attribute(MARK, struct.pack(">I", mark)))

    def drop(self, number: int) -> None:
        self._decide(NF_DROP, number, b"")

    def _decide(self, verdict: int, number: int, more: bytes) -> None:
        header = attribute(VERDICT_HEADER, struct.pack(">II", verdict, number))
        self._send(VERDICT, NLM_F_REQUEST, header + more)

    def _configure(self, what: bytes) -> None:
        self._send(CONFIG, NLM_F_REQUEST | NLM_F_ACK, what)
        kind, code = struct.unpack_from("=4xH10xi", self._netlink.recv(65536))
        if kind != NLMSG_ERROR or code != 0:
            failure = -code if kind == NLMSG_ERROR else errno.EPROTO
            raise OSError(failure, f"netfilter queue {self._number}: {os.strerror(failure)}")

    def _send(self, kind: int, flags: int, what: bytes) -> None:
        body = struct.pack(">BBH", socket.AF_UNSPEC, 0, self._number) + what
        self._netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body)
