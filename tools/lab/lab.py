# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: honest clients, one bot, real mail servers, and mailweir between them. Tells the story
and judges it. Exit status: 0 it held, 1 it did not hold, 2 no verdict: it could not be set up, or
was interrupted."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import guard
import story
from belongings import Belongings, LabError, wait_for
from gateway import MAILWEIR_SYN, Gateway
from mail_servers import MailServers
from network import BOT, HONEST, SERVERS, Network, mount_bpffs

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# In memory: mail servers wait for the disk at each mail, and nothing of a lab survives a reboot.
RUN_DIR = "/dev/shm"
MAILS_EACH = 15
BOT_SECONDS = 15
HONEST_LIMIT_SECONDS = 80
MAX_BOT_CONNECTIONS = 40
BLOCK_WITHIN_SECONDS = 10
COUNTS_AGREE_WITHIN_SECONDS = 5
RAW_SYNS = 20_000
RAW_SERVER = SERVERS[0]


class Lab:
    def __init__(self, options, belongings):
        self.options = options
        self.owned = belongings
        self.network = Network(belongings, belongings.directory.name.rpartition(".")[2])
        self.servers = MailServers(belongings, self.network)
        self.gateway = Gateway(belongings, self.network)
        self.facts = {}  # for the summary
        self.checks = []  # (sentence, whether it holds, what was seen)
        self.started = time.monotonic()

    def say(self, text):
        print(f"{time.monotonic() - self.started:6.1f} s  {text}", flush=True)

    def check(self, sentence, holds, seen):
        self.checks.append((sentence, bool(holds), seen))

    def set_up(self):
        self.network.build()
        self.say(f"clients ({len(HONEST)} and a bot) - gateway (MASQUERADE) - internet: built")
        self.servers.start()
        self.say(f"{len(SERVERS)} mail servers in {len(SERVERS)} networks answer")
        if self.options.without:
            self.say("no mailweir this time")
            return
        mount_bpffs()
        attach = "tc" if self.options.tc else "xdp"
        self.gateway.start(attach, self.options.mirror)
        self.say(f"mailweir guards inside0 in block mode ({attach}, mirror {self.options.mirror})")

    def program(self, name, *words):
        """One of the traffic programs, in the clients' namespace; what it prints is in NAME.out."""
        command = [sys.executable, "-B", str(HERE / f"{name}.py"), *map(str, words)]
        with open(self.owned.directory / f"{name}.out", "ab") as out:
            return self.owned.spawn(name, self.network.enter("cli") + command, stdout=out)

    def printed(self, name):
        text = (self.owned.directory / f"{name}.out").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def traffic(self):
        """Honest clients and the bot at once. Returns when both are done."""
        pairs = [f"{client}={server}" for client, server in zip(HONEST, SERVERS)]
        honest = self.program("honest_clients", MAILS_EACH, 1, HONEST_LIMIT_SECONDS, *pairs)
        began = time.monotonic()
        bot = self.program("bot", BOT, BOT_SECONDS, *SERVERS)
        self.say(f"{len(HONEST)} clients mail; the bot starts")
        blocked_after, at_block = None, None
        report = began
        while bot.poll() is None:
            if blocked_after is None and not self.options.without and self.gateway.bot_is_blocked():
                blocked_after = time.monotonic() - began
                at_block = self.network.counts("gw")
                self.say(f"the bot is blocked, {blocked_after:.1f} s after its start")
            if time.monotonic() - report >= 3:
                report = time.monotonic()
                self.report()
            time.sleep(0.05)
        self.network.silence_replies_to_bot()
        self.say(f"the bot ends: {self.printed('bot')[0]['tried']} connections tried")
        self.judge_bot(blocked_after, at_block)
        if not wait_for(lambda: honest.poll() is not None, HONEST_LIMIT_SECONDS + 30):
            raise LabError("the honest clients do not end")
        self.judge_honest()

    def report(self):
        let_through = self.network.counts("gw")
        self.say(
            f"mails delivered {self.honest_delivered()}   bot: {self.network.bot_sent()} packets "
            f"sent, {let_through['bot-through']} let through "
            f"({let_through['bot-syn-through']} SYNs)"
        )

    def honest_sent(self):
        lines = self.printed("honest_clients")
        return {(line["server"], line["mail"]) for line in lines if "mail" in line}

    def honest_delivered(self):
        return len(self.honest_sent() & self.servers.delivered())

    def judge_bot(self, blocked_after, at_block):
        # A SYN that was repeated counts twice: no connection can hide.
        reached = self.network.counts("gw")["bot-syn-through"]
        before = at_block["bot-syn-through"] if at_block else reached
        self.facts["connections of the bot that reached a server"] = (
            f"{before} before it was blocked, {reached - before} after"
            if at_block
            else f"{reached}; it was never blocked"
        )
        self.check(
            f"at most {MAX_BOT_CONNECTIONS} connections of the bot reached a server",
            reached <= MAX_BOT_CONNECTIONS,
            reached,
        )
        if self.options.without:
            return
        self.check(
            f"the bot was blocked within {BLOCK_WITHIN_SECONDS} s",
            blocked_after is not None and blocked_after <= BLOCK_WITHIN_SECONDS,
            "never" if blocked_after is None else f"{blocked_after:.1f} s",
        )
        if blocked_after is None:
            return
        after = self.network.counts("gw")["bot-through"] - at_block["bot-through"]
        self.check("no packet of the bot passed after that", after == 0, after)
        self.judge_first_seconds()

    def judge_first_seconds(self):
        """Every packet that the bot's kernel sent is in exactly one place."""
        sent = self.network.bot_sent() - self.network.lost_before_gateway()

        def places():
            through = self.network.counts("gw")["bot-through"]
            held = self.gateway.why()["total"]["dropped"]
            return through, held, self.gateway.map_drops()

        wait_for(lambda: sum(places()) == sent, COUNTS_AGREE_WITHIN_SECONDS)
        through, held, dropped = places()
        self.check(
            "packets sent by the bot = let through + held by the brake + dropped by its block",
            through + held + dropped == sent,
            f"{sent} = {through} + {held} + {dropped}",
        )

    def judge_honest(self):
        sent = self.honest_sent()
        wait_for(lambda: self.honest_delivered() == len(sent), 20)
        end = self.printed("honest_clients")[-1]
        expected = len(HONEST) * MAILS_EACH
        delivered = self.honest_delivered()
        self.facts["mails delivered of mails sent"] = f"{delivered} of {expected}"
        self.check("every honest mail was delivered", delivered == len(sent) == expected, delivered)
        self.say(
            f"mails delivered {delivered} of {expected}, in {end['connections']} connections, "
            f"{end['retries']} tried again (servers that greylist)"
        )
        if not self.options.without:
            blocked = self.gateway.blocked_sources()
            self.check("nobody but the bot is blocked", blocked == [BOT], ", ".join(blocked))

    def readings(self):
        """What each place says was dropped by the bot's block; a rule is only there if mirrored."""
        found = {"why": self.gateway.why()["dropped_packets"], "map": self.gateway.map_drops()}
        if self.options.mirror != "none":
            rule = self.gateway.rule()
            found["rule"] = rule[0] if rule else None
        return found

    def settled_readings(self):
        """Readings once a refresh has brought the rule to what the map says."""
        wait_for(lambda: len(set(self.readings().values())) == 1, COUNTS_AGREE_WITHIN_SECONDS)
        return self.readings()

    def flood_while_blocked(self):
        """Raw SYNs and real connections of the blocked bot, counted in four places."""
        before = self.settled_readings()
        let_through = self.network.counts("gw")["bot-through"]
        at_servers = self.network.counts("srv")["syn-at-servers"], self.servers.connections()
        sent = self.network.bot_sent() - self.network.lost_before_gateway()
        self.network.hear_replies_to_bot()
        bot = self.program("bot", BOT, 3, *SERVERS)
        sent_raw = self.raw_syns()
        if not wait_for(lambda: bot.poll() is not None, 10):
            raise LabError("the bot does not end")
        sent = self.network.bot_sent() - self.network.lost_before_gateway() + sent_raw - sent

        def grown():
            return {place: count - before[place] for place, count in self.readings().items()}

        wait_for(lambda: set(grown().values()) == {sent}, COUNTS_AGREE_WITHIN_SECONDS)
        grew = grown()
        self.check(
            "packets sent while blocked = counted by " + " = ".join(grew),
            set(grew.values()) == {sent},
            " = ".join(map(str, [sent, *grew.values()])),
        )
        leaked = self.network.counts("gw")["bot-through"] - let_through
        reached = self.network.counts("srv")["syn-at-servers"], self.servers.connections()
        self.check(
            "the servers saw none of them", leaked == 0 and reached == at_servers, leaked
        )
        self.say(f"{sent} packets of the blocked bot ({sent_raw} raw SYNs): {leaked} passed")

    def raw_syns(self):
        command = [MAILWEIR_SYN, "--interface", "lan0", "--dst-mac", "auto"]
        command += ["--source", BOT, "--destinations", RAW_SERVER, "--port", 25]
        command += ["--count", RAW_SYNS, "--rate", "max"]
        return json.loads(self.network.run("cli", [str(word) for word in command], 60))["sent"]

    def judge_rule(self):
        if self.options.mirror == "none":
            return
        rule = self.gateway.rule()
        decision = self.gateway.why()["decision"]["id"]
        comment = rule[1] if rule else "no rule"
        self.check(
            "the rule in iptables carries its reason",
            comment.startswith("SPAM_") and f" id={decision} " in comment + " ",
            comment,
        )

    def show_as_admin(self):
        show = self.gateway.show
        for verb in (("status",), ("top",), ("why", BOT)):
            show(*self.gateway.command(*verb))
        if self.options.mirror != "none":
            show("iptables", "-L", "MAILWEIR", "-v", "-n")
        show("bpftool", "map", "dump", "pinned", f"{self.owned.bpffs_dir}/blocklist")

    def verdict(self):
        held = bool(self.checks) and all(ok for _, ok, _ in self.checks)
        print("\nSummary")
        for what, value in self.facts.items():
            print(f"  {what}: {value}")
        for sentence, ok, seen in self.checks:
            print(f"  {'yes' if ok else 'NO '}  {sentence}: {seen}")
        print("It held." if held else "It did not hold.", flush=True)
        return 0 if held else 1

    def run(self):
        """After this, whatever goes wrong counts against mailweir."""
        try:
            self.traffic()
            if not self.options.without:
                if self.gateway.bot_is_blocked():
                    self.judge_rule()
                    self.flood_while_blocked()
                self.show_as_admin()
        except BrokenPipeError:
            raise
        except (LabError, OSError, LookupError, ValueError, subprocess.TimeoutExpired) as error:
            self.check("everything answered as it should", False, repr(error))


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/run",
        description="Builds mailweir and shows it at work between 20 honest clients, a bot, and "
        "40 real mail servers, all in network namespaces of its own.",
        epilog="Exit status: 0 it held, 1 it did not hold, 2 no verdict (set-up failed, or "
        "interrupted).",
    )
    for flag, text in (
        ("--without", "the same with no mailweir: must not hold"),
        ("--tc", "attach to tc instead of XDP"),
        ("--keep", "leave it standing to look around"),
        ("--story", "the admin's other jobs: log, hand-written rules, shield, reverse DNS"),
    ):
        parser.add_argument(flag, action="store_true", help=text)
    parser.add_argument(
        "--mirror",
        choices=["iptables", "none"],
        default="iptables",
        help="none: no DROP rule in iptables could hide a leak of the program",
    )
    parser.add_argument("--cleanup", metavar="DIR", help="take away what --keep left")
    parser.add_argument(
        "--inside",
        metavar="IFACE",
        help="no lab: watch this real interface (observe mode, tc) until Ctrl-C",
    )
    parser.add_argument(
        "--networks",
        metavar="CIDR[,CIDR]",
        help="with --inside: the clients; else what IFACE is connected to",
    )
    return parser.parse_args()


def build():
    for command in ("cmake --preset release", "cmake --build --preset release"):
        if subprocess.run(command.split(), cwd=ROOT).returncode != 0:
            raise LabError(f"{command} failed: see above")


def clean_up(belongings):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in belongings.remove():
        print(f"lab: {line}", file=sys.stderr)


def run_lab(options):
    belongings = Belongings(tempfile.mkdtemp(prefix="mailweir-lab.", dir=RUN_DIR))
    lab = Lab(options, belongings)
    keep = False
    try:
        lab.set_up()
        lab.run()
        keep = options.keep
        return lab.verdict()
    except BrokenPipeError:
        # Nobody reads any more; what is still said goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    finally:
        if keep:
            how_to_look(lab)
        else:
            lab.say("taking the lab down")
            clean_up(belongings)


def how_to_look(lab):
    print("\nIt stands. To look around, and to take it away:")
    for short, what in (("cli", "clients"), ("gw", "gateway"), ("srv", "internet")):
        print(f"  {' '.join(lab.network.enter(short))} bash   # {what}")
    if lab.gateway.config:
        print(f"  {' '.join(lab.network.enter('gw') + lab.gateway.command('status'))}")
    print(f"  scripts/run --cleanup {lab.owned.directory}")


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(2))
    try:
        if options.cleanup:
            left = Belongings.load(options.cleanup).remove()
            print("\n".join(left) if left else "removed")
            return 2 if left else 0
        if os.geteuid() != 0:
            raise LabError("namespaces and BPF need root")
        if not options.without and "MAILWEIR_BIN" not in os.environ:
            build()
        if options.inside:
            return guard.watch(options.inside, options.networks)
        if options.story:
            return story.run_story(clean_up)
        return run_lab(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 2


if __name__ == "__main__":
    sys.exit(main())
