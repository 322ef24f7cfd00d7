#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The retries of real TCP stacks get a client through brake and limit, are not counted again, and
# make no block and no longer one. The same 4-tuple a thousand times over is no retry.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
braked=$client4 limited=$other4 blocked=172.16.9.9 repeating=172.16.9.20
connections=12 burst=5
mapfile -t servers < <(printf '198.18.%d.25\n' {1..12})
mapfile -t one_server < <(for ((n = 0; n < connections; n++)); do echo 198.18.1.25; done)
mapfile -t refusing_servers < <(printf '198.19.%d.26\n' {201..240})

retries_begin() { # retries_begin SOURCE SERVER...: returns when the first attempts are out
  (exec nsenter --net="/run/netns/$fixture_ns-cli" -- /usr/bin/python3 -B "$e2e_dir/retries_client.py" \
    "$@") >"$fixture_dir/retries-$1" 2>>"$fixture_dir/client.log" &
  retries_pid=$!
  wait_for "grep -q tried '$fixture_dir/retries-$1'" 10 || die "the client did not start"
}
counts() { mw_json '.evidence | "\(.syns) \(.braked) \(.limited)"' why "$1"; }
dropped() { mw_json ".packets.g0.$1.enforced // 0" status; }
next_block() { mw_json .next_block_seconds why "$1"; }
is_blocked() { mw -o json blocks | jq -e ".blocks[] | select(.source == \"$1\" and .would == false)" >/dev/null; }
bot_is_blocked() {
  cli /usr/bin/python3 -B "$root/tools/lab/bot.py" "$blocked" 1 "${refusing_servers[@]}" >/dev/null
  is_blocked "$blocked"
}
# held_and_let_through SOURCE WORD COUNTS SERVER...: WORD is braked or limited.
held_and_let_through() {
  local source=$1 word=$2 wanted=$3 before
  shift 3
  before=$(dropped "$word")
  retries_begin "$source" "$@"
  check "the first attempts are counted ($word)" wait_for "[[ \$(counts $source) == '$wanted' ]]" 5
  check "its kernel gets it through ($word)" wait "$retries_pid"
  echo "        $(tail -n 1 "$fixture_dir/retries-$source")"
  check "by real retries ($word)" at_least $((connections - burst)) \
    "$(tail -n 1 "$fixture_dir/retries-$source" | jq .retries)"
  check "some of which were dropped too ($word)" at_least $((connections - burst + 1)) \
    "$(($(dropped "$word") - before))"
  check "none is counted again ($word)" equal "$wanted" "$(counts "$source")"
  check "it is not blocked ($word)" not is_blocked "$source"
  check "and a block would be its first ($word)" equal 3600 "$(next_block "$source")"
}

fixture_up retries
for address in "$blocked" "$repeating"; do cli ip addr add "$address/16" dev "$client_if"; done
config_write brake.burst="$burst" brake.rate='"60/min"' mirror.backend='"none"' \
  group="[{name = \"slow\", networks = [\"$limited/32\", \"$repeating/32\"], rate = \"60/min\", burst = $burst}]"
(exec nsenter --net="/run/netns/$fixture_ns-srv" -- /usr/bin/python3 -B "$e2e_dir/smtp_servers.py" \
  "$fixture_dir/taken" 1) >>"$fixture_dir/server.log" 2>&1 &
server_pid=$!
wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the servers do not listen"
daemon_start

held_and_let_through "$braked" braked "$connections $((connections - burst)) 0" "${servers[@]}"
held_and_let_through "$limited" limited "$connections 0 $((connections - burst))" "${one_server[@]}"

check "a bot is blocked" wait_for bot_is_blocked 30
before=$(next_block "$blocked")
check "a second block would last longer" equal 14400 "$before"
end=$(mw_json .decision.until why "$blocked")
dropped_before=$(mw_json .dropped_packets why "$blocked")
retries_begin "$blocked" "${servers[@]}"
check "its kernel tries again, in vain" wait_for \
  "((\$(mw_json .dropped_packets why $blocked) >= $dropped_before + 3 * $connections))" 15
stop "$retries_pid" KILL
check "its next block is no longer for that" equal "$before" "$(next_block "$blocked")"
check "nor is this one" equal "$end" "$(mw_json .decision.until why "$blocked")"

through=$(syns_at gateway)
sent=$(syns 1000 "$repeating" "$server4" --isn fixed --sport-range 2000-2000 --rate 200)
passed=$(($(syns_at gateway) - through))
# 5 s at one a second, and what counts as a retry.
check "the same 4-tuple a thousand times does not pass the limit" at_least "$passed" $((burst + 5 + 6))
check "but its burst does" at_least "$burst" "$passed"
check "each of the others is dropped" equal "$((sent - passed))" "$(mw_json .total.dropped why "$repeating")"
check "it is not blocked: one server, whatever the rate" not is_blocked "$repeating"
story_end
