# SPDX-License-Identifier: GPL-2.0-or-later
"""How an honest machine mails: a mail is tried again until its server has taken it. For the
stories' clients; what they mail, and when, is theirs."""

import asyncio
import random
import resource
import statistics
import time
from dataclasses import dataclass, field

LETTER = "Dear friend, nothing special, only a few more words.\r\n" * 12


class Refused(Exception):
    """The server said anything but yes."""


@dataclass
class Habits:
    patience_seconds: tuple[float, float]  # of one attempt, from connect to QUIT
    retry_seconds: tuple[float, float]  # between two attempts


@dataclass
class Mail:
    source: str
    server: str
    name: str
    attempts: int = 0
    wanted_at: float = field(default_factory=time.monotonic)
    taken_after: float | None = None  # seconds


class Mailing:
    """All mails of a process: those on their way, and those that were taken."""

    def __init__(self):
        self.mails = []

    async def deliver(self, source: str, server: str, habits: Habits) -> None:
        """Returns when the server has taken the mail, and not before."""
        mail = Mail(source, server, f"<{len(self.mails)}.{source}@honest.example.net>")
        self.mails.append(mail)
        while mail.taken_after is None:
            mail.attempts += 1
            try:
                async with asyncio.timeout(random.uniform(*habits.patience_seconds)):
                    await hand_over(mail)
                mail.taken_after = time.monotonic() - mail.wanted_at
            except (OSError, EOFError, TimeoutError, Refused):
                await asyncio.sleep(random.uniform(*habits.retry_seconds))

    def summary(self, sources=None) -> dict:
        """What became of the mails of these sources, or of all."""
        mails = [m for m in self.mails if sources is None or m.source in sources]
        delays = [m.taken_after for m in mails if m.taken_after is not None]
        return {
            "mails": len(mails),
            "taken": len(delays),
            "attempts": sum(m.attempts for m in mails),
            "servers": len({m.server for m in mails}),
            "delay_median_seconds": round(statistics.median(delays), 2) if delays else None,
            "delay_most_seconds": round(max(delays), 2) if delays else None,
        }


async def hand_over(mail):
    reader, writer = await asyncio.open_connection(mail.server, 25, local_addr=(mail.source, 0))
    try:
        await expect_yes(reader)
        for line in (
            "EHLO pc.example.net",
            f"MAIL FROM:<me@{mail.source.replace('.', '-')}.example.net>",
            "RCPT TO:<friend@example.org>",
            "DATA",
            f"Message-ID: {mail.name}\r\nSubject: Letter\r\n\r\n{LETTER}.",
            "QUIT",
        ):
            writer.write(line.encode() + b"\r\n")
            await expect_yes(reader)
    finally:
        writer.close()


async def expect_yes(reader):
    reply = await reader.readuntil(b"\n")
    if reply[:1] not in (b"2", b"3"):
        raise Refused(reply)


def open_many_files():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
