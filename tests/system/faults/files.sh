# Disks that are full or read-only, and files that are damaged.
# shellcheck shell=bash

state_lines() { lines=("driftfile $d/small/drift" "statsdir $d/small/" "statistics loopstats" "filegen loopstats type none nolink"); }
drift_is() { grep -qxE -e "$1" "$d/after/drift" && [ "$(wc -l < "$d/after/drift")" = 1 ] && ! ls "$d/after" | grep TEMP; }

full_state() {
    [ -z "$faked" ] || { unfit full_state "$faked"; return; }
    state_lines
    fake "$full echo -3.000 > \$d/small/drift; $fill" FAKE_X=1
    must "it runs on" [ -s "$d/result" ]
    must "the drift file is the old one, whole" drift_is '-3\.000'
    must "the clock is kept" below max_us 2000
    local during; during=$(us max_us); mv "$d/log" "$d/log.full"
    fake "$full echo -3.000 > \$d/small/drift; $fill rm \$d/small/filling" FAKE_X=1
    must "with room again the drift file is written" drift_is '-?[0-9]+\.[0-9]{3}'
    must "it is another" bash -c "! grep -q -- '-3.000' '$d/after/drift'"
    must "statistics are whole" whole_lines "$d/after/loopstats"
    row "disk full: drift file, loopstats (faked world)" "both stay as they were, whole; written when there is room" \
        "at most $during, then $(us late_us) rms" 'cannot save the frequency' "$d/log.full"
}
readonly_state() {
    [ -z "$faked" ] || { unfit readonly_state "$faked"; return; }
    state_lines
    fake "$full echo -3.000 > \$d/small/drift; mount -o remount,ro \$d/small" FAKE_X=1
    must "it runs on" [ -s "$d/result" ]
    must "the drift file is the old one, whole" drift_is '-3\.000'
    must "the clock is kept" below max_us 2000
    must "the statistics' failure is logged once" bash -c "[ \$(grep -c \"can't open\" '$d/log') = 1 ]"
    row "disk read-only: drift file, loopstats (faked world)" "both stay as they were" \
        "at most $(us max_us), then $(us late_us) rms" 'cannot save the frequency'
}
full_statistics() {
    conf "statsdir $d/small/" "statistics peerstats" "filegen peerstats type none nolink"
    start "$full"
    must "it is synchronized" synchronized
    must "statistics are written" within 60 [ -s "/proc/$daemon/root$d/small/peerstats" ]
    # A line fills the page that the file ends in: no other page is left for the next one.
    kill -STOP "$daemon"
    inside bash -c "d=$d; n=\$((4096 * 2 - 40 - \$(stat -c %s \$d/small/peerstats) % 4096)); printf '57000 %0*d 10.0.0.1 9014 0.0 0.0 0.0 0.0\n' \$n 0 >> \$d/small/peerstats; $fill"
    kill -CONT "$daemon"
    must "the failure is logged" within 60 logged 'cannot write the statistics file'
    must "it is still synchronized" follows
    before=$(inside stat -c %s "$d/small/peerstats")
    must "what is there is whole" inside bash -c "$(declare -f whole_lines); whole_lines $d/small/peerstats"
    inside rm "$d/small/filling"
    grows() { [ "$(inside stat -c %s "$d/small/peerstats")" -gt "$before" ]; }
    must "with room again lines are written" within 60 grows
    must "and whole" inside bash -c "$(declare -f whole_lines); whole_lines $d/small/peerstats"
    must "the failure is logged once" bash -c "[ \$(grep -c 'cannot write the statistics' '$d/log') = 1 ]"
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "disk full: statistics" "lines are lost, none is torn; written when there is room" "$off" 'cannot write the statistics file'
}
full_log() {
    conf
    start "$full $fill" -l "$d/small/log"
    must "it starts and is synchronized" synchronized
    # Two different lines each time: repetitions are only counted.
    chmod 644 "$d/keys"; for _ in 1 2 3 4; do kill -HUP "$daemon"; sleep 0.1; done
    must "it serves" serves
    inside rm "$d/small/filling"
    kill -HUP "$daemon"
    counted() { inside cat "$d/small/log" | grep -E '[0-9]+ log lines? w(as|ere) not written here'; }
    must "with room again it says how many lines were lost" within 60 counted
    must "it is synchronized" follows
    inside cat "$d/small/log" > "$d/log"
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "disk full: log file" "starts, runs; with room again the lost lines are counted" "$off" 'not written here'
}
full_requests() {
    conf "saveconfigdir $d/small" "server ${address[lan]} key 3"
    start "$full $fill" -p "$d/small/pid"
    must "it starts without its pid file, and is synchronized" synchronized
    saves() { ask -k "$d/keys" -a 3 -c 'saveconfig new.conf' 127.0.0.1; }
    refused() { saves | tee /dev/stderr | grep 'No space left'; }
    must "saveconfig is refused with the reason" refused
    nothing() { ! inside ls -A "$d/small" | grep -v '^filling$'; }
    must "and leaves nothing, nor does the pid file" nothing
    keygen() { ! inside bash -c "cd $d/small && $work/bin/ntp-keygen -M" && nothing; }
    must "rsntp-keygen fails and leaves no half of a file" keygen
    inside bash -c ": > $d/keys"
    kill -HUP "$daemon"
    must "a keys file that lost its content is reported" within 60 logged "key 3"
    inside rm "$d/small/filling"
    saved() { saves | grep saved && inside grep -q "^server ${address[s1]}" "$d/small/new.conf"; }
    printf '3 SHA1 0123456789abcdef0123456789abcdef01234567\n' > "$d/keys"; kill -HUP "$daemon"
    must "with room again it is saved, whole" within 60 saved
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "disk full: pid file, saveconfig, rsntp-keygen" "each refused with the reason, no half of a file left" "$off" 'cannot write the pid file'
}
readonly_start() {
    conf "driftfile $d/small/drift" "statsdir $d/small/" "statistics peerstats" "saveconfigdir $d/small"
    start "$full mount -o remount,ro \$d/small" -p "$d/small/pid" -l "$d/small/log"
    must "it starts and is synchronized" synchronized
    refused() { ask -k "$d/keys" -a 3 -c 'saveconfig new.conf' 127.0.0.1 | tee /dev/stderr | grep 'Read-only'; }
    must "saveconfig is refused with the reason" refused
    inside mount -o remount,rw "$d/small"
    kill -HUP "$daemon"
    back() { inside sh -c "test -s $d/small/log && ls $d/small/peerstats*"; }
    must "once it can be written, log and statistics are" within 60 back
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "disk read-only: log, statistics, pid file, saveconfig" "starts; each refused with the reason; written once it can be" \
        "$off" 'Read-only' "$d/stderr"
}
damaged() {
    conf "driftfile $d/state/drift" "statsdir $d/stats/" "statistics peerstats" "nts enable" "nts cert $d/cert.pem" "nts key $d/key.pem" \
        "nts cookie $d/state/nts-keys" "nts dump $d/state" "leapfile $d/state/leap" "filegen peerstats type none nolink"
    local f kind
    certificate
    local off
    for kind in garbage empty cut; do
        for f in drift drift.error nts-keys nts-10.9.0.1.4460 leap pid; do
            case $kind in
                garbage) head -c 3000 /dev/urandom > "$d/state/$f" ;;
                empty) : > "$d/state/$f" ;;
                cut) printf -- '-12.' > "$d/state/$f" ;;
            esac
        done
        cp "$d/state/pid" "$d/pid"; printf '57000 1.2 10.0' > "$d/stats/peerstats"
        start ""
        must "$kind: it starts, and is synchronized" synchronized
        must "$kind: it serves" serves
        must "$kind: its pid file is right" bash -c "[ \$(cat '$d/pid') = $daemon ]"
        off=$(errors)
        must "$kind: it ends with status 0" stop
        must "$kind: no panic" bash -c "! grep -i panick '$d/stderr'"
    done
    row "state files of noise, empty, or cut off" "each costs itself: started, synchronized, written anew" "$off" 'drift' 
}
certificate() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=ke.test" -keyout "$d/key.pem" -out "$d/cert.pem" > "$d/openssl" 2>&1; }
# Files as other versions and other daemons write them; what is written is read by those.
older() {
    [ -z "$faked" ] || { unfit older "$faked"; return; }
    state_lines
    local file; shopt -s extglob
    for file in '-9.876' '-9.876
0.010000' '-9.87600000 0.010'; do # ntpd and 0.1, ntpd 4.2.0, chronyd
        mkdir -p "$d/after"; printf '%s\n' "$file" > "$d/drift"
        fake "$full cp \$d/drift \$d/small/drift; printf '0.250 4\n' > \$d/small/drift.error" FAKE_X=1
        must "the frequency is taken: $file" logged 'frequency initialized -9.876 PPM'
        must "what is written is ntpd's form, one number" drift_is '-?[0-9]+\.[0-9]{3}'
        must "how right it was is kept: 5 starts" grep -qxE '[0-9.]+ 5' "$d/after/drift.error"
        mv "$d/log" "$d/log.older"
    done
    row "state files of ntpd, of chronyd and of version 0.1; back to those" "read; what is written, ntpd and 0.1 read" "at most $(us max_us), then $(us late_us) rms" 'frequency initialized' "$d/log.older"
}
