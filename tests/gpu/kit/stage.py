# SPDX-License-Identifier: MIT
"""What a stage of the kit is. Each stage is a module of this folder with

    STAGE = Stage("speed", "what it shows", limit_s=200, needs=["tests/gpu-meter"])

    def items(ctx):
        yield Item("launch", launch, limit_s=30)

    def launch(ctx):
        with ctx.pvgpu(vgpus={"vgpu0": "4G"}) as env:
            ...
        return {"native_ns": 2100.0, "pvgpu_ns": 2300.0}

An item runs in a process of its own, which is ended with all that it started when its time is over; a crash or a hang
costs its own row only. items() runs in the kit's own process: it says what there is to do and does none of it.
Keys of values are lower_snake with the unit at the end (_ns, _bytes, _gbps, _ratio); values are numbers, texts, lists and
dicts of these. Python 3.9, standard library only.
"""
import json
import os
import pathlib
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Callable

HERE = pathlib.Path(__file__).resolve().parent
# In a kit the tests' own modules are beside this folder, in the tree they are under tests/.
INTEGRATION = next(p for p in (HERE.parent / "integration", HERE.parents[1] / "integration") if p.is_dir())
sys.path.insert(0, str(INTEGRATION))
import programs  # noqa: E402
from pvgpu_env import PvgpuEnv  # noqa: E402

# Where the dynamic linker looks by itself.
SEARCHED = ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib", "/lib")
# Set in the environment of all that a run starts.
MARK = "GPU_KIT_RUN"
HOLDS, FAILS, NOT_SEEN = "holds", "does not hold", "not seen"


class Absent(Exception):
    """The host lacks what an item is about: one line that says what. Neither a success nor a failure."""


class Failed(Exception):
    """An item found that something is wrong: one line that says what. Any other exception is a failure, too.
    status: what a program said of itself that was run for the item, "crashed" or "timeout"."""

    def __init__(self, text, status="failed"):
        super().__init__(text)
        self.status = status


@dataclass
class Item:
    name: str                    # unique in its stage; results of old runs name it
    function: Callable           # (ctx) -> dict of values, or None
    limit_s: float = 60
    needs: list = field(default_factory=list)  # files of the kit, besides those of the stage


@dataclass
class Stage:
    name: str
    what: str
    limit_s: float               # for all items together
    needs: list = field(default_factory=list)  # files of the kit; where one is missing each item fails, saying so


@dataclass
class Overrides:
    """What of pvgpu is set otherwise than a user has it, since the host leaves no choice; loud in results and logs."""
    settings: dict = field(default_factory=dict)      # keys of [daemon]
    daemon_preload: str = ""     # LD_PRELOAD of pvgpud: a file of the kit
    why: dict = field(default_factory=dict)           # key or variable -> reason


class Context:
    """What an item knows and may use."""

    def __init__(self, kit, driver, quick=False, risky=False, facts=None, overrides=None, tell=None, scratch=None,
                 logs=None, label="", limit_s=60):
        self.kit = pathlib.Path(kit)        # bin/ lib/ programs/ tests/ kernels/ lie here
        self.driver = str(driver)           # the folder of the driver's libcuda.so.1
        self.libcuda = os.path.join(self.driver, "libcuda.so.1")
        nvml = os.path.join(self.driver, "libnvidia-ml.so.1")
        self.nvml = nvml if os.path.exists(nvml) else ""
        self.quick = quick                  # a rehearsal: small sizes, few rounds
        self.risky = risky
        self.facts = facts or {}            # item of the stage facts -> its values
        self.overrides = overrides or Overrides()
        self.scratch = str(scratch or tempfile.gettempdir())  # a folder of the item's own, removed behind it
        self._tell = tell or (lambda **_: None)
        self._logs = str(logs or self.scratch)
        self._label = label
        self._end = time.monotonic() + limit_s
        self._daemons = 0

    # what it says

    def keep(self, **values):
        """Values that stay also when the item crashes or hangs afterwards; what it returns is added to them."""
        self._tell(keep=values)

    def verdict(self, assumption, verdict, detail=""):
        """HOLDS, FAILS or NOT_SEEN on an id of assumptions.def. Said twice, FAILS stays."""
        self._tell(verdict=[assumption, verdict, detail])

    def say(self, text):
        """A line of progress for who watches."""
        self._tell(say=str(text))

    def leave(self, name, text):
        """A file of its own among the results, for what is too large to be read there."""
        self._tell(leave=[name, text])

    def log(self, name):
        """A text file of the logs, to append to."""
        return open(os.path.join(self._logs, f"{self._label}{name}"), "a", encoding="utf-8", errors="replace")

    def remaining(self):
        """Seconds that the item still has."""
        return max(0.0, self._end - time.monotonic())

    # what it runs

    def path(self, name):
        """A file of the kit, such as "tests/gpu-meter"."""
        found = self.kit / name
        if not found.exists():
            raise Failed(f"{name} is not in this kit")
        return str(found)

    def sim(self):
        """Settings of the simulated GPU in the environment; none elsewhere."""
        return {k: v for k, v in os.environ.items() if k.startswith("SIMCUDA_")}

    def env_direct(self, extra=None):
        """The environment of a program on the driver itself."""
        return programs.direct_env(self.driver, {**self.sim(), **(extra or {})})

    def run(self, argv, env=None, limit_s=None, check=True):
        """A command in a process group of its own: programs.Result (status, stdout, stderr, seconds). Without env: directly
        on the driver. check: an exception, with the end of its errors, unless it ended with 0."""
        limit = min(limit_s or self.remaining(), self.remaining())
        result = programs.run(argv, env or self.env_direct(), limit)
        if check and result.status != 0:
            lines = (result.stderr or result.stdout).decode(errors="replace").strip().splitlines()
            how = f"did not end in {limit:.0f} s" if result.status is None else f"ended with {result.status}"
            raise Failed(f"{os.path.basename(str(argv[0]))} {how}" + (f": {lines[-1]}" if lines else ""))
        return result

    def probe(self, *words):
        """gpu-probe with these words: its JSON lines. It ends a step by itself, and says so, before the item's time is over."""
        cmd = [self.path("tests/gpu-probe"), "--libcuda", self.libcuda, "--nvml", self.nvml,
               "--limit-s", str(max(1, int(self.remaining() - 2))), *(["--quick"] if self.quick else [])]
        result = self.run([*cmd, *words], check=False)
        with self.log("probe.log") as log:
            log.write(result.stderr.decode(errors="replace"))
        lines = [json.loads(line) for line in result.stdout.decode(errors="replace").splitlines() if line.startswith("{")]
        if not lines:
            said = result.stderr.decode(errors="replace").strip().splitlines()
            raise Failed("gpu-probe said nothing" + (f": {said[-1]}" if said else f", status {result.status}"))
        return lines

    def pvgpu(self, vgpus=None, settings=None, worker_env=None, sim=None, wrap=None, **kw):
        """A PvgpuEnv (tests/integration/pvgpu_env.py) on the driver, with this host's overrides:

            with ctx.pvgpu(vgpus={"vgpu0": "4G", "vgpu1": "4G,weight=300"}, settings={"spare_workers": 2}) as env:
                env.run([...], name="vgpu1")              # through pvgpu; popen() likewise
                env.run([...], direct=True)               # the same on the driver
                env.read("/vgpu/vgpu1/memory-used")       # pvgpud's keys

        On leaving nothing may be left behind. pvgpud's log goes to the logs."""
        settings = {"libnvml": self.nvml, "health_user": "", **self.overrides.settings, **(settings or {})}
        worker_env = {**{k: v for k, v in os.environ.items() if k == MARK}, **(worker_env or {})}
        # libcuda finds its compiler by the linker's search; the worker's environment is otherwise empty.
        if self.driver not in SEARCHED:
            worker_env.setdefault("LD_LIBRARY_PATH", self.driver)
        # What NVIDIA's libcuda asks for is to be seen, not refused.
        settings = {"sandbox": "off", **(settings or {})}
        wrap = list(wrap or [])
        if self.overrides.daemon_preload:
            wrap = ["env", "LD_PRELOAD=" + self.path(self.overrides.daemon_preload), *wrap]
        env = PvgpuEnv(vgpus=vgpus, settings=settings, worker_env=worker_env, sim={**self.sim(), **(sim or {})}, wrap=wrap,
                       build=str(self.kit), libcuda=self.libcuda, **kw)
        # Not in the folder that it removes in the end.
        self._daemons += 1
        env.log_path = os.path.join(self._logs, f"{self._label}pvgpud{self._daemons}.log")
        return env
