# A small system of its own in a folder, for init script and package: a shell, busybox and what a CentOS box has of
# scripts, so that nothing of this machine is touched. Source it.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
passed=0 failed=0 skipped=0
check() { # WHAT CMD…: one line, counted
    local what=$1; shift
    if "$@" > "$work/check" 2>&1; then passed=$((passed + 1)); echo "ok       $what"
    else failed=$((failed + 1)); echo "FAILED   $what"; sed 's/^/         | /' "$work/check" | tail -25; fi
}
skip() { skipped=$((skipped + 1)); echo "skipped  $1"; }
verdict() { echo "$passed passed, $failed failed, $skipped skipped"; [ "$failed" = 0 ]; }
# What a script needs, as commands; ends it as skipped where one is missing.
needs() { # WHAT TOOL…
    local what=$1 tool; shift
    [ "$(id -u)" = 0 ] || { skip "$what: not root"; verdict; exit; }
    unshare -m -n -p -f true 2> /dev/null || { skip "$what: no namespaces here"; verdict; exit; }
    for tool in "$@"; do
        command -v "$tool" > /dev/null && continue
        skip "$what: no $tool here (make setup)"; verdict; exit
    done
}

# Copies programs with the libraries they load to the same places under a root directory.
copy_programs() { # ROOT PROGRAM…
    local root=$1 program file; shift
    for program in "$@"; do
        program=$(command -v "$program") || return
        for file in "$program" $(ldd "$program" 2> /dev/null | grep -o '/[^ ]*'); do
            [ -e "$root$file" ] && continue
            mkdir -p "$root${file%/*}" && cp -L "$file" "$root$file" || return
        done
    done
}

# The tree of a box: a shell, busybox, users, init script folders; nothing about time.
make_box() { # ROOT
    local root=$1
    mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib/systemd/system,usr/lib64,usr/share/doc,usr/share/man/man5,usr/share/man/man8,dev,proc,tmp,root,etc/rc.d/init.d,etc/sysconfig} \
        "$root"/var/{run,log,lib,tmp,lock/subsys}
    local d; for d in bin sbin lib lib64; do ln -s usr/$d "$root/$d"; done
    for d in 0 1 2 3 4 5 6; do mkdir "$root/etc/rc.d/rc$d.d"; ln -s "rc.d/rc$d.d" "$root/etc/rc$d.d"; done
    ln -s rc.d/init.d "$root/etc/init.d"
    chmod 1777 "$root/tmp"
    copy_programs "$root" bash useradd groupadd getent setpriv || return
    ln -s bash "$root/bin/sh"
    cp "$(command -v busybox)" "$root/usr/bin/busybox"
    local applet
    for applet in $("$root/usr/bin/busybox" --list); do
        [ -e "$root/usr/bin/$applet" ] || [ -e "$root/usr/sbin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/bash\n' > "$root/etc/passwd"
    printf 'root:x:0:\n' > "$root/etc/group"
    printf 'passwd: files\ngroup: files\n' > "$root/etc/nsswitch.conf"
    printf 'NETWORKING=yes\n' > "$root/etc/sysconfig/network"
}

# Runs a command in a box: own mounts, processes and network (a loopback and nobody else), without CAP_SYS_TIME. What
# it leaves behind ends with it.
in_box() { # ROOT CMD…
    unshare -m -n -p -f --propagation private bash -c '
        root=$1; shift
        mount -t proc proc "$root/proc"
        mount -t tmpfs none "$root/dev"
        mknod -m 666 "$root/dev/null" c 1 3; mknod -m 666 "$root/dev/urandom" c 1 9
        ip link set lo up
        setpriv --bounding-set -sys_time --inh-caps -sys_time -- chroot "$root" env -i PATH=/sbin:/usr/sbin:/bin:/usr/bin HOME=/root TERM=dumb "$@"' \
        box "$@"
}

# A box with the daemon, rsntpq and the init scripts, as the packages put them there; nothing else of the packages.
daemon_box() { # ROOT PROGRAM
    local root=$1 program=$2 file
    make_box "$root" || return
    copy_programs "$root" dash
    cp "$program" "$root/usr/sbin/rsntpd"
    cp "${program%/*}/rsntpq" "$root/usr/sbin/rsntpq" || return
    ln -s rsntpd "$root/usr/sbin/ntpd"
    for file in $(ldd "$program" 2> /dev/null | grep -o '/[^ ]*'); do
        [ -e "$root$file" ] || { mkdir -p "$root${file%/*}"; cp -L "$file" "$root$file"; }
    done
    install -m 755 "$top"/init.d/{rsntpd,ntpd,rsntpdate,ntpdate} "$root/etc/rc.d/init.d"
    printf 'ntp:x:38:38::/etc/ntp:/sbin/nologin\nnobody:x:99:99::/:/sbin/nologin\n' >> "$root/etc/passwd"
    printf 'ntp:x:38:\nnobody:x:99:\n' >> "$root/etc/group"
    mkdir -p "$root/var/lib/ntp"; chown 38:38 "$root/var/lib/ntp"
}
# The daemon that the scripts are tried with.
daemon_program() {
    program=${RSNTPD:-$top/target/static/rsntpd}
    [ -x "$program" ] || program=$top/target/release/rsntpd
    [ -x "$program" ] || { echo "no daemon at $program (make build)"; exit 1; }
}
