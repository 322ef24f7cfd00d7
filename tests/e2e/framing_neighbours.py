# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: framing_neighbours.py EVERY_SECONDS ADDRESS... -- SERVER...

Each address mails to all servers in turn, a mail every so often, until SIGTERM. Ends when all mails
were taken, and prints what became of them: a JSON object, one entry an address."""

import asyncio
import json
import signal
import sys

from mailing import Habits, Mailing

HABITS = Habits(patience_seconds=(20, 20), retry_seconds=(1, 2))


async def mail_in_turn(mailing, source, servers, every, ended):
    letters = []
    turn = 0
    while not ended.is_set():
        server = servers[turn % len(servers)]
        letters.append(asyncio.create_task(mailing.deliver(source, server, HABITS)))
        turn += 1
        await asyncio.wait([asyncio.create_task(ended.wait())], timeout=every)
    await asyncio.gather(*letters)


async def main(every, *names):
    sources, servers = names[: names.index("--")], names[names.index("--") + 1 :]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    mailing = Mailing()
    await asyncio.gather(
        *(mail_in_turn(mailing, s, servers, float(every), ended) for s in sources)
    )
    print(json.dumps({s: mailing.summary([s]) for s in sources}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
