# SPDX-License-Identifier: MIT
"""Workers' cgroups under dom0's kernel, on the local link: a worker that a guest has taken over (tests/hostile/escape.c)
takes memory without end, starts threads without end, or stops answering. Its session ends for that reason, or it does not
get more than its share; the neighbour's results are right meanwhile, and no cgroup is left."""
import re
from errno import EAGAIN

import vgpu

LIMIT = 420
LONG = True
RUN = f"{vgpu.CTL} --run-dir {vgpu.RUN_DIR}"
WORKER = f"{vgpu.TOP}/tests/pvgpu-worker-escape"
PARENT = "/sys/fs/cgroup/pvgpu-run-pvgpu"
MEMORY, PIDS = 160, 128


class Dom0:
    """dom0 as a place for vgpu.Cuda."""
    name = "dom0"

    def __init__(self, lab):
        self.machine, self.start, self.run = lab, lab.dom0.start, lab.dom0.run


class Local:
    """pvgpud in dom0, whose workers of all vGPUs but `good` attack, each its own way."""

    def __init__(self, lab):
        self.lab = lab
        ways = ",".join(f"{how}:{how}" for how in WAYS)
        words = [f"--set env={k}={v}" for k, v in {**vgpu.WORKER_ENV, "PVGPU_ESCAPE": ways}.items()]
        words += [f"--set worker={WORKER} --set libcuda={vgpu.TOP}/simcuda/libcuda.so.1 --set sandbox_files= --set libnvml= --set xen=off",
                  f"--set worker_memory={MEMORY}M --set worker_pids={PIDS} --set worker_grace_ms=1000",
                  *(f"--vgpu {name}:memory=64M,weight=300" for name in (*WAYS, "good"))]
        self.process = lab.dom0.start(f"exec {vgpu.TOP}/bin/pvgpud --run-dir {vgpu.RUN_DIR} {' '.join(words)}")
        self.wait_spare()

    def wait_spare(self):
        self.lab.wait("a spare worker", lambda: self.read("/daemon/spare-workers") == "1", 120)

    def read(self, path):
        return self.lab.dom0.run(f"{RUN} read {path}", check=False, quiet=True).out.strip()

    def start(self, gpu):
        self.wait_spare()
        return vgpu.Cuda(Dom0(self.lab), opened=False, env=f"PVGPU_SOCKET={vgpu.RUN_DIR}/{gpu}.sock")

    def worker(self, gpu):
        """Its pid and its cgroup."""
        tree = self.lab.dom0.run(f"{RUN} tree /vgpu/{gpu}", quiet=True).out
        pid = int(re.search(r"/session/\d+/pid\W+(\d+)", tree)[1])
        own = self.lab.dom0.run(f"cat /proc/{pid}/cgroup", quiet=True).out.strip()
        return pid, f"/sys/fs/cgroup{own.removeprefix('0::')}"

    def value(self, path):
        return self.lab.dom0.run(f"cat {path}", quiet=True).out.strip()

    def is_there(self, path):
        return self.lab.dom0.run(f"[ -e {path} ]", check=False, quiet=True).status == 0

    def wait_ended(self, gpu):
        self.lab.wait("the end of the session", lambda: self.read(f"/vgpu/{gpu}/sessions") == "0")

    def log(self):
        return self.process.err.decode(errors="replace")

    def end(self):
        self.process.kill(15)
        self.process.wait()
        assert not self.is_there(PARENT), self.log()


def seen(lab, p, good):
    """The neighbour's worker, from outside."""
    pid, home = p.worker("good")
    assert home.startswith(f"{PARENT}/worker-"), home
    assert p.value(f"{home}/cgroup.procs") == str(pid)
    assert (p.value(f"{home}/memory.max"), p.value(f"{home}/pids.max")) == (str(MEMORY << 20), str(PIDS))
    assert p.value(f"{home}/memory.oom.group") == "1"
    lab.wait("its weight", lambda: p.value(f"{home}/cpu.weight") == "300")
    good.want("check", "right")


def memory(lab, p):
    """It is ended for what it has taken."""
    bad = p.start("memory")
    bad.tell("open")
    p.wait_ended("memory")
    lab.wait("the reason", lambda: p.read("/vgpu/memory/last-reason"))
    reason = p.read("/vgpu/memory/last-reason")
    assert reason.endswith(f"the worker was ended: its cgroup's memory limit of {MEMORY} MiB"), reason
    assert re.search(r"session \d+ memory: ended: the worker was ended: its cgroup's memory limit", p.log()), p.log()
    bad.process.kill(9)
    bad.process.wait()


def threads(lab, p):
    """It gets no more than its limit, and serves on."""
    bad = p.start("threads")
    bad.want("open", "CUDA_SUCCESS")
    lab.wait("its words", lambda: re.search(r"escape threads: \d+", p.log()))
    said = int(re.search(r"escape threads: (\d+)", p.log())[1])
    assert said == EAGAIN, f"threads: errno {said}"
    _, home = p.worker("threads")
    assert int(p.value(f"{home}/pids.current")) <= PIDS
    assert "max 0" not in p.value(f"{home}/pids.events")
    bad.kill()
    p.wait_ended("threads")


def hang(lab, p):
    """It does not answer, and its main thread is stopped besides: it ends with its guest."""
    bad = p.start("hang")
    bad.tell("open")
    lab.wait("the attack", lambda: "escape hang: begins" in p.log())
    pid, home = p.worker("hang")
    lab.dom0.run(f"kill -STOP {pid}")
    bad.kill()
    p.wait_ended("hang")
    lab.wait("the end of its cgroup", lambda: not p.is_there(home))


WAYS = {"memory": memory, "threads": threads, "hang": hang}


def run(lab):
    lab.dom0.run("mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    p = Local(lab)
    try:
        assert p.read("/daemon/cgroups") == "on", p.log()
        good = p.start("good")
        good.want("open", "CUDA_SUCCESS")
        seen(lab, p, good)
        before = p.worker("good")
        for attack in WAYS.values():
            attack(lab, p)
            good.want("check", "right")
            assert p.worker("good") == before, "the neighbour's worker is another"
        good.quit()
    finally:
        lab.log.save("pvgpud", p.log())
    p.end()
    lab.dom0.run("umount /sys/fs/cgroup")
