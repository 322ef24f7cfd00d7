#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 14: something else is pinned where mailweir pins. It is refused with its path, and
# left as it is; so is a file of another kind.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up foreign
config_write mirror.backend='"none"'
refuses() { # refuses TEXT
  : >"$daemon_log"
  if daemon_try; then
    daemon_stop
    echo "        it started"
    return 1
  fi
  at_least 1 "$daemon_status" && equal 1 "$(wc -l <"$daemon_log")" && contains "$1" "$(cat "$daemon_log")"
}
id_at() { bpftool -j map show pinned "$1" | jq .id; }
put_foreign() { # put_foreign PATH TYPE KEY VALUE ENTRIES
  bpftool map create "$1" type "$2" key "$3" value "$4" entries "$5" name foreign
  id_at "$1"
}
nothing_attached() { lacks prog/xdp "$(gw ip -d link show "$inside_if")"; }

mkdir -p "$bpffs_dir/links"
for wrong in "array 4 8 16" "hash 16 8 16"; do
  read -r type key value entries <<<"$wrong"
  id=$(put_foreign "$bpffs_dir/blocklist" "$type" "$key" "$value" "$entries")
  check "a foreign $type at a map's pin is refused" refuses "$bpffs_dir/blocklist holds something else"
  check "it is left as it is" equal "$id" "$(id_at "$bpffs_dir/blocklist")"
  check "nothing is attached" nothing_attached
  rm "$bpffs_dir/blocklist"
done
id=$(put_foreign "$bpffs_dir/blocklist" array 4 8 16)
mw detach >/dev/null 2>&1 || :
check "detach does not take it away, either" equal "$id" "$(id_at "$bpffs_dir/blocklist" 2>/dev/null || :)"
rm -f "$bpffs_dir/blocklist"
mkdir -p "$bpffs_dir/links"
mkdir "$bpffs_dir/blocklist"
check "so is a directory" refuses "$bpffs_dir/blocklist"
check "it is left, too" test -d "$bpffs_dir/blocklist"
rmdir "$bpffs_dir/blocklist"

link=$bpffs_dir/links/xdp_$(gw ip -j link show dev "$inside_if" | jq '.[0].ifindex')
id=$(put_foreign "$link" array 4 8 16)
daemon_try || :
check "a foreign map at a link's pin is left as it is" equal "$id" "$(id_at "$link" 2>/dev/null || :)"
if [[ -n $daemon_pid ]]; then daemon_stop; fi
rm -f "$link"

daemon_start
mw block "$client4" --for 1h >/dev/null
check "out of its way it starts, and enforces" equal 1000 "$(syns 1000 "$client4" "$server4")"
check "not one packet passes" equal 0 "$(syns_at gateway)"
rm "$bpffs_dir/ports"
id=$(put_foreign "$bpffs_dir/ports" array 4 8 16)
check "a foreign map that takes a pin's place later is told" wait_for \
  "mw_json '.problems[]' status | grep -q '$bpffs_dir/ports holds something else'" 10
check "and left as it is" equal "$id" "$(id_at "$bpffs_dir/ports")"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
