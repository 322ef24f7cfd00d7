#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 38: the socket of a daemon that was killed, and a second daemon beside a living one.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up socket
config_write mirror.backend='"none"'
refuses() { # refuses TEXT
  local before=$daemon_pid
  : >"$daemon_log"
  if daemon_try; then
    daemon_stop
    daemon_pid=$before
    echo "        it started"
    return 1
  fi
  equal 1 "$daemon_status" && equal 1 "$(wc -l <"$daemon_log")" && contains "$1" "$(cat "$daemon_log")"
}
daemon_start
daemon_kill9
check "a killed daemon leaves its socket" test -S "$socket"
daemon_start
check "the next one takes over" equal true "$(mw_json .running status)"
mw block "$client4" --for 1h >/dev/null
first=$daemon_pid program=$(mw_json '.interfaces[0].program_id' status)
check "a second daemon is refused with the pid of the first" refuses "another mailweir (pid $first) has $socket"
check "the first answers on" equal "$first" "$(mw_json .pid status)"
check "its program is still the one" equal "$program" "$(mw_json '.interfaces[0].program_id' status)"
mkdir -m 700 "$fixture_dir/second"
config_write mirror.backend='"none"' socket="\"$fixture_dir/second.sock\"" state_dir="\"$fixture_dir/second\""
check "so it is with a socket of its own, on the pins of the first" refuses "another mailweir (pid $first)"
config_write mirror.backend='"none"'
rm "$socket"
check "so it is when somebody removed the socket file" refuses "another mailweir (pid $first)"
daemon_kill9

echo precious >"$fixture_dir/file"
mv "$fixture_dir/file" "$socket"
check "a file that is no socket is refused" refuses "$socket exists and is not a socket"
check "and left as it is" equal precious "$(cat "$socket")"
rm "$socket"
daemon_start
check "out of the way it starts" equal 1 "$(mw_json '.blocks | length' blocks)"
check "what was sent by the blocked source" equal 100 "$(syns 100 "$client4" "$server4")"
check "is dropped" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
