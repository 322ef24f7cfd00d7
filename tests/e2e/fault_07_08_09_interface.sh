#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: fault_07_08_09_interface.sh xdp|tc
# FAULTS rows 7, 8 and 9: somebody takes the program off, takes the interface down, renames it,
# deletes it and makes it anew. What was blocked stays blocked.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
hook=$1

fixture_up "interface-$hook"
config_write interfaces.attach="\"$hook\"" mirror.backend='"none"'
daemon_start
mw block "$client4" --for 1h >/dev/null
flood_start "$client4" "$server4"
dropped() { mw_json .dropped_packets why "$client4"; }
drops_on() { # the flood is dropped now, not only before
  local before
  before=$(dropped)
  wait_for "((\$(dropped) > $before + 100))" 10
}
state() { mw_json '.interfaces[0] | "\(.name) \(.state)"' status; }
problems() { mw_json '.problems | join("; ")' status; }
check "the flood is dropped" drops_on

if [[ $hook == xdp ]]; then
  check "ip link set xdp off is refused by the kernel" not gw ip link set dev "$inside_if" xdp off 2>/dev/null
  check "so is another program's attach" not gw ip link set dev "$inside_if" xdpdrv off 2>/dev/null
  check "the flood is dropped" drops_on
else
  # A filter has no link. What passes until it is back is seen and told.
  flood_stop
  gw tc filter del dev "$inside_if" ingress
  check "a filter that was removed comes back" \
    wait_for "gw tc filter show dev $inside_if ingress | grep -q limit_tc" 10
  check "and that is told" contains "detached interface=$inside_if" "$(cat "$daemon_log")"
  check "status is well again" wait_for "[[ \$(state) == '$inside_if attached' ]]" 5
  flood_start "$client4" "$server4"
fi

gw ip link set "$inside_if" down
gw ip link set "$inside_if" name office0
gw ip link set office0 up
check "status shows the new name" wait_for "[[ \$(state) == 'office0 attached' ]]" 5
check "enforcement goes on under it" drops_on
config_write interfaces.attach="\"$hook\"" mirror.backend='"none"' interfaces.inside='["office0"]'
check "a reload with the new name is taken" mw reload
check "it is the same attachment, adopted" equal "office0 attached true" \
  "$(mw_json '.interfaces[0] | "\(.name) \(.state) \(.adopted)"' status)"
gw ip link set office0 down
gw ip link set office0 name "$inside_if"
gw ip link set "$inside_if" up
config_write interfaces.attach="\"$hook\"" mirror.backend='"none"'
check "and back" mw reload
check "enforcement goes on" drops_on
flood_stop
check "no packet of the blocked source passed in all this" equal 0 "$(syns_at gateway)"

gw ip link del "$inside_if"
check "status tells of the deleted interface" wait_for "[[ \$(problems) == *'$inside_if is not guarded'* ]]" 5
check "and so does its state" lacks attached "$(state)"
inside_up
check "made anew, it is guarded by itself" wait_for "[[ \$(state) == '$inside_if attached' ]]" 5
check "status is well again" equal "" "$(problems)"
check "what was sent by the blocked source" equal 1000 "$(syns 1000 "$client4" "$server4")"
check "is dropped there, too" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
