#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 5: an upgrade whose program the verifier refuses. The old one stays attached and
# enforces, the daemon ends with the verifier's last lines, and the right one then takes over.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up rejected
config_write mirror.backend='"none"'
daemon_start
mw block "$client4" --for 1h >/dev/null
program=$(mw_json '.interfaces[0].program_id' status)
daemon_stop
flood_start "$client4" "$server4"

good=$MAILWEIR_BIN
MAILWEIR_BIN=$fixture_dir/mailweir
/usr/bin/python3 -B "$e2e_dir/spoil_program.py" "$(dirname "$good")/bpf/mailweir.bpf.o" "$good" "$MAILWEIR_BIN"
chmod 755 "$MAILWEIR_BIN"
check "a program that the verifier refuses does not start" not daemon_try
check "the exit status says so" equal 1 "$daemon_status"
check "the verifier's last lines are told" contains "R5 !read_ok" "$(cat "$daemon_log")"
check "and that what was attached stays" contains "what was attached before stays" "$(cat "$daemon_log")"
check "the old program is still in the link" equal "$program" \
  "$(mw_json '.interfaces[0].program_id' status 2>/dev/null)"

MAILWEIR_BIN=$good
daemon_start
check "the right one takes over" equal true "$(mw_json '.interfaces[0].adopted' status)"
flood_stop
check "no packet of the blocked source passed meanwhile" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
story_end
