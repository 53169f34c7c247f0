# SPDX-License-Identifier: MIT
# CUDA's libraries on the simulated GPU: what a worker loads in place of NVIDIA's.
include $(sort $(wildcard tests/simlibs/*/build.mk))
