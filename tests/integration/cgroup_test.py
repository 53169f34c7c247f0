# SPDX-License-Identifier: MIT
"""Workers' cgroups on this machine's kernel: where they are, that they go, that pvgpud finds what should not be there, and
how it says what is absent. Limits need controllers, which hosts with cgroup v1 keep; tests/lab/scenarios/cgroup.py has them.
"""
import contextlib
import ctypes
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from pvgpu_env import PvgpuEnv, alive, build_dir, cgroups, program, wait_for
from sandbox_test import LACKS, finish, occupy, status, vecadd


def missing():
    if os.geteuid() != 0:
        return "not root"
    with PvgpuEnv() as env:
        said = env.read("/daemon/cgroups")
    return "" if said.startswith("on") else f"cgroups are {said}"


ABSENT = missing()


def cgroup_of(pid):
    with open(f"/proc/{pid}/cgroup") as f:
        return next(line[3:].strip() for line in f if line.startswith("0::"))


def pids_in(path):
    with open(f"{path}/cgroup.procs") as f:
        return [int(n) for n in f.read().split()]


def forgive(env):
    """pvgpud keeps nothing of its faults then."""
    env.write("/vgpu/bad/pardon", "1")
    wait_for("the pardon", lambda: env.read("/vgpu/bad/quarantined") == "0")


PTRACE_CONT, PTRACE_SEIZE, PTRACE_O_TRACEEXIT = 7, 0x4206, 1 << 6  # linux/ptrace.h


def ptrace(request, pid, data):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(0), ctypes.c_void_p(data)) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def hold_at_exit(pid):
    """Killed, it stops on its way out until let_go."""
    ptrace(PTRACE_SEIZE, pid, PTRACE_O_TRACEEXIT)


def let_go(pid):
    os.waitpid(pid, 0)  # its stop
    ptrace(PTRACE_CONT, pid, 0)


def stopped_by_tracer(pid):
    return status(pid)["State"].startswith("t")


def join_worker(env, worker):
    """A process in the worker's cgroup: where that is, and the process."""
    home, = [p for p in cgroups(env.mark) if "/worker-" in p and worker in pids_in(p)]
    child = subprocess.Popen(["sleep", "1000"])
    with open(f"{home}/cgroup.procs", "w") as f:
        f.write(str(child.pid))
    return home, child


def below(env):
    return sorted(os.path.basename(p.rstrip("/")) for p in cgroups(env.mark) if "/worker-" in p)


@unittest.skipIf(ABSENT, ABSENT)
class Cgroup(unittest.TestCase):
    def test_one_each(self):
        with PvgpuEnv(vgpus={"a": "64M", "b": "64M"}, settings={"spare_workers": 1}) as env:
            guests = [occupy(env, v) for v in ("a", "b", "b")]
            env.wait_sessions(1, "a")
            env.wait_sessions(2, "b")
            env.wait_spare()
            homes = {cgroup_of(pid) for pid in env.workers()}
            self.assertEqual(len(homes), 3, homes)
            self.assertNotIn(cgroup_of(env.pid), homes)
            self.assertEqual(len(below(env)), 4)
            finish(*guests)
            wait_for("their end", lambda: len(below(env)) == 1)

    def test_restarts(self):
        """Adopted workers keep theirs, and a spare's that nobody needs any more goes."""
        for sig in (signal.SIGKILL, signal.SIGUSR1):
            with PvgpuEnv(vgpus={"a": "64M"}) as env:
                guests = [occupy(env, "a") for _ in range(2)]
                env.wait_sessions(2, "a")
                env.wait_spare()
                env.wait_open("a")
                before = {pid: cgroup_of(pid) for pid in env.workers()}
                env.restart(sig)
                wait_for("their adoption", lambda: env.log().count("adopted worker") == 2)
                self.assertEqual({pid: cgroup_of(pid) for pid in env.workers()}, before)
                self.assertNotIn("no cgroup of its own", env.log())
                env.wait_spare()
                wait_for("those of spares", lambda: len(below(env)) == 3)
                self.assertEqual(vecadd(env, "a").returncode, 0)
                finish(*guests)

    def test_left_overs(self):
        """Of a pvgpud that died with all its workers, and of one whose worker has left a process behind."""
        with PvgpuEnv(vgpus={"a": "64M"}) as env:
            guest = occupy(env, "a")
            env.wait_sessions(1, "a")
            worker, = env.workers()
            home, child = join_worker(env, worker)
            env.kill_daemon()
            os.kill(worker, signal.SIGKILL)
            wait_for("its death", lambda: not alive(worker))
            finish(guest)
            env.start()
            self.assertEqual(child.wait(30), -signal.SIGKILL)
            wait_for("its end", lambda: not os.path.exists(home))

    def test_left_overs_that_die_slowly(self):
        """pvgpud stops while what it has killed is still there."""
        with PvgpuEnv(vgpus={"a": "64M"}) as env:
            guest = occupy(env, "a")
            env.wait_sessions(1, "a")
            worker, = env.workers()
            home, child = join_worker(env, worker)
            hold_at_exit(child.pid)
            env.kill_daemon()
            os.kill(worker, signal.SIGKILL)
            wait_for("its death", lambda: not alive(worker))
            finish(guest)
            env.start()
            wait_for("the child's last stop", lambda: stopped_by_tracer(child.pid))
            env.daemon.send_signal(signal.SIGTERM)
            wait_for("its stop", lambda: "pvgpud: stopping" in env.log())
            with contextlib.suppress(subprocess.TimeoutExpired):  # it must not end before the child
                env.daemon.wait(0.3)
            let_go(child.pid)
            self.assertEqual(child.wait(30), -signal.SIGKILL)
            self.assertEqual(env.daemon.wait(60), 0)
            self.assertFalse(os.path.exists(home))
            env.start()

    def test_a_child_is_found(self):
        """A second process in a worker's cgroup ends the session, and is a fault."""
        with PvgpuEnv(vgpus={"bad": "64M", "good": "64M"}, settings={"quarantine_faults": 1}) as env:
            bad, good = occupy(env, "bad"), occupy(env, "good")
            env.wait_sessions(1, "good")
            env.wait_sessions(1, "bad")
            worker = int(next(iter(env.sessions("bad").values()))["pid"])
            _, child = join_worker(env, worker)
            env.wait_sessions(0, "bad")
            self.assertEqual(child.wait(30), -signal.SIGKILL)
            self.assertIn(f"has 1 process beside its own, such as {child.pid}", env.log())
            self.assertIn("has 1 process beside its own", env.read("/vgpu/bad/last-reason"))
            self.assertGreater(int(env.read("/vgpu/bad/quarantined")), 0)
            self.assertIsNone(good.poll())
            self.assertEqual(vecadd(env, "good").returncode, 0)
            finish(bad, good)
            forgive(env)

    def test_two_pvgpuds(self):
        """Not in the same directory: neither takes the other's workers for left over."""
        where = cgroups_top()
        home = tempfile.mkdtemp(prefix="pvgpu-test-", dir=where)
        try:
            with PvgpuEnv(settings={"cgroup": home}) as env:
                guest = occupy(env)
                env.wait_sessions(1)
                env.wait_spare()
                self.assertEqual(len(glob.glob(f"{home}/worker-*")), 2)
                other = PvgpuEnv(settings={"cgroup": home})
                with self.assertRaisesRegex(RuntimeError, "another pvgpud is using it"):
                    other.start()
                other.remove()
                self.assertIsNone(guest.poll())
                finish(guest)
            self.assertEqual(glob.glob(f"{home}/worker-*"), [])
        finally:
            os.rmdir(home)


def cgroups_top():
    return "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"


class Absent(unittest.TestCase):
    def test_off(self):
        with PvgpuEnv(settings={"cgroup": "off"}) as env:
            self.assertEqual(env.read("/daemon/cgroups"), "absent: cgroup = off")
            self.assertIn("cgroups of workers: absent", env.log())
            self.assertEqual(vecadd(env, "vgpu0").returncode, 0)
            self.assertEqual(cgroups(env.mark), [])
            r = subprocess.run([program("pvgpuctl"), "--run-dir", env.run_dir, "tree", "/daemon"], capture_output=True,
                               text=True, check=True)
            self.assertIn("absent: cgroup = off", r.stdout)

    def test_a_directory_that_is_none(self):
        """What is asked for by name must be there."""
        folder = tempfile.mkdtemp()
        for path in ("/nowhere", folder):
            env = PvgpuEnv(settings={"cgroup": path})
            with self.assertRaisesRegex(RuntimeError, f"cgroup = {path}: "):
                env.start()
            env.remove()
        shutil.rmtree(folder)


@unittest.skipIf(LACKS, LACKS)
class Escapes(unittest.TestCase):
    """An attempt to leave the sandbox is a fault of the vGPU."""

    def test_quarantine(self):
        with PvgpuEnv(vgpus={"bad": "64M", "good": "64M"}, settings={"quarantine_faults": 2}, worker_env={"PVGPU_ESCAPE": "ptrace:bad"},
                      worker=os.path.join(build_dir(), "tests", "pvgpu-worker-escape")) as env:
            for faults in (1, 2):
                self.assertNotEqual(vecadd(env, "bad").returncode, 0)
                env.wait_sessions(0, "bad")
                wait_for("the fault", lambda: int(env.read("/vgpu/bad/faults")) == faults)
                self.assertIn("tried to leave its sandbox", env.read("/vgpu/bad/last-reason"))
            self.assertGreater(int(env.read("/vgpu/bad/quarantined")), 0)
            self.assertRegex(env.log(), "quarantined for .* faults?: .*; the last: the worker tried to leave its sandbox")
            self.assertEqual(int(env.read("/vgpu/good/quarantined")), 0)
            self.assertEqual(vecadd(env, "good").returncode, 0)
            forgive(env)


if __name__ == "__main__":
    unittest.main()
