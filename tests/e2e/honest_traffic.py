# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of the honest stories that are no mail servers: real TCP, real SMTP.

usage: honest_traffic.py pour SOURCE SERVER MAILS SECONDS
           a mail program that sends a mailing through its only server, a connection for each mail
       honest_traffic.py retry SOURCE SERVER WORKERS EVERY_SECONDS SECONDS
           a mail program whose only server is down: every worker tries again and again
       honest_traffic.py bot SOURCE SERVERS EVERY_SECONDS SECONDS SEED
           walks SERVERS networks; nine of ten recipients are refused, the tenth takes its letter

Prints how often each outcome was met and how long it took, as one line of JSON."""

import collections
import concurrent.futures
import errno
import functools
import json
import random
import smtplib
import sys
import threading
import time

from honest_mails import server_address, server_domain

PATIENCE_SECONDS = 10
RETRY_PATIENCE_SECONDS = 1
LETTER = "Subject: News\r\n\r\n" + "Here are the news, as every week.\r\n" * 24


def outcome(talk):
    """What became of a conversation, as a word: the reply's code, or what the network said."""
    try:
        return talk()
    except smtplib.SMTPRecipientsRefused as refused:
        return str(next(iter(refused.recipients.values()))[0])
    except smtplib.SMTPResponseException as refused:
        return str(refused.smtp_code)
    except smtplib.SMTPServerDisconnected as gone:
        return "mute" if isinstance(gone.__context__, TimeoutError) else "disconnected"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def converse(source, server, recipient, text, patience=PATIENCE_SECONDS):
    with smtplib.SMTP(
        server, 25, "pc.example.net", patience, source_address=(source, 0)
    ) as smtp:
        smtp.sendmail(f"pc@{source}.example.net", [recipient], text)
    return "accepted"


class Tally:
    def __init__(self):
        self._lock = threading.Lock()
        self._met = collections.Counter()
        self._start = time.monotonic()

    def add(self, word):
        with self._lock:
            self._met[word] += 1

    def __str__(self):
        with self._lock:
            seconds = round(time.monotonic() - self._start, 1)
            return json.dumps({"attempts": self._met.total(), "seconds": seconds, **self._met})


def pour(tally, source, server, mails, seconds):
    start, apart = time.monotonic(), float(seconds) / int(mails)

    def send(number):
        time.sleep(max(0, start + number * apart - time.monotonic()))
        text = f"Message-ID: <{number}@{source}.example.net>\r\n{LETTER}"
        tally.add(outcome(lambda: converse(source, server, "a@example.org", text)))

    # More workers than conversations at a time.
    with concurrent.futures.ThreadPoolExecutor(max_workers=60) as workers:
        for number in range(int(mails)):
            workers.submit(send, number)


def retry(tally, source, server, workers, every, seconds):
    every, end = float(every), time.monotonic() + float(seconds)
    attempt = functools.partial(
        converse, source, server, "a@example.org", LETTER, RETRY_PATIENCE_SECONDS
    )

    def work():
        while (start := time.monotonic()) < end:
            tally.add(outcome(attempt))
            time.sleep(max(0, start + every - time.monotonic()))

    threads = [threading.Thread(target=work) for _ in range(int(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bot(tally, source, servers, every, seconds, seed):
    numbers = list(range(1, int(servers) + 1))
    random.Random(int(seed)).shuffle(numbers)
    end = time.monotonic() + float(seconds)

    def leave_spam(step):
        number = numbers[step % len(numbers)]
        name = "friend" if step % 10 == 9 else "refused"
        to = f"{name}.bot{step}@{server_domain(number)}"
        tally.add(outcome(lambda: converse(source, server_address(number), to, LETTER)))

    for step in range(int(float(seconds) / float(every))):
        threading.Thread(target=leave_spam, args=(step,), daemon=True).start()
        time.sleep(max(0, min(float(every), end - time.monotonic())))


def main(what, *arguments):
    tally = Tally()
    {"pour": pour, "retry": retry, "bot": bot}[what](tally, *arguments)
    print(tally, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
