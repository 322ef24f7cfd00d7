# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: smtp_servers.py LOG GREET_SECONDS: mail servers on port 25 of every IPv4 address there is.

The last byte of the address says what its server does: .25 takes mail, .26 refuses every recipient,
.27 takes mail and greets after GREET_SECONDS. A line of JSON in LOG for each mail taken."""

import asyncio
import json
import resource
import sys

REFUSING, SLOW = "26", "27"
PATIENCE_SECONDS = 300
REPLIES = {b"RCPT": b"250 ok\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


async def take_mail(reader):
    """The Message-ID of the mail that comes now."""
    name = ""
    while (line := await reader.readuntil(b"\n")).rstrip(b"\r\n") != b".":
        if line.lower().startswith(b"message-id:"):
            name = line.partition(b":")[2].strip().decode()
    return name


class Servers:
    def __init__(self, log, greet_seconds):
        self._log = log
        self._greet_seconds = greet_seconds

    async def serve(self, reader, writer):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._talk(reader, writer)
        except (OSError, EOFError, TimeoutError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader, writer):
        address = writer.get_extra_info("sockname")[0]
        kind = address.rpartition(".")[2]
        if kind == SLOW:
            await asyncio.sleep(self._greet_seconds)
        writer.write(b"220 server.example.org ESMTP\r\n")
        verb = b""
        while verb != b"QUIT":
            verb = (await reader.readuntil(b"\n"))[:4].upper()
            if verb == b"RCPT" and kind == REFUSING:
                writer.write(b"550 no such person\r\n")
                continue
            writer.write(REPLIES.get(verb, b"250 server.example.org\r\n"))
            if verb == b"DATA":
                name = await take_mail(reader)
                self._log.write(json.dumps({"mail": name, "server": address}) + "\n")
                writer.write(b"250 taken\r\n")
        await writer.drain()


async def main(log_path, greet_seconds):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with open(log_path, "a", buffering=1) as log:
        servers = Servers(log, float(greet_seconds))
        listener = await asyncio.start_server(servers.serve, "0.0.0.0", 25, backlog=4096)
        await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
