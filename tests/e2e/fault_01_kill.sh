#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: fault_01_kill.sh [ROUNDS [none|iptables]]
# FAULTS row 1: kill -9 at random moments, amid orders, under the flood of a blocked source. Not one
# of its packets passes, no acknowledged order is lost, none is invented. The mirror is off by
# default: its rules would hide a gap.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
rounds=${1:-15} mirror=${2:-none}
seed=${SEED:-$RANDOM}

orders() { # orders run|compare ARGUMENT...
  local what=$1
  shift
  gw /usr/bin/python3 -B "$e2e_dir/orders_ledger.py" "$what" "$fixture_dir/ledger" "$@" \
    "$MAILWEIR_BIN" --config "$config" --socket "$socket"
}
killed_in_start() {
  (exec nsenter --net="/run/netns/$fixture_ns-gw" -- "$MAILWEIR_BIN" --config "$config" run) >>"$daemon_log" 2>&1 &
  daemon_pid=$!
  sleep "0.$(printf '%03d' $((RANDOM % 1000)))"
  daemon_kill9
}
compared() { orders compare "$state_dir" "$bpffs_dir"; }

fixture_up kill
config_write mirror.backend="\"$mirror\""
daemon_start
orders one block "$client4"
flood_start "$client4" "$server4" 5000
dropped() { mw_json .dropped_packets why "$client4"; }
check "the flood is dropped" wait_for "((\$(dropped) > 1000))" 10

echo "        $rounds rounds, SEED=$seed"
RANDOM=$seed
faults=0
for ((round = 1; round <= rounds; round++)); do
  orders run "$RANDOM" &
  orders_pid=$!
  # A random moment is what this is about.
  sleep "0.$(printf '%03d' $((RANDOM % 600)))"
  daemon_kill9
  wait "$orders_pid" || faults=$((faults + 1))
  if ((round % 5 == 0)); then killed_in_start; fi
  daemon_start
  compared || faults=$((faults + 1))
done
check "after every start record, kernel map and CLI hold what was acknowledged, and no more" equal 0 "$faults"
acknowledged=$(jq .acknowledged "$fixture_dir/ledger")
check "orders were acknowledged meanwhile" at_least "$((rounds * 3))" "$acknowledged"
check "the flood went on all the time" at_least "$((rounds * 1000))" "$(dropped)"
echo "        $acknowledged orders acknowledged, $(dropped) packets of the blocked source dropped," \
  "$(grep -c 'repaired what' "$daemon_log" || :) repairs"
flood_stop
check "no packet of the blocked source passed" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
