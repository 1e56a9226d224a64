#!/bin/bash
# What the daemon's processes may do: their rights beside the list in sandbox.txt, a whole life under the filter of system calls, the
# file-system rules, a start without root. Nothing here can set a clock: the main process lacks CAP_SYS_TIME (bit 25).
set -u
. "$(dirname "$0")/lib.sh"
needs "sandbox"
here=$(cd "$(dirname "$0")" && pwd)
command -v openssl > /dev/null || { skip "sandbox: no openssl"; verdict; exit; }
world_up; server_up s1
mkdir "$work/tls" "$work/later"; chown 38:38 "$work/later" "$work/log"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=ke.test" -keyout "$work/tls/key.pem" \
    -out "$work/tls/cert.pem" > "$work/log/openssl" 2>&1
mkdir -m 755 "$work/stats" "$work/save"; chown 38:38 "$work/stats" "$work/save"
printf '3 SHA1 0123456789abcdef0123456789abcdef01234567\n' > "$work/etc-ntp/keys"
conf=$work/ntp.conf
write() { # LINE…: the configuration, with these lines more
    cat > "$conf" <<CONF
server 210.72.145.44 iburst minpoll 3 maxpoll 3
server no.such.name.test iburst
driftfile /var/lib/ntp/drift
statsdir $work/stats/
statistics loopstats peerstats clockstats
saveconfigdir $work/save
keys $work/etc-ntp/keys
trustedkey 3
controlkey 3
nts enable cert $work/tls/cert.pem key $work/tls/key.pem
restrict default nomodify
restrict 127.0.0.1
restrict 10.199.255.1
CONF
    printf '%s\n' "$@" >> "$conf"
}
log=$work/log/rsntpd
launch() { # OPTION…
    rm -f "$log" "$log.1"; touch "$log"; chmod 666 "$log"
    in_host "$rsntpd" -u 38:38 -p /var/run/rsntpd.pid -l "$log" -c "$conf" "$@" && pids+=("$(main)")
}
main() { cat "$work/run/rsntpd.pid"; }
exchange() { cat "$log" "$log.1" 2>/dev/null | sed -n 's/.*NTS key exchange on TCP port 4460: process //p' | tail -1; }
workers() { local p; for p in $(cat "/proc/$(main)/task/$(main)/children"); do [ "$p" = "$(exchange)" ] || echo "$p"; done; }
ended() { ! kill -0 "$1" 2>/dev/null; }
stop() { local p; p=$(main); kill "$p"; within 10 ended "$p"; }
rights() { # NAME PID: the rows of the list, from /proc
    sed -nE 's/^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):[[:space:]]*(.*)/\1 \2/p' "/proc/$2/status" |
        tr '\t' ' ' | sed -E "s/ +$//; s/^/$1 /"
}
as_listed() {
    local w
    for w in $(workers); do rights worker "$w"; done | sort -u > "$work/rights"
    { rights main "$(main)"; rights exchange "$(exchange)"; } >> "$work/rights"
    diff <(sort "$here/sandbox.txt") <(sort "$work/rights")
}
write
check "a daemon with workers and a key exchange starts" launch --server-only --workers 2
check "each process has the rights of the list and no others" within 10 as_listed
undumpable() { local p; for p in $(main) $(workers) $(exchange); do grep -H 'Max core file size *0 *0' "/proc/$p/limits" || return; done; }
check "none leaves a core file" undumpable
follows() { ntpq -pn | grep -E '^\*210'; }
check "it follows its server under the filter" within 60 follows
answers() { on host "$peers/ntpdig" -j -t 1 127.0.0.1 | grep stratum; }
check "its workers answer" answers
tls() { echo | on host timeout 5 openssl s_client -connect 127.0.0.1:4460 -alpn ntske/1 2>&1 | grep -i 'CN *= *ke.test'; }
check "its key exchange answers" tls
ask() { on host "$peers/ntpq" "$@"; }
survey() { ask -c kerninfo -c iostats -c sysstats -c monstats -c ifstats -c 'rv 0' 2>&1 | tee "$work/log/survey" | grep -q 'received packets'; }
check "it reports on itself" survey
with_key() { on host "$rsntpq" -k "$work/etc-ntp/keys" -a 3 -c "$1" 127.0.0.1 2>&1 | tee /dev/stderr; }
saved() { with_key 'saveconfig saved.conf'; ls -l "$work/save"; [ -s "$work/save/saved.conf" ]; }
check "ntpq's saveconfig writes its file" saved
configured() { with_key ':config server 202.112.10.36 minpoll 3'; ntpq -pn | grep 202.112; }
check "ntpq adds a server at run time" configured
mv "$log" "$log.1"
reload() { in_host "$rsntpd" --reload -p /var/run/rsntpd.pid; }
check "--reload works" reload
check "the log was opened anew" within 10 test -e "$log"
written() { ls "$work/stats"; compgen -G "$work/stats/peerstats.*" > /dev/null; }
check "statistics are written" written
alive() { kill -0 "$(main)" && [ "$(workers | wc -w)" = 2 ]; }
check "all of its processes live" alive
check "it ends when it is asked to" stop
drift() { ls -l "$work/varlib/ntp"; [ -e "$work/varlib/ntp/nts-keys" ]; }
check "its files are there" drift

# What is changed in a running daemon.
write
check "it starts again" launch
on host ip addr add 10.199.255.77/24 dev eth0
listens() { on host ss -Hunl | grep -F 10.199.255.77; }
check "an address that comes later is served" within 20 listens
if grep -q 'no file-system rules' "$log"; then skip "file-system rules: this kernel has none"
else
    write "leapfile $work/later/leap" "nts dump $work/later"
    in_host "$rsntpd" --reload -p /var/run/rsntpd.pid > /dev/null 2>&1
    needs_restart() { grep -F "$work/later needs a restart (file-system rules)" "$log"; }
    check "a folder that a reload adds needs a restart, and the log says so" within 5 needs_restart
fi
write "seccomp off" "landlock off"
in_host "$rsntpd" --reload -p /var/run/rsntpd.pid > /dev/null 2>&1
logs() { grep -F "$1" "$log"; }
check "a filter that is there cannot be taken away" within 5 logs "\`seccomp off' takes effect when the daemon is restarted"
check "nor can the rules" within 5 logs "\`landlock off' takes effect when the daemon is restarted"
filtered() { grep Seccomp: "/proc/$(main)/status"; [ "$(sed -n 's/^Seccomp:\s*//p' "/proc/$(main)/status")" = "$1" ]; }
check "it is still filtered" filtered 2
stop
check "with seccomp off and landlock off it starts" launch
check "it is not filtered then" filtered 0
stop
write "seccomp log"
check "with seccomp log it starts" launch
if grep -q 'system calls are not filtered' "$log"; then skip "seccomp log: this kernel cannot log"
else check "it is filtered then" filtered 2; fi
check "it follows its server then, too" within 60 follows
stop

# A call that is not on the list. Only static programs have a list of what is allowed.
write
if ldd "$rsntpd" > /dev/null 2>&1; then skip "a call that is not on the list: this program is not static"
elif ! command -v strace > /dev/null; then skip "a call that is not on the list: no strace"
else
    check "it starts once more" launch
    p=$(main)
    # Its next wait is another call instead.
    timeout 30 strace -f -p "$p" -e trace=epoll_pwait -e inject=epoll_pwait:retval=0:syscall=getpgrp:when=2 > "$work/strace" 2>&1 &
    answers > /dev/null; within 20 ended "$p"
    check "a call that is not on the list ends the daemon" ended "$p"
    named() { grep -E 'system call 111 .* is not one of ours: aborting' "$log"; }
    check "and its number is in the log" named
    sed -i 's/is not one of ours/was trapped as it should be/' "$log" "$work/log/check"
fi

# Without root at all.
unprivileged() { # OPTION…: the daemon as user 38 with the right to bind port 123
    in_host setpriv --reuid 38 --regid 38 --clear-groups --inh-caps +net_bind_service --ambient-caps +net_bind_service -- "$rsntpd" "$@"
}
rm -f "$work/run/rsntpd.pid"; mkdir -p "$work/run/rsntpd"; chown 38:38 "$work/run/rsntpd"; rm -f "$log"
chmod -R a+rX "$work/tls"; chown 38 "$work/tls/key.pem"
check "user ntp starts it with the right to bind port 123" unprivileged -u 38:38 -p /run/rsntpd/rsntpd.pid -l "$log" -c "$conf"
cp "$work/run/rsntpd/rsntpd.pid" "$work/run/rsntpd.pid"; pids+=("$(main)")
check "it follows its server" within 60 follows
keeps() { rights main "$(main)"; rights main "$(main)" | grep -qx 'main CapPrm 0000000000000400' && rights main "$(main)" | grep -qx 'main CapAmb 0000000000000000'; }
check "it has kept this right, and no program could get it" keeps
stop
refused() { ! in_host setpriv --reuid 38 --regid 38 --clear-groups --inh-caps -all -- "$rsntpd" -n -c "$conf" 2>&1 | tee /dev/stderr | grep -v 'must be run as root' | grep .; }
check "without any right it does not start" refused
verdict
