#!/bin/bash
# From the source to a machine: the static programs twice (they must be the same), the packages, what is in them, the init
# script, and their whole life in a box. What a machine lacks for it is told as skipped.
# usage: tests/package/run.sh             `make check' runs it
#        tests/package/run.sh --accept    writes what the packages hold now to tests/package/expected.txt
set -u
. "$(dirname "$0")/lib.sh"
here=$top/tests/package expected=$top/tests/package/expected.txt
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-make.XXXXXX"); chmod 755 "$work"
elsewhere=
trap '[ -z "$elsewhere" ] || kill -- "-$elsewhere" 2> /dev/null; rm -rf "$work"' EXIT
cd "$top" || exit 1
main() { ls target/rpm/rsntpd-[0-9]*-1.x86_64.rpm; }
compat() { ls target/rpm/rsntpd-compat-*-1.x86_64.rpm; }
# What somebody who installs it must be able to rely on; sizes, dates and version apart.
contents() {
    local package version
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
    for package in "$(main)" "$(compat)"; do
        echo "== $(rpm -qp --qf '%{NAME}: payload %{PAYLOADCOMPRESSOR}, file digests %{FILEDIGESTALGO}' "$package")"
        echo "-- requires"; rpm -qpR "$package" | LC_ALL=C sort -u
        echo "-- provides"; rpm -qp --provides "$package" | LC_ALL=C sort
        echo "-- conflicts, obsoletes"; rpm -qp --conflicts --obsoletes "$package"
        echo "-- files: mode, owner, what rpm does with them (c configuration, n never replaced, g only a name)"
        rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}|%{FILENAMES}|%{FILELINKTOS}\n]' "$package" |
            sed 's/|$//; s/ |/ - |/; s/|/ /; s/|/ -> /'
        echo "-- scripts"; rpm -qp --scripts "$package"
        echo "-- triggers"; rpm -qp --triggers "$package"
    done | sed "s/$version-1/VERSION/g"
}
if [ "${1:-}" = --accept ]; then contents > "$expected"; exit; fi

if rpm/static.sh --ready; then
    check "make static" rpm/static.sh
    # Beside the rest of this script, most of which waits.
    mkdir "$work/other"
    git ls-files -z -co --exclude-standard | xargs -0 cp --parents -P -t "$work/other" 2> /dev/null || cp -r Cargo.* .cargo src benches tests rpm conf docs "$work/other"
    set -m; nice "$work/other/rpm/static.sh" "$work/other/out" > "$work/other.log" 2>&1 < /dev/null & elsewhere=$!; set +m
    small() { ls -l target/static/rsntp?; [ "$(stat -c %s target/static/rsntpd)" -le 3400000 ] && [ "$(stat -c %s target/static/rsntpq)" -le 2050000 ]; }
    check "rsntpd has at most 3.4 MB, rsntpq 2.05 MB" small
    # Stripped programs name the files of their source, for panics: what is searched must be found where it belongs.
    apart() { # PROGRAM OTHER FILE…: only the program has them
        local program=target/static/$1 other=target/static/$2 file; shift 2
        for file in "$@"; do
            grep -aq -- "$file" "$program" || { echo "no $file in $program"; return 1; }
            ! grep -aq -- "$file" "$other" || { echo "$file is in $other"; return 1; }
        done
    }
    check "nothing of the companions is linked into rsntpd" apart rsntpq rsntpd src/tools/ /ratatui-core- /ratatui-termion- /ratatui-widgets- /rustyline- /plotters- /dns-lookup-
    check "and nothing of the daemon into rsntpq" apart rsntpd rsntpq src/daemon/ /daemonize-
else
    skip "make static: Debian 12's rustc-web, rust-web-src or musl-tools are not here (make setup)"
fi

if [ -x target/static/rsntpd ] && [ -x target/static/rsntpq ] && command -v rpmbuild > /dev/null && command -v createrepo_c > /dev/null; then
    check "make rpm" rpm/build.sh rpm
    same() { contents | diff "$expected" -; }
    check "the packages hold what tests/package/expected.txt says" same
    old_rpm() { rpm -qpR "$(main)" "$(compat)" | grep '^rpmlib' | grep -vE '\((CompressedFileNames|FileDigests|PayloadFilesHavePrefix|VersionedDependencies)\)' && return 1; return 0; }
    check "rpm 4.8 can read them" old_rpm
    light() { ls -l target/rpm/*.rpm; [ "$(stat -c %s "$(main)")" -le 3000000 ]; }
    check "the package has at most 3 MB" light
    alone() { rpm -qp --conflicts "$(compat)"; ! rpm -qp --conflicts "$(compat)" | grep -xE '(ntp|ntpdate)( .*)?' && rpm -qp --provides "$(compat)" | grep -x 'ntp = 4.2.6p5'; }
    check "D16 rsntpd-compat does not conflict with what it provides" alone
    every() { # D17
        local package unit
        for package in "$(main)" "$(compat)"; do
            for unit in $(rpm -qpl "$package" | sed -n 's#^/usr/lib/systemd/system/\(.*\)\.service$#\1#p'); do
                rpm -qp --scripts "$package" | sed -n '/^preuninstall/,/^postuninstall/p' | grep -E "services remove .*\b$unit\b" || { echo "no $unit"; return 1; }
            done
        done
    }
    check "D17 the removal names every unit of the package" every
    # The user by its number, and the folders of an image whose /var is empty.
    image() {
        local root=$work/image
        mkdir -p "$root"/{etc,var/lib,var/log,usr/lib} && rpm2cpio "$(main)" | (cd "$root" && cpio -idm --quiet './usr/lib/sysusers.d/*' './usr/lib/tmpfiles.d/*') &&
            systemd-sysusers --root="$root" && grep '^ntp:x:38:38:' "$root/etc/passwd" &&
            systemd-tmpfiles --root="$root" --create rsntpd.conf && stat -c '%u:%g %a %n' "$root/var/lib/ntp" "$root/var/log/ntpstats" | tee "$work/folders" &&
            [ "$(grep -c '^38:38 755 ' "$work/folders")" = 2 ]
    }
    if command -v systemd-sysusers > /dev/null; then check "sysusers.d and tmpfiles.d make user and folders of an image" image; else skip "sysusers.d: no systemd-sysusers"; fi
    version() { [ "$(rpm -qp --qf '%{VERSION}' "$(main)")" = "$(target/static/rsntpd --version | grep -o '[0-9][0-9.]*' | head -1)" ] && rpm -qp --changelog "$(main)" | grep '^- Added: '; }
    check "version and changelog are those of the project" version
    repo() { rpm/build.sh repo && ls target/rpm/repo/repodata && ! ls target/rpm/repo/repodata | grep -E 'zck|zst|xz|sqlite'; }
    check "make repo: metadata that yum 3.2 reads" repo
    again() { OUT=$work/again rpm/build.sh rpm && cmp "$work/again/$(basename "$(main)")" "$(main)"; }
    check "the package built again is the same" again
else
    skip "make rpm: no static programs, or no rpmbuild and createrepo_c (make setup)"
fi
if command -v rpmlint > /dev/null && main > /dev/null 2>&1; then
    lint() { rpmlint -c "$here/rpmlint.toml" "$(main)" "$(compat)" rpm/rsntpd.spec > "$work/lint" 2>&1; cat "$work/lint"; grep -q ' 0 errors, 0 warnings' "$work/lint"; }
    check "rpmlint finds nothing that tests/package/rpmlint.toml does not explain" lint
else skip "rpmlint: it is not here"; fi
if command -v systemd-analyze > /dev/null; then
    units() {
        mkdir -p "$work/units"; cp conf/systemd/*.service "$work/units"
        sed -i 's#^\(Exec[A-Za-z]*=-\{0,1\}\)/[^ ]*#\1/bin/true#' "$work"/units/*.service
        # Only what it says of ours: this machine's own units may have faults.
        systemd-analyze verify --man=no "$work"/units/*.service 2>&1 | grep -E 'rsntp|ntpd' | tee /dev/stderr | grep -q . && return 1
        return 0
    }
    check "systemd-analyze verify has nothing to say of the units" units
    # The lines of the units that a running systemd was found to need (tests/system/guest/systemd.sh).
    line() { grep -qxF -- "$2" "conf/systemd/$1.service" || { echo "no line $2 in $1.service"; return 1; }; }
    has_not() { ! grep -nE "$2" "conf/systemd/$1.service"; }
    own_name() { # D7, D13: readiness and reload by the daemon's own means
        local name
        for name in rsntpd ntpd; do
            line $name Type=notify && line $name NotifyAccess=main && has_not $name '^PIDFile=|/bin/kill' &&
            line $name "ExecStart=/usr/sbin/$name -u ntp:ntp \$OPTIONS -p /run/$name.pid" &&
            line $name "ExecReload=/usr/sbin/$name --reload -p /run/$name.pid" &&
            line $name "ExecStartPre=-/etc/rc.d/init.d/$name options" || return
        done
    }
    check "D7 D13 D2 the daemon reports readiness and the result of a reload itself, under its own name" own_name
    once() {
        local name words
        for name in rsntpd ntpd; do
            words="$(sed -n 's/^ExecStart=//p' conf/systemd/$name.service) $(sed -n 's/^OPTIONS=//p' conf/sysconfig/$name)"
            echo "$words"; [ "$(grep -o -- '-u ' <<< "$words" | wc -l)" = 1 ] || return
        done
    }
    check "D20 -u ntp:ntp is not given twice under the unit" once
    waits() { # D7: neither wait unit draws in a daemon that excludes the one that runs
        local name
        for name in rsntp-wait ntp-wait; do
            line $name 'After=rsntpd.service ntpd.service rsntpd-restricted.service' && has_not $name '^(Requires|Wants|BindsTo)=.*ntpd\.service' || return
        done
        line rsntpd 'WantedBy=multi-user.target rsntp-wait.service' && line ntpd 'WantedBy=multi-user.target rsntp-wait.service ntp-wait.service'
    }
    check "D7 the wait units wait for whichever daemon is enabled or runs" waits
    exposure() { # UNIT MOST
        local level
        level=$(systemd-analyze security --offline=true "$work/units/$1.service" 2>&1 | sed -n "s/.*exposure level for $1.service: \\([0-9.]*\\).*/\\1/p")
        echo "exposure $level"; [ -n "$level" ] && awk -v l="$level" -v most="$2" 'BEGIN { exit !(l <= most) }'
    }
    check "systemd-analyze security: at most 3.3 of 10" exposure rsntpd 3.3
    check "and of the unit that is never root 2.0" exposure rsntpd-restricted 2.0
    generated() { # what systemd makes of the init script where there is no unit
        local d=$work/sysv; mkdir -p "$d"/{init.d,rc/rc3.d,out}; cp init.d/rsntpd "$d/init.d"
        SYSTEMD_SYSVINIT_PATH=$d/init.d SYSTEMD_SYSVRCND_PATH=$d/rc /usr/lib/systemd/system-generators/systemd-sysv-generator "$d/out" "$d/out" "$d/out" 2> /dev/null
        cat "$d/out/rsntpd.service"
        grep -q '^PIDFile=/var/run/rsntpd.pid' "$d/out/rsntpd.service" && grep -q '^ExecReload=' "$d/out/rsntpd.service"
    }
    check "and it understands the header of the init script" generated
else skip "units: no systemd-analyze"; fi

if command -v update-rc.d > /dev/null; then
    # Debian's reader of init script headers, in an /etc of its own: ours name no runlevels, so nothing
    # is switched on by itself; in a copy that names some it finds those and the order.
    second_opinion() {
        local etc=$work/etc; rm -rf "$etc"; mkdir -p "$etc"/init.d "$etc"/rc{0,1,2,3,4,5,6,S}.d
        cp init.d/rsntpd init.d/rsntpdate "$etc/init.d"
        sed 's/^# Provides: rsntpd$/# Provides: named\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6/' init.d/rsntpd > "$etc/init.d/named"
        unshare -m bash -c "mount --bind '$etc' /etc && update-rc.d rsntpd defaults && update-rc.d rsntpdate defaults && update-rc.d named defaults" || return
        (cd "$etc" && find rc?.d -type l | LC_ALL=C sort | tee /dev/stderr | grep -c named | grep -qx 7 && ! find rc?.d -name '*rsntp*' | grep .)
    }
    check "update-rc.d reads the headers, too: nothing is on by itself" second_opinion
else skip "update-rc.d: it is not here"; fi

# The other parts count for themselves.
for part in init services hooks life; do
    "$here/$part.sh" > "$work/part" 2>&1
    sed "s/^/[$part] /" "$work/part"
    count() { awk -v w="$1" '/^[0-9]+ passed, / {for (i = 2; i <= NF; i++) {gsub(",", "", $i); if ($i == w) print $(i-1)}}' "$work/part"; }
    if [ -z "$(count failed)" ]; then echo "FAILED   $part did not come to its end"; failed=$((failed + 1)); continue; fi
    passed=$((passed + $(count passed))) failed=$((failed + $(count failed))) skipped=$((skipped + $(count skipped)))
done
if [ -n "$elsewhere" ]; then
    same_there() {
        wait "$elsewhere" || { cat "$work/other.log"; return 1; }
        elsewhere=
        sha256sum "$work"/other/out/rsntp? target/static/rsntp? &&
            cmp "$work/other/out/rsntpd" target/static/rsntpd && cmp "$work/other/out/rsntpq" target/static/rsntpq
    }
    check "built again in another folder they are the same, octet by octet" same_there
fi
echo "package: $(verdict)"
[ "$failed" = 0 ]
