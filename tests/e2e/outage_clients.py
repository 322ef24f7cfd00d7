# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: outage_clients.py addresses            the clients' addresses, one a line
       outage_clients.py mail SECONDS PATIENCE   what they mail, before, during and after an outage

480 people with one to three servers, who begin one after the other in SECONDS, and then mail every
4 to 12 seconds. 20 small mail servers, which send to 4 to 14 servers in SECONDS and, at SIGUSR1, to
14 more that greet late: sessions that an outage cuts off before a byte was said. One mail server
waits PATIENCE in an attempt, another up to three times as long. After SIGTERM there is no new mail;
ends when all was taken, and prints what became of the mails as one line of JSON."""

import asyncio
import json
import random
import signal
import sys
import time

from mailing import Habits, Mailing, open_many_files

PEOPLE = [f"172.16.{20 + n // 200}.{1 + n % 200}" for n in range(480)]
MAIL_SERVERS = [f"172.16.40.{n}" for n in range(1, 21)]
SERVERS = [f"198.{18 + n // 250}.{1 + n % 250}.25" for n in range(400)]
LATE_SERVERS = [f"198.19.{n}.27" for n in range(151, 251)]
LATE_EACH = 14
PEOPLES_HABITS = Habits(patience_seconds=(8, 10), retry_seconds=(3, 8))
SEED = 20101


class Clients:
    def __init__(self, seconds, patience):
        self._seconds = seconds
        self._patience = patience
        self._ended = asyncio.Event()
        self._cut = asyncio.Event()
        self.mailing = Mailing()

    def end(self):
        self._ended.set()
        self._cut.set()

    def cut(self):
        self._cut.set()

    async def _pause(self, seconds):
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            pass

    async def _person(self, source):
        servers = random.sample(SERVERS, random.randint(1, 3))
        await self._pause(random.uniform(0, self._seconds))
        while not self._ended.is_set():
            await self.mailing.deliver(source, random.choice(servers), PEOPLES_HABITS)
            await self._pause(random.uniform(4, 12))

    async def _deliver_later(self, source, server, habits):
        await self._pause(random.uniform(0, self._seconds))
        await self.mailing.deliver(source, server, habits)

    async def _deliver_at_cut(self, source, server, habits):
        await self._cut.wait()
        await self.mailing.deliver(source, server, habits)

    def _mail_server(self, source):
        patience = self._patience * random.uniform(1, 3)
        habits = Habits((patience, patience), (5, 10))
        for server in random.sample(SERVERS, random.randint(4, 14)):
            yield self._deliver_later(source, server, habits)
        for server in random.sample(LATE_SERVERS, LATE_EACH):
            yield self._deliver_at_cut(source, server, habits)

    async def mail(self):
        jobs = [self._person(source) for source in PEOPLE]
        for source in MAIL_SERVERS:
            jobs += self._mail_server(source)
        await asyncio.gather(*jobs)


async def main(seconds, patience):
    open_many_files()
    random.seed(SEED)
    clients = Clients(float(seconds), float(patience))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, clients.cut)
    loop.add_signal_handler(signal.SIGTERM, clients.end)
    start = time.monotonic()
    await clients.mail()
    did = {
        "seconds": round(time.monotonic() - start, 1),
        "people": clients.mailing.summary(PEOPLE),
        "mail_servers": clients.mailing.summary(MAIL_SERVERS),
    }
    print(json.dumps(did), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "addresses":
        print("\n".join(PEOPLE + MAIL_SERVERS))
    else:
        asyncio.run(main(*sys.argv[2:]))
