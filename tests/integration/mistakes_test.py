# SPDX-License-Identifier: MIT
"""Fifteen mistakes that an operator makes, with pvgpuctl's and pvgpud's answers: each has the exit status of its kind, names the thing, the value and the way out,
and changes nothing. The table in docs/operators/troubleshooting.md is this test's run; --update writes it. PVGPU_BUILD: the build folder."""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from pvgpu_env import LIMIT, ROOT, PvgpuEnv, program

sys.path.insert(0, os.path.join(ROOT, "tests", "xapi"))
from plugin_test import xenstore  # noqa: E402

PAGE = pathlib.Path(ROOT, "docs", "operators", "troubleshooting.md")
BEGIN, END = "<!-- mistakes: tests/integration/mistakes_test.py --update -->\n", "<!-- end of mistakes -->\n"
CONF = "[vgpu a]\nmemory = 1G\nwieght = 5\n"
# Where it is made ("" is this machine's pvgpud, "xen" dom0, "check" pvgpud --check of CONF), the words, the exit status.
MISTAKES = (
    ("a size without its unit", "xen", "attach web1 --memory 8", 2),
    ("the same for one that is there", "", "set one memory=8", 2),
    ("a misspelt setting", "", "set one wieght=5", 2),
    ("a value that cannot be", "", "set one weight=0", 2),
    ("settings that contradict each other", "", "set one min-share=60% max-share=50%", 2),
    ("a word that is none", "xen", "attach web1 --priority urgent", 2),
    ("a misspelt vGPU", "", "show wob1", 3),
    ("a VM that does not run", "xen", "attach web9 --memory 1G", 3),
    ("a profile that nobody has defined", "xen", "attach web1 --profile pvgpu-9g --site-dir SITE", 3),
    ("more memory than is left", "xen", "attach web1 --memory 90G", 1),
    ("a GPU by its number, not its pool", "", "gpu drain 0", 3),
    ("taking back a GPU that was never drained", "", "gpu admit default", 0),
    ("a session that has ended", "", "kill one 99", 3),
    ("a key that cannot be set", "", "write /vgpu/one/sessions 5", 1),
    ("a misspelt key in pvgpud.conf", "check", "pvgpud --check", 2),
)


class Mistakes(unittest.TestCase):
    def run_one(self, env, folder, where, text):
        words = [str(folder) if w == "SITE" else w for w in text.split()]
        more = {}
        if where == "check":
            command = [program("pvgpud", env.build), "--config", str(folder / "pvgpud.conf"), "--check"]
        elif where == "xen":
            command = [os.path.join(env.build, "tests", "pvgpuctl-fake"), *words]
            more = {"PVGPU_FAKE_XENSTORE": str(folder / "xenstore")}
        else:
            command = [program("pvgpuctl", env.build), *words, "--run-dir", env.run_dir, "--timeout", str(LIMIT)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, env={**os.environ, **more})
        said = (done.stderr or done.stdout).strip().replace(str(folder), "/etc/pvgpu")
        return done.returncode, re.sub("^pvgpuctl: |^pvgpud: ", "", said, flags=re.M)

    def table(self):
        rows = ["| mistake | command | status | answer |", "|---|---|---:|---|"]
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pvgpu-")))
            (folder / "pvgpud.conf").write_text(CONF)
            (folder / "profiles.conf").write_text("[profile pvgpu-8g]\nmemory = 8G\n")
            (folder / "xenstore").write_text(xenstore().replace("i-2-100-VM", "web1"))
            env = stack.enter_context(PvgpuEnv({"one": "memory=64M"}))
            env.wait_spare()
            before = env.ask(op="tree", path="/vgpu/one")["tree"]
            for what, where, text, status in MISTAKES:
                with self.subTest(text=text):
                    got, said = self.run_one(env, folder, where, text)
                    self.assertEqual(got, status, said)
                    self.assertEqual(said.count("\n"), 0, said)
                    self.assertNotRegex(said, "/pool/|/vgpu/one/[a-z]+ *[^:,]*pardon", said)
                    shown = text if where == "check" else f"pvgpuctl {text.replace(' --site-dir SITE', '')}"
                    rows.append(f"| {what} | `{shown}` | {got} | {said.replace('|', '&#124;')} |")
            after = env.ask(op="tree", path="/vgpu/one")["tree"]
            self.assertEqual([k for k in before if before[k] != after[k]], [])
        return "\n".join(rows) + "\n"

    def test_table(self):
        self.assertEqual(len(MISTAKES), 15)
        table, page = self.table(), PAGE.read_text()
        head, rest = page.split(BEGIN)
        old, tail = rest.split(END)
        if "--update" in OPTIONS:
            PAGE.write_text(head + BEGIN + table + END + tail)
        else:
            self.assertEqual(old, table, f"{PAGE}: python3 tests/integration/mistakes_test.py --update")


OPTIONS = [sys.argv.pop(sys.argv.index(o)) for o in ("--update",) if o in sys.argv]
if __name__ == "__main__":
    unittest.main()
