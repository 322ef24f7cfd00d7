#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input at the start gets one line that says what, where, what to do; nothing is lost by it.
# And detach leaves no trace.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixture_up start
# refuses CODE TEXT: the daemon does not start, exits with CODE and says TEXT.
refuses() {
  : >"$daemon_log"
  if daemon_try; then
    daemon_stop
    echo "        it started"
    return 1
  fi
  equal "$1" "$daemon_status" && contains "$2" "$(cat "$daemon_log")"
}
traces_left() {
  find /sys/fs/bpf -maxdepth 1 -name "*$fixture_ns*"
  gw iptables-save -t filter
  gw ip6tables-save -t filter
  gw tc qdisc show dev "$inside_if"
  gw ip -d link show "$inside_if" | grep -c xdp || :
}
# Asked for once, so that the tables are loaded before and after.
gw iptables -w 5 -S >/dev/null
gw ip6tables -w 5 -S >/dev/null
before=$(traces_left | grep -v '^#')

config_write
echo 'brust = 5' >>"$config"
check "an unknown key" refuses 6 "unknown key 'brust'"
config_write networks.inside='["172.16.0.0/33"]'
check "a CIDR /33" refuses 6 "172.16.0.0/33"
config_write limit.rate='"0/min"'
check "a rate of 0" refuses 6 "rate"
config_write interfaces.inside='["nosuch0"]'
check "a missing interface" refuses 1 "nosuch0"
config_write bpffs_dir='"/var/tmp/no-bpffs-here"'
check "no bpffs" refuses 1 "mount -t bpf"
config_write state_dir='"/proc/nowhere"'
check "a state directory that cannot be" refuses 1 "/proc/nowhere"
config_write
check "no config file" bash -c "! '$MAILWEIR_BIN' --config /nonexistent.toml run 2>'$fixture_dir/err' && grep -q /nonexistent.toml '$fixture_dir/err'"
chmod 755 "$fixture_dir"
check "not root" bash -c "setpriv --reuid 65534 --regid 65534 --clear-groups '$MAILWEIR_BIN' --config '$config' run 2>'$fixture_dir/err'; [[ \$? == 4 ]] && grep -q CAP_ '$fixture_dir/err'"
check "config check finds it all" bash -c "printf 'mode = \"blok\"\n[limit]\nrate = \"-1/min\"\n' >'$fixture_dir/bad.toml'; '$MAILWEIR_BIN' --config '$fixture_dir/bad.toml' config check >'$fixture_dir/out' 2>&1; [[ \$? == 6 ]] && grep -q bad.toml:1: '$fixture_dir/out' && grep -q bad.toml:3: '$fixture_dir/out'"

for hook in xdp tc; do
  config_write interfaces.attach="\"$hook\""
  daemon_start
  check "a second daemon is refused with the pid of the first" \
    refuses 1 "$(pgrep -f "^$MAILWEIR_BIN --config $config run" | head -n 1)"
  check "the first goes on" mw status >/dev/null
  mw block "$client4" >/dev/null
  check "detach is refused while the daemon runs" not mw detach 2>/dev/null
  echo 'brust = 5' >>"$config"
  check "a bad reload is refused" not mw reload 2>/dev/null
  check "and the block stays" equal 1 "$(mw_json '.blocks | length' blocks)"
  config_write interfaces.attach="\"$hook\"" interfaces.inside='["nosuch0"]'
  check "a reload with a misspelt interface is refused" not mw reload 2>/dev/null
  check "and the good one stays guarded" equal attached "$(mw_json '.interfaces[0].state' status)"
  program=$(mw_json '.interfaces[0].program_id' status)
  daemon_stop
  config_write interfaces.attach="\"$hook\""
  check "detach ($hook)" mw detach
  check "the kernel frees the program" wait_for "! bpftool prog show id $program 2>/dev/null" 5
  check "detach leaves no trace ($hook)" equal "$before" "$(traces_left | grep -v '^#')"
  check "a second detach finds nothing" mw detach
done

daemon_start
check "after detach and start the block is back from the record" equal 1 "$(mw_json '.blocks | length' blocks)"
daemon_stop
mw detach >/dev/null

# on_stop = "pass" lets go at the stop, says so, and the next start takes hold again.
server_start
config_write interfaces.on_stop='"pass"'
daemon_start
check "blocked while the daemon runs" not greeted "$client4" "$server4" 2>/dev/null
daemon_stop
check "passes after its stop" greeted "$client4" "$server4"
check "status says so" contains "everything passes" "$(mw status 2>&1 || :)"
daemon_start
check "blocked again" not greeted "$client4" "$server4" 2>/dev/null
daemon_stop
mw detach >/dev/null

# Another XDP program is never evicted.
cat >"$fixture_dir/other.bpf.c" <<'C'
__attribute__((section("xdp"), used)) int other_xdp(void *ctx) { (void)ctx; return 2; }
C
clang -O2 -target bpf -c "$fixture_dir/other.bpf.c" -o "$fixture_dir/other.bpf.o"
gw ip link set dev "$inside_if" xdp obj "$fixture_dir/other.bpf.o" sec xdp
other=$(gw ip -d link show "$inside_if" | grep -oE 'prog/xdp id [0-9]+')
config_write interfaces.attach='"xdp"'
check "attach = xdp beside another program is refused, naming it" refuses 1 "${other##* }"
config_write interfaces.attach='"auto"'
daemon_start
check "attach = auto takes tc" equal tc "$(mw_json '.interfaces[0].hook' status)"
check "and says why" contains "another XDP program" "$(mw_json '.interfaces[0].note' status)"
check "the other program is still there" contains "$other" "$(gw ip -d link show "$inside_if")"

# A filter that somebody removed comes back, an interface that is made anew is guarded anew.
gw tc filter del dev "$inside_if" ingress
check "a removed tc filter comes back" wait_for "gw tc filter show dev $inside_if ingress | grep -q limit_tc" 10
gw ip link del "$inside_if"
check "status says that the interface is gone" wait_for "mw status 2>&1 | grep -q 'not guarded'" 10
inside_up
check "it is guarded again" wait_for "[[ \$(mw_json '.interfaces[0].state' status) == attached ]]" 10
story_end
