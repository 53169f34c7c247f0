// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Pages granted to the backend domain, and directories of their grants. */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <xen/grant_table.h>
#include <xen/page.h>

#include "compat.h"
#include "pvgpu_front.h"
#include "pvgpu_trace.h"

#if PAGE_SIZE != 4096
#error "pvgpu needs a kernel with pages of 4 KiB, which are what Xen grants"
#endif

/*
 * Grants that all sessions may have together. The rest is kept for the guest's disks and networks,
 * which would stall without. A grant counts until Xen lets go of it.
 */
unsigned int pvgpu_grants_limit;
static atomic_t pvgpu_grants_used = ATOMIC_INIT(0);

/*
 * Memory that the backend has mapped still. The kernel's own list of such pages ends ten a second,
 * too few for a chunk of arena, and tells nobody how many there are.
 */
#define PVGPU_HELD_RETRY HZ
static LIST_HEAD(pvgpu_held);
static DEFINE_SPINLOCK(pvgpu_held_lock);
static atomic_t pvgpu_held_pages = ATOMIC_INIT(0);
static void pvgpu_held_work(struct work_struct *w);
static DECLARE_DELAYED_WORK(pvgpu_held_retry, pvgpu_held_work);

void pvgpu_grants_init(void)
{
	/* Entries of version 1, which Linux prefers. A table of version 2 holds fewer and is full
	 * before this limit is reached. */
	const unsigned int per_frame = XEN_PAGE_SIZE / sizeof(struct grant_entry_v1);

	if (!pvgpu_grants_limit)
		pvgpu_grants_limit = gnttab_max_grant_frames() * per_frame / 8 * 7;
}

static int pvgpu_mem_no_grants(struct pvgpu_why *why, unsigned int pages)
{
	pvgpu_say(why, "out of grant references: raise max_grant_frames (xl) or "
		       "platform:max_grant_frames (XCP-ng)");
	pr_warn_ratelimited("pvgpu: no grant references for %u pages (%d in use by sessions, limit "
			    "%u): raise max_grant_frames of this guest (xl: max_grant_frames=, "
			    "XCP-ng: platform:max_grant_frames)\n",
			    pages, atomic_read(&pvgpu_grants_used), pvgpu_grants_limit);
	return -ENOSPC;
}

static int pvgpu_mem_get_pages(struct pvgpu_mem *m, unsigned int n, struct pvgpu_why *why)
{
	/* Fail rather than start the out-of-memory killer. */
	const gfp_t gfp = PVGPU_GFP_MAPPED | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;

	for (; m->pages < n; m->pages++) {
		m->page[m->pages] = alloc_page(gfp);
		if (!m->page[m->pages]) {
			pvgpu_say(why, "out of memory: the guest has no %u free pages", n);
			return -ENOMEM;
		}
		if (fatal_signal_pending(current)) {
			m->pages++;
			return -EINTR;
		}
		cond_resched();
	}
	return 0;
}

/* Count the grants before there are pages: the limits are those of memory, too. */
static int pvgpu_mem_count(struct pvgpu_mem *m, unsigned int n, struct pvgpu_user *user,
			   struct pvgpu_why *why)
{
	int ret = pvgpu_user_take_grants(user, n, why);

	if (ret)
		return ret;
	if (atomic_add_return(n, &pvgpu_grants_used) > READ_ONCE(pvgpu_grants_limit)) {
		atomic_sub(n, &pvgpu_grants_used);
		pvgpu_user_drop_grants(user, n);
		return pvgpu_mem_no_grants(why, n);
	}
	m->counted = n;
	m->user = pvgpu_user_hold(user);
	return 0;
}

static void pvgpu_mem_uncount(struct pvgpu_mem *m, unsigned int n)
{
	atomic_sub(n, &pvgpu_grants_used);
	pvgpu_user_drop_grants(m->user, n);
	m->counted -= n;
}

static int pvgpu_mem_grant_pages(struct pvgpu_mem *m, domid_t to, bool readonly,
				 struct pvgpu_why *why)
{
	for (; m->granted < m->pages; m->granted++) {
		const unsigned long gfn = xen_page_to_gfn(m->page[m->granted]);
		const int ref = gnttab_grant_foreign_access(to, gfn, readonly);

		if (ref < 0)
			return pvgpu_mem_no_grants(why, m->pages);
		m->ref[m->granted] = ref;
		cond_resched();
	}
	return 0;
}

static int pvgpu_mem_make(domid_t to, unsigned int n, bool readonly, struct pvgpu_user *user,
			  struct pvgpu_mem **out, struct pvgpu_why *why)
{
	struct pvgpu_mem *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	int ret = -ENOMEM;

	if (!m) {
		pvgpu_say(why, "out of memory");
		return ret;
	}
	INIT_LIST_HEAD(&m->node);
	m->page = kvcalloc(n, sizeof(m->page[0]), GFP_KERNEL_ACCOUNT);
	m->ref = kvcalloc(n, sizeof(m->ref[0]), GFP_KERNEL_ACCOUNT);
	if (!m->page || !m->ref)
		pvgpu_say(why, "out of memory");
	else
		ret = pvgpu_mem_count(m, n, user, why);
	if (!ret)
		ret = pvgpu_mem_get_pages(m, n, why);
	if (!ret)
		ret = pvgpu_mem_grant_pages(m, to, readonly, why);
	if (ret) {
		pvgpu_mem_end(m);
		return ret;
	}
	*out = m;
	return 0;
}

static int pvgpu_mem_make_directory(struct pvgpu_mem *m, domid_t to, struct pvgpu_why *why)
{
	unsigned int i;
	int ret;

	ret = pvgpu_mem_make(to, DIV_ROUND_UP(m->pages, PVGPU_DIR_REFS), true, m->user, &m->dir,
			     why);
	if (ret)
		return ret;
	for (i = 0; i < m->dir->pages; i++) {
		struct pvgpu_dir_page *d = page_address(m->dir->page[i]);
		const unsigned int at = i * PVGPU_DIR_REFS;

		d->next = i + 1 < m->dir->pages ? m->dir->ref[i + 1] : 0;
		memcpy(d->ref, m->ref + at, min(m->pages - at, PVGPU_DIR_REFS) * sizeof(d->ref[0]));
	}
	return 0;
}

int pvgpu_mem_new(domid_t to, size_t bytes, bool directory, struct pvgpu_user *user,
		  struct pvgpu_mem **out, struct pvgpu_why *why)
{
	struct pvgpu_mem *m;
	int ret;

	ret = pvgpu_mem_make(to, bytes >> PAGE_SHIFT, false, user, &m, why);
	if (ret)
		return ret;
	if (directory)
		ret = pvgpu_mem_make_directory(m, to, why);
	if (ret) {
		pvgpu_mem_end(m);
		return ret;
	}
	*out = m;
	return 0;
}

u32 pvgpu_mem_dir(const struct pvgpu_mem *m)
{
	return m->dir->ref[0];
}

void pvgpu_mem_end_dir(struct pvgpu_mem *m)
{
	if (m->dir)
		pvgpu_mem_end(m->dir);
	m->dir = NULL;
}

static void pvgpu_mem_free(struct pvgpu_mem *m)
{
	pvgpu_mem_uncount(m, m->counted);
	pvgpu_user_put(m->user);
	kvfree(m->page);
	kvfree(m->ref);
	kfree(m);
}

/* End what can be ended: how many pages the backend has mapped still, which are kept in m. */
static unsigned int pvgpu_mem_try_end(struct pvgpu_mem *m)
{
	const unsigned int before = m->granted;
	unsigned int i, left = 0;

	for (i = 0; i < before; i++) {
		if (pvgpu_try_end_access(m->ref[i], m->page[i])) {
			/* A process may have it mapped still. */
			put_page(m->page[i]);
		} else {
			m->ref[left] = m->ref[i];
			m->page[left++] = m->page[i];
		}
		cond_resched();
	}
	m->granted = m->pages = left;
	pvgpu_mem_uncount(m, before - left);
	return left;
}

void pvgpu_mem_end(struct pvgpu_mem *m)
{
	unsigned int left;

	if (m->dir)
		pvgpu_mem_end(m->dir);
	m->dir = NULL;
	while (m->pages > m->granted) {
		__free_page(m->page[--m->pages]);
		cond_resched();
	}
	if (m->counted > m->granted)
		pvgpu_mem_uncount(m, m->counted - m->granted);
	left = pvgpu_mem_try_end(m);
	if (!left) {
		pvgpu_mem_free(m);
		return;
	}
	trace_pvgpu_held(left, atomic_add_return(left, &pvgpu_held_pages));
	spin_lock(&pvgpu_held_lock);
	list_add_tail(&m->node, &pvgpu_held);
	spin_unlock(&pvgpu_held_lock);
	queue_delayed_work(pvgpu_wq, &pvgpu_held_retry, PVGPU_HELD_RETRY);
}

unsigned int pvgpu_held_try(void)
{
	struct pvgpu_mem *m, *next;
	unsigned int before, left, all = 0;
	LIST_HEAD(list);

	spin_lock(&pvgpu_held_lock);
	list_splice_init(&pvgpu_held, &list);
	spin_unlock(&pvgpu_held_lock);
	list_for_each_entry_safe(m, next, &list, node) {
		before = m->granted;
		left = pvgpu_mem_try_end(m);
		atomic_sub(before - left, &pvgpu_held_pages);
		all += left;
		if (left)
			continue;
		list_del(&m->node);
		pvgpu_mem_free(m);
	}
	spin_lock(&pvgpu_held_lock);
	list_splice(&list, &pvgpu_held);
	spin_unlock(&pvgpu_held_lock);
	return all;
}

static void pvgpu_held_work(struct work_struct *w)
{
	if (pvgpu_held_try())
		queue_delayed_work(pvgpu_wq, &pvgpu_held_retry, PVGPU_HELD_RETRY);
}

unsigned int pvgpu_grants_in_use(void)
{
	return atomic_read(&pvgpu_grants_used);
}

unsigned int pvgpu_grants_held(void)
{
	return atomic_read(&pvgpu_held_pages);
}

/* No vGPU is left. Pages that the backend has mapped still are the kernel's from now on. */
void pvgpu_grants_exit(void)
{
	struct pvgpu_mem *m, *next;
	unsigned int i;

	cancel_delayed_work_sync(&pvgpu_held_retry);
	pvgpu_held_try();
	list_for_each_entry_safe(m, next, &pvgpu_held, node) {
		for (i = 0; i < m->granted; i++)
			pvgpu_end_access(m->ref[i], m->page[i]);
		pvgpu_mem_free(m);
	}
	INIT_LIST_HEAD(&pvgpu_held);
}

void pvgpu_mem_end_list(struct list_head *list)
{
	struct pvgpu_mem *m, *next;

	list_for_each_entry_safe(m, next, list, node) {
		list_del(&m->node);
		pvgpu_mem_end(m);
	}
}

int pvgpu_mem_map(const struct pvgpu_mem *m, struct vm_area_struct *vma)
{
	return vm_map_pages_zero(vma, m->page, m->pages);
}
