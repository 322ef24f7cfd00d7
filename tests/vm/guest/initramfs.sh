#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# The initramfs of the guest: mounts its three disks, puts the test's unit in place, and starts systemd.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
while read -r module; do
  $bb insmod "/modules/$module" || echo "VM-INSMOD $module"
done </modules/order
tries=0
until [ -b /dev/vda ] && [ -b /dev/vdb ] && [ -b /dev/vdc ]; do
  $bb usleep 20000
  tries=$((tries + 1))
  if [ $tries -gt 1000 ]; then
    echo "VM-MOUNT the disks do not appear"
    $bb poweroff -f
  fi
done
$bb mount -t ext4 /dev/vda /root || echo "VM-MOUNT root"
$bb mount -t ext4 -o ro /dev/vdb /root/lib/modules || echo "VM-MOUNT modules"
$bb mount -t ext4 -o ro /dev/vdc /root/mailweir || echo "VM-MOUNT tree"
$bb mkdir -p /root/etc/systemd/system/multi-user.target.wants
$bb cp /root/mailweir/tests/vm/guest/vm-test.service /root/etc/systemd/system/
$bb ln -sf ../vm-test.service /root/etc/systemd/system/multi-user.target.wants/
$bb umount /proc
$bb mount --move /sys /root/sys
$bb mount --move /dev /root/dev
exec $bb switch_root /root /sbin/init
