#!/bin/bash
# The whole life of the packages in target/rpm, in boxes that dnf makes from a repository: on a machine without and with
# ntp (a stub with its files), with an edited ntp.conf: install, switch on, start, look, upgrade while it runs, remove.
# Everything runs in namespaces of its own, without CAP_SYS_TIME.
# usage: life.sh
set -u
. "$(dirname "$0")/lib.sh"
needs "life of the package" rpmbuild dnf createrepo_c busybox setpriv ip useradd update-alternatives
built=$top/target/rpm
if ! ls "$built"/rsntpd-[0-9]*.x86_64.rpm > /dev/null 2>&1; then skip "life of the package: there is none (make rpm)"; verdict; exit; fi
if [ "${INSIDE:-}" != yes ]; then
    INSIDE=yes exec unshare -m -n -p -f --mount-proc --propagation private \
        setpriv --bounding-set -sys_time --inh-caps -sys_time -- "$0" "$@"
fi
ip link set lo up
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-package.XXXXXX"); chmod 755 "$work"
trap 'umount -q "$work"/*/proc "$work"/*/dev; [ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT

# A repository with the base of a box, the stub of ntp, and ours in two releases.
make_box "$work/base" || { echo "FAILED   the box cannot be made"; exit 1; }
copy_programs "$work/base" update-alternatives cmp
rm "$work/base/etc/passwd" "$work/base/etc/group"
install -m 755 "$top/tests/package/chkconfig" "$work/base/usr/sbin/chkconfig"
printf '#!/bin/sh\nexec update-alternatives --altdir /etc/alternatives --admindir /var/lib/alternatives --log /dev/null "$@"\n' > "$work/base/usr/sbin/alternatives"
printf '#!/bin/bash\n[ -x /etc/init.d/"$1" ] || { echo "$1: unrecognized service" >&2; exit 1; }\ncd /; exec env -i PATH=/sbin:/usr/sbin:/bin:/usr/bin TERM=dumb /etc/init.d/"$@"\n' > "$work/base/usr/sbin/service"
chmod 755 "$work"/base/usr/sbin/{alternatives,service}
mkdir -p "$work"/base/{etc/alternatives,var/lib/alternatives,etc/logrotate.d}
mkdir -p "$work"/{repo,home,top}
rpmbuild --quiet -bb --define "_topdir $work/top" --define "box $work/base" "$top/tests/package/stubs.spec" > "$work/log" 2>&1 ||
    { echo "FAILED   the stubs do not build"; cat "$work/log"; exit 1; }
cp "$work"/top/RPMS/*/*.rpm "$built"/rsntpd-*.x86_64.rpm "$work/repo"
createrepo_c -q --no-database --general-compress-type=gz "$work/repo"
# Scriptlets run in the box, with its database where CentOS has it.
export HOME=$work/home
echo '%_dbpath /var/lib/rpm' > "$HOME/.rpmmacros"
printf '[main]\ngpgcheck=0\nreposdir=/dev/null\ncachedir=%s/cache\npersistdir=%s/persist\nlogdir=%s\n' "$work" "$work" "$work" > "$work/dnf.conf"
box=
dnf_in() {
    dnf -y -q -c "$work/dnf.conf" --installroot="$box" --releasever=6 --disablerepo='*' --repofrompath="r,file://$work/repo" \
        --enablerepo=r --nogpgcheck --setopt=reposdir=/dev/null --setopt=plugins=0 --setopt=clean_requirements_on_remove=0 --refresh "$@"
}
rpm_in() { rpm --root "$box" "$@" 2>&1 | grep -v 'use Alien\|use alien'; return "${PIPESTATUS[0]}"; }
inside() { chroot "$box" env -i PATH=/sbin:/usr/sbin:/bin:/usr/bin HOME=/root TERM=dumb "$@"; }
new_box() {
    box=$work/$1; mkdir "$box"
    dnf_in install stub-base > "$work/log" 2>&1 || { echo "FAILED   no box"; cat "$work/log"; exit 1; }
    printf 'root:x:0:0:root:/root:/bin/bash\n' > "$box/etc/passwd"
    printf 'root:x:0:\n' > "$box/etc/group"
    : > "$box/etc/shadow"; : > "$box/etc/gshadow"
    mount -t proc proc "$box/proc"; mount -t tmpfs none "$box/dev"
    mknod -m 666 "$box/dev/null" c 1 3; mknod -m 666 "$box/dev/urandom" c 1 9
}
# Names and kinds of all files of the box, but for rpm's own and what dnf keeps.
tree() { (cd "$box" && find . \( -path ./proc -o -path ./dev -o -path ./var/lib/rpm -o -path ./var/cache -o -path ./var/lib/dnf -o -path ./var/log/dnf\* -o -path ./tmp \) -prune -o -print | LC_ALL=C sort); }
links() { (cd "$box/etc/rc.d" && ls -d rc?.d/???"$1" 2> /dev/null | tr '\n' ' '); }
runs() { local pid; pid=$(cat "$box/var/run/$1.pid") && [ "$(cat "/proc/$pid/comm")" = "$1" ] && echo "$pid"; }
starts() { grep -c 'Listen on wildcard 0.0.0.0' "$box/var/log/rsntpd.log"; }

echo "# A machine that never had ntp"
new_box plain
tree > "$work/before"
install_it() { dnf_in install rsntpd; }
check "yum install rsntpd" install_it
user() { grep ntp "$box/etc/passwd" "$box/etc/group"; grep '^ntp:x:38:38::/etc/ntp:/sbin/nologin$' "$box/etc/passwd" && grep '^ntp:x:38:' "$box/etc/group"; }
check "the user ntp, 38, without a shell" user
defaults() {
    cmp "$top/conf/ntp.conf" "$box/etc/ntp.conf" && [ "$(stat -c '%a %u %g' "$box/etc/ntp/keys")" = "600 0 0" ] &&
    [ "$(stat -c '%a %u %g' "$box/etc/ntp/crypto")" = "750 0 38" ] && [ "$(stat -c '%u %g' "$box/var/lib/ntp")" = "38 38" ]
}
check "default ntp.conf, keys for root only, folders of ntp" defaults
understood() { inside rsntpd --check; }
check "rsntpd --check understands the default ntp.conf" understood
# The drift file is there as soon as the daemon runs.
verified() { rpm_in -V rsntpd | grep -v '^missing  *c /var/lib/ntp/drift$' | tee /dev/stderr | grep -q . && return 1; return 0; }
check "rpm -V has nothing to say" verified
off() { links rsntpd; [ "$(links rsntpd)" = "rc0.d/K74rsntpd rc1.d/K74rsntpd rc2.d/K74rsntpd rc3.d/K74rsntpd rc4.d/K74rsntpd rc5.d/K74rsntpd rc6.d/K74rsntpd " ]; }
check "registered with chkconfig, and off" off
on() { inside chkconfig rsntpd on; links rsntpd; [ "$(links rsntpd)" = "rc0.d/K74rsntpd rc1.d/K74rsntpd rc2.d/S58rsntpd rc3.d/S58rsntpd rc4.d/S58rsntpd rc5.d/S58rsntpd rc6.d/K74rsntpd " ]; }
check "chkconfig rsntpd on" on
classic() { for n in sbin/ntpq sbin/ntpdate sbin/ntp-wait sbin/ntp-keygen sbin/ntptime sbin/ntptrace bin/ntpstat; do [ "$(inside readlink -f /usr/$n)" = /usr/sbin/rsntpq ] || { echo "$n: $(inside readlink -f /usr/$n)"; return 1; }; done; }
check "the classic names lead to ours" classic
printf 'driftfile /var/lib/ntp/drift\nlogfile /var/log/rsntpd.log\nrestrict default nomodify\nserver 127.127.1.0 minpoll 3 maxpoll 3 # mine\n' > "$box/etc/ntp.conf"
install -o 38 -g 38 /dev/null "$box/var/log/rsntpd.log"
echo 'OPTIONS="-u ntp:ntp -g -x"   # mine' > "$box/etc/sysconfig/rsntpd"
echo 12.345 > "$box/var/lib/ntp/drift"; chown 38:38 "$box/var/lib/ntp/drift"
cp -a "$box/etc/ntp.conf" "$work/ntp.conf"
start_it() { inside service rsntpd start | tee /dev/stderr | grep -q 'Starting rsntpd: \[  OK  \]' && runs rsntpd; }
check "service rsntpd start" start_it
looked() { local i; for i in 1 2 3 4 5 6 7 8 9 10; do inside rsntpq -pn > "$work/rsntpq" 2>&1; grep -q 'LOCAL\|LOCL' "$work/rsntpq" && break; sleep 0.5; done; cat "$work/rsntpq"; grep -q 'LOCAL\|LOCL' "$work/rsntpq"; }
check "rsntpq -pn shows its clock" looked
stat_it() { local i rc; for i in $(seq 1 40); do inside rsntpstat > "$work/rsntpstat" 2>&1; rc=$?; [ $rc = 0 ] && break; sleep 0.5; done; cat "$work/rsntpstat"; [ $rc = 0 ] && inside ntpstat | grep -q '^synchronised to'; }
check "rsntpstat, also as ntpstat: synchronised" stat_it
ordinary() { chroot --userspec=99:99 "$box" env -i PATH=/sbin:/usr/sbin:/bin:/usr/bin /etc/init.d/rsntpd status; }
check "D15 service rsntpd status as an ordinary user: 0" ordinary
once() { tr '\0' ' ' < "/proc/$(runs rsntpd)/cmdline" | tee /dev/stderr | grep -o -- '-u ' | wc -l | grep -qx 1; }
check "D20 -u ntp:ntp stands once on the command line" once
resident() { awk '/^VmRSS/ {print $2}' "/proc/$(runs rsntpd)/status"; }
# What a control request has needed is given back a second later.
small() { local i; for i in 1 2 3 4 5 6; do [ "$(resident)" -le 2048 ] && break; sleep 0.5; done; grep -E 'VmRSS|VmHWM' "/proc/$(runs rsntpd)/status"; [ "$(resident)" -le 2048 ]; }
check "it takes at most 2 MB of memory" small

# The same version in its second release.
mkdir "$work/second"
second() { REL=2 OUT="$work/second" "$top/rpm/build.sh" rpm > "$work/log" 2>&1 && cp "$work"/second/*-2.x86_64.rpm "$work/repo" && createrepo_c -q --no-database --general-compress-type=gz "$work/repo"; }
check "a second release is built" second
old_pid=$(runs rsntpd) old_starts=$(starts)
upgrade() { dnf_in upgrade rsntpd && rpm_in -q rsntpd | grep -- '-2'; }
check "yum upgrade while it runs" upgrade
once() { echo "pid $old_pid, then $(runs rsntpd); started $old_starts times, then $(starts)"; [ "$(runs rsntpd)" != "$old_pid" ] && [ "$(starts)" = $((old_starts + 1)) ] && runs rsntpd; }
check "it was restarted, once" once
kept() { cmp "$work/ntp.conf" "$box/etc/ntp.conf" && grep -q 'x" *# mine' "$box/etc/sysconfig/rsntpd" && on && grep '12\.3' "$box/var/lib/ntp/drift"; }
check "ntp.conf, sysconfig, runlevels and drift are as before" kept
no_rpmnew() { ! tree | grep 'rpmnew\|rpmsave'; }
check "and no .rpmnew beside them" no_rpmnew
stopped_upgrade() { inside service rsntpd stop; dnf_in reinstall rsntpd; ! runs rsntpd 2> /dev/null; }
check "what does not run is not started by an upgrade" stopped_upgrade
inside service rsntpd start > /dev/null
pid=$(runs rsntpd)
remove_it() { dnf_in remove rsntpd && ! kill -0 "$pid" 2> /dev/null; }
check "yum remove rsntpd ends it" remove_it
stays() { cmp "$work/ntp.conf" "$box/etc/ntp.conf" && grep '12\.3' "$box/var/lib/ntp/drift" && [ -e "$box/etc/ntp/keys" ] && ! tree | grep 'ntp\.conf\.\|keys\.\|drift\.'; }
check "ntp.conf, drift and keys stay where they are" stays
# What was there before, what belongs to the administrator, and what he changed.
lying() { tree | LC_ALL=C comm -13 "$work/before" - | grep -vxE '\./(etc/(ntp\.conf|ntp|ntp/keys|ntp/step-tickers|ntp/crypto|ntp/crypto/pw|sysconfig/rsntpd\.rpmsave|passwd-?|group-?|g?shadow-?|subuid-?|subgid-?|\.pwd\.lock)|var/lib/ntp|var/lib/ntp/drift|var/log/rsntpd\.log)' | tee /dev/stderr | grep -q . && return 1; return 0; }
check "nothing else is left" lying

echo "# A machine with ntp and an edited ntp.conf"
rm "$work"/repo/rsntpd-*-2.x86_64.rpm; createrepo_c -q --no-database --general-compress-type=gz "$work/repo"
new_box stock
dnf_in install ntp > "$work/log" 2>&1 || cat "$work/log"
printf 'server 127.127.1.0 # an old one\n' > "$box/etc/ntp.conf"; echo '7 M secret' > "$box/etc/ntp/keys"
chmod 600 "$box/etc/ntp/keys"; sum() { (cd "$box" && sha256sum etc/ntp.conf etc/ntp/keys); }
before=$(sum)
check "yum install rsntpd beside it" install_it
same() { sum; [ "$(sum)" = "$before" ] && ! tree | grep 'rpmnew\|rpmsave\|rpmorig'; }
check "ntp.conf and keys are untouched" same
beside() { [ "$(inside ntpq)" = "the one of ntp: usr/sbin/ntpq" ] && [ "$(inside ntpstat)" = "the one of ntp: usr/bin/ntpstat" ]; }
check "ntp's programs are still ntp's" beside
refused() { ! dnf_in install rsntpd-compat && rpm_in -q ntp; }
check "rsntpd-compat is refused beside ntp, and ntp is not removed for it" refused
start_again() { inside service rsntpd start && runs rsntpd; }
check "it starts on the old ntp.conf" start_again
without_ntp() { dnf_in remove ntp ntpdate && ! rpm_in -q ntp && same && [ "$(inside readlink -f /usr/sbin/ntpq)" = /usr/sbin/rsntpq ] && classic; }
check "yum remove ntp: ntp.conf stays, the names are ours now" without_ntp
check "and it goes on" runs rsntpd
inside service rsntpd stop > /dev/null
compat() { dnf_in install rsntpd-compat && rpm_in -q --whatprovides ntp && [ "$(inside readlink -f /usr/sbin/ntpd)" = /usr/sbin/rsntpd ]; }
check "now rsntpd-compat can be installed, and provides ntp" compat
as_ntpd() { inside chkconfig ntpd on && links ntpd | grep -q 'rc3.d/S58ntpd' && inside service ntpd start && runs ntpd && inside service ntpd status; }
check "chkconfig ntpd on, service ntpd start" as_ntpd
ntpd_pid=$(runs ntpd)
plugin=$top/.peers/monitoring/usr/lib/nagios/plugins/check_procs
if [ -x "$plugin" ]; then
    by_name() { "$plugin" -C ntpd -w 1:1 -c 1:1; }
    check "D2 check_procs -C ntpd finds one process" by_name
    not_rsntpd() { "$plugin" -C rsntpd -c 0:0; }
    check "D2 and none named rsntpd" not_rsntpd
else skip "check_procs: no .peers/monitoring (tests/system/peers.sh plugins)"; fi
pidof_it() { [ "$(inside pidof ntpd)" = "$ntpd_pid" ] ; }
check "D2 pidof ntpd" pidof_it
# As Zabbix counts proc.num[ntpd]: by the name in /proc/PID/status, or the file name of argv[0].
zabbix() { grep "^Name:.ntpd$" "/proc/$ntpd_pid/status" && [ "$(basename "$(tr '\0' '\n' < "/proc/$ntpd_pid/cmdline" | head -1)")" = ntpd ]; }
check "D2 the name in /proc and argv[0], as Zabbix looks" zabbix
# As Chef's cookbook decides whether leapfile is known: the first number of three parts must be 4.2.6 at least.
chef() { local found; found=$(inside ntpd --version 2>&1 | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1); inside ntpd --version; [ "$(printf '%s\n4.2.6\n' "$found" | sort -V | head -1)" = 4.2.6 ]; }
check "D6 ntpd --version is 4.2.6 for who parses it as Chef does" chef
redhat() { inside ntpd --version 2>&1 | head -1 | grep -E '^ntpd 4\.2\.6p5'; }
check "D6 and 4.2.6p5 in the first line" redhat
# A daemon without sources: Lynis and Trento grep what ntpq -p prints.
lonely() {
    cp "$box/etc/ntp.conf" "$work/kept.conf"; echo 'driftfile /var/lib/ntp/drift' > "$box/etc/ntp.conf"
    inside service ntpd restart > /dev/null; inside ntpq -p 2> /dev/null | tee "$work/lonely"; cp "$work/kept.conf" "$box/etc/ntp.conf"
    grep "No association ID's returned" "$work/lonely"
}
check "D3 ntpq -p without sources: what Lynis and Trento grep, on standard output" lonely
inside service ntpd restart > /dev/null; ntpd_pid=$(runs ntpd)
all_gone() { dnf_in remove rsntpd rsntpd-compat && ! kill -0 "$ntpd_pid" 2> /dev/null && same && [ -z "$(links ntpd)$(links rsntpd)" ]; }
check "removing both ends it, and leaves ntp.conf and keys" all_gone
names_gone() { for n in sbin/ntpq sbin/ntpd bin/ntpstat sbin/rsntpq; do [ ! -e "$box/usr/$n" ] && [ ! -L "$box/usr/$n" ] || { ls -l "$box/usr/$n"; return 1; }; done; }
check "no name is left without its program" names_gone

echo "# A machine where systemd runs (a systemctl that writes down what it is asked)"
new_box systemd
printf '#!/bin/bash\necho "$@" >> /root/asked\n[ "$1" != is-active ]\n' > "$box/usr/bin/systemctl"; chmod 755 "$box/usr/bin/systemctl"
mkdir -p "$box/run/systemd/system"
dnf_in install rsntpd rsntpd-compat > "$work/log" 2>&1 || cat "$work/log"
echo 'server 127.127.1.0' > "$box/etc/ntp.conf"
# As an older script left it: running, outside of the unit.
inside env SYSTEMCTL_SKIP_REDIRECT=1 /etc/init.d/ntpd start > "$work/log" 2>&1; pid=$(runs ntpd)
: > "$box/root/asked"
renewed() { dnf_in reinstall rsntpd-compat && ! kill -0 "$pid" 2> /dev/null && grep 'start ntpd.service' "$box/root/asked"; }
check "D14 an upgrade takes a daemon that runs outside of the unit back into it" renewed
inside env SYSTEMCTL_SKIP_REDIRECT=1 /etc/init.d/ntpd start > "$work/log" 2>&1; pid=$(runs ntpd)
removed() { ps -p "$pid" && dnf_in remove rsntpd rsntpd-compat && ! kill -0 "$pid" 2> /dev/null; }
check "D14 the removal ends it by its pid file" removed
every_unit() { local u; cat "$box/root/asked"; for u in rsntpd rsntpd-restricted rsntpdate rsntp-wait ntpd ntpdate ntp-wait; do grep -q "disable $u.service" "$box/root/asked" && grep -q "stop $u.service" "$box/root/asked" || { echo "not $u"; return 1; }; done; }
check "D17 and disables and stops every unit" every_unit
verdict
