/* SPDX-License-Identifier: MIT */
/* The running state of a block, and the operations that instructions are decoded to. */
#ifndef PVGPU_SIMCUDA_PTX_EXEC_H
#define PVGPU_SIMCUDA_PTX_EXEC_H

#include "tests/simcuda/ptx/internal.h"

enum special {
	SPECIAL_ZERO,
	SPECIAL_ONE,
	SPECIAL_TID_X,
	SPECIAL_TID_Y,
	SPECIAL_TID_Z,
	SPECIAL_NTID_X,
	SPECIAL_NTID_Y,
	SPECIAL_NTID_Z,
	SPECIAL_CTAID_X,
	SPECIAL_CTAID_Y,
	SPECIAL_CTAID_Z,
	SPECIAL_NCTAID_X,
	SPECIAL_NCTAID_Y,
	SPECIAL_NCTAID_Z,
	SPECIAL_LANEID,
	SPECIAL_WARPID,
	SPECIAL_NWARPID,
	SPECIAL_SMID,
	SPECIAL_NSMID,
	SPECIAL_LANEMASK_EQ,
	SPECIAL_LANEMASK_LE,
	SPECIAL_LANEMASK_LT,
	SPECIAL_LANEMASK_GE,
	SPECIAL_LANEMASK_GT,
	SPECIAL_CLOCK,
	SPECIAL_CLOCK_HI,
	SPECIAL_GLOBALTIMER_LO,
	SPECIAL_GLOBALTIMER_HI,
	SPECIAL_DYNAMIC_SMEM,
	SPECIAL_TOTAL_SMEM,
	SPECIAL_CLUSTERID_X,
	SPECIAL_CLUSTERID_Y,
	SPECIAL_CLUSTERID_Z,
	SPECIAL_NCLUSTERID_X,
	SPECIAL_NCLUSTERID_Y,
	SPECIAL_NCLUSTERID_Z,
	SPECIAL_CLUSTER_CTAID_X,
	SPECIAL_CLUSTER_CTAID_Y,
	SPECIAL_CLUSTER_CTAID_Z,
	SPECIAL_CLUSTER_NCTAID_X,
	SPECIAL_CLUSTER_NCTAID_Y,
	SPECIAL_CLUSTER_NCTAID_Z,
	SPECIAL_CLUSTER_CTARANK,
	SPECIAL_CLUSTER_NCTARANK,
	SPECIAL_IS_CLUSTER, /* a predicate */
	SPECIAL_FIRST64,
	SPECIAL_GRIDID = SPECIAL_FIRST64,
	SPECIAL_CLOCK64,
	SPECIAL_GLOBALTIMER,
};

/* One call's registers and .param space; shared by the splits of the lanes that made the call. */
struct frame {
	struct frame *parent;
	const struct func *func;
	const struct call_site *site; /* the call that made it */
	struct frame *all;            /* every frame of the block, for freeing */
	uint32_t return_pc, depth;
	uint32_t lanes;      /* lanes that have not returned */
	uint32_t local_base; /* bytes of local memory below this frame's */
	uint32_t *params;    /* rows of words */
	uint8_t *rows;
};

enum split_state {
	SPLIT_READY,
	SPLIT_BARRIER, /* in bar.sync: released by the block */
	SPLIT_SYNC,    /* in a .sync instruction: waits for other lanes of the warp */
	SPLIT_SLEEP,
};

/*
 * An access that has changed nothing and read the same value twice: its lanes spin, and others go
 * first until the value there is another one.
 */
struct spin {
	uint32_t pc;
	uint8_t bytes, is_shared;
	bool waits;
	uint64_t addr, seen; /* addr: of the host */
};

/* Lanes of one warp that execute together. */
struct split {
	uint32_t pc, mask;
	struct frame *frame;
	enum split_state state;
	uint32_t barrier;
	uint64_t wake_ns;
	uint64_t ran; /* warp->executed when it last ran */
	struct spin spin;
};

struct warp {
	uint8_t *base[2]; /* rows of the current frame; the image's constants */
	struct ptx_cta *cta;
	struct frame *frame;
	struct split *cur;
	uint32_t next_pc;
	uint32_t live;    /* lanes that have not exited */
	uint32_t present; /* lanes that exist */
	uint32_t index;
	struct split splits[LANES];
	uint32_t split_count;
	uint32_t stop_pc; /* where the current split may meet another */
	uint32_t quantum;
	uint32_t sleepers;
	uint32_t passed_over; /* turns that it has lost since its lanes spin */
	uint64_t executed;
	uint32_t *local; /* rows of words */
	uint32_t local_bytes;
	uint32_t exchange[LANES]; /* values that .sync instructions publish to the other lanes */
	uint64_t exchange64[LANES];
	uint32_t exchange_pred;
	uint32_t cluster_phase[LANES]; /* of the cluster when the lane arrived */
	uint32_t together;             /* lanes that execute a .sync instruction together */
	uint32_t tid[3][LANES];
};

struct range {
	uint64_t lo, hi;
	bool write;
};

#define RANGES 4

/* What arrives at the barrier of the cluster: behind those that instructions number. */
#define CLUSTER_BARRIER BARRIERS

struct barrier {
	uint32_t expected; /* threads, 0: all of the block */
	bool busy;
	uint32_t reduced, all, any;
	uint32_t *arrived; /* a mask for each warp */
};

/* Blocks that reach each other's shared memory, in the order of their rank. One thread runs all. */
struct cluster {
	uint32_t size[3], count;
	uint32_t phase;       /* how often the barrier has been complete */
	uint32_t turn, slice; /* the block that runs, what is left of its turn */
	struct ptx_cta *blocks[];
};

struct ptx_cta {
	const struct ptx_launch *launch;
	const struct ptx_env *env;
	const struct ptx_image *image;
	const struct insn *code;
	const struct func *entry;
	uint32_t id[3], smid;
	uint32_t warp_count, threads;
	struct warp *warps;
	uint32_t turn, slice; /* the warp that runs, what is left of its turn */
	uint32_t live_warps;
	uint8_t *shared;
	uint32_t shared_bytes;
	struct range ranges[RANGES];
	uint32_t next_range;
	struct barrier barriers[BARRIERS + 1];
	struct cluster *cluster;
	uint32_t rank;       /* in the cluster; its first block has rank 0 */
	uint32_t *arrivals;  /* the masks of all barriers */
	struct frame **pool; /* free frames by function */
	struct frame *frames;
	uint64_t memory; /* bytes of frames and local memory */
	uint64_t last_clock;
	uint64_t instructions;
	struct ptx_fault fault;
};

/*
 * Loops over the lanes are compiled for processors with AVX2, too, and the loader chooses;
 * sanitizers start behind its choice. INDEPENDENT: rows are the same one or disjoint, so that no
 * lane's result is another one's operand.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) &&    \
	!defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define LANE_CODE __attribute__((target_clones("avx2", "default")))
#else
#define LANE_CODE
#endif
#if defined(__GNUC__) && !defined(__clang__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

static inline void *row(const struct warp *w, uint32_t operand)
{
	return w->base[operand & 1] + (operand & ~1u);
}

static inline uint32_t pred_row(const struct warp *w, uint32_t operand)
{
	return *(const uint32_t *)row(w, operand);
}

/* All ones for each lane in the mask, as words. */
extern const uint32_t lane_nibbles[16][4];

static inline void expand_mask(uint32_t mask, uint32_t out[LANES])
{
	for (int i = 0; i < 8; i++)
		memcpy(out + 4 * i, lane_nibbles[mask >> (4 * i) & 15], 16);
}

static inline void put16(void *to, const uint16_t *t, uint32_t mask)
{
	uint16_t *d = to;

	if (mask == FULL_MASK) {
		memcpy(d, t, LANES * sizeof(*t));
	} else {
		for (int l = 0; l < LANES; l++)
			d[l] = mask >> l & 1 ? t[l] : d[l];
	}
}

static inline void put32(void *to, const uint32_t *t, uint32_t mask)
{
	uint32_t *d = to;

	if (mask == FULL_MASK) {
		memcpy(d, t, LANES * sizeof(*t));
	} else {
		uint32_t m[LANES];

		expand_mask(mask, m);
		for (int l = 0; l < LANES; l++)
			d[l] = (t[l] & m[l]) | (d[l] & ~m[l]);
	}
}

static inline void put64(void *to, const uint64_t *t, uint32_t mask)
{
	uint64_t *d = to;

	if (mask == FULL_MASK) {
		memcpy(d, t, LANES * sizeof(*t));
	} else {
		uint32_t m[LANES];

		expand_mask(mask, m);
		for (int l = 0; l < LANES; l++) {
			uint64_t k = (uint64_t)(int64_t)(int32_t)m[l];

			d[l] = (t[l] & k) | (d[l] & ~k);
		}
	}
}

static inline void put_pred(struct warp *w, uint32_t operand, uint32_t value, uint32_t mask)
{
	uint32_t *d = row(w, operand);

	*d = (*d & ~mask) | (value & mask);
}

/* Values of any class as 64-bit integers, for rare instructions. */
void get_wide(const struct warp *w, uint32_t operand, enum cls cls, uint64_t out[LANES]);
void put_wide(struct warp *w, uint32_t operand, enum cls cls, const uint64_t in[LANES],
	      uint32_t mask);

/* cta.c, warp.c */
int fault(struct warp *w, uint32_t lane, enum ptx_fault_kind kind, uint64_t address);
uint32_t current_pc(const struct warp *w, const struct insn *i);
struct split *new_split(struct warp *w, uint32_t pc, uint32_t mask, struct frame *f);
void use_frame(struct warp *w, struct frame *f);
/* Keep only `mask` in the current split; the other lanes continue at pc. */
void part_with_others(struct warp *w, uint32_t mask, uint32_t pc);
struct frame *push_frame(struct warp *w, const struct func *f, uint32_t lanes);
void drop_lanes(struct warp *w, struct frame *f, uint32_t lanes);
bool grow_local(struct warp *w, uint32_t bytes);
uint64_t cta_clock(struct ptx_cta *c);
/* The current lanes have changed something, or met others: what they have read before is old. */
static inline void no_spin(struct warp *w)
{
	w->cur->spin.bytes = 0;
}
/* The access of instruction i has changed nothing, and its first lane has read `seen` at addr, an
 * offset in shared memory or a global address. */
int maybe_spins(struct warp *w, const struct insn *i, uint64_t addr, bool is_shared, uint32_t bytes,
		uint64_t seen);
void barrier_check_all(struct ptx_cta *c);
bool barrier_complete(const struct ptx_cta *c, const struct barrier *b);
/* Lets those that wait for it go on, and clears it. */
void barrier_release(struct ptx_cta *c, uint32_t id);

/* exec_coalesced.c: false when the addresses are otherwise, and nothing is done. */
bool access_coalesced(struct warp *w, const struct insn *i, uint32_t mask, bool store);

/* cluster.c */
void cluster_check_barrier(struct cluster *k);
uint32_t cluster_special(const struct ptx_cta *c, enum special id);
/* bytes at an offset in the shared memory of a block, or of another one of its cluster by an
 * address of mapa; NULL: outside. *ended: of a block that has ended. */
uint8_t *shared_place(const struct ptx_cta *c, uint64_t offset, uint32_t bytes, bool *ended);
/* The address of the same place in the block of a rank; of a cluster of one block, it stays. */
uint64_t cluster_address(const struct ptx_cta *c, uint64_t addr, uint32_t rank);
/* As shared_place; a fault is noted. */
uint8_t *shared_of_lane(struct warp *w, uint32_t lane, uint64_t offset, uint32_t bytes);
/* A .sync instruction in splits that wait at different places: execute it for all of them. */
bool sync_together(struct warp *w);

/* address.c: a thread's view of any address; false after a fault has been noted. */
bool guest_read(struct warp *w, uint32_t lane, uint64_t addr, void *to, uint32_t bytes);
/* Bytes that can be read without another check, at least one; 0 after a fault. */
uint32_t guest_span(struct warp *w, uint32_t lane, uint64_t addr, const uint8_t **at, uint32_t max);
/* Aligned bytes of shared or global memory; NULL after a fault. */
uint8_t *guest_place(struct warp *w, uint32_t lane, enum space space, uint64_t addr, uint32_t bytes,
		     bool write);
/* Many bytes, aligned to 16. */
uint8_t *guest_block(struct warp *w, uint32_t lane, enum space space, uint64_t addr, uint32_t bytes,
		     bool write);
void addresses(const struct warp *w, const struct insn *i, const struct mem_op *m, uint32_t mask,
	       uint64_t addr[LANES]);
bool all_within(const uint64_t addr[LANES], uint64_t lo, uint64_t last, uint32_t align);
bool address_allowed(struct ptx_cta *c, uint64_t addr, uint32_t bytes, bool write);
bool check_global(struct warp *w, const uint64_t addr[LANES], uint32_t mask, uint32_t bytes,
		  uint32_t align, bool write);
uint64_t local_get(const uint32_t *rows, uint32_t lane, uint32_t at, uint32_t bytes);
void local_put(uint32_t *rows, uint32_t lane, uint32_t at, uint32_t bytes, uint64_t v);
/* Lanes of mask whose generic address is in the same window as the first one's. */
uint32_t same_window(const uint64_t addr[LANES], uint32_t mask, enum space *space);

/* builtin.c, format.c */
int call_builtin(struct warp *w, const struct call_site *s, const struct func *f, uint32_t mask);
int device_printf(struct warp *w, uint32_t lane, uint64_t format, uint64_t args, int32_t *result);
bool guest_string(struct warp *w, uint32_t lane, uint64_t addr, char *to, uint32_t max);

/* Operations by name and type; NULL where there is none. */
enum int2 {
	I2_ADD,
	I2_SUB,
	I2_MUL_LO,
	I2_MUL_HI,
	I2_MUL_WIDE,
	I2_DIV,
	I2_REM,
	I2_MIN,
	I2_MAX,
	I2_AND,
	I2_OR,
	I2_XOR,
	I2_SHL,
	I2_SHR,
	I2_ADD_SAT,
	I2_SUB_SAT,
	I2_MUL24_LO,
	I2_MUL24_HI,
	I2_COUNT
};
enum int1 {
	I1_NOT,
	I1_NEG,
	I1_ABS,
	I1_CNOT,
	I1_POPC,
	I1_CLZ,
	I1_BREV,
	I1_BFIND,
	I1_BFIND_SHIFT,
	I1_COUNT
};
enum int3 { I3_MAD_LO, I3_MAD_WIDE, I3_BFE, I3_SAD, I3_COUNT };
exec_fn int2_fn(enum int2 op, enum type t);
exec_fn int1_fn(enum int1 op, enum type t);
exec_fn int3_fn(enum int3 op, enum type t);

enum float2 { F2_ADD, F2_SUB, F2_MUL, F2_DIV, F2_MIN, F2_MAX, F2_COPYSIGN, F2_COUNT };
enum float1 {
	F1_NEG,
	F1_ABS,
	F1_RCP,
	F1_SQRT,
	F1_RSQRT,
	F1_SIN,
	F1_COS,
	F1_EX2,
	F1_LG2,
	F1_TANH,
	F1_COUNT
};
/* Rounding and the other modifiers of a float operation, in insn.x. */
#define FLOAT_RN     0u
#define FLOAT_RZ     1u
#define FLOAT_RM     2u
#define FLOAT_RP     3u
#define FLOAT_RMASK  3u
#define FLOAT_FTZ    4u
#define FLOAT_SAT    8u
#define FLOAT_NAN    16u /* min, max: a NaN operand wins */
#define FLOAT_XORABS 32u
#define FLOAT_RELU   64u
exec_fn float2_fn(enum float2 op, enum type t, uint32_t flags);
exec_fn float1_fn(enum float1 op, enum type t, uint32_t flags);
exec_fn fma_fn(enum type t, uint32_t flags);
/* Runs insn.inner in the rounding mode of insn.x. */
int op_rounded(struct warp *w, const struct insn *i, uint32_t mask);
int op_testp(struct warp *w, const struct insn *i, uint32_t mask);

enum compare {
	CMP_EQ,
	CMP_NE,
	CMP_LT,
	CMP_LE,
	CMP_GT,
	CMP_GE,
	CMP_LO,
	CMP_LS,
	CMP_HI,
	CMP_HS,
	CMP_EQU,
	CMP_NEU,
	CMP_LTU,
	CMP_LEU,
	CMP_GTU,
	CMP_GEU,
	CMP_NUM,
	CMP_NAN,
	CMP_COUNT
};
enum { BOOL_NONE, BOOL_AND, BOOL_OR, BOOL_XOR };
compare_fn compare_by(enum compare c, enum type t, bool ftz);
int op_setp(struct warp *w, const struct insn *i, uint32_t mask);
int op_setp_bool(struct warp *w, const struct insn *i, uint32_t mask);
int op_setp_f16x2(struct warp *w, const struct insn *i, uint32_t mask);
int op_set(struct warp *w, const struct insn *i, uint32_t mask);
int op_set_half(struct warp *w, const struct insn *i, uint32_t mask);
int op_set_packed(struct warp *w, const struct insn *i, uint32_t mask);
exec_fn selp_fn(enum cls c);
exec_fn mov_fn(enum cls c);
exec_fn slct_fn(enum cls c, bool float_condition);

#define OP(name) int op_##name(struct warp *w, const struct insn *i, uint32_t mask)
OP(and_pred);
OP(or_pred);
OP(xor_pred);
OP(not_pred);
OP(lop3);
OP(prmt);
OP(shf_l);
OP(shf_r);
OP(bfi32);
OP(bfi64);
OP(dp4a);
OP(dp2a);
OP(add_cc);
OP(szext);
OP(special);
OP(local_address);
OP(pack);
OP(unpack);
OP(cvt_int);
OP(cvt_to_float);
OP(cvt_from_float);
OP(cvt_float);
OP(cvt_pack);
OP(cvt_u64_u32);
OP(cvt_s64_s32);
OP(cvt_u32_u64);
OP(cvt_f32_s32);
OP(cvt_f64_f32);
OP(cvt_f64_s32);
OP(cvt_f64_u32);
OP(cvt_s32_f32);
OP(cvt_f32_f64);
OP(ld);
OP(ld_strong);
OP(st);
OP(ld_kernel_param);
OP(atom);
OP(fence);
OP(cvta);
OP(cvta_to);
OP(isspacep);
OP(bra);
OP(brx);
OP(call);
OP(ret);
OP(exit);
OP(trap);
OP(nop);
OP(nanosleep);
OP(bar_sync);
OP(bar_arrive);
OP(bar_red);
OP(sync);
OP(activemask);
OP(tex);
OP(surface);
OP(query);
OP(cp);
OP(tensor);
OP(mbarrier);
OP(mbarrier_wait);
OP(cluster_arrive);
OP(cluster_wait);
OP(mapa);
OP(getctarank);
OP(bmsk);
OP(szext_bits);
OP(fns);
OP(cvt_pack_int);
OP(cvt_fp8);
OP(cvt_from_fp8);
#undef OP

/* A .sync instruction: publishes each lane's value, then computes from all lanes' values. */
struct sync_op {
	void (*show)(struct warp *w, const struct insn *i, uint32_t mask);
	void (*finish)(struct warp *w, const struct insn *i, uint32_t mask);
	uint32_t members; /* row of the member mask */
	uint32_t kind, kind2;
	const void *detail;
	uint32_t q; /* second destination, or OPERAND_NONE */
};
enum { SHFL_UP, SHFL_DOWN, SHFL_BFLY, SHFL_IDX };
enum { VOTE_ALL, VOTE_ANY, VOTE_UNI, VOTE_BALLOT };
enum { REDUX_ADD, REDUX_MIN, REDUX_MAX, REDUX_AND, REDUX_OR, REDUX_XOR };
void show_word(struct warp *w, const struct insn *i, uint32_t mask);
void show_wide(struct warp *w, const struct insn *i, uint32_t mask);
void show_pred(struct warp *w, const struct insn *i, uint32_t mask);
void show_nothing(struct warp *w, const struct insn *i, uint32_t mask);
void finish_shfl(struct warp *w, const struct insn *i, uint32_t mask);
void finish_vote(struct warp *w, const struct insn *i, uint32_t mask);
void finish_match(struct warp *w, const struct insn *i, uint32_t mask);
void finish_redux(struct warp *w, const struct insn *i, uint32_t mask);
void finish_elect(struct warp *w, const struct insn *i, uint32_t mask);
void finish_nothing(struct warp *w, const struct insn *i, uint32_t mask);

/* m's operation on the element at p, with operands b and c: its old value. */
uint64_t atomic_at(void *p, const struct mem_op *m, uint64_t b, uint64_t c);
enum atom {
	ATOM_ADD,
	ATOM_MIN,
	ATOM_MAX,
	ATOM_AND,
	ATOM_OR,
	ATOM_XOR,
	ATOM_EXCH,
	ATOM_CAS,
	ATOM_INC,
	ATOM_DEC
};

/* exec_half.c */
exec_fn half1_fn(enum float1 op, enum type t);
exec_fn half2_fn(enum float2 op, enum type t);
exec_fn half3_fn(enum type t);
/* One step of an atomic on halves: op is ATOM_ADD, ATOM_MIN or ATOM_MAX. */
uint32_t half_atomic(uint32_t op, enum type t, uint32_t a, uint32_t b);
float fp8_to_float(uint8_t v, bool e4m3);
/* To nearest; what is too large becomes the largest finite number. */
uint8_t double_to_fp8(double d, bool e4m3);
float half_to_float(uint16_t h);
float bfloat_to_float(uint16_t h);
/* mode: FLOAT_RN ... */
uint16_t double_to_half(double d, uint32_t mode);
uint16_t double_to_bfloat(double d, uint32_t mode);
float double_to_float(double d, uint32_t mode);
float double_to_tf32(double d, uint32_t mode);
double fma_odd(double a, double b, double c);

#endif
