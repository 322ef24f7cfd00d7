# SPDX-License-Identifier: GPL-2.0-or-later
"""What one run of the lab owns: processes, namespaces, pins, a directory. All of it is written
down as it is made, so that it can be taken away by this run or by a later one (--cleanup)."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

RECORD = "lab.json"


class LabError(Exception):
    """The lab itself cannot go on; the text says why and what to do."""


def wait_for(condition, seconds, every=0.05):
    """The condition's first true value; None if there was none in that time."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() >= end:
            return None
        time.sleep(every)


def _process(pid):
    """(state, start time) of a process, or None. The start time tells a reused pid apart."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _runs(pid, started):
    found = _process(pid)
    return found is not None and found[0] != "Z" and (started is None or found[1] == started)


class Belongings:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.namespaces = []
        self.processes = []  # [pid, start time, what it is]
        self.bpffs_dir = None
        self.detach = None  # the command that takes mailweir off its interface
        self._children = []

    @classmethod
    def load(cls, directory):
        path = Path(directory) / RECORD
        try:
            record = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise LabError(f"{path}: {error}: is {directory} the directory of a lab?") from error
        owned = cls(directory)
        vars(owned).update(record)
        return owned

    def save(self):
        kept = ("namespaces", "processes", "bpffs_dir", "detach")
        record = {key: vars(self)[key] for key in kept}
        draft = self.directory / (RECORD + ".new")
        draft.write_text(json.dumps(record, indent=1) + "\n")
        draft.rename(self.directory / RECORD)

    def spawn(self, what, command, **options):
        """Starts a process that outlives this one if it is kept; its output goes to WHAT.log."""
        with open(self.directory / f"{what}.log", "ab") as log:
            options = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, **options}
            child = subprocess.Popen(command, start_new_session=True, **options)
        self._children.append(child)
        self.processes.append([child.pid, _process(child.pid)[1], what])
        self.save()
        return child

    def remove(self):
        """Takes everything away. Returns what could not be, one line each."""
        self._stop([(pid, started) for pid, started, _ in self.processes])
        left = []
        if self.detach and self.namespaces_exist():
            done = subprocess.run(self.detach, capture_output=True, text=True, timeout=30)
            if done.returncode != 0:
                left.append(f"{' '.join(self.detach)}: {done.stderr.strip()}")
        if self.bpffs_dir:
            shutil.rmtree(self.bpffs_dir, ignore_errors=True)
        for name in self.namespaces:
            if not Path("/run/netns", name).exists():
                continue
            # What the servers forked; nothing but this lab lives in its namespaces.
            inside = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            self._stop([(int(pid), None) for pid in inside.stdout.split()])
            subprocess.run(["ip", "netns", "del", name])
        shutil.rmtree(self.directory, ignore_errors=True)
        owned = [self.directory, *(Path("/run/netns", name) for name in self.namespaces)]
        owned += [Path(self.bpffs_dir)] if self.bpffs_dir else []
        return left + [f"{path} is still there" for path in owned if path.exists()]

    def namespaces_exist(self):
        return all(Path("/run/netns", name).exists() for name in self.namespaces)

    def _stop(self, processes):
        def running():
            for child in self._children:
                child.poll()
            return [pid for pid, started in processes if _runs(pid, started)]

        for number, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            for pid in running():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            if wait_for(lambda: not running(), seconds):
                return
