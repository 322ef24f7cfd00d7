#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What people do: block, unblock, allow, modes, bpftool, curl. The allowlist beats everything.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

write_by_hand() { # an entry of zeros for an IPv4 address: blocked for ever
  local -a octets
  IFS=. read -ra octets <<<"$1"
  bpftool map update pinned "$bpffs_dir/blocklist" key 0 0 0 0 0 0 0 0 0 0 255 255 "${octets[@]}" \
    value 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
}
exits() { # exits CODE COMMAND...
  local wanted=$1 got=0
  shift
  "$@" >/dev/null 2>&1 || got=$?
  equal "$wanted" "$got"
}
dump() { bpftool map dump pinned "$bpffs_dir/blocklist"; }

fixture_up orders
config_write mode='"observe"' networks.inside='["172.16.0.0/12", "2001:db8:1::/48"]'
server_start
daemon_start

check "a manual block is enforced in observe mode" mw block "$client4" --reason test
check "it is dropped" not greeted "$client4" "$server4"
check "bpftool shows it with field names" contains until_ns "$(dump)"
check "exit 0: why of a blocked source" exits 0 mw why "$client4"
check "exit 1: why of one never seen" exits 1 mw why 172.16.200.200
check "exit 1: unblock of one that is not blocked" exits 1 mw unblock 172.16.200.200
check "exit 2: an unknown verb" exits 2 mw frobnicate
check "exit 1: a block outside the networks" exits 1 mw block 192.0.2.1
check "exit 1: a block of the gateway itself" exits 1 mw block 172.16.0.1
check "exit 7: no daemon at the socket" exits 7 gw "$MAILWEIR_BIN" --config "$config" --socket /nonexistent/socket blocks

check "allow lifts the block" mw allow add "$client4" --reason "mail server"
check "it passes" greeted "$client4" "$server4"
check "a block of an allowed address is refused with the next command" \
  contains "mailweir allow remove $client4" "$(mw block "$client4" 2>&1 || :)"
check "allow check says yes" exits 0 mw allow check "$client4"
check "an entry by hand against the allowlist" write_by_hand "$client4"
check "is not enforced" greeted "$client4" "$server4"
check "and is taken away" wait_for "[[ \$(dump | jq length) == 0 ]]" 5
check "allow remove" mw allow remove "$client4"

check "an entry by hand" write_by_hand "$other4"
check "is enforced at once" not greeted "$other4" "$server4"
check "is adopted as a manual block" wait_for "[[ \$(mw_json '.blocks[0].origin' blocks) == bpftool ]]" 4
check "unblock ends it" mw unblock "$other4"
check "it passes again" greeted "$other4" "$server4"

forty=$(printf '198.18.%d.25,' {1..40})
# A source that no person has touched: an unblock protects its source for a while.
passed() { mw_json '[.packets.g0.passed.enforced, .packets.g0.braked.would] | add' status; }
before=$(passed)
cli ip addr add 172.16.7.99/16 dev "$client_if"
refused 172.16.7.99 "${forty%,}"
check "observe records a would-block" wait_for "[[ \$(mw_json '.blocks[0].would' blocks) == true ]]" 10
check "and drops nothing" equal "$((before + 40))" "$(passed)"
check "a would-block has no rule" not contains 172.16.7.99 "$(gw iptables -w 5 -S MAILWEIR)" >/dev/null
check "mode block" mw mode block
check "does not turn it into a block" equal 0 "$(mw_json '.blocks | length' blocks)"
daemon_stop
daemon_start
check "block mode after the restart" equal block "$(mw_json .mode status)"

check "curl reads the status" contains running "$(gw curl -s --unix-socket "$socket" http://localhost/v1/status)"
check "garbage on the socket harms nothing" bash -c \
  "head -c 100000 /dev/urandom | timeout 5 nsenter --net=/run/netns/$fixture_ns-gw curl -s --unix-socket '$socket' --data-binary @- http://localhost/v1/block >/dev/null"
check "the daemon lives" mw status >/dev/null
chmod 755 "$fixture_dir"
check "exit 4: somebody without rights" exits 4 gw setpriv --reuid 65534 --regid 65534 --clear-groups \
  "$MAILWEIR_BIN" --config "$config" --socket "$socket" blocks
check "a hostile reason is refused" exits 2 mw block "$other4" --reason $'x\n-A FORWARD -j ACCEPT'
check "and nothing was blocked" greeted "$other4" "$server4"
check "blocks come in by stdin" bash -c "printf '172.16.3.1\n172.16.3.2\n' | \
  nsenter --net=/run/netns/$fixture_ns-gw '$MAILWEIR_BIN' --config '$config' --socket '$socket' block - >/dev/null"
check "both are there" equal 2 "$(mw_json '[.blocks[] | select(.origin == "manual")] | length' blocks)"
story_end
