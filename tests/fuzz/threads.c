/* SPDX-License-Identifier: MIT */
/*
 * Threads that are kept (ld --wrap): a fuzzer whose every run starts and ends threads spends most
 * of its time on that, the more so under sanitizers. A thread that has returned waits for the next
 * pthread_create. A thread that nobody joins is kept when it returns.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define THREADS 512u

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg);
int __real_pthread_join(pthread_t t, void **result);
int __real_pthread_detach(pthread_t t);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg);
int __wrap_pthread_join(pthread_t t, void **result);
int __wrap_pthread_detach(pthread_t t);

enum kept { FREE, RUNNING, RETURNED };

static struct thread {
	pthread_t self;
	enum kept state;
	bool detached;
	void *(*f)(void *);
	void *arg, *result;
	pthread_cond_t changed;
} threads[THREADS];
static unsigned int thread_n;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *arg)
{
	struct thread *k = arg;

	pthread_mutex_lock(&lock);
	for (;;) {
		while (k->state != RUNNING)
			pthread_cond_wait(&k->changed, &lock);
		pthread_mutex_unlock(&lock);
		k->result = k->f(k->arg);
		pthread_mutex_lock(&lock);
		k->state = k->detached ? FREE : RETURNED;
		pthread_cond_broadcast(&k->changed);
	}
	return NULL;
}

static struct thread *unused(void)
{
	struct thread *k;

	for (unsigned int i = 0; i < thread_n; i++)
		if (threads[i].state == FREE)
			return &threads[i];
	if (thread_n == THREADS)
		return NULL;
	k = &threads[thread_n];
	pthread_cond_init(&k->changed, NULL);
	if (__real_pthread_create(&k->self, NULL, run, k))
		return NULL;
	__real_pthread_detach(k->self);
	thread_n++;
	return k;
}

static struct thread *of(pthread_t t)
{
	for (unsigned int i = 0; i < thread_n; i++)
		if (pthread_equal(threads[i].self, t))
			return &threads[i];
	return NULL;
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg)
{
	struct thread *k;

	pthread_mutex_lock(&lock);
	k = unused();
	if (k) {
		k->f = f;
		k->arg = arg;
		k->detached = false;
		k->state = RUNNING;
		*t = k->self;
		pthread_cond_broadcast(&k->changed);
	}
	pthread_mutex_unlock(&lock);
	return k ? 0 : EAGAIN;
}

int __wrap_pthread_join(pthread_t t, void **result)
{
	struct thread *k;

	pthread_mutex_lock(&lock);
	k = of(t);
	while (k && k->state == RUNNING)
		pthread_cond_wait(&k->changed, &lock);
	if (k && result)
		*result = k->result;
	if (k)
		k->state = FREE;
	pthread_mutex_unlock(&lock);
	return k ? 0 : __real_pthread_join(t, result);
}

int __wrap_pthread_detach(pthread_t t)
{
	struct thread *k;

	pthread_mutex_lock(&lock);
	k = of(t);
	if (k) {
		k->detached = true;
		if (k->state == RETURNED)
			k->state = FREE;
	}
	pthread_mutex_unlock(&lock);
	return k ? 0 : __real_pthread_detach(t);
}
