#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The service as an administrator has it, from `cmake --install` on: what was decided before a reboot
# holds from the first packet after it; a restart, a crash and a stop open nothing. The client floods
# all the time from the second boot on. Its SYNs are counted before the mirror's rules could drop them.
# shellcheck source=tests/e2e/lib.sh
source /mailweir/tests/e2e/lib.sh
kept=/var/lib/vm-test
client=172.16.7.70 neighbour=172.16.1.1 bot=172.16.9.9

# when UNIT EVENT: in microseconds since power on.
when() { systemctl show -P "$2TimestampMonotonic" "$1"; }
is_active() { systemctl is-active -q "$1"; }
active_again() { is_active mailweir && [[ $(systemctl show -P MainPID mailweir) != "$1" ]]; }
json() { mailweir -o json "${@:2}" | jq -r "$1"; }
dropped() { json .dropped_packets why "$client"; }

# through: SYNs of the client that the program let pass. arrived: SYNs that reached the servers.
through() { iptables-save -c -t mangle | sed -nE 's/^\[([0-9]+):.*--comment through.*/\1/p'; }
arrived() {
  nsenter --net=/run/netns/srv iptables-save -c -t mangle |
    sed -nE 's/^\[([0-9]+):.*--comment arrived.*/\1/p'
}

# drops_on: the flood is being sent, and dropped, now.
drops_on() {
  local before
  before=$(dropped)
  wait_for "((\$(dropped) > $before + 100))" 15
}

# leaks_nothing SENTENCE: of all the flood's packets since power on.
leaks_nothing() {
  check "$1" equal 0 "$(through)"
}

send_as_neighbour() {
  nsenter --net=/run/netns/cli "$MAILWEIR_SYN" --interface c0 --dst-mac 02:00:00:00:00:01 \
    --source "$neighbour" --destinations 198.18.1.25 --count 100 --rate 200 | jq .sent
}

# in_kernel: until when the kernel's own map blocks the client, in seconds since 1970.
in_kernel() {
  bpftool -j map lookup pinned /sys/fs/bpf/mailweir/blocklist key \
    0 0 0 0 0 0 0 0 0 0 255 255 172 16 7 70 |
    jq --argjson now "$(date +%s.%N)" --argjson up "$(cut -d ' ' -f 1 /proc/uptime)" \
      '.formatted.value.until_ns / 1e9 - $up + $now | round'
}

first_boot() {
  cp -a /mailweir/dest/. /
  cp /mailweir/tests/vm/guest/units/* /etc/systemd/system/
  mkdir -p /etc/mailweir
  sed 's/"eth1"/"g0"/' /usr/share/doc/mailweir/examples/mailweir.toml >/etc/mailweir/mailweir.toml
  systemd-sysusers
  systemctl daemon-reload
  check "systemd finds nothing to say against the unit" systemd-analyze verify mailweir.service
  systemctl start vm-hardware
  check "enabled and started" systemctl enable -q --now mailweir
  systemctl start vm-network
  check "it is ready" mailweir status
  check "a block" mailweir block "$client" --for 10m --reason "complaint 4711"
  check "an allow" mailweir allow add 172.16.0.25 --reason "mail server"
  check "a mode" mailweir mode block
  mkdir -p "$kept"
  date -d "$(json '.blocks[0].until' blocks)" +%s >"$kept/until"
  systemctl enable -q vm-hardware vm-network vm-flood
  sync
}

second_boot() {
  local pid
  check "the network comes up" wait_for "is_active vm-network" 60
  check "the flood began before mailweir was ready" \
    at_least "$(when vm-flood ExecMainStart)" "$(when mailweir ActiveEnter)"
  check "and mailweir was ready before the network was" \
    at_least "$(when mailweir ActiveEnter)" "$(when vm-network ExecMainStart)"
  check "root sees that it is well" mailweir status
  check "the flood meets the program" drops_on
  leaks_nothing "from its very first packet"
  check "the neighbour sends" equal 100 "$(send_as_neighbour)"
  check "and gets through" wait_for "((\$(arrived) == 100))" 10
  local until seen
  until=$(<"$kept/until") seen=$(in_kernel)
  check "the block ends when it was to end (${until} and ${seen})" \
    bash -c "((${seen} - ${until} <= 2 && ${until} - ${seen} <= 2))"
  check "the allowlist is back" contains 172.16.0.25 "$(mailweir allow list)"
  check "the mode is back" contains "block (by command" "$(mailweir mode)"
  check "iptables shows the block" wait_for "iptables -w 5 -S MAILWEIR 2>/dev/null | grep -q 'SPAM_.*complaint'" 10

  pid=$(systemctl show -P MainPID mailweir)
  check "it does not run as root" equal mailweir "$(ps -o user= -p "$pid")"
  check "with three capabilities" equal 000000c000001000 "$(sed -nE 's/^CapBnd:\s*//p' "/proc/$pid/status")"
  exposure

  check "a reload" systemctl reload mailweir
  check "a restart under the flood" systemctl restart mailweir
  check "the flood still meets the program" drops_on
  leaks_nothing "the restart opened nothing"
  pid=$(systemctl show -P MainPID mailweir)
  kill -s KILL "$pid"
  check "after kill -9 it is back by itself" wait_for "active_again $pid" 30
  check "and the flood still meets the program" drops_on
  leaks_nothing "the crash opened nothing"

  local before
  before=$(rx_packets)
  check "a stop" systemctl stop mailweir
  check "status tells of it" contains "not running" "$(mailweir status 2>&1 || :)"
  check "the flood goes on" wait_for "((\$(rx_packets) > $before + 500))" 15
  leaks_nothing "the stop opened nothing"
  check "no SYN but the neighbour's has reached a server" equal 100 "$(arrived)"

  systemctl start mailweir
  check "unblock" mailweir unblock "$client"
  check "then the same flood reaches the servers: the counters count" wait_for "((\$(arrived) > 200))" 10
  evidence
  legacy
  without_a_trace
}

rx_packets() { ip -j -s link show g0 | jq '.[0].stats64.rx.packets'; }

exposure() {
  local line
  line=$(systemd-analyze security --no-pager mailweir.service | tail -n 1)
  echo "        $line"
  check "systemd's exposure level is 2.0 at most" awk -v said="$(grep -oE '[0-9]+\.[0-9]' <<<"$line")" \
    'BEGIN { exit !(said != "" && said <= 2.0) }'
}

# As the service's user it may ask conntrack, without which nothing counts as evidence.
evidence() {
  local forty
  systemctl stop vm-flood
  forty=$(printf '198.18.%d.25,' {11..50})
  (exec nsenter --net=/run/netns/srv /usr/bin/python3 -B "$e2e_dir/mail_port.py" serve) &
  server_pid=$!
  wait_for "[[ -n \$(nsenter --net=/run/netns/srv ss -Hltn 'sport = :25') ]]" 10 || die "no server"
  timeout 10 nsenter --net=/run/netns/cli /usr/bin/python3 -B "$e2e_dir/mail_port.py" \
    refused "$bot" "${forty%,}" || :
  check "a bot is blocked, on evidence" wait_for \
    "mailweir -o json blocks | jq -e '.blocks[] | select(.source == \"$bot\" and .origin == \"auto\")' >/dev/null" 15
  stop "$server_pid" KILL
}

# The drop-in for those who have their rules in iptables-legacy.
legacy() {
  update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null
  update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null
  mkdir -p /etc/systemd/system/mailweir.service.d
  cp /usr/share/doc/mailweir/examples/legacy-iptables.conf /etc/systemd/system/mailweir.service.d/
  systemctl daemon-reload
  check "a restart with iptables-legacy" systemctl restart mailweir
  check "a block with iptables-legacy" mailweir block "$client" --for 10m
  check "iptables-legacy shows it" wait_for "iptables-legacy -w 5 -S MAILWEIR 2>/dev/null | grep -q $client" 10
}

without_a_trace() {
  systemctl stop mailweir
  check "detach" mailweir detach >/dev/null
  check "no pin is left" not test -e /sys/fs/bpf/mailweir
  check "and a new start finds its way" systemctl start mailweir
}

if [[ ! -e $kept/until ]]; then
  first_boot
  if ((checks_failed > 0)); then
    journalctl --no-pager -u mailweir | tail -n 30
    story_end
  fi
  exit 100
fi
second_boot
if ((checks_failed > 0)); then journalctl --no-pager -b -u mailweir -u 'vm-*' | tail -n 60; fi
story_end
