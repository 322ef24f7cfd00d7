# SPDX-License-Identifier: GPL-2.0-or-later
"""The receiving end of sd_notify(3), as systemd is for a Type=notify service.

usage: wait_ready.py SOCKET SECONDS: makes the socket, says "bound", and exits 0 at READY=1, 1 if
it does not come in time."""

import socket
import sys
import time


def bind(path):
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    receiver.bind(path)
    return receiver


def wait_ready(receiver, seconds, alive=lambda: True):
    """False if the time is over or the sender is dead before it says READY=1."""
    end = time.monotonic() + seconds
    receiver.settimeout(0.1)
    while time.monotonic() < end and alive():
        try:
            if b"READY=1" in receiver.recv(4096).split(b"\n"):
                return True
        except TimeoutError:
            pass
    return False


if __name__ == "__main__":
    with bind(sys.argv[1]) as notified:
        print("bound", flush=True)
        sys.exit(0 if wait_ready(notified, float(sys.argv[2])) else 1)
