# SPDX-License-Identifier: GPL-2.0-or-later
"""The two ends of a mail connection for the stories, as small as they can be.

usage: mail_port.py serve                          greets on port 25 of every address it has
       mail_port.py swallow                        the same, and takes all that is sent
       mail_port.py connect SOURCE SERVER [PORT]   0: was greeted within two seconds; 1: was not
       mail_port.py refused SOURCE SERVER[,...]    greeted and gone again, server by server
       mail_port.py delivered SOURCE SERVER[,...]  greeted, and a message's worth of bytes taken
       mail_port.py poured SOURCE SERVER BYTES     greeted, and so much taken in one connection"""

import socket
import socketserver
import sys


class Greeting(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"220 server.example.org ESMTP\r\n")
        self.request.recv(4096)


class Swallowing(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"220 server.example.org ESMTP\r\n")
        while self.request.recv(1 << 16):
            pass


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def connect(source, server, port="25"):
    try:
        with socket.create_connection((server, int(port)), 2, (source, 0)) as connection:
            return 0 if connection.recv(3) == b"220" else 1
    except OSError as error:
        print(f"{source} to {server}: {error}", file=sys.stderr)
        return 1


def say(source, servers, text, patience):
    """One connection each, one after the other."""
    for server in servers.split(","):
        try:
            with socket.create_connection((server, 25), patience, (source, 0)) as connection:
                connection.recv(100)
                connection.sendall(text)
        except OSError:
            continue
    return 0


def refused(source, servers):
    return say(source, servers, b"QUIT\r\n", 1)


def delivered(source, servers):
    return say(source, servers, b"a line of a letter\r\n" * 50, 10)


def poured(source, server, size):
    with socket.create_connection((server, 25), 10, (source, 0)) as connection:
        connection.recv(100)
        connection.sendall(bytes(int(size)))
        connection.shutdown(socket.SHUT_WR)
        return 0 if connection.recv(100) == b"" else 1


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        Server(("::", 25), Greeting).serve_forever()
    if sys.argv[1] == "swallow":
        Server(("::", 25), Swallowing).serve_forever()
    verbs = {"connect": connect, "refused": refused, "delivered": delivered, "poured": poured}
    sys.exit(verbs[sys.argv[1]](*sys.argv[2:]))
