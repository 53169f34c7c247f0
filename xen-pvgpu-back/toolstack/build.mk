# SPDX-License-Identifier: MIT
# What pvgpuctl and pvgpu-attachd share: xenstore, domains, vGPUs, attach, the VMs' files.
TOOLSTACK_SRCS := $(sort $(wildcard xen-pvgpu-back/toolstack/*.c))
FAKE_XENSTORE  := $(call obj,tests/unit/keys/fake_xenstore.c)
