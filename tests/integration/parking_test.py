#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Device memory is parked and brought back while programs work: they see the same values, and nothing is left. Beside that workers are
killed, and pvgpud is restarted. PVGPU_PARK_CYCLES is how often memory is parked and comes back under the programs (10,000 in make
check-full)."""
import json
import os
import random
import re
import signal
import subprocess
import tempfile
import threading
import unittest

import programs
from pvgpu_env import LIMIT, PvgpuEnv, program, wait_for

SEED = 45
MEMORY = "192M"
CYCLES = int(os.environ.get("PVGPU_PARK_CYCLES", "300"))
PROGRAMS = {"vecadd": [], "churn": ["60"], "graphs": [], "streams": [], "pools": [], "textures": [], "vmm": [], "managed": [], "copies": [],
            "histogram": [], "trainstep": [], "cublas": []}


def cycles(env, vgpu=""):
    return len(re.findall(rf" {vgpu}\S*: \d+ MiB are back on the GPU", env.log()))


class Deck:
    """Programs in a random order, each as often as the others. Some threads take from it."""

    def __init__(self, rng):
        self.rng, self.cards, self.dealt, self.lock = rng, [], 0, threading.Lock()

    def next(self):
        with self.lock:
            if not self.cards:
                self.cards = self.rng.sample(list(PROGRAMS), len(PROGRAMS))
            self.dealt += 1
            return self.cards.pop()


class Parking(unittest.TestCase):
    def env(self, vgpus, **settings):
        """Memory is parked at each moment in which a session is found idle."""
        return PvgpuEnv(vgpus, settings={"park_idle_ms": 0, **settings})

    def run_some(self, env, vgpu, deck, done, wrong):
        """Runs programs until each has run and there were enough cycles; each must do as it does directly on the simulated GPU."""
        while not wrong and (deck.dealt < len(PROGRAMS) or cycles(env) < CYCLES):
            name = deck.next()
            before, through = cycles(env, vgpu), programs.run(self.command(env, name), env.guest_env(vgpu), 4 * LIMIT)
            if self.direct[name].status or self.direct[name].differs(through):
                wrong.append((vgpu, name, through))
            done[vgpu].append((name, cycles(env, vgpu) - before))

    def command(self, env, name):
        return [os.path.join(env.build, "programs", name), *PROGRAMS[name]]

    def run_directly(self, env):
        """On a simulated GPU of their own."""
        with tempfile.TemporaryDirectory(prefix="pvgpu-direct-") as folder:
            sim = programs.direct_env(os.path.dirname(env.libcuda), {"SIMCUDA_GPU": f"{folder}/gpu", "SIMCUDA_MEMORY": MEMORY})
            self.direct = {name: programs.run(self.command(env, name), sim, 4 * LIMIT) for name in PROGRAMS}

    def test_programs_see_nothing_of_it(self):
        rng, wrong, done = random.Random(SEED), [], {"vgpu0": [], "vgpu1": []}
        deck = Deck(random.Random(SEED))
        with self.env(dict.fromkeys(done, MEMORY)) as env:
            self.run_directly(env)
            for v in done:
                env.write(f"/vgpu/{v}/park", "1")
            threads = [threading.Thread(target=self.run_some, args=(env, v, deck, done, wrong)) for v in done]
            for t in threads:
                t.start()
            while any(t.is_alive() for t in threads):
                # At times an operator has all of it brought back.
                v = rng.choice(list(done))
                env.write(f"/vgpu/{v}/park", "0")
                env.write(f"/vgpu/{v}/park", "1")
                threads[0].join(rng.random() / 2)
            self.assertEqual(wrong, [])
            self.assertGreaterEqual(cycles(env), CYCLES)
            for v in done:
                env.wait_used(0, v)
                self.assertEqual(env.read(f"/vgpu/{v}/memory-parked"), "0")
                self.assertEqual(env.read(f"/vgpu/{v}/sessions-failed"), "0")
            runs = [run for v in done for run in done[v]]
            under = {name: sum(n for ran, n in runs if ran == name) for name in PROGRAMS}
            self.assertGreaterEqual(sum(n > 0 for n in under.values()), 8, under)
            print(json.dumps({"cycles": cycles(env), "under": under, "runs": len(runs), "wrong": len(wrong)}))

    def slow(self):
        """On this GPU a gigabyte takes a second."""
        return PvgpuEnv({"vgpu0": "2G"}, settings={"park_idle_ms": 0}, sim={"SIMCUDA_LINK_GBPS": "1"})

    def parked(self, env, mib=64):
        """A program that holds memory and sleeps; its memory is parked."""
        p = subprocess.Popen([os.path.join(env.build, "tests", "parked"), str(mib)], env=env.guest_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(p.stdout.readline(), b"ready\n")
        wait_for("parked memory", lambda: int(env.read("/vgpu/vgpu0/memory-parked")) > 0)
        return p

    def finish(self, p):
        out = p.communicate(b"\n", timeout=LIMIT)[0]
        self.assertEqual((p.returncode, out), (0, b"the same\n"))

    def test_an_idle_program_holds_nothing(self):
        with self.env({"vgpu0": "1G"}) as env:
            env.write("/vgpu/vgpu0/park", "1")
            p = self.parked(env)
            used, parked = (int(env.read(f"/vgpu/vgpu0/memory-{k}")) for k in ("used", "parked"))
            self.assertEqual(parked, 64 << 20)
            self.assertGreaterEqual(used, parked)
            ctl = [program("pvgpuctl"), "--run-dir", env.run_dir]
            for words, column in ((["list"], "parked MiB"), (["top", "--count", "1"], "PARKED")):
                head, row = subprocess.run([*ctl, *words], check=True, text=True, stdout=subprocess.PIPE, timeout=LIMIT).stdout.splitlines()[-2:]
                end = head.index(column) + len(column)
                self.assertEqual(row[:end].split()[-1], "64")
            leased = sum(int(s["leased"]) for s in env.tree()["vgpu"]["vgpu0"]["session"].values())
            self.assertLessEqual(leased + parked, used)
            # The driver's count follows.
            wait_for("memory to leave the GPU", lambda: used_on(env) < parked)
            self.finish(p)

    def test_it_comes_back_when_an_operator_says_so(self):
        """Its copies are no use of the GPU outside its turns."""
        ctl = [program("pvgpuctl"), "--local", "--run-dir"]
        with self.slow() as env:
            subprocess.run([*ctl, env.run_dir, "park", "vgpu0"], check=True)
            p = self.parked(env, 256)
            subprocess.run([*ctl, env.run_dir, "resume", "vgpu0"], check=True)
            wait_for("memory to come back", lambda: env.read("/vgpu/vgpu0/memory-parked") == "0")

            def times():
                said = json.loads(subprocess.run([*ctl, env.run_dir, "stats", "--json"], stdout=subprocess.PIPE, check=True).stdout)
                v, = said["vgpus"]
                return v["park-time"] > 0 and v["resume-time"]["count"] >= 1
            wait_for("the times of both", times)
            self.finish(p)

    def test_pvgpud_is_restarted(self):
        """The next one hears what is parked, and gives it back."""
        with self.env({"vgpu0": "1G"}) as env:
            env.write("/vgpu/vgpu0/park", "1")
            for _ in range(3):
                p = self.parked(env)
                env.restart()
                wait_for("the worker's account", lambda: env.read("/vgpu/vgpu0/memory-parked") == str(64 << 20))
                self.finish(p)
                env.write("/vgpu/vgpu0/park", "1")

    def test_it_is_wanted_while_there_is_no_pvgpud(self):
        with self.env({"vgpu0": "1G"}) as env:
            env.write("/vgpu/vgpu0/park", "1")
            p = self.parked(env)
            env.kill_daemon()
            p.stdin.write(b"\n")
            p.stdin.flush()
            env.start()
            self.finish(p)

    def test_pvgpud_is_restarted_while_it_comes_back(self):
        """The next one does not take the copies that a former one has allowed for use of the GPU."""
        with self.slow() as env:
            env.write("/vgpu/vgpu0/park", "1")
            p = self.parked(env, 512)
            env.write("/vgpu/vgpu0/park", "0")
            wait_for("the lease", lambda: env.read("/vgpu/vgpu0/memory-parked") == "0")
            env.restart()
            self.finish(p)

    def test_a_worker_is_killed(self):
        with self.env({"vgpu0": "1G"}) as env:
            env.write("/vgpu/vgpu0/park", "1")
            p = self.parked(env)
            os.kill(env.workers()[0], signal.SIGKILL)
            env.wait_used(0)
            self.assertEqual(env.read("/vgpu/vgpu0/memory-parked"), "0")
            p.communicate(b"\n", timeout=LIMIT)
            self.assertNotEqual(p.returncode, 0)

    def test_not_in_an_exclusive_pool(self):
        with self.env({"vgpu0": "1G"}) as env:
            env.write("/daemon/pools", "default mode=exclusive")
            answer = env.write("/vgpu/vgpu0/park", "1")
            self.assertFalse(answer["ok"])
            self.assertIn("exclusive", str(answer))


def used_on(env):
    """Bytes on the simulated GPU, as its accounts say."""
    top = subprocess.run([os.path.join(env.build, "tests", "simcuda-top"), env.gpu_file], capture_output=True, text=True, check=True).stdout
    return sum(float(n) for n in re.findall(r"^ *\d+ \S+ +(\d+\.\d)", top, re.M)) * (1 << 20)


if __name__ == "__main__":
    unittest.main()
