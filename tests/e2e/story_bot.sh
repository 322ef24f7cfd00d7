#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_bot.sh inject|reenact [ROUNDS]
# The spam bot that was recorded in 2010 is let loose again: its own packets, which nobody answers
# (inject), or its connections anew, with real TCP (reenact). It is blocked within 25 SYNs and 4
# seconds, and the reason says why; its neighbour mails on. Each round has fresh pins, hence another
# seed of the hashes.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
how=$1 rounds=${2:-2}

most_syns=25 most_seconds=4
bot_runs_seconds=60     # at most: it is ended soon after its block
block_comes_seconds=15  # if it comes at all
syns_after_the_block=10 # so that "none passed" says something

if [[ -z ${MAILWEIR_TRACES:-} ]]; then skip "MAILWEIR_TRACES does not say where the traces are"; fi
if [[ ! -e $MAILWEIR_TRACES/bot ]]; then skip "there is no bot in $MAILWEIR_TRACES"; fi

# To be started with &, so that $! is the tool itself.
python_in() { # python_in NAMESPACE TOOL ARGUMENT...
  exec nsenter --net="/run/netns/$fixture_ns-$1" -- /usr/bin/python3 -B "$e2e_dir/$2" "${@:3}"
}

# ---- the bot and its servers

inject_prepare() {
  bot=172.16.7.222 confirm='"none"'
  gateway_mac=$(gw ip -j link show "$inside_if" | jq -r '.[0].address')
  # Swallowed, after they were counted; bot_inject.py says why.
  srv iptables -w 5 -t mangle -A INPUT -p tcp --dport 25 ! -d "$server4" -j DROP
}
inject_servers() {
  if [[ -z $server_pid ]]; then server_start; fi
}
inject_start() {
  python_in cli bot_inject.py "$MAILWEIR_TRACES" "$client_if" "$gateway_mac" "$bot" \
    "$bot_runs_seconds" >"$told" &
  bot_pid=$!
}

reenact_prepare() {
  bot=$client4 confirm='"conntrack"'
  srv iptables -w 5 -t mangle -A INPUT -p tcp --syn --dport 25 -j NFQUEUE --queue-num 25
  srv iptables -w 5 -A INPUT -p tcp -m mark --mark 25 -j REJECT --reject-with tcp-reset
  # The bot's ports come again in each round. The system that it ran on backed off between its SYNs;
  # so do Linux kernels that do not have the second setting.
  cli sysctl -qw net.ipv4.tcp_tw_reuse=1
  if cli sysctl -n net.ipv4.tcp_syn_linear_timeouts >/dev/null 2>&1; then
    cli sysctl -qw net.ipv4.tcp_syn_linear_timeouts=0
  fi
}
# New ones in each round: the connections of the last one are reset with them.
reenact_servers() {
  stop "$server_pid" TERM
  gw conntrack -F 2>/dev/null
  python_in srv bot_reenact.py serve "$MAILWEIR_TRACES" "$bot_runs_seconds" \
    >>"$fixture_dir/server.log" 2>&1 &
  server_pid=$!
  wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the bot's servers do not listen"
}
reenact_start() {
  python_in cli bot_reenact.py client "$MAILWEIR_TRACES" "$bot_runs_seconds" "$bot" >"$told" &
  bot_pid=$!
}

watch_start() {
  python_in cli bot_watch.py watch "$client_if" "$bot" >"$sent" &
  watch_pids=$!
  python_in gw bot_watch.py watch "$inside_if" "$bot" >"$passed" &
  watch_pids+=" $!"
  wait_for '[[ -s $sent && -s $passed ]]' 10 || die "nobody watches the bot"
}
watch_stop() {
  local pid
  for pid in $watch_pids; do
    stop "$pid" TERM
  done
}

syns_sent() { grep -cE "$1" "$sent" || :; } # syns_sent syn|repeated
told_what_was_seen() { [[ $(jq '.syns // .opened' "$told") == "$(syns_sent 'syn')" ]]; }

# At the gateway, behind the program.
bot_syns_passed() {
  gw iptables-save -c -t mangle | sed -nE 's/^\[([0-9]+):.*--comment of-the-bot.*/\1/p'
}

# ---- the neighbour

neighbour_start() {
  : >"$mailing"
  while [[ -e $mailing ]]; do
    if greeted "$other4" "$server4"; then echo greeted; else echo refused; fi
    sleep 0.3 # the pace of an honest client, not a wait for anything
  done >"$neighbour" 2>&1 &
  neighbour_pid=$!
}
neighbour_stop() {
  rm "$mailing"
  wait "$neighbour_pid"
}

# ---- the block

# In the kernel's list.
is_blocked() {
  local -a octets
  IFS=. read -ra octets <<<"$bot"
  bpftool map lookup pinned "$bpffs_dir/blocklist" \
    key 0 0 0 0 0 0 0 0 0 0 255 255 "${octets[@]}" >/dev/null 2>&1
}
goes_on() { (($(syns_sent 'syn|repeated') >= sent_at_block + syns_after_the_block)); }

at_most() {
  if jq -en "$2 != null and $2 <= $1" >/dev/null; then return 0; fi
  echo "        wanted at most $1, saw $2"
  return 1
}

contains_all() { # contains_all TEXT PART...
  local text=$1 part
  shift
  echo "        $text"
  for part in "$@"; do
    contains "$part" "$text" || return 1
  done
}

reason() { mw why "$bot" | sed -n 's/^ *because *//p'; }
rule() { gw iptables -w 5 -S MAILWEIR | grep -F -- "-s $bot/32 "; }
evidence() { mw -o json why "$bot" | jq -c .decision.evidence; }

# Eight outcomes without a message are the fewest that reach the score.
is_enough() {
  echo "        $1"
  jq -e --argjson most "$most_syns" '.syns <= $most and .networks >= 10 and .no_message >= 8 and
    .finished >= .no_message and .answered >= .finished and .score >= .threshold and
    .unconfirmed == 0' <<<"$1" >/dev/null
}

tell_of_the_block() {
  local passed_at_block sent_at_block
  passed_at_block=$(bot_syns_passed) sent_at_block=$(syns_sent 'syn|repeated')
  check "why gives the reason" contains_all "$(reason)" " connections to " " mail servers in " \
    " answered" " finished" "without a message" "score "
  check "the evidence is enough" is_enough "$(evidence)"
  check "the rule is there" wait_for 'rule >/dev/null' 5
  check "it has the reason in short" contains_all "$(rule)" SPAM_ by=auto conns= servers= \
    answered= nomail= score=
  check "the bot goes on" wait_for goes_on 20
  check "and no SYN of it passes any more" equal "$passed_at_block" "$(bot_syns_passed)"
}

tell_what_it_took() {
  local figures
  figures=$(/usr/bin/python3 -B "$e2e_dir/bot_watch.py" block "$sent" "$passed" || echo '{}')
  echo "        round $round, on the wire: $figures"
  check "within $most_syns SYNs" at_most "$most_syns" "$(jq .syns <<<"$figures")"
  check "within $most_seconds seconds" at_most "$most_seconds" "$(jq .seconds <<<"$figures")"
  jq -r 'select(.syns) | "\(.syns) \(.seconds)"' <<<"$figures" >>"$fixture_dir/rounds"
}

# Fresh pins, and no memory of what was decided.
forget_everything() {
  daemon_stop
  mw detach >/dev/null 2>&1
  rm -rf "$bpffs_dir" "${state_dir:?}"
  mkdir -m 700 "$state_dir"
}

tell_round() {
  "${how}_servers"
  daemon_start
  watch_start
  neighbour_start
  check "the neighbour mails" wait_for 'grep -q greeted "$neighbour"' 10
  "${how}_start"
  if wait_for is_blocked "$block_comes_seconds"; then
    tell_of_the_block
  else
    check "the bot is blocked" is_blocked
  fi
  stop "$bot_pid" TERM
  check "what it sent is what was seen" wait_for told_what_was_seen 5
  watch_stop
  tell_what_it_took
  check "only the bot is blocked" equal "$bot" "$(mw_json '[.blocks[].source] | join(" ")' blocks)"
  neighbour_stop
  check "the neighbour was greeted each time" equal greeted "$(sort -u "$neighbour")"
  check "several times" at_least 3 "$(wc -l <"$neighbour")"
  forget_everything
}

range() { # range COLUMN WHAT
  cut -d' ' -f"$1" "$fixture_dir/rounds" | sort -n | awk -v what="$2 to the block" '
    { all[NR] = $1 }
    END { if (NR) print what ": " all[1] " to " all[NR] ", median " all[int((NR + 1) / 2)] }'
}

fixture_up "bot-$how"
told=$fixture_dir/told sent=$fixture_dir/sent passed=$fixture_dir/passed
mailing=$fixture_dir/mailing neighbour=$fixture_dir/neighbour
"${how}_prepare"
gw iptables -w 5 -t mangle -A PREROUTING -s "$bot" -p tcp --syn --dport 25 \
  -m comment --comment of-the-bot
config_write block.confirm="$confirm"
for ((round = 1; round <= rounds; ++round)); do
  tell_round
done
range 1 SYNs
range 2 seconds
story_end
