#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A new field of a vGPU's policy is described once: planted in a copy of the description, and nowhere else, it is there in
pvgpuctl's options and help, in pvgpud.conf, in pvgpud's tree, in the man pages and in docs/xenstore.md. What a field does
is its use in the code, and a test: three files in all.

A new option and a new subcommand of pvgpuctl are a row of cli.def, their use, the man page and a test: four files each.

PVGPU_BUILD: the build folder whose simulated GPU is used; the programs are made anew, in PVGPU_BUILD/planted and
PVGPU_BUILD/planted-ctl."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tests" / "integration"))
import ctl_man_test  # noqa: E402
from pvgpu_env import PvgpuEnv  # noqa: E402

BEFORE = "    field pardon "
FIELD = '    field planted u32 min 2 max 7 default 3 since 1 "a field that only this test has"\n'


def run(*command, **kw):
    kw = {"cwd": TOP, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **kw}
    return subprocess.run([str(c) for c in command], check=False, **kw)


class Planted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="pvgpu-planted-")
        cls.schema = pathlib.Path(cls.folder.name) / "planted.schema"
        text = (TOP / "xenstore-schema" / "pvgpu.schema").read_text()
        assert text.count(BEFORE) == 1
        cls.schema.write_text(text.replace(BEFORE, FIELD + BEFORE))
        shutil.copy(TOP / "xenstore-schema" / "pvgpu.statistics", cls.folder.name)
        cls.build = BUILD / "planted"
        made = run("make", "--no-print-directory", "-j2", f"B={cls.build}", f"SCHEMA={cls.schema}", "CFLAGS=-O0",
                   *(cls.build / "bin" / p for p in ("pvgpuctl", "pvgpud", "pvgpu-worker", "pvgpu-health")))
        assert made.returncode == 0, made.stdout

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def ctl(self, *args):
        return run(self.build / "bin" / "pvgpuctl", *args)

    def test_help(self):
        text = self.ctl("attach", "--help").stdout
        self.assertRegex(text, r"--planted N +a field that only this test has \(default 3\)")
        self.assertNotIn("--pardon", text)

    def test_documents(self):
        folder = pathlib.Path(self.folder.name) / "docs"
        shutil.copytree(TOP / "docs" / "man", folder / "man")
        done = run(sys.executable, "xenstore-schema/gen/schema.py", "--no-lock", "--docs", "--docs-file",
                   folder / "xenstore.md", self.schema)
        self.assertEqual(done.returncode, 0, done.stdout)
        for name, want in (("xenstore.md", "planted"), ("man/pvgpuctl.8", ".It Fl -planted Ar N"),
                           ("man/pvgpud.conf.5", ".It Cm planted\nA field that only this test has.\n"
                                                 "A value is a number from 2 to 7 (default 3).")):
            self.assertIn(want, (folder / name).read_text(), name)

    def test_pvgpud(self):
        os.symlink(BUILD / "simcuda", self.build / "simcuda") if not (self.build / "simcuda").exists() else None
        with PvgpuEnv({"a": "memory=64M,planted=5", "b": "64M"}, build=str(self.build)) as env:
            self.assertEqual((env.read("/vgpu/a/planted"), env.read("/vgpu/b/planted")), ("5", "3"))
            done = self.ctl("--run-dir", env.run_dir, "set", "a", "planted=7")
            self.assertEqual((done.returncode, env.read("/vgpu/a/planted")), (0, "7"), done.stdout)
            done = self.ctl("--run-dir", env.run_dir, "set", "a", "planted=8")
            self.assertEqual((done.returncode, env.read("/vgpu/a/planted")), (1, "7"), done.stdout)
            self.assertIn("must be a number from 2 to 7", done.stdout)

    def test_bounds_in_the_configuration(self):
        done = run(self.build / "bin" / "pvgpud", "--config", "/dev/null", "--vgpu", "a:planted=1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("planted = 1: must be a number from 2 to 7", done.stdout)


CLI = "xen-pvgpu-back/ctl/core/cli.def"
MAN = "docs/man/pvgpuctl.8"
TEST = "tests/unit/ctl/ctl_cli_test.c"
IN_TEST = '	ck_assert_int_eq(RUN("--help"), EXIT_DONE);\n'
# What is written by hand: {file: [(there, what goes before it)]}
OPTION = {
    CLI: [("GROUP(FOR_SIZING)", "GROUP(FOR_PLANTED)\n"),
          ("FLAG(all,", 'TEXT(planted, "planted", "WORD", FOR_PLANTED, "an option that only this test has")\n'),
          ("0, check_main, check_main", "FOR_PLANTED | ")],
    "xen-pvgpu-back/ctl/check.c": [("	if (!f)\n		return fail(", "	if (ctl.planted)\n		puts(ctl.planted);\n")],
    MAN: [(".It Cm sizing Fl -load", ".Fl -planted Ar WORD\nis printed first.\n")],
    TEST: [(IN_TEST, '	ck_assert_int_eq(RUN("check", "--planted", "seed", "/nonexistent"), 2);\n	HAS(out, "seed");\n')],
}
COMMAND = {
    CLI: [('LOCAL_COMMAND("tree"', 'LOCAL_COMMAND("planted", "WORD", "a subcommand that only this test has", 1, 1, FOR_LOCAL, '
                                   'local_planted)\n')],
    "xen-pvgpu-back/ctl/local/local.c": [("int local_read(", "int local_planted(int argc, char **argv)\n{\n	puts(argv[0]);\n	return EXIT_DONE;\n}\n\n")],
    MAN: [(".It Cm tree Op", ".It Cm planted Ar WORD\nPrint it.\n")],
    TEST: [(IN_TEST, '	ck_assert_int_eq(RUN("planted", "tree"), EXIT_DONE);\n	ck_assert_str_eq(out, "tree\\n");\n')],
}
TREE = ("docs", "libpvgpu", "linux-pvgpu-front", "tests", "xen-pvgpu-back", "xenstore-schema")


class PlantedCtl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="pvgpu-planted-ctl-")
        cls.top = pathlib.Path(cls.folder.name)
        for name in TREE:  # with their times: what is not changed is not compiled again
            shutil.copytree(TOP / name, cls.top / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(TOP / "Makefile", cls.top)
        for name, changes in (*OPTION.items(), *COMMAND.items()):
            text = (cls.top / name).read_text()
            for there, new in changes:
                assert text.count(there) == 1, (name, there)
                text = text.replace(there, new + there)
            (cls.top / name).write_text(text)
        build = BUILD / "planted-ctl"
        cls.program, cls.test = build / "bin" / "pvgpuctl", build / "unit" / "ctl_cli_test"
        made = run("make", "--no-print-directory", "-j2", f"B={build}", "CFLAGS=-O0", cls.program, cls.test, cwd=cls.top)
        assert made.returncode == 0, made.stdout

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_files(self):
        for files in (OPTION, COMMAND):
            self.assertLessEqual({MAN, TEST}, set(files))
            self.assertLessEqual(len(files), 4)

    def test_help(self):
        self.assertRegex(run(self.program, "check", "--help").stdout, r"--planted WORD +an option that only this test has\n")
        self.assertRegex(run(self.program, "--help").stdout, r"  planted WORD +a subcommand that only this test has\n")
        done = run(self.program, "list", "--planted", "seed")
        self.assertEqual((done.returncode, done.stdout), (2, "pvgpuctl: --planted is no option of list\n"))

    def test_use(self):
        done = run(self.test)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_man_page(self):
        self.assertEqual(ctl_man_test.faults(self.program, (self.top / MAN).read_text()), [])
        self.assertEqual(ctl_man_test.faults(self.program, (TOP / MAN).read_text()),
                         ["--planted of check is not in the man page", "planted is not in the man page"])


if __name__ == "__main__":
    unittest.main()
