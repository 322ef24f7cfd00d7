#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 15: a blocklist that is full, at its smallest size. A block beyond it is on record and in
# iptables, says that the list is full, and comes into the kernel's as soon as there is room.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up full
config_write maps.blocks=1024 mirror.max_rules=2000
server_start
daemon_start
problem() { mw_json '.problems[] | select(startswith("blocklist full"))' status; }
in_kernel() { mw_json .decision.in_kernel why "$client4"; }
in_chain() { gw iptables -w 5 -S MAILWEIR | grep -q -- "-s $client4/32"; }

mw -o json block 172.16.12.0/22 --for 1h >"$fixture_dir/blocked"
check "a /22 is blocked" equal 1024 "$(jq '[.results[] | select(.ok and .note == "")] | length' "$fixture_dir/blocked")"
check "nothing is wrong yet" equal "" "$(problem)"
told=$(mw block "$client4" --for 1h)
check "one more is told that the list is full" contains "blocklist full (1024)" "$told"
check "and what holds it" contains "enforced by iptables only" "$told"
check "so does status" contains "blocklist full (1024): 1 block is not in the kernel program" "$(problem)"
check "so does the log" contains "blocklist full=1024" "$(cat "$daemon_log")"
check "it is not in the kernel program" equal false "$(in_kernel)"
check "it is on record" equal 1 "$(/usr/bin/python3 -B -c "
import sqlite3
record = sqlite3.connect('file:$state_dir/mailweir.db?mode=ro', uri=True)
print(record.execute('SELECT count(*) FROM decisions WHERE source = ? AND ended_ms IS NULL',
                     ('$client4',)).fetchone()[0])")"
check "it has its rule" wait_for in_chain 10
check "which holds it" not greeted "$client4" "$server4" 2>/dev/null
check "a neighbour is greeted" greeted "$other4" "$server4"

daemon_kill9
daemon_start
check "it waits over a restart, too" contains "blocklist full (1024): 1 block" "$(problem)"
check "as the record has it" equal 1025 "$(mw_json '.blocks | length' blocks)"
mw unblock 172.16.12.1 >/dev/null
check "with room it gets into the kernel program" wait_for '[[ $(in_kernel) == true ]]' 5
check "and nothing is wrong any more" equal "" "$(problem)"
mw_dropped() { mw_json .dropped_packets why "$client4"; }
before=$(mw_dropped)
check "what it sends" equal 100 "$(syns 100 "$client4" "$server4")"
check "is dropped by it now" wait_for "((\$(mw_dropped) >= $before + 100))" 5
story_end
