# SPDX-License-Identifier: MIT
"""Commands of docs/operators/backup.md, as they stand there, in a folder in place of the machine's root. PVGPU_BUILD: the build folder."""
import os
import pathlib
import re
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import unittest

from pvgpu_env import LIMIT, ROOT, program

PAGE = pathlib.Path(ROOT, "docs", "operators", "backup.md").read_text()
FILES = {"etc/pvgpu/pvgpud.conf": "[daemon]\nxen = off\n[vgpu a]\nmemory = 1G\n", "etc/pvgpu/profiles.conf": "[profile small]\nmemory = 2G\n",
         "etc/pvgpu/tenants.conf": "[tenant research]\nvgpus = 4\n", "etc/pvgpu/vms.d/web1.conf": "[vgpu 0]\nprofile = small\n",
         "etc/pvgpu/exporter.token": "secret\n", "etc/xen/web2.cfg": 'pvgpu = ["profile=small"]\n', "etc/hosts": "others' file\n"}


def blocks(heading):
    return re.findall(r"^```sh\n(.*?)^```", PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0], re.M | re.S)


class Backup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-")
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        for name, text in FILES.items():
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.top / "etc/pvgpu/exporter.token").chmod(0o600)
        (self.top / "root").mkdir()
        (self.top / "var/lib/pvgpu-cloudstack").mkdir(parents=True)

    def run_here(self, words):
        """With the folder in place of the root, and pvgpud of the build."""
        for place in "/root/", "/var/lib/":
            words = words.replace(place, f"{self.top}{place}")
        words = words.replace("cd / ", f"cd {self.top} ").replace(" -C / ", f" -C {self.top} ")
        words = words.replace("pvgpud --check", f"{program('pvgpud')} --check --config {self.top}/etc/pvgpu/pvgpud.conf")
        return subprocess.run(["sh", "-ec", words], capture_output=True, text=True, timeout=LIMIT, check=True).stdout

    def tree(self):
        return {str(p.relative_to(self.top)): (stat.S_IMODE(p.stat().st_mode), p.read_text()) for p in (self.top / "etc").rglob("*") if p.is_file()}

    def test_there_and_back(self):
        before = self.tree()
        del before["etc/hosts"]
        self.run_here(blocks("Backup")[0])
        self.assertEqual(stat.S_IMODE((self.top / "root/pvgpu-backup.tar.gz").stat().st_mode), 0o600)
        shutil.rmtree(self.top / "etc")
        unpack, check, *rest = blocks("Restore")[0].splitlines()
        self.run_here(unpack)
        self.assertEqual(self.tree(), before)
        self.run_here(check)
        self.assertEqual([line.split()[0] for line in rest], ["systemctl", "pvgpuctl", "pvgpu-acceptance"])

    def test_ledger(self):
        """A copy of one that is being written to."""
        with sqlite3.connect(self.top / "var/lib/pvgpu-cloudstack/usage.db") as db:
            db.execute("create table used (vm text)")
            db.execute("insert into used values ('web1')")
            db.commit()
            db.execute("insert into used values ('not yet')")
            self.run_here(blocks("Backup")[1])
        copy = self.top / "root/pvgpu-usage.db"
        self.assertEqual(sqlite3.connect(copy).execute("select vm from used").fetchall(), [("web1",)])
        self.assertEqual(stat.S_IMODE(os.stat(copy).st_mode), 0o600)


if __name__ == "__main__":
    unittest.main()
