#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS rows 27 and 30: an iptables that hangs, is missing, fails, or prints garbage. It is killed,
# or told; the kernel program enforces and the daemon answers meanwhile.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up stubs
server_start
config_write
real=$MAILWEIR_BIN
mkdir "$fixture_dir/bin" "$fixture_dir/empty"
# The daemon alone takes its commands from there.
with_path() {
  printf '#!/bin/sh\nPATH=%s exec "%s" "$@"\n' "$1" "$real" >"$fixture_dir/mailweir"
  chmod 755 "$fixture_dir/mailweir"
  MAILWEIR_BIN=$fixture_dir/mailweir
}
stub() { # stub NAME SCRIPT
  printf '#!/bin/sh\n%s\n' "$2" >"$fixture_dir/bin/$1"
  chmod 755 "$fixture_dir/bin/$1"
}
mirror() { mw_json ".mirror.$1" status; }
problems() { mw_json '.problems | join("; ")' status; }
problem_is() { wait_for "[[ \$(problems) == *'$1'* ]]" 10 || contains "$1" "$(problems)"; }
enforces() { ! greeted "$client4" "$server4" 2>/dev/null && greeted "$other4" "$server4"; }
dropped() { mw_json .dropped_packets why "$client4"; }
runs() { grep -sq '^State:[[:space:]]*[RSDT]' "/proc/$1/status"; } # one that nobody has reaped yet does not
still_enforces() {
  local before
  before=$(dropped)
  equal 100 "$(syns 100 "$client4" "$server4")" && wait_for "((\$(dropped) >= $before + 100))" 5
}

with_path "$fixture_dir/empty"
daemon_start
mw block "$client4" --for 1h >/dev/null
check "without iptables it starts and enforces" enforces
check "status calls the mirror degraded" wait_for '[[ $(mirror state) == degraded ]]' 10
check "with the way out" contains "install the package iptables" "$(problems)"
check "the log does, too" log_says "mirror degraded="
daemon_stop

with_path "$fixture_dir/bin:/usr/sbin:/usr/bin:/sbin:/bin"
for name in iptables ip6tables iptables-restore ip6tables-restore; do stub "$name" 'echo "no luck today" >&2; exit 1'; done
daemon_start
check "one that exits with 1: degraded, with its words" problem_is "mirror: iptables --version exited with 1: no luck today"
check "enforced all the same" still_enforces
daemon_stop
for name in iptables ip6tables iptables-restore ip6tables-restore; do stub "$name" 'head -c 5000 /dev/urandom'; done
daemon_start
check "one that prints garbage: degraded" problem_is "no iptables that mailweir knows"
check "enforced all the same" still_enforces
daemon_stop

# Well at the start, it fails later; and then it hangs, in a child of its own.
rm "$fixture_dir"/bin/*
stub iptables "
case \$(cat $fixture_dir/how 2>/dev/null) in
  hang) echo \$\$ >>$fixture_dir/hanging; sleep 3600 & echo \$! >>$fixture_dir/hanging; wait ;;
  fail) echo 'no luck any more' >&2; exit 1 ;;
  garbage) head -c 5000 /dev/urandom; exit 0 ;;
esac
exec /usr/sbin/iptables \"\$@\""
daemon_start
check "a good one: the mirror is written" wait_for '[[ $(mirror state) == matches ]]' 10
echo fail >"$fixture_dir/how"
check "one that begins to fail: degraded" wait_for "[[ \$(problems) == *'no luck any more'* ]]" 10
echo garbage >"$fixture_dir/how"
check "one that begins to print garbage is no reason to die" still_enforces
echo hang >"$fixture_dir/how"
check "one that hangs" wait_for "[[ -s $fixture_dir/hanging ]]" 10
began=$(date +%s%3N)
mw block 172.16.7.72 --for 1h >/dev/null
mw status >/dev/null
took=$(($(date +%s%3N) - began))
# A machine that is busy is slow, too; but who waited for iptables would take its 20 s.
check "does not hold up orders and answers ($took ms)" at_most 10000 "$took"
check "nor the kernel program" still_enforces
check "is killed after its time, and that is told" wait_for "[[ \$(problems) == *'no end after 20 s; killed'* ]]" 30
mapfile -t first_two < <(head -n 2 "$fixture_dir/hanging")
for pid in "${first_two[@]}"; do
  check "with its child, in its group ($pid)" not runs "$pid"
done
check "and is not started twice at once" at_most 4 "$(wc -l <"$fixture_dir/hanging")"
rm "$fixture_dir/how"
while read -r pid; do kill -s KILL "$pid" 2>/dev/null || :; done <"$fixture_dir/hanging"
check "a good one again: all is written" wait_for "gw iptables -w 5 -S MAILWEIR | grep -q 172.16.7.72" 30
check "and the mirror is well" wait_for '[[ $(mirror state) == matches ]]' 10
story_end
