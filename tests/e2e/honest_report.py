# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of the mails of honest_mails.py, from the logs of both ends.

usage: honest_report.py RECIPIENTS SERVERS_LOG PORT=SENDER_LOG [BASELINE_PORT=BASELINE_LOG]

A mail's delay is from its sender's taking it to a server's taking it. What held it back is the
difference to the base line's median at the same server, which greets and greylists both alike,
without the rest of a greylisted mail in its queue: that depends on how many wait there with it."""

import json
import re
import statistics
import sys
from datetime import datetime
from pathlib import Path

LATE_SECONDS = 10

TAKEN = re.compile(r"^(\S+ \S+) \S+ <= office\S* .* id=(\S+)\.(\d+)@mail\.example\.net")
ARRIVED = re.compile(TAKEN.pattern + r" for (\S+)$")
REFUSED = re.compile(r"^\S+ \S+ \S+ \*\* (\S+) .*: 550 ")
GIVEN_UP = re.compile(r"^\S+ \S+ \S+ \*\* (\S+) ")
GREYLISTED = re.compile(r"^(\S+ \S+) \S+ == (\S+) .*: 451 ")
FAILED = re.compile(r"^\S+ \S+ \S+ == (\S+) (?!.*(?:: 451 |retry time not reached))")
DELIVERED = re.compile(r"^(\S+ \S+) \S+ => (\S+) .* DT=(?:(\d+)m)?([\d.]+)s$")


def matches(pattern, log):
    with open(log, errors="replace") as lines:
        return [found.groups() for line in lines if (found := pattern.match(line))]


def seconds(stamp):
    return datetime.fromisoformat(stamp).timestamp()


class Sender:
    def __init__(self, port, log, recipients, arrivals):
        taken = {name: seconds(stamp) for stamp, name, at in matches(TAKEN, log) if at == port}
        self.mails = [
            r for r in recipients if "customers" in taken or r.partition("@")[0] in taken
        ]
        self.refused = {r for (r,) in matches(REFUSED, log)}
        self.given_up = {r for (r,) in matches(GIVEN_UP, log)} - self.refused
        mine = set(self.mails)
        self.arrived = [(r, at) for r, at in arrivals.get(port, []) if r in mine]
        self.delays = {}
        for recipient, at in self.arrived:
            name = recipient.partition("@")[0]
            start = taken[name] if name in taken else taken["customers"]
            self.delays.setdefault(recipient, at - start)
        self.attended = {
            recipient: delay - rest
            for (recipient, delay), rest in zip(self.delays.items(), self._rests(log))
        }

    def _rests(self, log):
        """How long each mail waited between its greylisting and the attempt that succeeded; 0 if
        anything else went wrong with it."""
        greylisted = {r: seconds(stamp) for stamp, r in matches(GREYLISTED, log)}
        failed = {r for (r,) in matches(FAILED, log)}
        began = {
            r: seconds(stamp) - 60 * int(minutes or 0) - float(rest)
            for stamp, r, minutes, rest in matches(DELIVERED, log)
        }
        for r in self.delays:
            rests = r in greylisted and r in began and r not in failed
            yield began[r] - greylisted[r] if rests else 0

    def usual(self):
        """By server."""
        grouped = {}
        for recipient, delay in self.attended.items():
            grouped.setdefault(recipient.partition("@")[2], []).append(delay)
        return {server: statistics.median(delays) for server, delays in grouped.items()}

    def summary(self):
        missing = set(self.mails) - set(self.delays) - self.refused
        return {
            "mails": len(self.mails),
            "arrived": len(self.delays),
            "twice": len(self.arrived) - len(self.delays),
            "refused": len(self.refused),
            "given_up": len(self.given_up),
            "lost": len(missing),
            "delay_seconds": distribution(self.delays.values()),
        }


def distribution(values):
    ordered = sorted(values)
    if not ordered:
        return None
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return {
        "median": round(statistics.median(ordered), 2),
        "p99": round(p99, 2),
        "max": round(ordered[-1], 2),
    }


def held_back(guarded, baseline):
    usual = baseline.usual()
    return [d - usual.get(r.partition("@")[2], 0) for r, d in guarded.attended.items()]


def main(recipients_file, servers_log, *senders):
    recipients = Path(recipients_file).read_text().split()
    arrivals = {}
    for stamp, _, port, recipient in matches(ARRIVED, servers_log):
        arrivals.setdefault(port, []).append((recipient, seconds(stamp)))
    guarded, *baselines = (Sender(*s.split("=", 1), recipients, arrivals) for s in senders)
    report = guarded.summary()
    for baseline in baselines:
        report["baseline"] = baseline.summary()
        held = held_back(guarded, baseline)
        report["held_seconds"] = distribution(held)
        report["late"] = sum(delay > LATE_SECONDS for delay in held)
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
