#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_flood.sh xdp|tc iptables|none
# A client whose connections to new networks carry no message is blocked; every count agrees;
# its neighbours mail on. With mirror "none" no DROP rule can hide a leak of the program.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
hook=$1 mirror=$2

forty=$(printf '198.18.%d.25,' {1..40})
forty6=$(printf '2001:db8:10%02x::25,' {1..40})

all_counts_agree() {
  local sent=$1 source=$2 map why rule
  map=$(mw_json ".blocks[] | select(.source == \"$source\") | .dropped_packets" blocks)
  why=$(mw_json .dropped_packets why "$source")
  rule=$(rule_packets "$source")
  echo "        sent $sent, map $map, why $why, rule $rule"
  [[ $map == "$sent" && $why == "$sent" && ($mirror == none || $rule == "$sent") ]]
}

rule_packets() {
  {
    gw iptables-save -c -t filter
    gw ip6tables-save -c -t filter
  } | sed -nE "s#^\[([0-9]+):.*-A MAILWEIR -s $1(/32)? .*#\1#p"
}

is_blocked() { mw -o json blocks | jq -e ".blocks[] | select(.source == \"$1\" and .would == false)" >/dev/null; }

fixture_up "flood-$hook-$mirror"
config_write interfaces.attach="\"$hook\"" mirror.backend="\"$mirror\""
server_start
daemon_start

check "the hook is the one that was asked for" equal "$hook" "$(mw_json '.interfaces[0].hook' status)"
check "an honest client reaches its server" greeted "$other4" "$server4"

through=$(syns_at gateway)
refused "$client4" "${forty%,}"
check "the bot is blocked" wait_for "is_blocked $client4" 10
check "at most 25 of its SYNs went through" at_least "$(($(syns_at gateway) - through))" 25
check "why says because of what" contains "without a message" "$(mw why "$client4")"
if [[ $mirror == iptables ]]; then
  check "the rule carries the reason" contains "by=auto" "$(gw iptables -w 5 -S MAILWEIR)"
else
  check "there is no chain" not gw iptables -w 5 -S MAILWEIR
fi

# Its own count starts with the block: what came before the block was limited or braked.
before=$(mw_json .dropped_packets why "$client4")
through=$(syns_at server)
sent=$(syns 20000 "$client4" "${forty%,}")
check "every packet it sent while blocked is counted everywhere" \
  wait_for "all_counts_agree $((before + sent)) $client4" 10
check "none of them reached a server" equal "$through" "$(syns_at server)"
check "the neighbour still mails" greeted "$other4" "$server4"

refused "$client6" "${forty6%,}"
check "an IPv6 bot is blocked by its /64" wait_for "is_blocked 2001:db8:1::/64" 10
through=$(syns_at server)
syns 1000 2001:db8:1::99 "${forty6%,}" >/dev/null
check "another address of the /64 is blocked with it" equal "$through" "$(syns_at server)"
check "another /64 is not" greeted "$other6" "$server6"

check "unblock lets it pass at once" mw unblock "$client4"
check "it is let through" greeted "$client4" "$server4"
check "it is not blocked again at once" not is_blocked "$client4"
story_end
