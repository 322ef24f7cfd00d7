#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A kernel that is too old is told from, in one clear line, before anything is attached.
# shellcheck source=tests/e2e/lib.sh
source /mailweir/tests/e2e/lib.sh
ip link add g0 type veth peer name c0
ip link set g0 up
printf '%s\n' 'interfaces.inside = ["g0"]' 'networks.inside = ["172.16.0.0/12"]' >/run/mailweir.toml
status=0
"$MAILWEIR_BIN" --config /run/mailweir.toml run >/run/said 2>&1 || status=$?
sed 's/^/        /' /run/said
check "it does not start" equal 1 "$status"
check "it names the kernel that is needed" contains "Linux 5.17 or newer is needed" "$(</run/said)"
check "and the one that runs" contains "$(uname -r)" "$(</run/said)"
check "in one line" equal 1 "$(wc -l </run/said)"
check "nothing is attached" not grep -q xdp <<<"$(ip -d link show g0)"
check "nothing is pinned" equal "" "$(ls /sys/fs/bpf)"
story_end
