#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 16: 70,000 forged sources against a table of 1024 (story_forged_flood tells of a million
# against a usual one). Who is blocked stays blocked, nobody else becomes so, memory stays bounded.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
sources=70000

fixture_up forged
# The program is told of here, not the gateway's conntrack.
gw iptables -w 5 -t raw -A PREROUTING -i "$inside_if" -p tcp --dport 25 ! -s "$other4" -j DROP
config_write maps.sources=1024 mirror.backend='"none"' networks.inside='["172.16.0.0/12", "2001:db8:1::/48"]'
server_start
daemon_start
mw block "$client4" --for 1h >/dev/null
decisions() { mw_json '.blocks | map("\(.source) \(.id)") | join(", ")' blocks; }
resident_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon_pid/status"; }
before=$(decisions) kb_before=$(resident_kb)

gateway_mac=$(gw ip -j link show dev "$inside_if" | jq -r '.[0].address')
cli /usr/bin/python3 -B "$e2e_dir/forged_flood.py" "$client_if" "$gateway_mac" "$sources" "$server4" \
  >"$fixture_dir/flood"
seen() { mw_json '.packets.g0 | .passed.enforced + .braked.enforced + .limited.enforced' status; }
check "the program saw the flood" at_least "$((sources * 98 / 100))" "$(seen)"
check "the table keeps its size" equal 1024 "$(mw_json .sources.capacity status)"
check "the daemon's memory is bounded (+$(($(resident_kb) - kb_before)) kB)" \
  at_most "$((kb_before + 16384))" "$(resident_kb)"
check "who was blocked is, and nobody else" equal "$before" "$(decisions)"
dropped() { mw_json .dropped_packets why "$client4"; }
dropped_before=$(dropped)
check "what it sends" equal 100 "$(syns 100 "$client4" "$server4")"
check "is dropped by the program" wait_for "((\$(dropped) >= $dropped_before + 100))" 5
check "a neighbour is greeted" greeted "$other4" "$server4"
story_end
