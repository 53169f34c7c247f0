# SPDX-License-Identifier: MIT
"""Pools of several simulated GPUs: placement of vGPUs and sessions, promises of memory, a program's view of them. No tenant
finds another's data, and tenants of an exclusive pool never use the GPU at the same time."""
import contextlib
import errno
import glob
import os
import re
import signal
import subprocess
import unittest

import rawclient as raw
from meter import Meter
from pvgpu_env import LIMIT, PvgpuEnv, program, wait_for

MIB = 1 << 20
PATTERN = 0xA5

POOLS = """\
[daemon]
placement = {placement}

[pool fast]
device = 0
policy = fair
overcommit = {overcommit}

[pool slow]
device = 1
policy = best-effort
mode = {mode}

[group research]
weight = 300
max_share = 60%
"""


class Pools(PvgpuEnv):
    """pvgpud with two pools on two GPUs of 256 MiB each."""

    def __init__(self, vgpus, placement="breadth-first", overcommit="1.0", mode="shared", config=None, sim=None, **kw):
        super().__init__(vgpus, sim={"SIMCUDA_DEVICES": "2", "SIMCUDA_MEMORY": "256M", **(sim or {})}, **kw)
        self.write_config(config or POOLS.format(placement=placement, overcommit=overcommit, mode=mode))

    def remove(self):
        super().remove()
        for name in glob.glob(self.gpu_file + ".*"):
            os.unlink(name)

    def check_clean(self):
        for name in glob.glob(self.gpu_file + ".*"):
            os.unlink(name)
        super().check_clean()

    def pool_of(self, name):
        return self.read(f"/vgpu/{name}/pool")

    def known(self):
        """Wait until the size of both GPUs is known."""
        for pool in ("fast", "slow"):
            wait_for(f"the GPU of {pool}", lambda: int(self.read(f"/pool/{pool}/gpu-memory")))
        return self


class Tenant(Meter):
    """An opened gpu-meter on a vGPU. An answer is a list: "ok" or the name of a CUresult, then values."""

    def __init__(self, env, name, direct=False):
        super().__init__(os.path.join(env.build, "tests", "gpu-meter"), env.guest_env(name, direct))
        self.do("open", "idle")

    def end(self, command, limit=60):
        answer = super().end(limit)
        assert answer["command"] == command, f"{command}: {answer}"
        return [v for k, v in answer.items() if k not in ("command", "code", "call")]

    def tell(self, *command):
        self.start(*command)
        return self.end(command[0])

    def do(self, *command):
        """Run a command that must succeed; returns its values."""
        result = self.tell(*command)
        assert result[0] == "ok", f"{command}: {result}"
        return result[1:]


def refused(*vgpus, **kw):
    """pvgpud's status and log when it does not start."""
    env = Pools(dict(vgpus), **kw)
    try:
        p = subprocess.run(env.command() + ["--set", "xen=off"], capture_output=True, text=True, timeout=240, check=False)
        return p.returncode, p.stderr + p.stdout
    finally:
        env.remove()


class Placement(unittest.TestCase):
    def test_sessions_land_on_their_pools_gpu(self):
        vgpus = {"a": "memory=64M,pool=fast/research", "b": "memory=32M,pool=slow", "c": "memory=16M,pool=fast"}
        with Pools(vgpus) as env:
            env.known()
            self.assertEqual([env.pool_of(n) for n in "abc"], ["fast/research", "slow", "fast"])
            with Tenant(env, "a") as a, Tenant(env, "b") as b, Tenant(env, "c") as c:
                # A tenant sees one GPU, in every pool.
                workers = {n: int(next(iter(env.sessions(n).values()))["pid"]) for n in "abc"}
                for name, device in (("a", 0), ("b", 1), ("c", 0)):
                    with open(f"/proc/{workers[name]}/environ", "rb") as f:
                        self.assertIn(f"CUDA_VISIBLE_DEVICES={device}".encode(), f.read().split(b"\0"))
                used = {n: t.do("alloc", 8 * MIB) for n, t in (("a", a), ("b", b), ("c", c))}
                self.assertEqual(len(used), 3)
                on = [far_end(env, device) for device in (0, 1)]
                self.assertEqual({p for p in on[0] if on[0][p]["memory"] >= 8 * MIB}, {workers["a"], workers["c"]})
                self.assertEqual({p for p in on[1] if on[1][p]["memory"] >= 8 * MIB}, {workers["b"]})
            tree = env.tree()
            self.assertEqual((tree["pool"]["fast"]["policy"], tree["pool"]["slow"]["policy"]), ("fair", "best-effort"))
            self.assertEqual(tree["pool"]["fast"]["promised"], str(80 * MIB))
            self.assertEqual(tree["pool"]["fast"]["gpu-memory-free"], str((256 - 80) * MIB))
            self.assertEqual(tree["group"]["research"]["max-share"], "60%")

    def test_placements(self):
        vgpus = {n: "memory=32M" for n in "abcd"}
        for placement, want in (("breadth-first", ["fast", "slow"] * 2), ("depth-first", ["fast"] * 4)):
            with Pools(vgpus, placement=placement) as env:
                self.assertEqual([env.pool_of(n) for n in "abcd"], want)

    def test_a_full_gpu_is_left_for_another(self):
        """The GPUs' sizes are known only after their first workers have started."""
        with Pools({n: "memory=100M" for n in "abcd"}, placement="depth-first") as env:
            env.known()
            wait_for("two on each", lambda: sorted(env.pool_of(n) for n in "abcd") == ["fast", "fast", "slow", "slow"])
            for n in "abcd":
                with Tenant(env, n) as t:
                    t.do("alloc", 90 * MIB)

    def test_a_gpu_that_is_not_there(self):
        config = POOLS.replace("device = 1", "device = 7").format(placement="breadth-first", overcommit="1.0", mode="shared")
        with Pools({n: "memory=16M" for n in "abc"} | {"d": "memory=16M,pool=slow"}, config=config) as env:
            wait_for("them to be elsewhere", lambda: {env.pool_of(n) for n in "abc"} == {"fast"})
            for n in "abc":
                with Tenant(env, n) as t:
                    t.do("alloc", MIB)
            self.assertEqual(env.pool_of("d"), "slow")
            p = env.run([os.path.join(env.build, "programs", "meminfo")], "d")
            self.assertNotEqual(p.returncode, 0)
            self.assertRegex(env.log(), "did not start: cuInit failed with CUresult 100")

    def test_load(self):
        with Pools({"a": "memory=16M,pool=fast", "b": "memory=16M,pool=slow"}, placement="least-loaded") as env:
            env.known()
            with Tenant(env, "a") as a:
                wait_for("its load to be seen", lambda: a.do("nap", 1000, 200) == [] and
                         int(env.read("/pool/fast/load")) > 200000)
            self.assertEqual(int(env.read("/pool/slow/load")), 0)

    def test_moved_by_key(self):
        """A vGPU without sessions moves to another GPU, with another quota if the memory is free."""
        with Pools({"a": "memory=16M,pool=fast", "b": "memory=200M,pool=slow"}) as env:
            env.known()
            with Tenant(env, "a") as a:
                a.do("alloc", MIB)
                self.assertTrue(env.write("/vgpu/a/pool", "slow/research")["ok"])
                self.assertEqual(env.pool_of("a"), "fast/research")
                a.do("alloc", MIB)
            wait_for("the move", lambda: env.pool_of("a") == "slow/research")
            answer = env.write("/vgpu/a/memory", "64M")
            self.assertFalse(answer["ok"])
            self.assertIn("56 MiB are free", str(answer))
            self.assertTrue(env.write("/vgpu/a/memory", "56M")["ok"])
            with Tenant(env, "a") as a:
                self.assertEqual(a.do("memory")[1], 56 * MIB)
                self.assertIn(env.workers()[0], far_end(env, 1))

    def test_spares_of_each_pool(self):
        with Pools({"a": "memory=1M,pool=fast", "b": "memory=1M,pool=slow"}) as env:
            for pool in ("fast", "slow"):
                wait_for(f"a spare of {pool}", lambda p=pool: env.read(f"/pool/{p}/spare-workers") == "1")

    def test_a_restarted_pvgpud_finds_them_where_they_are(self):
        """A restarted pvgpud keeps the placement, although it would place the vGPU elsewhere now."""
        with Pools({"a": "memory=32M", "b": "memory=32M"}) as env:
            env.known()
            self.assertEqual(env.pool_of("b"), "slow")
            with Tenant(env, "b") as b:
                address, = b.do("alloc", 8 * MIB)
                env.kill_daemon()
                env.vgpus = {"b": "memory=32M", "a": "memory=32M"}
                env.start()
                env.wait_sessions(1, "b")
                self.assertEqual(env.pool_of("b"), "slow")
                wait_for("its state", lambda: int(env.read("/vgpu/b/memory-used")) >= 8 * MIB)
                b.do("fill", address, 8 * MIB, 7)
                self.assertEqual(b.do("scan", address, MIB, 7), [MIB, MIB])

    def test_a_pool_that_is_gone_ends_its_sessions(self):
        with Pools({"a": "memory=32M,pool=slow"}) as env:
            env.known()
            a = Tenant(env, "a")
            env.kill_daemon(signal.SIGUSR1)
            env.config = env.config.replace("[pool slow]", "[pool other]")
            env.vgpus = {"a": "memory=32M"}
            env.start()
            self.assertIn("its pool does not exist any more", env.log())
            wait_for("the end of it", lambda: a.tell("memory")[0] == "CUDA_ERROR_DEVICE_UNAVAILABLE")
            a.close()

    def test_a_pool_with_another_gpu_ends_its_sessions(self):
        """A running session stays on its GPU, which is not its pool's any more."""
        with Pools({"a": "memory=32M,pool=slow", "b": "memory=32M,pool=fast"}, sim={"SIMCUDA_DEVICES": "3"}) as env:
            env.known()
            a, b = (Tenant(env, n) for n in "ab")
            for n in "ab":
                env.wait_open(n)
            env.kill_daemon(signal.SIGUSR1)
            env.write_config(env.config.replace("device = 1", "device = 2"))
            env.start()
            self.assertIn("pool slow has another GPU now: device = 2, was 1: the worker is ended", env.log())
            wait_for("the end of it", lambda: a.tell("memory")[0] == "CUDA_ERROR_DEVICE_UNAVAILABLE")
            env.wait_sessions(0, "a")
            b.do("memory")
            self.assertEqual(len(env.sessions("b")), 1)
            a.close()
            b.close()

    def test_bad_configurations(self):
        for config, error in (
                ("[pool a]\ndevice = 0\n[pool b]\ndevice = 0\n", "device = 0 is pool a's already"),
                ("[pool a]\npolicy = fair\n", "pool a: no device"),
                ("[pool a]\ndevice = 0\npolicy = unfair\n", "must be fair, equal, fixed or best-effort"),
                ("[pool a]\ndevice = 0\nmode = alone\n", "must be shared, exclusive or confidential"),
                ("[pool a]\ndevice = 0\novercommit = 0\n", "must be a ratio from 0.1 to 100"),
                ("[daemon]\nenv = CUDA_VISIBLE_DEVICES=1\n", "CUDA_VISIBLE_DEVICES is pvgpud's own"),
                ("[group g]\nmin_share = 50%\nmax_share = 25%\n", "group g: min_share is above max_share"),
        ):
            status, log = refused(("v", "memory=1M"), config=config)
            self.assertEqual(status, 2, log)
            self.assertIn(error, log)
        status, log = refused(("v", "memory=1M,pool=nowhere"))
        self.assertEqual(status, 2, log)
        self.assertIn("there is no pool nowhere", log)


class Live(unittest.TestCase):
    def test_settings(self):
        with Pools({"a": "memory=1M,pool=fast/research"}) as env:
            self.assertTrue(env.write("/daemon/pools", "fast policy=equal mode=exclusive; slow policy=fixed")["ok"])
            tree = env.tree()["pool"]
            self.assertEqual((tree["fast"]["policy"], tree["fast"]["mode"]), ("equal", "exclusive"))
            self.assertEqual(tree["slow"]["policy"], "fixed")
            # Settings that are not given come from the configuration.
            self.assertTrue(env.write("/daemon/pools", "slow policy=fair")["ok"])
            tree = env.tree()["pool"]
            self.assertEqual((tree["fast"]["policy"], tree["fast"]["mode"]), ("fair", "shared"))
            for wrong in ("fast policy=unfair", "none policy=fair", "fast device=1", "fast policy"):
                self.assertFalse(env.write("/daemon/pools", wrong)["ok"], wrong)
            self.assertEqual(env.read("/pool/slow/policy"), "fair")

    def test_groups(self):
        with Pools({"a": "memory=1M,pool=fast/research"}) as env:
            self.assertTrue(env.write("/daemon/groups", "research weight=50; new max-share=12.5%")["ok"])
            self.assertEqual(env.read("/group/research/weight"), "50")
            self.assertEqual(env.read("/group/research/max-share"), "60%")
            self.assertEqual(env.read("/group/new/max-share"), "12.5%")
            self.assertFalse(env.write("/daemon/groups", "new min-share=50% max-share=10%")["ok"])
            self.assertTrue(env.write("/daemon/groups", "")["ok"])
            self.assertEqual(env.read("/group/research/weight"), "300")
            self.assertIsNone(env.read("/group/new/weight"))


class Admission(unittest.TestCase):
    def test_more_than_there_is(self):
        """One that does not fit gets a warning and no session; the others are served, and so is it when there is room."""
        with Pools({"a": "memory=200M,pool=fast", "b": "memory=100M,pool=fast", "c": "memory=10M,pool=fast"}) as env:
            env.known()
            self.assertRegex(env.log(), r"warning: vgpu b: pool fast: memory 100 MiB, but \d+ MiB are free: lower it, detach a vGPU or raise overcommit; until then it "
                                        r"takes no session, and the others go on")
            for name in "ac":
                with Tenant(env, name) as t:
                    t.do("alloc", MIB)
            with self.assertRaises(raw.Refused) as refusal:
                raw.Session(env.socket("b"))
            self.assertEqual(refusal.exception.error, errno.ENOMEM)
            self.assertIn("memory 100 MiB", env.read("/vgpu/b/refusing"))
            # pvgpud --check beside it knows the GPU's memory, too.
            done = self.check(env)
            self.assertEqual(done.returncode, 2, done)
            self.assertRegex(done.stderr, "vgpu b: with it the vGPUs of pool fast have 300 MiB, and 256 MiB can be promised: it would take no session")
            self.assertTrue(env.write("/vgpu/a/memory", "100M")["ok"])
            self.assertEqual(env.read("/vgpu/b/refusing"), "")
            with Tenant(env, "b") as t:
                t.do("alloc", MIB)
        with Pools({n: "memory=200M" for n in "abc"}) as env:
            env.known()
            wait_for("the one without room", lambda: [n for n in "abc" if "56 MiB are free" in env.read(f"/vgpu/{n}/refusing")])

    @staticmethod
    def check(env):
        words = env.command()[1:]
        return subprocess.run([program("pvgpud", env.build), *words, "--check"], capture_output=True, text=True, timeout=LIMIT, check=False)

    def test_to_the_byte(self):
        with Pools({"a": "memory=200M,pool=fast", "b": "memory=56M,pool=fast"}) as env:
            env.known()
            self.assertEqual(env.read("/pool/fast/gpu-memory-free"), "0")

    def test_overcommit(self):
        with Pools({"a": "memory=200M,pool=fast", "b": "memory=180M,pool=fast"}, overcommit="1.5") as env:
            env.known()
            self.assertEqual(env.read("/pool/fast/gpu-memory-free"), str(4 * MIB))
            with Tenant(env, "a") as a, Tenant(env, "b") as b:
                a.do("alloc", 150 * MIB)
                # Within the quota, but the GPU is full: an error, as on a full GPU without pvgpu.
                self.assertEqual(b.tell("alloc", 150 * MIB)[0], "CUDA_ERROR_OUT_OF_MEMORY")
                b.do("alloc", 80 * MIB)

    def test_what_is_promised_is_there(self):
        """A vGPU without a quota may use memory that is promised to no other, not memory that others do not use."""
        with Pools({"a": "memory=160M,pool=fast", "b": "memory=0,pool=fast"}) as env:
            env.known()
            with Tenant(env, "b") as b:
                left, total, whole = b.do("memory")
                self.assertEqual((total, whole), (256 * MIB, 256 * MIB))
                self.assertLessEqual(left, 96 * MIB)
                self.assertGreater(left, 80 * MIB)
                self.assertEqual(b.tell("alloc", 120 * MIB)[0], "CUDA_ERROR_OUT_OF_MEMORY")
                b.do("alloc", 64 * MIB)
                with Tenant(env, "a") as a:
                    a.do("alloc", 150 * MIB)

    def test_vgpus_without_a_quota_share_what_is_left(self):
        with Pools({"a": "memory=0,pool=fast", "b": "memory=0,pool=fast"}) as env:
            env.known()
            with Tenant(env, "a") as a, Tenant(env, "b") as b:
                before = b.do("memory")[0]
                address, = a.do("alloc", 128 * MIB)
                wait_for("b to hear of it", lambda: b.do("memory")[0] <= before - 128 * MIB)
                self.assertEqual(b.tell("alloc", 140 * MIB)[0], "CUDA_ERROR_OUT_OF_MEMORY")
                a.do("free", address)
                wait_for("b to get it", lambda: b.tell("alloc", 140 * MIB)[0] == "ok")


class Quota(unittest.TestCase):
    def test_a_program_sees_its_quota(self):
        with Pools({"a": "memory=96M,pool=fast"}) as env:
            with Tenant(env, "a") as t:
                left, total, whole = t.do("memory")
                self.assertEqual((total, whole), (96 * MIB, 96 * MIB))
                t.do("alloc", 32 * MIB)
                self.assertEqual(t.do("memory")[0], left - 32 * MIB)
                self.assertEqual(t.tell("alloc", 64 * MIB)[0], "CUDA_ERROR_OUT_OF_MEMORY")
            p = env.run([os.path.join(env.build, "programs", "meminfo")], "a")
            self.assertEqual(p.returncode, 0, p.stderr)

    def test_limits_count(self):
        printf_buffer, heap, stack = 1, 2, 0
        with Pools({"a": "memory=96M,pool=fast"}) as env:
            with Tenant(env, "a") as t:
                for limit in (printf_buffer, heap):
                    left = t.do("memory")[0]
                    t.do("limit", limit, 32 * MIB)
                    now = t.do("memory")[0]
                    self.assertLess(now, left - 16 * MIB)
                    self.assertEqual(t.tell("limit", limit, 200 * MIB)[0], "CUDA_ERROR_OUT_OF_MEMORY")
                    self.assertEqual(t.do("memory")[0], now)
                self.assertEqual(t.tell("limit", stack, 64 << 10)[0], "CUDA_ERROR_OUT_OF_MEMORY")

    def test_a_context_counts(self):
        sim = {"SIMCUDA_CONTEXT_MEMORY": "16M"}
        with Pools({"a": "memory=96M,pool=fast"}, sim=sim, settings={"context_charge": "16M"}) as env:
            with Tenant(env, "a") as t:
                left, total, _ = t.do("memory")
                self.assertEqual(total, 96 * MIB)
                self.assertLessEqual(left, 80 * MIB)
                t.do("again")
                self.assertLessEqual(t.do("memory")[0], left - 16 * MIB)
                # The ledger has the GPU's own figures.
                worker = env.workers()[0]
                self.assertLessEqual(far_end(env, 0)[worker]["memory"], int(env.read("/vgpu/a/memory-used")))
        with Pools({"a": "memory=8M,pool=fast"}, settings={"context_charge": "16M"}) as env:
            p = env.run([os.path.join(env.build, "programs", "meminfo")], "a")
            self.assertNotEqual(p.returncode, 0)
            self.assertIn(b"OUT_OF_MEMORY", p.stderr)

    def test_variables_of_modules_count(self):
        """900 MiB are one line of PTX."""
        with PvgpuEnv({"a": "512M"}, sim={"SIMCUDA_MEMORY": "4G"}) as env:
            with Tenant(env, "a") as t:
                self.assertEqual(t.tell("variable", 900 * MIB)[0], "CUDA_ERROR_OUT_OF_MEMORY")
                left = t.do("memory")[0]
                address, module = t.do("variable", 300 * MIB)
                self.assertLessEqual(t.do("memory")[0], left - 300 * MIB)
                for what in ("variable", "alloc"):
                    self.assertEqual(t.tell(what, 250 * MIB)[0], "CUDA_ERROR_OUT_OF_MEMORY")
                t.do("fill", address + 299 * MIB, MIB, PATTERN)
                # The ledger has at least what the GPU's own figures say, before any was measured.
                worker = env.workers()[0]
                self.assertLessEqual(far_end(env, 0)[worker]["memory"], int(env.read("/vgpu/a/memory-used")))
                t.do("unload", module)
                wait_for("its memory", lambda: t.do("memory")[0] == left)
                t.do("alloc", 500 * MIB)

    def test_contexts_count_as_measured(self):
        """Nobody has said what a context takes: the first is counted, the next ones ask for as much before."""
        with PvgpuEnv({"a": "256M", "b": "256M"}, sim={"SIMCUDA_MEMORY": "1G", "SIMCUDA_CONTEXT_MEMORY": "64M"}) as env:
            with Tenant(env, "a") as t:
                wait_for("its context to count", lambda: int(env.read("/vgpu/a/memory-used")) >= 64 * MIB)
                wait_for("its memory to be less", lambda: t.do("memory")[0] <= 192 * MIB)
                self.assertEqual(t.tell("alloc", 200 * MIB)[0], "CUDA_ERROR_OUT_OF_MEMORY")
                wait_for("what a context takes", lambda: re.search("vgpu a: a context takes 6[0-9] MiB", env.log()))
                t.do("alloc", 160 * MIB)
                # There is no room for a second context.
                p = env.run([os.path.join(env.build, "programs", "meminfo")], "a")
                self.assertIn(b"OUT_OF_MEMORY", p.stderr)
                # Another vGPU's figures are its own.
                self.assertEqual(env.read("/vgpu/b/memory-used"), "0")
                p = env.run([os.path.join(env.build, "programs", "vecadd")], "b")  # its context may be counted while it runs
                self.assertEqual(p.returncode, 0, p.stderr)
            env.wait_used(0, "a")
            with Tenant(env, "a"):
                self.assertGreaterEqual(int(env.read("/vgpu/a/memory-used")), 60 * MIB)
            self.assertNotIn("killed", env.log())


def far_end(env, device):
    """The simulated GPU's own accounting, by pid."""
    path = env.gpu_file + (f".{device}" if device else "")
    out = subprocess.run([os.path.join(env.build, "tests", "simcuda-top"), path], capture_output=True, text=True,
                         timeout=120, check=True).stdout
    found = {}
    for row in (line.split() for line in out.splitlines()[2:]):
        found[int(row[0])] = {"memory": int(float(row[2]) * MIB), "launches": int(row[6]), "overlaps": int(row[8]),
                              "traces": int(row[9])}
    return found


class Tenants(unittest.TestCase):
    SIZE = 64 * MIB
    FAULT = ""

    def env(self):
        # 150 of 160 MiB: some of b's memory must have been a's.
        return PvgpuEnv({"a": "88M", "b": "148M"}, sim={"SIMCUDA_MEMORY": "240M", "SIMCUDA_FAULT": self.FAULT})

    def write(self, env, name):
        """A tenant with a pattern in all kinds of memory."""
        t = Tenant(env, name)
        address, = t.do("alloc", self.SIZE)
        t.do("fill", address, self.SIZE, PATTERN)
        pinned, = t.do("pin", 4 * MIB)
        back = t.do("scan", address, 8 * MIB, PATTERN)
        self.assertEqual(back, [8 * MIB, 8 * MIB])
        self.assertTrue(pinned)
        variable, _ = t.do("variable", 4 * MIB)
        t.do("fill", variable, 4 * MIB, PATTERN)
        t.do("stain", PATTERN)
        return t

    def traces(self, env, name):
        """Bytes of the pattern in the memory that another one can get, by its kind, before it writes there."""
        found = {}
        with Tenant(env, name) as t:
            found["kernels"] = t.do("look", PATTERN)
            for kind in ("fresh", "more"):
                address, = t.do("alloc", self.SIZE)
                found[kind] = t.do("scan", address, self.SIZE, PATTERN)
            t.do("free", address)
            address, = t.do("alloc", self.SIZE)
            found["after free"] = t.do("scan", address, self.SIZE, PATTERN)
            variable, _ = t.do("variable", 4 * MIB)
            found["variable"] = t.do("scan", variable, 4 * MIB, PATTERN)
            pinned, = t.do("pin", 8 * MIB)
            found["pinned"] = t.do("scanpin", pinned, 8 * MIB, PATTERN)
        return found

    def after(self, end):
        with self.env() as env:
            t = self.write(env, "a")
            end(env, t)
            env.wait_used(0, "a")
            found = self.traces(env, "b")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(env.gpu_file + ".dirt")
        return found


class Scrub(Tenants):
    """Control: where the driver does not clear memory, the search finds the data of others."""

    FAULT = "mutate:scrub"

    def test_not_cleared(self):
        found = self.after(lambda env, t: t.close())
        for kind in ("fresh", "more", "after free", "variable", "kernels"):
            self.assertGreater(found[kind][1], 0, kind)
        # That memory is the guest's own.
        self.assertEqual(found["pinned"], [0, 0])


class Residue(Tenants):
    """No data of a tenant reaches another one, however the first one ended."""

    def look(self, env, name):
        for kind, found in self.traces(env, name).items():
            self.assertEqual(found, [0, 0], kind)

    def run_with(self, end):
        for kind, found in self.after(end).items():
            self.assertEqual(found, [0, 0], kind)

    def test_after_an_exit(self):
        self.run_with(lambda env, t: t.close())

    def test_after_a_kill(self):
        self.run_with(lambda env, t: t.kill())

    def test_after_the_workers_death(self):
        def end(env, t):
            os.kill(env.workers()[0], signal.SIGKILL)
            env.wait_sessions(0, "a")
            t.kill()
        self.run_with(end)

    def test_after_a_free(self):
        """Memory that a running tenant has freed reaches another without its data."""
        with self.env() as env:
            t = Tenant(env, "a")
            address, = t.do("alloc", self.SIZE)
            t.do("fill", address, self.SIZE, PATTERN)
            t.do("free", address)
            variable, module = t.do("variable", 4 * MIB)
            t.do("fill", variable, 4 * MIB, PATTERN)
            t.do("unload", module)
            self.look(env, "b")
            t.close()

    def test_a_worker_serves_one_session(self):
        """A spare worker has never had a guest, so its sub-allocator reuses memory of its own guest only."""
        with PvgpuEnv({"a": "64M"}) as env:
            seen = set()
            for _ in range(4):
                with Tenant(env, "a") as t:
                    pid, = env.workers()
                    self.assertNotIn(pid, seen)
                    seen.add(pid)
                    t.do("alloc", MIB)
                env.wait_sessions(0, "a")
                wait_for("its end", lambda p=pid: not os.path.exists(f"/proc/{p}"))

    def test_sessions_of_one_vgpu(self):
        """Two processes of one guest may belong to two users."""
        with PvgpuEnv({"a": "148M"}, sim={"SIMCUDA_MEMORY": "168M"}) as env:
            self.write(env, "a").kill()
            env.wait_used(0, "a")
            self.look(env, "a")


class HandOvers(unittest.TestCase):
    NAMES = ("a", "b", "c")

    def overlaps(self, env, device, direct=False, rounds=12):
        """How often work began while another's was running."""
        return self.counts(env, device, direct, rounds)["overlaps"]

    def counts(self, env, device, direct=False, rounds=12):
        """With tenants that all want the GPU: what the simulated GPU has counted."""
        tenants = [Tenant(env, n, direct) for n in self.NAMES]
        addresses = [t.do("alloc", MIB)[0] for t in tenants]
        before = far_end(env, device)
        for _ in range(rounds):
            for t in tenants:
                t.start("nap", 500, 8)
            # Calls that do not need the GPU are answered meanwhile, and do not count as work.
            with Tenant(env, self.NAMES[0], direct) as late:
                late.do("free", late.do("alloc", 2 * MIB)[0])
                late.do("pin", MIB)
            for t in tenants:
                self.assertEqual(t.end("nap"), ["ok"])
            for t, address in zip(tenants, addresses):
                t.start("fill", address, MIB, 1)
                t.start("scan", address, MIB, 1)
            for t in tenants:
                self.assertEqual(t.end("fill"), ["ok"])
                self.assertEqual(t.end("scan"), ["ok", MIB, MIB])
        after = far_end(env, device)
        launches = sum(after[p]["launches"] - before[p]["launches"] for p in before if p in after)
        self.assertGreaterEqual(launches, rounds * 8 * len(tenants))
        for t in tenants:
            t.close()
        return {key: sum(row[key] for row in after.values()) for key in ("overlaps", "traces")}


class Exclusive(HandOvers):
    def test_no_two_tenants_at_once(self):
        with Pools({n: "memory=16M,pool=slow" for n in self.NAMES}, mode="exclusive") as env:
            self.assertEqual(self.overlaps(env, 1), 0)

    def test_made_exclusive_while_it_runs(self):
        with Pools({n: "memory=16M,pool=slow" for n in self.NAMES}) as env:
            self.assertTrue(env.write("/daemon/pools", "slow mode=exclusive")["ok"])
            self.assertEqual(self.overlaps(env, 1), 0)

    def test_while_pvgpud_is_away(self):
        """No work begins until a restarted pvgpud grants the GPU."""
        with Pools({n: "memory=16M,pool=slow" for n in self.NAMES}, mode="exclusive") as env:
            tenants = [Tenant(env, n) for n in self.NAMES]
            for _ in range(4):
                for t in tenants:
                    t.start("nap", 500, 60)
                wait_for("work", lambda: sum(row["launches"] for row in far_end(env, 1).values()) > 0)
                env.kill_daemon()
                env.start()
                for n in self.NAMES:
                    env.wait_sessions(1, n)
                for t in tenants:
                    self.assertEqual(t.end("nap"), ["ok"])
            self.assertEqual(sum(row["overlaps"] for row in far_end(env, 1).values()), 0)
            for t in tenants:
                t.close()

    def test_on_the_gpu_itself_they_overlap(self):
        """Control: without pvgpu the tenants' work overlaps."""
        with Pools({n: "memory=16M,pool=slow" for n in self.NAMES}) as env:
            self.assertGreater(self.overlaps(env, 0, direct=True), 0)


class Confidential(HandOvers):
    """An exclusive pool of which nothing is left in the GPU's cache at a hand-over, either."""

    VGPUS = {n: "memory=32M,pool=slow" for n in HandOvers.NAMES}

    def test_no_traces(self):
        with Pools(self.VGPUS, mode="confidential") as env:
            self.assertEqual(self.counts(env, 1), {"overlaps": 0, "traces": 0})

    def test_traces_are_seen_elsewhere(self):
        """Control: an exclusive pool clears no cache."""
        with Pools(self.VGPUS, mode="exclusive") as env:
            self.assertGreater(self.counts(env, 1)["traces"], 0)

    def test_of_sessions_that_end(self):
        """The last work of a session that ends leaves none, nor does that of one whose guest is killed."""
        with Pools(self.VGPUS, mode="confidential") as env:
            with Tenant(env, "b") as other:
                for kill in (False, True):
                    t = Tenant(env, "a")
                    t.do("nap", 500, 4)
                    t.kill() if kill else t.close()
                    env.wait_sessions(0, "a")
                    other.do("nap", 500, 4)
                    self.assertEqual(sum(row["traces"] for row in far_end(env, 1).values()), 0)

    def test_nothing_is_told_of_others(self):
        for vgpus, why in (({"d": "memory=0,pool=slow"}, "pool slow: confidential, and memory is 0"),
                           ({"a": "memory=200M,pool=slow", "d": "memory=100M,pool=slow"}, "pool slow: not so much memory is free")):
            with Pools(vgpus, mode="confidential") as env:
                env.known()
                wait_for("the refusal", lambda env=env, why=why: why in env.read("/vgpu/d/refusing"))
                with self.assertRaises(raw.Refused):
                    raw.Session(env.socket("d"))
                self.assertIn("vgpu d: " + why, env.log())
                self.assertNotIn("but 56 MiB", env.log())

    def test_times_are_coarse(self):
        """Tenths of a millisecond; and what is cleared is of the vGPU's memory."""
        with Pools(self.VGPUS, mode="confidential") as env, Tenant(env, "a") as t:
            t.start("busy", 137, 0.05, 2)
            tenths = Meter.end(t)["event_span_ms"] * 10
            self.assertGreater(tenths, 1)
            self.assertAlmostEqual(tenths, round(tenths), 3)
            self.assertLessEqual(t.do("memory")[0], 24 * MIB)


if __name__ == "__main__":
    unittest.main()
