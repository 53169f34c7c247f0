# SPDX-License-Identifier: MIT
"""vGPUs are promised more memory than the GPU has: sessions are parked for others, whose programs wait and see the same values; what is
reserved stays; and only a program that asks for more than can be had is refused."""
import contextlib
import json
import os
import re
import subprocess
import time
import unittest

from pvgpu_env import LIMIT, PvgpuEnv, program, wait_for

MIB = 1 << 20
POOL = """\
[pool default]
device = 0
overcommit = {overcommit}
park_memory = {park}
park_share = {share}
"""


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values))


class Full(PvgpuEnv):
    """A GPU of so many MiB."""

    def __init__(self, vgpus, memory=192, overcommit="8.0", park="4G", share="10%", sim=None, settings=None):
        super().__init__(vgpus, sim={"SIMCUDA_MEMORY": f"{memory}M", **(sim or {})}, settings={"park_idle_ms": 100, **(settings or {})})
        self.write_config(POOL.format(overcommit=overcommit, park=park, share=share))

    def number(self, vgpu, key):
        return int(self.read(f"/vgpu/{vgpu}/{key}"))

    def stats(self, of="vgpus"):
        said = subprocess.run([program("pvgpuctl"), "--local", "--run-dir", self.run_dir, "stats", "--json"], stdout=subprocess.PIPE, check=True)
        return {v["name"]: v for v in json.loads(said.stdout)[of]}

    def start_program(self, name, vgpu, *args):
        p = subprocess.Popen([os.path.join(self.build, "tests", name), *map(str, args)], env=self.guest_env(vgpu), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.ready = p.stdout.readline() == b"ready\n"
        return p

    def parks(self):
        return sum(v["parks"] for v in self.stats().values())


class Oversubscribe(unittest.TestCase):
    def finish(self, p, limit=LIMIT):
        out, err = p.communicate(b"\n", timeout=limit)
        self.assertEqual((p.returncode, err), (0, b""), out)
        return out

    def test_idle_sessions_leave(self):
        """Of six sessions with 64 MiB each two fit beside the reserves: those that have been idle for the longest time leave, and each
        finds its bytes again."""
        names = [f"v{i}" for i in range(6)]
        with Full({n: "memory=96M,memory_reserve=8M" for n in names}) as env, contextlib.ExitStack() as stack:
            programs = [stack.enter_context(env.start_program("parked", n)) for n in names]
            self.assertTrue(all(p.ready for p in programs))
            self.assertGreaterEqual(sum(env.number(n, "memory-parked") for n in names), 3 * 64 * MIB)
            # The last one has just filled its memory.
            self.assertEqual(env.number("v5", "memory-parked"), 0)
            for p in programs:
                self.assertEqual(self.finish(p), b"the same\n")
            for n, v in env.stats().items():
                self.assertEqual((n, v["memory-refused"]), (n, 0))
                env.wait_used(0, n)
            self.assertGreaterEqual(env.parks(), 4)

    def test_no_more_leaves_than_is_missing(self):
        """Allocations of 128 MiB: of the three that one has, as many leave as another needs. A third one's need takes more of what is left
        of both, and each comes back as a whole, also to the next pvgpud."""
        vgpus = {n: "memory=448M,memory_reserve=16M" for n in "abc"}
        with Full(vgpus, memory=640) as env, contextlib.ExitStack() as stack:
            a, b = (stack.enter_context(env.start_program("parked", n, 384, 3)) for n in "ab")
            self.assertTrue(a.ready and b.ready)
            self.assertEqual(env.number("a", "memory-parked"), 256 * MIB)
            self.assertEqual(env.number("b", "memory-parked"), 0)
            c = stack.enter_context(env.start_program("parked", "c", 384, 3))
            self.assertTrue(c.ready)
            self.assertGreaterEqual(sum(env.number(n, "memory-parked") for n in "ab"), (3 * 384 - 640) * MIB)
            env.restart()
            for p in (a, c, b):
                self.assertEqual(self.finish(p), b"the same\n")
            for n, v in env.stats().items():
                self.assertEqual((n, v["memory-refused"]), (n, 0))
                env.wait_used(0, n)

    def test_what_is_reserved_stays(self):
        """The default: nothing of it leaves, and a program that asks for more than is left is refused, with the reason in its
        statistics."""
        vgpus = {"a": "memory=80M", "b": "memory=80M", "c": "memory=96M,memory_reserve=16M"}
        with Full(vgpus) as env, contextlib.ExitStack() as stack:
            a, b = (stack.enter_context(env.start_program("parked", n)) for n in "ab")
            c = stack.enter_context(env.start_program("parked", "c"))
            self.assertFalse(c.ready)
            self.assertIn(b"cuMemAlloc(&d, bytes): 2", c.communicate(timeout=LIMIT)[1])
            refused = {n: v["memory-refused"] for n, v in env.stats().items()}
            self.assertEqual(refused, {"a": 0, "b": 0, "c": refused["c"]})
            self.assertGreaterEqual(refused["c"], 1)
            self.assertRegex(env.log(), r" c: 64 MiB are refused: with its 0 MiB they are more than the 32 MiB that the GPU has")
            for p in (a, b):
                self.assertEqual(self.finish(p), b"the same\n")
            self.assertEqual(env.parks(), 0)

    def test_two_that_need_most_of_it_alternate(self):
        """Both compute all the time, with 70 % of the memory each."""
        vgpus = {n: "memory=160M,memory_reserve=8M" for n in "ab"}
        with Full(vgpus, share="50%") as env, contextlib.ExitStack() as stack:
            programs = [stack.enter_context(env.start_program("turns", n, 132, 0)) for n in "ab"]
            self.assertTrue(all(p.ready for p in programs))
            for p in programs:
                p.stdin.write(b"\n")
                p.stdin.flush()
            # Each came back at least twice.
            wait_for("turns", lambda: all(v["resume-time"]["count"] >= 2 for v in env.stats().values()))
            rounds = [int(self.finish(p)) for p in programs]
            self.assertTrue(all(rounds), rounds)
            for n in "ab":
                env.wait_used(0, n)

    def test_what_is_refused(self):
        """A vGPU that would break a promise takes no session; a changed reserve is checked likewise."""
        vgpus = {"a": "memory=1G,memory_reserve=96M", "b": "memory=1G,memory_reserve=64M", "c": "memory=1G,memory_reserve=64M",
                 "d": "memory=256M,memory_reserve=8M"}
        with Full(vgpus, overcommit="32", park="4G") as env:
            env.wait_spare()
            wait_for("the GPU", lambda: int(env.read("/daemon/gpu-memory")))
            self.assertRegex(env.log(), r"vgpu c: pool default: 224 MiB would be reserved of 192: lower memory-reserve, or detach a vGPU")
            answer = env.write("/vgpu/d/memory-reserve", "33M")
            self.assertFalse(answer["ok"])
            self.assertIn("193 MiB would be reserved of 192", str(answer))
            self.assertTrue(env.write("/vgpu/d/memory-reserve", "32M")["ok"])
            gpu, = env.stats("gpus").values()
            self.assertEqual({k: gpu[k] // MIB for k in ("memory-reserved", "park-memory", "park-promised")},
                             {"memory-reserved": 192, "park-memory": 4096, "park-promised": 928 + 960 + 224})
            answer = env.write("/vgpu/d/memory", "4G")
            self.assertIn("might be parked, park_memory is 4096", str(answer))
            self.assertFalse(env.write("/daemon/pools", "default mode=exclusive")["ok"])

    def test_pvgpud_is_restarted_while_one_waits(self):
        """The next one hears of what is parked, and of who waits, and serves them."""
        names = [f"v{i}" for i in range(4)]
        with Full({n: "memory=96M,memory_reserve=8M" for n in names}) as env, contextlib.ExitStack() as stack:
            programs = [stack.enter_context(env.start_program("parked", n)) for n in names]
            env.restart()
            for p in programs:
                self.assertEqual(self.finish(p), b"the same\n")
            for n in names:
                env.wait_used(0, n)


@unittest.skipUnless(os.environ.get("PVGPU_OVERSUBSCRIBE"), "minutes: make check-oversubscribe")
class Many(unittest.TestCase):
    TURNS = 8

    def test_three_times_the_memory(self):
        """12 programs with 32 MiB of 128, and one with 12 that are reserved, all computing until each of the 12 was moved some times:
        values right, all have the same number of turns, and the one with its memory reserved is not moved. What they get of the GPU's time
        is judged in simulated time, by tests/unit/daemon/residency_turns_test.c; here the figures are printed: a busy machine changes them."""
        names = [f"v{i}" for i in range(12)]
        vgpus = {**{n: "memory=36M,memory_reserve=64K" for n in names}, "kept": "memory=16M"}
        sim = {"SIMCUDA_LINK_GBPS": "4", "SIMCUDA_INSTRUCTION_NS": "4000", "SIMCUDA_THREADS": "1"}
        with Full(vgpus, memory=144, share="30%", sim=sim, settings={"park_idle_ms": 10000}) as env, contextlib.ExitStack() as stack:
            programs = {n: stack.enter_context(env.start_program("turns", n, 12 if n == "kept" else 32, 0)) for n in (*names, "kept")}
            self.assertTrue(all(p.ready for p in programs.values()))
            before, begun = env.stats(), time.monotonic()

            def turns():
                return [v["parks"] - before[n]["parks"] for n, v in env.stats().items() if n != "kept"]

            for p in programs.values():
                p.stdin.write(b"\n")
                p.stdin.flush()
            wait_for("turns", lambda: min(turns()) >= self.TURNS, 10 * LIMIT)
            moved, took = turns(), time.monotonic() - begun
            for p in programs.values():
                p.stdin.write(b"\n")
                p.stdin.flush()
            done = {n: p.communicate(timeout=10 * LIMIT) for n, p in programs.items()}
            self.assertEqual({n: (p.returncode, done[n][1]) for n, p in programs.items()}, {n: (0, b"") for n in programs})
            rounds = [int(done[n][0]) for n in names]
            print(json.dumps({"turns": moved, "rounds": rounds, "jain_turns": jain(moved), "jain_rounds": jain(rounds), "kept": int(done["kept"][0]),
                              "copying": sum(moved) * 2 * 32 * MIB / 4e9 / took, "took": took}))
            self.assertLessEqual(max(moved) - min(moved), 2)
            self.assertGreaterEqual(jain(moved), 0.98)
            self.assertTrue(all(rounds), rounds)
            stats = env.stats()
            self.assertEqual(stats["kept"]["parks"], 0)
            self.assertEqual({v["memory-refused"] for v in stats.values()}, {0})

    def test_a_hundred_idle_and_one_that_wants_most(self):
        """A thousandth of 80 GB: 100 with 16 each, and one that wants 70 gets them as soon as those that are there have left."""
        names = [f"v{i}" for i in range(100)]
        vgpus = {**{n: "memory=17M,memory_reserve=64K" for n in names}, "big": "memory=72M,memory_reserve=64K"}
        with Full(vgpus, memory=80, overcommit="32", sim={"SIMCUDA_LINK_GBPS": "4"}, settings={"max_sessions": 256}) as env, contextlib.ExitStack() as stack:
            idle = [stack.enter_context(env.start_program("parked", n, 16)) for n in names]
            self.assertTrue(all(p.ready for p in idle))
            before, begun = env.parks(), time.monotonic()
            big = stack.enter_context(env.start_program("parked", "big", 68))
            took = time.monotonic() - begun
            self.assertTrue(big.ready)
            print(json.dumps({"parks": env.parks() - before, "seconds_with_start_and_filling": took}))
            self.assertLessEqual(env.parks() - before, 5)
            for p in (big, *idle):
                out, err = p.communicate(b"\n", timeout=300)
                self.assertEqual((p.returncode, err), (0, b""), out)
            self.assertEqual({v["memory-refused"] for v in env.stats().values()}, {0})


if __name__ == "__main__":
    unittest.main()
