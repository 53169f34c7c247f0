/* SPDX-License-Identifier: MIT */
/*
 * The PTX engine of the simulated GPU: text in, blocks of threads run on the CPU.
 *
 * The engine knows nothing of the driver API, of streams, or of processes; the driver half
 * (tests/simcuda/driver) owns device memory, schedules blocks and reports faults.
 *
 * Life: ptx_parse() once per module text -> ptx_image_create() once per loaded module (global
 * addresses are fixed there and the code is pre-decoded) -> for each launch one ptx_launch, and for
 * each block of its grid ptx_cta_new(), ptx_cta_step() until it is done, ptx_cta_free().
 *
 * Threads: a ptx_module, ptx_image and ptx_launch are read-only once made and may be used by many
 * threads; one ptx_cta belongs to one thread at a time and may move between threads between steps.
 */
#ifndef PVGPU_SIMCUDA_PTX_H
#define PVGPU_SIMCUDA_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PTX_WARP_SIZE 32

struct ptx_module;
struct ptx_image;
struct ptx_cta;

enum ptx_result {
	PTX_OK = 0,
	PTX_INVALID,     /* not valid PTX, or a feature that the engine does not know */
	PTX_UNSUPPORTED, /* valid, but its .target is above the device's */
	PTX_NO_MEMORY,
};

struct ptx_param {
	uint32_t offset, size, align; /* bytes in the parameter buffer */
};

/* Facts of one .entry, for cuFuncGetAttribute, cuFuncGetParamInfo and launch checks. */
struct ptx_kernel {
	const char *name;
	const struct ptx_param *params;
	uint32_t param_count, param_bytes;
	uint32_t shared_bytes;           /* static .shared, bytes per block */
	uint32_t local_bytes;            /* .local and call frames, bytes per thread (estimate) */
	uint32_t const_bytes;            /* module .const bytes */
	uint32_t registers;              /* estimate of 32-bit registers per thread, 1..255 */
	uint32_t maxntid[3], reqntid[3]; /* 0 = not given */
	uint32_t max_threads;            /* product of .maxntid or .reqntid, else 1024 */
	uint32_t reqcluster[3];          /* .reqnctapercluster in blocks, 0 = not given */
	uint32_t max_cluster;            /* .maxclusterrank, 0 = not given */
	bool explicit_cluster;           /* .explicitcluster: a launch must have a cluster's size */
	uint32_t version, target;        /* PTX version (e.g. 75 for 7.5) and sm (e.g. 70) */
	bool uses_heap;                  /* it can reach malloc or free */
};

/* One module-scope variable in .global or .const space. */
struct ptx_global {
	const char *name;
	uint64_t size, align; /* bytes */
	const void *init;     /* size bytes of initial contents (zero filled), never NULL */
	bool is_const;
	bool is_local;   /* of one text alone, where a module has several */
	bool is_managed; /* of the host, too */
};

/*
 * Parse and check a module. text need not be NUL terminated. sm: the device's compute capability
 * (e.g. 90). On failure log receives one line per problem, "line N: ...", naming an unknown
 * instruction; log is always NUL terminated when log_size > 0.
 */
enum ptx_result ptx_parse(const char *text, size_t len, unsigned int sm, struct ptx_module **out,
			  char *log, size_t log_size);
/* One text of a module that is linked from several. */
struct ptx_unit {
	const char *name; /* for messages, NULL: none */
	const char *text;
	size_t len;
};
/* One module from several texts: .extern names of one are those that another defines. */
enum ptx_result ptx_link(const struct ptx_unit *units, size_t count, unsigned int sm,
			 struct ptx_module **out, char *log, size_t log_size);
/* Could it be part of a link? What other texts must define may be missing. */
enum ptx_result ptx_check(const struct ptx_unit *unit, unsigned int sm, char *log, size_t log_size);
void ptx_module_free(struct ptx_module *m);
size_t ptx_kernel_count(const struct ptx_module *m);
const struct ptx_kernel *ptx_kernel_at(const struct ptx_module *m, size_t i);
const struct ptx_kernel *ptx_kernel_find(const struct ptx_module *m, const char *name);
size_t ptx_global_count(const struct ptx_module *m);
const struct ptx_global *ptx_global_at(const struct ptx_module *m, size_t i);

/*
 * Bind a module to addresses: addr[i] is where the driver half placed global i. The engine gives
 * back, through write(), every initial content with addresses of other globals resolved.
 * The module must outlive the image.
 */
enum ptx_result ptx_image_create(const struct ptx_module *m, const uint64_t *addr,
				 void (*write)(void *arg, uint64_t addr, const void *bytes,
					       size_t len),
				 void *arg, struct ptx_image **out);
void ptx_image_free(struct ptx_image *img);

enum ptx_fault_kind {
	PTX_FAULT_NONE = 0,
	PTX_FAULT_ADDRESS,     /* refused by mem_check -> CUDA_ERROR_ILLEGAL_ADDRESS */
	PTX_FAULT_MISALIGNED,  /* -> CUDA_ERROR_MISALIGNED_ADDRESS */
	PTX_FAULT_TRAP,        /* trap; -> CUDA_ERROR_LAUNCH_FAILED (719), __trap */
	PTX_FAULT_ASSERT,      /* __assertfail -> CUDA_ERROR_ASSERT (710) */
	PTX_FAULT_INSTRUCTION, /* e.g. bad indirect call -> CUDA_ERROR_ILLEGAL_INSTRUCTION (715) */
	PTX_FAULT_STACK,   /* call depth or local memory exhausted -> CUDA_ERROR_LAUNCH_FAILED */
	PTX_FAULT_CLUSTER, /* the block of the cluster has ended -> CUDA_ERROR_LAUNCH_FAILED */
};

struct ptx_fault {
	enum ptx_fault_kind kind;
	uint64_t address;
	uint32_t line; /* in the PTX text */
	uint32_t cta[3], thread[3];
};

/*
 * The environment of a launch. A device address is a host address of this process that mem_check
 * (or the quick ranges) has allowed.
 */
enum ptx_private { PTX_SHARED, PTX_LOCAL };

/* What a texture or surface object stands for: texels of an array or of linear memory. */
enum ptx_texel { PTX_U8, PTX_U16, PTX_U32, PTX_S8, PTX_S16, PTX_S32, PTX_HALF, PTX_FLOAT };
enum ptx_wrap { PTX_WRAP, PTX_CLAMP, PTX_MIRROR, PTX_BORDER };
#define PTX_LEVELS 16 /* the widest mipmapped array has 32,768 texels */
struct ptx_level {
	uint64_t base, pitch, slice; /* bytes; of one dimension the pitch lies between layers */
	uint32_t size[3];            /* texels; [dims] of a layered one: its layers */
};
struct ptx_texture {
	union {
		struct { /* the first level, and of most textures the only one */
			uint64_t base, pitch, slice;
			uint32_t size[3];
		};
		struct ptx_level level[PTX_LEVELS];
	};
	uint32_t levels; /* of a mipmapped array; 0: it is none */
	uint32_t dims;   /* 1 to 3, without layers */
	bool layered;
	bool is_buffer; /* linear memory, read by number; zeros outside */
	enum ptx_texel texel;
	uint32_t channels;
	/* Textures: how coordinates are taken, and what comes back. */
	enum ptx_wrap wrap[3];
	bool is_linear, is_normalized, as_integer;
	float border[4];
	/* Of which levels a fetch is: between two of them it mixes both, or takes the nearer one.
	 */
	bool mixes_levels;
	float bias, least_level, most_level;
};

/* What a tensor map holds: 128 bytes that kernels pass on as they are. */
#define PTX_TENSOR_MAP_BYTES 128
#define PTX_TENSOR_RANK      5
#define PTX_TENSOR_MAGIC     0x6d745450u
enum ptx_tensor_element {
	PTX_TENSOR_U8,
	PTX_TENSOR_U16,
	PTX_TENSOR_U32,
	PTX_TENSOR_S32,
	PTX_TENSOR_U64,
	PTX_TENSOR_S64,
	PTX_TENSOR_F16,
	PTX_TENSOR_F32,
	PTX_TENSOR_F64,
	PTX_TENSOR_BF16,
	PTX_TENSOR_F32_FTZ,
	PTX_TENSOR_TF32,
	PTX_TENSOR_TF32_FTZ,
	PTX_TENSOR_ELEMENTS
};
struct ptx_tensor_map {
	uint32_t magic;
	uint8_t rank, element; /* element: enum ptx_tensor_element */
	uint8_t swizzle;       /* 0: none; 1, 2, 3: of 32, 64, 128 bytes */
	uint8_t is_im2col, fill_nan;
	uint8_t step[PTX_TENSOR_RANK];              /* elements from one of the box to the next */
	uint16_t box[PTX_TENSOR_RANK];              /* elements of the tensor that the box spans */
	uint64_t base, stride[PTX_TENSOR_RANK - 1]; /* bytes; the innermost dimension is dense */
	uint32_t last[PTX_TENSOR_RANK];             /* the highest coordinate of each dimension */
	/* im2col: the corners of an image's box, the innermost dimension first. */
	int16_t lower[PTX_TENSOR_RANK - 2], upper[PTX_TENSOR_RANK - 2];
	uint16_t channels, pixels;
};
uint32_t ptx_tensor_bytes(enum ptx_tensor_element e);

struct ptx_env {
	void *arg;
	/* May [addr, addr+len) be accessed? Called for global/generic accesses that miss the
	 * per-block cache of the last allowed ranges; *lo and *hi return the whole allowed range
	 * around it, so that the engine can remember it for the rest of this step. */
	bool (*mem_check)(void *arg, uint64_t addr, uint64_t len, bool write, uint64_t *lo,
			  uint64_t *hi);
	/* Text of device printf / assert messages; called whole per thread's call. */
	void (*print)(void *arg, const char *text, size_t len);
	uint64_t (*globaltimer_ns)(void *arg);
	/* The device's heap; malloc gives 0 when there is no room. free: false if there is no such
	 * block. Without the two there is no heap. */
	uint64_t (*malloc)(void *arg, uint64_t size);
	bool (*free)(void *arg, uint64_t addr);
	/* Native code of a library's, which was registered by this number; false: there is none, or
	 * *number is an address that it cannot reach. Without the function there is none. */
	bool (*native)(void *arg, uint64_t *number);
	/* Sets the value of a graph's condition; false: there is none with this handle. Without the
	 * function there is none. */
	bool (*condition)(void *arg, uint64_t handle, uint32_t value);
	/* A texture or surface object, which stays as it is until the launch has ended; NULL: there
	 * is none. Without the function there are no such objects. */
	const struct ptx_texture *(*texture)(void *arg, uint64_t handle, bool is_surface);
	/* Shared or local memory of a block is new, and zero, or not used any more. NULL: nobody
	 * wants to know. */
	void (*private)(void *arg, enum ptx_private which, bool is_new, void *memory, size_t size);
	uint32_t clock_khz; /* rate of %clock against globaltimer */
	uint32_t sm_count;
	uint32_t turn; /* instructions of a warp before the next one has its turn; 0: as usual */
};

struct ptx_launch {
	const struct ptx_image *image;
	const struct ptx_kernel *kernel;
	uint32_t grid[3], block[3];
	uint32_t cluster[3];     /* blocks, which divide the grid; zeros: no clusters */
	uint32_t dynamic_shared; /* bytes */
	const void *params;      /* kernel->param_bytes bytes; the caller keeps them alive */
	const struct ptx_env *env;
	uint64_t grid_id;
};

enum ptx_step {
	PTX_RUNNING,  /* the instruction budget is used up, or all warps wait on spinning others */
	PTX_SLEEPING, /* every runnable thread is in nanosleep: call again after *sleep_ns */
	PTX_DONE,
	PTX_FAULTED, /* see ptx_cta_fault() */
};

#define PTX_MAX_CLUSTER 16 /* blocks */

/*
 * Make the block (x, y, z) ready to run; smid is what %smid reads. NULL when out of memory. In a
 * launch with clusters: the whole cluster whose first block is (x, y, z), which is stepped, ends
 * and faults as one.
 */
struct ptx_cta *ptx_cta_new(const struct ptx_launch *l, uint32_t x, uint32_t y, uint32_t z,
			    uint32_t smid);
/* Reuse a finished block's memory for another block of the same launch. */
void ptx_cta_reset(struct ptx_cta *c, uint32_t x, uint32_t y, uint32_t z, uint32_t smid);
/* Run at most about `budget` warp instructions. Never blocks and never sleeps. */
enum ptx_step ptx_cta_step(struct ptx_cta *c, uint64_t budget, uint64_t *sleep_ns);
const struct ptx_fault *ptx_cta_fault(const struct ptx_cta *c);
/* Warp instructions executed so far, for accounting. */
uint64_t ptx_cta_instructions(const struct ptx_cta *c);
void ptx_cta_free(struct ptx_cta *c);

#endif
