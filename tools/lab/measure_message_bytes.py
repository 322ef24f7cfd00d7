# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes that a client sends in SMTP sessions that deliver and in sessions that are refused, plain
and with STARTTLS, against a real Postfix: the evidence for message_bytes and message_bytes_tls.

Exit status: 0 measured, 1 two ways of counting disagree, 2 it could not run.
Takes 4 to 9 minutes, longer on a busy machine."""

import argparse
import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

from belongings import Belongings, LabError, wait_for
from measure_message_bytes_servers import (
    ASKS,
    CERTIFICATES,
    PLAIN_STAGES,
    TLS_STAGES,
    Certificates,
    Postfix,
    accepted_senders,
    find_postfix,
    listeners,
    start_servers,
)
from measure_message_bytes_sessions import Capture, EximClient, PostfixClient, SmtplibClient
from network import INSIDE, Network

RUN_DIR = "/dev/shm"
MESSAGE_BYTES = 300
HINT = 1000  # server bytes, for the summary's last column
CONNECT = ": connect from "
EXTREME_CERTIFICATES = ("ecdsa", "rsa-ca")  # the shortest and the longest


def session(client, stage, letter, tls=None, certificate=None, **more):
    """What one row of the table is about; `more`: wordy, resume, asked for a client certificate."""
    return {
        "client": client,
        "stage": stage,
        "letter": letter,
        "tls": tls,
        "certificate": certificate,
        "wordy": False,
        "resume": False,
        "client_certificate": None,
        **more,
    }


def plain_sessions():
    for client in ("smtplib", "exim", "postfix"):
        for stage in PLAIN_STAGES:
            yield session(client, stage, "small")
        yield session(client, "accept", "typical")
        yield session(client, "accept", "small", wordy=True)
        yield session(client, "RCPT 550", "small", wordy=True)
    yield session("smtplib", "accept", "none")
    yield session("smtplib", "accept", "tiny")
    yield session("smtplib", "DATA 550", "tiny")


def tls_sessions():
    """1.3 is by a client that offers 1.2 as well, as they all do; 1.2 by one that is old."""
    for tls in ("1.3", "1.2"):
        for certificate in CERTIFICATES[1:]:
            extreme = certificate in EXTREME_CERTIFICATES
            for client in ("smtplib", "exim", "postfix") if extreme else ("smtplib",):
                for stage in TLS_STAGES if extreme else ("accept", "RCPT 550"):
                    yield session(client, stage, "small", tls, certificate)
                if extreme:
                    yield session(client, "accept", "typical", tls, certificate)
            yield session("smtplib", "accept", "none", tls, certificate)
            yield session("smtplib", "accept", "tiny", tls, certificate)
        for stage in ("accept", "RCPT 550", "DATA 550"):
            for certificate in EXTREME_CERTIFICATES:
                for client in ("smtplib", "postfix"):
                    yield session(client, stage, "small", tls, certificate, resume=True)
            for certificate in ("client", "client-ca"):
                yield session("smtplib", stage, "small", tls, ASKS, client_certificate=certificate)
        for letter in ("none", "tiny"):
            yield session("smtplib", "accept", letter, tls, "ecdsa", resume=True)


class Measurement:
    def __init__(self, belongings, given_postfix):
        self._owned = belongings
        self._directory = belongings.directory
        self.network = Network(belongings, self._directory.name.rpartition(".")[2])
        self._certificates = Certificates(self._directory / "certificates")
        root = find_postfix(given_postfix, self._directory)
        self.servers = Postfix(belongings, self.network, "srv", root)
        self._client_postfix = Postfix(belongings, self.network, "cli", root)

    def sessions(self):
        addresses = listeners()
        rows = [*plain_sessions(), *tls_sessions()]
        for number, row in enumerate(rows, 1):
            row["server"] = addresses[row["stage"], row["certificate"], row["wordy"]]
            # Of one length: an address must not make the difference.
            row["sender"] = f"alice@c{number:03}.example.net"
            if row["client_certificate"]:
                row["client_certificate"] = self._certificates.path(row["client_certificate"])
        return rows

    def run(self):
        self.network.build()
        self._certificates.make()
        start_servers(self.servers, self._certificates)
        rows = self.sessions()
        postfix = PostfixClient(self._client_postfix, self._directory)
        postfix.start([row for row in rows if row["client"] == "postfix"])
        clients = [SmtplibClient(self.network), EximClient(self._owned, self.network), postfix]
        by_name = {client.name: client for client in clients}
        capture = Capture(self.network.names["gw"], INSIDE)
        for row in rows:
            self._measure(row, by_name[row["client"]], capture)
        capture.close()
        accepted = accepted_senders(self.servers)
        for row in rows:
            row["delivered"] = row["sender"] in accepted
        return rows

    def _measure(self, row, client, capture):
        if row["resume"] and row["client"] != "smtplib":  # that one does both itself
            text = self._run(row, client)
            capture.last_flow(row["server"], text.count(CONNECT))
        text = self._run(row, client)
        flow = capture.last_flow(row["server"], text.count(CONNECT))
        row.update(sent=flow.sent, said=flow.said, payload=flow.payload)
        row.update(steps=flow.steps, client_ended=flow.over)
        row["resumed"] = "Reusing old session" in text
        cipher = re.search(r"with cipher (\S+)", text)
        row["cipher"] = cipher and cipher[1]
        self._check_tls(row, text)

    def _run(self, row, client):
        """What the servers' log says of the session, when they have ended it."""
        seen = self.servers.log_size()
        row.update(client.run(row))

        def ended():
            text = self.servers.lines(seen)
            connections = text.count(": disconnect from ")
            return connections and connections == text.count(CONNECT) and text

        if not (text := wait_for(ended, 60)):
            raise LabError(f"{row}: does not end:\n{self.servers.lines(seen)}")
        return text

    @staticmethod
    def _check_tls(row, text):
        used = "TLS connection established" in text
        if used != bool(row["tls"]) or (used and f"TLSv{row['tls']} " not in text):
            raise LabError(f"{row}: not the TLS version that was wanted:\n{text}")
        if row["resumed"] != row["resume"]:
            raise LabError(f"{row}: resumed is {row['resumed']}:\n{text}")


def disagreements(rows):
    """Rows where the numbers from the packets are not those of another way of counting."""
    for row in rows:
        if row["payload"] < row["sent"]:  # more is a repeated segment
            yield row, "the sum of the packets' payloads"
        elif row.get("kernel_sent", row["sent"]) != row["sent"]:
            yield row, "the bytes the client's kernel sent"
        # The kernel is asked before the server's last words: close_notify (24 or 31), and the FIN.
        late = row["said"] - row.get("kernel_said", row["said"])
        if late not in range(33 if row["tls"] else 2):
            yield row, "the bytes the client's kernel received"


def print_table(rows):
    form = "{:8} {:9} {:4} {:26} {:7} {:13} {:9} {:>6} {:>6} {}"
    heads = "client letter TLS certificate resumed end delivered sent said client's-FIN"
    print(form.format(*heads.split()))
    for row in rows:
        certificate = row["certificate"] or ("wordy" if row["wordy"] else "")
        if row["client_certificate"]:
            certificate = f"rsa and {Path(row['client_certificate']).stem}"
        words = [row["client"], row["letter"], row["tls"] or "-", certificate]
        words += ["yes" if row["resumed"] else "", row["stage"]]
        words += ["yes" if row["delivered"] else "-", row["sent"], row["said"]]
        print(form.format(*words, "" if row["client_ended"] else "no"))


GROUPS = {
    "plain": lambda row: not row["tls"],
    "TLS 1.3": lambda row: row["tls"] == "1.3" and is_full(row),
    "TLS 1.2": lambda row: row["tls"] == "1.2" and is_full(row) and "ADH" not in row["cipher"],
    "TLS 1.2 anonymous": lambda row: is_full(row) and "ADH" in (row["cipher"] or ""),
    "TLS resumed": lambda row: row["resume"],
    "TLS client cert": lambda row: row["client_certificate"],
}
FATES = ("delivered, tiny", "delivered", "refused", "refused after DATA", "nothing tried")


def is_full(row):
    """The handshake: neither shortened nor lengthened."""
    return bool(row["tls"]) and not row["resume"] and not row["client_certificate"]


def fate_of(row):
    if row["delivered"]:
        return "delivered, tiny" if row["letter"] == "tiny" else "delivered"
    if row["letter"] == "none":
        return "nothing tried"
    return "refused after DATA" if row["stage"] == "DATA 550" else "refused"


def sent_after(row, said_bytes):
    """What was sent since the server had said more than that; None if it never did."""
    for said, sent in row["steps"]:
        if said > said_bytes:
            return row["sent"] - sent
    return None


def span(numbers):
    known = [number for number in numbers if number is not None]
    return f"{min(known)}-{max(known)}" if known else "-"


def print_extremes(rows):
    """Exim apart: it sends the letter along with RCPT, so that a refusal comes too late."""
    form = "{:18} {:19} {:8} {:>8} {:>11} {:>10} {:>17}"
    print(form.format("", "", "client", "sessions", "sent", "said", f"sent after {HINT} B"))
    for group, member in GROUPS.items():
        for fate in FATES:
            for exim in (False, True):
                chosen = [
                    row
                    for row in rows
                    if member(row) and fate_of(row) == fate and (row["client"] == "exim") == exim
                ]
                if not chosen:
                    continue
                columns = [
                    span(row["sent"] for row in chosen),
                    span(row["said"] for row in chosen),
                    span(sent_after(row, HINT) for row in chosen),
                ]
                client = "exim" if exim else "others"
                print(form.format(group, fate, client, len(chosen), *columns))


def is_productive(row, hint, counted, tls_bytes):
    """As the rule would judge it; `counted` is what the larger number is compared with."""
    if row["said"] > hint:
        return counted(row, hint) >= tls_bytes
    return row["sent"] >= MESSAGE_BYTES


def print_rules(rows):
    """How many sessions each pair of numbers misjudges. Left out is what none can tell."""
    told = [row for row in rows if row["client"] != "exim" and (not row["tls"] or is_full(row))]
    delivered = [row for row in told if fate_of(row) == "delivered"]
    refused = [row for row in told if fate_of(row) in ("refused", "nothing tried")]
    print(f"misjudged of {len(delivered)} delivered + {len(refused)} refused sessions, by how much")
    print("the server must have said for the TLS number to count, and by that number:")
    for name, counted, numbers in (
        ("all that was sent", lambda row, hint: row["sent"], (700, 800, 900, 1000, 1100, 1300)),
        ("sent after that", sent_after, (300, 350, 400, 450, 500)),
    ):
        print(f"{name + ':':20}" + "".join(f"{number:>8}" for number in numbers))
        for hint in (800, 1000, 1100, 1200, 1500):
            print(f"{hint:>19} ", end="")
            for number in numbers:
                lost = sum(not is_productive(row, hint, counted, number) for row in delivered)
                leaked = sum(is_productive(row, hint, counted, number) for row in refused)
                print(f"{lost}+{leaked}".rjust(8), end="")
            print()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument("--postfix", metavar="DIR", help="where the Debian package is unpacked")
    return parser.parse_args()


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    options = arguments()
    if os.geteuid() != 0:
        print("measure_message_bytes: run it as root (namespaces, Postfix)", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, interrupted)
    owned = Belongings(tempfile.mkdtemp(prefix="mailweir-bytes.", dir=RUN_DIR))
    owned.directory.chmod(0o755)  # Postfix and Exim give up root
    try:
        measurement = Measurement(owned, options.postfix)
        rows = measurement.run()
        version = measurement.servers.version()
    except (LabError, OSError, KeyboardInterrupt) as error:
        print(f"measure_message_bytes: {str(error) or 'interrupted'}", file=sys.stderr)
        return 2
    finally:
        for left in owned.remove():
            print(f"measure_message_bytes: {left}", file=sys.stderr)
    if options.output == "json":
        print(json.dumps({"postfix": version, "sessions": rows}, indent=1))
    else:
        print(f"Postfix {version}")
        print_table(rows)
        print_extremes(rows)
        print_rules(rows)
    wrong = list(disagreements(rows))
    for row, other in wrong:
        print(f"measure_message_bytes: {row} differs from {other}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
