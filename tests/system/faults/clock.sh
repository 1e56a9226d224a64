# A clock that other programs set and adjust, a machine that is suspended: in the faked world.
# shellcheck shell=bash

EVENT=10000
ASLEEP=28800
# After how many seconds the clock was right again, within 60 ms.
right() { local at=$(($(result settle) - EVENT - ${1:-0})); echo $((at > 0 ? at : 0)); }
soon() { [ "$(right "$@")" -le 10 ]; }
set_outside() {
    [ -z "$faked" ] || { unfit set_outside "$faked"; return; }
    lines=(); cp "$(command -v sleep)" "$d/chronyd"
    fake '$d/chronyd 60 &' FAKE_AT=$EVENT FAKE_SET=5
    must "it runs on" [ -s "$d/result" ]
    must "it is logged who runs" logged 'running here: chronyd \([0-9]+\)\)'
    must "it is stepped back, once" [ "$(result steps)" = 1 ]
    must "it is kept afterwards" below late_us 500
    must "soon" soon
    row "another program sets the clock by 5 s (faked world)" "polled at once, stepped back once" "$(us max_us), right after $(right) s, then $(us late_us) rms" 'clock was set'
}
rival() {
    [ -z "$faked" ] || { unfit rival "$faked"; return; }
    lines=(); cp "$(command -v sleep)" "$d/chronyd"
    fake '$d/chronyd 60 &' FAKE_AT=$EVENT FAKE_RIVAL=1e-5
    must "it runs on" [ -s "$d/result" ]
    must "it is logged once" [ "$(grep -c 'two programs adjust this clock' "$d/log")" = 1 ]
    row "another daemon sets the clock's frequency every 100 s (faked world)" "reported once" "at most $(us max_us), then $(us late_us) rms" 'two programs adjust'
}
suspended() {
    [ -z "$faked" ] || { unfit suspended "$faked"; return; }
    lines=()
    fake '' FAKE_AT=$EVENT FAKE_ASLEEP=$ASLEEP FAKE_SET=0.4
    must "it runs on" [ -s "$d/result" ]
    must "no other program is blamed" bash -c "! grep 'another process' '$d/log'"
    must "stepped once" [ "$(result steps)" = 1 ]
    must "it is kept afterwards" below late_us 500
    must "soon" soon $ASLEEP
    row "suspended for 8 hours, hardware clock 0.4 s off (faked world)" "polled at once, stepped once" "right after $(right $ASLEEP) s, then $(us late_us) rms" 'machine was suspended'
}
resumed() {
    [ -z "$faked" ] || { unfit resumed "$faked"; return; }
    lines=()
    refuses() { ! fake '' FAKE_AT=$EVENT FAKE_ASLEEP=$ASLEEP FAKE_SET=5000; }
    must "without the word it ends at the panic limit" refuses
    must "and says so" logged 'exceeds sanity limit'
    rm "$d/log"; lines=("tinker resume 60")
    fake '' FAKE_AT=$EVENT FAKE_ASLEEP=$ASLEEP FAKE_SET=5000
    must "it runs on" [ -s "$d/result" ]
    must "stepped once" [ "$(result steps)" = 1 ]
    must "it is kept afterwards" below late_us 500
    must "soon" soon $ASLEEP
    row "the same, 5,000 s off, with \`tinker resume 60\` (faked world)" "polled at once, stepped once" "right after $(right $ASLEEP) s, then $(us late_us) rms" 'machine was suspended'
}
