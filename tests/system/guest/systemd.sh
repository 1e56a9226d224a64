#!/bin/bash
# The packages on a machine that runs systemd: a bare Debian 12 with Debian's cloud kernel in QEMU. Its console is shown; what
# it is to be like is judged by systemd-scenario.sh inside. Not a part of `make check': without KVM it takes 10 to 25 minutes.
# usage: systemd.sh [FILE]     needs root and target/rpm (make rpm); FILE: the console goes there, too
#   ACCEL=kvm                  where /dev/kvm works
set -uo pipefail
top=$(cd "$(dirname "$0")/../../.." && pwd); store=$top/.guest
console=${1:-/dev/null}
[ "$(id -u)" = 0 ] || { echo "systemd: needs root"; exit 1; }
for tool in qemu-system-x86_64 busybox cpio mke2fs; do
    command -v $tool > /dev/null || { echo "systemd: no $tool here (make setup)"; exit 1; }
done
packages=$(ls "$top"/target/rpm/rsntpd-{[0-9]*,compat-*}-1.x86_64.rpm 2> /dev/null) || { echo "systemd: there are no packages (make rpm)"; exit 1; }
"$top/tests/system/guest/run.sh" --setup || exit
w=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-systemd.XXXXXX"); trap 'rm -rf "$w"' EXIT

# The machine, once: kept in .guest.
if [ ! -e "$store/systemd.tar" ]; then
    "$top/tests/system/root.sh" "$w/new" systemd systemd-sysv dbus iproute2 procps rpm || exit
    tar -C "$w/new" -cf "$store/systemd.tar.new" . && mv "$store/systemd.tar.new" "$store/systemd.tar"
    rm -rf "$w/new"
fi
root=$w/root; mkdir "$root"
tar -C "$root" -xf "$store/systemd.tar"
cp $packages "$root/root"
chroot "$root" bash -c 'rpm --force-debian -i --nodeps /root/rsntpd-[0-9]*.rpm && rpm --force-debian -i --nodeps /root/rsntpd-compat-*.rpm && rm /root/*.rpm' || exit
install -m 755 "$top/tests/system/guest/systemd-scenario.sh" "$root/root/scenario.sh"
cat > "$root/etc/systemd/system/scenario.service" <<'U'
[Unit]
After=multi-user.target
[Service]
ExecStart=/root/scenario.sh
StandardOutput=tty
TTYPath=/dev/ttyS0
U
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/var/log/journal"
ln -s ../scenario.service "$root/etc/systemd/system/multi-user.target.wants/"
for unit in serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
: > "$root/etc/fstab"; echo guest > "$root/etc/hostname"
mke2fs -q -t ext4 -d "$root" "$w/disk" 1200M || exit

i=$w/i; mkdir -p "$i"/{bin,dev,mod,new}
cp "$(command -v busybox)" "$i/bin/busybox"
modules=$(echo "$store"/k/lib/modules/*/kernel)
for m in virtio/virtio virtio/virtio_ring virtio/virtio_pci_legacy_dev virtio/virtio_pci_modern_dev virtio/virtio_pci block/virtio_blk; do
    cp "$modules/drivers/$m.ko" "$i/mod"
done
cat > "$i/init" <<'I'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do /bin/busybox insmod /mod/$m.ko; done
/bin/busybox mount -t ext4 /dev/vda /new
exec /bin/busybox switch_root /new /sbin/init
I
chmod 755 "$i/init"; (cd "$i" && find . | cpio -o -H newc 2> /dev/null | gzip -1 > "$w/initrd")
timeout "${SECONDS_MAX:-3000}" qemu-system-x86_64 ${ACCEL:+-accel "$ACCEL" -cpu host} -m 768 -nographic -no-reboot -nic none \
    -kernel "$store"/k/boot/vmlinuz-* -initrd "$w/initrd" -drive "file=$w/disk,format=raw,if=virtio,cache=unsafe" \
    -append "console=ttyS0 panic=-1 quiet loglevel=1 no_timer_check systemd.show_status=0 mitigations=off" < /dev/null 2>&1 |
    sed -u -e 's/\x1b\[[0-9;?]*[a-zA-Z]//g' -e 's/\r//g' | tee "$w/console" "$console"
count() { grep -c "^CHECK $1" "$w/console"; }
ended=0; grep -q '^SCENARIO-END' "$w/console" || { echo "systemd: the scenario did not come to its end"; ended=1; }
echo "$(count ok) passed, $(($(count FAILED) + ended)) failed, 0 skipped"
[ "$(count FAILED)" = 0 ] && [ $ended = 0 ]
