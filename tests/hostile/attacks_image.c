/* SPDX-License-Identifier: MIT */
/* Images: PTX, fatbins and ELF files that are malformed, claim wrong sizes, or are bombs. */
#include "tests/hostile/attack.h"
#include "tests/kernels/fatbin.h"

#include <elf.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

extern const char ptx_fault[];
extern const uint64_t ptx_fault_size;

#define HEAD      ".version 6.4\n.target sm_70\n.address_size 64\n"
#define ENTRY     HEAD ".visible .entry k()\n{\n"
#define OK_SO_FAR (!guest_over(g))

/* A bad image: an error, and no other effect. */
static void refuse(struct guest *g, size_t len, const char *what)
{
	static uint32_t index;
	int r = guest_load(g, ++index & 0xff, len);

	WANT(r != ENDED, "%s: the session ended", what);
	WANT(r, "%s: was loaded", what);
}

/* Any result is accepted; a loaded module is unloaded. */
static void any(struct guest *g, size_t len)
{
	static uint32_t gen;
	const uint64_t m = PVGPU_HANDLE(PVGPU_H_MODULE, 0, ++gen & 0xffff, 300);

	if (!CALL(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = g->arena_base,
		  .image_len = len, .error_log_size = 4096, .info_log_size = 4096, .module = m))
		POST(g, module_unload, MODULE_UNLOAD, .module = m);
}

/* ---- PTX ---- */

static void texts(struct guest *g)
{
	static const char *const bad[] = {
		HEAD ".visible .entry",
		HEAD ".visible .entry k(",
		HEAD ".visible .entry k(.param .u32 a[4294967295]) { ret; }",
		HEAD ".visible .entry k(.param .b8 a[18446744073709551615]) { ret; }",
		HEAD ".global .b8 x[1152921504606846976];",
		HEAD ".global .b64 x[4611686018427387905];",
		HEAD ".global .align 4294967296 .b8 x[4];",
		HEAD ".global .align 3 .b8 x[4];",
		HEAD ".shared .b8 x[4294967296];\n.visible .entry k() { ret; }",
		ENTRY ".local .b8 x[1099511627776]; ret; }",
		ENTRY ".reg .b32 %r<4294967295>; ret; }",
		ENTRY ".reg .b32 %r<99999999999999999999>; ret; }",
		ENTRY ".reg .b32 %r<2000000000>; mov.u32 %r1999999999, 0; ret; }",
		ENTRY ".reg .b32 %r<-1>; ret; }",
		ENTRY "bra nowhere; }",
		ENTRY "mov.u32 %r1, %r2; ret; }",
		ENTRY "call nobody, (); ret; }",
		ENTRY "\"unterminated",
		ENTRY "/* unterminated",
		ENTRY "frobnicate.u32 %r0, %r1; ret; }",
		ENTRY "ld.global.u32 %r0, [",
		ENTRY "{{{{{{{{",
		"}}}}",
		".version 999999999999.1",
		".version",
		"/*",
		"//",
		HEAD ".extern .func f; .visible .entry k() { call f; ret; }",
		HEAD ".func f() { call f; ret; } .visible .entry k() { call f; ret; } .visible "
		     ".entry k() { ret; }",
		HEAD ".global .u32 x[4] = {1, 2, 3, 4, 5, 6, 7, 8};",
		HEAD ".global .u32 x[] = {1, 2};",
		HEAD ".global .u64 x = y;",
		HEAD ".maxntid 4294967295\n",
		HEAD ".visible .entry k() .maxntid 99999999999, 1, 1 { ret; }",
		ENTRY ".reg .b32 %r<2>; ts: .branchtargets a, b, c; brx.idx %r0, ts; ret; }",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) && OK_SO_FAR; i++) {
		strcpy((char *)g->chunk, bad[i]);
		/* With its NUL, and without: bytes behind it are not part of the image. */
		any(g, strlen(bad[i]) + 1);
		memset(g->chunk + strlen(bad[i]), 'x', 64);
		any(g, strlen(bad[i]));
		any(g, strlen(bad[i]) / 2 + 1);
	}
}

static char *fill(char *to, const char *what, size_t times)
{
	size_t n = strlen(what);

	for (size_t i = 0; i < times; i++, to += n)
		memcpy(to, what, n);
	return to;
}

/* Long, deep and repetitive texts, of megabytes. */
static void large_texts(struct guest *g)
{
	static const struct {
		const char *before, *unit;
		size_t times;
	} shapes[] = {
		{ENTRY, "{", 500000},
		{ENTRY, "(", 500000},
		{HEAD ".global .u32 x = ", "(", 500000},
		{HEAD ".global .u32 x = ", "-", 500000},
		{HEAD ".global .u32 x = ", "1+", 300000},
		{HEAD ".global .u32 x[500000] = {", "1,", 500000},
		{HEAD ".global .u32 x[1] = ", "{", 500000},
		{HEAD ".visible .entry ", "a", 1000000},
		{HEAD, ".version 6.4\n", 80000},
		{HEAD, "/**/", 500000},
		{HEAD ".visible .entry k(", ".param .u64 a,", 100000},
		{ENTRY, "l:", 200000},
		{ENTRY, "@%p ", 200000},
		{ENTRY, ".reg .b32 r;", 100000},
		{ENTRY, ".reg .b32 %r<100000>;\n", 40000},
		{ENTRY ".reg .b32 %a, %b;\n", "add.u32 %a, %b, 1;\n", 150000},
		{HEAD, ".visible .entry k() { ret; }\n", 100000},
		{HEAD, ".global .b8 x[1073741824];\n", 100000},
		{HEAD, ".shared .b8 x[1000000];\n", 100000},
		{HEAD, "\0\0\0\0", 1},
		{HEAD, "\n", 1000000},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]) && OK_SO_FAR; i++) {
		char *end = (char *)g->chunk;

		memcpy(end, shapes[i].before, strlen(shapes[i].before));
		end += strlen(shapes[i].before);
		end = fill(end, shapes[i].unit, shapes[i].times);
		*end++ = '\0';
		any(g, (size_t)(end - (char *)g->chunk));
	}
}

static void mutate(unsigned char *p, size_t len)
{
	unsigned int n = 1 + attack_random() % 6;

	while (n--) {
		size_t at = attack_random() % len, m = attack_random() % 24 + 1;

		switch (attack_random() % 4) {
		case 0:
			p[at] ^= (unsigned char)(1u << attack_random() % 8);
			break;
		case 1:
			p[at] = (unsigned char)"0123456789{}();,.<>[]%-+\"\n "[attack_random() %
									       27];
			break;
		default: /* copy a piece of it over another place */
			if (at + m < len) {
				size_t from = attack_random() % (len - m);

				memmove(p + at, p + from, m);
			}
			break;
		}
	}
}

static void mutants(struct guest *g)
{
	const uint64_t until = now_ms() + 1500;

	while (now_ms() < until && OK_SO_FAR) {
		memcpy(g->chunk, ptx_fault, ptx_fault_size + 1);
		mutate(g->chunk, ptx_fault_size);
		any(g, ptx_fault_size + 1);
	}
}

/* ---- fatbins ---- */

/* A fatbin of one entry around the payload at chunk + BODY; returns its size. */
static size_t wrap(struct guest *g, size_t stored, uint64_t unpacked, enum fat_storage how)
{
	const struct fat_entry e = fat_entry(FAT_PTX, 70, how, stored, unpacked);
	const struct fat_header h = fat_header(sizeof(e) + e.payload);

	memcpy(g->chunk, &h, sizeof(h));
	memcpy(g->chunk + sizeof(h), &e, sizeof(e));
	return sizeof(h) + h.size;
}

#define BODY (sizeof(struct fat_header) + sizeof(struct fat_entry))

static size_t plain(struct guest *g)
{
	memcpy(g->chunk + BODY, ptx_fault, ptx_fault_size + 1);
	return wrap(g, ptx_fault_size + 1, 0, FAT_PLAIN);
}

static void set(struct guest *g, size_t at, uint64_t value, size_t bytes)
{
	memcpy(g->chunk + at, &value, bytes);
}

static void lies(struct guest *g)
{
	const size_t e = sizeof(struct fat_header);
	const struct {
		size_t at;
		uint64_t value;
		size_t bytes;
	} lie[] = {
		{4, 2, 2},
		{6, 8, 2},
		{6, 0xffff, 2},
		{8, 0, 8},
		{8, ~0ull, 8},
		{8, 1ull << 63, 8},
		{8, ~0ull - 15, 8},
		{8, 1ull << 31, 8},
		{8, 65, 8},
		{e + offsetof(struct fat_entry, header_size), 0, 4},
		{e + offsetof(struct fat_entry, header_size), 63, 4},
		{e + offsetof(struct fat_entry, header_size), ~0u, 4},
		{e + offsetof(struct fat_entry, options), 0, 4},
		{e + offsetof(struct fat_entry, options), 63, 4},
		{e + offsetof(struct fat_entry, options), 73, 4},
		{e + offsetof(struct fat_entry, options), ~0u, 4},
		{e + offsetof(struct fat_entry, options_text), 81, 4},
		{e + offsetof(struct fat_entry, options_len), ~0u, 4},
		{e + offsetof(struct fat_entry, payload), ~0ull, 8},
		{e + offsetof(struct fat_entry, payload), ~0ull - 63, 8},
		{e + offsetof(struct fat_entry, payload), 1ull << 32, 8},
		{e + offsetof(struct fat_entry, flags), 0x11 | FAT_LZ4, 8},
		{e + offsetof(struct fat_entry, flags), 0x11 | FAT_ZSTD, 8},
		{e + offsetof(struct fat_entry, flags), ~0ull, 8},
	};

	WANT(guest_load(g, 200, plain(g)) == 0, "a good fatbin must load");
	for (size_t i = 0; i < sizeof(lie) / sizeof(lie[0]) && OK_SO_FAR; i++) {
		size_t len = plain(g);
		char what[32];

		set(g, lie[i].at, lie[i].value, lie[i].bytes);
		snprintf(what, sizeof(what), "lie %zu", i);
		refuse(g, len, what);
	}
	for (size_t len = 1; len < 200 && OK_SO_FAR; len += 3) {
		plain(g);
		refuse(g, len, "a cut fatbin");
	}
}

static void fatbin_mutants(struct guest *g)
{
	const uint64_t until = now_ms() + 700;

	while (now_ms() < until && OK_SO_FAR) {
		size_t len, n;

		switch (attack_random() % 3) {
		case 0:
			len = plain(g);
			break;
		case 1:
			n = (size_t)LZ4_compress_default(ptx_fault, (char *)g->chunk + BODY,
							 (int)ptx_fault_size + 1, 1 << 20);
			len = wrap(g, n, ptx_fault_size + 1, FAT_LZ4);
			break;
		default:
			n = ZSTD_compress(g->chunk + BODY, 1 << 20, ptx_fault, ptx_fault_size + 1,
					  1);
			len = wrap(g, n, ptx_fault_size + 1, FAT_ZSTD);
			break;
		}
		mutate(g->chunk, attack_random() % 2 ? BODY : len);
		any(g, len);
	}
}

/* A gigabyte of zeros or of blanks, in a few kilobytes, with various sizes in its header. */
static size_t zstd_bomb(struct guest *g, size_t total, char what)
{
	static char block[1 << 20];
	ZSTD_CCtx *z = ZSTD_createCCtx();
	ZSTD_outBuffer out = {g->chunk + BODY, CHUNK_SIZE - BODY - 64, 0};

	memset(block, what, sizeof(block));
	memcpy(block, HEAD "//", sizeof(HEAD) + 1);
	for (size_t done = 0; done < total; done += sizeof(block)) {
		ZSTD_inBuffer in = {block, sizeof(block), 0};
		const bool last = done + sizeof(block) >= total;

		while (ZSTD_isError(
			ZSTD_compressStream2(z, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue)))
			die("zstd");
	}
	ZSTD_freeCCtx(z);
	return out.pos;
}

static size_t lz4_bomb(struct guest *g, size_t total, char what)
{
	char *bytes = malloc(total);
	int n;

	if (!bytes)
		die("out of memory");
	memset(bytes, what, total);
	memcpy(bytes, HEAD "//", sizeof(HEAD) + 1);
	n = LZ4_compress_fast(bytes, (char *)g->chunk + BODY, (int)total,
			      (int)(CHUNK_SIZE - BODY - 64), 8);
	free(bytes);
	if (n <= 0)
		die("lz4");
	return (size_t)n;
}

static void bombs(struct guest *g)
{
	static const uint64_t said[] = {1024,       64ull << 20, (64ull << 20) + 1,
					1ull << 30, 1ull << 31,  ~0ull,
					~0ull - 1,  1ull << 63,  0};
	const bool zstd = attack_arg;
	size_t n;

	n = zstd ? zstd_bomb(g, 1ull << 30, ' ') : lz4_bomb(g, 200u << 20, ' ');
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]) && OK_SO_FAR; i++)
		refuse(g, wrap(g, n, said[i], zstd ? FAT_ZSTD : FAT_LZ4), "a bomb");
	/* A comment of the largest size that is allowed. */
	n = zstd ? zstd_bomb(g, 64u << 20, '\0') : lz4_bomb(g, 64u << 20, '\0');
	for (int i = 0; i < 3 && OK_SO_FAR; i++)
		any(g, wrap(g, n, 64u << 20, zstd ? FAT_ZSTD : FAT_LZ4));
}

/* Very many entries. */
static void entries(struct guest *g)
{
	const struct fat_entry e = fat_entry(FAT_ELF, 35, FAT_PLAIN, 0, 0);
	const struct fat_header h = fat_header(CHUNK_SIZE / sizeof(e) * sizeof(e) - sizeof(e));

	memcpy(g->chunk, &h, sizeof(h));
	for (size_t at = sizeof(h); at + sizeof(e) <= sizeof(h) + h.size; at += sizeof(e))
		memcpy(g->chunk + at, &e, sizeof(e));
	refuse(g, sizeof(h) + h.size, "empty entries");
}

/* ---- ELF ---- */

static size_t elf(struct guest *g)
{
	const Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1, 51},
			      .e_type = ET_EXEC,
			      .e_machine = 190,
			      .e_version = 1,
			      .e_shoff = sizeof(h),
			      .e_ehsize = sizeof(h),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_shentsize = sizeof(Elf64_Shdr),
			      .e_shnum = 3,
			      .e_shstrndx = 1};
	const Elf64_Shdr s[3] = {
		{0},
		{.sh_name = 1, .sh_type = SHT_STRTAB, .sh_offset = 256, .sh_size = 32},
		{.sh_name = 7, .sh_type = SHT_PROGBITS, .sh_offset = 300, .sh_size = 64}};

	memset(g->chunk, 0, 1024);
	memcpy(g->chunk, &h, sizeof(h));
	memcpy(g->chunk + sizeof(h), s, sizeof(s));
	memcpy(g->chunk + 256, "\0.strtab\0.text.k", 17);
	return 512;
}

static void elves(struct guest *g)
{
	static const uint64_t wild[] = {0,          1,          511,        512,  0xffff,
					0xffffffff, 1ull << 31, 1ull << 62, ~0ull};

	for (size_t at = 0; at < 256 && OK_SO_FAR; at += 8)
		for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]) && OK_SO_FAR; i++) {
			size_t len = elf(g);

			set(g, at, wild[i], 8);
			any(g, len);
			elf(g);
			set(g, at + 6, wild[i], 2);
			any(g, len);
		}
	for (size_t len = 1; len < 512 && OK_SO_FAR; len += 7) {
		elf(g);
		refuse(g, len, "a cut ELF file");
	}
}

/* ---- the command itself ---- */

static void ranges(struct guest *g)
{
	const uint64_t at[][2] = {
		{g->arena_base + CHUNK_SIZE, 64},
		{g->arena_base, CHUNK_SIZE + 1},
		{g->arena_base + CHUNK_SIZE - 1, 2},
		{g->arena_base + g->arena_size - 8, 8},
	};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		WANT(CALL(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = at[i][0],
			  .image_len = at[i][1], .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, 1)),
		     "an image outside the chunk");
}

static void outside(struct guest *g)
{
	const uint64_t at[][2] = {
		{g->arena_base - 8, 16},
		{g->arena_base + g->arena_size - 8, 16},
		{~0ull - 7, 16},
		{g->device_base, 64},
		{(uintptr_t)g->page, 64},
		{0, 0},
		{g->arena_base, (1ull << 30) + 1},
		{g->arena_base, 0},
	};

	POST(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = at[attack_arg][0],
	     .image_len = at[attack_arg][1], .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, 1));
}

/* Options that would be pointers in the worker. */
static void options(struct guest *g)
{
	struct pvgpu_jit_option o[64];
	struct pvgpu_wire_module_load c;

	memcpy(g->chunk, ptx_fault, ptx_fault_size + 1);
	for (uint32_t id = 0; id < 64 && OK_SO_FAR; id++) {
		for (uint32_t i = 0; i < 64; i++)
			o[i] = (struct pvgpu_jit_option){id, attack_random()};
		for (uint32_t n = 1; n <= 64; n += 63) {
			c = (struct pvgpu_wire_module_load){
				HDR(module_load, MODULE_LOAD),
				.ctx = g->ctx,
				.image = g->arena_base,
				.image_len = ptx_fault_size + 1,
				.options_len = n * (uint32_t)sizeof(o[0]),
				.info_log_size = n == 1 ? 1 : 4096,
				.error_log_size = 4096,
				.module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, id, n)};
			guest_call_parts(g, &c, o, c.options_len);
		}
	}
}

const struct attack attacks_image[] = {
	{"image_texts", MEMORY, LIVES, texts, 0},
	{"image_large_texts", MEMORY, LIVES, large_texts, 0},
	{"image_mutants", MEMORY, LIVES, mutants, 0},
	{"image_fatbin_lies", MEMORY, LIVES, lies, 0},
	{"image_fatbin_mutants", MEMORY, LIVES, fatbin_mutants, 0},
	{"image_lz4_bombs", MEMORY, LIVES, bombs, 0},
	{"image_zstd_bombs", MEMORY, LIVES, bombs, 1},
	{"image_entries", MEMORY, LIVES, entries, 0},
	{"image_elf", MEMORY, LIVES, elves, 0},
	{"image_ranges", MEMORY, LIVES, ranges, 0},
	{"image_before_arena", MEMORY, ENDS, outside, 0},
	{"image_over_arena", MEMORY, ENDS, outside, 1},
	{"image_wraps", MEMORY, ENDS, outside, 2},
	{"image_on_device", MEMORY, ENDS, outside, 3},
	{"image_in_ring", MEMORY, ENDS, outside, 4},
	{"image_nowhere", MEMORY, ENDS, outside, 5},
	{"image_above_max", MEMORY, ENDS, outside, 6},
	{"image_of_nothing", MEMORY, ENDS, outside, 7},
	{"image_options", MEMORY, LIVES, options, 0},
	{0},
};
