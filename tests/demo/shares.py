# SPDX-License-Identifier: MIT
"""The verdict on shares of the GPU: from looks at what four guests have used, over one span that is chosen before looking.

What counts is the simulated GPU's own account of each worker process, not what pvgpud charges, whose scheduler is on trial. The span
begins with the first look at which all four have had a kernel on the GPU and late ones (below) are paid for, and ends with the first one at which they have used
SPAN seconds of it since then. That is four times as long as ten longest kernels x sum of weights / lightest weight, 12 s with kernels of
150 ms, since the shares are to be right within 2 points. By the scheduler's bound (docs/scheduling-model.md) a guest with work waits at most
(longest kernel x sum of weights / its weight) + one round of slices, whatever happened before, so at either end of the span it is at most
one kernel and its share of a round, ENDS together, ahead of its due or behind it: 0.42 s of the second that 2 points of the span are.

The rest is for an emulator that is held up and wakes a sleeping kernel late. A guest pays for its late kernel: it waits until the others
have caught up. The most that may be unpaid at a moment is known from the account: it grows with the time by which kernels are longer than
usual, and falls at the rate at which the lightest guest pays. What may be unpaid at both ends of the span must fit into the rest.

A share means something only if each guest had work all the time. pvgpud says when one did: it had the GPU, or waited for it. That does
not depend on how the GPU was divided: a guest that waits too long has work; a guest whose program is starved of CPU and whose queue has run
dry has none, and one whose worker is starved of CPU has a turn in which the GPU is idle. Such time is charged to the turn, and weighs more in
the light guests' turns of one kernel than in the heavy one's of several. If one of these fails, or the span does not end in time, the
shares have not been measured, which is no failure of pvgpu's.
"""
import dataclasses
import re
import statistics

SPAN = 50.0        # seconds of GPU time
NEAR = 0.02        # of the GPU: how near to its share by weight each guest's must be
WORKED = 0.98      # of the span's time, the part in which each guest had work: what is missing moves a share of one half by one point
# Of the span's time, the part in which the GPU worked. A hand-over of 37.5 ms beside kernels of 150 ms, in turns of one kernel and of four,
# leaves it 0.85 and moves a share of one half by nearly two points.
BUSY = 0.8
ENDS = 0.21        # seconds that a guest may be ahead or behind at an end of the span: a kernel, and 60 ms of a round of 120 ms


@dataclasses.dataclass(frozen=True)
class Used:
    """What one guest has used up to a moment."""
    gpu: float      # seconds of the GPU, by the simulated GPU's account
    kernels: int    # that have begun, by the same account
    worked: float   # seconds in which it had the GPU or waited for it, as pvgpud says
    charged: float = 0.0  # seconds of the GPU, by pvgpud; not judged, but a wrong share can be traced to it


@dataclasses.dataclass(frozen=True)
class Look:
    """What all have used at one moment."""
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
    worked, charged, gpu, kernels = {}, {}, {}, {}
    for domid, key, value in re.findall(r"/xen-(\d+)-0-\w+/(gpu-time|wait-time|session/\d+/pid)\W+(\d+)", text):
        d, n = int(domid), int(value)
        if key.endswith("pid"):
            one = far.get(n, (0.0, 0))
            gpu[d], kernels[d] = gpu.get(d, 0.0) + one[0], kernels.get(d, 0) + one[1]
        else:
            worked[d] = worked.get(d, 0.0) + n / 1e6
            charged[d] = charged.get(d, 0.0) + (n / 1e6 if key == "gpu-time" else 0.0)
    return Look(float(at[1]), {d: Used(gpu.get(d, 0.0), kernels.get(d, 0), w, charged[d]) for d, w in worked.items()})


def total(first, last):
    """GPU time of all between two looks."""
    return sum(last.used[g].gpu - first.used[g].gpu for g in first.used)


def unpaid(looks, rate):
    """At each look, the most GPU time that one guest may have had by late kernels and not yet paid for; it pays at that rate, a share."""
    steps = [(total(a, b), sum(b.used[g].kernels - a.used[g].kernels for g in a.used), b.at - a.at) for a, b in zip(looks, looks[1:])]
    usual = statistics.median([gpu / kernels for gpu, kernels, _ in steps if kernels] or [0.0])
    debts = [0.0]
    for gpu, kernels, time in steps:
        debts.append(max(0.0, debts[-1] + gpu - usual * kernels - rate * time))
    return debts


def slowest(weights):
    """The share of the lightest."""
    return min(weights.values()) / sum(weights.values())


def may_begin(looks, weights):
    """May the span begin with the last look? Each guest has had a kernel on the GPU, and nothing much is to be paid for."""
    return all(used.kernels for used in looks[-1].used.values()) and unpaid(looks, slowest(weights))[-1] <= ENDS


def why_not(looks, begin, weights):
    """Why the span is no measure of shares, by evidence that does not depend on them; empty if it is one."""
    first, last = looks[begin], looks[-1]
    time = last.at - first.at
    if total(first, last) < SPAN:
        return f"the GPU worked for {total(first, last):.0f} of {SPAN:.0f} s only, in {time:.0f} s"
    if total(first, last) < BUSY * time:
        return f"the GPU worked for {total(first, last):.0f} of {time:.0f} s only"
    for guest in weights:
        worked = last.used[guest].worked - first.used[guest].worked
        if worked < WORKED * time:
            return f"{guest} had the GPU or waited for it in {worked:.1f} of {time:.1f} s only"
    debts = unpaid(looks, slowest(weights))
    if (late := debts[begin] + debts[-1]) > NEAR * SPAN - 2 * ENDS:
        return f"the emulator was held up: kernels of {late:.1f} s in all were late shortly before the measurement or at its end"
    return ""


def verdict(looks, begin, weights):
    """looks: up to the end of the span, which begins with looks[begin]; weights: guest -> weight."""
    used = {g: looks[-1].used[g].gpu - looks[begin].used[g].gpu for g in weights}
    shares = {g: used[g] / max(sum(used.values()), 1e-9) for g in weights}
    if reason := why_not(looks, begin, weights):
        return Verdict(shares, unmeasured=reason)
    due = {g: w / sum(weights.values()) for g, w in weights.items()}
    return Verdict(shares, wrong=tuple(g for g in weights if abs(shares[g] - due[g]) > NEAR))
