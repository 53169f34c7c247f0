# SPDX-License-Identifier: MIT
"""A worker that a guest owns lies to pvgpud (tests/hostile/lies.def), with a neighbour beside it whose results are checked.

What decides is what pvgpud says and has, and what the neighbour computes: nothing that the worker can write to. Its other
attempts are in sandbox_test (Escape) and cheat_test.
"""
import concurrent.futures
import os
import re
import subprocess
import unittest

from pvgpu_env import ROOT, PvgpuEnv, alive, build_dir, state_of, wait_for

LIES = os.path.join(ROOT, "tests", "hostile", "lies.def")
CHECK = os.path.join(ROOT, "xen-pvgpu-back", "contract", "local_check.c")
LIE = re.compile(r'^LIE\("([^"]+)", (\w+), \d+, "((?:[^"\\]|\\.)*)",', re.M)


def lies():
    """name -> (kind, pattern of the reason; empty: the session goes on)"""
    with open(LIES) as f:
        return {name: (kind, reason.replace("\\\\", "\\")) for name, kind, reason in LIE.findall(f.read())}


def kinds():
    """The messages of a worker, from pvgpud's table of them."""
    with open(CHECK) as f:
        table = re.search(r"from_worker\[\] = \{(.*?)\n\};", f.read(), re.S)[1]
    return set(re.findall(r"\{(PVGPU_SUP_\w+),", table))


class Neighbour:
    """A guest that computes and checks its results until it is told to stop."""

    def __init__(self, env, vgpu):
        self.proc = subprocess.Popen([os.path.join(env.build, "tests", "witness")], env=env.guest_env(vgpu), text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.proc.stdout.readline().strip()
        if line != "ready":
            raise AssertionError(f"the neighbour did not start: {line} {self.proc.stderr.read()}")

    def finish(self):
        out, err = self.proc.communicate(timeout=120)
        if self.proc.returncode:
            raise AssertionError(f"the neighbour ended with {self.proc.returncode}: {err}")
        return int(out.split()[0])


class Owned(unittest.TestCase):
    def env(self, vgpus, **settings):
        return PvgpuEnv(vgpus={"good": "64M", **{v: "32M" for v in vgpus}},
                        worker=os.path.join(build_dir(), "tests", "pvgpu-worker-escape"),
                        settings={"worker_grace_ms": 500, "spare_workers": 2, "quarantine_faults": 0, **settings})

    def test_every_message_has_a_lie(self):
        told = {kind for kind, _ in lies().values()}
        self.assertEqual(kinds() - told, set())
        self.assertGreater(len(kinds()), 8)

    def tell(self, env, name, reason):
        p = env.run([os.path.join(env.build, "programs", "vecadd")], name)
        env.wait_sessions(0, name)
        log = env.log()
        said = re.search(rf"session (\d+) {name}: .*\blie {name}\n", log)
        self.assertIsNotNone(said, f"{name}: not told")
        ended = re.search(rf"session {said[1]} {name}: ended: (.*)", log)[1]
        failed = int(env.read(f"/vgpu/{name}/sessions-failed"))
        if reason:
            self.assertRegex(ended, f"^(broke the protocol: )?{reason}$", name)
            self.assertRegex(env.read(f"/vgpu/{name}/last-reason"), reason)
            self.assertEqual(failed, 1, name)
        else:
            self.assertEqual((p.returncode, failed), (0, 0), f"{name}: {ended}: {p.stderr}")
        # What it held is free again, whatever it has said.
        env.wait_used(0, name)

    def test_lies(self):
        table = lies()
        with self.env(table) as env:
            neighbour = Neighbour(env, "good")
            before = int(env.read("/vgpu/good/memory-used"))
            files = len(os.listdir(f"/proc/{env.pid}/fd"))
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                done = [(name, pool.submit(self.tell, env, name, reason)) for name, (_, reason) in table.items()]
                for name, result in done:
                    with self.subTest(lie=name):
                        result.result()
            self.assertIsNone(env.daemon.poll())
            self.assertNotRegex(env.log(), r"(?m)^pvgpud: forged")
            self.assertEqual(int(env.read("/vgpu/good/memory-used")), before)
            self.assertEqual(int(env.read("/vgpu/good/sessions-failed")), 0)
            self.assertEqual(env.read("/pool/default/health"), "ok")
            # None of them is there any more, and what pvgpud had of them is closed.
            self.assertEqual(len(env.workers()), 1)
            wait_for("its files", lambda: len(os.listdir(f"/proc/{env.pid}/fd")) <= files + 4)
            vecadd = env.run([os.path.join(env.build, "programs", "vecadd")], "good")
            self.assertEqual(vecadd.returncode, 0, vecadd.stderr)
            self.assertGreater(neighbour.finish(), 1)

    def test_refuses_to_die(self):
        """Its guest has gone, and it does not look."""
        with self.env(["stays"]) as env:
            neighbour = Neighbour(env, "good")
            guest = env.popen([os.path.join(env.build, "programs", "vecadd")], "stays", stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
            env.wait_sessions(1, "stays")
            (worker,) = [int(s["pid"]) for s in env.sessions("stays").values()]
            guest.kill()
            guest.wait()
            env.wait_sessions(0, "stays")
            self.assertIn("did not end after its guest", env.read("/vgpu/stays/last-reason"))
            self.assertFalse(alive(worker))
            self.assertIsNone(state_of(worker))
            self.assertGreater(neighbour.finish(), 1)


if __name__ == "__main__":
    unittest.main()
