/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/core/overrides.h"

#include "xen-pvgpu-back/daemon/core/daemon.h"

void overrides_say(const struct daemon *d)
{
	if (d->cfg.allow_no_ecc)
		log_warning("allow_no_ecc: GPUs serve whose memory has no error correction: a "
			    "guest may change bits of others");
	if (d->cfg.test_allow_hmm)
		log_warning("TEST OVERRIDE test_allow_hmm: kernels of a guest may reach memory of "
			    "others and of this host: never serve guests like this");
	if (d->cfg.test_judge_observes)
		log_warning("TEST OVERRIDE test_judge_observes: a worker that uses what it was not "
			    "given is not ended: never serve guests like this");
}

void overrides_say_session(const struct worker *w)
{
	const char *on = config_overrides(&w->d->cfg);

	if (on[0] && log_room(&w->vgpu->noise, now_ms(), w->vgpu->cfg.name))
		log_warning("%s: TEST OVERRIDE %s: guests are not isolated", worker_name(w), on);
}
