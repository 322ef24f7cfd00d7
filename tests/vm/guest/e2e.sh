#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Some of the end-to-end stories on this kernel: the real daemon, NAT and iptables. Not all, since
# under emulation each takes from 20 to 50 s.
set -uo pipefail
stories=/mailweir/tests/e2e
export MAILWEIR_BIN=/mailweir/build/release/mailweir
export MAILWEIR_SYN=/mailweir/build/release/tools/mailweir-syn
export MW_REQUIRE=e2e
# A stand-in for the compiler.
export PATH=/mailweir/tests/vm/guest/bin:$PATH
failed=0

tell() {
  local started=$SECONDS said
  if said=$("$stories/$1.sh" "${@:2}" 2>&1); then
    echo "ok      $*: $(tail -n 1 <<<"$said") ($((SECONDS - started)) s)"
  else
    echo "NOT OK  $* ($((SECONDS - started)) s)"
    printf '%s\n' "$said"
    failed=1
  fi
}

tell story_restart xdp
tell story_restart tc
tell story_start
tell story_flood xdp iptables
exit "$failed"
