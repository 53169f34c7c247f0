# SPDX-License-Identifier: MIT
"""A pvgpud whose settings a seed has chosen, with its run directory on a small file system where the driver may mount one. pvgpud comes
and goes without anybody waiting for it: see tick()."""
import contextlib
import glob
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
from pvgpu_env import LIMIT, MARK, PvgpuEnv, marked_processes, program  # noqa: E402

MIB = 1 << 20
RUN_DIR_SIZE = 2 * MIB
WHOLE_MEMORY = "2G"  # of a GPU where all programs have room
# Settings that a reload changes, and those values.
RELOADED = {"spare_workers": (0, 1, 2, 3), "health_period_ms": (50, 100, 300), "log_level": ("info", "debug"), "max_opening": (16, 64)}
POOL = {"policy": ("fair", "equal", "best-effort"), "slice_ms": (0, 1, 5), "starvation_ms": (0, 100)}
# Fields of policy that `pvgpuctl set` changes. None of them makes an honest program fail.
POLICY = {"weight": (1, 100, 1000), "priority": ("high", "medium", "low"), "max-share": ("40%", "100%"), "queue-depth": (0, 3, 200),
          "rate-commands": (0, 5000), "rate-bytes": (0, "1G")}
FULL = "make room in the file system of run_dir"
STARTED_BY = 120     # seconds in which pvgpud answers after its start


class Wrong(AssertionError):
    """An invariant does not hold."""


def own_file_systems():
    """Whether this process may mount a file system that only it and its children see; it is in a mount namespace then."""
    return bool(os.environ.get("CHAOS_MOUNTS"))


def enter_mounts():
    """Start this program again in a mount namespace of its own, if there can be one."""
    wrap = ["unshare", "--mount", "--propagation", "private"]
    if own_file_systems() or subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode:
        return
    os.environ["CHAOS_MOUNTS"] = "1"
    os.execvp(wrap[0], [*wrap, sys.executable, *sys.argv])


class World(PvgpuEnv):
    def __init__(self, rng, build, parks=True):
        """parks: memory may be parked, and promised more than once."""
        self.rng = rng
        names = [f"v{i}" for i in range(rng.randint(2, 5))]
        self.memory = {n: rng.choice((64, 96, 128)) for n in names}
        self.shown = {n: {} for n in names}      # keys that were set, as list shows them
        self.conf = {k: rng.choice(v) for k, v in RELOADED.items()}
        self.pool = {k: rng.choice(v) for k, v in POOL.items()}
        self.pool["mode"] = rng.choice(("shared", "shared", "exclusive"))
        sim = {"SIMCUDA_MEMORY": WHOLE_MEMORY, "SIMCUDA_THREADS": str(rng.choice((1, 2)))}
        # For chaos_test.py: NAME=VALUE, what the simulated GPU does wrong.
        sim.update([os.environ["CHAOS_SIM"].split("=", 1)] if "CHAOS_SIM" in os.environ else [])
        settings = {"adopt_timeout_ms": 120000, "health_timeout_ms": 60000, "open_timeout_ms": 60000,
                    "cgroup": rng.choice(("auto", "auto", "off"))}
        self.keeps = parks and (2, 4, 6)  # MiB that programs keep
        self.crowded = parks and self.pool["mode"] == "shared" and rng.random() < 0.7
        reserve = ""
        if parks:
            settings["park_idle_ms"] = rng.choice((0, 0, 20))
        if self.crowded:
            # The GPU has room for some of a round's programs.
            sim["SIMCUDA_MEMORY"] = f"{rng.choice((16, 24, 32))}M"
            self.pool.update(overcommit="64", park_memory="2G", park_share=rng.choice(("10%", "50%")))
            reserve = ",memory_reserve=1M"
        super().__init__({n: f"memory={m}M{reserve}" for n, m in self.memory.items()}, build=build, sim=sim, settings=settings)
        self.ready, self.spawned, self.gone_since, self.stopped = False, None, None, False
        self.starved = False   # it has no descriptor left for another connection
        self.expected_end = False
        self.lives = 0
        self.log_seen = 0
        self.full = False      # whether the run directory has no room
        self.began_full = False
        self.small = own_file_systems()

    # its life

    def describe(self):
        return (f"{len(self.vgpus)} vGPUs, {self.pool['mode']} pool, policy {self.pool['policy']}, {self.conf['spare_workers']} spare workers, "
                f"{self.sim['SIMCUDA_THREADS']} threads of the GPU"
                + (f", {self.sim['SIMCUDA_MEMORY']} of its memory for {sum(self.memory.values())}M" if self.crowded else ""))

    def text(self):
        section = "\n".join
        return section(["[daemon]", *(f"{k} = {v}" for k, v in self.conf.items()), "[pool default]", "device = 0",
                        *(f"{k} = {v}" for k, v in self.pool.items()), ""])

    def open(self):
        os.makedirs(self.run_dir)
        if self.small:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={RUN_DIR_SIZE},mode=755", "chaos", self.run_dir], check=True)
        self.spawn()
        self.until("pvgpud's first answer", lambda: self.ready, STARTED_BY)

    def spawn(self):
        """Start pvgpud; tick() notices when it answers."""
        self.config = self.text()
        with open(self.log_path, "ab") as log:
            self.daemon = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env={**os.environ, MARK: self.mark})
        self.ready, self.spawned, self.expected_end, self.began_full = False, time.monotonic(), False, self.full
        self.shown = {n: {} for n in self.vgpus}     # what was set lasts until pvgpud is started again: pvgpuctl(8)
        self.lives += 1

    def answers(self):
        return self.ready and not self.stopped and not self.starved

    def catches(self, sig):
        """Whether pvgpud has a handler of this signal, or has put it off."""
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
            return any(int(mask, 16) >> sig - 1 & 1 for mask in re.findall(r"^Sig(?:Blk|Cgt):\s*(\w+)", text, re.M))
        return False

    def end_by(self, sig):
        """It ends by this signal, at once or after it has drained; spawn() comes later."""
        self.gone_since = time.monotonic()
        self.expected_end, self.ready = True, False
        self.daemon.send_signal(sig)
        if sig == signal.SIGKILL:
            self.daemon.wait(LIMIT)

    def tick(self):
        """Look whether pvgpud has come, or has gone unasked."""
        status = self.daemon.poll()
        if status == 1 and self.began_full and not self.ready:
            # Not without room: systemd starts it again.
            if FULL not in self.log().splitlines()[-1]:
                raise Wrong(f"pvgpud did not start in a full run directory, and said: {self.log().splitlines()[-1]}")
            time.sleep(0.1)
            self.spawn()
            return
        if status is not None and not self.expected_end:
            raise Wrong(f"pvgpud ended by itself, with {status}")
        if status is None and not self.ready and not self.stopped and not self.expected_end:
            with contextlib.suppress(OSError, RuntimeError):
                self.ready = self.up()
            if time.monotonic() - self.spawned > STARTED_BY and not self.ready:
                raise Wrong(f"pvgpud does not answer {STARTED_BY} s after its start")
        time.sleep(0.01)

    def until(self, what, condition, limit):
        end = time.monotonic() + limit
        why = None
        while True:
            try:
                if condition():
                    return
                why = None
            except (OSError, ValueError, KeyError) as e:
                why = e
            if time.monotonic() > end:
                raise Wrong(f"not within {limit:.0f} s: {what() if callable(what) else what}" + (f" ({why!r})" if why else ""))
            self.tick()

    # settings

    def reload(self):
        self.write_config(self.text())
        self.daemon.send_signal(signal.SIGHUP)

    def spoil_config(self, text):
        """The file until the next reload or start."""
        pathlib.Path(self.config_path).write_text(text, encoding="utf-8")

    # the tools, which are programs of their own

    def ctl(self, *words, limit=120, timeout="30"):
        """pvgpuctl's status and output; whatever pvgpud does, it comes back and does not crash."""
        try:
            r = subprocess.run([program("pvgpuctl", self.build), *words, "--run-dir", self.run_dir, "--timeout", timeout], text=True,
                               capture_output=True, timeout=limit, check=False, env={**os.environ, MARK: self.mark})
        except subprocess.TimeoutExpired:
            raise Wrong(f"pvgpuctl {' '.join(words)} has not come back after {limit} s") from None
        if r.returncode < 0 or "Traceback" in r.stderr:
            raise Wrong(f"pvgpuctl {' '.join(words)} ended with {r.returncode}: {r.stderr}")
        return r.returncode, r.stdout, r.stderr

    def json(self, *words, timeout="30"):
        status, out, err = self.ctl(*words, "--json", timeout=timeout)
        try:
            return json.loads(out)
        except ValueError:
            raise ValueError(f"pvgpuctl {' '.join(words)}: status {status}, {out[-200:]!r} {err[-200:]!r}") from None

    # looks from outside

    def processes(self):
        """Name of the program -> process numbers of all that this world has started, but for the tools."""
        found = {}
        for pid, words in marked_processes(self.mark).items():
            if words.split():
                found.setdefault(os.path.basename(words.split()[0]), []).append(pid)
        found.pop("pvgpuctl", None)
        return found

    def new_log(self):
        with open(self.log_path, "rb") as f:
            f.seek(self.log_seen)
            text = f.read()
        self.log_seen += len(text)
        return text.decode(errors="replace")

    def moves(self):
        """Times that memory was parked, that it came back, and that some was refused because the GPU was full."""
        log = self.log()
        return [len(re.findall(p, log)) for p in (r" MiB are parked, ", r" MiB are back on the GPU", r" MiB are refused: ")]

    def refused_memory(self, vgpu, since):
        """Whether pvgpud's log says, from that byte on, that the GPU was full for it."""
        with open(self.log_path, "rb") as f:
            f.seek(since)
            return re.search(rf" {vgpu}: \d+ MiB are refused: ".encode(), f.read())

    def shared_memory(self):
        """But for the simulated GPU itself."""
        return sorted(f for f in glob.glob(f"/dev/shm/{self.mark}*") if f != self.gpu_file)

    # files of the run directory

    def fill(self):
        """Leave no room in the run directory; returns what makes room again."""
        path = pathlib.Path(self.run_dir, "filler")
        with open(path, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(b"\0" * 4096):
                pass
        return lambda: path.unlink(missing_ok=True)

    def close(self, clean):
        """With clean, it must end as told to and leave nothing behind."""
        try:
            if clean:
                self.stop()
                self.check_clean()
        finally:
            if self.daemon and self.daemon.poll() is None:
                self.daemon.kill()
                self.daemon.wait()
            for pid in marked_processes(self.mark):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if self.small:
                subprocess.run(["umount", "--lazy", self.run_dir], capture_output=True, check=False)
            self.remove()
