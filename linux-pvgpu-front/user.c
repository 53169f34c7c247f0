// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Limits of one user of the guest: sessions, granted pages, breaches of the protocol. Without
 * limits one user takes all of the vGPU from the others, and the backend puts the whole vGPU in
 * quarantine for what one did. Users with CAP_SYS_RESOURCE are not counted.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "compat.h"
#include "pvgpu_front.h"

struct pvgpu_user {
	struct list_head node;
	kuid_t uid;
	unsigned int refs; /* sessions, memory */
	unsigned int sessions, grants;
	unsigned int breaches; /* in the window that began at breached_at */
	unsigned long breached_at;
};

/* Each session has an event channel, of which Xen gives a guest 1,023 unless told otherwise, and
 * the guest's disks and networks need some. */
unsigned int pvgpu_sessions_limit = 512;
unsigned int pvgpu_user_grants; /* 0: three quarters of all */
unsigned int pvgpu_user_sessions = 128;
unsigned int pvgpu_user_breaches = 2;
unsigned int pvgpu_user_breach_seconds = 600;

static LIST_HEAD(pvgpu_users);
static DEFINE_SPINLOCK(pvgpu_users_lock);
static unsigned int pvgpu_sessions_used; /* under the lock: of all users */

/* Of this user, or 0 when the time has passed in which they count. */
static unsigned int pvgpu_user_breaches_now(const struct pvgpu_user *u)
{
	const u64 window = (u64)READ_ONCE(pvgpu_user_breach_seconds) * HZ;

	lockdep_assert_held(&pvgpu_users_lock);
	return u->breaches && jiffies - u->breached_at < window ? u->breaches : 0;
}

/* Users without anything are forgotten, except while their breaches count. */
static void pvgpu_user_sweep(void)
{
	struct pvgpu_user *u, *next;

	lockdep_assert_held(&pvgpu_users_lock);
	list_for_each_entry_safe(u, next, &pvgpu_users, node) {
		if (u->refs || pvgpu_user_breaches_now(u))
			continue;
		list_del(&u->node);
		kfree(u);
	}
}

static struct pvgpu_user *pvgpu_user_find(kuid_t uid)
{
	struct pvgpu_user *u;

	lockdep_assert_held(&pvgpu_users_lock);
	list_for_each_entry(u, &pvgpu_users, node)
		if (uid_eq(u->uid, uid))
			return u;
	return NULL;
}

/* Of the current process. All uids of a user namespace count as its owner: a user can have any
 * number of them there. */
static kuid_t pvgpu_user_uid(void)
{
	const struct user_namespace *ns;
	kuid_t uid = current_uid();

	for (ns = current_user_ns(); ns != &init_user_ns; ns = ns->parent)
		uid = ns->owner;
	return uid;
}

int pvgpu_user_get(struct pvgpu_user **out)
{
	struct pvgpu_user *u, *new;

	*out = NULL;
	if (ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE))
		return 0;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->uid = pvgpu_user_uid();
	spin_lock(&pvgpu_users_lock);
	pvgpu_user_sweep();
	u = pvgpu_user_find(new->uid);
	if (!u) {
		u = new;
		list_add_tail(&u->node, &pvgpu_users);
		new = NULL;
	}
	u->refs++;
	spin_unlock(&pvgpu_users_lock);
	kfree(new);
	*out = u;
	return 0;
}

struct pvgpu_user *pvgpu_user_hold(struct pvgpu_user *u)
{
	if (!u)
		return NULL;
	spin_lock(&pvgpu_users_lock);
	u->refs++;
	spin_unlock(&pvgpu_users_lock);
	return u;
}

void pvgpu_user_put(struct pvgpu_user *u)
{
	if (!u)
		return;
	spin_lock(&pvgpu_users_lock);
	u->refs--;
	pvgpu_user_sweep();
	spin_unlock(&pvgpu_users_lock);
}

/* ---- limits ---- */

static int pvgpu_user_may_open(const struct pvgpu_user *u, struct pvgpu_why *why)
{
	const unsigned int sessions = READ_ONCE(pvgpu_user_sessions);
	const unsigned int breaches = READ_ONCE(pvgpu_user_breaches);

	lockdep_assert_held(&pvgpu_users_lock);
	if (breaches && pvgpu_user_breaches_now(u) >= breaches) {
		pvgpu_say(why, "this user's sessions broke the protocol %u times: refused for now",
			  u->breaches);
		return -EPERM;
	}
	if (sessions && u->sessions >= sessions) {
		pvgpu_say(why, "this user has %u sessions, the maximum (user_sessions of pvgpu.ko)",
			  u->sessions);
		return -EUSERS;
	}
	return 0;
}

int pvgpu_user_take_session(struct pvgpu_user *u, struct pvgpu_why *why)
{
	int ret = 0;

	spin_lock(&pvgpu_users_lock);
	if (pvgpu_sessions_used >= READ_ONCE(pvgpu_sessions_limit)) {
		pvgpu_say(why, "the guest has %u sessions, the maximum (max_sessions of pvgpu.ko)",
			  pvgpu_sessions_used);
		ret = -EUSERS;
	} else if (u) {
		ret = pvgpu_user_may_open(u, why);
	}
	if (!ret) {
		pvgpu_sessions_used++;
		if (u)
			u->sessions++;
	}
	spin_unlock(&pvgpu_users_lock);
	return ret;
}

void pvgpu_user_drop_session(struct pvgpu_user *u)
{
	spin_lock(&pvgpu_users_lock);
	pvgpu_sessions_used--;
	if (u)
		u->sessions--;
	spin_unlock(&pvgpu_users_lock);
}

int pvgpu_user_take_grants(struct pvgpu_user *u, unsigned int n, struct pvgpu_why *why)
{
	unsigned int most = READ_ONCE(pvgpu_user_grants);
	int ret = 0;

	if (!u)
		return 0;
	if (!most)
		most = READ_ONCE(pvgpu_grants_limit) / 4 * 3;
	spin_lock(&pvgpu_users_lock);
	if (n > most || u->grants > most - n) {
		pvgpu_say(why,
			  "this user shares %u pages, %u is the maximum (user_grants of pvgpu.ko)",
			  u->grants, most);
		ret = -ENOSPC;
	} else {
		u->grants += n;
	}
	spin_unlock(&pvgpu_users_lock);
	return ret;
}

void pvgpu_user_drop_grants(struct pvgpu_user *u, unsigned int n)
{
	if (!u || !n)
		return;
	spin_lock(&pvgpu_users_lock);
	u->grants -= n;
	spin_unlock(&pvgpu_users_lock);
}

bool pvgpu_user_breach(struct pvgpu_user *u)
{
	const unsigned int most = READ_ONCE(pvgpu_user_breaches);
	unsigned int n;

	if (!u)
		return false;
	spin_lock(&pvgpu_users_lock);
	u->breaches = n = pvgpu_user_breaches_now(u) + 1;
	u->breached_at = jiffies;
	spin_unlock(&pvgpu_users_lock);
	if (!most || n < most)
		return false;
	pr_notice_ratelimited("pvgpu: sessions of uid %u broke the protocol %u times: its sessions "
			      "end, and it gets no new ones for %u s\n",
			      from_kuid(&init_user_ns, u->uid), n,
			      READ_ONCE(pvgpu_user_breach_seconds));
	return true;
}

/* For the backend, which counts more than breaches against a user. */
u32 pvgpu_user_number(const struct pvgpu_user *u)
{
	return u ? from_kuid(&init_user_ns, u->uid) + 1 : 0;
}

void pvgpu_users_exit(void)
{
	struct pvgpu_user *u, *next;

	list_for_each_entry_safe(u, next, &pvgpu_users, node)
		kfree(u);
	INIT_LIST_HEAD(&pvgpu_users);
}
