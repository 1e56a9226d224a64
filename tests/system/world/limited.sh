#!/bin/bash
# rsntpdate takes the time from servers that limit rates: our own with its default restrictions, NTPsec's with
# Debian's, chronyd with ratelimit; alone, all at once, and in the init script of the boot.
set -u
. "$(dirname "$0")/lib.sh"
needs limited
world_up; server_up s3
companions rsntpdate rsntpq
declare -A at=([rsntpd]=${address[s1]} [ntpsec]=${address[s2]} [chronyd]=${address[out]})
conf() { # KINDS OF RESTRICTIONS
    printf 'server %s iburst minpoll 3 maxpoll 3\nrestrict default %s\nrestrict 127.0.0.1\nrestrict %s\n' "${address[s3]}" "$1" "${address[s3]}"
}
conf 'limited kod nomodify notrap nopeer noquery' > "$work/ours.conf"
conf 'kod nomodify nopeer noquery limited' > "$work/ntpsec.conf"
printf 'server %s iburst minpoll 3 maxpoll 3\nallow\ncmdport 0\nratelimit interval 1 burst 2\npidfile %s/c.pid\n' "${address[s3]}" "$work" > "$work/chronyd.conf"
exec_tame s1 "$rsntpd" -n -l "$work/log/ours" -p "$work/ours.pid" -c "$work/ours.conf" > "$work/log/ours.err" 2>&1 & pids+=($!)
exec_tame s2 "$peers/ntpd-ntpsec" -n -l "$work/log/ntpsec" -p "$work/ntpsec.pid" -c "$work/ntpsec.conf" > "$work/log/ntpsec.err" 2>&1 & pids+=($!)
exec_tame out "$peers/chronyd" -x -d -u root -f "$work/chronyd.conf" > "$work/log/chronyd" 2>&1 & pids+=($!)
# Asked by themselves, which uses up nothing of what the client may send.
serves() { on "$1" "$work/bin/rsntpdate" -q -u -p 1 127.0.0.1 | tee /dev/stderr | grep -q ', stratum 2,'; }
check "our server has the time" within 30 serves s1
check "NTPsec's server has the time" within 60 serves s2
check "chronyd has the time" within 30 serves out

date_of() { on_tame host "$work/bin/rsntpdate" -d "$@" > "$work/out" 2>&1; local s=$?; cat "$work/out"; return $s; }
got() { grep -c "^receive($1)" "$work/out"; }
four() { date_of "$1" && [ "$(got "$1")" = 4 ] && ! grep -q RATE "$work/out"; }
check "D1 our server with limited kod gives all four samples" four "${at[rsntpd]}"
check "D1 NTPsec's with limited kod gives all four samples" four "${at[ntpsec]}"
some() { date_of "$1" && [ "$(got "$1")" -ge 2 ]; }
check "D1 chronyd with ratelimit gives two at least" some "${at[chronyd]}"
sleep 8
all() { date_of "${at[@]}" && for a in "${at[@]}"; do grep -q "^receive($a)" "$work/out" || return 1; done; ! grep -q RATE "$work/out"; }
check "D1 all of them at once" all

# The service of the boot, as installed: its programs and settings are put over the machine's for it alone.
mkdir -p "$work/sbin" "$work/machine"
cp -a /etc "$work/etc"; mkdir -p "$work/etc/sysconfig" "$work/etc/ntp" "$work/etc/rc.d/init.d"
cp "$top/init.d/rsntpdate" "$work/etc/rc.d/init.d/"
cp "$top/conf/sysconfig/rsntpdate" "$work/etc/sysconfig/rsntpdate"
# This machine's clock must not be set: the service queries only. Without -U it would want the user of the package.
echo 'OPTIONS="-q -U nobody"' >> "$work/etc/sysconfig/rsntpdate"
echo "${at[rsntpd]}" > "$work/etc/ntp/step-tickers"
# Links into what is mounted in `boot`: one process for all of them, before the clock of the first try runs.
programs=(/usr/sbin/*)
ln -sf -t "$work/sbin" "${programs[@]/#\/usr\/sbin/$work/machine}"
ln -sf "$rsntpq" "$work/sbin/rsntpdate"
boot() {
    on_tame host unshare -m --propagation private bash -c '
        mount --bind /usr/sbin "$0/machine"
        mount --bind "$0/sbin" /usr/sbin; mount --bind "$0/etc" /etc; mount --bind "$0/run" /run
        SYSTEMCTL_SKIP_REDIRECT=1 exec bash /etc/rc.d/init.d/rsntpdate start' "$work"
}
first_try() { local start=$SECONDS; boot && echo "$((SECONDS - start)) s" && [ $((SECONDS - start)) -lt 10 ]; }
sleep 8
check "D1 the init script of the boot has the time of our server at its first try" first_try

# Two clients of one address: the second comes too soon, is refused, and says so; the first keeps its sample.
sleep 8
together() {
    on_tame host "$work/bin/rsntpdate" -q "${at[rsntpd]}" > "$work/first" 2>&1 & local first=$!
    sleep 0.3
    on_tame host "$work/bin/rsntpdate" -q "${at[rsntpd]}" > "$work/second" 2>&1; local second=$?
    wait $first; local s=$?
    echo "first: $s"; cat "$work/first"; echo "second: $second"; cat "$work/second"
    [ $s = 0 ] && grep -q ', stratum 2,' "$work/first" && [ $second = 1 ] && grep -q 'rate exceeded (RATE), no sample' "$work/second"
}
check "D1 a kiss RATE is named, and samples before it are used" together
verdict
