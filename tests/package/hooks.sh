#!/bin/bash
# What runs rsntpd's side of other programs: the hook of dhclient, the service that sets the clock once, logrotate's rule.
# In a box of its own (lib.sh), with programs that write down how they were called.
# usage: hooks.sh
set -u
. "$(dirname "$0")/lib.sh"
needs hooks busybox setpriv ip useradd
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-hooks.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
box=$work/box
make_box "$box" && copy_programs "$box" cmp || { echo "FAILED   the box cannot be made"; exit 1; }
mkdir -p "$box/etc/ntp" "$box/etc/dhcp/dhclient.d"
install -m 755 "$top"/init.d/{rsntpdate,ntpdate} "$box/etc/rc.d/init.d"
install -m 755 "$top/conf/dhclient.sh" "$box/etc/dhcp/dhclient.d/rsntpd.sh"
printf '#!/bin/bash\necho "$@" >> /root/reloads\n' > "$box/etc/rc.d/init.d/rsntpd"; chmod 755 "$box/etc/rc.d/init.d/rsntpd"
touch "$box/var/lock/subsys/rsntpd"

printf 'driftfile /var/lib/ntp/drift\n\nserver 192.0.2.1 iburst\n\n' > "$box/etc/ntp.conf"; chmod 640 "$box/etc/ntp.conf"
cp "$box/etc/ntp.conf" "$work/original"
lease() { in_box "$box" /bin/bash -c ". /etc/dhcp/dhclient.d/rsntpd.sh; $1"; }
reloads() { grep -c reload "$box/root/reloads"; }
mark='# added by /sbin/dhclient-script'
added() {
    lease 'new_ntp_servers="192.0.2.1 192.0.2.2 2001:db8::3 -x a;b"; rsntpd_config' || return
    { cat "$work/original"; printf 'server 192.0.2.2  %s\nserver 2001:db8::3  %s\n' "$mark" "$mark"; } | diff - "$box/etc/ntp.conf" && [ "$(reloads)" = 1 ]
}
check "dhclient: new servers are added, once, and the daemon told" added
unchanged() { lease 'new_ntp_servers="192.0.2.2 2001:db8::3"; rsntpd_config' && [ "$(grep -c "$mark" "$box/etc/ntp.conf")" = 2 ] && [ "$(reloads)" = 1 ]; }
check "the same lease again: nothing happens" unchanged
replaced() { lease 'new_ntp_servers=192.0.2.9; rsntpd_config' && [ "$(grep "$mark" "$box/etc/ntp.conf")" = "server 192.0.2.9  $mark" ] && [ "$(reloads)" = 2 ]; }
check "another lease takes the place of the first" replaced
restored() { lease 'rsntpd_restore' && cmp "$work/original" "$box/etc/ntp.conf" && [ "$(stat -c %a "$box/etc/ntp.conf")" = 640 ] && [ "$(reloads)" = 3 ]; }
check "the end of the lease: the file is as it was, to the empty line" restored
declined() { lease 'PEERNTP=no; new_ntp_servers=192.0.2.9; rsntpd_config' && cmp "$work/original" "$box/etc/ntp.conf"; }
check "PEERNTP=no leaves it alone" declined

printf '#!/bin/bash\necho "$@" >> /root/asked\nread -r left < /root/left; echo $((left - 1)) > /root/left; [ "$left" -le 1 ]\n' > "$box/usr/sbin/rsntpdate"
printf '#!/bin/bash\necho "$@" >> /root/slept\n' > "$box/usr/sbin/sleep"; chmod 755 "$box"/usr/sbin/{rsntpdate,sleep}
cp "$top/conf/sysconfig/rsntpdate" "$top/conf/sysconfig/ntpdate" "$box/etc/sysconfig"
once() { # SERVICE FAILURES VERB: runs it; the program fails so often first
    echo $(($2 + 1)) > "$box/root/left"; rm -f "$box"/root/{asked,slept}; touch "$box"/root/{asked,slept}
    in_box "$box" /etc/init.d/"$1" "$3"; local rc=$?
    echo "exit $rc, asked:"; cat "$box/root/asked"; echo "slept:"; cat "$box/root/slept"; return $rc
}
tickers() { printf '# ours\n192.0.2.7 # first\n\n192.0.2.8\n' > "$box/etc/ntp/step-tickers"; once rsntpdate 0 start && [ "$(cat "$box/root/asked")" = "-U ntp -s -b 192.0.2.7 192.0.2.8" ]; }
check "rsntpdate asks the servers of step-tickers" tickers
from_conf() {
    cp "$top/conf/etc-ntp/step-tickers" "$box/etc/ntp"; printf 'server -4 192.0.2.1 iburst\npool 2.pool.invalid\nserver 127.127.1.0\n#server no\npeer 192.0.2.5\n' > "$box/etc/ntp.conf"
    once rsntpdate 0 start && [ "$(cat "$box/root/asked")" = "-U ntp -s -b 192.0.2.1 2.pool.invalid 192.0.2.5" ]
}
check "without any, those of ntp.conf" from_conf
status_is() { in_box "$box" /etc/init.d/"$1" status; local rc=$?; echo "$rc"; [ $rc = "$2" ]; }
check "status: it ran" status_is rsntpdate 0
patient() { once rsntpdate 2 start && [ "$(tr '\n' ' ' < "$box/root/slept")" = "10 20 " ]; }
check "it tries again after 10 and 20 s" patient
gives_up() { once rsntpdate 9 start; [ $? = 1 ] && [ "$(wc -l < "$box/root/asked")" = 3 ]; }
check "and gives up then with 1" gives_up
stopped() { once rsntpdate 0 stop && status_is rsntpdate 3; }
check "stop, and status: it did not run" stopped
nobody() { echo driftfile x > "$box/etc/ntp.conf"; once rsntpdate 0 start; [ $? = 6 ]; }
check "no servers at all: 6" nobody
classic() { echo 192.0.2.7 > "$box/etc/ntp/step-tickers"; once ntpdate 0 start && status_is ntpdate 0 && status_is rsntpdate 3; }
check "the service ntpdate of rsntpd-compat" classic

sysconfig() { printf '%b' "$1" > "$box/etc/sysconfig/rsntpdate"; }
asked_with() { [ "$(cat "$box/root/asked")" = "$1 192.0.2.7" ]; }
retries() { sysconfig 'OPTIONS="-U ntp -s -b"\n'; once rsntpdate 2 start && [ "$(tr '\n' ' ' < "$box/root/slept")" = "10 20 " ]; }
check "D20 no RETRIES in the file means 2, as in the script of ntpdate" retries
retries_zero() { sysconfig 'OPTIONS="-U ntp -s -b"\nRETRIES=0\n'; once rsntpdate 2 start; [ $? = 1 ] && [ ! -s "$box/root/slept" ]; }
check "D20 RETRIES=0 means none" retries_zero
retries_empty() { sysconfig 'RETRIES=\n'; once rsntpdate 2 start && [ "$(wc -l < "$box/root/slept")" = 2 ] && [ "$(tail -1 "$box/root/asked")" = "-U ntp -s -b 192.0.2.7" ]; }
check "D20 an empty RETRIES, too; no OPTIONS: as user ntp" retries_empty
seven() { sysconfig 'OPTIONS="-p 2"\n'; once rsntpdate 0 start && asked_with "-U ntp -s -b -p 2"; }
check "D18 the file of CentOS 7's ntpdate: as user ntp" seven
install -m 755 "$top/init.d/rsntpd" "$box/etc/rc.d/init.d"
misspelt() { # FILE PATTERN
    sysconfig "$1"; once rsntpdate 0 start > "$work/out" 2>&1; cat "$work/out"; grep -q "$2" "$work/out" && asked_with "-U ntp -s -b"
}
check "D18 RETRIE= and OPTION= are reported" misspelt 'OPTION="-x"\n' 'rsntpdate: line 1: unknown setting OPTION, did you mean OPTIONS'
check "D18 RETRYS= is reported" misspelt 'RETRYS=5\n' 'unknown setting RETRYS, did you mean RETRIES'
check "D18 SYNC_HWCLOK= is reported" misspelt 'SYNC_HWCLOK=yes\n' 'did you mean SYNC_HWCLOCK'
broken() { misspelt 'OPTIONS="-U ntp\n' 'the quote is not closed'; }
check "D18 a broken quote is reported" broken

names() { # VERB, with or without alternatives; in a box of its own: the classic names by plain links
    in_box "$work/bare" /bin/sh /root/names "$1" && ls -l "$work"/bare/usr/sbin/ntp* "$work"/bare/usr/bin/ntp* 2>&1
}
make_box "$work/bare" && cp "$top/rpm/names" "$work/bare/root/names"
rm -f "$work"/bare/usr/sbin/*alternatives "$work"/bare/usr/bin/*alternatives "$work"/bare/usr/{sbin,bin}/ntp*
echo other > "$work/bare/usr/sbin/ntptime"
plain_links() { names --install; [ "$(readlink "$work/bare/usr/sbin/ntpq")" = rsntpq ] && [ "$(readlink "$work/bare/usr/bin/ntpstat")" = rsntpstat ] && [ "$(cat "$work/bare/usr/sbin/ntptime")" = other ]; }
check "D20 without alternatives the classic names are links; another package's file stays" plain_links
links_gone() { names --remove; [ ! -L "$work/bare/usr/sbin/ntpq" ] && [ ! -L "$work/bare/usr/bin/ntpstat" ] && [ "$(cat "$work/bare/usr/sbin/ntptime")" = other ]; }
check "D20 and go with the package" links_gone
stranger() { ln -s elsewhere "$work/bare/usr/sbin/ntpq"; names --install; names --remove; [ "$(readlink "$work/bare/usr/sbin/ntpq")" = elsewhere ]; }
check "D20 another package's link stays, too" stranger

systemd_hook() { # a running unit is reloaded, by words that every release knows
    mkdir -p "$box/run/systemd/system"
    printf '#!/bin/bash\necho "$@" >> /root/systemctl\n[[ "$*" != *ntpd.service || "$*" == *rsntpd.service ]]\n' > "$box/usr/bin/systemctl"; chmod 755 "$box/usr/bin/systemctl"
    lease 'new_ntp_servers=192.0.2.77; rsntpd_config'; cat "$box/root/systemctl"
    [ "$(grep -v is-active "$box/root/systemctl")" = "reload rsntpd.service" ]
}
check "D13 dhclient where systemd runs: the running service is reloaded" systemd_hook
rm -rf "$box/run/systemd"

if command -v logrotate > /dev/null; then
    rotated() { sed "s#/var/log/rsntpd.log#$work/log#; s#create 0644 ntp ntp#create 0644#" "$top/conf/logrotate" > "$work/rule"; chmod 644 "$work/rule"; echo line > "$work/log"; logrotate -f -s "$work/state" "$work/rule" && [ -e "$work/log.1" ] && [ ! -s "$work/log" ]; }
    check "logrotate takes the rule" rotated
    until_there() { local n; for n in {1..100}; do [ ! -e "$1" ] || return 0; sleep 0.1; done; }
    signalled() { # D4: the daemon's pid file has no line end; nohup must not make the shell deaf
        env --default-signal=HUP bash -c 'trap "echo hup > $0; exit" HUP; echo > $0.ready; while :; do sleep 0.1; done' "$work/hup" & local pid=$!
        until_there "$work/hup.ready"
        printf '%s' $pid > "$work/rsntpd.pid"
        sed "s#/var/log/rsntpd.log#$work/log#; s#create 0644 ntp ntp#create 0644#; s#/var/run/#$work/#" "$top/conf/logrotate" > "$work/rule"
        echo line > "$work/log"; rm -f "$work/log.1"; logrotate -f -s "$work/state" "$work/rule"
        until_there "$work/hup"; kill $pid 2> /dev/null; cat "$work/hup"
    }
    check "D4 and the daemon is told to open its log anew" signalled
else skip "logrotate: it is not here"; fi
verdict
