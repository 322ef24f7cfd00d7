#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 22: the disk of the record is full. Orders are enforced at once and say that they are not
# persisted; the reserve carries the first of them; with space again all is written by itself.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up disk
mounts_up
gw mount -t tmpfs -o size=4m,mode=700 none "$state_dir"
config_write mirror.backend='"none"'
server_start
daemon_start
# The file grows until nothing is free, at once or bit by bit.
fill() { gw sh -c "cat /dev/zero >>$state_dir/$1" 2>/dev/null || :; }
problems() { mw_json '.problems | join("; ")' status; }
on_record() { # on_record SOURCE: how many open decisions
  gw /usr/bin/python3 -B -c "
import sqlite3
record = sqlite3.connect('file:$state_dir/mailweir.db?mode=ro', uri=True)
print(record.execute('SELECT count(*) FROM decisions WHERE source = ? AND ended_ms IS NULL', ('$1',)).fetchone()[0])"
}
check "a reserve is held" gw test -s "$state_dir/mailweir.reserve"
mw block 172.16.7.71 --for 1h >/dev/null
check "nothing is wrong" equal "" "$(problems)"

fill ballast
check "with the disk full the reserve carries a block" lacks "not persisted" "$(mw block 172.16.7.72 --for 1h)"
check "status says that it is spent" contains "the reserve is spent" "$(problems)"
fill ballast-of-the-reserve
told=$(mw block "$client4" --for 1h)
check "without it a block says that it is not persisted" contains "enforced, but not persisted" "$told"
check "and why" contains "the disk is full" "$told"
check "so does status" contains "the disk is full" "$(problems)"
check "it is enforced at once" not greeted "$client4" "$server4" 2>/dev/null
check "a neighbour is greeted" greeted "$other4" "$server4"
check "an unblock says so, too" contains "not persisted" "$(mw unblock 172.16.7.71)"
check "and is in force" equal "172.16.7.70 172.16.7.72" "$(mw_json '.blocks[].source' blocks | sort | xargs)"
check "an entry of the allowlist says so" contains "not persisted" "$(mw allow add 172.16.7.99)"
check "a change of mode says so" contains "not persisted" "$(mw mode throttle)"
mw mode block >/dev/null
mw allow remove 172.16.7.99 >/dev/null
check "neither is on record" equal "0 1" "$(on_record "$client4") $(on_record 172.16.7.71)"

gw sh -c "rm $state_dir/ballast $state_dir/ballast-of-the-reserve"
check "with space again it is written by itself" wait_for "[[ \$(on_record $client4) == 1 ]]" 15
check "so is the unblock" wait_for "[[ \$(on_record 172.16.7.71) == 0 ]]" 1
check "a reserve is held again" wait_for "gw test -s $state_dir/mailweir.reserve" 15
check "nothing is wrong any more" wait_for '[[ -z $(problems) ]]' 5
daemon_kill9
daemon_start
check "it all outlives a kill" equal "172.16.7.70 172.16.7.72" "$(mw_json '.blocks[].source' blocks | sort | xargs)"
check "without a repair" not grep -q "repaired what" "$daemon_log"
daemon_stop

# Too small for a reserve, and full when the daemon starts.
gw umount "$state_dir"
gw mount -t tmpfs -o size=1500k,mode=700 none "$state_dir"
daemon_start
check "a small disk has no reserve, and status says so" contains "no room for a reserve" "$(problems)"
fill ballast
check "a block on it" contains "not persisted" "$(mw block 172.16.7.73 --for 1h)"
daemon_kill9
if daemon_try; then
  check "a start on a full disk keeps what the kernel has" equal \
    "172.16.7.70 172.16.7.72 172.16.7.73" "$(mw_json '.blocks[].source' blocks | sort | xargs)"
else
  check "a start on a full disk that is refused says so" contains "disk is full" "$(tail -n 1 "$daemon_log")"
fi
check "and enforces" not greeted "$client4" "$server4" 2>/dev/null
check "a neighbour is greeted" greeted "$other4" "$server4"
story_end
