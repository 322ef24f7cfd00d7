# SPDX-License-Identifier: GPL-2.0-or-later
"""mailweir on a real interface, to try it: observe mode, on tc, with private pins and state. It
counts and decides, and drops nothing; Ctrl-C takes all of it away."""

import ipaddress
import json
import subprocess
import sys
import tempfile

from belongings import Belongings, LabError
from gateway import MAILWEIR, start_daemon, write_config
from network import mount_bpffs


def connected_networks(interface):
    shown = subprocess.run(
        ["ip", "-j", "addr", "show", "dev", interface], capture_output=True, text=True
    )
    if shown.returncode != 0:
        raise LabError(f"--inside {interface}: {shown.stderr.strip()}")
    addresses = [a for link in json.loads(shown.stdout) for a in link.get("addr_info", [])]
    found = {
        str(ipaddress.ip_interface(f"{a['local']}/{a['prefixlen']}").network)
        for a in addresses
        if a["scope"] == "global"
    }
    if not found:
        raise LabError(
            f"--inside {interface}: it has no address, so the clients' networks are not known: "
            "name them with --networks CIDR[,CIDR]"
        )
    return sorted(found)


def chosen_networks(text):
    try:
        return [str(ipaddress.ip_network(one.strip())) for one in text.split(",")]
    except ValueError as error:
        raise LabError(f"--networks {text}: {error}") from error


def watch(interface, networks):
    """Runs until Ctrl-C, or until the daemon ends by itself, which is status 1."""
    connected = connected_networks(interface) if not networks else chosen_networks(networks)
    mount_bpffs()
    owned = Belongings(tempfile.mkdtemp(prefix="mailweir-guard.", dir="/var/tmp"))
    try:
        config = write_config(
            owned,
            mode="observe",
            node="",  # the host's name
            interface=interface,
            attach="tc",
            networks=", ".join(f'"{one}"' for one in connected),
            confirm="conntrack",
            mirror="none",
        )
        daemon = start_daemon(owned, [], config)
        print(f"watching {interface} for clients in {', '.join(connected)}; it drops nothing")
        print("in another terminal:")
        for verb in ("status", "top", "events -f", "why ADDRESS"):
            print(f"  {MAILWEIR} --config {config} {verb}")
        print(f"its log: {owned.directory}/mailweir.log\nCtrl-C takes it off again", flush=True)
        daemon.wait()
        print((owned.directory / "mailweir.log").read_text(errors="replace"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntaking it off")
        return 0
    finally:
        for line in owned.remove():
            print(f"lab: {line}", file=sys.stderr)
