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
AUDIT = "pvgpu-audit.so"
HERE = pathlib.Path(__file__).resolve().parent


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

    def with_audit(self):
        built = pathlib.Path(RUN).resolve().parents[1] / "lib"
        for name in AUDIT, f"lib/{AUDIT}", f"lib64/{AUDIT}", f"lib/x86_64-linux-gnu/{AUDIT}", f"lib/i386-linux-gnu/{AUDIT}":
            (self.libraries / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(built / name, self.libraries / name)

    def old_glibc(self):
        tools = self.top / "tools"
        tools.mkdir()
        (tools / "getconf").write_text("#!/bin/sh\necho glibc 2.31\n")
        (tools / "getconf").chmod(0o755)
        return f"{tools}:{os.environ['PATH']}"

    def test_environment(self):
        show = self.script("show", '#!/bin/sh\necho "$LD_LIBRARY_PATH|$LD_PRELOAD|$LD_AUDIT|$*"\nexit 7\n')
        at = self.libraries
        preloaded = f"{at}/libcudart.so.12:{at}/libcudart.so.13"
        self.assertEqual(self.run_it(show, "a", "--b"), (7, f"{at}|{preloaded}||a --b\n", ""))
        self.assertEqual(self.run_it("--", show, LD_LIBRARY_PATH="/x"), (7, f"{at}:/x|{preloaded}||\n", ""))
        self.with_audit()
        self.assertEqual(self.run_it(show, "a"), (7, f"{at}||{at}/{AUDIT}|a\n", ""))
        self.assertEqual(self.run_it(show, PATH=self.old_glibc()), (7, f"{at}|{preloaded}||\n", ""))

    def build_first(self):
        """A libcudart of ours (1), some of others (2), and a program whose DT_RPATH leads to theirs."""
        self.with_audit()
        theirs = self.top / "nvidia/lib"
        theirs.mkdir(parents=True)
        for whose, folder, names in (1, self.libraries, NAMES), (2, theirs, ("libcudart.so.12", "libcudart.so.13.0.96", "libcudart.so.11.0",
                                                                              "libcudart.so.12-other", "libother.so.12")):
            for name in names:
                (folder / name).unlink(missing_ok=True)
                subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", "-o", folder / name, f"-Wl,-soname,{name}"], check=True, text=True,
                               input=f"int whose(void); int whose(void) {{ return {whose}; }}")
        program = self.top / "first"
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-no-pie", HERE / "first.c", "-o", program, theirs / "libcudart.so.12", "-ldl",
                        "-Wl,-z,lazy,--disable-new-dtags", f"-Wl,-rpath,{theirs}"], check=True)
        return str(program), theirs

    def test_ours_first(self):
        """By DT_RPATH, by name, by absolute path and with a longer version; other names stay; calls go the direct way."""
        program, theirs = self.build_first()
        names = (f"{theirs}/libcudart.so.12", "libcudart.so.12", "libcudart.so.13", f"{theirs}/libcudart.so.13.0.96", f"{theirs}/libcudart.so.11.0",
                 f"{theirs}/libcudart.so.12-other", f"{theirs}/libother.so.12")
        alone = subprocess.run([program, *names], env={**os.environ, "LD_LIBRARY_PATH": ""}, capture_output=True, text=True, timeout=120, check=True).stdout
        self.assertEqual(alone, "2 2 2 -1 2 2 2 2 direct\n")
        self.assertEqual(self.run_it(program, *names), (0, "1 1 1 1 1 2 2 2 direct\n", ""))

    def test_check_of_a_library(self):
        program, theirs = self.build_first()
        (self.libraries / "libcudart.so.13").unlink()
        (self.libraries / "libcudart.so.13").touch()
        wants = theirs / "framework.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", "-xnone", "-o", wants, theirs / "libcudart.so.12"], check=True, text=True,
                       input="int cudaNotThere(void); int whose(void); const char *name = \"libcufft.so.11\"; int f(void); "
                             "int f(void) { return cudaNotThere() + whose(); }")
        for what in wants, theirs:
            status, out, _ = self.run_it("--check", "--json", str(what))
            self.assertEqual(status, 1)
            found = json.loads(out)
            self.assertEqual((found["program"], found["served"]), (str(what), ["libcudart.so.12"]))
            self.assertEqual(len(found["missing"]), 2, found)
            self.assertIn(f"{wants} names libcufft.so.11, which pvgpu does not have", found["missing"][0])
            self.assertEqual(f"{wants} wants what no library here has: cudaNotThere", found["missing"][1])
        self.assertEqual(self.run_it("--check", program), (0, "libcudart.so.12: of pvgpu\nnothing is missing\n", ""))

    def test_others_names(self):
        """Libraries of others whose names begin as NVIDIA's do are not taken for NVIDIA's."""
        (self.libraries / "libcudnn_ops.so.9").touch()
        others = ("libcurl.so.4", "libcups.so.2", "libcue.so.2", "libcudf.so.1", "libnvme.so.1", "libnvpair.so.3")
        theirs = ("libcufft.so.11", "libcuinj64.so.12", "libcusolverMg.so.11", "libnvinfer_plugin.so.10", "libnvjpeg.so.12")
        program = self.script("program", "#!/bin/sh\n# " + " ".join((*others, *theirs, "libcudnn_ops.so.9", "libnvrtc.so.12", "libnvidia-ml.so.1")))
        (self.libraries / "libnvidia-ml.so.1").touch()
        found = json.loads(self.run_it("--check", "--json", program)[1])
        self.assertEqual(found["served"], ["libcudnn_ops.so.9", "libnvidia-ml.so.1"])
        self.assertEqual(found["missing"], [f"{program} names {name}, which pvgpu does not have: NVIDIA's own accepts NVIDIA's own driver only"
                                            for name in theirs])

    def test_names_of_the_shell(self):
        """Programs that the shell, or pvgpu-run itself, has a command of the same name for."""
        self.assertEqual(self.run_it("echo", "x"), (0, "x\n", ""))
        self.assertEqual(self.run_it("printf", "x"), (0, "x", ""))
        self.assertEqual(self.run_it("test", "a", "=", "b"), (1, "", ""))
        self.script("fail", "#!/bin/sh\necho failed\n")
        for path in self.top / "none", self.top / "*":
            self.assertEqual(self.run_it("fail", PATH=f"{path}:{os.environ['PATH']}")[0], 127)
        for path in f"{self.top}:", ":", ".":
            done = subprocess.run([str(pathlib.Path(RUN).resolve()), "fail"], env={**self.env, "PATH": f"{path}:{os.environ['PATH']}"}, cwd=self.top,
                                  capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, "failed\n"), path)

    def test_system(self):
        program, _ = self.build_first()
        etc = self.top / "etc"
        env = {"PVGPU_ETC": str(etc), "PVGPU_SYS": str(self.top / "sys")}
        etc.mkdir()
        before = "# what the owner has\nLANG=C.UTF-8\n"
        (etc / "environment").write_text(before)
        self.assertEqual(self.run_it("--system", "status", **env), (0, "off\n", ""))
        for _ in range(2):
            self.assertEqual(self.run_it("--system", "on", **env)[0], 0)
        self.assertEqual(self.run_it("--system", "status", **env), (0, "on\n", ""))
        value = f"LD_AUDIT={self.libraries}/$LIB/{AUDIT}"
        self.assertEqual((etc / "environment").read_text(), f"{before}{value}\n")
        self.assertIn(f'DefaultEnvironment="{value}"\n', (etc / "systemd/system.conf.d/pvgpu.conf").read_text())
        got = subprocess.run([program], env={"LD_AUDIT": value.partition("=")[2]}, capture_output=True, text=True, timeout=120, check=True)
        self.assertEqual((got.stdout, got.stderr), ("1 direct\n", ""))
        self.assertEqual(self.run_it("--system", "off", **env)[0], 0)
        self.assertEqual((etc / "environment").read_text(), before)
        self.assertEqual([p for p in etc.rglob("*") if p.is_file()], [etc / "environment"])

    def test_system_without_last_newline(self):
        """The last line of /etc/environment need not end with a newline, and what an interrupted run left is not taken."""
        self.with_audit()
        etc = self.top / "etc"
        env = {"PVGPU_ETC": str(etc), "PVGPU_SYS": str(self.top / "sys")}
        etc.mkdir()
        value = f"LD_AUDIT={self.libraries}/$LIB/{AUDIT}\n"
        for before, after in ("LANG=C.UTF-8", "LANG=C.UTF-8\n"), ("", ""), (None, ""):
            with self.subTest(before):
                (etc / "environment").unlink(missing_ok=True)
                (etc / "environment.pvgpu").write_text("LEFT=1\n")
                if before is not None:
                    (etc / "environment").write_text(before)
                self.assertEqual(self.run_it("--system", "on", **env)[0], 0)
                self.assertEqual((etc / "environment").read_text(), after + value)
                self.assertEqual(self.run_it("--system", "status", **env)[1], "on\n")
                self.assertEqual(self.run_it("--system", "off", **env)[0], 0)
                self.assertEqual((etc / "environment").read_text(), after)

    def test_system_refused(self):
        self.with_audit()
        etc = self.top / "etc"
        env = {"PVGPU_ETC": str(etc), "PVGPU_SYS": str(self.top / "sys")}
        self.assertIn("needs glibc 2.35 or newer", self.run_it("--system", "on", PATH=self.old_glibc(), **env)[2])
        (self.top / "sys/module/nvidia").mkdir(parents=True)
        self.assertIn("NVIDIA's own driver is loaded here", self.run_it("--system", "on", **env)[2])
        (self.top / "sys/module/nvidia").rmdir()
        etc.mkdir()
        (etc / "environment").write_text("LD_AUDIT=/x.so\n")
        status, out, err = self.run_it("--system", "on", **env)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("sets LD_AUDIT already", err)
        self.assertEqual([p.name for p in etc.rglob("*")], ["environment"])

    def test_what_is_missing(self):
        good = self.script("good", "#!/bin/sh\n")
        self.assertEqual(self.run_it("--check", good), (0, "nothing is missing\n", ""))
        self.assertEqual(json.loads(self.run_it("--check", "--json", good)[1]), {"program": good, "served": [], "missing": []})
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
        for words in ([], ["--system"], ["--system", "of"], ["--system", "on", "true"], ["--what", "true"], ["--json", "true"]):
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
