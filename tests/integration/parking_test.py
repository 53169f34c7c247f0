#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Device memory is parked and brought back while programs work: they see the same values, and nothing is left. Beside that workers are
killed, and pvgpud is restarted."""
import json
import os
import random
import re
import signal
import subprocess
import threading
import unittest

from pvgpu_env import LIMIT, PvgpuEnv, program, wait_for

SEED = 45
CYCLES = 300
PROGRAMS = ("vecadd", "churn", "graphs", "streams", "pools", "textures", "vmm", "managed", "copies", "histogram")


def cycles(env):
    return env.log().count("MiB are back on the GPU")


class Parking(unittest.TestCase):
    def env(self, vgpus, **settings):
        """Memory is parked at each moment in which a session is found idle."""
        return PvgpuEnv(vgpus, settings={"park_idle_ms": 0, **settings})

    def run_some(self, env, vgpu, rng, failed, enough):
        while not enough() and not failed:
            name = rng.choice(PROGRAMS)
            path = os.path.join(env.build, "programs", name)
            r = env.run([path], vgpu)
            if r.returncode:
                failed.append((name, r))

    def test_programs_see_nothing_of_it(self):
        rng, failed = random.Random(SEED), []
        with self.env({"vgpu0": "1G", "vgpu1": "1G"}) as env:
            for v in ("vgpu0", "vgpu1"):
                env.write(f"/vgpu/{v}/park", "1")
            threads = [threading.Thread(target=self.run_some, args=(env, v, random.Random(rng.random()), failed,
                                                                    lambda: cycles(env) >= CYCLES))
                       for v in ("vgpu0", "vgpu1")]
            for t in threads:
                t.start()
            while any(t.is_alive() for t in threads):
                # At times an operator has all of it brought back.
                v = rng.choice(("vgpu0", "vgpu1"))
                env.write(f"/vgpu/{v}/park", "0")
                env.write(f"/vgpu/{v}/park", "1")
                threads[0].join(rng.random() / 2)
            self.assertEqual(failed, [])
            self.assertGreaterEqual(cycles(env), CYCLES)
            for v in ("vgpu0", "vgpu1"):
                env.wait_used(0, v)
                self.assertEqual(env.read(f"/vgpu/{v}/memory-parked"), "0")
                self.assertEqual(env.read(f"/vgpu/{v}/sessions-failed"), "0")

    def parked(self, env):
        """A program that holds memory and sleeps; its memory is parked."""
        p = subprocess.Popen([os.path.join(env.build, "tests", "parked")], env=env.guest_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
            leased = sum(int(s["leased"]) for s in env.tree()["vgpu"]["vgpu0"]["session"].values())
            self.assertLessEqual(leased + parked, used)
            # The driver's count follows.
            wait_for("memory to leave the GPU", lambda: used_on(env) < parked)
            self.finish(p)

    def test_it_comes_back_when_an_operator_says_so(self):
        ctl = [program("pvgpuctl"), "--local", "--run-dir"]
        with self.env({"vgpu0": "1G"}) as env:
            subprocess.run([*ctl, env.run_dir, "park", "vgpu0"], check=True)
            p = self.parked(env)
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
