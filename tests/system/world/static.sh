#!/bin/bash
# The static programs of `make static': that they need nothing of the machine they run on. The walk and the daemon's
# tests are run with them as they are, and once more as if on Linux 2.6.32 (tests/system/cage); a whole start of NTS as on 2.6.32 and as on
# a Core 2, which knows neither AES nor AVX.
# usage: static.sh [walk] [daemon] [bare] [nts]
set -u
. "$(dirname "$0")/lib.sh"
program=$top/target/static/rsntpd
here=$(cd "$(dirname "$0")" && pwd)
parts=("$@"); [ $# -gt 0 ] || parts=(walk daemon bare nts)
if [ ! -x "$program" ] || [ ! -x "${program%/*}/rsntpq" ]; then skip "static programs: there are none (make static)"; verdict; exit; fi
rsntpd=$program
needs "static program"
command -v gcc > /dev/null || { skip "static program: no gcc for the cage"; verdict; exit; }
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-static.XXXXXX"); mkdir "$work/log"; chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
gcc -O2 -static -o "$work/oldkernel" "$top/tests/system/cage/oldkernel.c" || exit 1
printf '#!/bin/sh\nexec %s 298 %s "$@"\n' "$work/oldkernel" "$program" > "$work/rsntpd-298"
chmod 755 "$work/rsntpd-298"

alone() { readelf -lW "$program" "${program%/*}/rsntpq" > "$work/headers" && ! grep -E 'INTERP|DYNAMIC' "$work/headers"; }
check "the static programs ask for no loader and no library" alone
if "$work/oldkernel" 298 "$program" --version > "$work/version" 2>&1; then caged=yes
else caged=; skip "as on 2.6.32: no seccomp filter here ($(head -1 "$work/version"))"; fi

# Debian's emulator of a processor for single programs, less its own thread. A program with an instruction of AES has to end by SIGILL
# there, or it shows nothing.
core2() {
    gcc -O2 -shared -fPIC -o "$work/onethread.so" "$top/tests/system/cage/onethread.c" || return 1
    printf '#!/bin/sh\nLD_PRELOAD=%s exec qemu-x86_64 -U LD_PRELOAD -cpu core2duo %s "$@"\n' "$work/onethread.so" "$program" > "$work/rsntpd-core2"
    chmod 755 "$work/rsntpd-core2"
    echo 'int main(void) { __asm__("aesenc %xmm0, %xmm1"); return 0; }' | gcc -static -x c -o "$work/aes" - && (qemu-x86_64 -cpu max "$work/aes") &&
        { (qemu-x86_64 -cpu core2duo "$work/aes"); [ $? = 132 ]; }
}

# What an old kernel cannot hold back is no reason to stop: a line each with -d, and none without.
unheld() { # LINES OPTION…
    local lines=$1; shift
    echo 'disable ntp' > "$work/unheld.conf"
    timeout 3 unshare -n setpriv --bounding-set -sys_time --inh-caps -sys_time -- bash -c '
        ip link set lo up; exec "$@"' bash "$work/oldkernel" 298 "$program" -n -c "$work/unheld.conf" "$@" > "$work/unheld" 2>&1
    [ $? = 124 ] || { cat "$work/unheld"; return 1; }
    grep -E 'seccomp|Landlock' "$work/unheld"; [ "$(grep -cE 'not filtered \(seccomp\)|no file-system rules \(Landlock\)' "$work/unheld")" = "$lines" ]
}
if [ -n "$caged" ]; then
    check "as on 2.6.32: without a filter and rules it serves, and -d says so once each" unheld 2 -d
    check "and nothing does without -d" unheld 0
fi

# The other scripts, each in a world of its own, side by side: they mostly wait.
pids_of=() names_of=()
script() { # NAME PROGRAM SCRIPT…
    local name=$1 with=$2; shift 2
    RSNTPD=$with "$@" > "$work/$name.log" 2>&1 &
    pids_of+=($!); names_of+=("$name")
}
for part in "${parts[@]}"; do
    case $part in
        walk) how=("$here/walk.sh" "$top/conf/walk.conf") ;;
        daemon) how=("$here/daemon.sh") ;;
        nts)
            [ -z "$caged" ] || script "nts, as on 2.6.32" "$work/rsntpd-298" "$here/nts-start.sh"
            if command -v qemu-x86_64 > /dev/null; then
                check "an emulated Core 2 refuses instructions of AES" core2
                script "nts, as on a Core 2" "$work/rsntpd-core2" "$here/nts-start.sh"
            else skip "nts, as on a Core 2: no qemu-x86_64 (qemu-user)"; fi
            continue ;;
        *) continue ;;
    esac
    script "$part" "$program" "${how[@]}"
    [ -n "$caged" ] && script "$part, as on 2.6.32" "$work/rsntpd-298" "${how[@]}"
done

# A root directory that holds the programs (and the cage) and nothing else, and cannot be written: no /dev, /proc, /etc,
# no log, no names. `ask' is another program's client; the namespace's end ends what is left.
mkdir "$work/bare"; cp "$program" "${program%/*}/rsntpq" "$work/oldkernel" "$work/bare"
bare() { # [CAGE…] /rsntpd OPTIONS…
    timeout 60 unshare -m -n -p -f --mount-proc --propagation private bash -c '
        root=$1 ask=$2; shift 2
        ip link set lo up
        mount --bind "$root" "$root" && mount -o remount,ro,bind "$root" || exit 1
        tame() { exec setpriv --bounding-set -sys_time --inh-caps -sys_time -- chroot "$root" "$@"; }
        # Without servers its answer says that it does not know the time: an answer all the same.
        asked() { for i in 1 2 3 4 5 6 7 8 9 10; do "$ask" -j -t 1 127.0.0.1 2>&1 | grep stratum && return; sleep 0.3; done; return 1; }
        # rsntpq in the same cage.
        cage=(); for word in "$@"; do [ "$word" != /rsntpd ] || break; cage+=("$word"); done
        shown() { (tame "${cage[@]}" /rsntpq -c "rv 0 version" 127.0.0.1) | tee /dev/stderr | grep -q ^version=; }
        case " $* " in
            *" -n "*) tame "$@" & asked && shown || exit 1; kill $!; wait $! ;;
            *) (tame "$@") && asked ;;
        esac' bare "$work/bare" "$peers/ntpdig" "$@"
}
for part in "${parts[@]}"; do
    [ "$part" = bare ] || continue
    check "alone on a read-only disk: it serves, rsntpq queries it, and it ends with 0" bare /rsntpd -n -u 38:38
    check "the same in the background, with a pid file that cannot be written" bare /rsntpd -u 38:38 -g -p /var/run/rsntpd.pid
    [ -n "$caged" ] || continue
    for level in 298 313; do
        check "the same as on Linux $level, without IPv6" bare /oldkernel $level -4 /rsntpd -n -u 38:38
        check "and in the background" bare /oldkernel $level -4 /rsntpd -u 38:38 -g
    done
done

for i in "${!pids_of[@]}"; do
    wait "${pids_of[i]}"
    sed "s/^/# ${names_of[i]}: /" "$work/${names_of[i]}.log"
    total() { awk -v w="$1" '/^[0-9]+ passed, / {for (i = 2; i <= NF; i++) {gsub(",", "", $i); if ($i == w) print $(i-1)}}' "$work/${names_of[i]}.log"; }
    all() { tail -1 "$work/${names_of[i]}.log"; [ "$(total passed)" -gt 0 ] && [ "$(total failed)" = 0 ]; }
    check "${names_of[i]}: $(total passed) checks of the static program" all
done
verdict
