# SPDX-License-Identifier: MIT
"""A private pvgpud for a test, which is checked to leave nothing behind.

    with PvgpuEnv(vgpus={"vgpu0": "4G"}) as env:
        env.run([prog])               # a guest program, through pvgpu
        env.run([prog], direct=True)  # the same directly on the simulated GPU

On leaving, pvgpud must have no session and no leased memory, and after it has stopped there must be no
process, socket, or shared memory of it.
"""
import contextlib
import glob
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MARK = "PVGPU_TEST_MARK"
LIMIT = 120.0  # seconds for what should take moments


def build_dir():
    """PVGPU_BUILD, else build/ in the repository."""
    return os.environ.get("PVGPU_BUILD") or os.path.join(ROOT, "build")


def program(name, build=None):
    """One of pvgpu's own programs: from PVGPU_BIN, where its tests under valgrind find those to run, or the build."""
    return os.path.join(os.environ.get("PVGPU_BIN") or os.path.join(build or build_dir(), "bin"), name)


class Leftover(AssertionError):
    pass


def wait_for(what, condition, limit=LIMIT):
    """Wait until the condition is true; returns its value. The limit is for what never comes: a busy machine is slow."""
    end = time.monotonic() + limit
    while True:
        v = condition()
        if v:
            return v
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit} s for {what}")
        time.sleep(0.005)


def files_of(pid):
    """What the process's open files are; one that it closes meanwhile is not among them."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def state_of(pid):
    """The process's state letter, None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def alive(pid):
    """Zombies count as dead."""
    return state_of(pid) not in (None, "Z", "X")


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def marked_processes(mark):
    found = {}
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                env = f.read().split(b"\0")
            if f"{MARK}={mark}".encode() in env and alive(int(pid)):
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    found[int(pid)] = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def cgroups(mark):
    """Cgroups that a pvgpud with that run directory has made, those below others first."""
    top = [p for where in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") for p in glob.glob(f"{where}/pvgpu-*{mark}*")]
    return [p for t in top for p in (*glob.glob(f"{t}/*/"), t)]


def cached_library(name):
    """Where the dynamic linker's cache has a library, None where it does not."""
    try:
        said = subprocess.run(["/sbin/ldconfig", "-p"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    return next((line.split(" => ")[1] for line in said.splitlines() if line.split(" ")[0].strip() == name and "x86-64" in line), None)


class PvgpuEnv:
    def __init__(self, vgpus=None, sim=None, settings=None, build=None, libcuda=None, worker_env=None,
                 max_sessions=None, wrap=None, worker=None, bin_dir=None):
        """vgpus: name -> memory, or name -> "memory=..,key=value"; sim: SIMCUDA_* for the far end, in workers
        and in direct runs; worker_env: for workers only; settings: keys of [daemon]; wrap: command words
        before pvgpud; worker: another worker program; bin_dir: where pvgpud lies, if not in the build."""
        self.build = os.path.abspath(build or build_dir())
        self.dir = tempfile.mkdtemp(prefix="pvgpu-")
        self.mark = os.path.basename(self.dir)
        self.run_dir = os.path.join(self.dir, "run")
        self.gpu_file = os.path.join("/dev/shm", f"{self.mark}.gpu")
        self.vgpus = dict(vgpus or {"vgpu0": "0"})
        if max_sessions:
            for name, keys in self.vgpus.items():
                keys = keys if "=" in str(keys) else f"memory={keys}"
                self.vgpus[name] = f"{keys},max_sessions={max_sessions}"
        self.worker_env = worker_env or {}
        self.libcuda = libcuda or os.path.join(self.build, "simcuda", "libcuda.so.1")
        self.sim = {"SIMCUDA_GPU": self.gpu_file, **(sim or {})}
        # Tests break the protocol on purpose: no quarantine. A stage whose workers cannot close their sandbox (sanitizers,
        # valgrind) sets PVGPU_SANDBOX.
        # On a busy machine answers come late.
        self.settings = {"adopt_timeout_ms": 60000, "worker_grace_ms": 3000, "shutdown_grace_ms": 1000, "quarantine_faults": 0,
                         "sandbox": os.environ.get("PVGPU_SANDBOX", "full"),
                         **(settings or {})}
        # The simulated GPU needs no device, whatever lies in /dev, and counts use exactly.
        if "simcuda" in self.libcuda:
            self.settings.setdefault("exact_use", 1)
            self.settings.setdefault("sandbox_files", "")
        # The accounting is on, so that every test shows that it ends no honest worker.
        if not libcuda:
            nvml = os.path.join(self.build, "simcuda", "libnvidia-ml.so.1")
            self.settings = {"libnvml": nvml, "health_user": "",
                             "health": os.path.join(self.build, "bin", "pvgpu-health"), **self.settings}
            self.settings.setdefault("gpu_reset", os.path.join(self.build, "simcuda", "simcuda-reset"))
        # As another user pvgpu-health need not be able to enter the build's folder, such as one in root's home.
        self.open_dir = f"{self.dir}-open"
        if self.settings.get("health_user"):
            for key in ("health", "libnvml"):
                self.settings[key] = self.for_all_users(self.settings[key])
        if worker:
            self.settings["worker"] = worker
        # Workers have the libraries that a program finds which runs directly: beside libcuda, and where the dynamic linker's cache says.
        for major in (13, 12):
            found = {key: self.library_for_workers(f"{name}.so.{major}") for key, name in (("libcublas", "libcublas"), ("libcublaslt", "libcublasLt"))}
            if found["libcublas"]:
                self.settings = {**{key: path for key, path in found.items() if path}, **self.settings}
                break
        self.wrap = wrap or []
        self.pvgpud = os.path.join(bin_dir, "pvgpud") if bin_dir else program("pvgpud", self.build)
        self.log_path = os.path.join(self.dir, "pvgpud.log")
        self.config_path = os.path.join(self.dir, "pvgpud.conf")
        self.config = ""
        self.daemon = None

    def library_for_workers(self, soname):
        path = os.path.join(os.path.dirname(self.libcuda), soname)
        if os.path.exists(path):
            return path
        # A far end of ours is never given NVIDIA's.
        return None if self.libcuda.startswith(self.build + os.sep) else cached_library(soname)

    def for_all_users(self, path):
        """A copy that every user may read and run."""
        os.makedirs(self.open_dir, exist_ok=True)
        copy = shutil.copy(path, self.open_dir)
        for p in (self.open_dir, copy):
            os.chmod(p, 0o755)
        return copy

    # pvgpud

    def write_config(self, text):
        """In one step: a pvgpud that starts now reads all of it."""
        self.config = text
        with open(self.config_path + ".new", "w") as f:
            f.write(text)
        os.rename(f.name, self.config_path)

    @property
    def pid(self):
        return self.daemon.pid

    def workers(self):
        """pids of the workers that serve a session."""
        return [int(s["pid"]) for v in self.tree()["vgpu"].values() for s in v["session"].values()]

    def wait_spare(self):
        return wait_for("a spare worker", lambda: int(self.read("/daemon/spare-workers")) > 0)

    def command(self):
        self.write_config(self.config)
        cmd = self.wrap + [self.pvgpud, "--config", self.config_path,
                           "--run-dir", self.run_dir, "--set", f"libcuda={self.libcuda}"]
        env = {MARK: self.mark, **self.sim, **self.worker_env}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "PVGPU_POLL_ITERATIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        for k, v in env.items():
            cmd += ["--set", f"env={k}={v}"]
        for k, v in self.settings.items():
            cmd += ["--set", f"{k}={v}"]
        for name, keys in self.vgpus.items():
            keys = str(keys) if "=" in str(keys) else f"memory={keys}"
            # A kernel may take long under valgrind or on a busy machine.
            cmd += ["--vgpu", f"{name}:{keys}" + ("" if "kernel_limit" in keys else ",kernel_limit=120000")]
        return cmd

    def start(self):
        with open(self.log_path, "ab") as log:
            self.daemon = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env={**os.environ, MARK: self.mark})
        wait_for("pvgpud's sockets", self.up)
        return self

    def up(self):
        if self.daemon.poll() is not None:
            raise RuntimeError(f"pvgpud exited with {self.daemon.returncode}:\n{self.log()}")
        try:
            return self.ask(op="read", path="/daemon/version")["ok"] and \
                all(os.path.exists(self.socket(n)) for n in self.vgpus)
        except OSError:
            return False

    def kill_daemon(self, sig=signal.SIGKILL):
        self.daemon.send_signal(sig)
        self.daemon.wait(LIMIT)

    def restart(self, sig=signal.SIGKILL):
        self.kill_daemon(sig)
        self.start()

    def health(self):
        """The process number of its pvgpu-health, and that one's arguments; None, [] while there is none."""
        for pid in os.listdir("/proc"):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().decode(errors="replace").split("\0")
                if "pvgpu-health" in words[0] and parent_of(pid) == self.pid:
                    return int(pid), words[1:]
            except (OSError, ValueError):
                continue
        return None, []

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def log_tail(self, lines=30):
        return "\n".join(self.log().splitlines()[-lines:])

    # keys

    def ask(self, **req):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIMIT)
            s.connect(os.path.join(self.run_dir, "admin.sock"))
            s.sendall(json.dumps(req).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = s.recv(65536)
                if not part:
                    raise ConnectionError("the admin socket hung up")
                data += part
        return json.loads(data)

    def read(self, path):
        a = self.ask(op="read", path=path)
        return a["value"] if a["ok"] else None

    def write(self, path, value):
        return self.ask(op="write", path=path, value=value)

    def tree(self):
        return self.ask(op="tree")["tree"]

    def sessions(self, name="vgpu0"):
        """number -> keys"""
        a = self.ask(op="tree", path=f"/vgpu/{name}/session")
        return {int(k): v for k, v in a["tree"].items()}

    def wait_sessions(self, n, name="vgpu0", limit=LIMIT):
        return wait_for(f"{n} sessions", lambda: int(self.read(f"/vgpu/{name}/sessions")) == n, limit)

    def wait_open(self, name="vgpu0", limit=LIMIT):
        """All its sessions have memory: one that is being opened is not adopted, its program opens another."""
        wait_for("leases", lambda: all(int(s["leased"]) for s in self.sessions(name).values()), limit)

    def wait_used(self, n=0, name="vgpu0", limit=LIMIT):
        return wait_for(f"{n} bytes in use", lambda: int(self.read(f"/vgpu/{name}/memory-used")) == n, limit)

    # guests

    def socket(self, name="vgpu0"):
        return os.path.join(self.run_dir, f"{name}.sock")

    def wrap_worker(self, script):
        """Workers begin with a shell script: {dir} in it is a folder that they reach, {worker} the worker's program."""
        path = os.path.join(self.dir, "worker")
        with open(path, "w", encoding="ascii") as f:
            f.write(script.format(dir=self.dir, worker=program("pvgpu-worker", self.build)))
        os.chmod(path, 0o755)
        # Other users than the test's cannot enter its folder.
        os.chmod(self.dir, 0o755)
        self.settings["worker"] = path

    def guest_env(self, name="vgpu0", direct=False, extra=None):
        env = {**os.environ, MARK: self.mark, **(extra or {})}
        lib = os.path.dirname(self.libcuda) if direct else os.path.join(self.build, "lib")
        env["LD_LIBRARY_PATH"] = lib
        if direct:
            env.update(self.sim)
        else:
            env["PVGPU_SOCKET"] = self.socket(name)
        return env

    def popen(self, argv, name="vgpu0", direct=False, extra=None, **kw):
        return subprocess.Popen(argv, env=self.guest_env(name, direct, extra), stdin=subprocess.DEVNULL, **kw)

    def run(self, argv, name="vgpu0", direct=False, extra=None, timeout=2 * LIMIT, **kw):
        p = self.popen(argv, name, direct, extra, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise
        return subprocess.CompletedProcess(argv, p.returncode, out, err)

    # the end

    def check_idle(self):
        """After the guests' end: no session, memory or command may be left."""
        for name in self.vgpus:
            self.wait_sessions(0, name)
            self.wait_used(0, name)

    def stop(self):
        if self.daemon is None or self.daemon.poll() is not None:
            return
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait(LIMIT)
        if self.daemon.returncode != 0:
            raise Leftover(f"pvgpud exited with {self.daemon.returncode}")

    def check_clean(self):
        try:
            wait_for("no process", lambda: not marked_processes(self.mark), 60)
        except TimeoutError:
            raise Leftover(f"processes: {marked_processes(self.mark)}") from None
        left = os.listdir(self.run_dir) if os.path.isdir(self.run_dir) else []
        if left:
            raise Leftover(f"files in the run directory: {left}")
        shm = [f for f in os.listdir("/dev/shm") if f.startswith(self.mark) and
               os.path.join("/dev/shm", f) != self.gpu_file]
        if shm:
            raise Leftover(f"shared memory: {shm}")
        if cgroups(self.mark):
            raise Leftover(f"cgroups: {cgroups(self.mark)}")

    def remove(self):
        for pid in marked_processes(self.mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        for path in cgroups(self.mark):
            try:
                wait_for("an empty cgroup", lambda: not pathlib.Path(path, "cgroup.procs").read_text(), 10)
                os.rmdir(path)
            except (OSError, TimeoutError):
                pass
        if os.path.exists(self.gpu_file):
            os.unlink(self.gpu_file)
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.open_dir, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            sys.stderr.write(self.log() if os.path.exists(self.log_path) else "")
            self.remove()
            raise

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.check_idle()
                self.stop()
                self.check_clean()
        except BaseException:
            kind = True
            raise
        finally:
            if kind is not None:
                sys.stderr.write(f"--- pvgpud's log ({self.mark})\n{self.log_tail(60)}\n---\n")
            if self.daemon and self.daemon.poll() is None:
                self.daemon.kill()
                self.daemon.wait()
            self.remove()
