#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 25: a state directory that cannot be written. The start is refused with one line that
# holds path and uid, before anything is attached.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up unwritable
mounts_up
config_write mirror.backend='"none"'
refuses() { # refuses STATUS TEXT
  : >"$daemon_log"
  if daemon_try; then
    daemon_stop
    echo "        it started"
    return 1
  fi
  equal "$1" "$daemon_status" && equal 1 "$(wc -l <"$daemon_log")" && contains "$2" "$(cat "$daemon_log")" &&
    lacks prog/xdp "$(gw ip -d link show "$inside_if")"
}

gw mount --bind "$state_dir" "$state_dir"
gw mount -o remount,bind,ro "$state_dir"
check "a read-only one" refuses 1 "state directory $state_dir is not writable for uid 0: Read-only file system"
gw umount "$state_dir"

# Of another owner, for a root that may not overrule modes (as under systemd, bounded).
chown 65534:65534 "$state_dir"
real=$MAILWEIR_BIN
printf '#!/bin/sh\nexec setpriv --bounding-set -dac_override,-dac_read_search "%s" "$@"\n' "$real" >"$fixture_dir/bounded"
chmod 755 "$fixture_dir/bounded"
MAILWEIR_BIN=$fixture_dir/bounded
check "one of another owner" refuses 4 "state directory $state_dir is not writable for uid 0: Permission denied"
chown 0:0 "$state_dir"
daemon_start
check "its own again, it starts" equal attached "$(mw_json '.interfaces[0].state' status)"
mw block "$client4" --for 1h >/dev/null
daemon_stop

# What an earlier run attached is not let go by a start that fails.
gw mount --bind "$state_dir" "$state_dir"
gw mount -o remount,bind,ro "$state_dir"
check "read-only while the program is attached: refused" not daemon_try
check "what was sent by the blocked source" equal 100 "$(syns 100 "$client4" "$server4")"
check "is dropped" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
