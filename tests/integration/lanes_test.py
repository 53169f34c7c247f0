#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program has and frees memory while code of another thread of its is loaded, however long that takes: here for ever."""
import os
import unittest

from pvgpu_env import PvgpuEnv


class Lanes(unittest.TestCase):
    def test_memory_does_not_wait_for_a_load(self):
        with PvgpuEnv(vgpus={"vgpu0": "memory=64M"}, worker_env={"SIMCUDA_FAULT": "hang:cuLibraryLoadData"}) as env:
            # Six times 40 MiB of 64: each round waits for the frees of the one before.
            there = env.run([os.path.join(env.build, "programs", "meanwhile"), "held", "40M"])
            self.assertEqual((there.returncode, there.stdout), (0, b"memory was right meanwhile\n"), there.stderr)


if __name__ == "__main__":
    unittest.main()
