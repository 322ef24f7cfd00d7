# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the virtual machines are made of: Debian's kernels, a Debian 12 with systemd, and a disk with
# this tree's binaries and tests. The first two are made once and kept under build/vm; remove it to
# have newer packages. run.sh boots them.
set -euo pipefail

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$vm_dir/../.." && pwd)
MAILWEIR_BUILD=${MAILWEIR_BUILD:-$root/build/release}
cache=${MAILWEIR_VM_CACHE:-$root/build/vm}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
needed=(qemu-system-x86_64 mmdebstrap busybox cpio depmod mke2fs dpkg-deb xz strip setpriv clang)

# In the guest: what mailweir is linked against, what it calls, and what the stories use.
guest_packages=(systemd systemd-sysv dbus udev kmod procps util-linux iproute2 iptables conntrack
  bpftool python3 jq strace libbpf1 libsqlite3-0 libmicrohttpd12 libcurl4 libtomlplusplus3
  libspdlog1.10 libfmt9 libnetfilter-conntrack3 libpcap0.8 libc-ares2 libsystemd0)

work='' vm_pid=''
# All temporary files are under $work, and go when the script ends, however it ends.
work_up() {
  trap work_down EXIT
  trap 'exit 130' INT TERM HUP
  work=$(mktemp -d /var/tmp/mailweir-vm.XXXXXX)
}

work_down() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  if [[ -n $vm_pid ]]; then kill -s TERM "$vm_pid" || :; fi
  rm -rf "$work"
  exit "$status"
}

# skip REASON: this cannot be run here. With MW_REQUIRE naming vm that is a failure.
skip() {
  if [[ ,${MW_REQUIRE:-}, == *,vm,* ]]; then die "cannot run, and MW_REQUIRE wants it: $1"; fi
  echo "SKIPPED: $1"
  exit 77
}

die() {
  echo "FAILED: $*" >&2
  exit 1
}

require_tools() {
  local tool
  if ((EUID != 0)); then skip "the guest's file systems are made by root"; fi
  for tool in "${needed[@]}"; do
    command -v "$tool" >/dev/null || skip "$tool is missing: scripts/setup installs it"
  done
  if [[ ! -x $MAILWEIR_BUILD/mailweir ]]; then skip "$MAILWEIR_BUILD/mailweir: build it first"; fi
}

# said COMMAND...: silent unless it fails; then the end of what it said.
said() {
  "$@" >"$work/said" 2>&1 || {
    tail -n 20 "$work/said" >&2
    die "$*"
  }
}

# debian_source SUITE: its line for sources.list, from the mirror that this machine uses.
debian_source() {
  local release=bookworm site
  if [[ $1 == *-security ]]; then release=bookworm-security; fi
  site=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Created-By: Packages' |
    awk -v release="$release" '$1 == release { print $2; exit }')
  if [[ -z $site ]]; then skip "apt knows no source of $release: apt-get update"; fi
  echo "deb [signed-by=$keyring] $site $1 main"
}

# ext4_of DIRECTORY IMAGE MEGABYTES_FREE
ext4_of() {
  local megabytes
  megabytes=$(($(du -sm "$1" | cut -f 1) * 11 / 10 + $3))
  said mke2fs -q -t ext4 -m 0 -d "$1" "$2" "${megabytes}M"
}

# ---- kernels

# kernel_ready 5.10|6.1|6.12|newest: sets kernel to a folder with vmlinuz, initrd and modules.ext4.
kernel_ready() {
  kernel=$cache/kernel-$1
  if [[ -e $kernel ]]; then return; fi
  mkdir -p "$cache" "$work/kernel"
  case $1 in
  5.10) kernel_unpack bullseye-security linux-image-cloud-amd64 ;;
  6.1) kernel_unpack bookworm-security linux-image-cloud-amd64 ;;
  6.12) kernel_unpack bookworm-security linux-image-6.12-cloud-amd64 ;;
  newest) kernel_unpack trixie-backports linux-image-cloud-amd64 ;;
  *) die "no such kernel: $1" ;;
  esac
  initrd_make
  ext4_of "$work/modules" "$work/kernel/modules.ext4" 8
  mv "$work/kernel" "$kernel"
}

# kernel_unpack SUITE METAPACKAGE. With lists, cache and state of its own: this machine's sources
# stay as they are.
kernel_unpack() {
  local apt=$work/apt package
  local -a packages
  mkdir -p "$apt/lists" "$apt/cache"
  debian_source "$1" >"$apt/sources.list"
  local -a options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o Dir::State::status=/dev/null
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3)
  said apt-get "${options[@]}" update
  release=$(apt-cache "${options[@]}" depends --important "$2" |
    sed -nE 's/^ *Depends: linux-image-([0-9].*)/\1/p')
  if [[ -z $release ]]; then die "$1 has no $2"; fi
  # Later ones have the kernel and its modules in packages of their own.
  mapfile -t packages < <(apt-cache "${options[@]}" depends --important "linux-image-$release" |
    sed -nE 's/^ *Depends: (linux-(binary|modules)-.*)/\1/p')
  (cd "$apt" && said apt-get "${options[@]}" download "linux-image-$release" "${packages[@]}")
  for package in "$apt"/*.deb; do said dpkg-deb -x "$package" "$work/tree"; done
  mv "$(find "$work/tree" -type f -name 'vmlinuz*')" "$work/kernel/vmlinuz"
  mkdir -p "$work/modules"
  mv "$(find "$work/tree" -type d -path "*/lib/modules/$release")" "$work/modules/$release"
  rm -rf "$work/tree" "$apt"
  mkdir -p "$work/depmod/lib"
  ln -s "$work/modules" "$work/depmod/lib/modules"
  said depmod -b "$work/depmod" "$release"
}

# The modules that the disks need, in load order. payload_make adds /init.
initrd_make() {
  local tree=$work/initrd module
  mkdir -p "$tree"/{bin,dev,proc,sys,root,modules}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  : >"$tree/modules/order"
  while read -r module; do
    case $module in
    *.xz) xz -dc "$module" >"$tree/modules/$(basename "${module%.xz}")" ;;
    *) cp "$module" "$tree/modules/" ;;
    esac
    basename "${module%.xz}" >>"$tree/modules/order"
  done < <(needed_modules)
  cpio_of "$tree" >"$work/kernel/initrd"
}

needed_modules() {
  local module
  for module in virtio_pci virtio_blk ext4 crc32c_generic; do
    # What a kernel does not have as a module is built in.
    modprobe -q -d "$work/depmod" -S "$release" --show-depends "$module" || :
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

cpio_of() {
  (cd "$1" && find . | cpio -o -H newc --quiet | gzip -1)
}

# ---- the guest's Debian

# image_ready: sets image to the file of a root file system, which no run writes to.
image_ready() {
  local key
  key=$(sha256sum <<<"${guest_packages[*]}" | cut -c 1-12)
  image=$cache/debian-$key.ext4
  if [[ -e $image ]]; then return; fi
  mkdir -p "$cache"
  local -a sources
  mapfile -t sources < <(debian_source bookworm && debian_source bookworm-security)
  said mmdebstrap --variant=minbase --include="$(
    IFS=,
    echo "${guest_packages[*]}"
  )" --aptopt='Acquire::Retries "3"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='echo gateway >"$1/etc/hostname"' \
    --customize-hook='echo "127.0.0.1 localhost gateway" >"$1/etc/hosts"' \
    --customize-hook='rm -f "$1/etc/resolv.conf"' \
    --customize-hook='mkdir -p "$1/mailweir" "$1/lib/modules"' \
    bookworm "$work/debian" "${sources[@]}"
  ext4_of "$work/debian" "$work/debian.ext4" 400
  rm -rf "$work/debian"
  mv "$work/debian.ext4" "$image"
}

# ---- the disk with this tree

# payload_make: sets payload to a file system with the tests and the binaries at their places in the
# tree, and with what `cmake --install` installs under dest/; and initrd.
payload_make() {
  local tree=$work/payload file
  payload=$work/payload.ext4 initrd=$work/initrd.cpio
  mkdir "$work/init"
  install -m 755 "$vm_dir/guest/initramfs.sh" "$work/init/init"
  # One archive after another is one initramfs to the kernel.
  { cat "$kernel/initrd" && cpio_of "$work/init"; } >"$initrd"
  mkdir -p "$tree/build/release/tests" "$tree/build/release/tools" "$tree/tools"
  cp -r "$root/tests" "$tree/"
  cp -r "$root/tools/lab" "$tree/tools/"
  for file in mailweir tools/mailweir-syn; do
    strip -o "$tree/build/release/$file" "$MAILWEIR_BUILD/$file"
  done
  mkdir -p "$tree/build/release/tests/bpf"
  cp -r "$MAILWEIR_BUILD/tests/bpf/older" "$tree/build/release/tests/bpf/"
  for file in "$MAILWEIR_BUILD"/tests/bpf/*_test; do
    strip -o "$tree/build/release/tests/bpf/$(basename "$file")" "$file"
  done
  # For guest/bin/clang.
  sed -n "/<<'C'\$/,/^C\$/{//!p}" "$root/tests/e2e/story_start.sh" |
    clang -O2 -target bpf -x c -c - -o "$tree/build/other.bpf.o"
  DESTDIR=$tree/dest said cmake --install "$MAILWEIR_BUILD" --prefix /usr --strip
  ext4_of "$tree" "$payload" 8
  rm -rf "$tree"
}
