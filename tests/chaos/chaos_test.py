#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""chaos.py finds what is planted: wrong values of each kind of work, and a violation makes its exit status 1. Its options do what they say."""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
from pvgpu_env import PvgpuEnv, build_dir, state_of, wait_for  # noqa: E402
import guests  # noqa: E402

BUILD = None
# Work of chaos-client, and a fault of the simulated GPU that must make it fail.
PLANTED = {"copy": "mutate:copy-tail", "memset": "mutate:memset", "kernel": "mutate:store:0", "graph": "mutate:store:0", "host": "mutate:callback",
           "event": "mutate:event-negative", "between": "mutate:copy-tail", "memory": "mutate:store:0", "module": "mutate:store:0", "gate": "mutate:store:0"}


def client(kind, fault="", seed=1):
    """chaos-client directly on the simulated GPU."""
    with tempfile.TemporaryDirectory() as d:
        env = {**os.environ, "LD_LIBRARY_PATH": os.path.join(BUILD, "simcuda"), "SIMCUDA_GPU": os.path.join(d, "gpu"), "SIMCUDA_FAULT": fault}
        return subprocess.run([os.path.join(BUILD, "tests", "chaos-client"), str(seed), "40", "1", f"check,{kind}"], env=env, capture_output=True,
                              text=True, timeout=120, check=False)


def chaos(*words, **env):
    return subprocess.run([sys.executable, os.path.join(HERE, "chaos.py"), "--build", BUILD, *words], capture_output=True, text=True, timeout=600,
                          check=False, env={**os.environ, **env})


class Client(unittest.TestCase):
    def test_each_kind_notices(self):
        for kind, fault in PLANTED.items():
            with self.subTest(kind=kind):
                r = client(kind)
                self.assertEqual((r.returncode, r.stdout), (0, "ready\nright\n"), r.stderr)
                self.assertEqual(client(kind, fault).returncode, 1, fault)

    def test_an_error_is_named(self):
        r = client("copy", "fail:cuMemcpyHtoDAsync_v2:3:46")
        self.assertIn("error CUDA_ERROR_DEVICE_UNAVAILABLE", r.stdout)
        self.assertEqual(r.returncode, 1, "an error that did not last")

    def test_an_unknown_kind(self):
        self.assertIn("'nothing' is no kind of work", client("nothing").stderr)


class LastWords(unittest.TestCase):
    def test_the_error_is_found(self):
        for words, name in (("copies.c:31: cuMemAlloc(&p, n): CUDA_ERROR_OUT_OF_MEMORY (2), not CUDA_SUCCESS\n", "CUDA_ERROR_OUT_OF_MEMORY"),
                            ("pvgpu: session 19 lost\ncommon.c:77: function fill: CUDA_ERROR_DEVICE_UNAVAILABLE\n", "CUDA_ERROR_DEVICE_UNAVAILABLE")):
            self.assertEqual(guests.FAILED.search(words)[1], name)
        for words in ("hang.c:9: cuCtxSynchronize(): CUDA_ERROR_NOT_READY (600), not CUDA_ERROR_ILLEGAL_ADDRESS\n", "a.c:1: 3 words are wrong\n"):
            self.assertIsNone(guests.FAILED.search(words))


class Lost(unittest.TestCase):
    def test_each_call_says_so(self):
        """After its worker's end, each call of a program that makes something gives the same error: chaos-client tries them."""
        with PvgpuEnv(build=BUILD) as env:
            words = [os.path.join(BUILD, "tests", "chaos-client"), "1", "0"]
            with subprocess.Popen(words, env=env.guest_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
                self.assertEqual(p.stdout.readline(), "ready\n")
                os.kill(wait_for("its worker", env.workers)[0], signal.SIGKILL)
                p.wait(60)
                self.assertEqual((p.returncode, p.stderr.read()), (3, ""))
                self.assertRegex(p.stdout.read(), "^error CUDA_ERROR_DEVICE_UNAVAILABLE ")


    def test_the_first_call_says_so(self):
        source = pathlib.Path(HERE, "client.c").read_text(encoding="utf-8")
        # Others are posted, or made without the worker: the next call that waits says so.
        things = [t for t in re.findall(r"^\tX\((\w+),", source, re.M) if t in ("module", "little", "much", "ordered", "managed")]
        self.assertEqual(len(things), 5)
        with PvgpuEnv(build=BUILD) as env:
            for thing in things:
                with self.subTest(thing=thing), env.popen([os.path.join(BUILD, "tests", "chaos-client"), "first", thing], stdout=subprocess.PIPE,
                                                          text=True) as p:
                    wait_for("its stop", lambda p=p: state_of(p.pid) == "T")
                    worker, = env.workers()
                    os.kill(worker, signal.SIGKILL)
                    env.wait_sessions(0)
                    p.send_signal(signal.SIGCONT)
                    self.assertEqual(p.communicate(timeout=60)[0], "CUDA_ERROR_DEVICE_UNAVAILABLE\n")


class Driver(unittest.TestCase):
    def test_wrong_values_are_found(self):
        with tempfile.NamedTemporaryFile("r", suffix=".json") as f:
            r = chaos("--seed", "7", "--rounds", "2", "--only", "random", "--most-wrong", "1", "--json", f.name, CHAOS_SIM="SIMCUDA_FAULT=mutate:copy-tail")
            self.assertEqual(r.returncode, 1, r.stdout)
            self.assertIn("FAIL seed-7-round-0:", r.stdout)
            run, = json.loads(pathlib.Path(f.name).read_text(encoding="utf-8"))["runs"]
            self.assertEqual((run["seed"], len(run["wrong"])), (7, 1))

    def test_two_rounds_without_a_fault(self):
        r = chaos("--seed", "7", "--rounds", "2", "--only", "random")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertRegex(r.stdout, r"seed 7: 2 rounds in \d+ s, \d+ guests, 0 faults, 0 wrong")

    def test_options(self):
        r = chaos("--list")
        self.assertEqual(r.returncode, 0)
        for word in ("guests: random", "hand-over", "early signal", "rows:"):
            self.assertIn(word, r.stdout)
        r = chaos("--only", "nonsense")
        self.assertEqual(r.returncode, 2)
        self.assertIn("nonsense: no kind of guest or fault; --list shows them", r.stderr)


def main():
    global BUILD
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default=build_dir())
    args, rest = ap.parse_known_args()
    BUILD = os.path.abspath(args.build)
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
