# SPDX-License-Identifier: MIT
"""pvgpuctl gpu reset: the GPU is drained, reset while no process of pvgpud has it open, tested, and in use again; at each fault it stays drained and says
why. The simulated GPU is reset by simcuda-reset, commands that fail or hang are scripts."""
import errno
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import rawclient as raw
from pools_test import POOLS, Pools, Tenant
from pvgpu_env import LIMIT, ROOT, PvgpuEnv, marked_processes, program, wait_for
from watchdog_test import hang, set_lost

BROKEN = 2  # SIMGPU_BROKEN of simgpu.h


def script(env, text):
    """A command for gpu_reset, in the environment's folder. $D: that folder."""
    path = os.path.join(env.dir, "reset-command")
    with open(path, "w") as f:
        f.write(f'#!/bin/sh\nD={env.dir}\necho "$1" >>$D/asked\n{text}\n')
    os.chmod(path, 0o755)
    env.settings["gpu_reset"] = path


class Env(PvgpuEnv):
    """pvgpud with a command of the test's, or simcuda-reset."""

    def __init__(self, command=None, settings=None, **kw):
        super().__init__(settings={"canary_pause_ms": 10, "canary_tries": 2, **(settings or {})}, **kw)
        if command:
            script(self, command)

    def ctl(self, *words):
        return subprocess.run([program("pvgpuctl", self.build), *words, "--run-dir", self.run_dir], capture_output=True, text=True, timeout=2 * LIMIT,
                              check=False)

    def state(self):
        return json.loads(self.ctl("stats", "--json").stdout)["gpus"][0]["state"]

    def heard(self):
        """pvgpu-health has reported."""
        wait_for("the accounting", lambda: self.read("/daemon/accounting") == "on")
        return self

    def asked(self):
        try:
            with open(os.path.join(self.dir, "asked")) as f:
                return f.read().split()
        except FileNotFoundError:
            return []


class Reset(unittest.TestCase):
    def stays_drained(self, env, why):
        self.assertEqual(env.state(), 4)
        self.assertRegex(env.read("/pool/default/health"), "^unhealthy: drained by an operator; its reset failed: " + why)
        with self.assertRaises(raw.Refused) as e:
            raw.Session(env.socket())
        self.assertEqual(e.exception.error, errno.ENODEV)

    def admitted(self, env):
        done = env.ctl("gpu", "admit", "default", "--timeout", str(LIMIT))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(env.run([hang(env)]).returncode, 0)

    def test_a_lost_gpu_is_there_again(self):
        with Env() as env:
            self.assertEqual(env.run([hang(env)]).returncode, 0)
            env.heard().wait_spare()
            set_lost(env, BROKEN)
            env.run([hang(env)])
            wait_for("the GPU to be found unhealthy", lambda: env.read("/pool/default/health") != "ok")
            done = env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT))
            self.assertEqual((done.returncode, done.stderr), (0, ""), env.log_tail())
            self.assertIn("GPU default was reset and is in use again", done.stdout)
            log = env.log()
            steps = [log.index(s) for s in ("resets the GPU: ", "the GPU was reset: GPU ", "it was run after a reset of its GPU", "takes sessions")]
            self.assertEqual(steps, sorted(steps))
            # It is asked for by its UUID, which every tool knows.
            self.assertRegex(log, r"resets the GPU: \S+/simcuda-reset GPU-[0-9a-f-]{36}\n")
            self.assertEqual((env.read("/pool/default/health"), env.read("/pool/default/reset"), env.state()), ("ok", "done", 0))
            self.assertEqual(env.run([hang(env)]).returncode, 0)
            env.heard()
            self.assertNotRegex(log.rsplit("resets the GPU: ", 1)[1], "a worker that ignores its gate")
            self.assertRegex(log, r"audit: uid \d+ pid \d+: /pool/default/reset: '' -> '1'")
            # A GPU that works is reset, too: for a driver's update.
            done = env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT), "--json")
            self.assertEqual(json.loads(done.stdout), {"format": 1, "pool": "default", "action": "reset", "done": True, "health": "ok", "reset": "done", "sessions": 0})

    def test_doctor_finds_it(self):
        with Env(settings={"canary_every_s": 0}) as env:
            env.wait_spare()
            set_lost(env, BROKEN)
            done = env.ctl("doctor", "--test", "--json", "--timeout", str(LIMIT))
            self.assertEqual(done.returncode, 1)
            tested, = [f for f in json.loads(done.stdout)["findings"] if "test kernel" in f["finding"]]
            self.assertEqual((tested["verdict"], tested["finding"]), ("BAD", "the test kernel: wrong: cuCtxSynchronize gives CUresult 46"))
            self.assertEqual(env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT)).returncode, 0, env.log_tail())

    def test_sessions_are_waited_for(self):
        with Env(command="exit 0") as env:
            s = raw.Session(env.socket())
            s.start()
            done = env.ctl("gpu", "reset", "default", "--timeout", "0.1", "--json")
            self.assertEqual(done.returncode, 4)
            self.assertIn("vGPU vgpu0 has 1 session;", done.stderr)
            said = json.loads(done.stdout)
            self.assertEqual((said["done"], said["sessions"], said["reset"]), (False, 1, ""))
            answer = env.write("/pool/default/reset", "1")
            self.assertRegex(answer["reason"], "pool default: no reset: vGPU vgpu0 has a session there")
            self.assertEqual(env.asked(), [])
            s.close()
            env.wait_sessions(0)
            self.assertEqual(env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT)).returncode, 0, env.log_tail())
            self.assertEqual(len(env.asked()), 1)

    def test_refusals(self):
        with Env(command="exit 0") as env:
            self.assertRegex(env.write("/pool/default/reset", "1")["reason"], "it is not drained: pvgpuctl gpu drain default")
            self.assertEqual(env.write("/pool/default/reset", "now")["error"], "EINVAL")
            self.assertEqual(env.ctl("gpu", "reset", "none").returncode, 3)
            self.assertEqual(env.ctl("gpu", "paint", "default").returncode, 2)
            self.assertEqual(env.asked(), [])

    def test_a_command_that_fails(self):
        with Env(command="echo one >&2; echo 'GPU 0: In use by another client'; exit 3") as env:
            done = env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT))
            why = r"\S+/reset-command ended with status 3: GPU 0: In use by another client"
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "GPU default stays drained: its reset failed: " + why)
            self.stays_drained(env, why)
            env.restart(signal.SIGTERM)
            wait_for("the same after a restart", lambda: env.state() == 4)
            self.stays_drained(env, why)
            self.admitted(env)

    def test_no_such_command(self):
        with Env(settings={"gpu_reset": "/nonexistent/reset"}) as env:
            self.assertEqual(env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT)).returncode, 1)
            self.stays_drained(env, "gpu_reset = /nonexistent/reset: No such file")
            self.admitted(env)

    def test_a_command_that_hangs(self):
        """It is ended with its children."""
        with Env(command="sleep 100000 & sleep 100000", settings={"gpu_reset_timeout_s": 1}) as env:
            self.assertEqual(env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT)).returncode, 1)
            self.stays_drained(env, r"\S+/reset-command did not end within 1 s")
            wait_for("its end", lambda: "the reset's command has ended at last" in env.log())
            wait_for("its children's end", lambda: not any("sleep 100000" in c for c in marked_processes(env.mark).values()))
            self.admitted(env)

    def test_a_gpu_that_the_reset_does_not_mend(self):
        with Env(command="exit 0") as env:
            env.wait_spare()
            set_lost(env, BROKEN)
            self.assertEqual(env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT)).returncode, 1)
            self.stays_drained(env, "after the reset the test kernel fails: .*CUresult 46")
            self.assertEqual(env.log().count("canary kernel failed"), 2)
            set_lost(env, 0)
            self.admitted(env)

    def other(self, env):
        """A process on the simulated GPU that is no worker."""
        p = env.popen([os.path.join(env.build, "programs", "occupy"), "1000000", "1000"], direct=True, stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL)
        wait_for("it on the GPU", lambda: simulated_has(env, p.pid))
        return p

    def test_a_process_of_others(self):
        """With the accounting pvgpud knows of it; without it the command does."""
        for settings in ({}, {"libnvml": ""}):
            with self.subTest(settings=settings), Env(settings=settings) as env:
                other = self.other(env)
                if not settings:
                    wait_for("it", lambda: env.read("/pool/default/unknown-processes") == "1")
                done = env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT))
                self.assertEqual(done.returncode, 1)
                if settings:
                    self.assertRegex(done.stderr, f"ended with status 1: simcuda-reset: GPU 0: in use by process {other.pid}")
                else:
                    self.assertRegex(done.stderr, f"no reset: process {other.pid}, which is no worker, is on the GPU")
                other.kill()
                other.wait()
                self.assertEqual(env.state(), 4)
                self.admitted(env)

    def test_one_at_a_time(self):
        with Env(command="while [ ! -e $D/go ]; do sleep 0.1; done") as env:
            env.heard()
            first = subprocess.Popen([program("pvgpuctl", env.build), "gpu", "reset", "default", "--run-dir", env.run_dir], stdout=subprocess.DEVNULL)
            wait_for("the command", env.asked)
            self.assertEqual(env.read("/pool/default/reset"), "running: the command")
            # Nothing of pvgpud's has the GPU open.
            self.assertFalse(any("pvgpu-worker" in c or "pvgpu-health" in c for pid, c in marked_processes(env.mark).items() if pid != env.pid))
            self.assertEqual(env.read("/daemon/accounting"), "off: a GPU is being reset")
            for key, value in (("reset", "1"), ("health", "ok"), ("health", "drain")):
                self.assertRegex(env.write(f"/pool/default/{key}", value)["reason"], "being reset")
            with open(os.path.join(env.dir, "go"), "w"):
                pass
            self.assertEqual(first.wait(LIMIT), 0)
            self.assertEqual(len(env.asked()), 1)

    def goes_on_without(self, sig):
        """The command outlives its pvgpud: the next one does nothing with the GPU until it has ended, and then leaves it drained."""
        with Env(command="while [ ! -e $D/go ]; do sleep 0.1; done; touch $D/done") as env:
            self.assertEqual(env.ctl("gpu", "drain", "default").returncode, 0)
            self.assertTrue(env.write("/pool/default/reset", "1")["ok"])
            wait_for("the command", env.asked)
            for _ in range(2):
                env.restart(sig)
                self.assertEqual((env.state(), env.read("/pool/default/reset")), (4, "running: the command"))
                for key, value in (("health", "ok"), ("health", "drain"), ("reset", "1"), ("test", "1")):
                    self.assertRegex(env.write(f"/pool/default/{key}", value)["reason"], "being reset")
            self.assertEqual(env.read("/daemon/accounting"), "off: a GPU is being reset")
            self.assertFalse(any("pvgpu-worker" in c or "pvgpu-health" in c for pid, c in marked_processes(env.mark).items() if pid != env.pid))
            self.assertEqual((env.read("/daemon/workers-started"), env.log().count("resets the GPU")), ("0", 1))
            with open(os.path.join(env.dir, "go"), "w"):
                pass
            wait_for("its end to be seen", lambda: env.read("/pool/default/reset") == "failed: pvgpud was started again while it ran")
            self.assertTrue(os.path.exists(os.path.join(env.dir, "done")))
            self.stays_drained(env, "pvgpud was started again while it ran")
            self.admitted(env)

    def test_after_a_kill(self):
        self.goes_on_without(signal.SIGKILL)

    def test_after_a_hand_over(self):
        self.goes_on_without(signal.SIGUSR1)

    def test_after_a_stop(self):
        self.goes_on_without(signal.SIGTERM)

    def test_one_that_ends_meanwhile(self):
        with Env(command="while [ ! -e $D/go ]; do sleep 0.1; done; touch $D/done") as env:
            self.assertEqual(env.ctl("gpu", "drain", "default").returncode, 0)
            self.assertTrue(env.write("/pool/default/reset", "1")["ok"])
            wait_for("the command", env.asked)
            env.kill_daemon()
            with open(os.path.join(env.dir, "go"), "w"):
                pass
            wait_for("its end", lambda: not any("reset-command" in c for c in marked_processes(env.mark).values()))
            env.start()
            self.assertEqual((env.state(), env.read("/pool/default/reset")), (4, ""))
            self.admitted(env)

    def test_one_that_hangs_without_its_pvgpud(self):
        """The next one ends it, with its children."""
        with Env(command="sleep 100000 & sleep 100000", settings={"gpu_reset_timeout_s": 3600}) as env:
            self.assertEqual(env.ctl("gpu", "drain", "default").returncode, 0)
            self.assertTrue(env.write("/pool/default/reset", "1")["ok"])
            wait_for("the command", env.asked)
            env.settings["gpu_reset_timeout_s"] = 1
            env.restart()
            wait_for("its end", lambda: "the reset's command has ended at last" in env.log())
            wait_for("its children's end", lambda: not any("sleep 100000" in c for c in marked_processes(env.mark).values()))
            self.stays_drained(env, r"\S+/reset-command did not end within 1 s")
            self.admitted(env)

    def test_one_that_cannot_be_recorded(self):
        with Env(command="exit 0") as env:
            self.assertEqual(env.ctl("gpu", "drain", "default").returncode, 0)
            os.symlink("/dev/full", os.path.join(env.run_dir, "faults.new"))
            self.assertRegex(env.write("/pool/default/reset", "1")["reason"], "no reset: it could not be put on record.*No space left on device")
            self.assertEqual(env.asked(), [])
            self.assertEqual(env.ctl("gpu", "reset", "default", "--timeout", str(LIMIT)).returncode, 0, env.log_tail())

    def test_other_gpus_go_on(self):
        with Pools({"a": "memory=16M,pool=fast", "b": "memory=16M,pool=slow"}) as env:
            env.known()
            with Tenant(env, "a") as a:
                a.do("alloc", 1 << 20)
                done = subprocess.run([program("pvgpuctl", env.build), "gpu", "reset", "slow", "--run-dir", env.run_dir, "--timeout", str(LIMIT)],
                                      capture_output=True, text=True, timeout=2 * LIMIT, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), env.log_tail())
                a.do("alloc", 1 << 20)
            with Tenant(env, "b") as b:
                b.do("alloc", 1 << 20)

    def test_a_part_of_a_gpu(self):
        config = POOLS.replace("device = 1", "device = MIG-4d6f2a3b").format(placement="breadth-first", overcommit="1.0", mode="shared")
        with Pools({"a": "memory=16M,pool=fast"}, config=config) as env:
            for pool, why in (("slow", "is a part of a GPU"), ("fast", "device = MIG-4d6f2a3b of pool slow may be on the same GPU")):
                self.assertTrue(env.write(f"/pool/{pool}/health", "drain")["ok"])
                self.assertRegex(env.write(f"/pool/{pool}/reset", "1")["reason"], why)
            for pool in ("slow", "fast"):
                self.assertTrue(env.write(f"/pool/{pool}/health", "ok")["ok"])


class Command(unittest.TestCase):
    """pvgpu-gpu-reset, with an nvidia-smi and a systemd-run of the test's, and where there is systemd or none."""

    def run_it(self, *args, tools=(), systemd=False):
        """What it ends with; its output names its folder as DIR."""
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
            bin_dir, run_dir = os.path.join(folder, "bin"), os.path.join(folder, "run")
            os.mkdir(bin_dir)
            os.mkdir(run_dir)
            script = os.path.join(folder, "pvgpu-gpu-reset")
            with open(os.path.join(ROOT, "xen-pvgpu-back", "health", "pvgpu-gpu-reset")) as f, open(script, "w") as copy:
                copy.write(f.read().replace("/run/systemd/system", run_dir if systemd else "/nonexistent"))
            os.chmod(script, 0o755)
            for tool in ("cat", "rm"):
                os.symlink(shutil.which(tool), os.path.join(bin_dir, tool))
            for name, text in tools:
                path = os.path.join(bin_dir, name)
                with open(path, "w") as f:
                    f.write("#!/bin/sh\n" + text)
                os.chmod(path, 0o755)
            done = subprocess.run([script, *args], capture_output=True, text=True, timeout=LIMIT,
                                  env={"PATH": bin_dir, "PVGPU_RESET_LIMIT_S": "77", "PVGPU_RUN_DIR": run_dir}, check=False)
            self.assertEqual(os.listdir(run_dir), [])
            done.stdout = done.stdout.replace(folder, "DIR")
            return done

    def test_it(self):
        smi = ("nvidia-smi", 'echo "nvidia-smi $*"; exit 5\n')
        done = self.run_it("GPU-1234", tools=[smi])
        self.assertEqual((done.returncode, done.stdout), (5, "nvidia-smi --gpu-reset -i GPU-1234\n"))
        self.assertEqual((self.run_it("0").returncode, self.run_it("0").stderr), (1, "pvgpu-gpu-reset: nvidia-smi is not installed\n"))
        for args in ([], [""], ["-x"], ["0", "1"], ["MIG-1"]):
            self.assertEqual(self.run_it(*args, tools=[smi]).returncode, 2, args)

    def test_under_systemd(self):
        """What the unit has written is what it writes."""
        run = 'echo "$*"\nfor i; do case $i in --property=StandardOutput=file:*) echo "In use" >"${i##*:}"; esac; done\nexit 3\n'
        done = self.run_it("0", tools=[("nvidia-smi", ""), ("systemd-run", run)], systemd=True)
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stdout, r"^--quiet --collect --property=Type=oneshot --property=TimeoutStartSec=77 --property=StandardOutput=file:(DIR/run/\S+) "
                                      r"--property=StandardError=file:\1 DIR/bin/nvidia-smi --gpu-reset -i 0\nIn use\n$")


def simulated_has(env, pid):
    """Is the process one of the simulated GPU's?"""
    done = subprocess.run([os.path.join(env.build, "tests", "simcuda-top"), env.gpu_file], capture_output=True, text=True, check=False)
    return any(line.split()[:1] == [str(pid)] for line in done.stdout.splitlines())


if __name__ == "__main__":
    unittest.main()
