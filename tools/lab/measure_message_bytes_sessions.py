# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: measure_message_bytes_sessions.py SESSION_JSON: one SMTP session by Python's smtplib.

Besides that program: the same session by Exim and by Postfix, and the counting of its bytes from
the client's packets alone. Knows nothing of the matrix."""

import ctypes
import json
import os
import select
import shutil
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

from belongings import LabError

RECIPIENT = "bob@mx.example.org"
HELO = "pc.example.net"
SECONDS = 60
LAST_PACKET_SECONDS = 0.5


@dataclass
class Flow:
    """One connection, as its client's packets tell it: no packet of the server is read."""

    isn: int
    server_isn: int | None = None
    sent: int = 0  # last sequence number - ISN - 1
    said: int = 0  # growth of the ACK numbers
    payload: int = 0  # sum of the packets' payloads: `sent`, and what was repeated
    steps: list = field(default_factory=list)  # (said, sent before), at each growth of `said`
    over: bool = False

    def packet(self, seq, ack, flags, length):
        """FIN and RST end it, as they end the contact for mailweir: what follows is not counted."""
        if self.over:
            return
        if flags & ACK and self.server_isn is None:
            self.server_isn = ack - 1
        said = (ack - self.server_isn - 1) & 0xFFFFFFFF if flags & ACK else 0
        if said > self.said:
            self.said = said
            self.steps.append((said, self.sent))
        self.payload += length
        if length:
            self.sent = max(self.sent, (seq + length - self.isn - 1) & 0xFFFFFFFF)
        self.over = bool(flags & (FIN | RST))


FIN, SYN, RST, ACK = 1, 2, 4, 16
CLONE_NEWNET = 0x40000000
ETH_P_IP = 0x0800


class Capture:
    """Packets to port 25 that come in at an interface of a namespace, where mailweir would be."""

    def __init__(self, namespace, interface):
        self._flows = {}
        self._new = defaultdict(list)  # by server
        self._socket = socket_in(namespace, interface)

    def close(self):
        self._socket.close()

    def last_flow(self, server, connections):
        """The last of so many new connections to a server, which has ended them all.

        It need not be over: a client that wrote after the server had closed gets an RST, and says
        neither FIN nor RST itself."""
        end = time.monotonic() + LAST_PACKET_SECONDS
        while time.monotonic() < end:
            if select.select([self._socket], [], [], 0.02)[0]:
                self._read(self._socket.recv(65535))
            elif len(self._new[server]) >= connections and self._new[server][-1].over:
                break
        flows = self._new.pop(server, [])
        if len(flows) != connections:
            raise LabError(f"{len(flows)} connections to {server} seen, it had {connections}")
        return flows[-1]

    def _read(self, frame):
        ip = frame[14:]
        if len(ip) < 40 or ip[9] != socket.IPPROTO_TCP:
            return
        tcp = ip[(ip[0] & 15) * 4 :]
        source, port, seq, ack, offset, flags = struct.unpack("!HHIIBB", tcp[:14])
        if port != 25:
            return
        length = int.from_bytes(ip[2:4], "big") - (ip[0] & 15) * 4 - (offset >> 4) * 4
        key = (ip[12:16], source, ip[16:20])
        if flags & SYN:
            self._flows[key] = Flow(seq)
            self._new[socket.inet_ntoa(ip[16:20])].append(self._flows[key])
            return
        flow = self._flows.get(key)
        if flow:
            flow.packet(seq, ack, flags, length)


def socket_in(namespace, interface):
    """A packet socket stays in the namespace where it was made; this process does not."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise LabError(f"enter {namespace}: {os.strerror(ctypes.get_errno())}")
        try:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
            made.bind((interface, ETH_P_IP))
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)
    return made


def letter(sender, size):
    """tiny: no header but a blank one; small: what a program sends; typical: a page of text."""
    if size == "tiny":
        return "x\n"
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, RECIPIENT
    mail["Subject"] = "Test"
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{sender}>"
    line = "Dear friend, nothing special, only a few more words.\n"
    mail.set_content("Hello.\n" if size == "small" else line * 55)
    return mail.as_string()


class SmtplibClient:
    """Sessions of this file's own program; also gives what the client's kernel counted."""

    name = "smtplib"

    def __init__(self, network):
        self._enter = network.enter("cli")

    def run(self, session):
        command = [sys.executable, "-B", str(Path(__file__).resolve()), json.dumps(session)]
        done = subprocess.run(
            self._enter + command, capture_output=True, text=True, timeout=SECONDS
        )
        if done.returncode != 0:
            raise LabError(f"smtplib: {session}: {done.stderr.strip()}")
        return json.loads(done.stdout)


EXIM = """\
exim_user = Debian-exim
exim_group = Debian-exim
primary_hostname = {helo}
spool_directory = {directory}/spool
log_file_path = {directory}/log/%slog
keep_environment =
qualify_domain = example.net
untrusted_set_sender = *
begin routers
bounces:
  driver = redirect
  senders = :
  data = :blackhole:
far:
  driver = manualroute
  transport = smtp
  route_list = * {server}
  self = send
begin transports
smtp:
  driver = smtp
  {tls}
begin retry
* * F,1h,10m
"""
EXIM_TLS = {
    None: "hosts_avoid_tls = *",
    "1.2": "hosts_require_tls = *\n  tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.2",
    "1.3": "hosts_require_tls = *",
}


class EximClient:
    name = "exim"

    def __init__(self, belongings, network):
        self._enter = network.enter("cli")
        self._dir = belongings.directory / "exim-client"

    def run(self, session):
        shutil.rmtree(self._dir, ignore_errors=True)  # its memory of what failed, too
        for name in ("spool", "log"):
            (self._dir / name).mkdir(parents=True)
            shutil.chown(self._dir / name, "Debian-exim", "Debian-exim")
        config = self._dir / "exim.conf"
        tls = EXIM_TLS[session["tls"]]
        config.write_text(
            EXIM.format(helo=HELO, directory=self._dir, server=session["server"], tls=tls)
        )
        command = f"/usr/sbin/exim4 -C {config} -odf -oi -f {session['sender']} {RECIPIENT}"
        subprocess.run(
            self._enter + command.split(),
            input=letter(session["sender"], session["letter"]),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        return {}


class PostfixClient:
    """Chooses the server and the TLS version by the domain of the sender: nothing is reloaded."""

    name = "postfix"

    def __init__(self, postfix, directory):
        self._postfix = postfix
        self._routes = directory / "routes"

    def start(self, sessions):
        routes = {
            f"@{session['sender'].partition('@')[2]} "
            f"{self._transport(session)}:[{session['server']}]\n"
            for session in sessions
        }
        self._routes.write_text("".join(sorted(routes)))
        level = "-o smtp_tls_security_level"
        kinds = {"plain": f"{level}=none"}
        for version, protocols in (("1.2", ">=TLSv1.2, <=TLSv1.2"), ("1.3", ">=TLSv1.2")):
            tls = f"{level}=encrypt -o {{ smtp_tls_mandatory_protocols = {protocols} }}"
            kinds[f"tls{version}-small"] = tls
            # A key of its own in the session cache, or it would resume the small letter's
            # session; OpenSSL has no RC4 any more, so that nothing else is different.
            kinds[f"tls{version}-typical"] = f"{tls} -o smtp_tls_mandatory_exclude_ciphers=RC4"
        self._postfix.start(
            {
                "myhostname": HELO,
                "sender_dependent_default_transport_maps": f"texthash:{self._routes}",
                "smtp_connection_cache_on_demand": "no",
                "smtp_host_lookup": "native",
                "queue_run_delay": "1h",  # what was deferred must not come back
                "smtp_tls_session_cache_database": "btree:$data_directory/scache",
                "default_transport": "discard",  # where the bounces go
            },
            [f"{name} unix - - n - - smtp {options}" for name, options in kinds.items()],
        )

    @staticmethod
    def _transport(session):
        if not session["tls"]:
            return "plain"
        return f"tls{session['tls']}-{session['letter']}"

    def run(self, session):
        text = letter(session["sender"], session["letter"])
        self._postfix.run("sendmail", "-i", "-f", session["sender"], RECIPIENT, text=text)
        return {}


class Resuming(ssl.SSLContext):
    """Offers the session of the connection before, and a name as clients do that know one."""

    earlier = None

    def wrap_socket(self, sock, **options):
        options["server_hostname"] = "mx.lab.example.net"
        return super().wrap_socket(sock, session=self.earlier, **options)


def client_context(session):
    context = Resuming(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if session["tls"] == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if session["client_certificate"]:
        context.load_cert_chain(session["client_certificate"])
    return context


def kernel_counts(sock):
    """(bytes sent, bytes received) of struct tcp_info: without what was sent again."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    received = struct.unpack_from("Q", info, 128)[0]
    sent, repeated = struct.unpack_from("QQ", info, 200)
    return sent - repeated, received


def talk(session, context):
    smtp = smtplib.SMTP(local_hostname=HELO, timeout=SECONDS)
    code = None
    try:
        code, _ = smtp.connect(session["server"], 25)
        if code == 220:
            converse(smtp, session, context)
    except smtplib.SMTPException:
        pass  # refused: that is what was to be measured
    sock = smtp.sock
    if code != 421:  # there the server has closed already
        smtp.docmd("QUIT")
    sent, said = kernel_counts(sock)
    if isinstance(sock, ssl.SSLSocket):
        context.earlier = sock.session
    smtp.close()
    return {"kernel_sent": sent, "kernel_said": said}


def converse(smtp, session, context):
    if session["letter"] == "none" and not session["tls"]:
        return
    smtp.ehlo_or_helo_if_needed()
    if session["tls"]:
        smtp.starttls(context=context)
    if session["letter"] != "none":
        text = letter(session["sender"], session["letter"])
        smtp.sendmail(session["sender"], [RECIPIENT], text)


def main(session):
    context = client_context(session)
    if session["resume"]:
        talk(session, context)
    print(json.dumps(talk(session, context)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
