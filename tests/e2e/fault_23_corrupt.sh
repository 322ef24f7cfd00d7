#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 23: the record is damaged while nobody runs: random bytes, cut off, empty, its journal
# deleted. The file is moved aside once, and the blocks are rebuilt from the kernel with the time
# that they have left.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up corrupt
config_write mirror.backend='"none"'
db=$state_dir/mailweir.db
daemon_start
mw block "$client4" 172.16.7.72 2001:db8:1:7::1 --for 1h >/dev/null
mw block 172.16.7.73 --for forever >/dev/null
mw unblock 172.16.7.72 >/dev/null
flood_start "$client4" "$server4"

sources() { mw_json '.blocks[].source' blocks | sort | xargs; }
ends() { # in minutes, since the wall clock and the kernel's are two
  mw_json '.blocks[] | "\(.source) \(if .until then (.until | fromdate + 30) / 60 | floor else "forever" end)"' blocks |
    sort | xargs
}
asides() { find "$state_dir" -name 'mailweir.db.corrupt-*' ! -name '*-wal' ! -name '*-shm' | wc -l; }
note() { mw_json '.problems[] | select(contains("moved to"))' status; }
wanted=$(sources) wanted_ends=$(ends)
moved=0

random_bytes() { dd if=/dev/urandom of="$db" bs=4096 seek=1 count=8 conv=notrunc status=none; }
cut_off() { truncate -s 5000 "$db"; }
made_empty() { truncate -s 0 "$db"; }
for damage in random_bytes cut_off made_empty; do
  daemon_stop
  "$damage"
  # Within one second two files would have one name.
  wait_for "[[ ! -e $db.corrupt-\$(date -u +%Y%m%dT%H%M%SZ) ]]" 2
  daemon_start
  moved=$((moved + 1))
  check "$damage: the file is moved aside" equal "$moved" "$(asides)"
  check "$damage: the blocks are there" equal "$wanted" "$(sources)"
  check "$damage: with the time they had left" equal "$wanted_ends" "$(ends)"
  check "$damage: status says so" contains "begun anew; taken over: " "$(note)"
  check "$damage: the log does" contains "the file is damaged" "$(cat "$daemon_log")"
done
daemon_kill9
daemon_start
check "the second start moves nothing" equal "$moved" "$(asides)"
check "has the blocks" equal "$wanted" "$(sources)"
check "and nothing to tell" equal 0 "$(mw_json '.problems | length' status)"

mw block 172.16.7.74 --for 1h >/dev/null
mw unblock 172.16.7.73 >/dev/null
wanted=$(sources)
daemon_kill9
check "there is a journal" test -s "$db-wal"
rm "$db-wal"
daemon_start
check "without its journal the record is no damaged one" equal "$moved" "$(asides)"
check "what the kernel enforces holds" equal "$wanted" "$(sources)"
daemon_kill9
daemon_start
check "and does so from the record, too" equal "$wanted" "$(sources)"

flood_stop
check "no packet of the blocked source passed in all this" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
