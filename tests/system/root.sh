#!/bin/bash
# Makes a bare Debian 12 in a folder, from Debian's own packages: nothing of ours, no compiler, but make. What was
# downloaded stays in .guest for the next time. Needs root.
# usage: root.sh DIR [PACKAGE ...]     DIR must not exist
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
store=$top/.guest base=$top/.guest/bookworm.tar debs=$top/.guest/debs
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian} security=${DEBIAN_SECURITY:-http://deb.debian.org/debian-security}
root=$1; shift
[ ! -e "$root" ] || { echo "root: $root exists already" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "root: needs root" >&2; exit 1; }
if ! command -v debootstrap > /dev/null; then
    fetch() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap < /dev/null > /dev/null; }
    fetch 2> /dev/null || { apt-get update -qq < /dev/null; fetch; }
fi
# A proxy of this machine's apt is the way out for the new one, too.
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "${proxy:-}" ] || export http_proxy=$proxy
mkdir -p "$debs"
if [ ! -e "$base" ]; then
    rm -rf "$store/new"
    debootstrap --variant=minbase --include=make --cache-dir="$debs" bookworm "$store/new" "$mirror" > "$store/debootstrap.log" 2>&1 ||
        { tail -20 "$store/debootstrap.log" >&2; exit 1; }
    rm -rf "$store"/new/var/cache/apt/* "$store"/new/usr/share/{doc,man,locale}/*
    mkdir -p "$store/new/var/cache/apt/archives/partial"
    tar -C "$store/new" -cf "$base.new" . && mv "$base.new" "$base"
    rm -rf "$store/new"
fi
mkdir -p "$root"
tar -C "$root" -xf "$base"
# As the installer of Debian writes it: the compiler for the static programs is a security update.
printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-updates "$security" bookworm-security > "$root/etc/apt/sources.list"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"; chmod 755 "$root/usr/sbin/policy-rc.d"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
[ -z "${proxy:-}" ] || echo "Acquire::http::Proxy \"$proxy\";" > "$root/etc/apt/apt.conf.d/proxy"
# Packages stay in the store.
printf 'APT::Keep-Downloaded-Packages "true";\nBinary::apt::APT::Keep-Downloaded-Packages "true";\n' > "$root/etc/apt/apt.conf.d/keep"
if [ $# -gt 0 ]; then
    unshare -m --propagation private bash -euc '
        root=$1 debs=$2; shift 2
        mount --bind "$debs" "$root/var/cache/apt/archives"
        chroot "$root" apt-get update -qq < /dev/null
        DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y -qq --no-install-recommends "$@" < /dev/null > "$root/apt.log" 2>&1 ||
            { tail -20 "$root/apt.log"; exit 1; }' root "$root" "$debs" "$@"
fi
