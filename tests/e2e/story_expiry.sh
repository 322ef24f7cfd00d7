#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_expiry.sh nft|legacy
# A block ends by itself, in the kernel and in iptables, with the daemon dead; foreign rules stay.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
backend=$1

fixture_up "expiry-$backend"
# The daemon and the story take `iptables` from here.
mkdir "$fixture_dir/bin"
for name in iptables ip6tables; do
  for suffix in "" -save -restore; do
    ln -s "/usr/sbin/xtables-$backend-multi" "$fixture_dir/bin/$name$suffix"
  done
done
PATH=$fixture_dir/bin:$PATH
gw iptables -w 5 -A FORWARD -s 172.16.99.1 -m comment --comment "SPAM_09_01_2021" -p tcp --dport 25 -j DROP
gw iptables -w 5 -N OTHER
foreign() { gw iptables-save -t filter | grep -E '^-A' | grep -v MAILWEIR; }
foreign_before=$(foreign)

config_write
server_start
daemon_start
check "status names the backend" wait_for '[[ $(mw_json .mirror.backend status) == "$backend" ]]' 10
chain_has() { gw iptables -w 5 -S MAILWEIR | grep -q -- "$1"; }

check "a block is taken" mw block "$client4" --for 8s --reason $'x\x60; -j ACCEPT "quoted" \xc3\xa4'
check "its rule is there" wait_for "chain_has $client4" 5
check "the rule has an end" chain_has datestop
check "it is dropped" not greeted "$client4" "$server4"
check "the jump is the first rule" equal MAILWEIR \
  "$(gw iptables -w 5 -S FORWARD | grep '^-A' | head -n 1 | sed 's/.* -j //')"

gw iptables -w 5 -F FORWARD
gw iptables -w 5 -A FORWARD -s 172.16.99.1 -m comment --comment "SPAM_09_01_2021" -p tcp --dport 25 -j DROP
check "a flushed jump comes back" wait_for "gw iptables -w 5 -S FORWARD | grep -q -- '-j MAILWEIR'" 10
daemon_kill9
check "it is still dropped with the daemon dead" not greeted "$client4" "$server4"
check "it passes when its time is over, daemon dead" wait_for "greeted $client4 $server4" 20
check "the rule is still there: it fell silent by itself" chain_has "$client4"

daemon_start
check "the next start clears it" wait_for "! chain_has $client4" 10
check "the chain is not left behind" gw iptables -w 5 -S MAILWEIR
check "foreign rules are as they were" equal "$foreign_before" "$(foreign)"
story_end
