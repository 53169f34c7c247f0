# SPDX-License-Identifier: MIT
"""A Python environment of a test's own, into which wheels are installed."""
import subprocess
import sys
import unittest


def pip(folder, *words):
    """Run pip in the environment `folder`/venv, which is made the first time; returns its Python. A test is skipped where pip
    cannot have what it wants."""
    python = folder / "venv/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    done = subprocess.run([python, "-m", "pip", "--quiet", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise unittest.SkipTest(f"pip {words[0]} fails: {done.stderr}")
    return python
