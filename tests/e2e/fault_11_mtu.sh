#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 11: large frames. The program takes fragments, so native XDP attaches to a veth at MTU
# 9000, and at 65535. What the driver does refuse here is a peer with more queues: attach = "xdp"
# ends, "auto" falls back to tc and says why.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up mtu
server_start
set_mtu() {
  gw ip link set "$inside_if" mtu "$1"
  cli ip link set "$client_if" mtu "$1"
}
dropped() { # what the blocked source sends does not pass
  local before
  before=$(syns_at gateway)
  equal 100 "$(syns 100 "$client4" "$server4")" && equal "$before" "$(syns_at gateway)"
}
set_mtu 9000
config_write mirror.backend='"none"'
daemon_start
check "native XDP attaches at MTU 9000" equal xdp "$(mw_json '.interfaces[0].hook' status)"
mw block "$client4" --for 1h >/dev/null
check "the blocked source is dropped" dropped
check "a neighbour is not" greeted "$other4" "$server4"
set_mtu 65535
check "the same when the MTU is raised under it" dropped
check "a neighbour is greeted" greeted "$other4" "$server4"
daemon_stop
mw detach >/dev/null

gw ip link del "$inside_if"
# As join has it, but with more queues at the client's end than the driver can serve with XDP.
gw ip link add "$inside_if" numrxqueues 1 numtxqueues 1 type veth \
  peer name "$client_if" numtxqueues 4 numrxqueues 4 netns "$fixture_ns-cli"
gw ip link set "$inside_if" up
cli ip link set "$client_if" up
gw ip addr add 172.16.0.1/16 dev "$inside_if"
cli ip addr add "$client4/16" dev "$client_if"
cli ip addr add "$other4/16" dev "$client_if"
cli ip route add default via 172.16.0.1
: >"$daemon_log"
check "where the driver refuses, attach = xdp ends" not daemon_try
check "with one line" equal 1 "$(grep -c 'start failed=' "$daemon_log")"
check "that names the interface" contains "attach xdp to $inside_if" "$(grep 'start failed=' "$daemon_log")"
config_write mirror.backend='"none"' interfaces.attach='"auto"'
daemon_start
check "attach = auto falls back to tc" equal tc "$(mw_json '.interfaces[0].hook' status)"
check "and says why" contains "tc, since attach xdp to $inside_if" "$(mw_json '.interfaces[0].note' status)"
check "the blocked source is dropped there, too" dropped
check "a neighbour is greeted again" greeted "$other4" "$server4"
story_end
