#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 28: the admin flushes, edits and reloads the firewall. The chain is made again, with one
# jump and no rule twice; the admin's rules stay; the kernel program enforces meanwhile.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up reload
config_write
daemon_start
mw block "$client4" "$client6" --for 1h >/dev/null
flood_start "$client4" "$server4"
whole() { # one jump, first, and each block's rule once, in both families
  local command
  for command in iptables ip6tables; do
    [[ $(gw "$command" -w 5 -S FORWARD | grep -c -- '-j MAILWEIR') == 1 ]] &&
      gw "$command" -w 5 -S FORWARD | grep '^-A' | head -n 1 | grep -q -- '-j MAILWEIR' &&
      [[ $(gw "$command" -w 5 -S MAILWEIR 2>/dev/null | grep -c -- '^-A MAILWEIR .*-j DROP') == 1 ]] ||
      return 1
  done
}
matches() { [[ $(mw_json .mirror.state status) == matches ]]; }
check "the chain is written" wait_for whole 12

gw iptables -w 5 -F
gw ip6tables -w 5 -F
check "iptables -F: the chain is made again" wait_for whole 12
gw iptables -w 5 -D FORWARD 1
check "iptables -D FORWARD 1: the jump is back" wait_for whole 12
check "and status is well" wait_for matches 12
gw iptables -w 5 -D FORWARD 1
gw iptables -w 5 -F MAILWEIR
gw iptables -w 5 -X MAILWEIR
check "iptables -X MAILWEIR: all is back" wait_for whole 12
gw iptables-save -t filter | grep '^-A.*MAILWEIR' >"$fixture_dir/rules"
{ echo '*filter'; cat "$fixture_dir/rules"; echo COMMIT; } | gw iptables-restore -w 5 --noflush
check "every rule of it appended once more: none is twice" wait_for whole 12
gw iptables-restore -w 5 <<'RULES'
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:OFFICE - [0:0]
-A FORWARD -j OFFICE
-A OFFICE -s 172.16.99.1/32 -p tcp -m tcp --dport 25 -j DROP
COMMIT
RULES
check "iptables-restore of another ruleset: the chain is in it" wait_for whole 12
check "with the admin's rules as they were" equal "-A FORWARD -j OFFICE -A OFFICE -s 172.16.99.1/32 -p tcp -m tcp --dport 25 -j DROP" \
  "$(gw iptables -w 5 -S | grep -E '^-A' | grep -v MAILWEIR | xargs)"
check "and status is well" wait_for matches 12
check "an unblock is seen in it" mw unblock "$client6"
check "and takes its rule away" wait_for "! gw ip6tables -w 5 -S MAILWEIR | grep -q -- '-j DROP'" 12

flood_stop
check "no packet of the blocked source passed meanwhile" equal 0 "$(syns_at gateway)"
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
