/* SPDX-License-Identifier: MIT */
/* FUZZ_OBJS: xen-pvgpu-back/daemon/config/config.c xen-pvgpu-back/daemon/config/config_value.c
 * xen-pvgpu-back/daemon/config/config_file.c xen-pvgpu-back/daemon/config/config_finish.c
 * xen-pvgpu-back/daemon/config/config_guarantees.c xen-pvgpu-back/contract/log.c
 * xen-pvgpu-back/contract/local_check.c
 * xenstore-schema/values.c xenstore-schema/records.c xenstore-schema/nearest.c gen/pvgpu_keys.c */
/* FUZZ_LIBS: -linih */
/* pvgpud's configuration file; the first line is also taken as --vgpu and --set. */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config/config.h"
#include "xen-pvgpu-back/contract/local_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_file(struct config *c, char *text, size_t size, char *error)
{
	FILE *f = fmemopen(text, size, "r");

	if (!f)
		return;
	if (config_stream(c, f, "fuzz.conf", error) < 0 && !error[0])
		abort(); /* nothing said */
	fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONFIG_ERROR] = "", *text;
	struct config c;

	if (!size || size > 1 << 16)
		return 0;
	text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	config_init(&c);
	read_file(&c, text, size, error);
	text[strcspn(text, "\n")] = '\0';
	config_vgpu(&c, text, error);
	config_set(&c, text, error);
	if (config_finish(&c, error) == 0) {
		error[0] = '\0';
		if (config_guarantees(&c, error) < 0 && !error[0])
			abort();
		for (unsigned int i = 0; i < c.vgpu_n; i++)
			if (check_vgpu_name(c.vgpus[i].name) < 0 || !c.vgpus[i].socket[0])
				abort();
	}
	config_free(&c);
	free(text);
	return 0;
}
