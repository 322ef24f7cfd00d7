#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_outage.sh dead|reject|prohibit [SECONDS [SECONDS_BEFORE]]
# The uplink fails (next hop dead, a REJECT rule, a prohibit route) under 500 clients that try again
# and again, and cuts off the sessions of small mail servers. Nobody is blocked for it, not by a
# daemon that is restarted and killed meanwhile either. A bot that starts afterwards is.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
kind=$1 outage_seconds=${2:-40} before_seconds=${3:-10}
bot=172.16.9.9 next_hop=198.18.0.2
# The patience of a mail server, three times as long at most: some give up before the outage ends,
# and some after.
patience=$((outage_seconds / 2))
mapfile -t refusing_servers < <(printf '198.18.%d.26\n' {201..240})

route() { # route TYPE [via NEXT_HOP]: what the gateway does with packets to the servers
  local half type=$1
  shift
  for half in 198.18.0.0/16 198.19.0.0/16; do gw ip route replace "$type" "$half" "$@"; done
}
outage_begin() {
  case $kind in
    dead)
      srv ip link set dev "$server_if" arp off
      gw ip neigh flush dev "$outside_if"
      ;;
    reject) gw iptables -w 5 -A FORWARD -o "$outside_if" -j REJECT ;;
    prohibit) route prohibit ;;
    *) die "usage: story_outage.sh dead|reject|prohibit [SECONDS [SECONDS_BEFORE]]" ;;
  esac
}
outage_end() {
  case $kind in
    dead) srv ip link set dev "$server_if" arp on ;;
    reject) gw iptables -w 5 -D FORWARD -o "$outside_if" -j REJECT ;;
    prohibit) route unicast via "$next_hop" ;;
  esac
}

taken() { wc -l <"$fixture_dir/taken"; }
waiting_for_greeting() { srv ss -Htn state established 'sport = :25' | grep -c '\.27:25 '; }
is_frozen() { [[ $(mw_json .evidence.frozen status) == true ]]; }
is_blocked() { mw -o json blocks | jq -e ".blocks[] | select(.source == \"$1\" and .would == false)" >/dev/null; }
bot_is_blocked() {
  cli /usr/bin/python3 -B "$root/tools/lab/bot.py" "$bot" 1 "${refusing_servers[@]}" >/dev/null
  is_blocked "$bot"
}
blocked() { mw_json '[.blocks[].source] | join(" ")' blocks; }
python() { exec nsenter --net="/run/netns/$fixture_ns-$1" -- /usr/bin/python3 -B "${@:2}"; }

fixture_up "outage-$kind"
{
  echo "$bot"
  /usr/bin/python3 -B "$e2e_dir/outage_clients.py" addresses
} | sed "s,.*,addr add &/16 dev $client_if," | cli ip -batch -
route unicast via "$next_hop"
(python srv "$e2e_dir/smtp_servers.py" "$fixture_dir/taken" 8) >>"$fixture_dir/server.log" 2>&1 &
server_pid=$!
wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the servers do not listen"
config_write block.confirm='"conntrack"' mirror.backend='"none"'
daemon_start

(python cli "$e2e_dir/outage_clients.py" mail "$((before_seconds + outage_seconds))" "$patience") \
  >"$fixture_dir/mails" 2>>"$fixture_dir/client.log" &
clients_pid=$!
began=$SECONDS
check "clients mail" wait_for '(($(taken) >= 100))' 30
wait_for "((SECONDS >= $((began + before_seconds))))" "$before_seconds" || :
check "scoring is not frozen" not is_frozen
kill -s USR1 "$clients_pid"
check "mail servers wait for 250 greetings" wait_for '(($(waiting_for_greeting) >= 250))' 6

outage_begin
over=$((SECONDS + outage_seconds))
check "scoring freezes" wait_for is_frozen "$outage_seconds"
echo "        after $((SECONDS + outage_seconds - over)) s"
before=$(taken)
daemon_stop
daemon_start
wait_for "((SECONDS >= $((over - outage_seconds / 4))))" "$outage_seconds" || :
daemon_kill9
daemon_start
check "it is frozen still, after a restart and a crash" is_frozen
wait_for "((SECONDS >= $over))" "$outage_seconds" || :
check "no mail arrived meanwhile" equal "$before" "$(taken)"
check "nobody was blocked in the outage" equal "" "$(blocked)"
outage_end

check "the mail arrives" wait_for "((\$(taken) >= $before + 500))" 60
check "scoring goes on" wait_for '! is_frozen' 90
check "a bot is blocked again" wait_for bot_is_blocked 20
kill -s TERM "$clients_pid"
check "the clients come to an end" wait_for "! kill -0 $clients_pid 2>/dev/null" "$((3 * patience + 30))"
stop "$clients_pid" KILL
echo "        $(cat "$fixture_dir/mails")"
check "every mail was taken" equal true "$(jq '[.people, .mail_servers] | map(.mails == .taken) | all' "$fixture_dir/mails")"
check "nobody but the bot is blocked" equal "$bot" "$(blocked)"
check "and no breaker had to stop it" equal false "$(mw_json .evidence.breaker status)"
story_end
