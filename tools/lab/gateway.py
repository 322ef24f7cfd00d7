# SPDX-License-Identifier: GPL-2.0-or-later
"""mailweir on the lab's gateway: its configuration, its start, and the places where an admin can
read what it did. Decides nothing."""

import json
import os
import re
import subprocess
from pathlib import Path

from belongings import LabError
from network import BOT, INSIDE, INSIDE_NETWORK
from wait_ready import bind, wait_ready

BUILD = Path(__file__).resolve().parents[2] / "build" / "release"
MAILWEIR = Path(os.environ.get("MAILWEIR_BIN", BUILD / "mailweir"))
MAILWEIR_SYN = Path(os.environ.get("MAILWEIR_SYN", BUILD / "tools" / "mailweir-syn"))

READY_SECONDS = 60

CONFIG = """\
mode = "{mode}"
node = "{node}"
bpffs_dir = "{bpffs_dir}"
socket = "{directory}/mailweir.sock"
state_dir = "{directory}/state"
[interfaces]
inside = ["{interface}"]
attach = "{attach}"
[networks]
inside = [{networks}]
[block]
confirm = "{confirm}"
[allow]
files = []
[mirror]
backend = "{mirror}"
refresh = "2s"
"""


def write_config(belongings, **settings):
    """The file of a private mailweir: nothing of an installed one is read or written."""
    # bpffs refuses names with a dot.
    belongings.bpffs_dir = f"/sys/fs/bpf/{belongings.directory.name.replace('.', '-')}"
    belongings.save()
    (belongings.directory / "state").mkdir(mode=0o700)
    path = belongings.directory / "mailweir.toml"
    path.write_text(
        CONFIG.format(bpffs_dir=belongings.bpffs_dir, directory=belongings.directory, **settings)
    )
    return path


def start_daemon(belongings, enter, config, enter_daemon=None):
    """Returns when it has said READY=1; raises LabError with its log if it does not. `enter_daemon`: the
    daemon's own prefix, where it has mounts that nobody else has."""
    log = belongings.directory / "mailweir.log"
    notify = str(belongings.directory / "notify.sock")
    # Taken off by the record alone, should this run be killed.
    belongings.detach = [*enter, str(MAILWEIR), "--config", str(config), "detach"]
    with bind(notify) as receiver:
        daemon = belongings.spawn(
            "mailweir",
            [*(enter_daemon or enter), str(MAILWEIR), "--config", str(config), "run"],
            env={**os.environ, "NOTIFY_SOCKET": notify},
        )
        if not wait_ready(receiver, READY_SECONDS, lambda: daemon.poll() is None):
            raise LabError(f"mailweir is not ready; its log:\n{log.read_text(errors='replace')}")
    return daemon


class Gateway:
    def __init__(self, belongings, network):
        self._network = network
        self._owned = belongings
        self.config = None

    def start(self, attach, mirror, more="", enter_daemon=None):
        """`more`: sections of the configuration beside those of every lab."""
        self.config = write_config(
            self._owned,
            mode="block",
            node="lab",
            interface=INSIDE,
            attach=attach,
            networks=f'"{INSIDE_NETWORK}"',
            confirm="conntrack",
            mirror=mirror,
        )
        with open(self.config, "a") as file:
            file.write(more)
        return start_daemon(self._owned, self._network.enter("gw"), self.config, enter_daemon)

    def command(self, *words):
        return [str(MAILWEIR), "--config", str(self.config), *words]

    def ask(self, *words, ok=(0, 1)):
        """The JSON answer of a verb; None if it answered with nothing."""
        text = self._network.run("gw", self.command("-o", "json", *words), ok=ok)
        return json.loads(text) if text.strip() else None

    def why(self):
        return self.ask("why", BOT) or {}

    def bot_is_blocked(self):
        return self.why().get("state") == "blocked"

    def blocked_sources(self):
        blocks = self.ask("blocks")["blocks"]
        return [block["source"] for block in blocks if not block["would"]]

    def map_drops(self):
        """What the map `drops` holds for the bot, all CPUs together."""
        path = f"{self._owned.bpffs_dir}/drops"
        key = "0 0 0 0 0 0 0 0 0 0 255 255 " + BOT.replace(".", " ")
        command = f"bpftool -j map lookup pinned {path} key {key}".split()
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
        try:
            answer = json.loads(found.stdout)
        except ValueError:
            answer = {}
        values = answer.get("formatted", answer).get("values")
        if values is None:  # no entry: it dropped nothing yet
            return 0
        return sum(one["value"]["packets"] for one in values)

    def rule(self):
        """(packets, comment) of the bot's rule in the chain MAILWEIR; None if there is none."""
        text = self._network.run("gw", "iptables -w 5 -L MAILWEIR -v -n -x", ok=(0, 1))
        for line in text.splitlines():
            row = re.match(rf"\s*(\d+)\s+\d+\s+DROP\s.*\s{re.escape(BOT)}\s.*/\* (.*) \*/", line)
            if row:
                return int(row.group(1)), row.group(2)
        return None

    def show(self, *words):
        """A command and what it prints, as an admin would see it."""
        shown = subprocess.run(
            self._network.enter("gw") + list(words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
        )
        if words[0] == str(MAILWEIR):
            words = ("mailweir", *words[3:])
        print(f"\n$ {' '.join(words)}\n{shown.stdout.rstrip()}", flush=True)
