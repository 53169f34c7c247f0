# SPDX-License-Identifier: MIT
"""Tenants that measure, natively and through pvgpu, and what is made of their figures."""
import statistics
import time

from stage import Failed
from meter import Meter, MeterError  # noqa: F401

START_S = 40


class Meters:
    """Those of one item; they end with it."""

    def __init__(self, ctx, env):
        self.ctx, self.env = ctx, env
        self.log = ctx.log("meters.log")
        self.all = []

    def begin(self, name=None, extra=None):
        """A process on the vGPU of that name, None: natively. Its start is under way."""
        m = Meter(self.ctx.path("tests/gpu-meter"), self.env.guest_env(name or "", direct=not name, extra=extra), self.log)
        m.name = name or "native"
        m.start("open")
        self.all.append(m)
        return m

    def opened(self, m):
        """Wait for its start: what it has said, with start_ns, from the process to the end of its first kernel."""
        # Time is left to say what has failed.
        got = m.end_well(max(1, min(START_S, self.ctx.remaining() - 10)))
        m.device = got["device"]
        got["start_ns"] = got["first_kernel_at_ns"] - m.begun_ns
        return got

    def open(self, name=None, extra=None):
        m = self.begin(name, extra)
        self.opened(m)
        return m

    def open_all(self, names, at_once=8):
        """One each, some of them at the same time; what each has said."""
        meters, said = [], []
        for i in range(0, len(names), at_once):
            part = [self.begin(n) for n in names[i:i + at_once]]
            said += [self.opened(m) for m in part]
            meters += part
        return meters, said

    def close(self, meters=None):
        """They end, all at the same time."""
        ending = list(self.all if meters is None else meters)
        for m in ending:
            m.hang_up()
        for m in ending:
            m.close()
            self.all.remove(m)

    def kill(self, m):
        m.kill()
        self.all.remove(m)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for m in self.all:
            m.kill()
        self.log.close()


def alternate(pair, command, rounds, only=None, limit=120):
    """The same command of two meters, (native, through pvgpu), in turn, each first every other time. For each number that
    they find: both medians, and the median, least and largest of the ratios pvgpu / native of one round. only: beginnings of
    the numbers that count; single extremes never do."""
    found = ([], [])
    for i in range(rounds):
        for side in ((0, 1) if i % 2 == 0 else (1, 0)):
            answer = {k: v for k, v in pair[side].do(*command, limit=limit).items() if isinstance(v, (int, float))}
            if answer.pop("wrong_words", 0):
                raise Failed(f"{' '.join(map(str, command))}: {pair[side].name} copied wrongly")
            found[side].append(answer)
    keys = [k for k in found[0][0] if all(k in a for side in found for a in side) and not k.endswith(("_min_ns", "_max_ns"))]
    return compared({k: ([a[k] for a in found[0]], [a[k] for a in found[1]])
                     for k in keys if not only or k.startswith(tuple(only))})


def compared(found):
    """name with its unit -> (native figures, pvgpu's), of the same rounds each."""
    values = {}
    for key, (native, pvgpu) in found.items():
        values[f"native_{key}"] = statistics.median(native)
        values[f"pvgpu_{key}"] = statistics.median(pvgpu)
        ratios = [p / n for n, p in zip(native, pvgpu) if n]
        if ratios:
            name = key.rsplit("_", 1)[0]
            name += "_bandwidth" if key.endswith("_gbps") else ""
            for what, value in (("", statistics.median(ratios)), ("_min", min(ratios)), ("_max", max(ratios))):
                values[f"{name}_ratio{what}"] = round(value, 4)
    return values


def jain(values):
    total = sum(values)
    return total * total / (len(values) * sum(v * v for v in values)) if total else 0.0


def jain_of_windows(windows, many):
    """windows: of each tenant, what it got in each short window. The index of each window of `many` of them."""
    n = min(len(w) for w in windows) // many
    return [jain([sum(w[i * many:(i + 1) * many]) for w in windows]) for i in range(n)]


def short(number):
    """4096 -> 4k"""
    for unit, name in ((1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")):
        if number % unit == 0:
            return f"{number // unit}{name}"
    return str(number)


def monotonic_in(seconds):
    return time.monotonic_ns() + int(seconds * 1e9)
