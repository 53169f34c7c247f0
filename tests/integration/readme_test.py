# SPDX-License-Identifier: MIT
"""README: as short as it promises to be, what it says to try without Xen prints what it says, and its numbers are those of the pages that it names. PVGPU_BUILD: the build folder."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from pvgpu_env import LIMIT, ROOT, build_dir

README = pathlib.Path(ROOT, "README.md").read_text()
TRY = "## Try it without Xen\n"
MAKE = "make && make build/programs/vecadd"
LINES = 80


def blocks(heading):
    """The texts in fences of a section."""
    return re.findall(r"^```\w*\n(.*?)^```", README.partition(heading)[2].partition("\n## ")[0], re.M | re.S)


def figures(text):
    """Without the time that a program had the GPU."""
    return [re.sub(r" \d+\.\d+ ", " T ", line.rstrip()) for line in text.splitlines()]


class Readme(unittest.TestCase):
    def test_length(self):
        self.assertLessEqual(len(README.splitlines()), LINES)

    def test_try_without_xen(self):
        """The lines as they stand, in folders of the test's own."""
        commands, printed = blocks(TRY)
        first, *lines = commands.splitlines()
        self.assertEqual((first, len(lines)), (MAKE, 4))
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as d:
            # pvgpud may notice a moment after the program's end that its session has ended.
            lines.insert(-1, "until [ $(build/bin/pvgpuctl --run-dir /tmp/pvgpu read /vgpu/try/sessions) = 0 ]; do sleep 0.1; done")
            script = "\n".join(lines).replace("/tmp/pvgpu", f"{d}/run").replace("build/", f"{build_dir()}/")
            script = script.replace("--simulated", f"--simulated --set env=SIMCUDA_GPU={d}/gpu")
            done = subprocess.run(["bash", "-c", f"{script}\nkill %1 && wait"], capture_output=True, text=True, timeout=LIMIT, check=False, cwd=ROOT)
        self.assertEqual(figures(done.stdout), figures(printed), done.stderr)

    def test_functions(self):
        """The driver's functions that work, where they are said, are those of the list's head."""
        listed = pathlib.Path(ROOT, "docs/cuda-symbols.md").read_text()
        every, forwarded, local = (int(re.search(p, listed)[1]) for p in (r"exports the (\d+) symbols", r"(\d+) work through", r"(\d+) are answered"))
        for page in "README.md", "docs/README.md":
            self.assertEqual(re.findall(r"(\d+) of the driver's (\d+) ", pathlib.Path(ROOT, page).read_text()), [(str(forwarded + local), str(every))], page)


if __name__ == "__main__":
    os.chdir(ROOT)
    unittest.main()
