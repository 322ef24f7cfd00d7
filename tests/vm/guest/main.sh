#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What vm-test.service runs at each boot: the test that the kernel's command line names, then a look
# at what the kernel had to say, then power off. The last line tells the machine outside how it went.
# A test that exits with 100 wants a reboot, and is called again after it.
set -uo pipefail
guest_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
test=$(sed -nE 's/.*\bmw\.test=([a-z0-9]+).*/\1/p' /proc/cmdline)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=dumb LC_ALL=C.UTF-8
cd /

uptime() { cut -d ' ' -f 1 /proc/uptime; }

look_for_splats() {
  if dmesg | grep -qE 'WARNING|BUG:|Oops|Call Trace|suspicious RCU'; then
    dmesg | tail -n 80 | sed 's/^/VM-SPLAT /'
  fi
}

echo "VM-UP $(uname -r), $(uptime) s after power on"
bash "$guest_dir/$test.sh"
status=$?
look_for_splats
if ((status == 100)); then
  echo "VM-REBOOT $(uptime) s after power on"
  exec systemctl reboot
fi
echo "VM-DONE rc=$status, $(uptime) s after power on"
sync
systemctl poweroff --force --force
