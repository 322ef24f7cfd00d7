# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: honest_clients.py MAILS EVERY_SECONDS LIMIT_SECONDS ADDRESS=SERVER...: each address sends
its mails through its one server, and tries again where a mail program would.

Prints a line of JSON for each mail before its first attempt, and one at the end."""

import json
import smtplib
import sys
import threading
import time
from email.message import EmailMessage

RETRY_SECONDS = 1

_print_lock = threading.Lock()


def say(**what):
    with _print_lock:
        print(json.dumps(what), flush=True)


class Client:
    def __init__(self, address, server):
        self.address = address
        self.server = server
        self.connections = 0
        self.retries = 0
        self.accepted = 0

    def send_all(self, mails, every, limit):
        start = time.monotonic()
        for number in range(mails):
            time.sleep(max(0, start + number * every - time.monotonic()))
            mail = self._compose(number)
            say(mail=mail["Message-ID"], server=self.server)
            while not self._send(mail) and time.monotonic() - start < limit:
                self.retries += 1
                time.sleep(RETRY_SECONDS)

    def _compose(self, number):
        mail = EmailMessage()
        mail["From"] = f"{self.address}@example.net"
        mail["To"] = "friend@example.org"
        mail["Subject"] = f"Letter {number}"
        mail["Message-ID"] = f"<{number}.{self.address}@honest.example.net>"
        mail.set_content("Dear friend, nothing special, only a few more words.\n" * 14)
        return mail

    def _send(self, mail):
        """False: it is worth another attempt."""
        try:
            with smtplib.SMTP(
                local_hostname="pc.example.net", timeout=10, source_address=(self.address, 0)
            ) as smtp:
                smtp.connect(self.server, 25)
                self.connections += 1
                smtp.send_message(mail)
        except smtplib.SMTPRecipientsRefused as refused:
            return any(code >= 500 for code, _ in refused.recipients.values())
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code >= 500
        except OSError:
            return False
        self.accepted += 1
        return True


def main(mails, every, limit, *pairs):
    clients = [Client(*pair.split("=")) for pair in pairs]
    threads = [
        threading.Thread(target=c.send_all, args=(int(mails), float(every), float(limit)))
        for c in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(
        end=True,
        connections=sum(c.connections for c in clients),
        retries=sum(c.retries for c in clients),
        accepted=sum(c.accepted for c in clients),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
