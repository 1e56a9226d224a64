"""Compares what rsntpq and NTPsec's ntpq print about the same daemon, command by command.
What may differ is here, and in docs/differences.md ("The tools") in words; nothing else may.
usage: alike.py RSNTPQ NTPQ KEYS KEYID HOST"""
import re, subprocess, sys

ours_path, theirs_path, keys, key, host = sys.argv[1:6]
SIGNED = {"ifstats", "reslist"}
# Labels that NTPsec words otherwise; what only NTPsec has is not listed.
LABELS = {"addresses": "addresses in use", "reclaim older than": "reclaim maxage"}
# In 4.2.8's screens and not in NTPsec's, which has no broadcast client.
OURS_ONLY = {"broadcast delay"}
MOVING = {"clock", "rootdisp", "dispersion", "filtdisp", "headway", "kmaxerr", "root dispersion", "maximum error"}


def run(path, command):
    signed = ["-k", keys, "-a", key] if command in SIGNED else []
    done = subprocess.run([path, "-n", *signed, "-c", command, host], capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"{path} {command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def value(text):
    """Numbers as numbers, 01:02:03 as seconds, hexadecimal of a timestamp without its date."""
    text = text.strip().strip('"')
    clock = re.fullmatch(r"(?:(\d+)D )?(\d+):(\d\d):(\d\d)", text)
    if clock:
        days, hours, minutes, seconds = (int(n or 0) for n in clock.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    stamp = re.match(r"([0-9a-f]{8}\.[0-9a-f]{8})\b", text)
    if stamp:
        return stamp[1]
    try:
        return float(int(text, 16)) if text.startswith("0x") else float(text)
    except ValueError:
        return re.sub(r"[,\s]+", " ", text).strip()


def near(a, b, slack):
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= slack + 0.0006 + 0.01 * abs(b)
    return a == b


def variables(text):
    """`name=value, ...` with the status words in front, whatever the lines; both write no comma inside of
    a value but in dates and the names of flash bits."""
    head, found, name = re.match(r"(associd=\d+ status=[0-9a-f]{4}[^=]*,\n)?", text)[0], {}, None
    text = text[len(head):]
    for item in re.split(r",\s+|,?\n", text):
        match = re.match(r"\s*(\w+) ?=\s*(.*)", item, re.S)
        if match:
            name = match[1]
            found[name] = match[2]
        elif name and item.strip():
            found[name] += " " + item.strip()
    lists = {n: [value(v) for v in found.pop(n).split()] for n in list(found) if n.startswith("filt")}
    values = {n: value(v) for n, v in found.items()}
    for n, numbers in lists.items():
        # The columns of ntpq are seven characters wide.
        values.update({f"{n} {i}": number for i, number in enumerate(numbers)})
    return {"status": value(head.replace(" ,", "")), **values}


def same_variables(ours, theirs):
    a, b = variables(ours), variables(theirs)
    wrong = [f"only one has {n}" for n in a.keys() ^ b.keys()]
    for n in a.keys() & b.keys():
        slack = 1.0 if n.split()[0] in MOVING or n.startswith("filtdisp") else 0.05
        if n != "clock" and not near(a[n], b[n], slack):
            wrong.append(f"{n}: {a[n]!r} and {b[n]!r}")
    return wrong


def same_rows(ours, theirs):
    """Billboards: the same columns. NTPsec writes `..` for an empty reference identifier, the name of a
    reference clock also with -n, and one more column of jitter."""
    def rows(text):
        for line in text.splitlines():
            if "=====" in line or not line.strip() or "remote" in line or line.startswith("ind"):
                continue
            words = line.replace(" .. ", "    ").split()
            yield [value(w) for w in words]
    a, b = list(rows(ours)), list(rows(theirs))
    wrong = [] if len(a) == len(b) else [f"{len(a)} and {len(b)} rows"]
    for left, right in zip(a, b):
        pairs = list(zip(left, right))
        if len(left) != len(right) or not all(near(x, y, 2.1) or (x, y) in (("127.127.1.0", "LOCAL(0)"), ("-", 1.0), (1.0, "-")) for x, y in pairs):
            wrong.append(f"{left} and {right}")
    return wrong


def same_summary(ours, theirs):
    def labels(text):
        found = {}
        for line in text.splitlines():
            match = re.match(r"(calibration interval|root distance|[^:=]+:)\s+(\S.*)", line)
            if match:
                label = match[1].rstrip(":")
                # NTPsec adds the change since the last look, and rates.
                found[label] = value(match[2] if label == "reference time" else re.split(r"\s{2,}", match[2])[0])
        return found
    a, b = labels(ours), labels(theirs)
    wrong = [] if a else ["no lines"]
    for label, ours_value in a.items():
        there = LABELS.get(label, label)
        if there not in b:
            wrong += [] if label in OURS_ONLY else [f"{label} is not in NTPsec's"]
        elif not near(ours_value, b[there], 60.0):
            wrong.append(f"{label}: {ours_value!r} and {b[there]!r}")
    return wrong


def same_clients(ours, theirs):
    """Address, port of servers, mode, version and restrictions; we print neither score nor drops."""
    def rows(text):
        found = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 9 and words[0].isdigit():
                found[words[-1]] = words[2:6]
        return found
    a, b = rows(ours), rows(theirs)
    return [] if a == b and a else [f"{a}\n{b}"]


def same_list(ours, theirs):
    """ifstats and reslist below their heads; NTPsec leaves out ttl and mc."""
    def lines(text, drop):
        body = text.split("====\n", 1)[1].splitlines()
        for line in body:
            words = line.split()
            if drop and re.match(r"\s*\d+ ", line):
                del words[4:6]
            yield [value(w) for w in words]
    wide = "ttl" in ours
    a, b = list(lines(ours, wide)), list(lines(theirs, False))
    wrong = [] if len(a) == len(b) else [f"{len(a)} and {len(b)} lines"]
    for left, right in zip(a, b):
        if len(left) != len(right) or not all(near(x, y, 60.0) for x, y in zip(left, right)):
            wrong.append(f"{left} and {right}")
    return wrong


ROWS = ["peers", "apeers", "opeers", "lpeers", "lopeers", "associations", "lassociations"]
VARIABLES = ["rv", "readlist", "rv &1", "rv &2", "rv &3", "rv &4", "rv &5", "rl &1", "cv &5", "rv 0 stratum,offset",
             "rv 0 site", "rv &1 srcadr,stratum"]
SUMMARIES = ["sysinfo", "sysstats", "monstats", "iostats", "kerninfo", "authinfo", "timerstats", "pstats &1"]
CLIENTS = ["mrulist", "mrulist mincount=2 sort=addr"]
kinds = [(ROWS, same_rows), (VARIABLES, same_variables), (SUMMARIES, same_summary), (CLIENTS, same_clients),
         (["ifstats", "reslist"], same_list)]
bad = 0
for commands, judge in kinds:
    for command in commands:
        # The daemon goes on between the two: what is true is true at one of several looks.
        for _ in range(4):
            ours, theirs = run(ours_path, command), run(theirs_path, command)
            wrong = judge(ours, theirs)
            if not wrong:
                break
        if wrong:
            bad += 1
            print(f"{command}: " + "; ".join(wrong) + f"\n--- ours\n{ours}--- NTPsec\n{theirs}")
compared = sum(len(commands) for commands, _ in kinds)
print(f"{compared} commands compared, {bad} differ")
sys.exit(bad != 0)
