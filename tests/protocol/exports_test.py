#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of exports.api and its generator: bad descriptions name their line, versions are honoured."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "libpvgpu" / "protocol" / "gen"))
sys.dont_write_bytecode = True
import exports  # noqa: E402

GOOD = "symbol cuInit base cuInit since 2000 forward\n"


def parse_text(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "t.api"
        path.write_text(text)
        return exports.parse(path, exports.read_results())


class BadDescriptions(unittest.TestCase):
    def fails(self, text, line, words):
        with self.assertRaises(exports.DescriptionError) as caught:
            parse_text(text)
        self.assertRegex(str(caught.exception), rf"t\.api:{line}: .*{words}")

    def test_duplicate(self):
        self.fails(GOOD + GOOD, 2, "cuInit again")

    def test_same_version_twice(self):
        self.fails(GOOD + "symbol cuInit_v2 base cuInit since 2000 local\n", 2, "both claim cuInit since 2000")

    def test_revision_out_of_order(self):
        self.fails("symbol cuA base cuA since 3020 local\nsymbol cuA_v2 base cuA since 3000 local\n", 2,
                   "cuA_v2 is not newer")

    def test_unknown_disposition(self):
        self.fails(GOOD + "symbol cuA base cuA since 2000 maybe\n", 2, "unknown disposition 'maybe'")

    def test_no_disposition(self):
        self.fails("symbol cuA base cuA since 2000\n", 1, "disposition is missing")

    def test_bad_versions(self):
        for version in ("soon", "12", "2005", "13010", "-2000"):
            self.fails(f"symbol cuA base cuA since {version} local\n", 1, f"bad version '{version}'")

    def test_unknown_result(self):
        self.fails("symbol cuA base cuA since 2000 refuse SULKING\n", 1, "CUDA_ERROR_SULKING")

    def test_refused_without_a_rule(self):
        self.fails("symbol cuA base cuA since 2000 refuse NOT_SUPPORTED\n", 1, "without a rule")

    def test_undeclared(self):
        self.fails(GOOD + 'undeclared cuA SULKING "no"\n', 2, "CUDA_ERROR_SULKING")
        self.fails(GOOD + 'undeclared cudbgA NOT_SUPPORTED "no"\n', 2, "no good|not a good name")
        self.assertEqual([s.name for s in parse_text(GOOD + 'undeclared cuA NOT_SUPPORTED "no"\n')], ["cuInit"])

    def test_name_and_base_differ(self):
        self.fails("symbol cuA_v2 base cuB since 2000 local\n", 1, "cuA_v2")

    def test_mark_missing(self):
        self.fails("symbol cuA_ptsz base cuA since 7000 local\n", 1, "cuA_ptsz")

    def test_per_thread_form_alone(self):
        self.fails("symbol cuA_ptsz base cuA since 7000 ptsz local\n", 1, "without cuA")

    def test_per_thread_form_differs(self):
        self.fails("symbol cuA base cuA since 2000 local\nsymbol cuA_ptsz base cuA since 7000 ptsz forward\n", 2,
                   "cuA is local")

    def test_not_a_symbol(self):
        self.fails("symbol main base main since 2000 local\n", 1, "no driver API symbol")

    def test_syntax(self):
        self.fails("symbol cuA base cuA until 2000 local\n", 1, "'since' expected, not 'until'")
        self.fails("export cuA\n", 1, "unknown statement 'export'")
        self.fails('symbol cuA base cuA since 2000 local "x\n', 1, "cannot read '\"x'")
        self.fails('symbol cuA base cuA since 2000 "x" local\n', 1, "unknown disposition '\"x\"'")
        self.fails("symbol cuA base cuA since 2000 local now\n", 1, "unexpected 'now'")
        self.fails("section Devices\n", 1, "a section's title must be in quotes, not 'Devices'")
        self.fails('section "Devices" more\n', 1, "unexpected 'more'")
        self.fails("# nothing\n", 1, "no symbol")

    def test_command_line_names_the_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "t.api"
            path.write_text("\n" + GOOD + GOOD)
            done = subprocess.run([sys.executable, exports.__file__, "--api", str(path), "--out", folder],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{path}:3:", done.stderr)


class TheDescription(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.symbols = exports.parse(exports.API, exports.read_results())
        cls.rows = exports.procaddr_rows(cls.symbols)

    def find(self, name, version, per_thread=False):
        """What the generated table's search does, in Python."""
        best = None
        for base, since, plain, thread in self.rows:
            if base == name and since <= version:
                best = thread.name if per_thread and thread else plain.name
        return best

    def test_counts(self):
        self.assertEqual(len(self.symbols), 672)
        self.assertEqual(len({s.base for s in self.symbols}), 478)

    def test_version_asked_for_is_honoured(self):
        for name, version, symbol in (
                ("cuDeviceGetUuid", 9020, "cuDeviceGetUuid"), ("cuDeviceGetUuid", 11040, "cuDeviceGetUuid_v2"),
                ("cuDevicePrimaryCtxRelease", 7000, "cuDevicePrimaryCtxRelease"),
                ("cuDevicePrimaryCtxReset", 7000, "cuDevicePrimaryCtxReset"),
                ("cuDevicePrimaryCtxReset", 11000, "cuDevicePrimaryCtxReset_v2"),
                ("cuCtxGetDevice", 2000, "cuCtxGetDevice"), ("cuCtxGetDevice", 12090, "cuCtxGetDevice"),
                ("cuCtxGetDevice", 13000, "cuCtxGetDevice_v2"),
                ("cuMemcpyBatchAsync", 12080, "cuMemcpyBatchAsync"),
                ("cuMemcpyBatchAsync", 13000, "cuMemcpyBatchAsync_v2"),
                ("cuMemAlloc", 3010, "cuMemAlloc"), ("cuMemAlloc", 3020, "cuMemAlloc_v2"),
                ("cuCtxCreate", 11030, "cuCtxCreate_v2"), ("cuCtxCreate", 12050, "cuCtxCreate_v4"),
                ("cuMemcpyBatchAsync", 12070, None)):
            self.assertEqual(self.find(name, version), symbol, (name, version))

    def test_per_thread_forms(self):
        self.assertEqual(self.find("cuMemcpyHtoD", 13000, True), "cuMemcpyHtoD_v2_ptds")
        self.assertEqual(self.find("cuMemcpyHtoD", 6050, True), "cuMemcpyHtoD_v2")
        self.assertEqual(self.find("cuLaunchKernel", 7000, True), "cuLaunchKernel_ptsz")
        self.assertEqual(self.find("cuLaunchKernel", 7000), "cuLaunchKernel")
        self.assertEqual(self.find("cuCtxSynchronize", 13000, True), "cuCtxSynchronize_v2")

    def test_table_is_sorted(self):
        keys = [(base.encode(), since) for base, since, *_ in self.rows]
        self.assertEqual(keys, sorted(keys))

    def test_documentation_is_current(self):
        self.assertEqual(exports.main(["--check-docs"]), 0)


if __name__ == "__main__":
    unittest.main()
