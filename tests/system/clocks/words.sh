# shellcheck shell=bash
# What the worlds of receivers ask the daemon; lib.sh of the worlds comes before.

# NTPsec's ntpq shows the name of a clock; here it is its address.
rows() { ntpq -pn | sed -E 's/GPS_NMEA\(([0-9]+)\)/127.127.20.\1/; s/SHM\(([0-9]+)\)/127.127.28.\1/; s/GPSD_JSON\(([0-9]+)\)/127.127.46.\1/' | tee /dev/stderr; }
row() { rows | grep -qE "$1"; }
log() { cat "$work/log/rsntpd"; grep -qE "$1" "$work/log/rsntpd"; }
# What the clock variables of the nth association are.
cv() { # N PATTERN
    local id; id=$(ntpq -c as | awk -v n="$1" '$1 == n {print $2}')
    ntpq -c "cv $id" 2>&1 | tr -d '\n' | tee /dev/stderr | grep -qE "$2"
}
