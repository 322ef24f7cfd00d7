#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 4, from the command line: maps of another size are kept until somebody migrates, and
# that opens no gap. (Another layout: tests/bpf/upgrade_test.cc, which has an older program.)
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up migrate
capacity() { mw_json "$1.capacity" status; }
program() { mw_json '.interfaces[0].program_id' status 2>/dev/null || :; }
dropped() { mw_json .dropped_packets why "$client4"; }

for hook in xdp tc; do
  config_write interfaces.attach="\"$hook\"" mirror.backend='"none"' maps.sources=2048 maps.blocks=2048
  check "before the first start there is nothing to migrate ($hook)" contains "nothing of mailweir is pinned" \
    "$(mw migrate 2>&1 || :)"
  daemon_start
  mw block "$client4" --for 1h --reason "complaint 4711" >/dev/null
  mw block "$client6" --for 1h >/dev/null
  flood_start "$client4" "$server4"
  check "the flood is dropped" wait_for '(($(dropped) > 1000))' 10
  check "migrate is refused while the daemon runs" not mw migrate 2>/dev/null
  daemon_stop

  config_write interfaces.attach="\"$hook\"" mirror.backend='"none"' maps.sources=4096 maps.blocks=8192
  daemon_start
  check "a start keeps the sizes, and says what to do" contains "mailweir migrate" "$(cat "$daemon_log")"
  check "they are the old ones" equal 2048 "$(capacity .blocks)"
  before=$(dropped)
  daemon_stop
  program=$(program)
  check "a dry run tells" contains "map blocklist: 2 of 16 bytes taken over" "$(mw migrate --dry-run)"
  check "and changes nothing" equal "$program" "$(program)"
  check "migrate" mw migrate >/dev/null
  check "another program is attached" not equal "$program" "$(program)" >/dev/null
  check "a second time there is nothing to do" contains "nothing to migrate" "$(mw migrate)"
  daemon_start
  check "the new sizes are there" equal "4096 8192" "$(capacity .sources) $(capacity .blocks)"
  check "the program was adopted" equal true "$(mw_json '.interfaces[0].adopted' status)"
  check "the counts went on" at_least "$before" "$(dropped)"
  check "who and why are still told" contains "complaint 4711" "$(mw why "$client4")"
  flood_stop
  check "no packet of the blocked source passed meanwhile ($hook)" equal 0 "$(syns_at gateway)"
  daemon_stop
  mw detach >/dev/null 2>&1
  rm -rf "${state_dir:?}"/*
done
config_write mirror.backend='"none"'
daemon_start
check "a neighbour's SYNs pass" equal 100 "$(syns 100 "$other4" "$server4")"
story_end
