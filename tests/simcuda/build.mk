# SPDX-License-Identifier: MIT
-include tests/simcuda/ptx/build.mk
include tests/simcuda/driver/build.mk
include tests/simcuda/nvml/build.mk
include tests/simcuda/fuzz/build.mk
