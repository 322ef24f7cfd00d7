# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: bot.py SOURCE SECONDS SERVER...: walks all servers in turn, again and again, as fast as it
can, and tries to leave a short spam at each. Real TCP; no other host is ever touched.

Ends by itself after SECONDS or on SIGTERM, and prints what it did as one line of JSON. All its
connections are reset at that moment, so that its kernel sends nothing for it later."""

import itertools
import json
import os
import signal
import socket
import struct
import sys
import threading

WORKERS = 40
PATIENCE_SECONDS = 5
DIALOGUE = (
    b"EHLO pc.example.net\r\n",
    b"MAIL FROM:<%d.bot@example.net>\r\n",
    b"RCPT TO:<victim@example.org>\r\n",
    b"DATA\r\n",
    b"Message-ID: <%d.spam@example.net>\r\nSubject: cheap\r\n\r\nBuy now.\r\n.\r\n",
)


class Bot:
    def __init__(self, source, servers):
        self._source = source
        self._walk = itertools.cycle(servers)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.did = {"tried": 0, "connected": 0, "mails_accepted": 0}

    def _count(self, what):
        with self._lock:
            self.did[what] += 1

    def _next(self):
        with self._lock:
            self.did["tried"] += 1
            return next(self._walk), next(self._numbers)

    def work(self):
        while True:
            server, number = self._next()
            with socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.settimeout(PATIENCE_SECONDS)
                try:
                    connection.bind((self._source, 0))
                    connection.connect((server, 25))
                    self._count("connected")
                    self._talk(connection, number)
                except OSError:
                    pass

    def _talk(self, connection, number):
        replies = connection.makefile("rb")
        for line in DIALOGUE:
            if not reply_is_good(replies):
                return
            connection.sendall(line % number if b"%d" in line else line)
        if reply_is_good(replies):
            self._count("mails_accepted")


def reply_is_good(replies):
    while (line := replies.readline()) and line[3:4] == b"-":
        pass
    return line[:1] in (b"2", b"3")


def main(source, seconds, *servers):
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    bot = Bot(source, servers)
    for _ in range(WORKERS):
        threading.Thread(target=bot.work, daemon=True).start()
    done.wait(float(seconds))
    print(json.dumps(bot.did), flush=True)
    os._exit(0)  # joins no worker: the kernel resets what is open


if __name__ == "__main__":
    main(*sys.argv[1:])
