# SPDX-License-Identifier: MIT
"""Runs test programs directly on a libcuda.so.1 (the far end), or through pvgpu."""
import dataclasses
import os
import pathlib
import signal
import subprocess
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Result:
    status: int      # exit status; negative: the signal that ended it; None: it did not end in time
    stdout: bytes
    stderr: bytes
    seconds: float

    def differs(self, other):
        """Names of fields that differ from the other result's."""
        return [f.name for f in dataclasses.fields(self)
                if f.name != "seconds" and getattr(self, f.name) != getattr(other, f.name)]


def run(command, env, seconds):
    """Run a command in a process group of its own, which is killed when the time is over."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen([str(c) for c in command], env=env, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=err, start_new_session=True)
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        out.seek(0)
        err.seek(0)
        return Result(status, out.read(), err.read(), time.monotonic() - begin)


def names(build, programs="programs"):
    """Built programs that have a source in this tree; NAME-VARIANT is made from NAME's."""
    folder = pathlib.Path(build) / programs
    sources = {p.stem for p in (TREE / "tests" / programs).glob("*.c*")}
    return sorted(p.name for p in folder.iterdir() if p.name.split("-")[0] in sources) if folder.is_dir() else []


def direct_env(library, extra=None):
    """The environment of a program that uses the libcuda.so.1 of this folder itself."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SIMCUDA_", "PVGPU_", "LD_"))}
    return {**env, "LD_LIBRARY_PATH": str(library), **(extra or {})}


def excerpt(text, lines=25):
    """The beginning of an output, indented, to print."""
    parts = text.decode(errors="replace").splitlines()
    return "".join(f"    | {line}\n" for line in parts[:lines]) + ("    | ...\n" if len(parts) > lines else "")
