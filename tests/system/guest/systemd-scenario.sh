#!/bin/bash
# Runs inside the guest, as a service of its systemd, with the packages installed: what an administrator does with them,
# shown and judged. The lines that begin with CHECK are counted outside, by systemd.sh.
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_PAGER=
exec 2>&1
status=0
show() { # COMMAND-LINE: prints it, what it prints, and its exit status
    echo; echo "[guest]# $1"
    bash -c "$1" > /root/shown 2>&1; status=$?
    cat /root/shown
    [ $status = 0 ] || echo "(exit status $status)"
}
check() { # WHAT CMD…
    local what=$1; shift
    if "$@" > /root/checked 2>&1; then echo "CHECK ok       $what"; else echo "CHECK FAILED   $what"; sed 's/^/      | /' /root/checked; fi
}
is() { echo "$1 where $2 is wanted"; [ "$1" = "$2" ]; }
seen() { grep -qE -- "$1" /root/shown; }
active() { is "$(systemctl is-active "$1")" active; }
pid() { systemctl show -p MainPID --value "$1"; }
comm() { cat "/proc/$(pid "$1")/comm"; }
asked() { rsntpq -pn > /root/asked 2>&1; cat /root/asked; grep -q "$1" /root/asked; }
soon() { local n; for n in 1 2 3 4 5 6 7 8 9 10; do "$@" && return; sleep 2; done; return 1; }
# No word of the daemon stands twice in the journal.
once() { journalctl -o cat -u "$1" | grep "$2"; is "$(journalctl -o cat -u "$1" | grep -c "$2")" 1; }
conf() { printf 'driftfile /var/lib/ntp/drift\nrestrict default nomodify\nserver 127.127.1.0\nfudge 127.127.1.0 stratum 10\n%s\n' "$1" > /etc/ntp.conf; }

ip link set lo up
show 'systemctl --version | head -1; uname -r; rpm -q rsntpd rsntpd-compat'
conf ''
show 'systemctl enable --now rsntpd'
check "D7 enable --now: starts" is $status 0
check "D7 it is active, by its own word (Type=notify)" active rsntpd
show 'systemctl show -p Type -p MainPID -p ExecMainStatus rsntpd; cat /run/rsntpd.pid; echo; ls -l /run/rsntpd.pid; ps -C rsntpd -o user,pid,comm,args'
check "D7 the main process is the one of the pid file" is "$(pid rsntpd)" "$(cat /run/rsntpd.pid)"
check "D20 -u ntp:ntp stands once on the command line" is "$(tr '\0' '\n' < "/proc/$(pid rsntpd)/cmdline" | grep -c '^-u$')" 1
check "D15 the pid file can be read by everybody" is "$(stat -c %a /run/rsntpd.pid)" 644
show 'systemctl status rsntpd --no-pager | head -20'
check "status" is $status 0

main=$(pid rsntpd)
conf 'server 192.0.2.55'
show 'echo "server 192.0.2.55" >> /etc/ntp.conf; systemctl reload rsntpd'
check "D13 reload: exit status 0" is $status 0
check "D13 reload: the new server is there" soon asked 192.0.2.55
check "D13 reload: it is the same process" is "$(pid rsntpd)" "$main"
check "D13 reload: active afterwards" active rsntpd
conf 'server 192.0.2.55 perfer'
show 'sed -i "s/55/55 perfer/" /etc/ntp.conf; systemctl reload rsntpd; rc=$?; journalctl -o cat -u rsntpd -n 8; exit $rc'
check "D8 reload of a file with a new mistake: not 0" [ "$status" != 0 ]
check "D8 and the journal has the reason" seen 'perfer|old configuration stays'
check "D8 the daemon goes on" active rsntpd
conf 'server 192.0.2.66'
show '/etc/rc.d/init.d/rsntpd reload'
check "D13 service rsntpd reload" is $status 0
check "D13 service rsntpd reload: the new server is there" soon asked 192.0.2.66
chmod 600 /etc/ntp.conf
show 'chmod 600 /etc/ntp.conf; /etc/rc.d/init.d/rsntpd reload'
check "D8 a file that the daemon may not read any more: not 0" [ "$status" != 0 ]
check "D8 and the script prints the reason, too" seen '^rsntpd: .*ntp\.conf'
chmod 644 /etc/ntp.conf
show 'setpriv --reuid nobody --regid nogroup --clear-groups /etc/rc.d/init.d/rsntpd status'
check "D15 status as an ordinary user: 0" is $status 0
check "each line stands once in the journal" once rsntpd 'Listen on wildcard 0.0.0.0'

show 'systemctl restart rsntpd; systemctl is-active rsntpd'
check "restart" is $status 0
check "restart: another process" [ "$(pid rsntpd)" != "$main" ]
show 'systemctl stop rsntpd; /etc/rc.d/init.d/rsntpd start; systemctl is-active rsntpd'
check "D14 the init script starts the unit" seen '^active'
show '/etc/rc.d/init.d/rsntpd stop; systemctl is-active rsntpd'
check "D14 and stops it" seen '^inactive'
show 'SYSTEMCTL_SKIP_REDIRECT=1 /etc/rc.d/init.d/rsntpd start; systemctl is-active rsntpd; /etc/rc.d/init.d/rsntpd start; systemctl is-active rsntpd'
check "D14 one that was started past the unit gives way to it" active rsntpd

show 'mkdir -p /etc/systemd/system/rsntpd.service.d; printf "[Service]\nExecStart=\nExecStart=/usr/sbin/rsntpd -n -g -u ntp:ntp\n" > /etc/systemd/system/rsntpd.service.d/own.conf; systemctl daemon-reload; time systemctl restart rsntpd; systemctl is-active rsntpd'
check "D7 a drop-in with another ExecStart (-n, no pid file): starts" is $status 0
show '/etc/rc.d/init.d/rsntpd status'
check "D7 and the init script's status knows it" is $status 0
rm -r /etc/systemd/system/rsntpd.service.d; systemctl daemon-reload

printf 'OPTION="-x"\n' > /etc/sysconfig/rsntpd
show 'echo "OPTION=\"-x\"" > /etc/sysconfig/rsntpd; systemctl restart rsntpd; ps -C rsntpd -o user,args; journalctl -o cat -u rsntpd -n 12'
check "D18 a misspelt OPTIONS: in the journal" seen 'did you mean OPTIONS'
check "D18 and it runs as ntp" seen '^ntp +/usr/sbin/rsntpd'
rm /etc/sysconfig/rsntpd

show 'systemctl enable rsntp-wait; systemctl start rsntp-wait; systemctl is-active rsntp-wait'
check "D7 rsntp-wait" is $status 0
show 'systemctl disable --now rsntpd; systemctl start rsntpd-restricted; systemctl is-active rsntpd-restricted; systemctl status rsntpd-restricted --no-pager | head -20'
check "the restricted unit starts, by its own word" active rsntpd-restricted
restricted=$(pid rsntpd-restricted)
show "grep -E '^(Uid|Gid|Groups|Cap(Eff|Prm|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/$restricted/status"
check "it has no user but ntp" seen "^Uid:.$(id -u ntp).$(id -u ntp).$(id -u ntp).$(id -u ntp)\$"
check "and CAP_NET_BIND_SERVICE and CAP_SYS_TIME alone" is "$(sed -n 's/^Cap\(Eff\|Prm\|Bnd\):.//p' /root/shown | sort -u)" 0000000002000400
conf 'server 192.0.2.77'
show 'systemctl reload rsntpd-restricted'
check "its reload: exit status 0" is $status 0
check "its reload: the new server is there" soon asked 192.0.2.77
show 'systemctl restart rsntpd-restricted; systemctl is-active rsntpd-restricted; ls -l /var/lib/ntp /run/rsntpd; journalctl -o cat -u rsntpd-restricted -n 25'
check "restart of the restricted unit" active rsntpd-restricted
check "nothing of it was refused" bash -c '! grep -iE "denied|not permitted|not one of ours|failed" /root/shown'
show 'systemctl start rsntpd; systemctl is-active rsntpd-restricted'
check "rsntpd and the restricted unit make room for each other" seen '^inactive'
show 'systemctl disable rsntpd; systemctl enable --now ntpd; systemctl is-active ntpd; systemctl is-active rsntpd; ps -C ntpd -o user,comm,args'
check "D2 the service ntpd is a process ntpd" is "$(comm ntpd)" ntpd
check "D7 rsntpd made room for it" [ "$(systemctl is-active rsntpd)" = inactive ]
show 'systemctl restart rsntp-wait; systemctl start ntp-wait; systemctl is-active rsntp-wait ntp-wait ntpd'
check "D7 both wait units wait for the service ntpd" is $status 0
show 'systemctl reload ntpd'
check "D13 reload of ntpd" is $status 0
show 'systemctl enable ntp-wait; find /etc/systemd/system | grep ntp; rpm -e --nodeps rsntpd-compat rsntpd; sleep 1; find /etc/systemd/system | grep ntp; pgrep -l ntpd; ls /usr/sbin | grep ntp'
check "D17 removal: no link of a unit is left" [ -z "$(find /etc/systemd/system | grep ntp)" ]
check "D14 removal: no process is left" [ -z "$(pgrep ntpd)" ]
echo "SCENARIO-END"
sync; sleep 1
systemctl poweroff --force --force
