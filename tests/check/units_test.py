#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The units of systemd: clean, and open no more than they were (systemd-analyze). Whether they leave enough open
only their programs can tell: the lab's scenario vgpu-systemd.

The score is systemd 252's; other versions weigh differently, and only their complaints count."""
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = ROOT / "xen-pvgpu-back/systemd"
MOST = {"pvgpud.service": 3.5, "pvgpu-attachd.service": 1.5, "pvgpu-cloudstack.service": 1.5, "pvgpu-exporter.service": 1.5}
WITH_SANDBOX = ("pvgpud.service", "pvgpu-attachd.service")
MEASURED_BY = 252


def systemd_version():
    out = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.match(r"systemd (\d+)", out)[1])


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is missing")
class Units(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for source in UNITS.glob("*.in"):
            # systemd-analyze looks whether the programs are there.
            text = re.sub(r"@PREFIX@/s?bin/[a-z-]+", "/bin/true", source.read_text())
            (self.folder / source.stem).write_text(text)

    def test_all_are_known(self):
        self.assertEqual({p.name for p in self.folder.iterdir()}, set(MOST))

    def test_programs_can_close_sandboxes(self):
        """@system-service lacks what their own sandboxes are closed with."""
        for name in WITH_SANDBOX:
            allowed = re.findall(r"^SystemCallFilter=([^~].*)$", (self.folder / name).read_text(), re.M)
            for call in ("seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"):
                self.assertIn(call, " ".join(allowed).split(), name)

    def test_programs_are_in_every_system(self):
        """Beside ours only the shell: a small system of Debian has no /bin/kill, and `systemctl reload` would fail there."""
        for source in UNITS.glob("*.in"):
            programs = re.findall(r"^Exec\w+=[-+]?(\S+)", source.read_text(), re.M)
            self.assertEqual([p for p in programs if not p.startswith("@PREFIX@/") and p != "/bin/sh"], [], source.name)

    def test_attachd_starts_where_it_can_work(self):
        """In dom0, not in a driver domain, whose tools come with the same package. It asks outside the unit's own /proc, where nothing is mounted."""
        mark, words = re.search(r"^ExecCondition=(\+?)(.*)$", (UNITS / "pvgpu-attachd.service.in").read_text(), re.M).groups()
        self.assertEqual(mark, "+")
        for text, starts in ("control_d\n", True), ("", False), (None, False):
            at = self.folder / "capabilities"
            at.unlink(missing_ok=True)
            if text is not None:
                at.write_text(text)
            done = subprocess.run(shlex.split(words.replace("$$", "$").replace("/proc/xen/capabilities", str(at))), stderr=subprocess.DEVNULL, check=False)
            self.assertEqual(done.returncode == 0, starts, text)

    def test_scores(self):
        if systemd_version() != MEASURED_BY:
            self.skipTest(f"the scores are of systemd {MEASURED_BY}")
        for name, most in MOST.items():
            with self.subTest(name):
                r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", self.folder / name],
                                   capture_output=True, text=True, check=False)
                score = re.search(r"Overall exposure level for \S+: ([\d.]+)", r.stdout)
                self.assertTrue(score, r.stdout + r.stderr)
                self.assertLessEqual(float(score[1]), most, r.stdout)
                print(f"{name}: {score[1]}, at most {most}", file=sys.stderr)

    def test_no_complaints(self):
        for name in MOST:
            with self.subTest(name):
                r = subprocess.run(["systemd-analyze", "verify", "--man=no", self.folder / name], capture_output=True,
                                   text=True, check=False)
                ours = [line for line in (r.stdout + r.stderr).splitlines() if name in line]
                self.assertEqual(ours, [])


if __name__ == "__main__":
    unittest.main()
