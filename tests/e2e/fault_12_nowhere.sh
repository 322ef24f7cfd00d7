#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 12: nowhere to pin. bpffs read-only, hidden, or not there: one line that names the path
# and the way out, and nothing is attached without a pin. The mounts are the story's own.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up nowhere
mounts_up
# refuses PATH TEXT: the daemon ends with one line that holds both, and nothing is attached.
refuses() {
  : >"$daemon_log"
  if daemon_try; then
    daemon_stop
    echo "        it started"
    return 1
  fi
  equal 1 "$daemon_status" && equal 1 "$(wc -l <"$daemon_log")" &&
    contains "$1" "$(cat "$daemon_log")" && contains "$2" "$(cat "$daemon_log")" &&
    lacks prog/xdp "$(gw ip -d link show "$inside_if")" &&
    equal "" "$(gw tc qdisc show dev "$inside_if" | grep clsact || :)"
}

own_bpffs=$fixture_dir/bpf
mkdir "$own_bpffs"
config_write bpffs_dir="\"$own_bpffs/mailweir\"" mirror.backend='"none"'
check "a plain directory" refuses "$own_bpffs/mailweir" "no bpf filesystem is mounted there"
gw mount -t bpf bpf "$own_bpffs"
gw mount -o remount,ro "$own_bpffs"
check "a read-only one" refuses "$own_bpffs" "mount -o remount,rw $own_bpffs"
gw mount -o remount,rw "$own_bpffs"
daemon_start
check "writable again, it starts" equal attached "$(mw_json '.interfaces[0].state' status)"
daemon_stop
mw detach >/dev/null

gw mount -t tmpfs none /sys/fs/bpf
config_write mirror.backend='"none"'
check "one that is hidden by another mount" refuses "$bpffs_dir" "mount -t bpf bpf /sys/fs/bpf"
gw umount /sys/fs/bpf
daemon_start
check "visible again, it starts" equal attached "$(mw_json '.interfaces[0].state' status)"
mw block "$client4" --for 1h >/dev/null
daemon_stop

# What an earlier run attached is not let go by a start that fails.
gw mount -t tmpfs none /sys/fs/bpf
check "hidden while the program is attached: refused" not daemon_try
gw umount /sys/fs/bpf
check "the program is still there" contains prog/xdp "$(gw ip -d link show "$inside_if")"
check "what was sent by the blocked source" equal 100 "$(syns 100 "$client4" "$server4")"
check "is dropped" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
