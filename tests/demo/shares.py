# SPDX-License-Identifier: MIT
"""The verdict on shares of the GPU: from looks at what four guests have used, over one span that is chosen before looking.

What counts is the simulated GPU's own account of each worker process, not what pvgpud charges, whose scheduler is on trial. The span
begins with the first look at which all four have had a kernel on the GPU, and ends with the first one at which they have used
SPAN seconds of it since then. It is long enough for the scheduler's bound (docs/scheduling-model.md): a guest with work waits at
most (longest kernel x sum of weights / its weight) + one round of slices, so at either end of the span it is at most one
kernel and its share of a round (120 ms) ahead of its due or behind it, whatever happened before. With kernels of 50 ms both ends together are
0.22 s, and 2 points of 30 s are 0.6 s. The rest is for an emulator that wakes a sleeping kernel late: kernels of up to LONGEST, 200 ms,
move a share by at most 2 x (0.2 + 0.06) s, 1.7 points. Ten longest kernels x sum of weights / lightest weight are then 16 s.

A share means something only if each guest had work all the time. pvgpud says when one did: it had the GPU, or waited for it. That does
not depend on how the GPU was divided: a guest that waits too long has work, a guest whose program is starved of CPU and whose queue has run
dry has none. And it means something only if no kernel was so long that the span is too short for it, as when the emulator stands still. If
either fails, or the span does not end in time, the shares have not been measured, which is no failure of pvgpu's.
"""
import dataclasses
import re

SPAN = 30.0        # seconds of GPU time
NEAR = 0.02        # of the GPU: how near to its share by weight each guest's must be
WORKED = 0.98      # of the span's time, the part in which each guest had work: what is missing moves a share of one half by one point
LONGEST = 0.2      # seconds: how long a kernel may be


@dataclasses.dataclass(frozen=True)
class Used:
    """What one guest has used up to a moment."""
    gpu: float      # seconds of the GPU, by the simulated GPU's account
    kernels: int    # that have begun, by the same account
    worked: float   # seconds in which it had the GPU or waited for it, as pvgpud says


@dataclasses.dataclass(frozen=True)
class Look:
    at: float       # seconds, by the clock of the emulated machine
    used: dict      # guest -> Used


@dataclasses.dataclass(frozen=True)
class Verdict:
    shares: dict             # guest -> part of the GPU time of the four
    unmeasured: str = ""     # why the shares mean nothing
    wrong: tuple = ()        # guests whose share is not what its weight promises; none if unmeasured


def parse(text):
    """The Look, by domid, that the output of simcuda-top, of `cat /proc/uptime` and of `pvgpuctl tree /vgpu` is, in this order."""
    far = {int(pid): (float(gpu), int(kernels)) for pid, gpu, kernels in
           re.findall(r"^ *(\d+) (?:run |wait|idle) +\S+ +(\S+) +\S+ +\S+ +(\d+) ", text, re.M)}
    at = re.search(r"^(\d+\.\d+) \d+\.\d+$", text, re.M)
    worked, gpu, kernels = {}, {}, {}
    for domid, key, value in re.findall(r"/xen-(\d+)-0-\w+/(gpu-time|wait-time|session/\d+/pid)\W+(\d+)", text):
        d, n = int(domid), int(value)
        if key.endswith("pid"):
            one = far.get(n, (0.0, 0))
            gpu[d], kernels[d] = gpu.get(d, 0.0) + one[0], kernels.get(d, 0) + one[1]
        else:
            worked[d] = worked.get(d, 0.0) + n / 1e6
    return Look(float(at[1]), {d: Used(gpu.get(d, 0.0), kernels.get(d, 0), w) for d, w in worked.items()})


def begun(look, guests):
    """Has each of them had a kernel on the GPU?"""
    return all(g in look.used and look.used[g].kernels > 0 for g in guests)


def total(first, last):
    """GPU time of all between two looks."""
    return sum(last.used[g].gpu - first.used[g].gpu for g in first.used)


def longest_kernel(looks):
    """About how long the longest kernel of the span was: the time by which one interval between two looks has more GPU time than its number
    of kernels takes on average, and one average kernel."""
    def kernels(a, b):
        return sum(b.used[g].kernels - a.used[g].kernels for g in a.used)
    average = total(looks[0], looks[-1]) / max(1, kernels(looks[0], looks[-1]))
    return average + max(total(a, b) - average * kernels(a, b) for a, b in zip(looks, looks[1:]))


def why_not(looks):
    """Why the span is no measure of shares, by evidence that does not depend on them; empty if it is one."""
    first, last = looks[0], looks[-1]
    time = last.at - first.at
    if total(first, last) < SPAN:
        return f"the GPU worked for {total(first, last):.0f} of {SPAN:.0f} s only in {time:.0f} s"
    for guest, used in last.used.items():
        worked = used.worked - first.used[guest].worked
        if worked < WORKED * time:
            return f"{guest} had work in {worked:.1f} of {time:.1f} s only"
    if (longest := longest_kernel(looks)) > LONGEST:
        return f"the emulator was held up: a kernel took {1000 * longest:.0f} ms, not 50"
    return ""


def verdict(looks, weights):
    """looks: those of the span, its begin and its end included; weights: guest -> weight."""
    used = {g: looks[-1].used[g].gpu - looks[0].used[g].gpu for g in weights}
    shares = {g: used[g] / max(sum(used.values()), 1e-9) for g in weights}
    if reason := why_not(looks):
        return Verdict(shares, unmeasured=reason)
    due = {g: w / sum(weights.values()) for g, w in weights.items()}
    return Verdict(shares, wrong=tuple(g for g in weights if abs(shares[g] - due[g]) > NEAR))
