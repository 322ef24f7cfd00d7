# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: silent_server.py ADDRESS LOG: a mail server that takes connections and never speaks.
One line in LOG for each."""

import resource
import selectors
import socket
import sys


def main(address, log_path):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    selector = selectors.DefaultSelector()
    listener = socket.create_server((address, 25), backlog=4096)
    selector.register(listener, selectors.EVENT_READ)
    with open(log_path, "a", buffering=1) as log:
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, peer = listener.accept()
                    selector.register(connection, selectors.EVENT_READ)
                    log.write(f"{peer[0]}:{peer[1]}\n")
                elif not listen_to(key.fileobj):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()


def listen_to(connection):
    try:
        return connection.recv(4096)
    except OSError:
        return b""


if __name__ == "__main__":
    main(*sys.argv[1:])
