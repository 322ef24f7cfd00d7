#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: fault_29_backends.sh nft|legacy
# FAULTS row 29: rules in both backends of iptables. Both are named in the log; the daemon writes to
# the one that `iptables` is, and touches nothing in the other.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
backend=$1
other=legacy
if [[ $backend == legacy ]]; then other=nft; fi

written() { mw_json .mirror.backend status; }
fixture_up "backends-$backend"
iptables_of "$backend"
gw "iptables-$other" -w 5 -A FORWARD -s 172.16.99.1 -p tcp --dport 25 -j DROP
before=$(gw "iptables-$other" -w 5 -S)
config_write
server_start
daemon_start
check "both are named in the log" log_says \
  "both iptables backends hold filter rules: mailweir writes to $backend, as iptables does here, but $other holds"
check "status names the one that is written" wait_for '[[ $(written) == "$backend" ]]' 10
mw block "$client4" --for 1h >/dev/null
check "the rule is there" wait_for "gw iptables-$backend -w 5 -S MAILWEIR | grep -q $client4" 10
check "the other is as it was" equal "$before" "$(gw "iptables-$other" -w 5 -S)"
check "the blocked source is dropped" not greeted "$client4" "$server4" 2>/dev/null
check "a neighbour is greeted" greeted "$other4" "$server4"
daemon_stop

# The host changes over: the old chain is the other's now, and both have rules.
iptables_of "$other"
: >"$daemon_log"
daemon_start
check "after a change of backend status names the new one" wait_for '[[ $(written) == "$other" ]]' 10
check "its chain has the rule" wait_for "gw iptables-$other -w 5 -S MAILWEIR | grep -q $client4" 10
check "and the log names both" log_says "both iptables backends hold filter rules: mailweir writes to $other"
story_end
