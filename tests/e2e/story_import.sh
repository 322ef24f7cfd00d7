#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_import.sh nft|legacy: the backend that the hand-written rules stand in.
# Rules that an admin wrote by hand are shown, adopted with comment and date, and removed only if told.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
backend=$1
first=172.16.7.70 second=172.16.7.71

tables() { gw "iptables-$backend" -w 5 "$@"; }
spam_rule() { tables -A FORWARD -s "$1" -p tcp --dport "$3" -m comment --comment "$2" -j DROP; }
forward() { tables -S FORWARD | grep -v MAILWEIR; }
imported() { mw_json "[.rules[] | select(.source == \"$1\")][0].$2" import --dry-run; }
is_blocked() { mw -o json blocks | jq -e ".blocks[] | select(.source == \"$1\" and .would == false)" >/dev/null; }

fixture_up "import-$backend"
config_write
spam_rule "$first" SPAM_09_01_2021 25
spam_rule "$second" "SPAM_17_03_2021 again" 25
spam_rule 172.16.7.72 SPAM_all 465
tables -A FORWARD -s 172.16.7.73 -p tcp --dport 25 -j DROP
daemon_start
before=$(forward)

check "not all can be adopted: exit 1" equal 1 "$(mw import --dry-run >"$fixture_dir/shown" 2>&1; echo $?)"
sed 's/^/        /' "$fixture_dir/shown"
check "the date is read, day first" equal 2021-01-09 "$(imported "$first" date)"
check "a comment of two words is one" equal "SPAM_17_03_2021 again" "$(imported "$second" comment)"
check "one that drops another port is not adopted" equal "it drops port 465, which [smtp] judge does not name" \
  "$(imported 172.16.7.72 error)"
check "a dry run blocks nobody" not is_blocked "$first"

check "an import says by exit 1 that one stays" equal 1 "$(mw import >"$fixture_dir/shown" 2>&1; echo $?)"
check "it blocks" is_blocked "$first"
check "and the other" is_blocked "$second"
check "not who was not adopted" not is_blocked 172.16.7.72
check "nor who has no such comment" not is_blocked 172.16.7.73
check "for ever" equal null "$(mw_json .decision.until why "$first")"
check "comment and date are its reason" equal "SPAM_09_01_2021, rule of 2021-01-09" \
  "$(mw_json .decision.reason why "$first")"
first_id=$(mw_json .decision.id why "$first")
check "and so does a second one" equal 1 "$(mw import >/dev/null 2>&1; echo $?)"
check "a second import decides nothing again" equal "$first_id" "$(mw_json .decision.id why "$first")"
check "the rules are left as they were" equal "$before" "$(forward)"

check "and a take-over" equal 1 "$(mw import --take-over >"$fixture_dir/shown" 2>&1; echo $?)"
sed 's/^/        /' "$fixture_dir/shown"
check "taken over: its rule is gone" not grep -q "$first" <<<"$(forward)"
check "and that of the other" not grep -q "$second" <<<"$(forward)"
check "one that was not adopted stays" grep -q 172.16.7.72 <<<"$(forward)"
check "and one of no such comment" grep -q 172.16.7.73 <<<"$(forward)"
check "the blocks stay" is_blocked "$first"
undo=$(sed -n "s/^undo: iptables-$backend //p" "$fixture_dir/shown" | head -n 1)
eval "tables $undo"
check "the undo line brings the rule back" grep -q "$first.*SPAM_09_01_2021" <<<"$(forward)"
story_end
