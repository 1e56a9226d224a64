#!/bin/bash
# Installs what a fresh Debian-like machine lacks to build, show and test rsntpd, and says what it
# cannot install. What is there already is left alone. Needs root (or sudo) only if something lacks.
# usage: tests/setup.sh            `make setup'
set -euo pipefail
cd "$(dirname "$0")/.."
rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# What is needed, and the package that has it.
needed=(
    "have cc|gcc libc6-dev"
    "have make|make"
    "have ip && have ss|iproute2"
    "have setpriv && have unshare|util-linux"
    "have qemu-system-x86_64|qemu-system-x86"
    "have busybox|busybox-static"
    "have cpio|cpio"
    "have kmod|kmod"
    "have capsh|libcap2-bin"
    "have ps|procps"
    "have awk|mawk"
    "have mandoc|mandoc"
    "have rpmbuild|rpm"
    "have dnf|dnf"
    "have createrepo_c|createrepo-c"
    "have rpmlint|rpmlint"
    "have logrotate|logrotate"
    "have systemd-analyze|systemd"
    "have useradd|passwd"
    "have strings|binutils"
    "/usr/bin/python3 -c 'import argparse, cmd, readline, ssl'|python3"
)
have() { command -v "$1" || [ -x "/usr/sbin/$1" ]; }
# Whether version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1)" = "$2" ]; }
rust_fits() { have cargo && have rustc && at_least "$(rustc --version | awk '{print $2}')" "$rust"; }
say() { echo "setup: $*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo > /dev/null; then sudo "$@"
    else say "needs root for: $*"; exit 1; fi
}
apt() {
    have apt-get > /dev/null || { say "there is no apt-get here; install these yourself: $*"; exit 1; }
    say "apt-get install $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
        < /dev/null > /dev/null
}
updated=
update() { [ -n "$updated" ] || as_root apt-get update -qq < /dev/null; updated=yes; }

packages=()
for row in "${needed[@]}"; do
    eval "${row%%|*}" > /dev/null 2>&1 || read -ra packages <<< "${packages[*]} ${row#*|}"
done
if [ ${#packages[@]} -gt 0 ]; then update; apt "${packages[@]}"; fi

if ! rust_fits > /dev/null 2>&1; then
    have cargo > /dev/null || update
    offered=$(apt-cache policy cargo 2>/dev/null | sed -n 's/ *Candidate: //p')
    if ! have cargo > /dev/null && at_least "${offered:-0}" "$rust"; then apt cargo rustfmt rust-clippy
    else say "Rust $rust or later is needed (cargo, rustfmt, clippy): https://rustup.rs installs it"; exit 1; fi
fi
for part in fmt clippy; do
    cargo $part --version > /dev/null 2>&1 ||
        { say "cargo $part is missing: 'rustup component add rustfmt clippy'"; exit 1; }
done

# The compiler for the static program, where this system has it.
rpm/static.sh --ready || rpm/static.sh --setup || say "'make static' will not work here: it needs Debian 12's rustc-web"

# Programs and a kernel that the tests run against; unpacked into this folder, not installed.
tests/peers.sh
tests/peers.sh plugins
tests/guest/run.sh --setup
say "everything is there"
