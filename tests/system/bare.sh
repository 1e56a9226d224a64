#!/bin/bash
# The command of the README on a bare Debian 12 that has Rust and make, and nothing else: no .peers, no .guest, no ntp, no
# iproute2, no compiler for C. What it needs beyond that it has to install itself. The machine is a folder (root.sh) in
# namespaces of its own; the project and the Rust toolchain are bound into it, and with them what is built already.
# usage: bare.sh [TARGET ...]     make's targets, by default `demo'; `bare.sh check' takes as long as `make check'
#   CLEAN=yes                     nothing is built yet, either
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
skipped() { echo "skipped  a bare machine: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
[ "$(id -u)" = 0 ] || skipped "not root"
case $(command -v cargo) in "${CARGO_HOME:-$HOME/.cargo}"/bin/cargo) ;; *) skipped "the toolchain here is not rustup's" ;; esac
unshare -m -p -f true 2> /dev/null || skipped "no namespaces here"
targets=("${@:-demo}")
w=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-bare.XXXXXX"); trap 'rm -rf "$w"' EXIT
"$top/tests/system/root.sh" "$w/root" || { echo "FAILED   a bare machine cannot be made"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

cat > "$w/enter" <<'I'
set -euo pipefail
root=$1 top=$2 cargo=$3 rustup=$4 clean=$5; shift 5
# `ip netns exec' needs a root that is a mount.
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"; mount -t sysfs sysfs "$root/sys"; mount -t tmpfs none "$root/run"
mount --rbind /dev "$root/dev"
[ ! -d "$top/.guest/debs" ] || mount --bind "$top/.guest/debs" "$root/var/cache/apt/archives"
for folder in "$cargo" "$rustup" "$top"; do mkdir -p "$root$folder"; mount --bind "$folder" "$root$folder"; done
# What make setup would have fetched is not there, and the reference folder beside the project neither.
for folder in .peers .guest; do
    [ -L "$root$top/$folder" ] || [ ! -d "$root$top/$folder" ] || mount -t tmpfs none "$root$top/$folder"
done
[ "$clean" != yes ] || { mkdir -p "$root.target" "$root$top/target"; mount --bind "$root.target" "$root$top/target"; }
# Where this machine reaches the network through a proxy with a certificate of its own, cargo needs that there, too.
trusted=/etc/ssl/certs/ca-certificates.crt
[ -e $trusted ] || trusted=
[ -z "$trusted" ] || install -D -m 644 $trusted "$root/etc/ssl/outside.crt"
cd "$root"
exec setpriv --bounding-set -sys_time --inh-caps -sys_time -- chroot . /usr/bin/env -i \
    HOME=/root TERM=dumb LC_ALL=C.UTF-8 CARGO_HOME="$cargo" RUSTUP_HOME="$rustup" \
    ${trusted:+"CARGO_HTTP_CAINFO=/etc/ssl/outside.crt"} \
    PATH="$cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    bash -c 'cd "$0" && for tool in ip ss cc chronyd ntpq ntpd rpmbuild qemu-system-x86_64; do
        ! command -v $tool || { echo "this machine is not bare: it has $tool"; exit 1; }; done
        for folder in .peers .guest; do [ ! -e $folder ] || [ -z "$(ls -A $folder)" ] || { echo "there is a $folder"; exit 1; }; done
        exec make "$@"' "$top" "$@"
I
began=$SECONDS
unshare -m -p -f --propagation private bash "$w/enter" "$w/root" "$top" "${CARGO_HOME:-$HOME/.cargo}" \
    "${RUSTUP_HOME:-$HOME/.rustup}" "${CLEAN:-}" "${targets[@]}" < /dev/null
status=$?
echo "bare: make ${targets[*]} exited with $status after $((SECONDS - began)) s"
if [ $status = 0 ]; then echo "1 passed, 0 failed, 0 skipped"; else echo "FAILED   make ${targets[*]} on a bare machine"; echo "0 passed, 1 failed, 0 skipped"; fi
[ $status = 0 ]
