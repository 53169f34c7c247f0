# SPDX-License-Identifier: MIT
"""Runs a Python program in a forked child, which has the program's modules already: as subprocess.run([python, program, ...]) does,
without the time that an interpreter takes to start and to compile them."""
import os
import runpy
import subprocess
import sys
import tempfile
import traceback

loaded = set()


def load(program):
    """Its modules, into this process."""
    if program not in loaded:
        loaded.add(program)
        sys.path.insert(0, os.path.dirname(program))
        runpy.run_path(program, run_name="loaded")


def child(program, args, out, err):
    """Never returns."""
    status = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # pylint: disable=consider-using-with
        sys.argv = [program, *args]
        runpy.run_path(program, run_name="__main__")
        status = 0
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else int(e.code is not None)
        if isinstance(e.code, str):
            print(e.code, file=sys.stderr)
    except BaseException:  # pylint: disable=broad-except
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run(program, *args):
    load(program)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            child(program, args, out.fileno(), err.fileno())
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess([program, *args], status, *texts)
