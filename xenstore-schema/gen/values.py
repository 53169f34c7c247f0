# SPDX-License-Identifier: MIT
"""Which texts a key takes: checks defaults and examples, and is the tests' second opinion on values.c."""
import re

RECORD_MAX = 2048  # characters
SUFFIX = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def number(text):
    """None if it is no canonical decimal number of 64 bits."""
    value = int(text) if re.fullmatch("0|[1-9][0-9]{0,19}", text) else None
    return value if value is not None and value < 1 << 64 else None


def size(text):
    m = re.fullmatch("(0|[1-9][0-9]{0,19})([KMGT]?)", text)
    value = int(m[1]) << SUFFIX[m[2]] if m else None
    return value if value is not None and value < 1 << 64 else None


def share(text):
    """Parts per million."""
    m = re.fullmatch("(0|[1-9][0-9]{0,2})([.]([0-9]{1,4}))?%", text)
    return int(m[1]) * 10000 + int((m[3] or "0").ljust(4, "0")) if m else None


def problem(key, text):
    """None, or what is wrong with it: "must be ..."."""
    return None if valid(key, text) else "must be " + allowed(key)


def valid(key, text):
    return CHECKS[key.type](key, text)


def within(key, value):
    return value is not None and (key.lo <= value <= key.hi or (key.zero and value == 0))


def good_range(key, text):
    low, dash, high = text.partition("-")
    low, high = number(low), number(high) if dash else number(low)
    return low is not None and high is not None and 1 <= low <= high <= key.hi


def good_refs(key, text):
    refs = [number(r) for r in text.split(",")]
    return len(refs) <= key.hi and len(refs) == len(set(refs)) and all(r is not None and 0 < r < 1 << 32 for r in refs)


def good_path(key, text):
    pattern = re.sub("<[a-z]+>", "(0|[1-9][0-9]{0,4})", key.of.path)
    m = re.fullmatch(pattern, text)
    limits = {"<id>": 65535}
    return bool(m) and all(int(v) <= limits.get(p, 0x7FEF) for p, v in zip(re.findall("<[a-z]+>", key.of.path), m.groups()))


def good_enum(key, text):
    if key.of.as_number:
        return number(text) in [v.number for v in key.of.values.values() if v.number >= key.lo]
    return text in [v.name for v in key.of.values.values() if v.number >= key.lo]


def good_flags(key, text):
    names = text.split(",") if text else []
    return len(names) <= 32 and len(names) == len(set(names)) and all(re.fullmatch("[a-z][a-z0-9-]{0,30}", n) for n in names)


def good_record(key, text):
    found = {}
    for word in text.split(" ") if text else []:
        name, equals, value = word.partition("=")
        if not equals or name in found or not re.fullmatch("[a-z][a-z0-9-]{0,30}", name) or not re.fullmatch("[!-~]{1,63}", value):
            return False
        found[name] = value
    fields = {f.name: f for f in key.fields}
    return len(text) <= RECORD_MAX and all(n not in fields or valid(fields[n], v) for n, v in found.items())


def good_message(key, text):
    if not text:
        return True
    found = re.fullmatch("([0-9]+) ([0-9]+)/([0-9]+) ([ -~]*)", text)
    if not found or len(found[4]) > key.hi:
        return False
    n, page, pages = (number(found[i]) for i in (1, 2, 3))
    return None not in (n, page, pages) and 1 <= n <= 2**64 - 1 and page <= 2**32 - 1 and pages <= 2**32 - 1 and (not pages or page < pages)


CHECKS = {
    "u32": lambda k, t: within(k, number(t)),
    "u64": lambda k, t: within(k, number(t)),
    "domid": lambda k, t: within(k, number(t)),
    "bool": lambda k, t: within(k, number(t)),
    "size": lambda k, t: within(k, size(t)),
    "share": lambda k, t: within(k, share(t)),
    "uuid": lambda k, t: bool(re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", t)),
    "text": lambda k, t: k.lo <= len(t) <= k.hi and bool(re.fullmatch("[ -~]*", t)),
    "range": good_range, "refs": good_refs, "path": good_path, "enum": good_enum, "flags": good_flags, "record": good_record,
    "message": good_message,
}


def allowed(key):
    """For people, after "must be"."""
    return {
        "u32": lambda: "a number from %d to %d" % (key.lo, key.hi),
        "u64": lambda: "a number from %d to %d" % (key.lo, key.hi),
        "domid": lambda: "a domain's number, 0 to %d" % key.hi,
        "bool": lambda: "0 or 1",
        "size": lambda: "%sbytes or a number with K, M, G or T, %s to %s" % ("0, or " if key.zero else "", amount(key.lo), amount(key.hi)),
        "share": lambda: "a share of 0% to 100% with at most four decimals, such as 12.5%",
        "uuid": lambda: "a UUID of 32 hexadecimal digits in groups of 8-4-4-4-12",
        "text": lambda: "%s%d printable ASCII characters" % ("%d to " % key.lo if key.lo else "at most ", key.hi),
        "range": lambda: "a version or a range of versions LOW-HIGH, within 1 to %d" % key.hi,
        "refs": lambda: "%s, none 0 and none twice" % (
            "one grant reference" if key.hi == 1 else "1 to %d grant references separated by commas" % key.hi),
        "path": lambda: "a path %s" % key.of.path,
        "enum": lambda: choice(key),
        "flags": lambda: "names separated by commas, none twice",
        "record": lambda: "fields NAME=VALUE separated by single spaces, none twice, %d characters at most" % RECORD_MAX,
        "message": lambda: "empty, or NUMBER PAGE/PAGES and at most %d printable ASCII characters" % key.hi,
    }[key.type]()


def choice(key):
    found = [v for v in key.of.values.values() if v.number >= key.lo]
    words = ["%d (%s)" % (v.number, v.name) if key.of.as_number else v.name for v in found]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def amount(n):
    for unit, bits in (("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if n >= 1 << bits and n % (1 << bits) == 0:
            return "%d%s" % (n >> bits, unit)
    return str(n)
