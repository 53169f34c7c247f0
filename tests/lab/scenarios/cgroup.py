# SPDX-License-Identifier: MIT
"""Workers' cgroups under dom0's kernel, on the local link: a worker that a guest has taken over (tests/hostile/escape.c)
takes memory without end, starts threads without end, or stops answering. Its session ends for that reason, or it does not
get more than its share; the neighbour's results are right meanwhile, and no cgroup is left."""
import re

import vgpu

LIMIT = 420
RUN = f"{vgpu.CTL} --run-dir {vgpu.RUN_DIR}"
WORKER = f"{vgpu.TOP}/tests/pvgpu-worker-escape"
PARENT = "/sys/fs/cgroup/pvgpu-run-pvgpu"
MEMORY, PIDS = 400, 128


class Local:
    """pvgpud in dom0 with two vGPUs, of which `bad` has the workers that attack."""

    def __init__(self, lab, how):
        self.lab, Local.last = lab, self
        words = [f"--set env={k}={v}" for k, v in {**vgpu.WORKER_ENV, "PVGPU_ESCAPE": f"{how}:bad"}.items()]
        words += [f"--set worker={WORKER} --set libcuda={vgpu.TOP}/simcuda/libcuda.so.1 --set libnvml= --set xen=off",
                  f"--set worker_memory={MEMORY}M --set worker_pids={PIDS} --set worker_grace_ms=1000",
                  "--vgpu bad:memory=64M,weight=50 --vgpu good:memory=64M,weight=300"]
        self.process = lab.dom0.start(f"exec {vgpu.TOP}/bin/pvgpud --run-dir {vgpu.RUN_DIR} {' '.join(words)}")
        lab.wait("a spare worker", lambda: self.read("/daemon/spare-workers") == "1", 120)

    def read(self, path):
        return self.lab.dom0.run(f"{RUN} read {path}", check=False, quiet=True).out.strip()

    def program(self, name, gpu, words=""):
        return (f"PVGPU_SOCKET={vgpu.RUN_DIR}/{gpu}.sock PVGPU_POLL_ITERATIONS=0 LD_LIBRARY_PATH={vgpu.TOP}/lib "
                f"{vgpu.TOP}/programs/{name} {words}")

    def run(self, name, gpu):
        return self.lab.dom0.run(self.program(name, gpu), limit=60, check=False)

    def worker(self, gpu):
        """Its pid and its cgroup."""
        tree = self.lab.dom0.run(f"{RUN} tree /vgpu/{gpu}", quiet=True).out
        pid = int(re.search(r"/session/\d+/pid\W+(\d+)", tree)[1])
        own = self.lab.dom0.run(f"cat /proc/{pid}/cgroup", quiet=True).out.strip()
        return pid, f"/sys/fs/cgroup{own.removeprefix('0::')}"

    def value(self, path):
        return self.lab.dom0.run(f"cat {path}", quiet=True).out.strip()

    def right(self):
        """The neighbour's results."""
        assert self.run("vecadd", "good").status == 0

    def log(self):
        return self.process.err.decode(errors="replace")

    def save(self):
        self.lab.log.save("pvgpud", self.log())

    def end(self):
        self.save()
        self.process.kill(15)
        self.process.wait()
        left = self.lab.dom0.run(f"ls -d {PARENT}*", check=False, quiet=True).out
        assert not left, left


def memory(lab):
    p = Local(lab, "memory")
    assert p.read("/daemon/cgroups") == "on", p.log()
    beside = lab.dom0.start(p.program("occupy", "good", "1000000000 2000 2 1"))
    lab.wait("the neighbour", lambda: p.read("/vgpu/good/sessions") == "1")
    pid, home = p.worker("good")
    assert home.startswith(f"{PARENT}/worker-"), home
    assert p.value(f"{home}/cgroup.procs") == str(pid)
    assert (p.value(f"{home}/memory.max"), p.value(f"{home}/pids.max")) == (str(MEMORY << 20), str(PIDS))
    assert p.value(f"{home}/memory.oom.group") == "1"
    lab.wait("its weight", lambda: p.value(f"{home}/cpu.weight") == "300")
    assert p.run("vecadd", "bad").status != 0
    lab.wait("the end of the session", lambda: p.read("/vgpu/bad/sessions") == "0")
    reason = p.read("/vgpu/bad/last-reason")
    assert reason.endswith(f"its cgroup's memory limit of {MEMORY} MiB"), reason
    assert re.search(r"session \d+ bad: ended: the worker was ended: its cgroup's memory limit", p.log()), p.log()
    assert p.worker("good") == (pid, home), "the neighbour's worker is another"
    p.right()
    beside.kill()
    beside.wait()
    p.end()


def threads(lab):
    p = Local(lab, "threads")
    r = p.run("vecadd", "bad")
    lab.wait("its words", lambda: re.search(r"escape threads: \d+", p.log()))
    said = int(re.search(r"escape threads: (\d+)", p.log())[1])
    assert said == 11, f"threads: errno {said}, not EAGAIN (the program: {r.status})"
    p.right()
    p.end()


def hang(lab):
    """One that does not answer, and whose main thread is stopped besides, ends with its guest."""
    p = Local(lab, "hang")
    guest = lab.dom0.start(p.program("vecadd", "bad"))
    lab.wait("the attack", lambda: "escape hang: begins" in p.log())
    pid, home = p.worker("bad")
    lab.dom0.run(f"kill -STOP {pid}")
    guest.kill(9)
    guest.wait()
    lab.wait("the end of the session", lambda: p.read("/vgpu/bad/sessions") == "0")
    assert lab.dom0.run(f"ls -d {home}", check=False, quiet=True).status != 0, "its cgroup is still there"
    p.right()
    p.end()


def run(lab):
    try:
        for attack in (memory, threads, hang):
            attack(lab)
    except BaseException:
        Local.last.save()
        print(lab.dom0.run("ps -o pid,stat,args; cat /sys/fs/cgroup/pvgpu*/worker*/memory.current /sys/fs/cgroup/pvgpu*/worker*/memory.events; cat /proc/meminfo | head -20; for p in $(pidof pvgpu-worker-escape); do cat /proc/$p/wchan /proc/$p/stack; done", check=False).out)
        raise
