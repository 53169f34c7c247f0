/* SPDX-License-Identifier: MIT */
/* Preloaded into xl where there is no Xen: one domain, number 3, that runs. What libxl asks of
 * xenstore is asked of a xenstored. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>

#define DOMAIN 3

xc_interface *xc_interface_open(xentoollog_logger *l, xentoollog_logger *d, unsigned int flags)
{
	return calloc(1, 65536);
}

int xc_interface_close(xc_interface *x)
{
	free(x);
	return 0;
}

int xc_get_max_cpus(xc_interface *x)
{
	return 1;
}

int xc_version(xc_interface *x, int cmd, void *arg)
{
	static const size_t sizes[] = {0, 16, 144, 1024, 64, 8, 0, 0, 16, 1024};

	if (cmd == XENVER_version)
		return 4 << 16 | 17;
	if (cmd == XENVER_pagesize)
		return 4096;
	if (cmd < 0 || (size_t)cmd >= sizeof(sizes) / sizeof(sizes[0])) {
		errno = ENODATA;
		return -1;
	}
	memset(arg, 0, sizes[cmd]);
	return 0;
}

/* Of Xen 4.20. */
#define TEXT(name)                                                                                 \
	char *name(xc_interface *x);                                                               \
	char *name(xc_interface *x)                                                                \
	{                                                                                          \
		return strdup("");                                                                 \
	}
TEXT(xc_xenver_extraversion)
TEXT(xc_xenver_capabilities)
TEXT(xc_xenver_changeset)
TEXT(xc_xenver_commandline)
TEXT(xc_xenver_buildid)

int xc_physinfo(xc_interface *x, xc_physinfo_t *p)
{
	return 0;
}

long xc_sharing_freed_pages(xc_interface *x)
{
	return 0;
}

long xc_sharing_used_frames(xc_interface *x)
{
	return 0;
}

int xc_flask_sid_to_context(xc_interface *x, int sid, char *buf, uint32_t size)
{
	errno = ENOSYS;
	return -1;
}

/* Its uuid is that of xl_test.py. */
int xc_domain_getinfolist(xc_interface *x, uint32_t first, unsigned int most, xc_domaininfo_t *info)
{
	if (first > DOMAIN || !most)
		return 0;
	memset(info, 0, sizeof(*info));
	info->domain = DOMAIN;
	info->flags = XEN_DOMINF_running;
	info->nr_online_vcpus = 1;
	for (unsigned int i = 0; i < sizeof(info->handle); i++)
		info->handle[i] = (uint8_t)(i + 1);
	return 1;
}
