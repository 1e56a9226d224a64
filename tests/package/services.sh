#!/bin/bash
# The init scripts where systemd runs (a systemctl that writes down how it was called), with faults in the file of the
# options, and for ordinary users. In a box of its own (lib.sh), by bash and by dash.
# usage: services.sh
set -u
. "$(dirname "$0")/lib.sh"
needs "services" busybox setpriv ip useradd dash
daemon_program
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-services.XXXXXX"); chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
box=$work/box
daemon_box "$box" "$program" || { echo "FAILED   the box cannot be made"; exit 1; }
printf '#!/bin/sh\necho "$@" >> /root/asked\ncat /root/said 2> /dev/null\nread -r rc < /root/rc; exit $rc\n' > "$box/usr/bin/systemctl"
printf '#!/bin/sh\nshift 4; echo "$@" >> /root/syslog\n' > "$work/logger"
rm -f "$box/usr/bin/logger"; install -m 755 "$work/logger" "$box/usr/bin/logger"; chmod 755 "$box/usr/bin/systemctl"
ln -s /var/run "$box/run"

# What the cases below are written with.
cat > "$box/root/lib.sh" <<'L'
script=/etc/init.d/rsntpd
by() { if [ -n "$BY" ]; then "$BY" "$@"; else "$@"; fi; }
with_systemd() { mkdir -p /run/systemd/system; }
pid() { cat "/var/run/${1:-rsntpd}.pid"; }
runs() { [ -s "/var/run/${1:-rsntpd}.pid" ] && [ -d "/proc/$(pid "$1")" ]; }
options() { printf "$1" > /etc/sysconfig/rsntpd; }
uid() { awk '/^Uid:/ {print $2}' "/proc/$(pid "$1")/status"; }
words() { tr '\0' ' ' < "/proc/$(pid "$1")/cmdline"; }
as_nobody() { setpriv --reuid 99 --regid 99 --clear-groups "$@"; }
is() { echo "\`$1' where \`$2' is wanted"; [ "$1" = "$2" ]; }
asked() { local got; got=$(cat /root/asked 2> /dev/null | tr '\n' ' '); is "${got% }" "$1"; }
L
inside() { # CASE: commands of the box, in a shell that is not process 1, from a fresh state
    rm -rf "$box"/var/run/* "$box"/var/lock/subsys/* "$box"/root/{asked,said,syslog,out}
    echo 0 > "$box/root/rc"
    printf 'driftfile /var/lib/ntp/drift\nserver 127.127.1.0\n' > "$box/etc/ntp.conf"; chmod 644 "$box/etc/ntp.conf"
    for s in rsntpd ntpd; do echo 'OPTIONS="-g"' > "$box/etc/sysconfig/$s"; done
    printf 'BY=%s\nset -e\n. /root/lib.sh\n%s\n' "$by" "$1" > "$box/root/case"
    in_box "$box" /bin/bash -c 'bash /root/case; exit $?'
}
case_of() { check "$1${by:+ (by $by)}" inside "$2"; }

verbs='with_systemd
for verb in start stop restart try-restart condrestart force-reload reload; do by $script $verb; done
asked "start rsntpd.service stop rsntpd.service restart rsntpd.service try-restart rsntpd.service try-restart rsntpd.service restart rsntpd.service reload rsntpd.service"
! runs'
for with in "without functions" "with functions"; do
    rm -f "$box/etc/rc.d/init.d/functions"
    [ "$with" = "with functions" ] && cp "$top/tests/package/functions" "$box/etc/rc.d/init.d/functions"
    for by in "" dash; do
        echo "# $with"
        case_of "D14 where systemd runs, the verbs go through systemctl" "$verbs"
        case_of "D14 for the service ntpd, too" 'with_systemd; by /etc/init.d/ntpd start; asked "start ntpd.service"; ! runs ntpd'
        case_of "D14 and for rsntpdate and ntpdate" 'with_systemd
            for s in rsntpdate ntpdate; do for v in start stop restart; do by /etc/init.d/$s $v; done; done
            asked "start rsntpdate.service stop rsntpdate.service restart rsntpdate.service start ntpdate.service stop ntpdate.service restart ntpdate.service"'
        case_of "D14 SYSTEMCTL_SKIP_REDIRECT keeps the script to itself" 'with_systemd; export SYSTEMCTL_SKIP_REDIRECT=1; by $script start; runs; by $script stop; ! runs; asked ""'
        case_of "D14 what systemctl fails with is passed on" 'with_systemd; echo 3 > /root/rc; rc=0; by $script start || rc=$?; is $rc 3'
        case_of "D14 reload of what does not run: 7" 'with_systemd; echo 3 > /root/rc; rc=0; by $script reload || rc=$?; is $rc 7'
        case_of "D14 no root: 4, and systemctl is not asked" 'with_systemd; for v in start stop restart reload; do rc=0; as_nobody $BY $script $v || rc=$?; is $rc 4; done; asked ""'
        case_of "D14 without /run/systemd/system nothing is redirected" 'by $script start; runs; asked ""'
        case_of "D14 one that was started past the unit is stopped by stop" 'SYSTEMCTL_SKIP_REDIRECT=1 by $script start; p=$(pid); with_systemd; by $script stop; [ ! -d /proc/$p ]; asked "stop rsntpd.service"'
        case_of "D14 and gives way to the unit at start" 'SYSTEMCTL_SKIP_REDIRECT=1 by $script start; p=$(pid); with_systemd; by $script start; [ ! -d /proc/$p ]; asked "start rsntpd.service"'
        case_of "D14 a pid file with the number of another program: that is left alone" 'with_systemd; sleep 60 & echo $! > /var/run/rsntpd.pid; by $script stop; kill -0 $!; by $script start; kill -0 $!'
        case_of "D15 status for an ordinary user: 0" 'by $script start; chmod 644 /var/run/rsntpd.pid; as_nobody $BY $script status > /root/out; grep -q "is running" /root/out'
        case_of "D15 also where he may not read the pid file" 'by $script start; chmod 600 /var/run/rsntpd.pid; as_nobody $BY $script status'
        case_of "D7 status by the main process of the unit where there is no pid file" 'with_systemd; echo MainPID=$$ > /root/said; by $script status > /root/out; grep -q "(pid  *$$) is running" /root/out; echo MainPID=0 > /root/said; ! by $script status'
        case_of "D2 the service ntpd is a process ntpd" 'by /etc/init.d/ntpd start; is "$(cat /proc/$(pid ntpd)/comm)" ntpd; words ntpd; case $(words ntpd) in /usr/sbin/ntpd\ *) ;; *) false ;; esac; by /etc/init.d/ntpd status'

        case_of "D8 reload: 0, and the new server is asked" 'by $script start; echo "server 192.0.2.9" >> /etc/ntp.conf; by $script reload
            for n in 1 2 3 4 5; do rsntpq -pn | grep 192.0.2.9 && exit; sleep 1; done; exit 1'
        case_of "D8 reload of a file with a new mistake: 1, and the reason" 'by $script start; echo "server 192.0.2.9 perfer" >> /etc/ntp.conf
            rc=0; by $script reload 2> /root/out || rc=$?; cat /root/out; is $rc 1; grep -q "^rsntpd: .*/etc/ntp.conf" /root/out; runs'
        case_of "D8 reload of a file that the daemon may not read any more: 1, and the reason" 'by $script start; echo "server 192.0.2.9" >> /etc/ntp.conf; chmod 600 /etc/ntp.conf
            rc=0; by $script reload 2> /root/out || rc=$?; cat /root/out; is $rc 1; grep -q "^rsntpd: .*/etc/ntp.conf" /root/out; runs'
        case_of "D8 reload without ntp.conf: 1, and the reason" 'by $script start; rm /etc/ntp.conf
            rc=0; by $script reload 2> /root/out || rc=$?; cat /root/out; is $rc 1; grep -q "^rsntpd: .*/etc/ntp.conf" /root/out; runs'
        case_of "D8 reload beside files that only root may read, as in the default ntp.conf: 0" 'mkdir -p /etc/ntp/crypto; echo "1 M secret" > /etc/ntp/keys; echo "# pw" > /etc/ntp/crypto/pw; chmod 600 /etc/ntp/keys /etc/ntp/crypto/pw
            echo "includefile /etc/ntp/crypto/pw
keys /etc/ntp/keys" >> /etc/ntp.conf; by $script start; by $script reload'
        case_of "D8 reload of the service ntpd" 'by /etc/init.d/ntpd start; by /etc/init.d/ntpd reload; echo "bogus line" >> /etc/ntp.conf; ! by /etc/init.d/ntpd reload'
        case_of "D8 reload of what does not run: 7" 'rc=0; by $script reload || rc=$?; is $rc 7'
        # The rest depends on the shell only.
        [ "$with,$by" = "with functions,dash" ] || [ "$with,$by" = "without functions," ] && continue
        reported() { # WHAT, FILE (for printf), PATTERN of what start and configtest report
            case_of "D18 $1" "options '$2'
                by \$script start 2> /root/out; cat /root/out
                grep -qE '$3' /root/out; grep -qE '$3' /root/syslog; is \$(uid) 38
                rc=0; by \$script configtest > /root/out 2>&1 || rc=\$?; cat /root/out; is \$rc 1; grep -qE '$3' /root/out"
        }
        reported "OPTION= for OPTIONS=" 'OPTION="-u ntp:ntp -g"\n' 'rsntpd: line 1: unknown setting OPTION, did you mean OPTIONS'
        reported "OPTOINS=" '# a comment\nOPTOINS="-g"\n' 'rsntpd: line 2: unknown setting OPTOINS, did you mean OPTIONS'
        reported "options=" 'options="-g"\n' 'unknown setting options, did you mean OPTIONS'
        reported "OPTS=" 'OPTS="-g"\n' 'unknown setting OPTS, did you mean OPTIONS'
        reported "a quote that is never closed" 'OPTIONS="-u ntp:ntp -g\n' '/etc/sysconfig/rsntpd: line 1: the quote is not closed'
        reported "a quote that is never opened" 'OPTIONS=-u ntp:ntp -g"\n' '/etc/sysconfig/rsntpd: '
        reported "a single quote that is never closed, and lines behind it" "OPTIONS=\\047-u ntp:ntp -g\\nTZ=UTC\\n# the end\\n" 'line 1: the quote is not closed'
        reported "a quote that a later line closes" 'OPTIONS="-g\nTZ="UTC"\n' 'line 1: the quote is not closed'
        reported "no quotes around several words" 'OPTIONS=-u ntp:ntp -g\n' 'line 1: a value of several words needs quotes'
        reported "spaces around the =" 'OPTIONS = "-u ntp:ntp -g"\n' 'line 1: expected no space before or after the ='
        reported "a colon for the =" 'OPTIONS: "-g"\n' 'line 1: expected OPTIONS='
        reported "no = at all" 'OPTIONS "-g"\n' 'line 1: expected OPTIONS='
        reported "NICELEVL=" 'OPTIONS="-g"\nNICELEVL=-5\n' 'line 2: unknown setting NICELEVL, did you mean NICELEVEL'
        silent() { # WHAT, FILE, the user's number
            case_of "D18 $1" "options '$2'
                by \$script start 2> /root/out; cat /root/out; [ ! -s /root/out ]; [ ! -s /root/syslog ]; words; is \$(uid) $3
                is \$(words | grep -o -- ' -[a-z]*u' | wc -l) ${4-1}; by \$script configtest"
        }
        silent "no user in OPTIONS: ntp" 'OPTIONS="-g"\n' 38
        silent "an empty file: ntp" '' 38
        silent "a comment only: ntp" '#OPTIONS="-u root"\n' 38
        silent "-u ntp:ntp is not doubled" 'OPTIONS="-u ntp:ntp -p /var/run/ntpd.pid -g"\n' 38
        silent "-gu nobody: another user" 'OPTIONS="-gu nobody"\n' 99
        silent "-u0 would be root, if one says so" 'OPTIONS="-u root -g"\n' 0
        silent "--user=nobody" 'OPTIONS="--user=nobody -g"\n' 99 0
        silent "a file name with a u is no user" 'OPTIONS="-l/var/log/u -g"\n' 38 1
        silent "other variables are accepted" 'OPTIONS="-g" # the usual\nexport TZ=UTC\nLD_X=1\nif [ -n "$X" ]; then OPTIONS="-x"; fi\n' 38
        silent "a value over two lines with a backslash" 'OPTIONS="-g \\\\\n -x"\n' 38
        reported "lines of DOS" 'OPTIONS="-g "\r\n' 'carriage return'
        case_of "D18 what stands before a broken line still counts" "options 'OPTIONS=\"-g -x\"\\nX=\"broken\\n'; by \$script start 2> /root/out; words | grep -q -- '-g -x'"
    done
done
verdict
