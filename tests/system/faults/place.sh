# A place for each fault: a host of its own in the world, a folder, a daemon, and what is judged about it.
# shellcheck shell=bash

# Runs one fault in a subshell of its own; prints its line, and leaves its row of the table in its folder.
fault() { # NUMBER NAME
    h=f$1 d=$work/f$1 ip=${address[f$1]} wrong=0 daemon= sampler=
    mkdir -p "$d"/{stats,save,state}
    printf '3 SHA1 0123456789abcdef0123456789abcdef01234567\n' > "$d/keys"; chmod 600 "$d/keys"
    trap 'ended' EXIT
    "$2"
}
ended() { quiet; [ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null; }

# Notes what does not hold.
must() { # WHAT CMD…
    local what=$1; shift
    "$@" > "$d/check" 2>&1 || { wrong=$((wrong + 1)); echo "         ${FUNCNAME[1]}: not so: $what"; sed 's/^/         | /' "$d/check" | tail -8; }
}
# The end of a fault: its line, and its row. The log's line is that which the pattern finds, without stamp and folder.
row() { # FAULT HAPPENED ERROR PATTERN-OF-THE-LOG [LOG]
    local said="no warning" log=${5:-$d/log}
    if [ -n "$4" ]; then
        said=$(grep -hE "$4" "$log" | head -1 | sed -E "s/^ *[0-9]+ [A-Z][a-z]+ [0-9:]+ [a-z]+\[[0-9]+\]: //; s#$d/##g; s/^.*\]: //")
        [ -n "$said" ] || { wrong=$((wrong + 1)); echo "         the log does not have: $4"; tail -5 "$log" | cut -c1-200; }
        said="\`$said\`"
    fi
    if [ "$wrong" = 0 ]; then echo "ok       $1: $2; $3; $said"; else echo "FAILED   $1"; fi
    echo "| $1 | $2 | $3 | $said |" > "$d/row"
}
unfit() { skip "$1: $2"; }

# The configuration: three servers, and these lines.
conf() { # LINE…
    { printf 'server %s iburst minpoll 3 maxpoll 3\n' "${address[s1]}" "${address[s2]}" "${address[s3]}"
      printf 'restrict default nomodify\nrestrict 127.0.0.1\nkeys %s/keys\ntrustedkey 3\ncontrolkey 3\nsaveconfigdir %s/save\n' "$d" "$d"
      printf '%s\n' "$@"; } > "$d/conf"
}
# Starts the daemon in a mount namespace of its own, after `prepare`; its log is $d/log, unless it has -l, or begins with syslog.
start() { # PREPARE OPTION…
    local prepare=$1 log=(-l "$d/log"); shift
    case " $* " in *" -l "* | " syslog "*) log=() ;; esac
    [ "${1:-}" != syslog ] || shift
    exec_tame "$h" unshare -m --propagation private bash -c 'd=$0; eval "$1"; shift; exec "$@"' "$d" "$prepare" \
        "$rsntpd" -n "${log[@]}" -p "$d/pid" -c "$d/conf" "$@" > "$d/stderr" 2>&1 &
    daemon=$!
}
# Something in the daemon's mount namespace.
inside() { nsenter -t "$daemon" -m "$@"; }
stop() { kill "$daemon" 2>/dev/null; wait "$daemon"; local s=$?; daemon=; quiet; return $s; }
quiet() { [ -z "$sampler" ] || { kill "$sampler"; wait "$sampler"; sampler=; } 2>/dev/null; }
ask() { on "$h" timeout 10 "$work/bin/ntpq" "$@" 2>&1; }
follows() { ask -pn 127.0.0.1 | grep '^\*'; }
serves() { on lan timeout 10 "$work/bin/ntpdate" -q -u -p 1 "$ip"; }
alive() { kill -0 "$daemon"; }
logged() { grep -E "$1" "$d/log"; }
# The offset that the daemon sees, without sign, in milliseconds; what it serves is as far off. It is noted from when the daemon is
# synchronized until it is stopped, for the row.
offset() { ask -c 'rv 0 offset' 127.0.0.1 | sed -nE 's/.*offset=[+-]?([0-9.]+).*/\1/p'; }
synchronized() {
    within 60 follows || return
    [ -n "$sampler" ] || { while sleep 2; do offset; done >> "$d/offsets" 2>/dev/null & sampler=$!; }
}
errors() {
    local last; last=$(offset); echo "$last" >> "$d/offsets"
    echo "at most $(sort -n "$d/offsets" | tail -1) ms, then ${last:-lost} ms"
}
small() { offset; awk '$1 > 5 {bad = 1} END {exit bad || !NR}' "$d/offsets"; }
descriptors_open() { find "/proc/$daemon/fd" -mindepth 1 2>/dev/null | wc -l; }
resident() { awk '/VmRSS/ {print $2}' "/proc/$daemon/status"; }
# A file of so many kB that is full.
full='mkdir -p $d/small; mount -t tmpfs -o size=32k none $d/small;'
fill='dd if=/dev/zero of=$d/small/filling bs=1k 2>/dev/null;'
whole_lines() { # FILE…: complete lines with as many fields as the first has, or an empty file
    awk 'FNR == 1 {n = NF} NF < 6 || (FILENAME !~ /log$/ && NF != n) {print FILENAME ": " $0; bad = 1} END {exit bad}' "$@" &&
        for f in "$@"; do [ ! -s "$f" ] || [ -z "$(tail -c 1 "$f")" ] || { echo "$f ends within a line"; return 1; }; done
}

# The daemon in the faked world, with these settings of it; the report is in $d/result.
fake() { # PREPARE SETTING…
    local prepare=$1; shift
    rm -f "$d/result"
    printf 'server 10.9.0.%s iburst\n' 1 2 3 > "$d/fake.conf"; printf '%s\n' "${lines[@]}" >> "$d/fake.conf"
    on_tame "$h" unshare -m -p --fork --mount-proc --propagation private env FAKE_SEED=1 FAKE_DURATION=20000 FAKE_OUT="$d/result" "$@" timeout 60 \
        bash -c 'd=$0; eval "$1"; LD_PRELOAD=$2 "$3" -n -g -l $d/log -c $d/fake.conf; s=$?; cp -r $d/small/. $d/after 2>/dev/null; exit $s' \
        "$d" "$prepare" "$work/world.so" "$rsntpd" > "$d/stderr" 2>&1
}
# A figure of the report; microseconds as a time.
result() { tr ' ' '\n' < "$d/result" | sed -n "s/^$1=//p"; }
us() { awk -v v="$(result "$1")" 'BEGIN {if (v == "") print "lost"; else if (v < 1e3) printf "%.0f us", v; else if (v < 1e6) printf "%.1f ms", v / 1e3; else printf "%.0f s", v / 1e6}'; }
below() { awk -v v="$(result "$1")" -v most="$2" 'BEGIN {exit !(v != "" && v <= most)}'; }
