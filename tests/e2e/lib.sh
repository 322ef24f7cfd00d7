# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The fixture of the end-to-end stories: clients - gateway - servers in three namespaces, and a
# mailweir with pins, state and socket of its own. Nothing outside is touched. A story is told so:
#
#   source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#   fixture_up restart
#   config_write mirror.backend='"none"'
#   daemon_start
#   check "a manual block is taken" mw block "$client4"
#   daemon_kill9
#   check "a block outlives its daemon" nothing_passes
#   story_end
set -euo pipefail

e2e_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$e2e_dir/../.." && pwd)
MAILWEIR_BIN=${MAILWEIR_BIN:-$root/build/release/mailweir}
MAILWEIR_SYN=${MAILWEIR_SYN:-$root/build/release/tools/mailweir-syn}
READY_SECONDS=60
POLL_SECONDS=0.05

# The places of the fixture, for stories to name. All of 198.18.0.0/15 and 2001:db8:1000::/36 is
# served, so that there are as many server networks as a story wants.
# shellcheck disable=SC2034 # stories use them
{
  inside_if=g0 outside_if=g1 client_if=c0 server_if=s0
  client4=172.16.7.70 client6=2001:db8:1::70
  other4=172.16.1.1 other6=2001:db8:1:1::1
  server4=198.18.1.25 server6=2001:db8:1001::25
}

fixture_dir='' daemon_pid='' listener_pid='' flood_pid='' server_pid='' mounts_pid=''
# A story adds processes and namespaces of its own (after its fixture's name), and what else it has to
# put back.
helper_pids=() namespaces=(cli gw srv) at_end=:
checks_passed=0 checks_failed=0

# ---- the telling

# check SENTENCE COMMAND...: one sentence of the story; the command's exit status is the verdict.
check() {
  local sentence=$1
  shift
  if "$@"; then
    checks_passed=$((checks_passed + 1))
    echo "ok      $sentence"
  else
    checks_failed=$((checks_failed + 1))
    echo "NOT OK  $sentence  [$*]"
  fi
}

not() {
  ! "$@"
}

# Comparisons for check that say what they saw: equal WANTED SEEN, at_least LEAST SEEN, at_most MOST
# SEEN, contains PART TEXT, lacks PART TEXT.
equal() {
  if [[ $1 == "$2" ]]; then return 0; fi
  echo "        wanted $1, saw $2"
  return 1
}
at_least() {
  if (($2 >= $1)); then return 0; fi
  echo "        wanted at least $1, saw $2"
  return 1
}
at_most() {
  if (($2 <= $1)); then return 0; fi
  echo "        wanted at most $1, saw $2"
  return 1
}
contains() {
  if [[ $2 == *"$1"* ]]; then return 0; fi
  echo "        wanted $1 in: $2"
  return 1
}

lacks() {
  if [[ $2 != *"$1"* ]]; then return 0; fi
  echo "        wanted no $1 in: $2"
  return 1
}

# log_says TEXT: the daemon's log does, within ten seconds.
log_says() {
  if wait_for "grep -qF -- '$1' '$daemon_log'" 10; then return 0; fi
  contains "$1" "$(cat "$daemon_log")"
}

# wait_for CONDITION SECONDS: polls the command until it succeeds; fails if it never does.
wait_for() {
  local end=$((SECONDS + $2))
  until eval "$1"; do
    if ((SECONDS > end)); then return 1; fi
    sleep "$POLL_SECONDS"
  done
}

# skip REASON: this cannot be told here. With MW_REQUIRE naming e2e that is a failure.
skip() {
  if [[ ,${MW_REQUIRE:-}, == *,e2e,* ]]; then die "cannot run, and MW_REQUIRE wants it: $1"; fi
  echo "SKIPPED: $1"
  exit 77
}

die() {
  echo "FAILED: $*" >&2
  exit 1
}

story_end() {
  echo "$checks_passed passed, $checks_failed failed"
  if ((checks_passed == 0 || checks_failed > 0)); then exit 1; fi
  exit 0
}

# ---- the namespaces

# in_ns cli|gw|srv COMMAND...; `ip netns exec` would hide bpffs.
in_ns() {
  local where=$1
  shift
  nsenter --net="/run/netns/$fixture_ns-$where" ${mounts_pid:+--mount="/proc/$mounts_pid/ns/mnt"} -- "$@"
}
cli() { in_ns cli "$@"; }
gw() { in_ns gw "$@"; }
srv() { in_ns srv "$@"; }

# fixture_up NAME: all of it goes away when the story ends, however it ends.
fixture_up() {
  if ((EUID != 0)); then skip "namespaces and BPF need root"; fi
  if [[ ! -x $MAILWEIR_BIN ]]; then skip "$MAILWEIR_BIN is missing: build it first"; fi
  trap fixture_down EXIT
  trap 'exit 130' INT TERM HUP
  fixture_name=$1
  fixture_ns=mwe2e-$1-$$
  fixture_dir=$(mktemp -d "/var/tmp/mailweir-e2e-$1.XXXXXX")
  bpffs_dir=/sys/fs/bpf/$fixture_ns
  socket=$fixture_dir/mailweir.sock
  state_dir=$fixture_dir/state
  config=$fixture_dir/mailweir.toml
  daemon_log=$fixture_dir/mailweir.log
  mkdir -m 700 "$state_dir"
  : >"$daemon_log"
  if ! mountpoint -q /sys/fs/bpf; then mount -t bpf bpf /sys/fs/bpf; fi

  local where
  for where in cli gw srv; do
    ip netns add "$fixture_ns-$where"
    # No waiting for duplicate address detection.
    in_ns "$where" sysctl -qw net.ipv6.conf.default.accept_dad=0
    in_ns "$where" ip link set lo up
  done
  inside_up
  outside_up
  count_syns gw gateway
  count_syns srv server
}

# join WHERE ITS_END GATEWAYS_END
join() {
  gw ip link add "$3" type veth peer name "$2" netns "$fixture_ns-$1"
  gw ip link set "$3" up
  in_ns "$1" ip link set "$2" up
}

# The clients' side alone, so that a story can take it away (gw ip link del g0) and bring it back.
inside_up() {
  join cli "$client_if" "$inside_if"
  gw ip addr add 172.16.0.1/16 dev "$inside_if"
  gw ip addr add 2001:db8:1::1/48 dev "$inside_if" nodad
  cli ip addr add "$client4/16" dev "$client_if"
  cli ip addr add "$other4/16" dev "$client_if"
  cli ip addr add "$client6/48" dev "$client_if" nodad
  cli ip addr add "$other6/48" dev "$client_if" nodad
  cli ip route add default via 172.16.0.1
  cli ip -6 route add default via 2001:db8:1::1
}

outside_up() {
  join srv "$server_if" "$outside_if"
  gw sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  gw ip addr add 198.18.0.1/15 dev "$outside_if"
  gw ip addr add 2001:db8:2::1/64 dev "$outside_if" nodad
  gw ip -6 route add 2001:db8:1000::/36 via 2001:db8:2::2
  gw iptables -w 5 -t nat -A POSTROUTING -o "$outside_if" -j MASQUERADE
  # As any firewall has it; without a rule that asks for it the kernel does not track IPv6.
  gw ip6tables -w 5 -A FORWARD -m conntrack --ctstate INVALID -j DROP
  srv ip addr add 198.18.0.2/24 dev "$server_if"
  srv ip addr add 2001:db8:2::2/64 dev "$server_if" nodad
  # In the main table, where the /24 of the gateway goes before it.
  srv ip route add local 198.18.0.0/15 dev lo table main
  srv ip -6 route add local 2001:db8:1000::/36 dev lo
  srv ip -6 route add 2001:db8:1::/48 via 2001:db8:2::1
}

# In mangle PREROUTING: behind XDP and tc, and before every chain that mailweir mirrors into.
count_syns() {
  local command
  for command in iptables ip6tables; do
    in_ns "$1" "$command" -w 5 -t mangle -A PREROUTING -p tcp --syn --dport 25 \
      -m comment --comment "syns-at-$2"
  done
}

# syns_at gateway|server: SYNs to port 25 that came so far, both families. At the gateway these
# are what the program let through.
syns_at() {
  local where=srv packets total=0
  if [[ $1 == gateway ]]; then where=gw; fi
  while read -r packets; do
    total=$((total + packets))
  done < <({
    in_ns "$where" iptables-save -c -t mangle
    in_ns "$where" ip6tables-save -c -t mangle
  } | sed -nE "s/^\[([0-9]+):.*--comment syns-at-$1.*/\1/p")
  echo "$total"
}

# mounts_up: from here on the namespaces and the daemon have mounts of their own (gw mount ...),
# which outlive the daemon and go with the story.
mounts_up() {
  (exec unshare --mount sleep infinity) &
  mounts_pid=$!
  # Once it sleeps, its mounts are its own.
  wait_for "[[ \$(readlink /proc/$mounts_pid/ns/mnt) != \$(readlink /proc/self/ns/mnt) &&
    \$(cat /proc/$mounts_pid/comm) == sleep ]]" 5 ||
    die "no mount namespace"
}

# ---- traffic

# server_start: somebody greets on port 25 of every server address. Without it they answer RST.
server_start() {
  (exec nsenter --net="/run/netns/$fixture_ns-srv" -- \
    /usr/bin/python3 -B "$e2e_dir/mail_port.py" serve) >>"$fixture_dir/server.log" 2>&1 &
  server_pid=$!
  wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the server does not listen"
}

# greeted SOURCE SERVER [PORT]: a real connection from SOURCE is made, and the server's greeting
# comes back within two seconds.
greeted() {
  cli /usr/bin/python3 -B "$e2e_dir/mail_port.py" connect "$@"
}

# refused SOURCE SERVER[,SERVER]...: connections that carry no message, one after the other, as a
# spam bot makes them. It gives up after five seconds: once it is blocked, nothing answers.
refused() {
  timeout 5 nsenter --net="/run/netns/$fixture_ns-cli" -- \
    /usr/bin/python3 -B "$e2e_dir/mail_port.py" refused "$@" || :
  # Without its sockets' retransmissions, so that a story can count what it sends itself.
  local address=$1
  if [[ $address == *:* ]]; then address="[$address]"; fi
  cli ss -K -Htn "src $address" >/dev/null
  # Nor the servers', which would be answered by resets of what the client has forgotten.
  srv ss -K -Htn 'sport = :25' >/dev/null
}

# syns COUNT SOURCE DESTINATION[,DESTINATION]... [OPTION]...: raw SYNs; prints how many were sent.
# As fast as it goes, unless an option says --rate.
syns() {
  local count=$1 source=$2 destinations=$3
  shift 3
  cli "$MAILWEIR_SYN" --interface "$client_if" --dst-mac auto --source "$source" \
    --destinations "$destinations" --port 25 --count "$count" "$@" | jq .sent
}

# flood_start SOURCE DESTINATIONS [RATE]: SYNs in the background until flood_stop.
flood_start() {
  (exec nsenter --net="/run/netns/$fixture_ns-cli" -- "$MAILWEIR_SYN" --interface "$client_if" \
    --dst-mac auto --source "$1" --destinations "$2" --port 25 --count 10000000 \
    --rate "${3:-20000}") >>"$fixture_dir/flood.log" 2>&1 &
  flood_pid=$!
}

flood_stop() {
  stop "$flood_pid" TERM
  flood_pid=''
}

# ---- the daemon

# config_write [KEY=VALUE]...: the fixture's file with these keys changed or added. KEY is dotted
# ("mirror.backend"), VALUE is TOML; a value that is empty leaves the key out.
config_write() {
  local pair key
  local -A keys=(
    [mode]='"block"'
    [node]="\"$fixture_name\""
    [bpffs_dir]="\"$bpffs_dir\""
    [socket]="\"$socket\""
    [state_dir]="\"$state_dir\""
    [interfaces.inside]="[\"$inside_if\"]"
    [interfaces.attach]='"xdp"'
    [networks.inside]='["172.16.0.0/16", "2001:db8:1::/48"]'
    [allow.files]='[]'
    [mirror.refresh]='"2s"'
  )
  for pair in "$@"; do
    keys[${pair%%=*}]=${pair#*=}
  done
  for key in "${!keys[@]}"; do
    if [[ -n ${keys[$key]} ]]; then printf '%s = %s\n' "$key" "${keys[$key]}"; fi
  done | LC_ALL=C sort >"$config"
}

# iptables_of nft|legacy: from here on the daemon and the story take `iptables` from there.
iptables_of() {
  local name suffix
  mkdir -p "$fixture_dir/bin"
  for name in iptables ip6tables; do
    for suffix in "" -save -restore; do
      ln -sf "/usr/sbin/xtables-$1-multi" "$fixture_dir/bin/$name$suffix"
    done
  done
  if [[ $PATH != "$fixture_dir/bin:"* ]]; then PATH=$fixture_dir/bin:$PATH; fi
}

# daemon_try [OPTION]...: starts it in the gateway; 0 when it has said READY=1. 1 when it ended
# before or never said it: then it is gone, daemon_status is its exit status, and the log tells why;
# one that ran before is still the story's daemon.
daemon_try() {
  local notify=$fixture_dir/notify.sock bound=$fixture_dir/bound before=$daemon_pid ended
  rm -f "$notify" "$bound"
  mkfifo "$bound"
  /usr/bin/python3 -B "$root/tools/lab/wait_ready.py" "$notify" "$READY_SECONDS" >"$bound" &
  listener_pid=$!
  read -r _ <"$bound"
  (
    export NOTIFY_SOCKET=$notify
    exec nsenter --net="/run/netns/$fixture_ns-gw" ${mounts_pid:+--mount="/proc/$mounts_pid/ns/mnt"} -- \
      "$MAILWEIR_BIN" --config "$config" run "$@"
  ) >>"$daemon_log" 2>&1 &
  daemon_pid=$!
  if wait -n -p ended "$listener_pid" "$daemon_pid" && [[ $ended == "$listener_pid" ]]; then
    listener_pid=''
    return 0
  fi
  stop "$listener_pid" TERM
  listener_pid=''
  daemon_stop
  daemon_pid=$before
  return 1
}

# daemon_start [OPTION]...: as daemon_try, but a story cannot go on without it.
daemon_start() {
  daemon_try "$@" || die "mailweir did not become ready (exit status $daemon_status)"
}

# Both leave what it answered in daemon_status.
daemon_stop() {
  stop "$daemon_pid" TERM
  daemon_status=$stop_status
  daemon_pid=''
}
daemon_kill9() {
  stop "$daemon_pid" KILL
  daemon_status=$stop_status
  daemon_pid=''
}

# stop PID SIGNAL: ends a child of this shell, with KILL if it takes more than 15 seconds.
stop() {
  stop_status=0
  # In a trap a bare return would bring back what was there before the trap.
  if [[ -z $1 ]]; then return 0; fi
  {
    kill -s "$2" "$1" || :
    wait_for "! kill -0 $1" 15 || kill -s KILL "$1" || :
    wait "$1" || stop_status=$?
  } 2>/dev/null # the shell reports children that were killed
}

# mw VERB...: the CLI, as on the gateway.
mw() {
  gw "$MAILWEIR_BIN" --config "$config" --socket "$socket" "$@"
}

# mw_json FILTER VERB...: what jq makes of the answer.
mw_json() {
  local filter=$1
  shift
  mw -o json "$@" | jq -r "$filter"
}

# ---- the end

fixture_down() {
  local status=$? where pid
  trap - EXIT
  trap '' INT TERM HUP
  if [[ -z $fixture_dir ]]; then exit "$status"; fi
  if ((status != 0 && status != 77)); then
    echo "--- the daemon's log, last lines" >&2
    tail -n 40 "$daemon_log" >&2
  fi
  "$at_end" || :
  for pid in "${helper_pids[@]}" "$flood_pid" "$server_pid" "$listener_pid" "$daemon_pid"; do
    stop "$pid" KILL
  done
  mw detach >/dev/null 2>&1 || :
  for where in "${namespaces[@]}"; do
    if [[ -e /run/netns/$fixture_ns-$where ]]; then
      # What a story left running there; nothing else lives in these namespaces.
      ip netns pids "$fixture_ns-$where" | xargs -r kill -s KILL || :
      ip netns del "$fixture_ns-$where"
    fi
  done
  stop "$mounts_pid" KILL
  rm -rf "$bpffs_dir" "$fixture_dir"
  exit "$status"
}
