#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: fault_44_uninstall.sh xdp|tc
# FAULTS row 44: a stop keeps enforcing; detach takes everything away: no program, map, link, pin,
# chain or qdisc is left that was not there before.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
hook=$1

fixture_up "uninstall-$hook"
lists() { # ids of all that BPF has on this host: programs, maps, links
  local kind
  for kind in prog map link; do bpftool -j "$kind" show | jq -r --arg kind "$kind" '.[] | "\($kind) \(.id)"'; done
}
traces() { # of this gateway
  find /sys/fs/bpf -maxdepth 1 -name "*$fixture_ns*"
  # Tables and their built-in chains come with the first look at them.
  gw iptables-save | grep -E '^-A|^:.* - ' | grep -v syns-at
  gw ip6tables-save | grep -E '^-A|^:.* - ' | grep -v syns-at
  gw tc qdisc show
  gw tc filter show dev "$inside_if" ingress
  gw ip -d link show "$inside_if" | grep xdp || :
}
traces >"$fixture_dir/traces-before"
lists | sort >"$fixture_dir/lists-before"

config_write interfaces.attach="\"$hook\""
daemon_start
mw block "$client4" --for 1h >/dev/null
check "the chain is written" wait_for "gw iptables -w 5 -S MAILWEIR 2>/dev/null | grep -q $client4" 10
lists | sort | comm -13 "$fixture_dir/lists-before" - >"$fixture_dir/ours"
check "programs and maps came" at_least 10 "$(wc -l <"$fixture_dir/ours")"

daemon_stop
check "it stopped as asked" equal 0 "$daemon_status"
check "what was sent by the blocked source after the stop" equal 1000 "$(syns 1000 "$client4" "$server4")"
check "is dropped" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5

check "detach" mw --quiet detach
check "every program, map and link is freed" wait_for "[[ -z \$(lists | sort | comm -12 $fixture_dir/ours -) ]]" 10
check "pins, chains, qdiscs, filters are what they were" equal "" "$(traces | diff "$fixture_dir/traces-before" -)"
syns 50 "$client4" "$server4" >/dev/null
check "nobody is held back any more" wait_for '(($(syns_at server) == 150))' 5
story_end
