#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: gateway.sh hardware|network|flood
# The guest as a NAT gateway, in the steps of a real boot: the interfaces are there, but down; then
# mailweir; then, after network-pre.target, somebody configures the network. Clients and servers are
# namespaces.
set -euo pipefail

cli() { nsenter --net=/run/netns/cli "$@"; }
srv() { nsenter --net=/run/netns/srv "$@"; }

# SYNs to port 25: the flooding client's that the program lets through, before every chain that
# mailweir mirrors into, and all that reach a server.
count_syns() {
  iptables -w 5 -t mangle -A PREROUTING -i g0 -s 172.16.7.70 -p tcp --syn --dport 25 \
    -m comment --comment through
  srv iptables -w 5 -t mangle -A PREROUTING -p tcp --syn --dport 25 -m comment --comment arrived
}

case $1 in
hardware)
  ip netns add cli
  ip netns add srv
  ip link add g0 address 02:00:00:00:00:01 type veth peer name c0 netns cli
  ip link add g1 type veth peer name s0 netns srv
  cli ip link set c0 up
  cli ip addr add 172.16.7.70/16 dev c0
  cli ip addr add 172.16.1.1/16 dev c0
  srv ip link set s0 up
  cli ip addr add 172.16.9.9/16 dev c0
  cli ip route add default via 172.16.0.1
  srv ip addr add 198.18.0.2/24 dev s0
  srv ip route add local 198.18.0.0/15 dev lo table main
  count_syns
  ;;
network)
  ip addr add 172.16.0.1/16 dev g0
  ip addr add 198.18.0.1/15 dev g1
  ip link set g1 up
  iptables -w 5 -t nat -A POSTROUTING -o g1 -j MASQUERADE
  sysctl -qw net.ipv4.ip_forward=1
  ip link set g0 up
  ;;
flood)
  # It gives up after a while without a carrier, and tries again at once.
  until cli /mailweir/build/release/tools/mailweir-syn --interface c0 --dst-mac 02:00:00:00:00:01 \
    --source 172.16.7.70 --destinations 198.18.1.25 --count 1000000 --rate 500; do :; done
  ;;
esac
