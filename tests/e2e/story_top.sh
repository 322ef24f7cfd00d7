#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_top.sh xdp|tc
# Who sends most, by four measures and over three windows, also while a blocked client floods and
# forged sources wash the table out; and after a restart nothing of before counts as new.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
hook=$1
writer=$client4 syn_flooder=$other4 blocked=172.16.9.9 wanderer=172.16.9.10
fifteen=$(printf '198.18.%d.25,' {101..115})
mapfile -t servers < <(printf '198.18.%d.25\n' {1..40})

mail_port() { cli /usr/bin/python3 -B "$e2e_dir/mail_port.py" "$@"; }
# first BY OVER: the source at the top.
first() { mw_json '.sources[0].source' top --by "$1" --over "$2" -n 1; }
# of SOURCE KEY OVER: its number in that window; 0 if top does not know it.
of() {
  mw_json "[.sources[] | select(.source == \"$1\").window.$2] + [0] | first" top --over "$3" -n 100000
}
leads() { # leads SOURCE BY: in every window
  local over
  for over in 1m 10m 60m; do equal "$1" "$(first "$2" "$over")" || return 1; done
}
milliseconds() { # milliseconds COMMAND...: how long it took; its output is in $fixture_dir/out
  local start=${EPOCHREALTIME/./}
  "$@" >"$fixture_dir/out" 2>"$fixture_dir/err" || die "$* failed: $(cat "$fixture_dir/err")"
  echo $(((${EPOCHREALTIME/./} - start) / 1000))
}

fixture_up "top-$hook"
for address in "$blocked" "$wanderer"; do cli ip addr add "$address/16" dev "$client_if"; done
(exec nsenter --net="/run/netns/$fixture_ns-srv" -- /usr/bin/python3 -B "$e2e_dir/mail_port.py" \
  swallow) >>"$fixture_dir/server.log" 2>&1 &
server_pid=$!
wait_for "srv ss -Hltn 'sport = :25' | grep -q ." 10 || die "the server does not listen"
config_write interfaces.attach="\"$hook\"" mirror.backend='"none"' \
  networks.inside='["172.16.0.0/12", "2001:db8:1::/48"]'
daemon_start

check "nobody has sent anything yet" contains "no source has sent mail yet" "$(mw top 2>&1)"
check "one client pours much into one server" mail_port poured "$writer" "$server4" 8000000
syns 5000 "$syn_flooder" "$server4" >/dev/null
check "one mails to many servers" mail_port delivered "$wanderer" "${fifteen%,}"
check "one reaches a server before it is blocked" greeted "$blocked" "$server4"
mw block "$blocked" >/dev/null
sent=$(syns 20000 "$blocked" "$server4")

check "the writer leads by bytes" leads "$writer" bytes
check "the flooder leads by SYNs" leads "$syn_flooder" syn
check "who met many servers leads by servers" leads "$wanderer" servers
check "who is blocked and goes on leads by what was dropped" leads "$blocked" dropped
check "all that was poured is counted" at_least 8000000 "$(of "$writer" bytes 10m)"
check "and not twice" at_most 9000000 "$(of "$writer" bytes 10m)"
check "every SYN of the flood is counted" equal 5000 "$(of "$syn_flooder" syns 10m)"
check "every packet of the blocked is counted" at_least "$sent" "$(of "$blocked" dropped 1m)"
check "fifteen servers are about fifteen" at_least 14 "$(of "$wanderer" servers 10m)"
check "and no more" at_most 17 "$(of "$wanderer" servers 10m)"
check "the window stands in the header" contains "SYN/60m" "$(mw top --over 60m 2>/dev/null)"
check "a young daemon says how long it has counted" contains "the daemon counts since" \
  "$(mw top --over 60m 2>&1 >/dev/null)"
check "a window that is not kept is a usage error" equal 2 \
  "$(mw top --over 5m >/dev/null 2>&1 && echo 0 || echo $?)"

before=$(of "$blocked" dropped 10m)
flood_start "$blocked" "$server4" 500000
check "the flood shows" wait_for "((\$(of $blocked dropped 10m) > $before + 10000))" 20
took=$(milliseconds mw top --by dropped --over 1m)
check "top answers while it runs" at_most 1000 "$took"
check "and has the flooder first" contains "$blocked" "$(sed -n 2p "$fixture_dir/out")"
echo "        $took ms"
flood_stop

# What the program makes of the forged is told, not what conntrack and the neighbour table do.
gw iptables -w 5 -t raw -A PREROUTING -i "$inside_if" -p tcp --dport 25 -j DROP
gateway_mac=$(gw ip -j link show dev "$inside_if" | jq -r '.[0].address')
cli /usr/bin/python3 -B "$e2e_dir/forged_flood.py" "$client_if" "$gateway_mac" 100000 "${servers[@]}" \
  >"$fixture_dir/forged" 2>>"$fixture_dir/flood.log"
check "the table is full of forged sources" wait_for "((\$(mw_json .sources.tracked status) > 60000))" 20
took=$(milliseconds mw top --by dropped --over 10m)
check "top answers all the same" at_most 1000 "$took"
check "and has who was blocked first" contains "$blocked" "$(sed -n 2p "$fixture_dir/out")"
echo "        $took ms, $(mw_json .sources.tracked status) tracked"
check "the writer is not washed out of the hour" equal "$writer" "$(first bytes 60m)"
gw iptables -w 5 -t raw -F PREROUTING

mail_port delivered "$wanderer" "$server4"
total=$(mw_json .total.syns why "$wanderer")
check "before the restart there is something to forget" at_least 1 "$total"
daemon_stop
daemon_start
check "after a restart nothing of before is new" equal 0 "$(of "$wanderer" syns 60m)"
check "nor what the block had dropped" equal 0 "$(of "$blocked" dropped 60m)"
mail_port delivered "$wanderer" "$server4"
check "what comes then is" wait_for "((\$(of $wanderer syns 60m) == 1))" 10
check "and its total goes on" equal "$((total + 1))" "$(mw_json .total.syns why "$wanderer")"
story_end
