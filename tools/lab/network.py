# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's three namespaces: clients - gateway - internet, MASQUERADE in the middle, and counting
rules that no rule of mailweir hides. Knows nothing of mail and of mailweir."""

import json
import re
import subprocess
from pathlib import Path

from belongings import LabError

BOT = "172.16.7.70"
HONEST = [f"172.16.1.{n}" for n in range(1, 21)]
SERVERS = [f"198.18.{n}.25" for n in range(1, 41)]  # each in a /24 of its own
INSIDE_NETWORK = "172.16.0.0/16"
INSIDE = "inside0"


class Network:
    def __init__(self, belongings, tag):
        self._owned = belongings
        self.names = {short: f"mwlab-{tag}-{short}" for short in ("cli", "gw", "srv")}

    def enter(self, short):
        """The prefix of a command that shall run there. `ip netns exec` would hide bpffs."""
        return ["nsenter", f"--net=/run/netns/{self.names[short]}", "--"]

    def run(self, short, command, seconds=30, ok=(0,), stdin=""):
        if isinstance(command, str):
            command = command.split()
        done = subprocess.run(
            self.enter(short) + command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode not in ok:
            why = done.stderr.strip() or f"exit {done.returncode}"
            raise LabError(f"{short}: {' '.join(command)}: {why}")
        return done.stdout

    def build(self):
        for name in self.names.values():
            self._owned.namespaces.append(name)
            self._owned.save()
            done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
            if done.returncode != 0:
                raise LabError(f"ip netns add {name}: {done.stderr.strip()}: run it as root")
        for short in self.names:
            self.run(short, "ip link set lo up")
        self._join("cli", "lan0", HONEST + [BOT], INSIDE, "172.16.0.1")
        self._join("srv", "net0", SERVERS, "outside0", "198.18.0.1")
        self.run("cli", "ip route add default via 172.16.0.1")
        self.run("gw", "sysctl -qw net.ipv4.ip_forward=1")
        # Servers that need not run as root for port 25.
        self.run("srv", "sysctl -qw net.ipv4.ip_unprivileged_port_start=25")
        self.run("gw", "iptables -w 5 -t nat -A POSTROUTING -o outside0 -j MASQUERADE")
        self._add_counters()

    def _join(self, short, device, addresses, gateway_device, gateway):
        other = self.names[short]
        self.run("gw", f"ip link add {gateway_device} type veth peer name {device} netns {other}")
        self.run("gw", f"ip addr add {gateway}/16 dev {gateway_device}")
        self.run("gw", f"ip link set {gateway_device} up")
        lines = [f"addr add {address}/16 dev {device}\n" for address in addresses]
        self.run(short, "ip -batch -", stdin="".join(lines) + f"link set {device} up\n")
        # A merged packet would be counted as one here and as several there.
        self.run("gw", f"ethtool -K {gateway_device} gro off gso off tso off")
        self.run(short, f"ethtool -K {device} gro off gso off tso off")

    def _add_counters(self):
        mail = "-p tcp --dport 25"
        self._count("cli", "OUTPUT", f"-s {BOT} {mail}", "bot-sent")
        # Behind XDP and tc, before every chain that mailweir mirrors into.
        self._count("gw", "PREROUTING", f"-s {BOT} {mail}", "bot-through")
        self._count("gw", "PREROUTING", f"-s {BOT} {mail} --syn", "bot-syn-through")
        self._count("srv", "PREROUTING", f"{mail} --syn", "syn-at-servers")

    def _count(self, short, chain, match, name):
        self.run(short, f"iptables -w 5 -t mangle -A {chain} {match} -m comment --comment {name}")

    def counts(self, short):
        """Packets by the name of the counting rule."""
        text = self.run(short, "iptables-save -c -t mangle")
        rows = re.findall(r"^\[(\d+):\d+\] .*--comment (\S+)", text, re.MULTILINE)
        return {name: int(packets) for packets, name in rows}

    def bot_sent(self):
        return self.counts("cli")["bot-sent"]

    def silence_replies_to_bot(self):
        """Else a server's retransmission would make the clients' kernel send an RST, any time."""
        self.run("cli", f"iptables -w 5 -t raw -A PREROUTING -d {BOT} -p tcp --sport 25 -j DROP")

    def hear_replies_to_bot(self):
        self.run("cli", "iptables -w 5 -t raw -F PREROUTING")

    def lost_before_gateway(self):
        """Frames that the clients' veth could not hand over: no program has seen them."""
        link = json.loads(self.run("cli", "ip -j -s link show lan0"))[0]
        return link["stats64"]["tx"]["dropped"]

    def listeners(self):
        """How many addresses of the internet have somebody listening on port 25."""
        rows = self.run("srv", ["ss", "-Hltn", "sport = :25"]).splitlines()
        return len({row.split()[3] for row in rows})


def mount_bpffs():
    if any(line.split()[1:3] == ["/sys/fs/bpf", "bpf"] for line in Path("/proc/mounts").open()):
        return
    done = subprocess.run(
        "mount -t bpf bpf /sys/fs/bpf".split(), capture_output=True, text=True
    )
    if done.returncode != 0:
        raise LabError(f"mount -t bpf bpf /sys/fs/bpf: {done.stderr.strip()}")
