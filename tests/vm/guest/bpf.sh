#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The sentences about the kernel program, on this kernel: its verifier must accept the program, and
# its packets must meet the same verdicts. All of them, since all take less than two minutes.
set -uo pipefail
binaries=/mailweir/build/release/tests/bpf
export MW_REQUIRE=bpf
failed=0
for binary in "$binaries"/*_test; do
  started=$SECONDS
  if said=$("$binary" --gtest_brief=1 2>&1); then
    echo "ok      $(basename "$binary"): $(tail -n 1 <<<"$said") ($((SECONDS - started)) s)"
  else
    echo "NOT OK  $(basename "$binary") ($((SECONDS - started)) s)"
    tail -n 60 <<<"$said"
    failed=1
  fi
done
exit "$failed"
