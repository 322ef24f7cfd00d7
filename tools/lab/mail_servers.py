# SPDX-License-Identifier: GPL-2.0-or-later
"""The far side: 39 addresses served by a real Exim, and one that is silent. Counts what reached
them from their own logs and spool."""

import re
import shutil
import sys
from pathlib import Path

from belongings import LabError, wait_for
from network import SERVERS

HERE = Path(__file__).resolve().parent

# 1 to 20 accept, the honest clients' servers; number 20 and 39 greylist before. All but the first
# four know the bot's sender for spam: one in ten of its contacts leaves a message, as of the real
# bot of 2010.
KNOW_SPAM = SERVERS[4:20]
REFUSE_RECIPIENT = SERVERS[20:30]
REFUSE_CONNECTION = SERVERS[30:38]
GREYLIST = [SERVERS[19], SERVERS[38]]
SILENT = SERVERS[39]


class MailServers:
    def __init__(self, belongings, network):
        self._owned = belongings
        self._network = network
        self._dir = belongings.directory / "exim"
        self._silent_log = belongings.directory / "silent-connections"
        self._accepted = {}  # by header file: (server, Message-ID)

    def start(self):
        self._owned.directory.chmod(0o755)  # Exim gives up root
        for name in ("spool", "log"):
            path = self._dir / name
            path.mkdir(parents=True)
            shutil.chown(path, "Debian-exim", "Debian-exim")
        self._silent_log.touch()
        config = self._dir / "exim.conf"
        config.write_text(self._config())
        exim = self._owned.spawn(
            "exim", self._network.enter("srv") + ["/usr/sbin/exim4", "-C", str(config), "-bdf"]
        )
        silent = self._owned.spawn(
            "silent",
            self._network.enter("srv")
            + [sys.executable, "-B", str(HERE / "silent_server.py"), SILENT, str(self._silent_log)],
        )

        def up():
            for child, what in ((exim, "exim"), (silent, "silent")):
                if child.poll() is not None:
                    log = (self._owned.directory / f"{what}.log").read_text(errors="replace")
                    raise LabError(f"{what} ended at once:\n{log}")
            return self._network.listeners() == len(SERVERS)

        if not wait_for(up, 20):
            raise LabError(f"only {self._network.listeners()} of {len(SERVERS)} servers listen")

    def _config(self):
        text = (HERE / "exim.conf").read_text()
        filled = {
            "DIR": str(self._dir),
            "ADDRESSES": " ; ".join(a for a in SERVERS if a != SILENT),
            "REFUSE_CONNECTION": ":".join(REFUSE_CONNECTION),
            "REFUSE_RECIPIENT": ":".join(REFUSE_RECIPIENT),
            "GREYLIST": ":".join(GREYLIST),
            "KNOW_SPAM": ":".join(KNOW_SPAM),
        }
        for key, value in filled.items():
            text = text.replace(f"@{key}@", value)
        return text

    def connections(self):
        """Connections that any server accepted so far."""
        log = self._dir / "log" / "mainlog"
        text = log.read_text(errors="replace") if log.exists() else ""
        opened = len(re.findall(r"^\S+ \S+ SMTP connection from .*connection count", text, re.M))
        return opened + len(self._silent_log.read_text().splitlines())

    def delivered(self):
        """All (server, Message-ID) in the spool."""
        for path in (self._dir / "spool" / "input").glob("*-H"):
            if path not in self._accepted:
                text = path.read_text(errors="replace")
                server = re.search(r"^-interface_address \[([^]]*)", text, re.M)
                mail = re.search(r"^\d+I Message-ID: *(<[^>]*>)", text, re.M | re.I)
                self._accepted[path] = (server and server[1], mail and mail[1])
        return set(self._accepted.values())
