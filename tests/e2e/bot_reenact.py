# SPDX-License-Identifier: GPL-2.0-or-later
"""The recorded bot and its mail servers once more, with real TCP.

usage: bot_reenact.py serve TRACES SECONDS           all servers, on port 25 of every address
       bot_reenact.py client TRACES SECONDS SOURCE   the bot, until it is ended; prints what it did

Both do what the recorded sides did in the connections of the first SECONDS: open, answer after the
recorded delay, refuse or stay silent, say as many bytes, close or reset; each step not before its
time, nor before that side has heard what it had heard then. Who is not the bot is greeted.

The servers need two rules in their namespace:
  iptables -t mangle -A INPUT -p tcp --syn --dport 25 -j NFQUEUE --queue-num 25
  iptables -A INPUT -p tcp -m mark --mark 25 -j REJECT --reject-with tcp-reset

What is only nearly so: the network's delay is spent before the SYN-ACK (or RST) and before each
payload, never on a bare ACK or FIN; lost packets are not lost again; this kernel repeats a SYN
after 1 and 3 seconds and gives up after 7 (the bot: 3, 9, 21), so two connections of the whole
trace whose SYN-ACK took 9 seconds stay unanswered, and tries no more after a RST (the bot: twice
more); three connections that met an ICMP unreachable meet silence."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path

from bot_syns import SynQueue
from bot_trace import SMTP, Connection, Step, connections

QUEUE = REFUSED_MARK = 25
SYN_REPEATS = 2
GREETING = b"220 server.example.org ESMTP\r\n"
RESET_WHEN_CLOSED = struct.pack("ii", 1, 0)


class Side:
    """One side of one connection. Its socket stays open to the end unless its part is to reset."""

    def __init__(self, connected: socket.socket, steps: list[Step], began: float) -> None:
        self._socket = connected
        self._steps = steps
        self._began = began
        self._heard = 0
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def play(self) -> None:
        hearing = asyncio.create_task(self._hear())
        try:
            for step in self._steps:
                await asyncio.sleep(self._began + step.after - self._loop.time())
                while self._heard < step.heard:
                    self._news.clear()
                    await self._news.wait()
                if step.says:
                    await self._loop.sock_sendall(self._socket, bytes(step.says))
                if step.ends == "fin":
                    self._socket.shutdown(socket.SHUT_WR)
                elif step.ends == "rst":
                    break
            else:
                await hearing
                return
        except OSError:
            pass  # the other side has reset it
        hearing.cancel()
        self._socket.close()

    async def _hear(self) -> None:
        try:
            while said := await self._loop.sock_recv(self._socket, 65536):
                self._heard += len(said)
                self._news.set()
        except OSError:
            pass


def prepared(new: socket.socket) -> socket.socket:
    """Once this process has ended, no kernel says anything more for it."""
    new.setblocking(False)
    new.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_WHEN_CLOSED)
    return new


class MailServers:
    def __init__(self, script: list[Connection]) -> None:
        self._script = {connection.port: connection for connection in script}
        self._began: dict[int, float] = {}
        self._loop = asyncio.get_running_loop()
        self._queue = SynQueue(QUEUE)
        self._busy: set[asyncio.Task] = set()
        self._loop.add_reader(self._queue, self._judge_syns)

    def _judge_syns(self) -> None:
        """The source port names the connection: it survives the gateway's NAT."""
        for number, ip in self._queue.take():
            (port,) = struct.unpack_from(">H", ip, (ip[0] & 0x0F) * 4)
            connection = self._script.get(port)
            if connection is None:
                self._queue.accept(number)
                continue
            self._began.setdefault(port, self._loop.time())
            if not connection.answer:
                self._queue.drop(number)
                continue
            mark = REFUSED_MARK if connection.answer == "RST" else 0
            self._loop.call_later(connection.answer_after, self._queue.accept, number, mark)

    async def serve(self) -> None:
        with socket.create_server(("", SMTP), backlog=4096) as listener:
            listener.setblocking(False)
            while True:
                accepted, (_, port) = await self._loop.sock_accept(listener)
                connection = self._script.get(port)
                if connection:
                    side = Side(prepared(accepted), connection.mail_server, self._began[port])
                    task = asyncio.create_task(side.play())
                else:
                    task = asyncio.create_task(self._greet(accepted))
                self._busy.add(task)
                task.add_done_callback(self._busy.discard)

    async def _greet(self, accepted: socket.socket) -> None:
        with accepted:
            accepted.setblocking(False)
            try:
                await self._loop.sock_sendall(accepted, GREETING)
                await self._loop.sock_recv(accepted, 4096)
            except OSError:
                pass


class Bot:
    def __init__(self, source: str) -> None:
        self._source = source
        self._sockets: list[socket.socket] = []
        self._loop = asyncio.get_running_loop()
        self.did = {"opened": 0, "connected": 0, "refused": 0, "failed": 0, "late_seconds": 0.0}

    async def run(self, script: list[Connection]) -> None:
        began = self._loop.time()
        await asyncio.gather(*(self._open(connection, began) for connection in script))

    async def _open(self, connection: Connection, began: float) -> None:
        await asyncio.sleep(began + connection.began - self._loop.time())
        opened_at = self._loop.time()
        late = opened_at - began - connection.began
        self.did["late_seconds"] = max(self.did["late_seconds"], round(late, 4))
        self.did["opened"] += 1
        client = prepared(socket.socket())
        self._sockets.append(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, SYN_REPEATS)
        client.bind((self._source, connection.port))
        try:
            await self._loop.sock_connect(client, (socket.inet_ntoa(connection.server), SMTP))
        except ConnectionRefusedError:
            self.did["refused"] += 1
        except OSError:
            self.did["failed"] += 1
        else:
            self.did["connected"] += 1
            await Side(client, connection.client, opened_at).play()


async def play_client(script: list[Connection], source: str) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    bot = Bot(source)
    running = asyncio.create_task(bot.run(script))
    running.add_done_callback(lambda _: ended.set())
    await ended.wait()
    print(json.dumps(bot.did), flush=True)
    os._exit(0)  # the kernel resets what is open


async def play_servers(script: list[Connection]) -> None:
    await MailServers(script).serve()


def main(role: str, traces: str, seconds: str, *source: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    script = connections(Path(traces), float(seconds))
    asyncio.run(play_servers(script) if role == "serve" else play_client(script, *source))


if __name__ == "__main__":
    main(*sys.argv[1:])
