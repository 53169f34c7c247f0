// SPDX-License-Identifier: GPL-2.0 OR MIT
/* /dev/pvgpuN: see uapi/pvgpu.h. */
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "pvgpu_front.h"

struct pvgpu_file {
	struct pvgpu_vgpu *vgpu;
	struct mutex lock;             /* one OPEN at a time */
	struct pvgpu_session *opening; /* under lock: OPEN has not returned it yet */
	spinlock_t slock;
	struct pvgpu_session *session; /* set once, under slock: pollers may be on its queue */
};

/* ---- open and release ---- */

/* Called with misc's lock, which misc_deregister() takes, too: the vGPU still exists. */
static int pvgpu_file_open(struct inode *inode, struct file *file)
{
	struct pvgpu_vgpu *v = container_of(file->private_data, struct pvgpu_vgpu, misc);
	struct pvgpu_file *f;
	bool ready;

	spin_lock(&v->ctl_lock);
	ready = v->ready;
	spin_unlock(&v->ctl_lock);
	if (!ready)
		return -ENODEV;
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	mutex_init(&f->lock);
	spin_lock_init(&f->slock);
	f->vgpu = v;
	kref_get(&v->ref);
	file->private_data = f;
	return nonseekable_open(inode, file);
}

static void pvgpu_file_drop(struct pvgpu_session *s)
{
	if (!s)
		return;
	pvgpu_session_close(s);
	pvgpu_session_put(s);
}

static int pvgpu_file_release(struct inode *inode, struct file *file)
{
	struct pvgpu_file *f = file->private_data;

	pvgpu_file_drop(f->opening);
	pvgpu_file_drop(f->session);
	pvgpu_vgpu_put(f->vgpu);
	kfree(f);
	return 0;
}

/* With a reference; NULL: none is open. */
static struct pvgpu_session *pvgpu_file_session(struct pvgpu_file *f)
{
	struct pvgpu_session *s;

	spin_lock(&f->slock);
	s = f->session;
	if (s)
		kref_get(&s->ref);
	spin_unlock(&f->slock);
	return s;
}

/* ---- ioctl ---- */

static long pvgpu_ioctl_info(struct pvgpu_file *f, void __user *arg)
{
	struct pvgpu_vgpu *v = f->vgpu;
	struct pvgpu_ioc_info info;

	memset(&info, 0, sizeof(info));
	info.version = PVGPU_UAPI_VERSION;
	info.index = v->index;
	info.devid = v->devid;
	info.state = READ_ONCE(v->xdev->state);
	spin_lock(&v->lock);
	info.memory = v->id.memory;
	info.features = v->id.features;
	strscpy(info.uuid, v->id.uuid, sizeof(info.uuid));
	strscpy(info.model, v->id.model, sizeof(info.model));
	spin_unlock(&v->lock);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long pvgpu_file_check_open(struct pvgpu_ioc_open *o, struct pvgpu_why *why)
{
	if (o->version != PVGPU_UAPI_VERSION) {
		pvgpu_say(why,
			  "pvgpu.ko has interface version %u, libcuda.so.1 %u: install one release",
			  PVGPU_UAPI_VERSION, o->version);
		return -EINVAL;
	}
	if (o->flags || o->pad) {
		pvgpu_say(why, "flags 0x%x of OPEN are not known", o->flags);
		return -EINVAL;
	}
	if (!o->cmd_size)
		o->cmd_size = PVGPU_RING_CMD_DEFAULT;
	if (!o->rep_size)
		o->rep_size = PVGPU_RING_REP_DEFAULT;
	if (!pvgpu_ring_size_ok(o->cmd_size) || !pvgpu_ring_size_ok(o->rep_size)) {
		pvgpu_say(why, "ring sizes are powers of two from %u to %u bytes", PVGPU_RING_MIN,
			  PVGPU_RING_MAX);
		return -EINVAL;
	}
	return 0;
}

/* Wait for the backend's answer. Then the session belongs to the file, or is dropped. */
static long pvgpu_file_await_open(struct pvgpu_file *f, struct pvgpu_ioc_open *o,
				  struct pvgpu_why *why)
{
	struct pvgpu_session *s = f->opening;
	long ret;

	lockdep_assert_held(&f->lock);
	ret = wait_event_interruptible(s->wait, pvgpu_session_life(s) != PVGPU_OPENING);
	if (ret)
		return ret;
	f->opening = NULL;
	if (pvgpu_session_life(s) != PVGPU_GONE) {
		spin_lock(&f->slock);
		f->session = s;
		spin_unlock(&f->slock);
		o->session = s->backend_number;
		o->cmd_size = s->cmd_size;
		o->rep_size = s->rep_size;
		o->arena_limit = s->arena_limit;
		o->chunk_max = PVGPU_CTL_CHUNK_MAX;
		return 0;
	}
	ret = s->error ? s->error : -EPIPE;
	pvgpu_say(why, "%s", s->text[0] ? s->text : "the connection to the backend has ended");
	pvgpu_session_put(s);
	return ret;
}

static long pvgpu_file_open_session(struct pvgpu_file *f, struct pvgpu_ioc_open *o,
				    struct pvgpu_why *why)
{
	long ret;

	if (f->session) {
		pvgpu_say(why, "this file has had its session: open the device again");
		return -EBUSY;
	}
	if (!f->opening) {
		ret = pvgpu_session_start(f->vgpu, o->cmd_size, o->rep_size, &f->opening, why);
		if (ret)
			return ret;
	}
	return pvgpu_file_await_open(f, o, why);
}

static long pvgpu_ioctl_open(struct pvgpu_file *f, void __user *arg)
{
	struct pvgpu_ioc_open o;
	struct pvgpu_why why = {""};
	long ret;

	if (copy_from_user(&o, arg, sizeof(o)))
		return -EFAULT;
	ret = pvgpu_file_check_open(&o, &why);
	if (!ret) {
		if (mutex_lock_interruptible(&f->lock))
			return -ERESTARTSYS;
		ret = pvgpu_file_open_session(f, &o, &why);
		mutex_unlock(&f->lock);
	}
	/* The process restarts the call with this structure: do not change it. */
	if (ret == -ERESTARTSYS)
		return ret;
	memcpy(o.reason, why.text, sizeof(o.reason));
	return copy_to_user(arg, &o, sizeof(o)) ? -EFAULT : ret;
}

static long pvgpu_ioctl_wait(struct pvgpu_session *s, void __user *arg)
{
	struct pvgpu_ioc_wait w;
	unsigned long left;
	long ret = 0;

	if (copy_from_user(&w, arg, sizeof(w)))
		return -EFAULT;
	if (w.flags || (w.what & ~(PVGPU_GOT_RUNG | PVGPU_GOT_KICKED | PVGPU_GOT_HANGUP)))
		return -EINVAL;
	left = w.timeout_ms > 0 ? msecs_to_jiffies(w.timeout_ms) : 0;
	/* Another thread may take the event first. */
	while (!(w.got = pvgpu_session_take(s, w.what))) {
		if (w.timeout_ms < 0) {
			ret = wait_event_interruptible(s->wait, pvgpu_session_has(s, w.what));
			if (ret)
				return ret;
			continue;
		}
		if (!left)
			break;
		ret = wait_event_interruptible_timeout(s->wait, pvgpu_session_has(s, w.what), left);
		if (ret < 0)
			return -EINTR; /* a restart would begin the timeout again */
		left = ret;
	}
	return copy_to_user(arg, &w, sizeof(w)) ? -EFAULT : 0;
}

static long pvgpu_file_check_chunk(const struct pvgpu_ioc_chunk *c, struct pvgpu_why *why)
{
	if (!c->flags && !c->pad)
		return 0;
	pvgpu_say(why, "flags 0x%x of a chunk are not known", c->flags);
	return -EINVAL;
}

static long pvgpu_ioctl_chunk(struct pvgpu_session *s, unsigned int cmd, void __user *arg)
{
	struct pvgpu_ioc_chunk c;
	struct pvgpu_why why = {""};
	long ret;

	if (copy_from_user(&c, arg, sizeof(c)))
		return -EFAULT;
	c.offset = 0;
	ret = pvgpu_file_check_chunk(&c, &why);
	if (!ret)
		ret = cmd == PVGPU_IOC_GROW ? pvgpu_grow(s, &c, &why) : pvgpu_shrink(s, &c, &why);
	if (ret == -ERESTARTSYS)
		return ret;
	memcpy(c.reason, why.text, sizeof(c.reason));
	return copy_to_user(arg, &c, sizeof(c)) ? -EFAULT : ret;
}

static long pvgpu_ioctl_finish(struct pvgpu_session *s, void __user *arg)
{
	struct pvgpu_ioc_finish m;
	long ret;

	if (copy_from_user(&m, arg, sizeof(m)))
		return -EFAULT;
	if (m.flags)
		return -EINVAL;
	pvgpu_session_close(s);
	ret = wait_event_interruptible_timeout(s->wait, pvgpu_session_life(s) == PVGPU_GONE,
					       msecs_to_jiffies(min_t(u32, m.timeout_ms, INT_MAX)));
	if (ret < 0)
		return -EINTR;
	return ret || pvgpu_session_life(s) == PVGPU_GONE ? 0 : -ETIME;
}

/* Those of a session. One that takes no argument gets 0, so that it may take one some day. */
static long pvgpu_ioctl_check(unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case PVGPU_IOC_DOORBELL:
	case PVGPU_IOC_KICK:
	case PVGPU_IOC_HANGUP:
		return arg ? -EINVAL : 0;
	case PVGPU_IOC_WAIT:
	case PVGPU_IOC_GROW:
	case PVGPU_IOC_SHRINK:
	case PVGPU_IOC_FINISH:
		return 0;
	}
	return -ENOTTY;
}

static long pvgpu_ioctl_session(struct pvgpu_session *s, unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case PVGPU_IOC_DOORBELL:
		if (test_bit(PVGPU_HUNG, &s->flags))
			return -EPIPE;
		pvgpu_channel_notify(s->vgpu, &s->channel);
		return 0;
	case PVGPU_IOC_WAIT:
		return pvgpu_ioctl_wait(s, arg);
	case PVGPU_IOC_KICK:
		set_bit(PVGPU_KICKED, &s->flags);
		wake_up(&s->wait);
		return 0;
	case PVGPU_IOC_GROW:
	case PVGPU_IOC_SHRINK:
		return pvgpu_ioctl_chunk(s, cmd, arg);
	case PVGPU_IOC_HANGUP:
		pvgpu_session_close(s);
		return 0;
	case PVGPU_IOC_FINISH:
		return pvgpu_ioctl_finish(s, arg);
	}
	return -ENOTTY;
}

static long pvgpu_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pvgpu_file *f = file->private_data;
	struct pvgpu_session *s;
	long ret;

	if (cmd == PVGPU_IOC_INFO)
		return pvgpu_ioctl_info(f, (void __user *)arg);
	if (cmd == PVGPU_IOC_OPEN)
		return pvgpu_ioctl_open(f, (void __user *)arg);
	ret = pvgpu_ioctl_check(cmd, arg);
	if (ret)
		return ret;
	s = pvgpu_file_session(f);
	if (!s)
		return -EINVAL;
	ret = pvgpu_ioctl_session(s, cmd, (void __user *)arg);
	pvgpu_session_put(s);
	return ret;
}

static __poll_t pvgpu_file_poll(struct file *file, struct poll_table_struct *table)
{
	struct pvgpu_session *s = pvgpu_file_session(file->private_data);
	__poll_t mask = 0;

	if (!s)
		return EPOLLERR;
	/* The file holds the session while pollers may be on its queue. */
	poll_wait(file, &s->wait, table);
	if (test_bit(PVGPU_RUNG, &s->flags))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (test_bit(PVGPU_KICKED, &s->flags))
		mask |= EPOLLPRI;
	if (test_bit(PVGPU_HUNG, &s->flags))
		mask |= EPOLLHUP;
	pvgpu_session_put(s);
	return mask;
}

/* ---- mmap ---- */

/* The areas of the ring are counted; the session ends with the last one, also when a process dies.
 * The file outlives its areas and holds the session. */
static void pvgpu_ring_vm_open(struct vm_area_struct *vma)
{
	struct pvgpu_session *s = vma->vm_private_data;

	atomic_inc(&s->maps);
}

static void pvgpu_ring_vm_close(struct vm_area_struct *vma)
{
	struct pvgpu_session *s = vma->vm_private_data;

	if (atomic_dec_and_test(&s->maps))
		pvgpu_session_close(s);
}

static const struct vm_operations_struct pvgpu_ring_vm_ops = {
	.open = pvgpu_ring_vm_open,
	.close = pvgpu_ring_vm_close,
};

static int pvgpu_file_map_area(struct pvgpu_session *s, struct vm_area_struct *vma)
{
	const u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	const struct pvgpu_mem *m;
	int ret;

	lockdep_assert_held(&s->lock);
	if (pvgpu_session_life(s) != PVGPU_OPEN || !s->ring)
		return -EPIPE;
	m = offset ? pvgpu_chunk_at(s, offset) : s->ring;
	if (!m || (vma->vm_end - vma->vm_start) >> PAGE_SHIFT != m->pages)
		return -EINVAL;
	pvgpu_vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	ret = pvgpu_mem_map(m, vma);
	if (ret || offset)
		return ret;
	vma->vm_private_data = s;
	vma->vm_ops = &pvgpu_ring_vm_ops;
	atomic_inc(&s->maps);
	return 0;
}

static int pvgpu_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pvgpu_session *s;
	int ret;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	s = pvgpu_file_session(file->private_data);
	if (!s)
		return -EINVAL;
	mutex_lock(&s->lock);
	ret = pvgpu_file_map_area(s, vma);
	mutex_unlock(&s->lock);
	pvgpu_session_put(s);
	return ret;
}

const struct file_operations pvgpu_fops = {
	.owner = THIS_MODULE,
	.open = pvgpu_file_open,
	.release = pvgpu_file_release,
	.unlocked_ioctl = pvgpu_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = pvgpu_file_poll,
	.mmap = pvgpu_file_mmap,
};
