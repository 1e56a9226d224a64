#!/bin/bash
# init.d/rsntpd, verb by verb: the words and exit codes that ntpd's script has on CentOS 6, with and without Red Hat's
# functions; what ours does beyond. In a box of its own (lib.sh).
# usage: init.sh
set -u
. "$(dirname "$0")/lib.sh"
needs "init script" busybox setpriv ip useradd
daemon_program
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-init.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
box=$work/box
daemon_box "$box" "$program" || { echo "FAILED   the box cannot be made"; exit 1; }

# What is done in the box; each case is written as: number, exit code, what was said in one line.
cat > "$box/root/cases.sh" <<'END'
rsntpd=/etc/init.d/rsntpd n=0
quiet() { "$@" > /dev/null 2>&1; }
as_nobody() { setpriv --reuid 99 --regid 99 --clear-groups "$@"; }
fresh() {
    quiet $rsntpd stop; rm -f /var/run/rsntpd.pid /var/lock/subsys/*
    echo 'OPTIONS="-u ntp:ntp -g"' > /etc/sysconfig/rsntpd
    printf 'driftfile /var/lib/ntp/drift\nserver 127.127.1.0\n' > /etc/ntp.conf
    echo NETWORKING=yes > /etc/sysconfig/network
}
run() { # CMD…
    local said rc
    said=$("$@" 2>&1); rc=$?
    n=$((n + 1)); echo "$n|$rc|$(echo "$said" | sed "s/[0-9][0-9]*) is running/N) is running/" | tr '\n' '~')"
}
fresh
run $rsntpd status
run $rsntpd start
run $rsntpd status
run $rsntpd start
run $rsntpd restart
run $rsntpd stop
run $rsntpd status
run $rsntpd stop
run $rsntpd condrestart
run $rsntpd
run $rsntpd fly
echo 99999 > /var/run/rsntpd.pid;               run $rsntpd status
rm /var/run/rsntpd.pid; touch /var/lock/subsys/rsntpd; run $rsntpd status
run $rsntpd start
run $rsntpd stop
run $rsntpd status
run $rsntpd restart
quiet $rsntpd stop
mv /etc/sysconfig/rsntpd /root/kept;            run $rsntpd start; mv /root/kept /etc/sysconfig/rsntpd
chmod 644 /usr/sbin/rsntpd;                     run $rsntpd start; chmod 755 /usr/sbin/rsntpd
echo NETWORKING=no > /etc/sysconfig/network;    run $rsntpd start; echo NETWORKING=yes > /etc/sysconfig/network
bash -c 'trap "" TERM; while :; do sleep 1; done' & echo $! > /var/run/rsntpd.pid; run $rsntpd stop
echo 'OPTIONS="--no-such-option"' > /etc/sysconfig/rsntpd; run $rsntpd start
# Beyond the 22.
fresh
run as_nobody $rsntpd start
run as_nobody $rsntpd stop
$rsntpd start > /dev/null; run $rsntpd reload
run $rsntpd condrestart
chmod 600 /var/run/rsntpd.pid
run $rsntpd stop; run $rsntpd reload
echo 99999 > /var/run/rsntpd.pid; chmod 600 /var/run/rsntpd.pid; run as_nobody $rsntpd status; rm -f /var/run/rsntpd.pid
run $rsntpd configtest
echo 'server 127.127.1.0 perfer' >> /etc/ntp.conf; run $rsntpd configtest
$rsntpd start > /dev/null; run $rsntpd reload; quiet $rsntpd stop
cp /usr/sbin/rsntpd /usr/sbin/chronyd; /usr/sbin/chronyd -p /var/run/other.pid
run $rsntpd start; kill "$(cat /var/run/other.pid)"; sleep 0.5
echo 'OPTIONS="-u ntp:ntp -g"' > /etc/sysconfig/ntpd
run /etc/init.d/ntpd start; ls /var/run/ntpd.pid /var/lock/subsys/ntpd > /dev/null || echo "no files of the service ntpd"
run /etc/init.d/ntpd status
run $rsntpd start
run /etc/init.d/ntpd stop
echo 'OPTIONS="-u no-such-user"' > /etc/sysconfig/rsntpd; run $rsntpd start
ls /var/run/rsntpd.pid /var/lock/subsys/rsntpd 2> /dev/null
END
codes() { sed -n 's/^[0-9]*|\([0-9]*\)|.*/\1/p' "$work/$1" | tr '\n' ' '; }
expected="3 0 0 0 0 0 3 0 0 2 2 1 2 0 0 3 0 6 5 1 0 1 "
beyond="4 4 0 0 0 7 4 0 1 0 1 0 0 1 0 1 "
same() { cat "$work/$1"; echo "got      $(codes "$1")"; echo "expected $expected$beyond"; [ "$(codes "$1")" = "$expected$beyond" ]; }
said() { # RUN NUMBER PATTERN: the words of a case
    local line; line=$(grep "^$2|" "$work/$1")
    grep -qE "^$2\|[0-9]+\|$3\$" <<< "$line" || { echo "$line"; echo "is not $3"; return 1; }
}
words() { # RUN
    said "$1" 1 'rsntpd is stopped~' && said "$1" 2 'Starting rsntpd: \[  OK  \]~' &&
    said "$1" 3 'rsntpd \(pid  N\) is running...~' && said "$1" 4 'Starting rsntpd: ~' &&
    said "$1" 5 'Shutting down rsntpd: \[  OK  \]~Starting rsntpd: \[  OK  \]~' &&
    said "$1" 6 'Shutting down rsntpd: \[  OK  \]~' && said "$1" 8 'Shutting down rsntpd: \[FAILED\]~' &&
    said "$1" 9 '~' && said "$1" 10 'Usage: .*\|reload\|.*~' &&
    said "$1" 12 'rsntpd dead but pid file exists~' && said "$1" 13 'rsntpd dead but subsys locked~' &&
    said "$1" 17 'Shutting down rsntpd: \[FAILED\]~Starting rsntpd: \[  OK  \]~' &&
    said "$1" 18 '~' && said "$1" 19 '~' && said "$1" 20 '~' && said "$1" 22 'Starting rsntpd: .*no-such-option.*\[FAILED\]~.*' &&
    said "$1" 29 'rsntpd status unknown due to insufficient privileges.~'
}
remedies() { # RUN
    said "$1" 22 '.*configtest.*' && said "$1" 25 'Reloading rsntpd: \[  OK  \]~' && said "$1" 28 'rsntpd is not running~' &&
    said "$1" 31 '.*did you mean prefer.*' && said "$1" 32 'Reloading rsntpd: \[  OK  \]~rsntpd: .*did you mean prefer.*' &&
    said "$1" 33 '.*in use.*\[FAILED\]~.*chronyd \(pid N\) is running.*service chronyd stop; chkconfig chronyd off~' &&
    said "$1" 36 '.*\[FAILED\]~rsntpd: ntpd \(pid N\) is running.*service ntpd stop; chkconfig ntpd off~' &&
    said "$1" 38 '.*no-such-user.*\[FAILED\]~.*'
}
tidy() { ! grep -v '|' "$work/$1"; }
for with in "without functions" "with functions"; do
    rm -f "$box/etc/rc.d/init.d/functions"
    [ "$with" = "with functions" ] && cp "$top/tests/package/functions" "$box/etc/rc.d/init.d/functions"
    in_box "$box" /bin/bash /root/cases.sh > "$work/$with" 2> "$work/stderr"
    check "$with: the 22 exit codes of ntpd's script, and 16 more" same "$with"
    check "$with: the words" words "$with"
    check "$with: reload, configtest, and a start that fails says why and what to do" remedies "$with"
    check "$with: nothing lies about afterwards" tidy "$with"
done
same_words() { diff "$work/without functions" "$work/with functions"; }
check "with and without functions: the same words" same_words
verdict
