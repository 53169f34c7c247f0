# SPDX-License-Identifier: MIT
"""What a worker can do once its session runs: seen from outside, tried from inside, and by workers that a guest has taken
over (tests/hostile/escape.c), with a neighbour beside them whose results are checked.

Of a kernel or a container that lacks a part, and of a pvgpud that is not root, nothing of this is true: it is skipped there.
"""
import contextlib
import errno
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from pvgpu_env import PvgpuEnv, build_dir, program, state_of, wait_for

LIMIT = 120
FIRST = 1900000000
# The parts that all of this rests on.
NEEDED = ("mounts", "network", "ipc", "host name", "root", "user and group", "capabilities", "system calls")


def check(*options):
    return subprocess.run([program("pvgpu-worker"), "--sandbox-check", *options], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=LIMIT, check=False)


def words(text):
    """door -> what is said of it."""
    return dict(re.findall(r"^([a-z-]+): (\w+)", text, re.M))


def missing():
    if os.environ.get("PVGPU_SANDBOX", "full") != "full":
        return "no full sandbox in this stage"
    if os.geteuid() != 0:
        return "not root"
    absent = re.findall(r"^part ([^:]*): absent", check("--uid", str(FIRST)).stdout, re.M)
    lacks = [part for part in NEEDED if part in absent]
    return f"absent here: {', '.join(lacks)}" if lacks else ""


LACKS = missing()


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def occupy(env, vgpu="vgpu0"):
    return env.popen([os.path.join(env.build, "programs", "occupy"), "1000000000", "200", "8", "1"], vgpu,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(*guests):
    for p in guests:
        p.kill()
        p.communicate()


def vecadd(env, vgpu):
    return env.run([os.path.join(env.build, "programs", "vecadd")], vgpu)


@unittest.skipIf(LACKS, LACKS)
class Seen(unittest.TestCase):
    """From outside."""

    # In a mount namespace: the folders and devices of /dev, and a link named as a device of NVIDIA's.
    WITH_DEVICE = """mount --make-rprivate / && d=$(mktemp -d) && mount -t tmpfs -o mode=755 none "$d" || exit 1
for e in /dev/*; do at=$d/${e##*/}
    if [ -L "$e" ]; then cp -a "$e" "$at"
    elif [ -d "$e" ]; then mkdir "$at" && mount --rbind "$e" "$at"
    elif [ -c "$e" ]; then : >"$at" && mount --bind "$e" "$at"
    fi
done
ln -sf null "$d/nvidiactl" && mount --move "$d" /dev && rmdir "$d" && exec "$@\""""

    def check_worker(self, pid):
        wait_for("the seal", lambda: status(pid)["Seccomp"] == "2")
        s = status(pid)
        uid = int(s["Uid"].split()[0])
        self.assertEqual(set(s["Uid"].split()), {str(uid)})
        self.assertEqual(set(s["Gid"].split()), {str(uid)})
        self.assertEqual(s["Groups"].strip(), "")
        self.assertTrue(FIRST <= uid < FIRST + 65536, uid)
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                t = status(f"{pid}/task/{task}")
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread that has ended
            for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(int(t[caps], 16), 0, f"{caps} of thread {task}")
            self.assertEqual(t["NoNewPrivs"], "1", task)
            self.assertEqual(t["Seccomp"], "2", task)
            self.assertEqual(t["Uid"].split(), [str(uid)] * 4)
        self.assertEqual(int(s["CapBnd"], 16), 0)
        self.assertEqual(os.listdir(f"/proc/{pid}/root"), [])
        self.assertEqual(os.listdir(f"/proc/{pid}/cwd"), [])
        for space in ("mnt", "net", "ipc", "uts"):
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{space}"), os.readlink(f"/proc/self/ns/{space}"), space)
        self.assertEqual(os.readlink(f"/proc/{pid}/ns/pid"), os.readlink("/proc/self/ns/pid"))
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                self.assertFalse(os.path.isdir(f"/proc/{pid}/fd/{fd}") and
                                 os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/"), fd)
        # Before any service of the machine, when its memory is short.
        self.assertEqual(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip(), "500")
        return uid

    def test_two_workers(self):
        with PvgpuEnv(vgpus={"a": "64M", "b": "64M"}) as env:
            guests = [occupy(env, v) for v in ("a", "b", "b")]
            env.wait_sessions(1, "a")
            env.wait_sessions(2, "b")
            uids = [self.check_worker(pid) for pid in env.workers()]
            self.assertEqual(len(set(uids)), 3, uids)
            finish(*guests)

    def test_simulated_beside_a_gpu(self):
        """A simulated GPU needs no device: its workers get none of those that the machine has."""
        with tempfile.TemporaryDirectory() as d:
            run, log_path, sock = f"{d}/run", f"{d}/log", f"{d}/run/try.sock"
            with open(log_path, "w") as log:
                daemon = subprocess.Popen(["unshare", "--mount", "sh", "-c", self.WITH_DEVICE, "sh", program("pvgpud"), "--simulated", "--run-dir", run,
                                           "--vgpu", "try:memory=64M", "--set", f"env=SIMCUDA_GPU={d}/gpu"],
                                          stdin=subprocess.DEVNULL, stderr=log)
            try:
                wait_for("its socket", lambda: os.path.exists(sock) or daemon.poll() is not None)
                self.assertTrue(os.path.islink(f"/proc/{daemon.pid}/root/dev/nvidiactl"), pathlib.Path(log_path).read_text())
                guest = subprocess.Popen([os.path.join(build_dir(), "programs", "occupy"), "1000000000", "200", "8", "1"], stdout=subprocess.DEVNULL,
                                         env={**os.environ, "PVGPU_SOCKET": sock, "LD_LIBRARY_PATH": os.path.join(build_dir(), "lib")})
                ask = [program("pvgpuctl"), "--run-dir", run, "sessions", "--json"]
                sessions = wait_for("its session", lambda: json.loads(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)["sessions"])
                self.check_worker(sessions[0]["pid"])
                finish(guest)
            finally:
                daemon.terminate()
                daemon.wait(LIMIT)

    def test_restarts(self):
        """Sandboxed workers are adopted, and their users are nobody else's."""
        for sig in (9, 10):
            with PvgpuEnv(vgpus={"a": "64M"}, settings={"worker_uids": f"{FIRST}-{FIRST + 299}"}) as env:
                guests = [occupy(env, "a") for _ in range(3)]
                env.wait_sessions(3, "a")
                env.wait_open("a")
                before = {pid: self.check_worker(pid) for pid in env.workers()}
                env.restart(sig)
                env.wait_sessions(3, "a")
                wait_for("their adoption", lambda: env.log().count("adopted worker") == 3)
                self.assertEqual(set(env.workers()), set(before))
                guests += [occupy(env, "a") for _ in range(3)]
                env.wait_sessions(6, "a")
                after = {pid: self.check_worker(pid) for pid in env.workers()}
                self.assertEqual(len(set(after.values())), 6, after)
                self.assertEqual({pid: after[pid] for pid in before}, before)
                for p in guests:
                    self.assertIsNone(p.poll())
                finish(*guests)

    def test_all_users_are_used(self):
        """One is not given twice: there is no worker then."""
        with PvgpuEnv(vgpus={"a": "64M"}, settings={"worker_uids": f"{FIRST}-{FIRST + 1}", "spare_workers": 0}) as env:
            first = occupy(env, "a")
            env.wait_sessions(1, "a")
            second = vecadd(env, "a")
            self.assertNotEqual(second.returncode, 0)
            self.assertIn("worker_uids", env.log())
            finish(first)
            env.wait_sessions(0, "a")
            wait_for("a worker again", lambda: vecadd(env, "a").returncode == 0)


@unittest.skipIf(LACKS, LACKS)
class Tried(unittest.TestCase):
    """From inside."""

    def test_all_shut(self):
        r = check("--uid", str(FIRST))
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertEqual(set(words(r.stdout).values()), {"shut"}, r.stdout)
        self.assertGreater(len(words(r.stdout)), 30)

    def test_the_tries_are_real(self):
        """Without a sandbox nearly all of these doors open."""
        r = check("--sandbox", "off")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        doors = words(r.stdout)
        # What a container may forbid, or a kernel lack.
        unsure = {"open-memory-of-init", "bpf", "perf-event", "keyctl", "userfaultfd", "io-uring", "unshare-user",
                  "open-by-handle", "raise-limit", "open-shared-memory"}
        shut = {door for door, how in doors.items() if how != "absent"} - unsure
        self.assertEqual(shut, set(), r.stdout)

    def test_without_seccomp(self):
        r = check("--sandbox", "no-seccomp", "--uid", str(FIRST))
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        doors = words(r.stdout)
        for door in ("open-file", "open-memory-of-init", "kill-init", "setuid", "mount", "chroot", "execve", "raise-limit"):
            self.assertEqual(doors[door], "shut", door)

    def test_files_are_as_configured(self):
        """What libcuda may do depends on sandbox_files, and not on whether such a file exists now."""
        for files in ("/dev/null", "/dev/no-such-device"):
            r = check("--uid", str(FIRST), "--sandbox-files", files)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.assertNotIn("executable-memory", words(r.stdout), files)
        self.assertEqual(words(check("--uid", str(FIRST), "--sandbox-files", "").stdout)["executable-memory"], "shut")

    def refuses(self, door, **settings):
        """A worker whose check finds that door open; pvgpud's last words, None when it serves."""
        env = PvgpuEnv(settings=settings)
        script = pathlib.Path(env.dir) / "worker"
        script.write_text(f'#!/bin/sh\ncase " $* " in *--sandbox-check*) echo "{door}: OPEN"; exit 1;; esac\n'
                          f'exec {program("pvgpu-worker")} "$@"\n')
        script.chmod(0o755)
        env.settings["worker"] = str(script)
        try:
            env.start()
        except RuntimeError as e:
            env.remove()
            return str(e)
        env.stop()
        env.remove()
        return None

    def test_an_open_door(self):
        self.assertRegex(self.refuses("fork"), "door fork is open\n(.*\n)*.*not serving")

    def test_an_allowed_door(self):
        self.assertIsNone(self.refuses("fork", sandbox_allow_open="bpf,fork"))
        self.assertIn("not serving", self.refuses("fork", sandbox_allow_open="bpf,forks"))

    def test_no_check(self):
        self.assertIn("not serving", self.refuses("", sandbox_preload="nowhere.so"))


@unittest.skipIf(LACKS, LACKS)
class Escape(unittest.TestCase):
    """A worker that wants out harms nobody. The name of a vGPU is what its worker tries."""

    WAYS = ("open", "open-in-thread", "connect", "exec", "fork", "ptrace", "signal", "signal-all", "nonblock", "listen", "root",
            "limit", "code", "evtchn")

    @classmethod
    def setUpClass(cls):
        cls.env = PvgpuEnv(vgpus={"good": "64M", **{f"try-{how}": "16M" for how in cls.WAYS}},
                           worker=os.path.join(build_dir(), "tests", "pvgpu-worker-escape"))
        cls.env.__enter__()
        cls.beside = occupy(cls.env, "good")
        cls.env.wait_sessions(1, "good")
        cls.neighbour = cls.env.workers()[0]
        cls.files = len(os.listdir(f"/proc/{cls.env.pid}/fd"))

    @classmethod
    def tearDownClass(cls):
        finish(cls.beside)
        cls.env.__exit__(None, None, None)

    def attempt(self, how, expected):
        """expected: an errno; None: it is ended for it."""
        env = self.env
        bad = vecadd(env, f"try-{how}")
        env.wait_sessions(0, f"try-{how}")
        wait_for("its words", lambda: f"escape {how}: begins" in env.log())
        if expected is None:
            self.assertNotEqual(bad.returncode, 0)
            self.assertIn("tried to leave its sandbox", env.read(f"/vgpu/try-{how}/last-reason"))
            self.assertNotRegex(env.log(), f"escape {how}: \\d")
        else:
            self.assertEqual(bad.returncode, 0, bad.stderr)
            said = int(re.search(f"escape {how}: (\\d+)", env.log())[1])
            self.assertEqual(said, expected, f"{how}: {os.strerror(said)}")
        # pvgpud is the same one, the neighbour goes on, and his next results are right.
        self.assertIsNone(env.daemon.poll())
        self.assertIsNone(self.beside.poll())
        self.assertEqual(env.workers(), [self.neighbour])
        self.assertNotIn(state_of(self.neighbour), (None, "Z", "T", "t"))
        good = vecadd(env, "good")
        self.assertEqual((good.returncode, int(env.read("/vgpu/good/sessions-failed"))), (0, 0), good.stderr)
        wait_for("its end", lambda: env.read("/vgpu/good/sessions") == "1")
        self.assertLessEqual(len(os.listdir(f"/proc/{env.pid}/fd")), self.files + 8)

    def test_opens_a_file(self):
        self.attempt("open", errno.EPERM)

    def test_opens_a_file_in_a_thread(self):
        self.attempt("open-in-thread", errno.EPERM)

    def test_connects_to_the_admin_socket(self):
        self.attempt("connect", errno.EPERM)

    def test_runs_a_program(self):
        self.attempt("exec", None)

    def test_makes_a_child(self):
        self.attempt("fork", None)

    def test_traces_pvgpud(self):
        self.attempt("ptrace", None)

    def test_signals_pvgpud(self):
        self.attempt("signal", errno.EPERM)

    def test_signals_everybody(self):
        self.attempt("signal-all", errno.EPERM)

    def test_makes_a_file_block(self):
        self.attempt("nonblock", errno.EPERM)

    def test_listens_as_itself(self):
        self.attempt("listen", errno.EPERM)

    def test_becomes_root(self):
        self.attempt("root", None)

    def test_raises_a_limit(self):
        self.attempt("limit", errno.EPERM)

    def test_makes_code(self):
        self.attempt("code", errno.EPERM)

    def test_binds_an_event_channel(self):
        self.attempt("evtchn", errno.EPERM)


if __name__ == "__main__":
    unittest.main()
