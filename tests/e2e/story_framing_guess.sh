#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A forger guesses at the servers' sequence numbers, 65,000 at a time, until connection tracking
# takes an ACK in a silent neighbour's name for the end of a handshake. The neighbour is not blocked.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
silent=$other4 bot=172.16.9.9
mapfile -t servers < <(printf '198.19.%d.25\n' {1..12})
mapfile -t refusing_servers < <(printf '198.19.%d.26\n' {201..240})

is_blocked() { mw -o json blocks | jq -e ".blocks[] | select(.source == \"$1\" and .would == false)" >/dev/null; }
bot_is_blocked() {
  cli /usr/bin/python3 -B "$root/tools/lab/bot.py" "$bot" 1 "${refusing_servers[@]}" >/dev/null
  is_blocked "$bot"
}
assured() { gw conntrack -L -p tcp --orig-src "$1" 2>/dev/null | grep -c ASSURED; }

fixture_up framing-guess
cli ip addr add "$bot/16" dev "$client_if"
cli iptables -w 5 -A OUTPUT -p tcp --tcp-flags RST RST -s "$silent" -j DROP
# Else the entries are gone before they can be looked at.
gw sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=120
gateway_mac=$(gw ip -j link show dev "$inside_if" | jq -r '.[0].address')
(exec nsenter --net="/run/netns/$fixture_ns-srv" -- /usr/bin/python3 -B "$e2e_dir/smtp_servers.py" \
  "$fixture_dir/taken" 1) >>"$fixture_dir/server.log" 2>&1 &
server_pid=$!
wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the servers do not listen"
config_write block.confirm='"conntrack"' mirror.backend='"none"'
daemon_start

check "a bot is blocked" wait_for bot_is_blocked 15
echo "        guessed: $(cli /usr/bin/python3 -B "$e2e_dir/framing_guesser.py" "$client_if" "$gateway_mac" \
  "$silent" "${servers[@]}")"
check "connection tracking took guesses for handshakes" at_least 10 "$(assured "$silent")"
check "their evidence is lost: no server says what they acknowledge" \
  wait_for "((\$(mw_json .evidence.lost why $silent) >= 10))" 45
check "who was guessed for is not blocked" not is_blocked "$silent"
check "only the bot is" equal "$bot" "$(mw_json '[.blocks[].source] | join(" ")' blocks)"
story_end
