#!/bin/bash
# Fetches the programs we test against (nobody here wrote them) from Debian's packages and unpacks
# them into .peers/, because as packages they exclude one another. Wrappers: .peers/bin.
# usage: tests/system/peers.sh          quick when all is there already
#        tests/system/peers.sh plugins  what monitors NTP, too: monitoring-plugins, munin's
#        tests/system/peers.sh gpsd     gpsd and ntpshmmon, too
#        tests/system/peers.sh debian13 chrony and ntpd-rs of Debian 13, with its libraries and loader, too
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
peers=$top/.peers
packages=(chrony ntpsec ntpsec-ntpdig ntpstat python3-ntp)
# OpenNTPD has a program of the same path as NTPsec: it gets a root of its own.
alone=(openntpd)
stamp=$peers/stamp-3
plugins() { # They need no program of ours in their path but `ntpq', which who runs them provides.
    local root=$peers/monitoring deb
    [ -e "$root/stamp-2" ] && return
    rm -rf "$root"; mkdir -p "$root/debs"
    (cd "$root/debs"; fetch() { apt-get download -qq monitoring-plugins-basic munin-plugins-core munin-common libnet-dns-perl 2>/dev/null; }
     fetch || { apt-get update -qq; fetch; })
    for deb in "$root"/debs/*.deb; do dpkg -x "$deb" "$root"; done
    touch "$root/stamp-2"
    echo "peers: check_ntp_peer check_ntp_time check_ntp and munin's ntp plugins are in .peers/monitoring"
}
if [ "${1:-}" = plugins ]; then plugins; exit; fi
gpsd() { # Beside the others, whose stamp does not know it.
    local root=$peers/gpsd deb tool libs
    [ -e "$root/stamp-1" ] && return
    rm -rf "$root"; mkdir -p "$root/debs" "$root/bin"
    (cd "$root/debs"; fetch() { apt-get download -qq gpsd gpsd-tools libgps28 libbluetooth3 libdbus-1-3 libusb-1.0-0 libncurses6 2>/dev/null; }
     fetch || { apt-get update -qq; fetch; })
    for deb in "$root"/debs/*.deb; do dpkg -x "$deb" "$root/root"; done
    libs=$root/root/usr/lib/x86_64-linux-gnu:$root/root/lib/x86_64-linux-gnu
    for tool in sbin/gpsd bin/ntpshmmon; do
        printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%s\nexec %s "$@"\n' "$libs" "$root/root/usr/$tool" > "$root/bin/${tool#*/}"
        chmod +x "$root/bin/${tool#*/}"
    done
    "$root/bin/gpsd" -V > /dev/null
    touch "$root/stamp-1"
    echo "peers: gpsd and ntpshmmon are in .peers/gpsd/bin"
}
if [ "${1:-}" = gpsd ]; then gpsd; exit; fi
debian13() { # What Debian 12 has of neither: AES-128-GCM-SIV for NTS, and a server in Rust. By lists of packages of its own.
    local root deb tool loader
    root=$(readlink -m "$peers/debian13")
    [ -e "$root/stamp-1" ] && return
    rm -rf "$root"; mkdir -p "$root"/{debs,bin,root} "$root"/apt/{lists,cache/archives}/partial
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} trixie main" > "$root/apt/sources"
    ours() { apt-get -qq -o Dir::Etc::sourcelist="$root/apt/sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$root/apt/lists" \
        -o Dir::Cache="$root/apt/cache" -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"; }
    ours update
    (cd "$root/debs"; ours download chrony ntpd-rs libc6 libgcc-s1 libcap2 libseccomp2 libgnutls30t64 libnettle8t64 libhogweed6t64 libgmp10 libidn2-0 \
        libunistring5 libp11-kit0 libffi8 libtasn1-6 libedit2 libtinfo6 libbsd0 libmd0 2>/dev/null)
    for deb in "$root"/debs/*.deb; do dpkg -x "$deb" "$root/root"; done
    rm -rf "$root/apt"
    # Its C library goes with its own loader only. PRELOAD is for tests/system/cage/oldchrony.c.
    loader=$root/root/usr/lib64/ld-linux-x86-64.so.2
    for tool in sbin/chronyd bin/chronyc bin/ntp-daemon bin/ntp-ctl; do
        printf '#!/bin/sh\nexec %s ${PRELOAD:+--preload "$PRELOAD"} --library-path %s %s "$@"\n' \
            "$loader" "$root/root/usr/lib/x86_64-linux-gnu" "$root/root/usr/$tool" > "$root/bin/${tool#*/}"
        chmod +x "$root/bin/${tool#*/}"
        "$root/bin/${tool#*/}" --version > /dev/null 2>&1
    done
    touch "$root/stamp-1"
    echo "peers: $(ls "$root/bin" | tr '\n' ' ')of Debian 13 are in .peers/debian13/bin"
}
if [ "${1:-}" = debian13 ]; then debian13; exit; fi
[ -e "$stamp" ] && exit 0
rm -rf "$peers"; mkdir -p "$peers"/{debs,root,bin}

# What they need and the machine lacks, by Debian's own account of their dependencies.
apt_ready() { apt-cache show chrony >/dev/null 2>&1; }
apt_ready || apt-get update -qq
libraries=(libedit2 libseccomp2 libcap2 libnettle8 libhogweed6 libgnutls30 libtommath1 libbsd0 libmd0)
missing=()
for p in "${libraries[@]}"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
cd "$peers/debs"
apt-get download -qq "${packages[@]}" "${alone[@]}" "${missing[@]}" 2>/dev/null ||
    { apt-get update -qq; apt-get download -qq "${packages[@]}" "${alone[@]}" "${missing[@]}"; }
for deb in *.deb; do
    case $deb in
        openntpd_*) dpkg -x "$deb" "$peers/openntpd" ;;
        *) dpkg -x "$deb" "$peers/root" ;;
    esac
done

root=$peers/root
# The Python module looks for its library beside itself.
ln -sf ../../../x86_64-linux-gnu/ntp/libntpc.so "$peers/root/usr/lib/python3/dist-packages/ntp/libntpc.so"
libs=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
python=/usr/bin/python3
[ -x $python ] || { echo "peers: $python is missing (apt-get install python3-minimal)" >&2; exit 1; }
wrap() { # NAME PROGRAM [ENV]
    printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%s\n%s\nexec %s "$@"\n' "$libs" "${3:-}" "$2" > "$peers/bin/$1"
    chmod +x "$peers/bin/$1"
}
wrap chronyd "$root/usr/sbin/chronyd"
wrap chronyc "$root/usr/bin/chronyc"
wrap ntpd-ntpsec "$root/usr/sbin/ntpd"
wrap ntpd-openntpd "$peers/openntpd/usr/sbin/ntpd"
pypath="export PYTHONPATH=$root/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1"
wrap ntpq "$python $root/usr/bin/ntpq" "$pypath"
wrap ntpdig "$python $root/usr/bin/ntpdig" "$pypath"
wrap ntpstat "$root/usr/bin/ntpstat" "export PATH=$peers/bin:\$PATH"

for tool in chronyd chronyc ntpd-ntpsec; do
    if LC_ALL=C ldd "$root/usr/sbin/$tool" 2>/dev/null | grep 'not found' | grep -v "$root"; then
        echo "peers: note: $tool finds these only through its wrapper" >&2
    fi
done
"$peers/bin/chronyd" --version >/dev/null
"$peers/bin/ntpq" --version >/dev/null
touch "$stamp"
echo "peers: $(ls "$peers/bin" | tr '\n' ' ')are in .peers/bin"
