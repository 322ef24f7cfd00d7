# SPDX-License-Identifier: GPL-2.0-or-later
"""Orders, and a ledger of what the daemon has acknowledged, to hold it to after a crash.

usage: orders_ledger.py run LEDGER SEED MAILWEIR...         orders until one finds no daemon
       orders_ledger.py one LEDGER VERB SOURCE MAILWEIR...  block, unblock, allow or disallow
       orders_ledger.py compare LEDGER STATE_DIR BPFFS_DIR MAILWEIR...
           record, kernel map and CLI against each other and the ledger; a line for each difference

MAILWEIR... is the command line up to the verb. An order without an answer may have been carried out
or not: compare takes what it finds for true, if it is one of the two."""

import ipaddress
import json
import os
import random
import sqlite3
import subprocess
import sys

NOT_REACHABLE = 7
SOURCES = [f"172.16.200.{last}" for last in range(1, 25)]
FREE = {"id": None, "allowed": False}


class Ledger:
    def __init__(self, path):
        self.path = path
        self.sources, self.pending, self.acknowledged = {}, None, 0
        if os.path.exists(path):
            with open(path) as file:
                kept = json.load(file)
            self.sources, self.pending, self.acknowledged = (
                kept["sources"], kept["pending"], kept["acknowledged"])

    def save(self):
        with open(self.path + ".new", "w") as file:
            json.dump({"sources": self.sources, "pending": self.pending,
                       "acknowledged": self.acknowledged}, file)
        os.replace(self.path + ".new", self.path)

    def of(self, source):
        return self.sources.get(source, FREE)


def order(ledger, verb, source, mailweir):
    """True if it was acknowledged; False if nobody answered. A refusal ends the program."""
    words = {"block": ["block", source, "--for", "1h"], "unblock": ["unblock", source],
             "allow": ["allow", "add", source, "--reason", "test"],
             "disallow": ["allow", "remove", source]}[verb]
    ledger.pending = [verb, source]
    done = subprocess.run([*mailweir, "-o", "json", *words], capture_output=True, text=True)
    if done.returncode == NOT_REACHABLE:
        return False
    results = json.loads(done.stdout)["results"] if done.stdout else []
    if done.returncode != 0 or not results or not results[0]["ok"]:
        sys.exit(f"{verb} {source}: exit {done.returncode}: {done.stdout} {done.stderr}")
    if "not persisted" in results[0]["note"]:
        sys.exit(f"{verb} {source}: {results[0]['note']}")
    before = ledger.of(source)
    ledger.sources[source] = {
        "block": lambda: {"id": results[0]["decision"]["id"], "allowed": False},
        "unblock": lambda: {"id": None, "allowed": before["allowed"]},
        "allow": lambda: {"id": None, "allowed": True},
        "disallow": lambda: {"id": None, "allowed": False}}[verb]()
    ledger.pending = None
    ledger.acknowledged += 1
    return True


def run(ledger, seed, mailweir):
    dice = random.Random(int(seed))
    while True:
        source = dice.choice(SOURCES)
        state = ledger.of(source)
        verb = ("disallow" if state["allowed"] else
                dice.choice(["unblock", "unblock", "block", "allow"]) if state["id"] else
                dice.choice(["block", "block", "block", "allow"]))
        if not order(ledger, verb, source, mailweir):
            return


def in_record(state_dir):
    record = sqlite3.connect(f"file:{state_dir}/mailweir.db?mode=ro", uri=True)
    rows = record.execute("SELECT source, number FROM decisions WHERE ended_ms IS NULL AND would = 0")
    return set(rows.fetchall()), {row[0] for row in record.execute("SELECT network FROM allow_edits")}


def in_kernel(bpffs_dir):
    dump = json.loads(subprocess.run(
        ["bpftool", "-j", "map", "dump", "pinned", f"{bpffs_dir}/blocklist"],
        check=True, capture_output=True).stdout)
    found = set()
    for entry in dump:
        octets = bytes(int(octet, 16) for octet in entry["key"])
        address = ipaddress.IPv6Address(octets)
        found.add((str(address.ipv4_mapped or address), entry["formatted"]["value"]["decision"]))
    return found


def compare(ledger, state_dir, bpffs_dir, mailweir):
    def ask(*words):
        return json.loads(subprocess.run([*mailweir, "-o", "json", *words], check=True,
                                         capture_output=True).stdout)

    blocks = [each for each in ask("blocks")["blocks"] if not each["would"]]
    told = {(each["source"].split("/")[0], int(each["id"].rsplit("-", 1)[1])) for each in blocks}
    allowed = {each["network"].split("/")[0] for each in ask("allow", "list")["allow"]}
    recorded, recorded_allowed = in_record(state_dir)
    recorded_allowed = {network.split("/")[0] for network in recorded_allowed}
    differences = []
    for name, found in (("record", recorded), ("kernel map", in_kernel(bpffs_dir))):
        differences += [f"{name} lacks {each}" for each in sorted(told - found)]
        differences += [f"only the {name} has {each}" for each in sorted(found - told)]
    differences += [f"allowed, told or recorded only: {each}"
                    for each in sorted(allowed ^ recorded_allowed)]

    ids = {each["source"].split("/")[0]: each["id"] for each in blocks}
    for source in sorted(ids.keys() | allowed | ledger.sources.keys() |
                         ({ledger.pending[1]} if ledger.pending else set())):
        found = {"id": ids.get(source), "allowed": source in allowed}
        wanted = ledger.of(source)
        if found != wanted and not (ledger.pending and ledger.pending[1] == source and
                                    is_outcome(ledger.pending[0], wanted, found)):
            differences.append(f"{source}: acknowledged {wanted}, found {found}, "
                               f"unanswered {ledger.pending}")
        ledger.sources[source] = found
    ledger.pending = None
    return differences


def is_outcome(verb, before, found):
    """Is this what the order leads to? A block's number was not told."""
    if verb == "block":
        return bool(found["id"]) and found["id"] != before["id"] and not found["allowed"]
    return found == {"id": None, "allowed": {"unblock": before["allowed"], "allow": True,
                                             "disallow": False}[verb]}


def main(what, path, *rest):
    ledger = Ledger(path)
    try:
        if what == "run":
            run(ledger, rest[0], rest[1:])
        elif what == "one":
            return 0 if order(ledger, rest[0], rest[1], rest[2:]) else 1
        else:
            differences = compare(ledger, rest[0], rest[1], rest[2:])
            for each in differences:
                print(f"        {each}")
            return 1 if differences else 0
    finally:
        ledger.save()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
