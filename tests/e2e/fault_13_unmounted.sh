#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: fault_13_unmounted.sh xdp|tc
# FAULTS row 13: the bpffs under a running daemon is unmounted, and a pin is removed by hand. What
# the daemon holds goes on enforcing, status says what is wrong, and the pins come back.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
hook=$1

fixture_up "unmounted-$hook"
mounts_up
own_bpffs=$fixture_dir/bpf
mkdir "$own_bpffs"
gw mount -t bpf bpf "$own_bpffs"
config_write bpffs_dir="\"$own_bpffs/mailweir\"" interfaces.attach="\"$hook\"" mirror.backend='"none"'
daemon_start
mw block "$client4" --for 1h >/dev/null
flood_start "$client4" "$server4"
dropped() { mw_json .dropped_packets why "$client4"; }
drops_on() {
  local before
  before=$(dropped)
  wait_for "((\$(dropped) > $before + 100))" 10
}
pins() { gw find "$own_bpffs" -mindepth 1 | sort; }
pin_problem() { mw_json '.problems[] | select(startswith("pins: "))' status; }
pins_before=$(pins)
check "the flood is dropped" drops_on

gw sh -c "rm $own_bpffs/mailweir/blocklist $own_bpffs/mailweir/links/*"
check "pins that were removed come back, of maps and of the attachment" wait_for "[[ \$(pins) == '$pins_before' ]]" 10
check "and is the same map" equal 70 "$(gw bpftool -j map dump pinned "$own_bpffs/mailweir/blocklist" |
  jq '.[0].formatted.key.bytes[15]')"
check "the flood is dropped all the time" drops_on

gw umount "$own_bpffs"
check "status tells of the unmounted bpffs" wait_for "[[ -n \$(pin_problem) ]]" 10
check "with what a stop would do" contains "a stop of it lets everything pass" "$(pin_problem)"
check "and the log does" contains "maps pins=" "$(cat "$daemon_log")"
check "the flood is dropped without any pin" drops_on
check "so that the interface is guarded, and status says so" equal attached "$(mw_json '.interfaces[0].state' status)"
check "an order is taken and enforced" mw block 172.16.7.71 --for 1h
gw mount -t bpf bpf "$own_bpffs"
check "mounted again, it is pinned again" wait_for "[[ \$(pins) == '$pins_before' ]]" 10
check "and status is well" wait_for "[[ \$(mw_json '.problems | length' status) == 0 ]]" 5
if [[ $hook == tc ]]; then
  check "there is one filter" equal 1 "$(gw tc filter show dev "$inside_if" ingress | grep -c limit_tc)"
fi

daemon_kill9
daemon_start
check "the next start adopts the new pins" equal true "$(mw_json '.interfaces[0].adopted' status)"
check "with what was blocked" equal "172.16.7.70 172.16.7.71" "$(mw_json '.blocks[].source' blocks | sort | xargs)"
check "the flood is dropped" drops_on
flood_stop
check "no packet of the blocked source passed in all this" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
