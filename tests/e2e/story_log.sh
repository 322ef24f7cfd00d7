#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: story_log.sh xdp|tc: the hook.
# The SYN log: byte for byte what the kernel's own LOG target says of the same packet, within its
# limits under a flood, rotated by logrotate, filtered by rsyslog, and over by itself.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
hook=$1
all_netns=''

put_back() {
  if [[ -n $all_netns ]]; then echo "$all_netns" >/proc/sys/net/netfilter/nf_log_all_netns; fi
  umount -l "$fixture_dir/small" 2>/dev/null
}

# The part of each line that LOG writes; what stands before it is syslog's.
ours() { sed -n 's/.*\(MAILWEIR IN=.*\)/\1/p' "$log_file"; }
kernels() { dmesg | sed -n "s/.*$mark \(IN=.*\)/MAILWEIR \1/p"; }
lines() { grep -c 'MAILWEIR IN=' "$log_file" || :; }
has_lines() { (($(lines) >= $1)); }
is_off() { mw_json .on log | grep -qx false; }

fixture_up "log-$hook"
at_end=put_back
log_file=$fixture_dir/smtp.log
mark=MW$$
config_write interfaces.attach="\"$hook\"" log.file="\"$log_file\"" log.total='"500/s"' \
  log.limit='"5/min"' mirror.backend='"none"'
daemon_start
server_start

# ---- equal to the kernel's

all_netns=$(cat /proc/sys/net/netfilter/nf_log_all_netns) || skip "this kernel has no LOG target"
echo 1 >/proc/sys/net/netfilter/nf_log_all_netns
check "nothing is logged before it is asked for" greeted "$client4" "$server4"
check "not a line" not grep -qs . "$log_file"
for tool in iptables ip6tables; do
  gw "$tool" -w 5 -t raw -A PREROUTING -i "$inside_if" -p tcp --syn --dport 25 -j LOG --log-prefix "$mark "
done
check "on" mw log on --for 30m
check "a connection by IPv4" greeted "$client4" "$server4"
check "and by IPv6" greeted "$client6" "$server6"
check "a SYN with ECN bits" equal 1 "$(syns 1 "$client4" 198.18.3.25 --flags syn,ece,cwr)"
check "a SYN with URG and PSH" equal 1 "$(syns 1 "$client6" 2001:db8:1003::25 --flags syn,urg,psh)"
cli iptables -w 5 -t mangle -A OUTPUT -p tcp -j TOS --set-tos 0xb8
check "a connection with TOS and precedence" greeted "$other4" "$server4"
cli ip6tables -w 5 -t mangle -A OUTPUT -p tcp -j TOS --set-tos 0x28
check "and with a traffic class" greeted "$other6" "$server6"
check "all six are in the log" wait_for "has_lines 6" 10
check "each is byte for byte the kernel's line" equal "$(kernels)" "$(ours)"
ours | head -n 3 | sed 's/^/        /'
for tool in iptables ip6tables; do gw "$tool" -w 5 -t raw -F; done
check "a line reads as the kernel's in a log" grep -qE \
  "^[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} $fixture_name kernel: \[ *[0-9]+\.[0-9]{6}\] MAILWEIR IN=$inside_if OUT= MAC=" "$log_file"
check "replay reads it" equal "$(lines)" "$(mw replay "$log_file" -o json 2>/dev/null | jq .frames)"

# ---- limits

check "a source has five lines a minute" equal 50 "$(syns 50 172.16.9.9 "$server4")"
check "and no more" wait_for "(( \$(grep -c 'SRC=172.16.9.9 DST' '$log_file') == 5 ))" 5
check "the rest is told in one line" wait_for "grep -qE 'MAILWEIR-SUPPRESSED SRC=172.16.9.9 N=45 SECONDS=[0-9]+' '$log_file'" 15
before=$(lines)
started=$EPOCHREALTIME
flooded=$(syns 100000 172.16.64.0/18 198.18.0.0/16 --rate max)
took=$(awk "BEGIN { print int($EPOCHREALTIME - $started) + 2 }")
check "a flood of many sources" equal 100000 "$flooded"
check "is limited in total: 500 a second" at_most $((500 * took)) $(($(lines) - before))
check "and lines there are, in every second of it" at_least $((300 * (took - 2))) $(($(lines) - before))
check "what was suppressed is counted" wait_for "(( \$(mw_json .log.suppressed status) > 90000 ))" 10

# ---- one source; its end

check "of one source" mw log on --source "$other6" --for 3s
before=$(lines)
syns 3 172.16.10.10 198.18.5.25 >/dev/null
check "another one is not logged" equal "$before" "$(lines)"
check "a network is no source: exit 2" equal 2 "$(mw log on --source 172.16.0.0/16 >/dev/null 2>&1; echo $?)"
check "nor is who is not inside" equal 2 "$(mw log on --source 198.18.1.25 >/dev/null 2>&1; echo $?)"
check "it ends by itself" wait_for is_off 10
check "and is said" log_says "log off by=auto"
check "nothing is logged then" equal 3 "$(syns 3 172.16.11.11 198.18.5.25)"
check "not a line" not grep -q 172.16.11.11 "$log_file"

# ---- logrotate and SIGUSR1

check "on" mw log on --for 30m
rotate=$fixture_dir/logrotate.conf
sed -e "s|/var/log/mailweir/smtp.log|$log_file|" -e "s|^\( *\)systemctl kill.*|\1kill -USR1 $daemon_pid|" \
  -e '/^ *su /d; /^ *create /d' "$root/packaging/logrotate.conf" >"$rotate"
check "the logrotate file names the log" grep -q "$log_file" "$rotate"
chmod 644 "$rotate"
check "logrotate takes it" logrotate --state "$fixture_dir/logrotate.state" --force "$rotate"
check "the old lines are in the old file" grep -q "SRC=172.16.9.9" "$log_file.1"
syns 1 172.16.12.12 198.18.5.25 >/dev/null
check "and new ones in the new one" wait_for "grep -qs 'SRC=172.16.12.12' '$log_file'" 10
check "not in the old one" not grep -q 172.16.12.12 "$log_file.1"

# ---- a disk that is full

check "off" mw log off
mkdir "$fixture_dir/small"
mount -t tmpfs -o size=64k tmpfs "$fixture_dir/small"
config_write interfaces.attach="\"$hook\"" log.file="\"$fixture_dir/small/smtp.log\"" mirror.backend='"none"'
check "another file" mw reload
check "on" mw log on --for 30m
head -c 70000 /dev/zero >"$fixture_dir/small/fill" 2>/dev/null || :
syns 4 172.16.13.0/24 198.18.5.25 >/dev/null
check "a full disk is said once" log_says "log failed="
check "status tells it" contains "No space" "$(mw_json '.problems[]' status)"
check "and everything passes as before" greeted "$client4" "$server4"
rm "$fixture_dir/small/fill"
syns 4 172.16.14.0/24 198.18.5.25 >/dev/null
check "with space it goes on" wait_for "grep -qs 'SRC=172.16.14' '$fixture_dir/small/smtp.log'" 10
check "no line is cut" not grep -qvE 'URGP=[0-9]+ $|MAILWEIR-SUPPRESSED' "$fixture_dir/small/smtp.log"
umount -l "$fixture_dir/small"

# ---- rsyslog

daemon_stop
sed "s|/var/log/mailweir/smtp.log|$fixture_dir/by-rsyslog.log|" "$root/packaging/rsyslog.conf" >"$fixture_dir/filter.conf"
cat >"$fixture_dir/rsyslog.conf" <<EOF
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$fixture_dir/devlog" CreatePath="on")
include(file="$fixture_dir/filter.conf")
*.* $fixture_dir/all-else.log
EOF
(exec rsyslogd -n -f "$fixture_dir/rsyslog.conf" -i "$fixture_dir/rsyslog.pid") >"$fixture_dir/rsyslog.out" 2>&1 &
helper_pids+=($!)
wait_for "[[ -S $fixture_dir/devlog ]]" 10 || die "rsyslog does not listen: $(cat "$fixture_dir/rsyslog.out")"
# A /dev of the daemon's own, in which /dev/log leads to this rsyslog.
mounts_up
mkdir "$fixture_dir/dev"
for node in null zero random urandom; do
  : >"$fixture_dir/dev/$node"
  gw mount --bind "/dev/$node" "$fixture_dir/dev/$node"
done
ln -s "$fixture_dir/devlog" "$fixture_dir/dev/log"
gw mount --rbind "$fixture_dir/dev" /dev
config_write interfaces.attach="\"$hook\"" log.file='"syslog"' log.enabled=true mirror.backend='"none"'
daemon_start
syns 2 172.16.15.15 198.18.5.25 >/dev/null
check "rsyslog's filter puts the lines into their own file" \
  wait_for "grep -qs 'MAILWEIR IN=$inside_if .*SRC=172.16.15.15' '$fixture_dir/by-rsyslog.log'" 10
check "and nowhere else" not grep -qs 172.16.15.15 "$fixture_dir/all-else.log"
story_end
