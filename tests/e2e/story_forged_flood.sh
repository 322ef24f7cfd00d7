#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_forged_flood.sh [SOURCES]
# A million forged sources from inside wash every honest one out of the table of evidence. They lift
# no block and make none; what evidence was lost shows; who mails, mails on.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
sources=${1:-1000000}
blocked_by_hand=$client4 honest=$other4 bot=172.16.9.9 later_bot=172.16.9.10
mapfile -t servers < <(printf '198.18.%d.25\n' {1..40})
mapfile -t refusing_servers < <(printf '198.19.%d.26\n' {201..240})

is_blocked() { mw -o json blocks | jq -e ".blocks[] | select(.source == \"$1\" and .would == false)" >/dev/null; }
bot_is_blocked() { # bot_is_blocked SOURCE
  cli /usr/bin/python3 -B "$root/tools/lab/bot.py" "$1" 1 "${refusing_servers[@]}" >/dev/null
  is_blocked "$1"
}
decisions() { mw_json '.blocks | map("\(.source) \(.id)") | sort | join(", ")' blocks; }
seen() { mw_json '.packets.g0 | .passed.enforced + .braked.enforced + .limited.enforced' status; }
lost() { mw_json '.evidence.lost // 0' status; }

fixture_up forged-flood
for address in "$bot" "$later_bot"; do cli ip addr add "$address/16" dev "$client_if"; done
# What the program makes of the forged is told; a gateway's conntrack and neighbour tables, full of
# them, would be another story.
for address in "$blocked_by_hand" "$honest" "$bot" "$later_bot"; do
  gw iptables -w 5 -t raw -A PREROUTING -i "$inside_if" -s "$address" -j ACCEPT
done
gw iptables -w 5 -t raw -A PREROUTING -i "$inside_if" -p tcp --dport 25 -j DROP
gateway_mac=$(gw ip -j link show dev "$inside_if" | jq -r '.[0].address')
(exec nsenter --net="/run/netns/$fixture_ns-srv" -- /usr/bin/python3 -B "$e2e_dir/smtp_servers.py" \
  "$fixture_dir/taken" 1) >>"$fixture_dir/server.log" 2>&1 &
server_pid=$!
wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the servers do not listen"
config_write block.confirm='"conntrack"' mirror.backend='"none"' \
  networks.inside='["172.16.0.0/12", "2001:db8:1::/48"]'
daemon_start

check "a client is blocked by hand" mw block "$blocked_by_hand" --for 1h
check "a bot is blocked by its evidence" wait_for "bot_is_blocked $bot" 15
before=$(decisions) seen_before=$(seen) lost_before=$(lost)

cli /usr/bin/python3 -B "$e2e_dir/forged_flood.py" "$client_if" "$gateway_mac" "$sources" "${servers[@]}" \
  >"$fixture_dir/flood" 2>>"$fixture_dir/flood.log" &
flooder_pid=$!
check "an honest client mails meanwhile" wait_for "greeted $honest ${servers[0]}" 30
check "the daemon answers meanwhile" timeout 5 nsenter --net="/run/netns/$fixture_ns-gw" \
  "$MAILWEIR_BIN" --config "$config" --socket "$socket" status >/dev/null
check "the flood comes to its end" wait_for "! kill -0 $flooder_pid 2>/dev/null" 120
echo "        $(cat "$fixture_dir/flood")"
check "the gateway saw it" at_least "$((sources * 98 / 100))" "$(($(seen) - seen_before))"
check "the table of sources is full" at_least "$(mw_json '.sources.capacity * 0.95 | floor' status)" \
  "$(mw_json .sources.tracked status)"

check "lost evidence shows in status" wait_for "((\$(lost) > $lost_before + $sources / 2))" 60
echo "        lost evidence: $(($(lost) - lost_before))"
check "no decision came, none went" equal "$before" "$(decisions)"
check "who was blocked by hand is still dropped" not greeted "$blocked_by_hand" "${servers[0]}"
check "so is the bot" not greeted "$bot" "${servers[0]}"
check "who mails honestly mails on" greeted "$honest" "${servers[0]}"
check "a bot that comes later is blocked" wait_for "bot_is_blocked $later_bot" 90
story_end
