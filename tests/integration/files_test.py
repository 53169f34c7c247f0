# SPDX-License-Identifier: MIT
"""Files of the run directory that somebody deletes, and openings that are refused: doctor and list say so, and SIGHUP makes the files again."""
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import unittest

from pvgpu_env import LIMIT, PvgpuEnv, alive, build_dir, program, wait_for

NAME = "vgpu0"


def ctl(env, *words):
    return subprocess.run([program("pvgpuctl", env.build), "--run-dir", env.run_dir, *words], capture_output=True, text=True, timeout=2 * LIMIT, check=False)


def state(env):
    """The last column of list."""
    return re.search(rf"^{NAME} .* \d+\.\d (.*)$", ctl(env, "list").stdout, re.M)[1]


def vecadd(env):
    return env.run([os.path.join(build_dir(), "programs", "vecadd")]).returncode


def hup(env):
    had = len(env.log())
    env.daemon.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: "reload: " in env.log()[had:])


class Files(unittest.TestCase):
    def doctor(self, env):
        """What it says of the vGPU: verdict, finding."""
        done = ctl(env, "doctor", "--json")
        found = [(f["verdict"], f["finding"]) for f in json.loads(done.stdout)["findings"] if f["what"] == f"vGPU {NAME}"]
        self.assertEqual(done.returncode, 1 if "BAD" in done.stdout else 0, done.stdout)
        return found

    def test_all_is_well(self):
        with PvgpuEnv() as env:
            env.wait_spare()
            self.assertEqual(self.doctor(env), [("ok", "a session opens")])
            self.assertEqual(state(env), "open")
            env.wait_sessions(0)
            self.assertEqual(env.read(f"/vgpu/{NAME}/sessions-failed"), "0")

    def test_no_socket(self):
        with PvgpuEnv() as env:
            env.wait_spare()
            os.unlink(env.socket())
            self.assertIn("refuses: its socket was deleted", state(env))
            (verdict, said), = self.doctor(env)
            self.assertEqual(verdict, "BAD")
            self.assertIn("No such file", said)
            hup(env)
            self.assertEqual(state(env), "open")
            self.assertEqual(vecadd(env), 0)

    def test_no_admin_socket(self):
        with PvgpuEnv() as env:
            for name in ("admin.sock", "statistics.sock"):
                if os.path.exists(os.path.join(env.run_dir, name)):
                    os.unlink(os.path.join(env.run_dir, name))
            self.assertNotEqual(ctl(env, "list").returncode, 0)
            hup(env)
            self.assertEqual(state(env), "open")

    def test_no_folder(self):
        """Workers cannot make their sockets."""
        with PvgpuEnv(settings={"spare_workers": 0}) as env:
            shutil.rmtree(os.path.join(env.run_dir, "workers"))
            self.assertNotEqual(vecadd(env), 0)
            wait_for("the reason", lambda: "was deleted: systemctl reload" in state(env))
            hup(env)
            wait_for("workers", lambda: vecadd(env) == 0)
            self.assertGreater(int(env.read(f"/vgpu/{NAME}/sessions-refused")), 0)
            wait_for("its state", lambda: state(env) == "open")

    def test_no_descriptors(self):
        with PvgpuEnv() as env:
            env.wait_spare()
            env.check_idle()
            limit = resource.prlimit(env.pid, resource.RLIMIT_NOFILE)
            # The test's own question and its connection need one each; the session's files find none.
            used = max(int(fd) for fd in os.listdir(f"/proc/{env.pid}/fd")) + 1
            holes = used - len(os.listdir(f"/proc/{env.pid}/fd"))
            resource.prlimit(env.pid, resource.RLIMIT_NOFILE, (used + 3 - min(holes, 2), limit[1]))
            (verdict, said), = self.doctor(env)
            self.assertEqual(verdict, "BAD", said)
            self.assertTrue(said.startswith("no session opens: ") and len(said) > 25, said)
            resource.prlimit(env.pid, resource.RLIMIT_NOFILE, limit)
            wait_for("a session", lambda: vecadd(env) == 0)
            wait_for("its state", lambda: state(env) == "open")

    def test_lost_sessions(self):
        """A worker that no pvgpud can reach is ended: nothing would account for its use of the GPU."""
        with PvgpuEnv(settings={"cgroup": "off"}) as env:
            guest = env.popen([os.path.join(build_dir(), "programs", "occupy"), "1000000000", "200", "8", "1"], stdout=subprocess.DEVNULL)
            env.wait_sessions(1)
            env.wait_open()
            worker, = env.workers()
            env.kill_daemon()
            shutil.rmtree(os.path.join(env.run_dir, "workers"))
            env.start()
            wait_for("its end", lambda: not alive(worker))
            self.assertRegex(env.log(), rf"the socket of its worker, process {worker}, was deleted: the worker is ended")
            self.assertNotEqual(guest.wait(LIMIT), 0)
            self.assertEqual(vecadd(env), 0)

    def second(self, env):
        command = env.command()
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "PVGPU_TEST_MARK": env.mark})

    def test_one_pvgpud(self):
        """No file's deletion lets a second one run beside the first."""
        with PvgpuEnv() as env:
            env.wait_spare()
            for name in os.listdir(env.run_dir):
                if os.path.isfile(os.path.join(env.run_dir, name)):
                    os.unlink(os.path.join(env.run_dir, name))
            other = self.second(env)
            said = other.communicate(timeout=LIMIT)[1]
            self.assertEqual(other.returncode, 1, said)
            self.assertIn("another pvgpud runs in this run_dir", said)
            self.assertEqual(vecadd(env), 0)

    def test_two_pvgpuds(self):
        """Where its whole directory was deleted, the first one leaves alone what the second has made."""
        with PvgpuEnv() as env:
            env.wait_spare()
            first = env.daemon
            shutil.rmtree(env.run_dir)
            env.start()
            env.wait_spare()
            before = sorted(os.listdir(env.run_dir))
            first.send_signal(signal.SIGTERM)
            self.assertEqual(first.wait(LIMIT), 0)
            self.assertEqual(sorted(os.listdir(env.run_dir)), before)
            self.assertEqual(vecadd(env), 0)


if __name__ == "__main__":
    unittest.main()
