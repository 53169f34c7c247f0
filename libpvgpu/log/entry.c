/* SPDX-License-Identifier: MIT */
/*
 * The way of a call that is logged: number in eax, all else as the program has set it. The frame
 * below rbp: the entry (72 bytes), vector registers (128), then the arguments of the stack again.
 */
#include "log/log.h"

#include <stddef.h>

#ifdef __x86_64__
_Static_assert(offsetof(struct pvgpu_log_entry, stack) == 48, "as below");
_Static_assert(offsetof(struct pvgpu_log_entry, number) == 56, "as below");
_Static_assert(sizeof(struct pvgpu_log_entry) == 72, "as below");
_Static_assert(sizeof(struct pvgpu_log_call) == 32, "as below");
_Static_assert(offsetof(struct pvgpu_log_call, fn) == 8, "as below");
_Static_assert(offsetof(struct pvgpu_log_call, stack) == 24, "as below");

__asm__(".text\n"
	".p2align 4\n"
	".globl pvgpu_log_enter\n"
	".hidden pvgpu_log_enter\n"
	".hidden pvgpu_log_calls\n"
	".hidden pvgpu_log_begin\n"
	".hidden pvgpu_log_end\n"
	".type pvgpu_log_enter, @function\n"
	"pvgpu_log_enter:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbp, -16\n"
	"	movq %rsp, %rbp\n"
	"	.cfi_def_cfa_register %rbp\n"
	"	subq $208, %rsp\n"
	"	movq %rdi, -72(%rbp)\n"
	"	movq %rsi, -64(%rbp)\n"
	"	movq %rdx, -56(%rbp)\n"
	"	movq %rcx, -48(%rbp)\n"
	"	movq %r8, -40(%rbp)\n"
	"	movq %r9, -32(%rbp)\n"
	"	leaq 16(%rbp), %r10\n"
	"	movq %r10, -24(%rbp)\n"
	"	movl %eax, %eax\n"
	"	movq %rax, -16(%rbp)\n"
	"	movups %xmm0, -200(%rbp)\n"
	"	movups %xmm1, -184(%rbp)\n"
	"	movups %xmm2, -168(%rbp)\n"
	"	movups %xmm3, -152(%rbp)\n"
	"	movups %xmm4, -136(%rbp)\n"
	"	movups %xmm5, -120(%rbp)\n"
	"	movups %xmm6, -104(%rbp)\n"
	"	movups %xmm7, -88(%rbp)\n"
	"	leaq -72(%rbp), %rdi\n"
	"	call pvgpu_log_begin\n"
	"	movq -16(%rbp), %rax\n"
	"	shlq $5, %rax\n"
	"	leaq pvgpu_log_calls(%rip), %r11\n"
	"	addq %rax, %r11\n"
	"	movl 24(%r11), %ecx\n"
	"	leaq 1(%rcx), %rax\n"
	"	andq $-2, %rax\n"
	"	shlq $3, %rax\n"
	"	subq %rax, %rsp\n"
	"	leaq 16(%rbp), %rsi\n"
	"	movq %rsp, %rdi\n"
	"	rep movsq\n"
	"	movups -200(%rbp), %xmm0\n"
	"	movups -184(%rbp), %xmm1\n"
	"	movups -168(%rbp), %xmm2\n"
	"	movups -152(%rbp), %xmm3\n"
	"	movups -136(%rbp), %xmm4\n"
	"	movups -120(%rbp), %xmm5\n"
	"	movups -104(%rbp), %xmm6\n"
	"	movups -88(%rbp), %xmm7\n"
	"	movq -72(%rbp), %rdi\n"
	"	movq -64(%rbp), %rsi\n"
	"	movq -56(%rbp), %rdx\n"
	"	movq -48(%rbp), %rcx\n"
	"	movq -40(%rbp), %r8\n"
	"	movq -32(%rbp), %r9\n"
	"	xorl %eax, %eax\n"
	"	call *8(%r11)\n"
	"	movq %rax, -200(%rbp)\n"
	"	leaq -72(%rbp), %rdi\n"
	"	movq %rax, %rsi\n"
	"	call pvgpu_log_end\n"
	"	movq -200(%rbp), %rax\n"
	"	leave\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	.size pvgpu_log_enter, .-pvgpu_log_enter\n");
#endif
