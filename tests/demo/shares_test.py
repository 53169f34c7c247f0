#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demo's verdict on shares: right, wrong or not measured, from histories of what four guests have used."""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import shares  # noqa: E402

WEIGHTS = {"alice": 100, "bob": 200, "carol": 100, "dave": 400}
DUE = {"alice": 12.5, "bob": 25, "carol": 12.5, "dave": 50}
SECONDS = 60
KERNEL = 0.15   # seconds, of the demo's


def history(got, worked=None, kernel=1 / 6, seconds=SECONDS, held_up=None):
    """Looks, one a second or when a longer kernel ends, at a GPU that runs one kernel after the other. got: guest -> percent of the GPU;
    worked: guest -> part of the time in which it has work, where that is not all; held_up: (second, seconds) of one kernel that is longer."""
    looks, gpu, kernels = [], dict.fromkeys(WEIGHTS, 0.0), dict.fromkeys(WEIGHTS, 0)
    begun = ended = 0.0     # of the latest kernel
    late = [held_up] if held_up else []
    guest = None
    for second in range(seconds + 1):
        while ended <= second:
            guest = min((g for g in got if got[g]), key=lambda g: (gpu[g] + kernel) / got[g])
            length = late.pop()[1] if late and late[0][0] <= ended else kernel
            kernels[guest] += 1
            gpu[guest] += length
            begun, ended = ended, ended + length
        at = second if ended - begun <= 1 else max(second, ended)
        looks.append(shares.Look(at, {g: shares.Used(gpu[g] - (ended - at if g == guest else 0), kernels[g],
                                                     at * (worked or {}).get(g, 1)) for g in WEIGHTS}))
    return looks


def with_alice(percent):
    """What the others get where alice gets that, and they share the rest by weight."""
    return {g: percent if g == "alice" else (100 - percent) * w / 700 for g, w in WEIGHTS.items()}


def stretched(looks, by):
    """The GPU is idle between kernels."""
    return [shares.Look(k.at * by, {g: shares.Used(u.gpu, u.kernels, u.worked * by) for g, u in k.used.items()}) for k in looks]


# name, looks, the guests whose shares are wrong or the words that say why they were not measured
TABLE = [
    ("all have what they are due", history(DUE), []),
    ("within two points", history({"alice": 14, "bob": 24, "carol": 12, "dave": 50}), []),
    ("alice in debt, 9.7 %, with work all the time", history(with_alice(9.7)), ["alice"]),
    ("alice in debt, 8.4 %, with work all the time", history(with_alice(8.4)), ["alice", "dave"]),
    ("alice in debt, 2.9 %, with work all the time", history(with_alice(2.9)), ["alice", "bob", "dave"]),
    ("alice in debt, 3.5 %, with work all the time", history(with_alice(3.5)), ["alice", "bob", "dave"]),
    ("everybody the same", history(dict.fromkeys(WEIGHTS, 25)), ["alice", "carol", "dave"]),
    ("one gets nothing, and waits all the time", history({"alice": 25, "bob": 50, "carol": 25, "dave": 0}), list(WEIGHTS)),
    ("alice 9.7 %, and her queue is empty now and then", history(with_alice(9.7), {"alice": 0.9}), "alice had the GPU or waited for it in "),
    ("alice 8.9 %, and her queue is empty now and then", history(with_alice(8.9), {"alice": 0.9}), "alice had the GPU or waited for it in "),
    ("alice 2.9 %, and her queue is empty for most of the time", history(with_alice(2.9), {"alice": 0.25}), "alice had the GPU or waited for it in "),
    ("right shares, and an empty queue", history(DUE, {"dave": 0.9}), "dave had the GPU or waited for it in "),
    ("all four queues empty for the same time", history(DUE, dict.fromkeys(WEIGHTS, 0.5)), "alice had the GPU or waited for it in "),
    ("hand-overs take a sixth of the time", stretched(history(DUE), 1.2), []),
    ("hand-overs take a third of the time", stretched(history({"alice": 11, "bob": 25, "carol": 11, "dave": 53}), 1.5), "the GPU worked for 55 of 82 s"),
    ("the emulator stands still for 5 s", history(DUE, held_up=(30, 5)), "the emulator was held up"),
    ("the emulator stands still for 3 s at the end, and the shares are wrong", history(with_alice(2.9), held_up=(55, 3)), "the emulator was held up"),
    ("the emulator stands still for 2 s just before the span", history(DUE, held_up=(4, 2)), "the emulator was held up"),
    ("a late kernel that is paid for by the end", history(DUE, held_up=(20, 0.8)), []),
    ("a late kernel that is paid for by the end, and wrong shares", history(with_alice(9.7), held_up=(20, 0.8)), ["alice"]),
    ("a kernel that is a little late at the end", history(DUE, held_up=(59, 0.3)), []),
    ("all kernels are late by 100 ms", history(DUE, kernel=KERNEL + 0.1), []),
    ("the span is not over", history(DUE, seconds=25), "the GPU worked for 20 of 50 s only, in 20 s"),
    ("no time at all", history(DUE, seconds=5), "the GPU worked for 0 of 50 s only, in 0 s"),
]
TEXT = """/dev/shm/gpu: 1024 MiB
    PID NOW    MEM MiB   COMPUTE s    COPY s   COPY MiB  LAUNCHES   SLICES OVERLAPS   TRACES
    300 run        4.0       2.500     0.000        0.0        45       45        0        0
    301 wait       4.0       1.250     0.000        0.0        23       23        0        0
    302 idle       0.0       0.000     0.000        0.0         0        0        0        0
123.45 67.89
/vgpu/xen-1-0-0a1b2c3d/gpu-time = 2600000
/vgpu/xen-1-0-0a1b2c3d/wait-time = 400000
/vgpu/xen-1-0-0a1b2c3d/session/7/pid = 300
/vgpu/xen-2-0-4e5f6a7b/gpu-time = 1300000
/vgpu/xen-2-0-4e5f6a7b/wait-time = 1700000
/vgpu/xen-2-0-4e5f6a7b/session/8/pid = 301
/vgpu/xen-3-0-8c9d0e1f/gpu-time = 100
/vgpu/xen-3-0-8c9d0e1f/wait-time = 0
"""


class Shares(unittest.TestCase):
    def test_verdicts(self):
        for name, looks, expected in TABLE:
            with self.subTest(name):
                found = shares.verdict(looks, 5, WEIGHTS)
                if isinstance(expected, str):
                    self.assertTrue(found.unmeasured.startswith(expected), found.unmeasured)
                    self.assertEqual(found.wrong, ())
                else:
                    self.assertEqual((found.unmeasured, list(found.wrong)), ("", expected))

    def test_the_span_is_long_enough_for_the_bound(self):
        weights = WEIGHTS.values()
        self.assertGreaterEqual(shares.SPAN, 10 * KERNEL * sum(weights) / min(weights))
        self.assertLess(2 * shares.ENDS, shares.NEAR * shares.SPAN / 2)

    def test_a_look_is_read(self):
        look = shares.parse(TEXT)
        self.assertEqual(look.at, 123.45)
        self.assertEqual(look.used[1], shares.Used(2.5, 45, 3.0, 2.6))
        self.assertEqual(look.used[2], shares.Used(1.25, 23, 3.0, 1.3))
        self.assertEqual((look.used[3].gpu, look.used[3].kernels), (0.0, 0))

    def test_the_span_begins_when_all_have_begun_and_have_paid(self):
        idle = [shares.Look(0, {g: shares.Used(0, g != "dave", 0) for g in WEIGHTS})]
        self.assertFalse(shares.may_begin(idle, WEIGHTS))
        looks = history(DUE, held_up=(20, 1.5))
        may = [shares.may_begin(looks[:n + 1], WEIGHTS) for n in range(1, len(looks))]
        self.assertTrue(all(may[:19]))
        self.assertFalse(any(may[21:25]))
        self.assertTrue(all(may[35:]))


if __name__ == "__main__":
    unittest.main()
