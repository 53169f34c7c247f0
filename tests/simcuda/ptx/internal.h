/* SPDX-License-Identifier: MIT */
/*
 * The parser's output for the interpreter: the compact instruction form, functions, variables.
 *
 * Registers live in "rows": one value for each of the 32 lanes of a warp, so that an instruction
 * is a loop over an array. A predicate's row is a single 32-bit mask. A frame's rows start at
 * base[0]; the image's constants are rows, too, at base[1]. The low bit of an operand selects the
 * base.
 */
#ifndef PVGPU_SIMCUDA_PTX_INTERNAL_H
#define PVGPU_SIMCUDA_PTX_INTERNAL_H

#include "tests/simcuda/ptx/ptx.h"

#include <string.h>

#define LANES         32
#define FULL_MASK     0xffffffffu
#define ROW_ALIGN     64
#define GUARD_NONE    0xffffffffu
#define OPERAND_CONST 1u
#define OPERAND_NONE  0xfffffffeu

/* Windows of the generic address space; none is a canonical x86-64 address. */
#define SHARED_WINDOW 0x1000000000000000ull
#define LOCAL_WINDOW  0x2000000000000000ull
#define PARAM_WINDOW  0x3000000000000000ull
#define FUNC_WINDOW   0x4000000000000000ull
#define WINDOW_MASK   0xf000000000000000ull
#define WINDOW_SIZE   0x10000000ull
#define FUNC_STRIDE   16
/* Shared memory of block r of a cluster lies at r + 1 times this, that of the own block at 0, too.
 */
#define CLUSTER_STRIDE 0x100000ull

/* Param-space addresses from here on are in the frame; below, in the launch's buffer. */
#define FRAME_PARAMS     0x100000u

#define MAX_PARAM_BYTES  32764u
#define MAX_SHARED_BYTES (227u * 1024)
#define MAX_LOCAL_BYTES  (512u * 1024)
#define MAX_CALL_DEPTH   1024u
#define BARRIERS         16
#define MAX_DIMS         8

enum type {
	TY_NONE,
	TY_U8,
	TY_U16,
	TY_U32,
	TY_U64,
	TY_S8,
	TY_S16,
	TY_S32,
	TY_S64,
	TY_B8,
	TY_B16,
	TY_B32,
	TY_B64,
	TY_F16,
	TY_F16X2,
	TY_BF16,
	TY_BF16X2,
	TY_TF32,
	TY_F32,
	TY_F64,
	TY_E4M3X2,
	TY_E5M2X2,
	TY_E4M3, /* from here on only as the element of a matrix, or of what cvt.pack makes */
	TY_E5M2,
	TY_B1,
	TY_U2,
	TY_S2,
	TY_U4,
	TY_S4,
	TY_PRED,
};

enum kind { KIND_U, KIND_S, KIND_B, KIND_F, KIND_P };

/* Register classes: bytes of one lane's value, 0 for a predicate. */
enum cls { CLS_P, CLS_H, CLS_W, CLS_D };

enum space {
	SPACE_GENERIC,
	SPACE_GLOBAL,
	SPACE_CONST,
	SPACE_SHARED,
	SPACE_LOCAL,
	SPACE_PARAM,
};

struct type_info {
	const char *name;
	uint8_t bytes, kind, cls;
};
extern const struct type_info type_info[];

struct warp;
struct insn;

/* The result of an instruction, for the warp's loop. */
enum step_result {
	STEP_NEXT, /* go on with the following instruction */
	STEP_JUMP, /* go on at warp->next_pc */
	STEP_PICK, /* the split's pc is set; choose again among the splits */
	STEP_FAULT,
};

typedef int (*exec_fn)(struct warp *w, const struct insn *i, uint32_t mask);
typedef uint32_t (*compare_fn)(const void *a, const void *b);

struct insn {
	exec_fn fn;
	uint32_t d, a, b, c; /* operands: row offsets */
	uint32_t guard;      /* predicate row, bit 0: negated */
	uint32_t x;          /* branch target, flags, ...: depends on fn */
	union {
		int64_t imm;
		const void *ptr;
		compare_fn cmp;
		exec_fn inner; /* run in another rounding mode */
	};
};

struct func;

/* A place in an initial value, or a constant, that holds an address. */
struct reloc {
	struct reloc *next;
	uint64_t offset;
	const struct var *var; /* one of these two */
	const struct func *func;
	uint64_t addend;
	uint8_t bytes, shift; /* number of bytes of address >> shift */
};

/* How other texts of a module see a name. */
enum linkage { LINK_LOCAL, LINK_VISIBLE, LINK_WEAK, LINK_COMMON, LINK_EXTERN };

struct var {
	const char *name;
	enum linkage linkage;
	const char *unit; /* the text that it is from, or NULL */
	uint32_t unit_number;
	enum space space;
	enum type type;
	uint64_t size, align;
	uint64_t offset;         /* shared, local, param: within the space */
	uint64_t element;        /* bytes of one element: of a vector, all of its parts */
	uint64_t dims[MAX_DIMS]; /* of an array; the first may be 0, known by the value */
	uint32_t dim_count;
	uint32_t index; /* global, const: ptx_global_at() */
	bool is_extern, is_dynamic, is_kernel_param, placed, is_managed;
	bool is_row;    /* a .reg parameter: offset is a row */
	uint8_t vector; /* the first of so many .reg parameters that are a vector's elements, or 0
			 */
	bool in_frame;  /* .local in a body: offset counts from the frame's local memory */
	uint8_t row_cls;
	uint8_t *init;
	uint64_t room; /* of init, while it is read */
	struct reloc *relocs;
	uint32_t line;
	const struct func *noted_in;
	struct var *next;
};

enum builtin {
	BUILTIN_NONE,
	BUILTIN_VPRINTF,
	BUILTIN_ASSERTFAIL,
	BUILTIN_MALLOC,
	BUILTIN_FREE,
	BUILTIN_NATIVE,
	BUILTIN_CONDITION,
};

/* A reference of a function's body, for the layout of shared memory and local sizes. */
struct use {
	struct use *next;
	struct func *func;
	struct var *var;
};

#define MAX_ARGS 256

struct func {
	const char *name;
	struct func *next;
	uint32_t index, line;
	enum linkage linkage; /* of the definition */
	const char *unit;     /* the text that it is from, or NULL */
	uint32_t unit_number;
	bool is_entry, defined, referenced, address_taken;
	bool calls_indirectly;
	enum builtin builtin;
	uint32_t param_count, ret_count;
	struct var **params, **rets;
	uint32_t start, end;        /* code */
	uint32_t row_bytes, p_rows; /* rows of a frame; predicate slots left in the last group */
	uint32_t p_next;
	uint32_t frame_params; /* bytes of .param space in a frame */
	uint32_t local_bytes;
	uint32_t reg_words, max_registers;
	uint32_t maxntid[3], reqntid[3], reqcluster[3], max_cluster;
	bool explicit_cluster;
	uint32_t version, target; /* of its text */
	struct use *uses;
	const struct func *noted_in;
	struct ptx_kernel *kernel;
	uint32_t visit; /* number of the last walk over the call graph that reached it */
};

/* One call's argument or result: a row, or a range of .param space in the caller's frame. */
struct call_arg {
	bool is_row;
	uint8_t cls;
	uint32_t at, bytes;
};

struct call_site {
	const struct func *func; /* NULL: indirect */
	uint32_t target;         /* row of the function's address when indirect */
	uint32_t param_count, ret_count;
	struct call_arg *params, *rets;
};

/* ld, st, atom, red: details beyond the row operands. */
struct mem_op {
	uint8_t space, bytes, count; /* of one element; 1, 2 or 4 elements */
	uint8_t cls;                 /* of the registers */
	uint8_t is_signed;
	uint8_t base_cls;    /* CLS_W or CLS_D */
	uint8_t frame_local; /* the address counts from the frame's local memory */
	uint8_t fence;
	uint8_t strong;       /* a load that others may be meant to change */
	uint8_t may_coalesce; /* its space, and registers as wide as the elements, allow it */
	uint8_t atom, atom_type;
	uint8_t is_const_param; /* a kernel parameter at a fixed place, param_at */
	uint32_t param_at;
	int64_t offset;
	uint32_t regs[4];
};

/* tex, suld, sust, txq, suq: the object is operand a. */
struct tex_op {
	uint8_t dims, layered; /* of the geometry */
	uint8_t is_float;      /* the coordinates, not the layer */
	uint8_t bytes, cls;    /* surfaces: of one element, of its register */
	uint8_t count;         /* elements */
	uint8_t gather;        /* tld4: 1 + the channel */
	uint8_t store;
	uint8_t outside;    /* surfaces: enum tex_outside */
	uint8_t is_surface; /* txq or suq */
	uint8_t what;       /* txq: enum tex_query */
	uint8_t level_by;   /* enum tex_level */
	uint32_t layer;     /* row */
	uint32_t at[3];     /* rows */
	uint32_t by[2][3];  /* rows: the level, or two gradients */
	uint32_t regs[4];
};
enum tex_outside { OUTSIDE_TRAP, OUTSIDE_CLAMP, OUTSIDE_ZERO };
enum tex_level { LEVEL_FIRST, LEVEL_GIVEN, LEVEL_BY_GRADIENTS };
/* The first three are numbers of sizes. */
enum tex_query { QUERY_WIDTH, QUERY_HEIGHT, QUERY_DEPTH, QUERY_LAYERS, QUERY_LEVELS };

struct pack_op {
	uint8_t count, cls, whole_cls, bytes;
	uint32_t regs[8];
};

struct constant {
	uint64_t value;
	const struct var *var;
	const struct func *func;
	uint32_t row;
	uint8_t cls;
};

struct branch_table {
	uint32_t count;
	uint32_t target[];
};

struct arena_chunk;
struct arena {
	struct arena_chunk *head;
	size_t used, limit;
};
/* Zeroed memory that lives as long as the arena; NULL when the limit is reached. */
void *arena_alloc(struct arena *a, size_t n);
void arena_free(struct arena *a);

struct ptx_module {
	struct arena arena;
	struct insn *code;
	uint32_t *lines;
	uint32_t code_count, code_cap;
	struct constant *consts;
	uint32_t const_count, const_cap, const_bytes;
	struct func **funcs;
	uint32_t func_count, func_cap;
	struct func *func_list;
	struct var *vars, **vars_tail; /* module-scope and static variables but params */
	struct ptx_global *globals;
	const struct var **global_vars;
	uint32_t global_count;
	struct ptx_kernel *kernels;
	const struct func **kernel_funcs;
	uint32_t kernel_count;
	void *zeros; /* the initial value of variables without one, read-only */
	size_t zeros_size;
	uint32_t dynamic_shared; /* where dynamic shared memory starts */
	uint32_t local_bytes;    /* .local at module scope, below all frames */
};

struct ptx_image {
	const struct ptx_module *m;
	uint8_t *consts;
};

#endif
