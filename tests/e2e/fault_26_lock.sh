#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 26: somebody holds the xtables lock (a file of the story's own). The kernel program
# enforces at once, the mirror is degraded and says why, and is written when the lock is free.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up lock
mounts_up
iptables_of legacy
touch "$fixture_dir/xtables.lock" /run/xtables.lock
gw mount --bind "$fixture_dir/xtables.lock" /run/xtables.lock
config_write
server_start
daemon_start
mirror() { mw_json ".mirror.$1" status; }
in_chain() { gw iptables -w 5 -S MAILWEIR | grep -q -- "$1"; }
check "the mirror is written" wait_for '[[ $(mirror state) == matches ]]' 10

exec {lock}<"$fixture_dir/xtables.lock"
wait_for "flock -n $lock" 10 || die "the lock is not to be had"
began=$(date +%s%3N)
mw block "$client4" --for 1h >/dev/null
took=$(($(date +%s%3N) - began))
check "a block is taken at once ($took ms)" at_most 1000 "$took"
check "the kernel program enforces it" not greeted "$client4" "$server4" 2>/dev/null
check "a neighbour is greeted" greeted "$other4" "$server4"
check "the mirror is degraded" wait_for '[[ $(mirror state) == degraded ]]' 15
check "and says who holds it up" contains "xtables lock held by somebody else for 3s" "$(mirror note)"
check "so does status" contains "mirror: xtables lock held" "$(mw_json '.problems | join("; ")' status)"
began=$(date +%s%3N)
mw status >/dev/null
check "the daemon answers meanwhile" at_most 1000 "$(($(date +%s%3N) - began))"

flock -u "$lock"
check "with the lock free the rule is written" wait_for "in_chain $client4" 15
check "and the mirror is well" wait_for '[[ $(mirror state) == matches ]]' 5
check "it was told once" equal 1 "$(grep -c "mirror degraded=" "$daemon_log")"
story_end
