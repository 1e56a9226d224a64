#!/bin/bash
# Builds the packages, under target/rpm, with the rpmbuild of any system.
# OUT=FOLDER: somewhere else than target/rpm
# usage: build.sh rpm      the binary packages, with the programs of `make static'   (needs rpmbuild)
#                         REL=2: as the second release of this version
#        build.sh srpm     the source package, with all crates in it                 (needs rpmbuild, cargo; crates.io once)
#        build.sh repo     a yum repository of what was built                        (needs createrepo_c)
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD out=${OUT:-$PWD/target/rpm}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name=rsntpd-$version
# The same source gives the same package: no time of this day, no name of this machine.
if SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null)} && [ -n "$SOURCE_DATE_EPOCH" ]; then :
else SOURCE_DATE_EPOCH=$(stat -c %Y CHANGELOG.md); fi
export SOURCE_DATE_EPOCH
needs() { command -v "$1" > /dev/null || { echo "build: there is no $1 (Debian: apt-get install $2)"; exit 1; }; }

# A tar file that depends on nothing but what is in it.
pack() { tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$@" | gzip -9n; }

# Its entries in %changelog's form: those of released versions with their date, and what is to be released, today's.
changelog() {
    awk -v epoch="$SOURCE_DATE_EPOCH" -v current="$version" '
        function day(stamp) { return strftime("%a %b %d %Y", stamp, 1) }
        function entry() { if (text != "" && when != "") { printf "%s%s%s\n", sep, when, text; sep = "\n" } text = "" }
        /^## \[/ {
            entry()
            match($0, /\[[^]]*\]/); v = substr($0, RSTART + 1, RLENGTH - 2); when = ""
            if (match($0, /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/)) {
                d = substr($0, RSTART, 10); gsub("-", " ", d); when = "* " day(mktime(d " 12 00 00")) " rsntpd project <rsntpd@localhost> - " v "-1\n"
            } else if (v == "Unreleased") when = "* " day(epoch) " rsntpd project <rsntpd@localhost> - " current "-1\n"
            next
        }
        /^### / { kind = $2; next }
        /^- / { line = $0; sub(/^- /, "", line); text = text "- " kind ": " line "\n"; next }
        /^  [^ ]/ { line = $0; sub(/^ +/, "", line); text = text "  " line "\n" }
        END { entry() }' CHANGELOG.md | sed 's/%/%%/g; s/`//g'
}

prepare() {
    needs rpmbuild rpm; needs awk gawk
    rm -rf "$out/top"; mkdir -p "$out/top"/{SOURCES,SPECS,BUILD,BUILDROOT,RPMS,SRPMS}
    # What is in the repository, as it is in the folder; outside of one, all but what was built.
    if git rev-parse --git-dir > /dev/null 2>&1; then git ls-files -z
    else find . -path ./target -prune -o -path ./.peers -prune -o -path ./.guest -prune -o -type f -printf '%P\0'; fi > "$out/files"
    mkdir "$out/top/$name"
    xargs -0 cp --parents -P -t "$out/top/$name" < "$out/files"
    (cd "$out/top" && pack "$name" > "SOURCES/$name.tar.gz" && rm -rf "$name")
    sed "s/global ver [0-9][^}]*}/global ver $version}/" rpm/rsntpd.spec > "$out/top/SPECS/rsntpd.spec"
    changelog >> "$out/top/SPECS/rsntpd.spec"
}
build() { # rpmbuild's arguments; what it says is shown if it fails
    rpmbuild --quiet --define "_topdir $out/top" --define '_buildhost localhost' "$@" "$out/top/SPECS/rsntpd.spec" \
        > "$out/log" 2>&1 || { tail -40 "$out/log"; exit 1; }
}

case ${1:-} in
    rpm)
        for program in rsntpd rsntpq; do
            [ -x target/static/$program ] || { echo "build: there is no target/static/$program; 'make static' builds it"; exit 1; }
        done
        prepare
        touch "$out/top/SOURCES/rsntpd-vendor-$version.tar.gz"
        build -bb --target x86_64 --define "prebuilt $top/target/static" ${REL:+--define "rel $REL"}
        rm -f "$out"/*.x86_64.rpm
        cp "$out/top"/RPMS/*/*.rpm "$out"
        ls -l "$out"/*.x86_64.rpm
        ;;
    srpm)
        needs cargo cargo
        prepare
        rm -rf "$out/vendor"; mkdir -p "$out/vendor"
        cargo vendor --locked --versioned-dirs "$out/vendor/vendor" > /dev/null
        rpm/prune-vendor.sh "$out/vendor/vendor"
        (cd "$out/vendor" && pack vendor > "$out/top/SOURCES/rsntpd-vendor-$version.tar.gz")
        build -bs
        rm -f "$out"/*.src.rpm
        cp "$out/top"/SRPMS/*.src.rpm "$out"
        ls -l "$out"/*.src.rpm
        ;;
    repo)
        needs createrepo_c createrepo-c
        mkdir -p "$out/repo"; rm -rf "$out/repo"/*
        cp "$out"/*.x86_64.rpm "$out/repo"
        [ ! -e "$out/$name-1.src.rpm" ] || cp "$out/$name-1.src.rpm" "$out/repo"
        # Metadata that yum 3.2 of CentOS 6 reads: gzip, and no databases of a newer form.
        createrepo_c -q --no-database --general-compress-type=gz "$out/repo"
        printf '[rsntpd]\nname=rsntpd\nbaseurl=file://%s\nenabled=1\ngpgcheck=0\n' "$out/repo" > "$out/repo/rsntpd.repo"
        cp docs/install.md "$out/repo"
        echo "$out/repo: put it on a web server, fit baseurl in rsntpd.repo, and install that in /etc/yum.repos.d"
        ;;
    *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
