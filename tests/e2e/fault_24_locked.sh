#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 24: another process has locked the record. An order is enforced, says that it is not
# persisted, and is written when the lock is gone; the daemon answers meanwhile.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up locked
config_write mirror.backend='"none"'
server_start
daemon_start
on_record() {
  /usr/bin/python3 -B -c "
import sqlite3
record = sqlite3.connect('file:$state_dir/mailweir.db?mode=ro', uri=True)
print(record.execute('SELECT count(*) FROM decisions WHERE source = ? AND ended_ms IS NULL', ('$1',)).fetchone()[0])"
}
# Held until its standard input ends.
mkfifo "$fixture_dir/hold"
/usr/bin/python3 -B -c "
import sqlite3, sys
record = sqlite3.connect('$state_dir/mailweir.db', isolation_level=None)
record.execute('BEGIN EXCLUSIVE')
print('locked', flush=True)
sys.stdin.read()
record.execute('ROLLBACK')" <"$fixture_dir/hold" >"$fixture_dir/locked" &
exec {hold}>"$fixture_dir/hold"
wait_for "grep -q locked $fixture_dir/locked" 10 || die "no lock"

told=$(mw block "$client4" --for 1h)
check "a block says that it is not persisted" contains "enforced, but not persisted" "$told"
check "and who holds it up" contains "locked by another process" "$told"
check "it is enforced" not greeted "$client4" "$server4" 2>/dev/null
check "a neighbour is greeted" greeted "$other4" "$server4"
slowest=0 end=$((SECONDS + 6)) # it tries again every 5 s, and waits for 2 s then
while ((SECONDS < end)); do
  began=$(date +%s%3N)
  mw status >/dev/null || slowest=99999
  took=$(($(date +%s%3N) - began))
  slowest=$((took > slowest ? took : slowest))
  sleep 0.2 # a pace for the questions, not a wait for anything
done
echo "        slowest status: $slowest ms"
# Its own wait is 2 s; the lock lasts longer than the command line would wait for an answer.
check "the daemon answers meanwhile" at_most 10000 "$slowest"
check "status tells of the lock" contains "locked by another process" "$(mw_json '.problems | join("; ")' status)"
check "it is not on record" equal 0 "$(on_record "$client4")"
exec {hold}>&-
check "it is, when the lock is gone" wait_for "[[ \$(on_record $client4) == 1 ]]" 15
check "and status is well" wait_for "[[ \$(mw_json '.problems | length' status) == 0 ]]" 5
daemon_kill9
daemon_start
check "it outlives a kill" equal "$client4" "$(mw_json '.blocks[].source' blocks)"
story_end
