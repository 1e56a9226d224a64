#!/bin/bash
# Static x86_64 programs for every Linux from 2.6.32 on (CentOS 6 to Stream 10). Rust's own musl target is not
# everywhere to be had, so std is built from Debian's source, with Debian's compiler of the same version. Works from
# a bare Debian 12 (root, for apt-get) and leaves OUT/rsntpd and OUT/rsntpq. Two builds give the same files, wherever
# they are made.
# usage: static.sh [OUT]       OUT is target/static; its folder `build' keeps what a second build can use.
#        static.sh --setup     only installs the tools
#        static.sh --ready     exits with 0 if they are there
#        static.sh --lacking   prints the packages that have the others
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/.." && pwd)
target=x86_64-unknown-linux-musl
std=/usr/lib/rustlib/src/rust/library

# 1. Compiler and std source must be of one version: they are taken together, and no version is pinned, because a
#    security update replaces it. Cargo may be any recent one.
packages=()
[ -x /usr/bin/rustc ] && [ -e $std/std/Cargo.toml ] || packages+=(rustc-web rust-web-src)
command -v musl-gcc > /dev/null || packages+=(musl-tools)
command -v gcc > /dev/null || packages+=(gcc libc6-dev)
command -v readelf > /dev/null || packages+=(binutils)
command -v cargo > /dev/null || packages+=(cargo-web)
[ "${1:-}" = --lacking ] && { echo "${packages[@]}"; exit; }
[ "${1:-}" = --ready ] && exit $((${#packages[@]} > 0))
if [ ${#packages[@]} -gt 0 ]; then
    command -v apt-get > /dev/null || { echo "static: there is no apt-get here; it needs ${packages[*]} of Debian 12"; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "static: needs root for: apt-get install ${packages[*]}"; exit 1; }
    echo "static: apt-get install ${packages[*]}"
    apt-get update -qq < /dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" < /dev/null > /dev/null
fi
[ "${1:-}" = --setup ] && exit
out=${1:-$top/target/static}
mkdir -p "$out"; out=$(cd "$out" && pwd); build=$out/build; lib=$build/lib
mkdir -p "$lib"; rm -f "$lib"/*

# 2. What std's `unwind' crate links as libunwind.a: gcc's unwinder, and what that lacks with musl. With panic=abort
#    and without backtraces nothing of it gets into the program.
install -m 644 "$(gcc -print-file-name=libgcc_eh.a)" "$lib/libunwind.a"
musl-gcc -O2 -Wall -c "$here/dl_find_object.c" -o "$lib/dl_find_object.o"
ar rs "$lib/libunwind.a" "$lib/dl_find_object.o" 2> /dev/null

# 3. Folders of this machine must not get into the program, nor into cargo's hashes: cargo does not see these options.
cat > "$build/rustc" <<END
#!/bin/sh
exec /usr/bin/rustc "\$@" -L 'native=$lib' --remap-path-prefix='$build=/build' --remap-path-prefix='$top=/rsntpd' \
    --remap-path-prefix='${CARGO_HOME:-$HOME/.cargo}=/cargo'
END
chmod 755 "$build/rustc"
export RUSTC=$build/rustc RUSTC_BOOTSTRAP=1
# Without -static relocation Debian's musl-gcc makes a program that asks for /lib/ld-musl-x86_64.so.1.
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTC_WRAPPER
# All is built for size but ciphers, digests and the generator (Cargo.toml), and less is inlined: 0.8 MB less, more than TLS takes.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=s
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS="-C relocation-model=static -C link-self-contained=no \
-C llvm-args=-inline-threshold=100"
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=musl-gcc
# C code in crates: musl-gcc knows no linux/*.h.
export CFLAGS_x86_64_unknown_linux_musl="-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu"
/usr/bin/rustc --version
cd "$top"
cargo build --release --locked --target $target -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size \
    --target-dir "$build"

# 4. What must hold of it.
for name in rsntpd rsntpq; do
    program=$build/$target/release/$name
    if readelf -lW "$program" | grep -qE 'INTERP|DYNAMIC'; then echo "static: $program asks for a loader"; exit 1; fi
    install -m 755 "$program" "$out/$name"
    echo "static: $out/$name, $(stat -c %s "$out/$name") bytes, sha256 $(sha256sum "$out/$name" | cut -c1-64)"
done
