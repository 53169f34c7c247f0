# SPDX-License-Identifier: MIT
"""Programs that others have written: for the driver API, and for the runtime, of which pvgpu has its own; each natively, then
through pvgpu, and whether their outputs are the same. What they do is in clients/."""
import functools
import glob
import os
import shutil
import sys
from dataclasses import dataclass, field

from stage import SEARCHED, Absent, Failed, Item, Stage
import programs

STAGE = Stage("clients", "PyTorch, Triton, NVRTC, Numba, cuda-python, JAX as they are installed here", limit_s=190)
HERE = os.path.dirname(os.path.abspath(__file__))
ABSENT = 77
LINES = 12      # of what a client says when it fails


@dataclass(frozen=True)
class Client:
    name: str
    script: str
    module: str = None           # that it needs
    extra: dict = field(default_factory=dict)  # of its environment
    runtime: bool = False        # by way of the runtime API: run by pvgpu-run
    refused: bool = False        # whether pvgpu is expected to refuse it


CLIENTS = (Client("torch", "use_torch.py", "torch", runtime=True),
           Client("jax", "use_jax.py", "jax", {"JAX_PLATFORMS": "cuda", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}, True),
           Client("nvrtc", "use_nvrtc.py"),
           Client("triton", "use_triton.py", "triton"),
           Client("cuda_python", "use_cuda_python.py", "cuda"),
           Client("torch_product", "use_torch_product.py", "torch", runtime=True, refused=True),
           Client("torch_compile", "use_torch_compile.py", "torch", runtime=True),
           Client("numba", "use_numba.py", "numba"),
           Client("numba_nvjitlink", "use_numba.py", "numba", {"NUMBA_CUDA_ENABLE_PYNVJITLINK": "1"}))


def items(_):
    for what in CLIENTS:
        yield Item(what.name, functools.partial(client, what), limit_s=120)


# ---- where it runs ----

def interpreters():
    """This one, and others that may have packages of their own; each once."""
    found = [sys.executable, *sorted(glob.glob("/opt/*/bin/python3")), shutil.which("python3") or "", "/usr/local/bin/python3",
             "/usr/bin/python3"]
    # A virtual environment's is a link to another's, and finds other packages.
    return list(dict.fromkeys(p for p in found if p and os.access(p, os.X_OK)))


def interpreter(ctx, module):
    """The first that finds the module, without importing it."""
    for python in interpreters():
        if not module:
            return python
        code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        if ctx.run([python, "-c", code], env=dict(os.environ), limit_s=20, check=False).status == 0:
            return python
    raise Absent(f"no Python here finds the module {module}")


def library_folder(ctx):
    """pvgpu's, which holds the name without a number, too: by that Numba looks first, and would find the driver's own."""
    folder = os.path.dirname(ctx.path("lib/libcuda.so.1"))
    plain = os.path.join(folder, "libcuda.so")
    if not os.path.lexists(plain):
        try:
            os.symlink("libcuda.so.1", plain)
        except OSError:
            pass  # its own setting is there as well
    return folder


def environment(ctx, base, folder, side, extra):
    """folder: of the libcuda to use; "" where the linker finds the driver's by itself. Caches are of this side alone."""
    env = {**base, **extra, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    cache = os.path.join(ctx.scratch, f"cache-{side}")
    env.update(TRITON_CACHE_DIR=os.path.join(cache, "triton"), NUMBA_CACHE_DIR=os.path.join(cache, "numba"),
               CUDA_CACHE_PATH=os.path.join(cache, "cuda"))
    # The host's own folders stay: the packages' libraries may lie there.
    paths = [folder, os.environ.get("LD_LIBRARY_PATH", "")]
    env["LD_LIBRARY_PATH"] = ":".join(p for p in paths if p)
    if not env["LD_LIBRARY_PATH"]:
        del env["LD_LIBRARY_PATH"]
    if folder:
        env["NUMBA_CUDA_DRIVER"] = os.path.join(folder, "libcuda.so.1")
    return env


# ---- what came of it ----

MARK = "client: "


def lines_of(result):
    """Its last words, without what this kit's clients say for the kit."""
    return [line for line in result.stderr.decode(errors="replace").splitlines() if not line.startswith(MARK + "libcuda: ")
            and not line.startswith(MARK + "time: ")][-LINES:]


def told(result, what):
    """What a client says for the kit under a name."""
    mark = f"{MARK}{what}: "
    return [line[len(mark):] for line in result.stderr.decode(errors="replace").splitlines() if line.startswith(mark)]


def libraries(result):
    """The libcuda that it had in its memory in the end; none where it did not get so far."""
    return told(result, "libcuda")


def times(result):
    return {name: float(seconds) for name, seconds in (line.split() for line in told(result, "time"))}


def how(result):
    if result.status is None:
        return "did not end in time"
    return f"died of signal {-result.status}" if result.status < 0 else f"ended with {result.status}"


def said(ctx, side, result):
    with ctx.log(f"{side}.log") as log:
        log.write(result.stdout.decode(errors="replace") + "---\n" + result.stderr.decode(errors="replace"))
    ctx.keep(**{f"{side}_status": "did not end" if result.status is None else result.status,
                f"{side}_seconds": round(result.seconds, 2), f"{side}_libcuda": libraries(result),
                f"{side}_us": {name: round(1e6 * seconds, 3) for name, seconds in times(result).items()}})


def client(what, ctx):
    python = interpreter(ctx, what.module)
    command = [python, os.path.join(HERE, "clients", what.script)]
    driver = "" if ctx.driver in SEARCHED else ctx.driver
    base = {k: v for k, v in os.environ.items() if not k.startswith("PVGPU_")}
    with ctx.pvgpu(vgpus={"vgpu0": "memory=0"}) as env:
        native = programs.run(command, environment(ctx, {**base, **env.sim}, driver, "native", what.extra),
                              min(60, ctx.remaining() / 2))
        said(ctx, "native", native)
        if native.status == ABSENT:
            raise Absent((lines_of(native) or ["not here"])[-1].replace("client: absent: ", ""))
        if native.status != 0:
            # This host's doing, whatever it is.
            text = lines_of(native)
            ctx.keep(native_text=text)
            raise Absent(f"natively it {how(native)}" + (f": {text[-1]}" if text else ""))
        env.wait_spare()
        run = [ctx.path("bin/pvgpu-run"), "--"] if what.runtime else []
        through = programs.run(run + command, environment(ctx, {**base, **guest(env)}, library_folder(ctx), "pvgpu", what.extra),
                               max(1, ctx.remaining() - 10))
        said(ctx, "pvgpu", through)
        before, after = times(native), times(through)
        ctx.keep(time_ratios={name: round(after[name] / before[name], 3) for name in before if after.get(name) and before[name]})
        judge(ctx, env, native, through, what.refused)


def guest(env):
    """The variables that PvgpuEnv adds to a guest's environment."""
    return {k: v for k, v in env.guest_env().items() if os.environ.get(k) != v and k != "LD_LIBRARY_PATH"}


def judge(ctx, env, native, through, refused):
    """The same output, or a refusal that was expected: with a text, and not by a crash."""
    books = env.tree()["vgpu"]["vgpu0"]
    ctx.keep(sessions=int(books["sessions-total"]), sessions_failed=int(books["sessions-failed"]), launches=int(books["launches"]),
             last_reason=books["last-reason"])
    ours = os.path.realpath(ctx.path("lib/libcuda.so.1"))
    strange = [p for p in libraries(through) if os.path.realpath(p) != ours]
    if strange:
        raise Failed(f"through pvgpu it had another libcuda: {strange[0]}")
    if through.status != 0:
        text = lines_of(through)
        ctx.keep(pvgpu_text=text)
        if refused and through.status is not None and through.status > 0 and through.status != ABSENT:
            ctx.keep(refused=1)
            return
        raise Failed(f"through pvgpu it {how(through)}" + (f": {text[-1]}" if text else ""))
    if refused:
        ctx.keep(refused=0)
    ctx.keep(same_output=int(native.stdout == through.stdout))
    if not int(books["sessions-total"]):
        raise Failed("through pvgpu it had no session: whose libcuda was it?")
    if native.stdout != through.stdout:
        raise Failed("its output through pvgpu is another one")
