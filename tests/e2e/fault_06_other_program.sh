#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 6: another XDP program was there first. The start is refused with its id and name, and
# tc is offered; the other is untouched, and goes on beside tc.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up other
cat >"$fixture_dir/other.bpf.c" <<'C'
__attribute__((section("xdp"), used)) int other_xdp(void *ctx) { (void)ctx; return 2; }
C
clang -O2 -g -target bpf -c "$fixture_dir/other.bpf.c" -o "$fixture_dir/other.bpf.o"
gw ip link set dev "$inside_if" xdp obj "$fixture_dir/other.bpf.o" sec xdp
attached() { gw ip -d link show "$inside_if" | grep -oE 'prog/xdp id [0-9]+'; }
other=$(attached)
for choice in xdp xdp-generic; do
  config_write interfaces.attach="\"$choice\"" mirror.backend='"none"'
  : >"$daemon_log"
  check "attach = $choice is refused" not daemon_try
  check "with the other's id and name" contains "another XDP program is attached: id ${other##* } (other_xdp); it stays" "$(cat "$daemon_log")"
  check "and what works beside it" contains 'attach = \"tc\" works beside it' "$(cat "$daemon_log")"
  check "the other is untouched" equal "$other" "$(attached)"
done
config_write interfaces.attach='"tc"' mirror.backend='"none"'
daemon_start
mw block "$client4" --for 1h >/dev/null
check "tc holds the blocked source back" equal 100 "$(syns 100 "$client4" "$server4")"
check "not one packet passes" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
daemon_stop
mw detach >/dev/null
check "detach leaves the other, too" equal "$other" "$(attached)"
story_end
