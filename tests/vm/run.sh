#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: run.sh 5.10|6.1|6.12|newest TEST
# Boots that kernel of Debian's with a Debian 12 in QEMU, without network, and runs tests/vm/guest/TEST.sh
# in it. QEMU exits 0 whatever happens inside: only a line "VM-DONE rc=0" without a splat of the
# kernel is a success. All is emulated, so that it is the same on every machine, with KVM or without.
# shellcheck source=tests/vm/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
VM_SECONDS=${VM_SECONDS:-1500}

# boot TEST: the guest's serial line in $work/serial, and on standard output.
boot() {
  local printer
  local -a reboot=(-no-reboot)
  if [[ $1 == reboot ]]; then reboot=(); fi
  : >"$work/serial"
  # snapshot=on: writes go to a file that QEMU has removed before it uses it. And it dies with us.
  TMPDIR=$work setpriv --pdeathsig KILL timeout --foreground --kill-after=5 "$VM_SECONDS" \
    setpriv --pdeathsig KILL \
    qemu-system-x86_64 -nodefaults -no-user-config -machine q35 -cpu max -accel tcg,thread=multi -smp 2 \
    -m 1024M -nic none -display none -monitor none -serial stdio "${reboot[@]}" \
    -kernel "$kernel/vmlinuz" -initrd "$initrd" -append "console=ttyS0 quiet panic=-1 \
oops=panic mitigations=off log_buf_len=4M systemd.show_status=0 systemd.getty_auto=0 \
systemd.machine_id=6d61696c776569726d61696c77656972 mw.test=$1" \
    -drive "file=$image,if=virtio,format=raw,snapshot=on" \
    -drive "file=$kernel/modules.ext4,if=virtio,format=raw,readonly=on" \
    -drive "file=$payload,if=virtio,format=raw,readonly=on" </dev/null >"$work/serial" &
  vm_pid=$!
  tail -n +1 -f --pid="$vm_pid" "$work/serial" | sed -u 's/\r$//' &
  printer=$!
  wait "$vm_pid" || echo "qemu: exit status $?"
  vm_pid=''
  wait "$printer"
}

main() {
  if (($# != 2)); then die "usage: run.sh 5.10|6.1|6.12|newest TEST"; fi
  work_up
  require_tools
  kernel_ready "$1"
  image_ready
  payload_make
  echo "guest ready after $SECONDS s"
  boot "$2"
  # The emulator's, not the kernel's: one vCPU runs into the breakpoint that another one's text_poke()
  # had put there and has taken away again. On hardware the memory order forbids that.
  if grep -q 'Oops: int3' "$work/serial"; then
    echo "the emulated CPU met a breakpoint that was gone: once more"
    boot "$2"
  fi
  echo "ended after $SECONDS s"
  if grep -E '^VM-(SPLAT|INSMOD|MOUNT)|Kernel panic' "$work/serial"; then die "the kernel complained"; fi
  grep -q '^VM-DONE rc=0,' "$work/serial" || die "the guest did not say that all is well"
}

main "$@"
