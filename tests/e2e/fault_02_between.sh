#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FAULTS row 2: kill -9 exactly between the steps of an order: record, kernel map, answer, mirror.
# strace delivers the signal as the named system call is entered, so there is no test code in the
# product. The next start makes all agree with the record.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

orders() { # orders one|compare ARGUMENT...
  local what=$1
  shift
  gw /usr/bin/python3 -B "$e2e_dir/orders_ledger.py" "$what" "$fixture_dir/ledger" "$@" \
    "$MAILWEIR_BIN" --config "$config" --socket "$socket"
}
compared() { orders compare "$state_dir" "$bpffs_dir"; }

# killed_at CALL N VERB SOURCE: the daemon dies as it enters its N-th such call within that order.
killed_at() {
  # The first write after a start begins the journal file anew, with a sync of its own.
  orders one block 172.16.1.250 && orders one unblock 172.16.1.250
  : >"$fixture_dir/strace"
  strace -f -p "$daemon_pid" -e "trace=$1" -e "inject=$1:signal=SIGKILL:when=$2" \
    -o "$fixture_dir/calls" 2>"$fixture_dir/strace" &
  local tracer_pid=$! died=0
  wait_for "grep -q attached $fixture_dir/strace" 10 || die "strace does not attach: $(cat "$fixture_dir/strace")"
  {
    orders one "$3" "$4" || :
    wait_for "grep -q 'killed by SIGKILL' $fixture_dir/calls" 5 || died=1
    stop "$tracer_pid" TERM
    daemon_kill9
  } 2>/dev/null # the shell reports children that were killed
  return "$died"
}

in_kernel() { [[ $(bpftool -j map dump pinned "$bpffs_dir/blocklist" | jq length) == "$1" ]]; }
repaired() { tail -n +"$((lines + 1))" "$daemon_log" | grep -c "repaired what=.*$1" || :; }
# through CALL N VERB SOURCE: ... and the next start makes everything agree.
through() {
  check "$3: the daemon dies at $1 $2" killed_at "$@"
  lines=$(wc -l <"$daemon_log")
  daemon_start
  check "then record, kernel map and CLI agree" compared
}

fixture_up between
config_write mirror.backend='"none"'
daemon_start

# A block: numbered in the kernel, 8 writes of the record, its sync, the kernel map, log, answer.
through pwrite64 1 block 172.16.1.11
check "never decided: not blocked" in_kernel 0
through pwrite64 8 block 172.16.1.12
check "half a record is none" in_kernel 0
through fdatasync 1 block 172.16.1.13
check "recorded, so it is put into the kernel map" equal 1 "$(repaired "block put back: 172.16.1.13")"
check "and is there" in_kernel 1
through write 1 block 172.16.1.14
check "decided, and nobody heard it: nothing to repair" equal 0 "$(repaired .)"
check "it holds" in_kernel 2

# A block that takes over from another: two records.
through fdatasync 1 block 172.16.1.14
check "the younger decision replaces the older" equal 1 "$(repaired "older decision replaced: 172.16.1.14")"
through fdatasync 2 block 172.16.1.14
check "one entry of each" in_kernel 2

# An unblock: the record of its end, its sync, the kernel map.
through pwrite64 6 unblock 172.16.1.13
check "half an end is none" in_kernel 2
through fdatasync 1 unblock 172.16.1.13
check "ended on record, so it is taken out of the kernel map" equal 1 \
  "$(repaired "taken out of the kernel: 172.16.1.13")"
check "and is gone" in_kernel 1
through write 1 unblock 172.16.1.14
check "ended, and nobody heard it" in_kernel 0

# The allowlist lifts a block: record of the entry, then the end of the block.
orders one block 172.16.1.15
through fdatasync 1 allow 172.16.1.15
orders one block 172.16.1.16
through fdatasync 2 allow 172.16.1.16
check "what is allowed is not blocked" in_kernel 0
daemon_stop

# With the mirror, which comes last: its input is made in memory, then iptables-restore runs.
config_write
daemon_start
in_chain() { gw iptables -w 5 -S MAILWEIR 2>/dev/null | sed -nE 's/^-A MAILWEIR -s ([0-9.]+).*/\1/p' | sort | xargs; }
blocked() { mw_json '.blocks[].source' blocks | sort | xargs; }
chain_agrees() { [[ $(in_chain) == "$(blocked)" ]] && gw iptables -w 5 -S FORWARD | grep -c -- '-j MAILWEIR' | grep -qx 1; }
check "the chain is written" wait_for chain_agrees 10
through memfd_create 1 block 172.16.1.21
check "and the chain, too" wait_for chain_agrees 10
through memfd_create 3 unblock 172.16.1.21
check "and the chain, too" wait_for chain_agrees 10
through fdatasync 1 block 172.16.1.22
check "and the chain, too" wait_for chain_agrees 10
check "a neighbour's pass" equal 100 "$(syns 100 "$other4" "$server4")"
check "and reach the server" wait_for '(($(syns_at server) == 100))' 5
story_end
