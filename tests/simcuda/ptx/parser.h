/* SPDX-License-Identifier: MIT */
/* The parser's own state, shared by the files that read text and those that make instructions. */
#ifndef PVGPU_SIMCUDA_PTX_PARSER_H
#define PVGPU_SIMCUDA_PTX_PARSER_H

#include "tests/simcuda/ptx/internal.h"
#include "tests/simcuda/ptx/lex.h"

#include <setjmp.h>

#define MAX_MODS     16
#define MAX_OPERANDS 8
#define MAX_VECTOR   8
#define MAX_NESTING  64
#define MAX_ERRORS   20
#define MAX_ROWS     (16u << 20)

enum sym_kind { SYM_REG, SYM_RANGE, SYM_VAR, SYM_FUNC, SYM_LABEL, SYM_TABLE, SYM_PROTO };

struct sym;

/* Every distinct word of the text; sym is its current meaning, innermost scope first. */
struct name {
	struct name *next;
	struct sym *sym;
	uint32_t hash, len;
	char s[];
};

struct proto {
	uint32_t param_count, ret_count;
	struct var **params, **rets;
};

struct sym {
	enum sym_kind kind;
	struct name *name;
	struct sym *shadowed, *scope_next;
	uint32_t scope;
	uint32_t unit; /* in SCOPE_MODULE: the last text that has declared it */
	enum type type;
	uint32_t row;       /* register; label: pc */
	uint32_t vector;    /* elements of a vector register, whose rows follow each other; or 0 */
	uint32_t count, id; /* register range */
	struct var *var;
	struct func *func;
	struct branch_table *table;
	struct proto *proto;
};

struct range_entry {
	uint64_t key; /* range id << 32 | number, 0: free */
	uint32_t row;
};

struct fixup {
	struct name *label;
	uint32_t *target; /* in a branch table, or NULL: instruction at pc */
	uint32_t pc, line;
};

enum operand_kind {
	OPK_REG,
	OPK_INT,
	OPK_FLOAT32,
	OPK_FLOAT64,
	OPK_VAR,
	OPK_FUNC,
	OPK_NAME,
	OPK_SPECIAL,
	OPK_SINK,
	OPK_ADDR,
	OPK_VECTOR,
	OPK_LIST,
};

struct operand {
	enum operand_kind kind;
	enum operand_kind base; /* of an address: REG, INT or VAR */
	bool negated, is_decimal;
	bool is_element; /* a variable with a subscript: its address, also without brackets */
	enum type type;  /* of a register */
	uint32_t row;
	uint64_t value; /* integer, float bits, addend of a variable, address offset */
	struct var *var;
	struct func *func;
	struct name *name;
	uint32_t special;
	uint32_t count;
	struct operand *elems;
	struct operand *pair; /* the q of p|q */
	struct operand *at;   /* the coordinates of [object, at] */
};

struct word {
	const char *s;
	size_t len;
};

/* One statement as written. */
struct raw {
	struct word op;
	struct word mods[MAX_MODS];
	uint32_t mod_count, mods_used; /* bit per modifier */
	struct operand ops[MAX_OPERANDS];
	uint32_t op_count;
	uint32_t line;
};

/* Names that all texts of a module share, and those of one text alone. */
#define SCOPE_MODULE 0u
#define SCOPE_UNIT   1u

struct parser;
typedef void (*decode_fn)(struct parser *p, struct raw *r, int arg);
struct opcode {
	const char *name;
	decode_fn decode;
	int arg;
};

#define OPCODE_SLOTS 512

struct parser {
	struct lexer lx;
	struct token t;
	struct ptx_module *m;
	unsigned int sm;
	const char *unit; /* the name of the text, or NULL */
	uint32_t unit_number;
	uint32_t version, target; /* of the text */
	bool relocatable;         /* other texts may define what is missing */
	jmp_buf *recover;
	char *log;
	size_t log_size, log_used;
	uint32_t errors;
	enum ptx_result result;

	struct name **names;
	uint32_t name_count, name_cap;

	struct func *fn;
	struct sym *scopes[MAX_NESTING];
	uint32_t scope_params[MAX_NESTING];
	uint32_t scope_fixups[MAX_NESTING];
	uint32_t scope;
	uint32_t param_top; /* .param space of the frame in use */
	uint32_t carry_row;
	struct range_entry *ranges;
	uint32_t range_count, range_cap, range_ids;
	struct fixup *fixups;
	uint32_t fixup_count, fixup_cap;
	uint32_t guard;
	struct sym found;
	uint32_t stmt_line;
	bool group_is_list; /* "(" opens a list of call arguments, not an expression */
	uint32_t *const_hash;
	uint32_t const_hash_cap;
	const struct opcode *opcodes[OPCODE_SLOTS];
	uint16_t isa_first[OPCODE_SLOTS];
	uint32_t nesting;
};

/* parse.c */
_Noreturn void parse_fail(struct parser *p, uint32_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void parse_no_memory(struct parser *p);
void *parse_alloc(struct parser *p, size_t n);
/* Note an error and go on. */
void parse_note(struct parser *p, const char *unit, uint32_t line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void next(struct parser *p);
bool is_punct(const struct parser *p, char c);
bool accept(struct parser *p, char c);
void expect(struct parser *p, char c);
bool is_dot(const struct parser *p, const char *word);
bool accept_dot(struct parser *p, const char *word);
bool word_is(const char *s, size_t len, const char *word);
uint64_t expect_int(struct parser *p);
void skip_braces(struct parser *p);

/* symbols.c */
struct name *intern(struct parser *p, const char *s, size_t len);
struct sym *declare(struct parser *p, struct name *n, enum sym_kind kind, uint32_t line);
struct sym *lookup(struct parser *p, struct name *n);
struct sym *declare_at(struct parser *p, uint32_t scope, struct name *n, enum sym_kind kind,
		       uint32_t line);
uint32_t range_row(struct parser *p, struct sym *range, uint32_t number);
void scope_open(struct parser *p);
void scope_close(struct parser *p);
uint32_t new_row(struct parser *p, enum cls cls);
uint32_t constant(struct parser *p, enum cls cls, uint64_t value, const struct var *var,
		  const struct func *func);
struct insn *emit(struct parser *p, exec_fn fn);
void add_fixup(struct parser *p, struct name *label, uint32_t *target, uint32_t pc, uint32_t line);
void note_use(struct parser *p, struct func *func, struct var *var);
void resolve_labels(struct parser *p);

/* link.c: what names of module scope mean in the text that is read, and to the others */
struct sym *module_symbol(struct parser *p, struct name *n, enum linkage linkage);
/* The function of that name, new or known, for a head that was read. */
struct func *link_function(struct parser *p, struct func *proto, struct name *n);
/* A body follows. False: it is not used, since there is a better definition. */
bool link_body(struct parser *p, struct func *f, const struct func *proto);
/* The variable to be used for a declaration at module scope; v itself when that is not used. */
struct var *link_variable(struct parser *p, struct var *v, struct name *n);
/* Is anything that is used defined nowhere? Notes each. */
void link_check(struct parser *p);

/* variable.c */
bool parse_type(struct parser *p, enum type *t);
enum type type_by_name(const char *s, size_t len);
/* in_body: linkage is LINK_LOCAL. */
struct var *parse_variable(struct parser *p, enum space space, enum linkage linkage, bool in_body);
struct var *parse_parameter(struct parser *p, bool anonymous);
int64_t parse_expression(struct parser *p);
void parse_registers(struct parser *p);
uint32_t vector_rows(struct parser *p, enum type t, uint32_t count);

/* body.c */
void parse_body(struct parser *p);
void parse_module_local(struct parser *p, enum linkage linkage);
struct var **parse_parameter_list(struct parser *p, uint32_t *count, bool anonymous);

/* operand.c */
void parse_operand(struct parser *p, struct operand *o);
/* Special registers: id and class by name, -1 if unknown. */
/* The class of a special register. */
enum cls special_cls(uint32_t special);
int special_by_name(const char *s, size_t len, const char *field, size_t field_len);

/* isa.c: is the statement, as written, in the table of instructions? */
void isa_init(struct parser *p);
bool isa_allows(const struct parser *p, const struct raw *r);

/* decode.c: helpers of the instruction decoders */
void opcodes_init(struct parser *p);
void decode(struct parser *p, struct raw *r);
_Noreturn void unknown_instruction(struct parser *p, const struct raw *r);
_Noreturn void bad_operand(struct parser *p, const struct raw *r, uint32_t n);
bool take(struct raw *r, const char *mod);
enum type take_type(struct raw *r); /* the next unused type modifier, or TY_NONE */
enum type need_type(struct parser *p, struct raw *r);
void done_mods(struct parser *p, struct raw *r); /* every modifier must have been used */
void need_operands(struct parser *p, const struct raw *r, uint32_t min, uint32_t max);
uint32_t src(struct parser *p, struct raw *r, uint32_t n, enum type t);
uint32_t src_operand(struct parser *p, struct raw *r, struct operand *o, enum type t);
uint32_t dst(struct parser *p, struct raw *r, uint32_t n, enum type t);
uint32_t dst_operand(struct parser *p, struct raw *r, struct operand *o, enum type t);
/* The same for operands that may be wider than the type; *cls is the register's class. */
uint32_t wide_src(struct parser *p, struct raw *r, struct operand *o, enum type t, uint8_t *cls);
uint32_t wide_dst(struct parser *p, struct raw *r, struct operand *o, enum type t, uint8_t *cls);
uint32_t pred_src(struct parser *p, struct raw *r, struct operand *o);
/* The address of a variable and o->value behind it. */
uint32_t address_value(struct parser *p, struct operand *o, enum cls cls);
struct insn *emit3(struct parser *p, exec_fn fn, uint32_t d, uint32_t a, uint32_t b, uint32_t c);

/* decode_mem.c */
enum space take_space(struct raw *r);
void take_policy(struct parser *p, struct raw *r);
/* A variable's address in .const may have 32 bits: the row of the whole address, from that of its
 * low word. OPERAND_NONE: the module has no .const variables. They lie in one allocation, within 2
 * GiB. */
uint32_t whole_constant_address(struct parser *p, uint32_t low);
/* Operand n, an address: its base's row in *a, the rest in m, whose space is set. */
void decode_address(struct parser *p, struct raw *r, uint32_t n, struct mem_op *m, uint32_t *a);

extern const struct opcode opcodes_int[], opcodes_float[], opcodes_cvt[], opcodes_mem[],
	opcodes_control[], opcodes_warp[], opcodes_compare[], opcodes_video[], opcodes_tex[],
	opcodes_matrix[], opcodes_async[];

#endif
