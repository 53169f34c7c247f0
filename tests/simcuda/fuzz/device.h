/* SPDX-License-Identifier: MIT */
/* Generated kernels for the GPU: the statements are what they look like. */
#define FN  static __attribute__((device)) inline __attribute__((always_inline))
#define DEV static __attribute__((device)) __attribute__((noinline))
#include "tests/simcuda/fuzz/common.h"

#define V(x)           x
#define TID            ((u32)__nvvm_read_ptx_sreg_tid_x())
#define LANE           (TID & 31)

#define mulhi_u(a, b)  ((u32)__nvvm_mulhi_ui(a, b))
#define mulhi_s(a, b)  ((u32)__nvvm_mulhi_i((s32)(a), (s32)(b)))
#define mul24_u(a, b)  ((u32)__nvvm_mul24_ui(a, b))
#define sad_u(a, b, c) ((u32)__nvvm_sad_ui(a, b, c))
#define prmt(a, b, c)  ((u32)__nvvm_prmt(a, b, c))
#define popc(a)        ((u32)__builtin_popcount(a))
#define popc64(a)      ((u32)__builtin_popcountll(a))
#define clz(a)         ((a) ? (u32)__builtin_clz(a) : 32u)
#define brev(a)        ((u32)__builtin_bitreverse32(a))
#define ffma(a, b, c)  __nvvm_fma_rn_f(a, b, c)
#define dfma(a, b, c)  __nvvm_fma_rn_d(a, b, c)
#define fsqrt(a)       __nvvm_sqrt_rn_f(a)
#define ffmin(a, b)    pick_min(a, b)
#define ffmax(a, b)    pick_max(a, b)
#define add_rz(a, b)   __nvvm_add_rz_f(a, b)
#define mul_rp(a, b)   __nvvm_mul_rp_f(a, b)
#define mul_rm(a, b)   __nvvm_mul_rm_f(a, b)
#define f2i(a)         convert_f2i(a)
#define f2u(a)         convert_f2u(a)
#define f2i_rn(a)      convert_f2i_rn(a)
#define d2i(a)         convert_d2i(a)
#define sat(a)         __nvvm_saturate_f(a)

/* Spelled out: LLVM takes what is out of range for undefined, and PTX defines it. */
#define CONVERT(name, type, letter, insn)                                                          \
	FN u32 convert_##name(type v)                                                              \
	{                                                                                          \
		u32 r;                                                                             \
		__asm__("cvt." insn " %0, %1;" : "=r"(r) : letter(v));                             \
		return r;                                                                          \
	}
CONVERT(f2i, float, "f", "rzi.s32.f32")
CONVERT(f2u, float, "f", "rzi.u32.f32")
CONVERT(f2i_rn, float, "f", "rni.s32.f32")
CONVERT(d2i, double, "d", "rzi.s32.f64")

/*
 * LLVM 14 makes mul.wide.s32 by -2^31 of a sign-extended value's shift by 31, and mul.wide.s16 by
 * -2^15 of one by 15: right but for the sign.
 */
FN u32 amount(u32 n)
{
	u32 hidden = n;

	if (__builtin_constant_p(n) && (n == 31 || n == 15))
		__asm__("mov.u32 %0, %1;" : "=r"(hidden) : "r"(n));
	return hidden;
}
#define AMOUNT(n) amount(n)

/* What no function of this LLVM's is. */
#define WORDS(name, text)                                                                          \
	FN u32 name(u32 a, u32 b, u32 c)                                                           \
	{                                                                                          \
		u32 r;                                                                             \
		__asm__(text : "=r"(r) : "r"(a), "r"(b), "r"(c));                                  \
		return r;                                                                          \
	}
WORDS(bmsk, "bmsk.clamp.b32 %0, %1, %2;")
WORDS(szext, "szext.wrap.s32 %0, %1, %2;")
WORDS(pack_s8, "cvt.pack.sat.s8.s32.b32 %0, %1, %2, %3;")
WORDS(carried, "{\n.reg .u32 t;\nadd.cc.u32 t, %1, %2;\naddc.u32 %0, %3, 0;\n}")
WORDS(no_borrow, "{\n.reg .u32 t;\nsub.cc.u32 t, %1, %2;\naddc.u32 %0, %3, 0;\n}")
WORDS(h_add, "add.rn.f16x2 %0, %1, %2;")
WORDS(h_sub, "sub.rn.f16x2 %0, %1, %2;")
WORDS(h_mul, "mul.rn.f16x2 %0, %1, %2;")
WORDS(h_sat, "add.rn.sat.f16x2 %0, %1, %2;")
WORDS(h_fma, "fma.rn.f16x2 %0, %1, %2, %3;")
WORDS(h_relu, "fma.rn.relu.f16x2 %0, %1, %2, %3;")
WORDS(h_min, "min.f16x2 %0, %1, %2;")
WORDS(h_max_nan, "max.NaN.f16x2 %0, %1, %2;")
WORDS(b_fma, "fma.rn.bf16x2 %0, %1, %2, %3;")
WORDS(b_relu, "fma.rn.relu.bf16x2 %0, %1, %2, %3;")
WORDS(b_min_nan, "min.NaN.bf16x2 %0, %1, %2;")
WORDS(b_max, "max.bf16x2 %0, %1, %2;")

/* Two floats as one word of smaller ones. */
#define NARROW(name, text)                                                                         \
	FN u32 name(float a, float b)                                                              \
	{                                                                                          \
		u32 r;                                                                             \
		__asm__("{\n.reg .b16 t;\n" text "\n}" : "=r"(r) : "f"(a), "f"(b));                \
		return r;                                                                          \
	}
NARROW(fp8, "cvt.rn.satfinite.e4m3x2.f32 t, %1, %2;\ncvt.u32.u16 %0, t;")
NARROW(fp8_wide, "cvt.rn.satfinite.e5m2x2.f32 t, %1, %2;\ncvt.u32.u16 %0, t;")
NARROW(halves, "cvt.rn.f16x2.f32 %0, %1, %2;")
NARROW(halves_rz, "cvt.rz.f16x2.f32 %0, %1, %2;")
NARROW(brains, "cvt.rn.bf16x2.f32 %0, %1, %2;")
NARROW(brains_relu, "cvt.rn.relu.bf16x2.f32 %0, %1, %2;")

FN float half_of(u32 v)
{
	float r;

	__asm__("{\n.reg .b16 t;\ncvt.u16.u32 t, %1;\ncvt.f32.f16 %0, t;\n}" : "=f"(r) : "r"(v));
	return r;
}

/* LLVM takes one zero for the other. */
#define PICK(name)                                                                                 \
	FN float pick_##name(float a, float b)                                                     \
	{                                                                                          \
		float r;                                                                           \
		__asm__(#name ".f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));                      \
		return r;                                                                          \
	}
PICK(min)
PICK(max)

#define ballot(m, c) ((u32)__nvvm_vote_ballot_sync(m, c))

#define KERNEL(n, t)                                                                               \
	extern "C" __attribute__((global)) void k##n(u32 *out, const u32 *in)                      \
	{                                                                                          \
		enum { T = t };                                                                    \
		static __attribute__((shared, aligned(16))) u32 sh[THREADS_MAX];                   \
		static __attribute__((shared)) u32 acc[ACC_WORDS];                                 \
		u32 m_0 = (u32)__nvvm_activemask_like();                                           \
		u32 a = in[TID * IN_WORDS], b = in[TID * IN_WORDS + 1],                            \
		    c = in[TID * IN_WORDS + 2], d = TID;                                           \
		u64 p = (u64)a << 32 | b, q = in[TID * IN_WORDS + 3] * 0x9e3779b97f4a7c15ull;      \
		float x = number(b), y = number(c);                                                \
		double z = (double)x * 3;                                                          \
		sh[TID] = a ^ b;                                                                   \
		if (TID < ACC_WORDS) {                                                             \
			const u32 init[] = ACC_INIT;                                               \
			acc[TID] = init[TID];                                                      \
		}                                                                                  \
		__syncthreads();
#define END_KERNEL                                                                                 \
	(void)m_0;                                                                                 \
	STORE(out + TID * OUT_WORDS);                                                              \
	}
static __attribute__((device)) inline u32 __nvvm_activemask_like(void)
{
	u32 m;

	__asm__ volatile("activemask.b32 %0;" : "=r"(m));
	return m;
}

#define SET(v, e) v = (e);
#define IF(k, p, c)                                                                                \
	{                                                                                          \
		const int c_##k = (c) ? 1 : 0;                                                     \
		const u32 t_##k = ballot(m_##p, c_##k), n_##k = m_##p & ~t_##k;                    \
		(void)n_##k;                                                                       \
		if (c_##k) {                                                                       \
			const u32 m_##k = t_##k;                                                   \
			(void)m_##k;
#define ELSE(k)                                                                                    \
	}                                                                                          \
	else                                                                                       \
	{                                                                                          \
		const u32 m_##k = n_##k;                                                           \
		(void)m_##k;
#define PIF(k, c)                                                                                  \
	{                                                                                          \
		if (c) {
#define PELSE(k)                                                                                   \
	}                                                                                          \
	else                                                                                       \
	{
#define END_IF                                                                                     \
	}                                                                                          \
	}
#define LOOP(k, p, n)                                                                              \
	{                                                                                          \
		const u32 q_##k = (n);                                                             \
		u32 m_##k = m_##p;                                                                 \
		for (u32 i_##k = 0;; i_##k++) {                                                    \
			const int g_##k = i_##k < q_##k;                                           \
			m_##k = ballot(m_##k, g_##k);                                              \
			if (!g_##k)                                                                \
				break;
#define PLOOP(k, n)                                                                                \
	{                                                                                          \
		const u32 q_##k = (n);                                                             \
		for (u32 i_##k = 0; i_##k < q_##k; i_##k++) {
#define END_LOOP                                                                                   \
	}                                                                                          \
	}
#define BREAK_IF(k, c)                                                                             \
	if (c)                                                                                     \
		break;
#define CONTINUE_IF(k, c)                                                                          \
	if (c)                                                                                     \
		continue;
#define RET_IF(c)                                                                                  \
	{                                                                                          \
		const int r_ = (c) ? 1 : 0;                                                        \
		m_0 = ballot(m_0, !r_);                                                            \
		if (r_) {                                                                          \
			STORE(out + TID * OUT_WORDS);                                              \
			return;                                                                    \
		}                                                                                  \
	}

#define BALLOT(v, k, c)     v = ballot(m_##k, (c) ? 1 : 0);
#define VOTE(v, k, kind, c) v = v * 2 + (u32)__nvvm_vote_##kind##_sync(m_##k, (c) ? 1 : 0);
#define MASK(v, k)          v = m_##k;
#define MATCH(v, k, e)      v = (u32)__nvvm_match_any_sync_i32(m_##k, e);
#define REDUX(v, k, op, e)  v = (u32)__nvvm_redux_sync_##op((s32)(e), m_##k);
#define ELECT(v, k)                                                                                \
	__asm__ volatile("{\n.reg .pred p;\nelect.sync %0|p, %1;\n@p add.u32 %0, %0, 64;\n}"       \
			 : "=&r"(v)                                                                \
			 : "r"(m_##k));
#define WSYNC(k) __nvvm_bar_warp_sync(m_##k);
/* What a lane outside the mask would give is not defined: the own value instead. */
#define SHFL(v, k, mode, e, s, w)                                                                  \
	{                                                                                          \
		const u32 e_ = (e), s_ = (s)&31;                                                   \
		const s32 j_ = shfl_lane(shfl_##mode, (s32)LANE, (s32)s_, w);                      \
		const u32 r_ = (u32)__nvvm_shfl_sync_##mode##_i32(                                 \
			m_##k, (s32)e_, (s32)s_, ((32 - w) << 8) | (shfl_##mode ? 31 : 0));        \
		v = j_ < 0 || m_##k >> j_ & 1 ? r_ : e_;                                           \
	}
enum { shfl_up, shfl_down, shfl_bfly, shfl_idx };
FN s32 shfl_lane(int mode, s32 lane, s32 by, s32 width)
{
	s32 first = lane & -width, j;

	j = mode == shfl_up     ? lane - by
	    : mode == shfl_down ? lane + by
	    : mode == shfl_bfly ? lane ^ by
				: first + (by & (width - 1));
	return j < (mode == shfl_up ? first : 0) || j >= first + width ? -1 : j;
}

#define SYNC   __syncthreads();
#define PUT(e) sh[TID] = (e);
#define GET(v, e)                                                                                  \
	SYNC v = sh[(e) % T];                                                                      \
	SYNC
/* An asynchronous copy of one of the thread's words of input. */
#define COPY(n)                                                                                    \
	__asm__ volatile("{\n.reg .u64 s;\ncvta.to.shared.u64 s, %0;\n"                            \
			 "cp.async.ca.shared.global [s], [%1], 4;\ncp.async.commit_group;\n"       \
			 "cp.async.wait_group 0;\n}" ::"l"(&sh[TID]),                              \
			 "l"(&in[TID * IN_WORDS + n])                                              \
			 : "memory");
/* v and w are an accumulator of bytes' products, by whole warps. */
#define MMA(v, w, ea, eb)                                                                          \
	{                                                                                          \
		const u32 a_ = (ea), b_ = (eb);                                                    \
		__asm__ volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.u8.s32 {%0, %1}, "       \
				 "{%2}, {%3}, {%0, %1};"                                           \
				 : "+r"(v), "+r"(w)                                                \
				 : "r"(a_), "r"(b_));                                              \
	}
/* A matrix of 16-bit elements from rows of shared memory, and one into the warp's own rows. */
#define LOAD_MATRIX(v, how, e)                                                                     \
	{                                                                                          \
		SYNC const u32 *const row_ = &sh[(e) % (T / 4) * 4];                               \
		__asm__ volatile("{\n.reg .u64 s;\ncvta.to.shared.u64 s, %1;\n"                    \
				 "ldmatrix.sync.aligned.m8n8.x1" matrix_##how                      \
				 ".shared.b16 {%0}, [s];\n}"                                       \
				 : "=r"(v)                                                         \
				 : "l"(row_)                                                       \
				 : "memory");                                                      \
		SYNC                                                                               \
	}
#define STORE_MATRIX(how, n, e)                                                                    \
	{                                                                                          \
		const u32 e_ = (e);                                                                \
		SYNC __asm__ volatile(                                                             \
			"{\n.reg .u64 s;\ncvta.to.shared.u64 s, %0;\n"                             \
			"stmatrix.sync.aligned.m8n8.x1" matrix_##how                               \
			".shared.b16 [s], {%1};\n}" ::"l"(&sh[(TID & ~31u) + (LANE + n) % 8 * 4]), \
			"r"(e_)                                                                    \
			: "memory");                                                               \
		SYNC                                                                               \
	}
#define matrix_rows        ""
#define matrix_columns     ".trans"
#define BARRED(v, kind, c) v += (u32)__nvvm_bar0_##kind((c) ? 1 : 0);
#define ATOM(op, e)        atom_##op((e));
#define SUM(v, n)                                                                                  \
	SYNC v ^= acc[n];                                                                          \
	SYNC
#define atom_add(e)  __nvvm_atom_add_gen_i((s32 *)&acc[0], (s32)(e))
#define atom_umin(e) __nvvm_atom_min_gen_ui(&acc[1], e)
#define atom_umax(e) __nvvm_atom_max_gen_ui(&acc[2], e)
#define atom_and(e)  __nvvm_atom_and_gen_i((s32 *)&acc[3], (s32)(e))
#define atom_or(e)   __nvvm_atom_or_gen_i((s32 *)&acc[4], (s32)(e))
#define atom_xor(e)  __nvvm_atom_xor_gen_i((s32 *)&acc[5], (s32)(e))
#define atom_smin(e) __nvvm_atom_min_gen_i((s32 *)&acc[6], (s32)(e))
#define atom_smax(e) __nvvm_atom_max_gen_i((s32 *)&acc[7], (s32)(e))
