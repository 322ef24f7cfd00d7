# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands mails to a mail server behind the gateway, and the same mails at the same moment to another
one, the base line: what differs in the delivery is then due to what holds the first one back.

Prints each recipient. What becomes of a mail is in its recipient: see honest_exim.py."""

import argparse
import concurrent.futures
import queue
import random
import smtplib
import time
from email.message import EmailMessage

SESSIONS = 4
TEXT = "Dear customer, here is what you asked us for, and a few more words.\n" * 12


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, required=True)
    parser.add_argument("--servers", type=int, required=True, help="each in a /24 of its own")
    parser.add_argument("--seconds", type=float, help="for all; else one mail to all recipients")
    parser.add_argument("--grey", type=float, default=0, help="share of servers that greylist")
    parser.add_argument("--refused", type=float, default=0, help="share of servers that refuse")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, required=True, help="of the mail server")
    parser.add_argument("--baseline", type=int, help="port of the other one")
    parser.add_argument("--every", type=int, default=1, help="it gets one in so many rounds")
    return parser.parse_args()


def server_address(number):
    """198.18.1.25, 198.18.2.25, ..., 198.18.255.25, 198.19.0.25, ..."""
    return f"198.{18 + number // 256}.{number % 256}.25"


def server_domain(number):
    return f"{18 + number // 256}-{number % 256}.example.org"


def rounds_of_recipients(args):
    """Every server gets one mail in each round; its order is another one each time."""
    chance = random.Random(args.seed)
    numbers = list(range(1, args.servers + 1))
    chance.shuffle(numbers)
    grey, refused = round(args.grey * args.servers), round(args.refused * args.servers)
    fate = {n: "friend" for n in numbers}
    fate.update({n: "grey" for n in numbers[:grey]})
    fate.update({n: "refused" for n in numbers[grey : grey + refused]})
    for first in range(0, args.mails, args.servers):
        chance.shuffle(numbers)
        count = min(args.servers, args.mails - first)
        yield [f"{fate[n]}.{first + i}@{server_domain(n)}" for i, n in enumerate(numbers[:count])]


class Office:
    """A few mail programs and their mail server."""

    def __init__(self, port):
        self._port = port
        self._sessions = queue.SimpleQueue()
        for _ in range(SESSIONS):
            self._sessions.put(smtplib.SMTP("127.0.0.1", port, timeout=60))
        # A name of its own: who greylists cannot tell two senders behind one NAT apart otherwise.
        self._from = f"office.{port}@example.net"

    def send(self, name, recipients):
        mail = EmailMessage()
        mail["From"] = self._from
        mail["To"] = "Customers <customers@example.net>"
        mail["Subject"] = "What you asked for"
        mail["Message-ID"] = f"<{name}.{self._port}@mail.example.net>"
        mail.set_content(TEXT)
        session = self._sessions.get()
        session.send_message(mail, self._from, recipients)
        self._sessions.put(session)


def hand_over(args, rounds, guarded, baseline):
    start, sent = time.monotonic(), []
    with concurrent.futures.ThreadPoolExecutor(2 * SESSIONS) as people:
        for number, recipients in enumerate(rounds):
            offices = [guarded] if number % args.every or not baseline else [guarded, baseline]
            for i, recipient in enumerate(recipients, number * args.servers):
                time.sleep(max(0, start + i * args.seconds / args.mails - time.monotonic()))
                name = recipient.partition("@")[0]
                sent += [people.submit(office.send, name, [recipient]) for office in offices]
    for each in sent:
        each.result()


def main():
    args = arguments()
    rounds = list(rounds_of_recipients(args))
    everybody = [recipient for recipients in rounds for recipient in recipients]
    print("\n".join(everybody), flush=True)
    guarded = Office(args.port)
    baseline = Office(args.baseline) if args.baseline else None
    if args.seconds is not None:
        hand_over(args, rounds, guarded, baseline)
        return
    for office in filter(None, (guarded, baseline)):
        office.send("customers", everybody)


if __name__ == "__main__":
    main()
