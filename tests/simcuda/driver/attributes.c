/* SPDX-License-Identifier: MIT */
/*
 * Every device attribute of CUDA 13.0, by number. Limits are those of a Hopper-class device.
 * Features that the simulated GPU lacks are reported as absent, and their limits as 0.
 */
#include "tests/simcuda/driver/sim.h"

struct attribute {
	int number, value;
};

static const struct attribute fixed[] =
	{
		{1, 1024},                                       /* threads per block */
		{2, 1024},                                       /* block x, y, z */
		{3, 1024},        {4, 64},      {5, 2147483647}, /* grid x, y, z */
		{6, 65535},       {7, 65535},   {8, 49152},      /* shared memory per block */
		{9, 65536},                                      /* constant memory */
		{10, 32},                                        /* warp */
		{11, 2147483647},                                /* pitch */
		{12, 65536},                                     /* registers per block */
		{13, 1000000},                                   /* clock, kHz */
		{14, 512},                                       /* texture alignment */
		{21, 131072},     {22, 131072}, {23, 65536},     /* textures of 1, 2 */
		{24, 16384},      {25, 16384},  {26, 16384},     /* and 3 dimensions */
		{27, 32768},      {28, 32768},  {29, 2048},      /* layered ones of 2 */
		{42, 32768},      {43, 2048},                    /* and of 1 */
		{47, 16384},      {48, 16384},  {49, 16384},     /* 3, another way */
		{55, 32768},      {56, 131072}, {57, 65536},     /* surfaces, the same */
		{58, 16384},      {59, 16384},  {60, 16384},     {61, 32768},
		{62, 2048},       {63, 32768},  {64, 32768},     {65, 2048},
		{69, 268435456},  {70, 131072}, {71, 65000}, /* from linear memory */
		{72, 2097120},                               /* its pitch */
		{73, 32768},      {74, 32768},  {77, 32768}, /* mipmapped ones */
		{15, 1},                                     /* copies overlap kernels */
		{17, 0},                                     /* no run-time limit */
		{18, 0},                                     /* not integrated */
		{19, 1},                                     /* maps host memory */
		{20, 0},                                     /* compute mode: default */
		{30, 512},                                   /* surface alignment */
		{31, 1},                                     /* concurrent kernels */
		{34, 0},          {35, 0},                   /* PCI device, no TCC */
		{36, 1000000},                               /* memory clock, kHz */
		{37, 64},                                    /* memory bus, bits */
		{38, SIM_L2},                                /* L2, bytes */
		{39, 2048},                                  /* threads per multiprocessor */
		{40, 2},                                     /* copy engines */
		{41, 1},                                     /* unified addressing */
		{44, 0},          {50, 0},                   /* PCI domain */
		{51, 32},                                    /* texture pitch alignment */
		{78, 1},                                     /* stream priorities */
		{79, 1},                                     /* global, local L1 */
		{80, 1},          {81, 233472},              /* shared memory per multiprocessor */
		{82, 65536},                                 /* registers per multiprocessor */
		{83, 1},                                     /* managed memory */
		{84, 0},                                     /* not on a board with others */
		{85, 0},          {86, 1}, /* host atomics: the device is the host */
		{87, 2},                   /* float to double speed */
		{89, 1},          {90, 1}, /* CPU and GPU at once; preemption */
		{91, 1},                   /* host pointers work for registered memory */
		{92, 1},                   /* stream memory operations */
		{93, 1},          {94, 1},      {95, 1},   /* cooperative launch */
		{96, 0},          {97, 232448},            /* shared memory per block, opt-in */
		{98, 0},          {99, 1},                 /* host register */
		{100, 0},         {101, 0},     {102, 1},  /* virtual memory management */
		{103, 1},                                  /* file descriptors that share */
		{104, 0},         {105, 0},     {106, 32}, /* blocks per multiprocessor */
		{107, 0},         {108, 0},     {109, 0},        {110, 0},
		{111, 1024},                /* shared memory reserved per block */
		{113, 1},                   /* read-only host register */
		{115, 1},                   /* memory pools */
		{119, 1},                   /* that file descriptors share */
		{121, 1},                   /* arrays to be mapped later */
		{122, 1},                   /* 64-bit stream memory operations */
		{125, 1},                   /* events that processes share */
		{123, 1},         {126, SIM_SYNC_DOMAINS}, /* memory synchronisation domains */
		{130, 0},                   /* no NUMA node of its own */
		{131, -1},        {134, 0}, /* the host's node */
};

CUresult device_attribute(int what, int *value)
{
	if (what < 1 || what > 147)
		return CUDA_ERROR_INVALID_VALUE;
	switch (what) {
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
		*value = (int)sim_config.sms;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
		*value = (int)(sim_config.cc / 10);
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
		*value = (int)(sim_config.cc % 10);
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
		*value = sim_config.device + 1;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH:
	case CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED:
		*value = sim_config.cc >= 90;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_ECC_ENABLED:
		*value = sim_config.ecc;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS:
		*value = sim_config.hmm;
		return CUDA_SUCCESS;
	default:
		break;
	}
	*value = 0;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (fixed[i].number == what)
			*value = fixed[i].value;
	return CUDA_SUCCESS;
}
