#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_shield.sh nft|legacy: the backend of the rules.
# Ports that are closed toward the clients: from client to client in the program, from outside by
# rules of MAILWEIR_SHIELD. Answers, other ports and clients with a server of their own pass.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
backend=$1
served=172.16.0.25

# listen cli|srv|gw ADDRESS PORT
listen() {
  (exec nsenter --net="/run/netns/$fixture_ns-$1" -- /usr/bin/python3 -B -c '
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
at = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
while True:
    peer = at.accept()[0]
    peer.sendall(b"220 here\r\n")
    peer.close()
' "$2" "$3") &
  helper_pids+=($!)
  wait_for "in_ns $1 ss -Hltn 'sport = :$3' | grep -q ." 10 || die "nobody listens on port $3"
}
# reached cli|srv|two SOURCE DESTINATION PORT: the other end's greeting comes.
reached() {
  in_ns "$1" /usr/bin/python3 -B -c '
import socket, sys
source, destination, port = sys.argv[1:4]
with socket.create_connection((destination, int(port)), 1.5, (source, 0)) as end:
    sys.exit(0 if end.recv(64) else 1)
' "$2" "$3" "$4" 2>/dev/null
}
shielded() { mw_json '[.packets[].shielded.enforced] | add' status; }
tool4() { gw "iptables-$backend" -w 5 "$@"; }
# rule_packets COMMENT: what the rules of IPv4 with this comment have counted.
rule_packets() { tool4 -L MAILWEIR_SHIELD -v -n -x | awk -v c="$1" '$0 ~ c { n += $1 } END { print n + 0 }'; }
jump_place() { tool4 -S FORWARD | grep '^-A' | grep -n MAILWEIR_SHIELD | cut -d: -f1; }

fixture_up "shield-$backend"
namespaces+=(two)
iptables_of "$backend"
# A second client, in a namespace of its own behind the same inside interface: the gateway forwards
# between them.
ip netns add "$fixture_ns-two"
in_ns two ip link set lo up
gw ip link add g2 type veth peer name c2 netns "$fixture_ns-two"
gw ip link set g2 up
in_ns two ip link set c2 up
gw ip addr add 172.17.0.1/24 dev g2
in_ns two ip addr add 172.17.0.70/24 dev c2
in_ns two ip route add default via 172.17.0.1
cli ip addr add "$served/16" dev "$client_if"
listen two 172.17.0.70 445
listen two 172.17.0.70 80
listen two 172.17.0.70 25
listen cli 0.0.0.0 25
listen cli 0.0.0.0 445
listen srv 0.0.0.0 445
listen gw 172.16.0.1 25
srv ip route add 172.16.0.0/12 via 198.18.0.1
networks='["172.16.0.0/12", "2001:db8:1::/48"]'

# Outside reaches the clients where no shield is: routed addresses, without NAT toward them.
config_write networks.inside="$networks"
daemon_start
check "without a shield: client to client" reached cli "$client4" 172.17.0.70 445
check "without a shield: from outside" reached srv 198.18.0.2 "$client4" 25
check "and there is no chain" not tool4 -S MAILWEIR_SHIELD

config_write networks.inside="$networks" shield.ports='[25, 135, 139, 445]' shield.allow="[\"$served\"]"
check "a reload takes the shield" mw reload
check "the chain is there" wait_for "mw_json .shield.state status | grep -qx matches" 10
check "its jump stands behind that of the blocks" equal 2 "$(jump_place)"
tool4 -S MAILWEIR_SHIELD | sed 's/^/        /'

# ---- client to client, in the program
check "a worm's SYN from client to client is dropped" not reached cli "$client4" 172.17.0.70 445
check "and counted" at_least 1 "$(shielded)"
check "so is one to port 25" not reached cli "$client4" 172.17.0.70 25
check "another port is open" reached cli "$client4" 172.17.0.70 80
check "a server outside is, on the same port" reached cli "$client4" 198.18.1.25 445
check "the gateway's own mail server is" reached cli "$client4" 172.16.0.1 25

# ---- from outside, by the rules
check "from outside to a client" not reached srv 198.18.0.2 "$client4" 25
check "its rule counts" at_least 1 "$(rule_packets SMTP_Blocked_to_local)"
check "to a worm port" not reached srv 198.18.0.2 "$client4" 445
check "its rule counts" at_least 1 "$(rule_packets SHIELD_445)"
check "the client with a server of its own is reached" reached srv 198.18.0.2 "$served" 25
check "mail out goes on, and is answered" reached cli "$other4" 198.18.1.25 445

# ---- the allowlist beats it, in the program and in the rules
check "a client is allowed" mw allow add "$client4" --reason "test"
check "its rules follow" wait_for "tool4 -S MAILWEIR_SHIELD | grep -q -- '-s $client4'" 20
check "it reaches another client on a worm port" reached cli "$client4" 172.17.0.70 445
check "and others do not" not reached cli "$other4" 172.17.0.70 445
check "not allowed any more" mw allow remove "$client4"
check "its rules go" wait_for "! tool4 -S MAILWEIR_SHIELD | grep -q -- '-s $client4'" 20
check "it does not reach it" not reached cli "$client4" 172.17.0.70 445

# ---- what comes behind a port forwarding
gw "iptables-$backend" -w 5 -t nat -A PREROUTING -i "$outside_if" -p tcp --dport 2525 -j DNAT --to-destination "$served:25"
check "a port forwarding to it works" reached srv 198.18.0.2 198.18.0.1 2525
gw "iptables-$backend" -w 5 -t nat -A PREROUTING -i "$outside_if" -p tcp --dport 2526 -j DNAT --to-destination "$client4:25"
check "one to another client does not" not reached srv 198.18.0.2 198.18.0.1 2526

# ---- drift, counters, the end
counted=$(rule_packets SMTP_Blocked_to_local)
check "the counters survive the checks" wait_for "mw_json '.mirror.checked_seconds_ago' status | grep -qx 0" 15
check "they are the kernel's own" equal "$counted" "$(rule_packets SMTP_Blocked_to_local)"
tool4 -F MAILWEIR_SHIELD
check "a chain that was emptied is filled again" wait_for "tool4 -S MAILWEIR_SHIELD | grep -q SHIELD_445" 20
check "and it is said" log_says "shield repaired="
check "from outside again" not reached srv 198.18.0.2 "$client4" 25
counted=$(rule_packets SMTP_Blocked_to_local)
tool4 -I FORWARD 1 -s 192.0.2.1 -j ACCEPT
check "a jump that was pushed down comes up again" wait_for "[[ \$(jump_place) == 2 ]]" 20
check "and the counters stay" equal "$counted" "$(rule_packets SMTP_Blocked_to_local)"
daemon_stop
check "the rules outlive the daemon" tool4 -S MAILWEIR_SHIELD
check "so does the program" not reached cli "$client4" 172.17.0.70 445
daemon_start
config_write networks.inside="$networks"
check "without ports" mw reload
check "the chain goes" wait_for "! tool4 -S MAILWEIR_SHIELD 2>/dev/null" 10
check "and client to client is open" reached cli "$client4" 172.17.0.70 445
config_write networks.inside="$networks" shield.ports='[445]'
check "again" mw reload
check "it is back" wait_for "tool4 -S MAILWEIR_SHIELD 2>/dev/null | grep -q 445" 10
daemon_stop
check "detach leaves nothing" mw detach
check "no chain" not tool4 -S MAILWEIR_SHIELD
check "no jump" not grep -q MAILWEIR <<<"$(tool4 -S FORWARD)"
story_end
