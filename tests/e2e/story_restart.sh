#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_restart.sh xdp|tc
# A blocked source floods while the daemon is killed, started, reloaded and stopped: not one
# packet passes, no count is lost. The mirror is off: its rules would hide a gap.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
hook=$1

fixture_up "restart-$hook"
config_write interfaces.attach="\"$hook\"" mirror.backend='"none"'
daemon_start
check "a manual block is taken" mw block "$client4" --for 1h --reason "complaint 4711"
program=$(mw_json '.interfaces[0].program_id' status)
flood_start "$client4" "$server4"
dropped() { mw_json .dropped_packets why "$client4"; }
check "the flood is dropped" wait_for "((\$(dropped) > 1000))" 10

for round in 1 2 3 4 5; do
  daemon_kill9
  check "status tells of the dead daemon (round $round)" contains "not running" "$(mw status 2>&1 || :)"
  check "status exits 3 without a daemon (round $round)" bash -c \
    "nsenter --net=/run/netns/$fixture_ns-gw '$MAILWEIR_BIN' --config '$config' status >/dev/null 2>&1; [[ \$? == 3 ]]"
  daemon_start
done
check "the program was swapped" not equal "$program" "$(mw_json '.interfaces[0].program_id' status)" >/dev/null
check "the attachment was adopted" equal true "$(mw_json '.interfaces[0].adopted' status)"
check "the decision is still there, with who and why" contains "complaint 4711" "$(mw why "$client4")"
before=$(dropped)
check "reload is taken" mw reload
daemon_stop
check "it stopped as asked" equal 0 "$daemon_status"
daemon_start
check "the count went on over restart and reload" at_least "$before" "$(dropped)"
flood_stop
check "no packet of the blocked source passed meanwhile" equal 0 "$(syns_at gateway)"
check "a neighbour was never dropped" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reached the server" wait_for '(($(syns_at server) == 100))' 5
story_end
