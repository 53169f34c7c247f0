#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpu-run: what it sets up, and what it says is missing. Usage: run_test.py PVGPU-RUN"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

RUN = sys.argv.pop(1) if len(sys.argv) > 1 else "build/bin/pvgpu-run"
NAMES = ("libcuda.so.1", "libcudart.so.12", "libcudart.so.13")


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-")
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        self.libraries = self.top / "libraries"
        self.libraries.mkdir()
        for name in NAMES:
            (self.libraries / name).touch()
        vgpu = socket.socket(socket.AF_UNIX)
        self.addCleanup(vgpu.close)
        vgpu.bind(str(self.top / "vgpu.sock"))
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PVGPU_", "LD_"))}
        self.env = {**env, "PVGPU_LIBRARIES": str(self.libraries), "PVGPU_SOCKET": str(self.top / "vgpu.sock")}

    def run_it(self, *words, **env):
        done = subprocess.run([RUN, *words], env={**self.env, **env}, capture_output=True, text=True, timeout=120)
        # The libraries here are empty files.
        err = "".join(line + "\n" for line in done.stderr.splitlines() if not line.startswith("ERROR: ld.so:"))
        return done.returncode, done.stdout, err

    def script(self, name, text):
        path = self.top / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def test_environment(self):
        show = self.script("show", '#!/bin/sh\necho "$LD_LIBRARY_PATH|$LD_PRELOAD|$*"\nexit 7\n')
        at = self.libraries
        self.assertEqual(self.run_it(show, "a", "--b"), (7, f"{at}|{at}/libcudart.so.12:{at}/libcudart.so.13|a --b\n", ""))
        self.assertEqual(self.run_it("--cuda", "13", "--", show, LD_LIBRARY_PATH="/x"), (7, f"{at}:/x|{at}/libcudart.so.13|\n", ""))
        self.assertEqual(self.run_it("--cuda", "none", show), (7, f"{at}||\n", ""))

    def test_what_is_missing(self):
        good = self.script("good", "#!/bin/sh\n")
        self.assertEqual(self.run_it("--check", good), (0, "nothing is missing\n", ""))
        self.assertEqual(json.loads(self.run_it("--check", "--json", good)[1]), {"program": good, "missing": []})
        bad = self.script("bad", "#!/bin/sh\n# cuGetExportTable\n")
        status, out, _ = self.run_it("--check", bad)
        self.assertEqual(status, 1)
        self.assertIn("has NVIDIA's CUDA runtime linked in", out)
        status, _, err = self.run_it(bad)
        self.assertEqual(status, 0)
        self.assertIn("pvgpu-run: " + bad, err)
        (self.libraries / "libcudart.so.13").unlink()
        (self.libraries / "libcuda.so.1").unlink()
        found = json.loads(self.run_it("--check", "--json", good, PVGPU_SOCKET=str(self.top / "no\"ne"))[1])["missing"]
        self.assertEqual([line.split(" in ")[0] for line in found[:2]], ["no libcuda.so.1", "no libcudart.so.13"])
        self.assertIn("no\"ne, which is no socket", found[2])
        self.assertIn("no vGPU: /dev/none", self.run_it("--check", good, PVGPU_SOCKET="", PVGPU_DEVICE="/dev/none")[1])

    def test_busybox(self):
        """Its readlink has no -m."""
        tools = self.top / "tools"
        tools.mkdir()
        (tools / "readlink").write_text(f'#!/bin/sh\n[ "$1" = -f ] || exit 1\nexec {shutil.which("readlink")} "$@"\n')
        (tools / "readlink").chmod(0o755)
        path = f"{tools}:{os.environ['PATH']}"
        show = self.script("show", '#!/bin/sh\necho "$LD_LIBRARY_PATH"\n')
        self.assertEqual(self.run_it(show, PATH=path), (0, f"{self.libraries}\n", ""))
        gone = self.top / "no/such"
        self.assertIn(f"no libcuda.so.1 in {gone}:", self.run_it("--check", show, PATH=path, PVGPU_LIBRARIES=str(gone))[1])

    def test_wrong_use(self):
        for words in ([], ["--cuda", "11", "true"], ["--cuda"], ["--what", "true"], ["--json", "true"]):
            status, out, err = self.run_it(*words)
            self.assertEqual((status, out), (125, ""), words)
            self.assertTrue(err.startswith("pvgpu-run: "), err)
        self.assertEqual(self.run_it("/no/such/program")[0], 127)
        (self.top / "text").write_text("x")
        self.assertEqual(self.run_it(str(self.top / "text"))[0], 126)
        self.assertEqual(self.run_it(str(self.top))[0], 126)

    def test_help(self):
        self.assertIn("usage: pvgpu-run", self.run_it("--help")[1])
        self.assertRegex(self.run_it("--version")[1], r"^pvgpu-run \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
