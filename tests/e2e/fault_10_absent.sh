#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 10: the interface is not there at the start. By default that is refused, since it may
# be a typo (story_start tells of it); missing = "wait" starts, says so, is idle, and guards it from
# the moment it appears.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up absent
gw ip link del "$inside_if"
config_write mirror.backend='"none"'
check "by default the start is refused" not daemon_try
check "with the interface and what to do" contains 'there is no interface g0' "$(cat "$daemon_log")"
check "and how to wait for it" contains '[interfaces] missing = \"wait\"' "$(cat "$daemon_log")"

config_write mirror.backend='"none"' interfaces.missing='"wait"'
daemon_start
check "missing = wait starts" equal missing "$(mw_json '.interfaces[0].state' status)"
check "status says what is not guarded" contains "interface $inside_if is not guarded" \
  "$(mw_json '.problems | join("; ")' status)"
check "an order is taken meanwhile" mw block "$client4" --for 1h

uptime() { mw_json .uptime_seconds status; }
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$daemon_pid/stat"; }
check "it waits" wait_for '(($(uptime) >= 1))' 10
before=$(cpu_ticks) since=$(uptime)
check "for some seconds" wait_for "((\$(uptime) >= $since + 3))" 10
used=$(($(cpu_ticks) - before))
echo "        CPU time in 3 seconds of waiting: $((used * 1000 / $(getconf CLK_TCK))) ms"
check "without a busy loop" at_most "$(($(getconf CLK_TCK) / 2))" "$used"
check "and says once that it waits" equal 1 "$(grep -c "attach interface=$inside_if failed" "$daemon_log")"

inside_up
check "it guards the interface when it appears" \
  wait_for "[[ \$(mw_json '.interfaces[0].state' status) == attached ]]" 5
check "status is well" equal 0 "$(mw_json '.problems | length' status)"
check "what was sent by the blocked source" equal 1000 "$(syns 1000 "$client4" "$server4")"
check "is dropped" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
