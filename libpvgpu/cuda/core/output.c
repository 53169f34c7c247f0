/* SPDX-License-Identifier: MIT */
/* Device printf and assert text: pulled from the worker and written to this process's streams. */
#include "cuda/core/init.h"
#include "cuda/core/thread.h"

#include <pthread.h>
#include <stdio.h>

#include "link/cancel.h"
#include "pvgpu_stubs.h"

void output_pull(void *arg)
{
	/* One thread writes at a time. The others wait: device output from before their
	 * synchronising call must be written when it returns. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char text[8 * 1024];
	uint32_t which, more, len;
	int cancel;

	/* While the session opens a reply may announce output; a later reply announces it again. */
	if (self.in_output || !session())
		return;
	self.in_output = true;
	cancel = pvgpu_cancel_off();
	pthread_mutex_lock(&lock);
	do {
		FILE *to;

		if (pvgpu_do_output_pull(session(), &which, &more, text, sizeof(text), &len))
			break;
		to = which == 2 ? stderr : stdout;
		if (len) {
			fwrite(text, 1, len, to);
			fflush(to);
		}
	} while (more && len);
	pthread_mutex_unlock(&lock);
	pvgpu_cancel_back(cancel);
	self.in_output = false;
}
