# SPDX-License-Identifier: GPL-2.0-or-later
"""The admin's other jobs, one after the other, against the real programs: the SYN log through rsyslog
for a minute, hand-written rules taken over, the shield, top, and the PTR zones of the NAT pool on two
name servers. Exit status: 0 it held, 1 it did not hold, 2 no verdict."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from belongings import Belongings, LabError, wait_for
from gateway import MAILWEIR_SYN, Gateway
from network import BOT, HONEST, INSIDE, Network, mount_bpffs

RUN_DIR = "/dev/shm"
LOG_SECONDS = 60
SERVER = "198.18.1.25"
FIRST, SECOND = "172.16.9.1", "172.16.9.2"
WORM_PORT = 445
POOL = "198.51.100.96/29"
WITH_PTR = 97
ZONE = "100.51.198.in-addr.arpa"
DOMAIN = "example.net"
PRIMARY, SECONDARY = "127.0.0.1", "127.0.0.2"
DNS_PORT = 5353

MORE_CONFIG = f"""
[log]
file = "syslog"
[shield]
ports = [25, 135, 139, {WORM_PORT}]
[pool]
networks = ["{POOL}"]
delegated = ["198.51.100.0/24"]
domain = "{DOMAIN}"
name_servers = ["ns1.{DOMAIN}={PRIMARY}:{DNS_PORT}", "ns2.{DOMAIN}={SECONDARY}:{DNS_PORT}"]
resolver = "{PRIMARY}:{DNS_PORT}"
"""

RSYSLOG = """\
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{directory}/devlog")
include(file="{directory}/10-mailweir.conf")
*.* {directory}/everything-else.log
"""

NAMED = """\
options {{
  directory "{directory}";
  listen-on port {port} {{ {address}; }};
  listen-on-v6 {{ none; }};
  query-source address {address};
  transfer-source {address};
  notify-source {address};
  pid-file none;
  session-keyfile none;
  managed-keys-directory "{directory}";
  recursion no;
  empty-zones-enable no;
  dnssec-validation no;
}};
controls {{ }};
{zones}
"""


class Story:
    def __init__(self, belongings):
        self.owned = belongings
        self.directory = belongings.directory
        self.network = Network(belongings, belongings.directory.name.rpartition(".")[2])
        self.gateway = Gateway(belongings, self.network)
        self.checks = []
        self.servers = {}  # name servers, by address

    def say(self, text):
        print(f"\n== {text}", flush=True)

    def check(self, sentence, holds, seen=""):
        self.checks.append((sentence, bool(holds), seen))

    def show(self, *words):
        self.gateway.show(*map(str, words))

    def mailweir(self, *words):
        self.show(*self.gateway.command(*words))

    def syns(self, count, source, destination, port=25):
        command = [MAILWEIR_SYN, "--interface", "lan0", "--dst-mac", "auto", "--source", source]
        command += ["--destinations", destination, "--port", port, "--count", count]
        self.network.run("cli", [str(word) for word in command], 60)

    def set_up(self):
        self.network.build()
        mount_bpffs()
        self.own_devlog()
        enter = [*self.network.enter("gw")[:-1], f"--mount={self.mounts}", "--"]
        self.gateway.start("xdp", "iptables", more=MORE_CONFIG, enter_daemon=enter)
        print("clients - gateway - internet are built; mailweir guards inside0", flush=True)

    # ---- log

    def own_devlog(self):
        """/dev/log of a mount namespace of its own leads to an rsyslog of its own."""
        directory = self.directory
        packaging = Path(__file__).resolve().parents[2] / "packaging"
        rules = (packaging / "rsyslog.conf").read_text()
        own = rules.replace("/var/log/mailweir/smtp.log", f"{directory}/smtp.log")
        (directory / "10-mailweir.conf").write_text(own)
        (directory / "rsyslog.conf").write_text(RSYSLOG.format(directory=directory))
        command = ["rsyslogd", "-n", "-f", str(directory / "rsyslog.conf")]
        self.owned.spawn("rsyslogd", [*command, "-i", str(directory / "rsyslogd.pid")])
        if not wait_for((directory / "devlog").exists, 10):
            raise LabError("rsyslogd does not listen: see rsyslogd.log")
        dev = directory / "dev"
        dev.mkdir()
        binds = []
        for node in ("null", "zero", "random", "urandom", "shm", "pts"):
            (dev / node).mkdir() if node in ("shm", "pts") else (dev / node).touch()
            binds.append(f"mount --rbind /dev/{node} {dev}/{node}")
        (dev / "log").symlink_to(directory / "devlog")
        script = " && ".join([*binds, f"mount --rbind {dev} /dev", "exec sleep infinity"])
        keeper = self.owned.spawn("mounts", ["unshare", "--mount", "sh", "-c", script])
        self.mounts = f"/proc/{keeper.pid}/ns/mnt"
        here = Path("/proc/self/ns/mnt").readlink()
        moved = wait_for(
            lambda: Path(self.mounts).readlink() != here
            and Path(f"/proc/{keeper.pid}/comm").read_text().strip() == "sleep",
            10,
        )
        if not moved:
            raise LabError("no mount namespace: see mounts.log")

    def log_on(self):
        self.say("log for a minute: once LOG rules, a filter, and somebody who deletes the rule")
        self.mailweir("log", "on", "--for", "1m")
        self.log_began = time.monotonic()
        self.syns(1, HONEST[0], SERVER)
        self.syns(40, BOT, SERVER)
        log = self.directory / "smtp.log"
        there = wait_for(lambda: log.exists() and log.read_text().count("MAILWEIR IN=") == 6, 10)
        lines = log.read_text().splitlines() if log.exists() else []
        self.check("the log has a line of one client, and five of the one that floods", there)
        print(f"\n$ head -n 2 {log.name}\n" + "\n".join(lines[:2]), flush=True)
        rest = self.directory / "everything-else.log"
        stray = rest.exists() and "MAILWEIR IN=" in rest.read_text()
        self.check("no line of it is in another file", not stray)

    def log_ends(self):
        self.say("a minute later")
        off = wait_for(lambda: not self.gateway.ask("log")["on"], LOG_SECONDS + 10)
        took = time.monotonic() - self.log_began
        self.check("the log ended by itself after a minute", off and took >= LOG_SECONDS - 1)
        self.syns(3, HONEST[1], SERVER)
        self.mailweir("log", "on", "--source", HONEST[2])
        self.syns(1, HONEST[2], SERVER)
        log = self.directory / "smtp.log"
        # Once the line of a later SYN is there, that of an earlier one would be.
        later = wait_for(lambda: f"SRC={HONEST[2]} " in log.read_text(), 10)
        self.mailweir("log", "off")
        self.check("nothing is logged after that", later and HONEST[1] not in log.read_text())
        told = "MAILWEIR-SUPPRESSED SRC=" + BOT + " N=35 "
        self.check("what was beyond the limit is told in one line", told in log.read_text())
        self.mailweir("log")

    # ---- import

    def import_rules(self):
        self.say("rules that were written by hand")
        for source, comment in ((FIRST, "SPAM_09_01_2021"), (SECOND, "SPAM_17_03_2021")):
            rule = f"-s {source} -p tcp --dport 25 -m comment --comment {comment} -j DROP"
            self.network.run("gw", f"iptables -w 5 -A FORWARD {rule}")
        self.show("iptables", "-S", "FORWARD")
        self.mailweir("import", "--dry-run")
        self.mailweir("import", "--take-over")
        blocked = self.gateway.blocked_sources()
        self.check("both are blocks now", {FIRST, SECOND} <= set(blocked), ", ".join(blocked))
        forward = self.network.run("gw", "iptables -w 5 -S FORWARD")
        self.check("and no longer rules in FORWARD", "SPAM_" not in forward)
        self.mailweir("blocks")

    # ---- shield

    def shielded(self):
        packets = self.gateway.ask("status")["packets"].get(INSIDE, {})
        return packets.get("shielded", {}).get("enforced", 0)

    def shield(self):
        self.say(f"a worm tries port {WORM_PORT}, from client to client")
        before = self.shielded()
        self.syns(5, BOT, HONEST[0], WORM_PORT)
        grew = wait_for(lambda: self.shielded() - before == 5, 5)
        self.check("its SYNs were dropped, and counted", grew, self.shielded() - before)
        self.mailweir("status")
        self.show("iptables", "-L", "MAILWEIR_SHIELD", "-v", "-n")

    # ---- top

    def top(self):
        self.say("who sends most")
        self.mailweir("top", "--by", "bytes", "--over", "1m")
        sources = self.gateway.ask("top", "--by", "syn", "--over", "1m")["sources"]
        first = sources[0]["source"] if sources else "nobody"
        self.check("top names the one that floods", first == BOT, first)

    # ---- reverse DNS

    def name_server(self, address, zones):
        old = self.servers.pop(address, None)
        if old:
            old.terminate()
            old.wait(10)
        directory = self.directory / f"named-{address}"
        directory.mkdir(exist_ok=True)
        config = directory / "named.conf"
        settings = {"directory": directory, "port": DNS_PORT, "address": address}
        config.write_text(NAMED.format(zones=zones, **settings))
        subprocess.run(["named-checkconf", str(config)], check=True, timeout=30)
        command = [*self.network.enter("gw"), "named", "-g", "-c", str(config)]
        self.servers[address] = self.owned.spawn(f"named-{address}", command)
        if not wait_for(lambda: self.asked(address, f"{ZONE} SOA"), 30, every=0.2):
            log = (self.directory / f"named-{address}.log").read_text(errors="replace")
            raise LabError(f"named at {address} does not answer; its log ends:\n{log[-800:]}")

    def asked(self, address, question):
        """What the server answers; nothing if it does not."""
        command = f"dig +short +time=1 +tries=1 -p {DNS_PORT} @{address} {question}"
        said = self.network.run("gw", command, ok=(0, 9, 10))
        return [line for line in said.splitlines() if not line.startswith(";")]

    def reverse_dns(self):
        self.say("PTR records of the NAT pool, on two name servers")
        # named listens on addresses that an interface has.
        self.network.run("gw", f"ip addr add {SECONDARY}/8 dev lo")
        empty = (
            f"$TTL 60\n@ IN SOA ns1.{DOMAIN}. hostmaster.{DOMAIN}. 2020112511 21600 3600 3600000 60\n"
            f"@ IN NS ns1.{DOMAIN}.\n"
        )
        old = self.directory / "old-zone"
        old.write_text(empty + f"{WITH_PTR} IN PTR nat-{WITH_PTR}.{DOMAIN}.\n")
        forward = self.directory / "forward"
        self.forward_head = empty + f"ns1 IN A {PRIMARY}\nns2 IN A {SECONDARY}\n"
        forward.write_text(self.forward_head + f"nat-{WITH_PTR} IN A 198.51.100.{WITH_PTR}\n")
        zones = "".join(
            f'zone "{name}" {{ type primary; file "{path}"; }};\n'
            for name, path in ((ZONE, old), (DOMAIN, forward))
        )
        self.name_server(PRIMARY, zones)
        one = f"{PRIMARY}:{DNS_PORT}"
        servers = f"{one},{SECONDARY}:{DNS_PORT}"
        self.mailweir("ptr", "check", "--bad", "--servers", one)
        found = self.gateway.ask("ptr", "check", "--servers", one)["addresses"]
        missing = [row["address"] for row in found if row["text"] == "missing PTR"]
        self.check("ptr check finds the 7 addresses without a PTR", len(missing) == 7, len(missing))

        out = self.directory / "zones"
        self.mailweir("ptr", "zone", "--out", out, "--ripe", "--diff", old)
        self.serve_written(out, forward)
        self.mailweir("ptr", "check", "--servers", servers)
        command = self.gateway.command("ptr", "check", "--servers", servers)
        clean = subprocess.run([*self.network.enter("gw"), *command], capture_output=True)
        self.check("after that ptr check is clean", clean.returncode == 0, clean.returncode)

    def serve_written(self, out, forward):
        """The primary with the zone as it was written, the secondary by transfer from it."""
        zone_file = out / f"{ZONE}.zone"
        self.show("named-checkzone", ZONE, zone_file)
        self.show("cat", zone_file)
        forward.write_text(self.forward_head + f"$INCLUDE {out}/{DOMAIN}.forward\n")
        also = f'zone "{DOMAIN}" {{ type primary; file "{forward}"; }};\n'
        self.name_server(PRIMARY, (out / "named.conf.primary").read_text() + also)
        self.name_server(SECONDARY, (out / "named.conf.secondary").read_text())

    # ---- the end

    def run(self):
        steps = (self.log_on, self.import_rules, self.shield, self.top, self.reverse_dns)
        for step in (*steps, self.log_ends):
            try:
                step()
            except BrokenPipeError:
                raise
            except (LabError, OSError, LookupError, ValueError, subprocess.SubprocessError) as error:
                self.check(f"{step.__name__.replace('_', ' ')} works", False, repr(error))

    def verdict(self):
        held = all(ok for _, ok, _ in self.checks)
        print("\nSummary")
        for sentence, ok, seen in self.checks:
            print(f"  {'yes' if ok else 'NO '}  {sentence}" + (f": {seen}" if seen else ""))
        print("It held." if held else "It did not hold.", flush=True)
        return 0 if held else 1


def run_story(clean_up):
    belongings = Belongings(tempfile.mkdtemp(prefix="mailweir-story.", dir=RUN_DIR))
    try:
        story = Story(belongings)
        story.set_up()
        story.run()
        return story.verdict()
    except LabError as error:
        print(f"story: {error}", file=sys.stderr)
        return 2
    finally:
        clean_up(belongings)
