# SPDX-License-Identifier: MIT
"""pvgpu in the lab: pvgpud in dom0 or in a driver domain, vGPUs of guests, CUDA programs in guests, and the counts by which
a scenario shows that nothing is left behind."""
import json
import re
import uuid

from channel import LabError

TOP = "/opt/pvgpu"
CTL = f"{TOP}/bin/pvgpuctl"
RUN_DIR = "/run/pvgpu"
GPU = "/dev/shm/gpu"
POOLS = "/run/pools.conf"
GUEST_ENV = f"LD_LIBRARY_PATH={TOP}/lib PVGPU_POLL_ITERATIONS=0"
# The emulator has one CPU: a side that polls would block the other.
WORKER_ENV = {"SIMCUDA_GPU": GPU, "SIMCUDA_MEMORY": "1G", "SIMCUDA_THREADS": "1", "PVGPU_POLL_ITERATIONS": "0",
              "SIMCUDA_NVML_LOOK_MS": "900"}
# Scenarios kill workers and run endless kernels on purpose: no quarantine.
QUIET = {"quarantine_faults": "0"}
# Workers and pvgpud share one slow processor with all guests.
PATIENT = {"adopt_timeout_ms": "120000", "worker_start_timeout_ms": "300000", "open_timeout_ms": "60000"}
# The accounting is on in every scenario, so that each shows that it ends no honest worker.
ACCOUNTING = {"health": f"{TOP}/bin/pvgpu-health", "health_user": "", "libnvml": f"{TOP}/simcuda/libnvidia-ml.so.1",
              "health_period_ms": "1000", "health_timeout_ms": "60000"}
NO_LIMIT = "--kernel-limit 0"
CONNECTED, CLOSING, CLOSED = "4", "5", "6"
# Reasons for which only a worker that cheats is ended.
CHEATS = re.compile(r"killed: (?:used the GPU for|issued GPU work with|has \d+ MiB of device memory)")


RESET = {"gpu_reset": f"{TOP}/simcuda/simcuda-reset"}


class Pvgpud:
    """pvgpud on the simulated GPU, in dom0 or, with place, in a guest that is a driver domain."""

    def __init__(self, lab, place=None, env=None, top=TOP, pools="", **settings):
        """env: of the workers; top: folder of pvgpud and its worker; pools: sections of its configuration; settings: keys of [daemon]."""
        self.top, self.pools = top, pools
        self.lab, self.place = lab, place or lab.dom0
        self.domid = place.domid if place else 0
        self.env = {**WORKER_ENV, **(env or {})}
        self.settings = {"libcuda": f"{TOP}/simcuda/libcuda.so.1", "sandbox_files": "", "exact_use": "1", "spare_workers": "1", **QUIET, **PATIENT, **ACCOUNTING, **RESET, **settings}
        self.process = None
        self.pid = None
        self.earlier = ""      # logs from before a restart
        self.kept = 0          # length of the log that keep_logs has saved
        self.allowed = None    # a pattern of workers' ends that belong to the scenario

    # life

    def start(self):
        words = [f"--set env={k}={v}" for k, v in self.env.items()] + [f"--set {k}={v}" for k, v in self.settings.items()]
        if self.pools:
            self.place.put_file(POOLS, self.pools.encode())
            words.append(f"--config {POOLS}")
        self.process = self.place.start(f"echo pid $$; exec {self.top}/bin/pvgpud --run-dir {RUN_DIR} {' '.join(words)}")
        self.pid = int(self.process.wait_output(r"^pid (\d+)$")[1])
        if self not in self.lab.keepers:
            self.lab.keepers.append(self)
        self.lab.wait("pvgpud to be ready", self.ready, 120)
        return self

    def ready(self):
        """Do its keys exist, is there a spare worker, and does the accounting run? Then none of them delays the scenario
        later."""
        if self.process.status is not None:
            raise LabError(f"pvgpud ended with {self.process.status}: {self.log()[-500:]}")
        return self.keys_are_there()

    def keys_are_there(self):
        if self.read("/daemon/spare-workers") != self.settings["spare_workers"]:
            return False
        if self.settings["libnvml"] and self.read("/daemon/accounting") != "on":
            return False
        return self.lab.store.read(f"/local/domain/{self.domid}/data/pvgpu/version") is not None

    def end(self, signal):
        """Send only pvgpud a signal and wait for its end; returns its exit status."""
        self.place.run(f"kill -{signal} {self.pid}")
        status = self.process.wait().status
        self.earlier += self.process.err.decode(errors="replace")
        self.process = None
        return status

    def kill(self):
        """Kill it, like a crash; workers go on."""
        assert self.end(9) == 128 + 9

    def stop(self):
        """Stop it with its workers, drained."""
        status = self.end(15)
        assert status == 0, f"pvgpud ended with {status}: {self.log()[-500:]}"

    def restart(self):
        self.kill()
        return self.start()

    # its log and keys

    def log(self):
        now = self.process.err.decode(errors="replace") if self.process else ""
        return self.earlier + now

    def keep_logs(self):
        """Save its log; a worker that was ended as a cheat fails the scenario."""
        text = self.log()
        if new := text[self.kept:]:
            self.lab.log.save("pvgpud" if self.place is self.lab.dom0 else f"pvgpud-{self.place.name}", new)
            self.lab.complaints += [f"pvgpud: {x}" for x in new.splitlines()
                                    if CHEATS.search(x) and not (self.allowed and re.search(self.allowed, x))]
        self.kept = len(text)

    def wait_log(self, pattern, limit=60):
        return self.lab.wait(f"pvgpud's log to show /{pattern}/", lambda: re.search(pattern, self.log(), re.M), limit)

    def read(self, path):
        """A key of its admin socket, None where there is none."""
        r = self.place.run(f"{CTL} --run-dir {RUN_DIR} read {path}", check=False, quiet=True)
        return r.out.strip() if r.status == 0 else None

    def workers(self):
        """The pids of the workers that serve a session."""
        tree = self.place.run(f"{CTL} --run-dir {RUN_DIR} tree /vgpu", check=False, quiet=True).out
        return [int(n) for n in re.findall(r"/session/\d+/pid\W+(\d+)", tree)]

    def wait_workers(self, n, limit=60):
        return self.lab.wait(f"{n} workers that serve", lambda: len(self.workers()) == n and (self.workers(),), limit)[0]

    def charged(self):
        """GPU time charged to guests' vGPUs at one moment, in microseconds: {(domid, number): time}."""
        tree = self.place.run(f"{CTL} --run-dir {RUN_DIR} tree /vgpu", quiet=True).out
        return {(int(d), int(n)): int(t) for d, n, t in re.findall(r"/xen-(\d+)-(\d+)-\w+/gpu-time\W+(\d+)", tree)}

    def gpu_memory(self):
        """Use of the simulated GPU: (processes, MiB)."""
        out = self.place.run(f"{TOP}/tests/simcuda-top {GPU}", check=False, quiet=True).out
        rows = [line.split() for line in out.splitlines()[2:]]
        return len(rows), sum(float(r[2]) for r in rows)

    # vGPUs

    def attach(self, guest, number=0, memory="256M", policy="", wait=True):
        """policy: more options of pvgpuctl attach."""
        v = Vgpu(self, guest, number)
        v.memory, v.policy = memory, policy
        v.attach()
        if wait:
            v.wait_connected()
        return v

    def held(self):
        """Resources of pvgpud and its workers in their domain, as lines."""
        script = (f'for p in $(pidof pvgpud pvgpu-worker); do c=$(tr "\\0" " " </proc/$p/cmdline); '
                  f'for f in /proc/$p/fd/*; do echo "${{c%% *}} $(readlink $f)"; done; '
                  f'grep -o "/dev/xen/.*" /proc/$p/maps | sed "s|^|${{c%% *}} maps |"; done')
        out = self.place.run(script, check=False, quiet=True).out
        processes, memory = self.gpu_memory()
        lines = [re.sub(r"\[?\d+\]?", "N", line) for line in out.splitlines()]
        return sorted(lines) + [f"GPU: {processes} processes, {memory} MiB"]


class Vgpu:
    """A vGPU of a guest."""

    def __init__(self, pvgpud, guest, number):
        self.pvgpud, self.lab, self.guest, self.number = pvgpud, pvgpud.lab, guest, number
        self.uuid = str(uuid.uuid4())
        self.memory, self.policy = "256M", ""

    @property
    def front(self):
        return f"/local/domain/{self.guest.domid}/device/pvgpu/{self.number}"

    @property
    def back(self):
        return f"/local/domain/{self.pvgpud.domid}/backend/pvgpu/{self.guest.domid}/{self.number}"

    @property
    def key(self):
        return self.guest.domid, self.number

    def name(self):
        """The vGPU's name in pvgpud."""
        return f"xen-{self.guest.domid}-{self.number}-{self.uuid[:8]}"

    def attach_command(self):
        policy = f" {NO_LIMIT} {self.policy}".rstrip()
        return (f"{CTL} attach {self.guest.domid} --backend {self.pvgpud.domid} --id {self.number} --uuid {self.uuid} "
                f"--memory {self.memory}{policy} --no-wait")

    def attach(self):
        """Attach it; after a detach, the same vGPU again."""
        self.lab.dom0.run(self.attach_command())

    def states(self):
        """xenstore's states of frontend and backend."""
        return self.lab.store.read(f"{self.front}/state"), self.lab.store.read(f"{self.back}/state")

    def wait_states(self, front, back, limit=120):
        seen = []

        def there():
            seen[:] = self.states()
            return seen == [front, back]
        try:
            self.lab.wait(f"states {front} and {back} of {self.front}", there, limit)
        except LabError as e:
            reason = self.lab.store.read(f"{self.back}/last-reason")
            raise LabError(f"{e}; they are {seen[0]} and {seen[1]}, last-reason '{reason}'") from None

    def wait_connected(self, limit=120):
        self.wait_states(CONNECTED, CONNECTED, limit)

    def ctl(self, word):
        """An operator's command about it: park, resume."""
        self.lab.dom0.run(f"{CTL} {word} {self.guest.domid} --id {self.number}")

    def detach(self, limit=120):
        """Detach it and wait until nothing is shared any more and both directories are gone."""
        self.ask_detach()
        self.finish_detach(limit)

    def ask_detach(self):
        self.detaching = self.lab.dom0.start(f"{CTL} detach {self.guest.domid} --id {self.number} --timeout 600")

    def finish_detach(self, limit=120):
        r = self.detaching.wait(limit)
        assert r.status == 0, f"pvgpuctl detach ended with {r.status}: {r.err}"
        assert self.states() == (None, None)

    def directories(self):
        return self.front, self.back

    def remove(self, front=None, back=None):
        """Remove both directories, or those of a former domain, and parents that are empty then."""
        front, back = front or self.front, back or self.back
        above = f"{front.rpartition('/')[0]} {back.rpartition('/')[0]} {back.rsplit('/', 2)[0]}"
        self.lab.dom0.run(f"xenstore-rm {front}; xenstore-rm {back}; for d in {above}; do "
                          "[ -n \"$(xenstore-list $d)\" ] || xenstore-rm $d; done", check=False)

    def statistics(self):
        text = self.lab.store.read(f"{self.back}/statistics") or ""
        return {k: int(v) for k, v in (f.split("=") for f in text.split())}

    def wait_statistics(self, **wanted):
        """Wait for values of statistics, which are written once a second at most."""
        self.lab.wait(f"statistics {wanted}", lambda: all(self.statistics().get(k.replace("_", "-")) == v
                                                          for k, v in wanted.items()))


def path_of(name):
    """NAME of tests/programs; cudart/NAME of tests/cudart."""
    return f"{TOP}/{name}" if "/" in name else f"{TOP}/programs/{name}"


def program(name, arguments="", env=""):
    """The command that runs one of the programs in a guest, through pvgpu."""
    return " ".join(f"{env} {GUEST_ENV} {path_of(name)} {arguments}".split())


def run_program(guest, name, arguments="", limit=180, env="", check=True):
    return guest.run(program(name, arguments, env), limit=limit, check=check)


def assert_kernel_well(guest, lines=0):
    """The guest's kernel has logged no complaint after the first `lines` lines."""
    log = guest.run(f"dmesg | tail -n +$(({lines} + 1))", quiet=True).out
    bad = re.findall(r".*(?:BUG|WARNING|Oops|Call Trace|blocked for more|still in use).*", log)
    assert not bad, f"{guest.name}'s kernel: {bad}"


def output_of(lab, name, arguments=""):
    """The output of such a program directly on the simulated GPU, in dom0."""
    env = f"SIMCUDA_GPU=/dev/shm/direct SIMCUDA_THREADS=1 LD_LIBRARY_PATH={TOP}/simcuda:{TOP}/lib"
    return lab.dom0.run(f"{env} {path_of(name)} {arguments}; s=$?; rm -f /dev/shm/direct; exit $s", limit=180).out


class Cuda:
    """lab-cuda in a guest: CUDA calls on command."""

    def __init__(self, guest, opened=True, env=""):
        self.process = guest.start(f"echo pid $$; {env} {GUEST_ENV} exec {TOP}/tests/lab-cuda".replace("  ", " "))
        self.pid = int(self.process.wait_output(r"^pid (\d+)$")[1])
        self.guest = guest
        self.taken = self.process.out.index(b"\n") + 1
        if opened:
            self.want("open", "CUDA_SUCCESS", 120)

    def tell(self, command):
        """Send a command without waiting for the answer."""
        self.guest.machine.say(f"{self.guest.name} cuda> {command}")
        self.process.write(command + "\n")

    def answer(self, word, limit=120):
        """Wait for the next line that begins with word."""
        def line():
            m = re.search(rb"^%s (.*)\n" % word.encode(), self.process.out[self.taken:], re.M)
            if m:
                self.taken += m.end()
                return (m[1].decode(),)
            return self.process.gone_without(word)
        found = self.process.channel.wait(f"lab-cuda to answer '{word}'", line, limit)[0]
        self.guest.machine.say(f"{self.guest.name} cuda: {word} {found}")
        return found

    def ask(self, command, limit=120):
        self.tell(command)
        return self.answer(command.split()[0], limit)

    def want(self, command, wanted, limit=120):
        got = self.ask(command, limit)
        assert got == wanted, f"{self.guest.name}: '{command}' gave {got}, not {wanted}"

    def quit(self, limit=60):
        self.process.write("quit\n")
        r = self.process.wait(limit)
        assert r.status == 0, f"{self.guest.name}: lab-cuda ended with {r.status}: {r.err}"

    def fails(self, command, limit=120):
        """Run a command that must fail; returns the error."""
        got = self.ask(command, limit)
        assert got.startswith("CUDA_ERROR_"), f"{self.guest.name}: '{command}' gave {got}, no error"
        return got.split()[0]

    def is_lost(self, limit=120):
        """Expect that its session has ended: each call returns the same error."""
        first = self.fails("check", limit)
        for command in ("alloc 4096", "sync", "spin"):
            self.want(command, first)
        return first

    def kill(self, signal=9):
        self.guest.run(f"kill -{signal} {self.pid}")
        r = self.process.wait()
        assert r.status == 128 + signal, f"lab-cuda ended with {r.status}"


class Load:
    """A program of tests/programs that runs until it is killed."""

    def __init__(self, guest, words, env=""):
        self.guest = guest
        self.process = guest.start(" ".join(f"echo pid $$; {env} {GUEST_ENV} exec {TOP}/programs/{words}".split()))
        self.pid = int(self.process.wait_output(r"^pid (\d+)$")[1])

    def check(self):
        if self.process.status is not None:
            raise LabError(f"{self.guest.name}: the load has ended with {self.process.status}: {self.process.err.decode().strip()}")

    def kill(self):
        self.check()
        self.guest.run(f"kill -9 {self.pid}")
        self.process.wait()


def active_grants(lab):
    """Mapped grants in Xen's tables: {(owner, mapper): number}."""
    return counted_grants(lab.hypervisor_log("g"))


def counted_grants(text):
    """The same from the text of Xen's debug key "g"."""
    found = {}
    owner = None
    for line in text.splitlines():
        if m := re.search(r"grant-table for remote d(\d+)", line):
            owner = int(m[1])
        elif m := re.match(r"\(XEN\) \[0x[0-9a-f]+\] +(\d+) 0x", line):
            key = owner, int(m[1])
            found[key] = found.get(key, 0) + 1
    return found


# ---- vGPUs as pvgpuctl lists them, also those that xapi or xl has attached

def listed(lab):
    return json.loads(lab.dom0.run(f"{CTL} list --json", quiet=True).out)["vgpus"]


def wait_listed(lab, limit=120):
    """The only one, when it is connected."""
    return lab.wait("the vGPU to connect", lambda: (v := listed(lab)) and v[0]["connected"] and v[0], limit)


def wait_none_listed(lab, limit=120):
    """No vGPU is listed, and no keys of one are left."""
    lab.wait("nothing to be left of the vGPU", lambda: not listed(lab), limit)
    left = lab.dom0.run("xenstore-ls -f | grep -E '/(backend|device)/pvgpu/'", check=False, quiet=True).out
    assert not left, left
