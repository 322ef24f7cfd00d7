#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_honest.sh mailserver|mailing|single|down [full]
# Who mails honestly is never blocked and loses nothing, and a bot beside them is blocked meanwhile.
# All of it is real: Exim with its queue behind the gateway, Exim for the servers of the world.
#   mailserver  1,000 mails to 60 servers; a fifth of these greylists, a tenth refuses
#   mailing     one mail to 300 new servers, a tenth of which refuses
#   single      700 mails a minute into one server
#   down        the only server is down, in five ways: an hour of retries, in a minute
# "full" compares every mail of `mailserver` with the base line, and has more of the others.
# SEED=N shuffles the servers' fates.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
what=$1 size=${2:-}
seed=${SEED:-1}

# The base line is a mail server that mailweir only observes: same mails, same moment, same servers.
mailserver=172.16.0.25 baseline=172.16.0.26 bot=$client4
mail_port=2525 baseline_port=2526
# Dead in one way each; the last two take connections (honest_exim.py).
declare -A dead_server=([silent]=198.19.197.25 [reset]=198.19.198.25 [unreachable]=198.19.199.25
  [mute]=198.19.200.25 [busy]=198.19.201.25)
declare -A dead_client=([silent]=172.16.1.11 [reset]=172.16.1.12 [unreachable]=172.16.1.13
  [mute]=172.16.1.14 [busy]=172.16.1.15)
background=()
# Looking costs a process or two, on the machine that carries the mails.
POLL_SECONDS=0.5

full() { [[ $size == full ]]; }

# ---- the mail

# background NAME cli|srv COMMAND...
background() {
  local name=$1 where=$2
  shift 2
  (exec nsenter --net="/run/netns/$fixture_ns-$where" -- "$@") \
    >"$fixture_dir/$name.out" 2>"$fixture_dir/$name.log" &
  background+=($!)
}

servers_up() {
  /usr/bin/python3 -B "$e2e_dir/honest_exim.py" servers "$fixture_dir/servers"
  background servers srv /usr/sbin/exim4 -C "$fixture_dir/servers/exim.conf" -bdf
  wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the servers do not listen"
}

# sender_up NAME SOURCE PORT: a mail that was put off is tried again after 5 to 7 s.
sender_up() {
  /usr/bin/python3 -B "$e2e_dir/honest_exim.py" sender "$fixture_dir/$1" "$2" "$3" 5
  cli ip addr add "$2/16" dev "$client_if"
  background "$1" cli /usr/sbin/exim4 -C "$fixture_dir/$1/exim.conf" -bdf -q2s
  wait_for "cli ss -Hltn 'sport = :$3' | grep -q ." 10 || die "$1 does not listen"
}

senders_up() {
  sender_up mailserver "$mailserver" "$mail_port"
  sender_up baseline "$baseline" "$baseline_port"
}

# mails OPTION...: hands them over; returns when the last one is in the queue.
mails() {
  cli /usr/bin/python3 -B "$e2e_dir/honest_mails.py" --seed "$seed" --port "$mail_port" "$@" \
    >"$fixture_dir/recipients"
}

queue_is_empty() {
  local queue
  for queue in "$fixture_dir"/*/spool/input; do
    if [[ $queue != */servers/* && -n $(find "$queue" -name '*-H' -print -quit) ]]; then return 1; fi
  done
}

# delivered SOURCE SECONDS: all that can be delivered is; no use in waiting for a blocked one.
delivered() {
  wait_for "queue_is_empty || is_blocked $1" "$2" && queue_is_empty
}

# report PORT=NAME...: see honest_report.py
report() {
  local pair logs=()
  for pair in "$@"; do logs+=("${pair%%=*}=$fixture_dir/${pair#*=}/log/mainlog"); done
  /usr/bin/python3 -B "$e2e_dir/honest_report.py" "$fixture_dir/recipients" \
    "$fixture_dir/servers/log/mainlog" "${logs[@]}" >"$fixture_dir/report"
  sed 's/^/        /' "$fixture_dir/report"
}
reported() { jq -r "$1" "$fixture_dir/report"; }

# ---- the verdicts

is_blocked() { mw -o json blocks | jq -e ".blocks[] | select(.source == \"$1\" and .would == false)" >/dev/null; }

# Neither now nor before, and it would not have been either.
never_blocked() {
  local seen
  seen=$(mw -o json why "$1")
  jq -r '"        \(.source) is \(.state): score \(.evidence.score) < \(.evidence.threshold); \(.evidence |
    {syns, networks, answered, finished, no_message, lost, unconfirmed, braked, limited})"' <<<"$seen"
  jq -e '.decision == null and .history == []' <<<"$seen" >/dev/null
}

# total FIELD SOURCE: since it was first seen; its evidence is of the last ten minutes.
total() { mw_json ".total.$1" why "$2"; }

bot_start() {
  background bot cli /usr/bin/python3 -B "$e2e_dir/honest_traffic.py" bot "$bot" 250 0.2 300 "$seed"
}

bot_is_blocked() {
  check "the bot beside them is blocked" wait_for "is_blocked $bot" 30
  check "because its sessions end without a message" contains "without a message" "$(mw why "$bot")"
  mw why "$bot" | sed -n 's/^ *because/        because/p'
  check "it goes on, and is dropped" wait_for "((\$(mw_json .dropped_packets why $bot) >= 20))" 20
}

# ---- the stories

tell_mailserver() {
  local every=6
  if full; then every=1; fi
  senders_up
  bot_start
  mails --mails 1000 --servers 60 --seconds 40 --grey 0.2 --refused 0.1 \
    --baseline "$baseline_port" --every "$every"
  bot_is_blocked
  check "the queues empty" delivered "$mailserver" 120
  check "the mail server was never blocked" never_blocked "$mailserver"
  check "without mailweir neither" never_blocked "$baseline"
  report "$mail_port=mailserver" "$baseline_port=baseline"
  check "all 1,000 mails were sent" equal 1000 "$(reported .mails)"
  check "none is lost, none came twice" equal "0 0" "$(reported '"\(.lost) \(.twice)"')"
  check "the refused tenth bounced" at_least 90 "$(reported .refused)"
  check "the greylisted fifth was taken later" at_least 150 \
    "$(grep -c 'Greylisted' "$fixture_dir/mailserver/log/mainlog")"
  check "at most 1 in 1,000 was held back for more than 10 s" at_least "$(reported .late)" 1
  check "the limit dropped none of its SYNs" equal 0 "$(total limited "$mailserver")"
}

tell_mailing() {
  local servers=300
  if full; then servers=450; fi
  senders_up
  bot_start
  mails --mails "$servers" --servers "$servers" --refused 0.1 --baseline "$baseline_port"
  bot_is_blocked
  check "the queues empty" delivered "$mailserver" 120
  check "who mails to $servers new servers is not blocked" never_blocked "$mailserver"
  report "$mail_port=mailserver" "$baseline_port=baseline"
  check "a tenth was refused" equal $((servers / 10)) "$(reported .refused)"
  check "all others arrived" equal $((servers - servers / 10)) "$(reported .arrived)"
  check "none is lost, none came twice" equal "0 0" "$(reported '"\(.lost) \(.twice)"')"
  check "the limit dropped none of its SYNs" equal 0 "$(total limited "$mailserver")"
}

tell_single() {
  local minutes=1 mails
  if full; then minutes=10; fi
  mails=$((700 * minutes))
  cli ip addr add "$mailserver/16" dev "$client_if"
  bot_start
  background pour cli /usr/bin/python3 -B "$e2e_dir/honest_traffic.py" pour "$mailserver" "$server4" \
    "$mails" $((60 * minutes))
  bot_is_blocked
  wait_for "[[ -s $fixture_dir/pour.out ]]" $((120 * minutes)) || die "still pouring"
  sed 's/^/        /' "$fixture_dir/pour.out"
  check "who pours $mails mails into one server is not blocked" never_blocked "$mailserver"
  check "every mail arrived" equal "$mails" \
    "$(grep -oE "id=[0-9]+@$mailserver.example.net" "$fixture_dir/servers/log/mainlog" | sort -u | wc -l)"
  check "in $minutes min" at_least "$(jq '.seconds | floor' "$fixture_dir/pour.out")" $((66 * minutes))
  check "by a connection of its own each" at_least "$mails" "$(total syns "$mailserver")"
  check "the limit dropped none of its SYNs" equal 0 "$(total limited "$mailserver")"
  check "nor did the brake" equal 0 "$(total braked "$mailserver")"
}

servers_die() {
  srv iptables -w 5 -A INPUT -p tcp --dport 25 -d "${dead_server[silent]}" -j DROP
  srv iptables -w 5 -A INPUT -p tcp --dport 25 -d "${dead_server[reset]},$server4" \
    -j REJECT --reject-with tcp-reset
  # A next hop that nobody answers for: the gateway itself says "host unreachable".
  gw ip route add "${dead_server[unreachable]}" via 198.18.0.99
}
servers_revive() {
  srv iptables -w 5 -F INPUT
  gw ip route del "${dead_server[unreachable]}"
}

# retries WAY WORKERS EVERY SECONDS
retries() {
  cli ip addr add "${dead_client[$1]}/16" dev "$client_if"
  background "$1" cli /usr/bin/python3 -B "$e2e_dir/honest_traffic.py" retry "${dead_client[$1]}" \
    "${dead_server[$1]}" "$2" "$3" "$4"
}

# tried WAY OUTCOME LEAST: the server was down in the way that the story says.
tried() {
  sed 's/^/        /' "$fixture_dir/$1.out"
  at_least "$3" "$(jq -r ".[\"$2\"] // 0" "$fixture_dir/$1.out")"
}

# mails_on WAY: one mail, from the first SYN to its acceptance.
mails_on() {
  cli /usr/bin/python3 -B "$e2e_dir/honest_traffic.py" pour "${dead_client[$1]}" "${dead_server[$1]}" 1 1 |
    jq -e '.accepted == 1' >/dev/null
}

tell_down() {
  local way seconds=60
  if full; then seconds=600; fi
  servers_die
  sender_up mailserver "$mailserver" "$mail_port"
  mails --mails 20 --servers 1 --seconds 1
  for way in silent reset unreachable; do retries "$way" 8 1 "$seconds"; done
  for way in mute busy; do retries "$way" 3 1 "$seconds"; done
  bot_start
  bot_is_blocked
  for way in "${!dead_server[@]}"; do
    wait_for "[[ -s $fixture_dir/$way.out ]]" $((seconds + 30)) || die "$way: still retrying"
  done
  check "a server was silent" tried silent timeout $((4 * seconds))
  check "one refused with RST" tried reset ECONNREFUSED $((4 * seconds))
  check "one was unreachable" tried unreachable EHOSTUNREACH "$seconds"
  check "one took the connection and said nothing" tried mute mute "$seconds"
  check "one was too busy" tried busy 421 "$seconds"
  check "scoring was not frozen" equal false "$(mw_json .evidence.frozen status)"
  servers_revive
  for way in silent reset unreachable busy mute; do
    check "$way: its client was never blocked" never_blocked "${dead_client[$way]}"
    check "$way: nor limited, nor braked" equal "0 0" \
      "$(mw_json '"\(.total.limited) \(.total.braked)"' why "${dead_client[$way]}")"
  done
  for way in silent reset unreachable; do
    check "$way: it mails on when its server is back" mails_on "$way"
  done
  check "a mail server whose relay was down was never blocked" never_blocked "$mailserver"
  check "its queue empties when the relay is back" delivered "$mailserver" 60
  report "$mail_port=mailserver"
  check "none of its mails is lost, none came twice" equal "20 0 0" "$(reported '"\(.arrived) \(.lost) \(.twice)"')"
}

if [[ ! -x /usr/sbin/exim4 ]]; then skip "exim4 is missing: scripts/setup"; fi
fixture_up "honest-$what"
chmod 755 "$fixture_dir" # Exim gives up root
config_write block.confirm='"conntrack"' \
  "group=[{ name = \"baseline\", networks = [\"$baseline/32\"], mode = \"observe\" }]"
servers_up
daemon_start
"tell_$what"
mw_json '"        \(.evidence)"' status
check "nobody but the bot was blocked" equal "$bot" "$(mw_json '[.blocks[].source] | join(" ")' blocks)"
for pid in "${background[@]}"; do stop "$pid" TERM; done
story_end
