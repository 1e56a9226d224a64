#!/bin/bash
# Installs what a fresh Debian-like machine lacks to build, show and test rsntpd, and says what it
# cannot install. What is there already is left alone. Needs root (or sudo) only if something lacks.
# usage: tests/system/setup.sh            `make setup'
#        tests/system/setup.sh demo       what `make demo' needs: as root it is installed; else the command for it is printed
#        tests/system/setup.sh check      what `make check' needs, likewise; without the programs for some of the tests it goes on
set -euo pipefail
cd "$(dirname "$0")/../.."
rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
for_what=${1:-setup}

# What is needed, the package that has it, and whether the demo, the build and the scripts cannot do without.
needed=(
    "have cc|gcc libc6-dev|all"
    "have make|make|all"
    "have ip && have ss|iproute2|all"
    "have setpriv && have unshare|util-linux|all"
    "have qemu-system-x86_64|qemu-system-x86"
    "have qemu-x86_64|qemu-user"
    "have busybox|busybox-static"
    "have dash|dash"
    "have cpio|cpio"
    "have kmod|kmod"
    "have capsh|libcap2-bin"
    "have ps && have sysctl|procps"
    "have awk|mawk"
    "have git|git"
    "have mandoc|mandoc"
    "have rpmbuild|rpm"
    "have dnf|dnf"
    "have createrepo_c|createrepo-c"
    "have rpmlint|rpmlint"
    "have logrotate|logrotate"
    "have systemd-analyze|systemd"
    "have useradd|passwd"
    "have strings|binutils"
    "have debootstrap|debootstrap"
    "/usr/bin/python3 -c 'import argparse, cmd, readline, ssl'|python3"
)
have() { command -v "$1" || [ -x "/usr/sbin/$1" ]; }
# Whether version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1)" = "$2" ]; }
rust_fits() { have cargo && have rustc && at_least "$(rustc --version | awk '{print $2}')" "$rust"; }
say() { echo "setup: $*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif [ $for_what = setup ] && have sudo > /dev/null; then sudo "$@"
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

packages=() vital=
for row in "${needed[@]}"; do
    IFS='|' read -r test names needed_by <<< "$row"
    [ $for_what != demo ] || [ -n "$needed_by" ] || continue
    eval "$test" > /dev/null 2>&1 && continue
    read -ra packages <<< "${packages[*]} $names"
    vital+=$needed_by
done
# Without root: one command for all of it. What only tests need is reported by them as skipped.
if [ $for_what != setup ] && [ "$(id -u)" != 0 ]; then
    [ $for_what = demo ] || rpm/static.sh --ready || ! apt-cache show rustc-web > /dev/null 2>&1 || packages+=($(rpm/static.sh --lacking))
    if [ ${#packages[@]} -gt 0 ]; then
        say "this machine lacks some programs, and only root may install them. This does:"
        say "    sudo apt-get install -y --no-install-recommends ${packages[*]}"
        [ -z "$vital" ] || exit 1
        say "going on without them: some of the tests will be skipped"
        packages=()
    fi
fi
if [ ${#packages[@]} -gt 0 ]; then update; apt "${packages[@]}"; fi

if ! rust_fits > /dev/null 2>&1; then
    # The demo shows a daemon that is there already.
    [ $for_what = demo ] && [ -x target/release/rsntpd ] && [ -x target/release/rsntpq ] && exit 0
    have cargo > /dev/null || [ "$(id -u)" != 0 ] || update
    offered=$({ apt-cache policy cargo 2> /dev/null || :; } | sed -n 's/ *Candidate: //p')
    if ! have cargo > /dev/null && at_least "${offered:-0}" "$rust"; then apt cargo rustfmt rust-clippy
    else say "Rust $rust or later is needed (cargo, rustfmt, clippy): https://rustup.rs installs it"; exit 1; fi
fi
[ $for_what != demo ] || exit 0
for part in fmt clippy; do
    cargo $part --version > /dev/null 2>&1 && continue
    say "rustup component add rustfmt clippy"
    have rustup > /dev/null && rustup component add rustfmt clippy > /dev/null 2>&1 && cargo $part --version > /dev/null 2>&1 ||
        { say "cargo $part is missing: 'rustup component add rustfmt clippy', or the packages rustfmt and rust-clippy"; exit 1; }
done

if [ $for_what = setup ] || [ "$(id -u)" = 0 ]; then
    # The compiler for the static program, where this system has it.
    rpm/static.sh --ready || rpm/static.sh --setup || say "'make static' will not work here: it needs Debian 12's rustc-web"
fi

# Programs and a kernel that the tests run against; unpacked into this folder, not installed.
for step in tests/system/peers.sh "tests/system/peers.sh plugins" "tests/system/peers.sh gpsd" "tests/system/guest/run.sh --setup"; do
    # Only root can have apt's lists brought up to date; without these programs some tests are skipped.
    $step || { [ $for_what = check ] && [ "$(id -u)" != 0 ] && say "$step did not succeed: some of the tests will be skipped"; }
done
tests/system/peers.sh debian13 || say "Debian 13's chrony and ntpd-rs cannot be fetched: rows of the NTS scripts will be skipped"
KERNEL=full tests/system/guest/run.sh --setup || say "the kernel with drivers of hardware cannot be fetched: guest-refclocks will be skipped"
[ $for_what != setup ] || say "everything is there"
