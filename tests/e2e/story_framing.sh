#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_framing.sh [SECONDS]
# A client forges connections in the names of two neighbours, one whose kernel answers strays with RST,
# and one that keeps silent; and breaks into the connections of a third. All three mail honestly
# meanwhile: none is blocked, all their mail arrives. A bot is blocked all the while.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
seconds=${1:-20}
answers=$client4 silent=$other4 known=172.16.1.2 not_mailing=172.16.50.50 bot=172.16.9.9

# Servers that the neighbours mail to (they greet after a second, so that there is time to break
# in), and those of the forger: two of three answer, one is silent.
mapfile -t mail_servers < <(printf '198.18.%d.27\n' {1..24})
mapfile -t forged_servers < <(for n in {1..40}; do
  printf '198.18.%d.25\n198.19.%d.25\n198.19.%d.29\n' "$((n + 100))" "$n" "$((n + 100))"
done)
mapfile -t refusing_servers < <(printf '198.19.%d.26\n' {201..240})

is_blocked() { mw -o json blocks | jq -e ".blocks[] | select(.source == \"$1\" and .would == false)" >/dev/null; }
evidence() { mw_json ".evidence.$2 // 0" why "$1"; }
all_taken() { equal true "$(jq ".[\"$1\"] | .mails >= 10 and .mails == .taken" "$fixture_dir/mails")"; }
bot_is_blocked() {
  cli /usr/bin/python3 -B "$root/tools/lab/bot.py" "$bot" 1 "${refusing_servers[@]}" >/dev/null
  is_blocked "$bot"
}
# forge SECONDS FRAMED... -- [KNOWN]...: five connections a second in the name of each.
forge() {
  local for_seconds=$1
  local -a framed=()
  shift
  while [[ $1 != -- ]]; do
    framed+=("$1")
    shift
  done
  cli /usr/bin/python3 -B "$e2e_dir/framing_forger.py" "$client_if" "$gateway_mac" "$for_seconds" 5 \
    "${framed[@]}" -- "${forged_servers[@]}" "$@"
}

fixture_up framing
for address in "$known" "$not_mailing" "$bot"; do cli ip addr add "$address/16" dev "$client_if"; done
for address in "$silent" "$not_mailing"; do
  cli iptables -w 5 -A OUTPUT -p tcp --tcp-flags RST RST -s "$address" -j DROP
done
srv iptables -w 5 -A INPUT -p tcp --dport 25 -d 0.0.0.29/0.0.0.255 -j DROP
gateway_mac=$(gw ip -j link show dev "$inside_if" | jq -r '.[0].address')
(exec nsenter --net="/run/netns/$fixture_ns-srv" -- /usr/bin/python3 -B "$e2e_dir/smtp_servers.py" \
  "$fixture_dir/taken" 1) >>"$fixture_dir/server.log" 2>&1 &
server_pid=$!
wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the servers do not listen"
config_write block.confirm='"conntrack"' mirror.backend='"none"'
daemon_start

(exec nsenter --net="/run/netns/$fixture_ns-cli" -- /usr/bin/python3 -B \
  "$e2e_dir/framing_neighbours.py" 1 "$answers" "$silent" "$known" -- "${mail_servers[@]}") \
  >"$fixture_dir/mails" 2>>"$fixture_dir/client.log" &
neighbours_pid=$!
forge "$seconds" "$answers" "$silent" -- "$known" >"$fixture_dir/forged" &
forger_pid=$!
check "a bot whose mail is refused is blocked meanwhile" wait_for bot_is_blocked 15
wait "$forger_pid"
kill -s TERM "$neighbours_pid"
check "the neighbours come to an end" wait_for "! kill -0 $neighbours_pid 2>/dev/null" 60
stop "$neighbours_pid" KILL

echo "        forged: $(cat "$fixture_dir/forged")"
for neighbour in "$answers" "$silent" "$known"; do
  echo "        $neighbour: $(jq -c ".[\"$neighbour\"]" "$fixture_dir/mails"), $(evidence "$neighbour" text)"
  check "all mails of $neighbour were taken" all_taken "$neighbour"
  check "$neighbour is not blocked" not is_blocked "$neighbour"
done
check "what was forged is known as not confirmed" at_least 8 "$(evidence "$silent" unconfirmed)"
check "status tells of it" at_least 8 "$(mw_json ".evidence.unconfirmed // 0" status)"
check "the forger broke into connections" at_least 10 "$(jq .broken_into "$fixture_dir/forged")"
check "only the bot is blocked" equal "$bot" "$(mw_json '[.blocks[].source] | join(" ")' blocks)"

# It is the confirmation that protects: without it the same forgery frames whom it names.
config_write block.confirm='"none"' mirror.backend='"none"'
check "confirm = none is taken" mw reload
forge 8 "$not_mailing" -- >/dev/null
check "then who is framed is blocked" wait_for "is_blocked $not_mailing" 5
check "and its neighbours are not" not is_blocked "$answers"
story_end
