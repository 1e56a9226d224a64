#!/bin/bash
# Boots a kernel of Debian's in QEMU (software emulation) with an initramfs of busybox, the files
# given and a script, so that the daemon can set and steer a REAL kernel clock: the guest's.
# usage: run.sh --setup                          fetches the kernel into .guest/ (package registry)
#        run.sh SCRIPT [FILE:PATH-IN-GUEST ...]  prints the guest's console; ends when the script ends
#   RTC=2020-01-01T00:00:00  the guest's wrong clock      SECONDS_MAX=200   APPEND=vdso=0  words for the kernel
#   KERNEL=full  for --setup, too: not the cloud kernel but the one with drivers of hardware. Its machine has a parallel port and a
#                network card with a PTP clock, and time passes in it by the instructions that it executes: no load disturbs it, and
#                while it waits for time to pass none does outside.
# The guest is 10.0.2.15 and sees the loopback of the namespace that QEMU runs in as 10.0.2.2.
# Dynamic programs get their libraries copied along.
set -euo pipefail
top=$(cd "$(dirname "$0")/../../.." && pwd); store=$top/.guest
case ${KERNEL:-cloud} in
cloud)
    k=$store/k package=linux-image-cloud-amd64 machine=(-device "virtio-net-pci,netdev=n,romfile=") unpack=(.)
    modules=(net/core/failover drivers/net/net_failover drivers/virtio/virtio{_ring,,_pci_legacy_dev,_pci_modern_dev,_pci} drivers/net/virtio_net) ;;
full)
    k=$store/full package=linux-image-amd64
    machine=(-device "e1000e,netdev=n,romfile=" -parallel null -icount shift=3,sleep=off)
    modules=(drivers/net/ethernet/intel/e1000e/e1000e drivers/parport/parport{,_pc} "drivers/pps/clients/pps_parport clear_wait=0")
    unpack=(--wildcards './boot/vmlinuz-*' './lib/modules/*/kernel/drivers/'{parport,pps,net/ethernet/intel/e1000e}/'*') ;;
*) echo "run: there is no kernel '$KERNEL'" >&2; exit 2 ;;
esac
if [ "${1:-}" = --setup ]; then
    compgen -G "$k/boot/vmlinuz-*" >/dev/null && exit 0
    mkdir -p "$store"; cd "$store"; rm -rf "$k.new"; mkdir "$k.new"
    apt-cache show $package >/dev/null 2>&1 || apt-get update -qq
    kernel=$(apt-cache depends $package | awk '/Depends: linux-image-[0-9]/{print $2; exit}')
    apt-get download -qq "$kernel"
    dpkg-deb --fsys-tarfile "$kernel"_*.deb | tar -C "$k.new" -x "${unpack[@]}"
    rm -f "$kernel"_*.deb; mv "$k.new" "$k"
    exit 0
fi
compgen -G "$k/boot/vmlinuz-*" >/dev/null || { echo "no kernel: run $0 --setup" >&2; exit 2; }
script=$1; shift
w=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-guest.XXXXXX"); trap 'rm -rf "$w"' EXIT
i=$w/i; mkdir -p "$i"/{bin,proc,sys,dev,etc,tmp,var/run,var/lib/ntp,mod}
cp /bin/busybox "$i/bin/" 2>/dev/null || cp /usr/bin/busybox "$i/bin/"
for m in "${modules[@]}"; do cp "$(echo "$k"/lib/modules/*/kernel/"${m%% *}.ko")" "$i/mod/"; done
printf '%s\n' "${modules[@]##*/}" > "$i/mod/order"
put() {
    mkdir -p "$i/$(dirname "$2")"; cp -L "$1" "$i/$2"
    { ldd "$1" 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' || true; } | while read -r lib; do
        mkdir -p "$i/$(dirname "$lib")"; cp -Ln "$lib" "$i/$lib"
    done
}
put "$script" script
for f in "$@"; do put "${f%%:*}" "${f#*:}"; done
cat > "$i/init" <<'I'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin; mkdir -p /usr/bin /usr/sbin /sbin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev; mount -t tmpfs none /tmp
echo 'root:x:0:0::/:/bin/sh
ntp:x:38:38::/etc/ntp:/bin/false' > /etc/passwd; echo 'root:x:0:
ntp:x:38:' > /etc/group; chown 38:38 /var/lib/ntp
while read -r m args; do insmod /mod/$m.ko $args; done < /mod/order
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
syslogd -n -O /dev/console & sh /script; echo "GUEST-EXIT $?"; poweroff -f
I
chmod +x "$i/init"; (cd "$i" && find . | cpio -o -H newc 2>/dev/null | gzip -1 > "$w/initrd.gz")
# A loaded machine emulates so slowly that the kernel's check of its timer fails and it stops.
timeout "${SECONDS_MAX:-200}" qemu-system-x86_64 -m 256 -nographic -no-reboot -kernel "$k"/boot/vmlinuz-* \
    -initrd "$w/initrd.gz" -rtc "base=${RTC:-utc}" -netdev user,id=n "${machine[@]}" \
    -append "console=ttyS0 panic=-1 quiet no_timer_check ${APPEND:-}" < /dev/null 2>&1 | sed -u -e 's/\x1b\[[0-9;?=]*[a-zA-Z]//g' -e 's/\r$//'
