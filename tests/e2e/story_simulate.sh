#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An admin observes first: nobody is blocked, and simulate tells what a policy would have done, which
# other thresholds would have done what, and who looks like a mail server. A restart forgets nothing.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# networks COUNT: servers, each in a network of its own.
networks() {
  local i list=''
  for ((i = 1; i <= $1; ++i)); do list+="198.18.$i.25,"; done
  echo "${list%,}"
}
simulated() { # simulated FILTER [OPTION]...
  local filter=$1
  shift
  mw_json "$filter" simulate "$@"
}
sources() { simulated "[.$1[].source] | join(\" \")" "${@:2}"; }

fixture_up simulate
config_write mode='"observe"' mirror.backend='"none"'
server_start
daemon_start
check "nobody has mailed: there is nothing to say" not mw simulate 2>/dev/null

# Up to the threshold and well beyond it, as far as observing lets it.
refused "$client4" "$(networks 24)"
cli /usr/bin/python3 -B "$e2e_dir/mail_port.py" delivered "$other4" "$(networks 12)"
check "the bot would have been blocked" wait_for '[[ $(sources blocked) == "$client4" ]]' 15
check "both are counted" equal 2 "$(simulated .clients)"
check "nobody is" equal 0 "$(mw_json '[.blocks[] | select(.would | not)] | length' blocks)"
check "the bot still reaches a server" greeted "$client4" "$server4"
check "the other one looks like a mail server" wait_for '[[ $(sources mail_servers) == "$other4" ]]' 15
check "with the next command" contains "mailweir allow add $other4" "$(mw simulate)"
check "a score that it did not reach does not block" equal "" "$(sources blocked --score 100)"
check "nor does a gate that it did not pass" equal "" "$(sources blocked --servers 30)"
check "the table has every pair" equal 25 "$(simulated '.others | length')"
check "a gate that is not recorded is refused" not mw simulate --servers 12 2>/dev/null

daemon_stop
daemon_start
check "a restart forgets nothing" equal "$client4" "$(sources blocked)"
check "and goes on with the day" equal 2 "$(simulated .clients)"
story_end
