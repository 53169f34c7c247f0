#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program allocates more pinned memory than its vGPU's arena has: it runs as it does directly on the GPU."""
import os
import unittest

from pvgpu_env import PvgpuEnv


class Pinned(unittest.TestCase):
    def check(self, limit, size, **env):
        with PvgpuEnv(vgpus={"vgpu0": f"memory=1G,arena_limit={limit}"}, **env) as env:
            program = [os.path.join(env.build, "programs", "pinned_many"), size]
            direct, through = env.run(program, direct=True), env.run(program)
            self.assertEqual(direct.returncode, 0, direct.stderr)
            self.assertEqual(through.returncode, 0, through.stderr)
            self.assertEqual(direct.stdout, through.stdout)

    def test_beyond_the_arena(self):
        self.check("16M", "48M")

    def test_ends_with_copies_under_way(self):
        self.check("64M", "held")

    def test_hardly_any_arena(self):
        self.check("1M", "9M")


if __name__ == "__main__":
    unittest.main()
