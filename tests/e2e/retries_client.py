# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: retries_client.py SOURCE SERVER...

Connects to port 25 of all servers at once and leaves it to the kernel to try again; once all are
connected, leaves a message at each.

Ends with 1 if one is not connected within 100 seconds. Prints a line of JSON at the moment when the
first attempts are out ("tried"), and one at the end."""

import json
import selectors
import socket
import struct
import sys
import time

PATIENCE_SECONDS = 100
MESSAGE = b"EHLO pc.example.net\r\n" + b"A message that is long enough to be one.\r\n" * 12
TOTAL_RETRANS_OFFSET = 100  # of tcpi_total_retrans in struct tcp_info


def begin(source, server):
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind((source, 0))
    connection.connect_ex((server, 25))
    return connection


def retries_of(connection):
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANS_OFFSET + 4)
    return struct.unpack_from("=I", told, TOTAL_RETRANS_OFFSET)[0]


def main(source, *servers):
    connections = [begin(source, server) for server in servers]
    print(json.dumps({"tried": len(connections)}), flush=True)
    start = time.monotonic()
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection, selectors.EVENT_WRITE)
    while selector.get_map() and time.monotonic() - start < PATIENCE_SECONDS:
        for key, _ in selector.select(1):
            selector.unregister(key.fileobj)
    waiting = len(selector.get_map())
    connected = [c for c in connections if c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0]
    did = {
        "connected": len(connected) - waiting,
        "seconds": round(time.monotonic() - start, 1),
        "retries": sum(retries_of(c) for c in connections),
    }
    if did["connected"] == len(servers):
        for connection in connections:
            connection.sendall(MESSAGE)
            connection.close()
    print(json.dumps(did), flush=True)
    return 0 if did["connected"] == len(servers) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
