/* SPDX-License-Identifier: MIT */
#include "tests/gpu/probe/machine/record.h"

#include <stdio.h>
#include <string.h>

#include "tests/gpu/probe/probe.h"

/* libpvgpu/protocol/exports.api, as text: see build.mk. */
extern const char exports_api[];

/* A line "symbol NAME base BASE since VERSION [ptds|ptsz] ..." */
struct export
{
	char symbol[80], base[80], form[16];
	int since;
};

/* The next one from *at on; false: there is none. */
static bool next(const char **at, struct export *e)
{
	while (*at) {
		const char *line = *at;

		*at = strchr(line, '\n');
		*at += *at != NULL;
		if (sscanf(line, "symbol %79s base %79s since %d %15s", e->symbol, e->base,
			   &e->since, e->form) == 4)
			return true;
	}
	return false;
}

/* All that our library exports as the driver does. */
static json_t *our_symbols(void)
{
	json_t *all = json_object();
	char name[80];

	for (const char *at = exports_api; at; at = strchr(at, '\n'), at += at != NULL)
		if (sscanf(at, "symbol %79s", name) == 1 ||
		    sscanf(at, "undeclared %79s", name) == 1)
			json_object_set_new(all, name, json_true());
	return all;
}

/* Symbols that only the driver has; those that are no calls of the API begin otherwise, or are the
 * debugger's. */
static json_t *theirs_alone(const json_t *symbols)
{
	json_t *list = json_array(), *ours = our_symbols(), *s;
	size_t i;

	json_array_foreach(symbols, i, s)
	{
		const char *name = json_string_value(s);

		if (!strncmp(name, "cu", 2) && strncmp(name, "cudbg", 5) &&
		    !json_object_get(ours, name))
			json_array_append(list, s);
	}
	json_decref(ours);
	return list;
}

static json_t *ours_alone(void)
{
	const char *at = exports_api;
	json_t *list = json_array();
	struct export e;

	while (next(&at, &e))
		if (!cuda_symbol(e.symbol))
			json_array_append_new(list, json_string(e.symbol));
	return list;
}

/* Does asking for BASE as of VERSION give this symbol? */
static bool is_given(const struct export *e, void *symbol, json_t *list)
{
	const cuuint64_t flags = strncmp(e->form, "pt", 2)
					 ? CU_GET_PROC_ADDRESS_LEGACY_STREAM
					 : CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
	__typeof__(cuGetProcAddress_v2) *get =
		(__typeof__(cuGetProcAddress_v2) *)cuda_symbol("cuGetProcAddress_v2");
	CUdriverProcAddressQueryResult status = 0;
	void *fn = NULL;
	CUresult r;

	if (!get)
		return false;
	r = get(e->base, &fn, e->since, flags, &status);
	if (r == CUDA_SUCCESS && fn == symbol)
		return true;
	json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:s, s:i, s:i, s:b}", "symbol",
					      e->symbol, "base", e->base, "since", e->since, "form",
					      e->form, "result", (int)r, "status", (int)status,
					      "another", fn != NULL));
	return false;
}

static json_t *given_otherwise(void)
{
	const char *at = exports_api;
	json_t *list = json_array();
	int asked = 0, given = 0;
	struct export e;

	while (next(&at, &e)) {
		void *symbol = cuda_symbol(e.symbol);

		if (!symbol)
			continue;
		asked++;
		given += is_given(&e, symbol, list);
	}
	say_int("procaddr_asked", asked);
	say_int("procaddr_as_ours", given);
	/* Where none is the same the driver gives other addresses than those it exports. */
	if (given)
		verdict(ASSUME_procaddr_versions, given == asked, "%d of %d", given, asked);
	return list;
}

void record_exports(json_t *o, const json_t *symbols)
{
	json_t *theirs = theirs_alone(symbols), *ours = ours_alone();

	if (symbols)
		verdict(ASSUME_exports_complete, !json_array_size(theirs),
			"%zu of the driver's are not ours, %zu of ours not the driver's",
			json_array_size(theirs), json_array_size(ours));
	json_object_set_new(o, "only_the_drivers", theirs);
	json_object_set_new(o, "only_ours", ours);
	json_object_set_new(o, "procaddr_otherwise", given_otherwise());
}
