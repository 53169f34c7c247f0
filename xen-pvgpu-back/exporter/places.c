/* SPDX-License-Identifier: MIT */
/*
 * The server's connections. Each has a time for its whole request, whatever it sends meanwhile. A
 * new one that would be one too many takes the place of the oldest one of the address with the most
 * connections, so that clients that send nothing shut out no other one.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "xen-pvgpu-back/exporter/places.h"

static struct place {
	int fd; /* -1: free */
	bool cut;
	char address[INET6_ADDRSTRLEN];
	long long since; /* its connection, or its last answer */
} places[PLACES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void places_init(void)
{
	for (unsigned int i = 0; i < PLACES; i++)
		places[i].fd = -1;
}

/* The server sees that it has ended, and closes it. */
static void cut(struct place *p)
{
	p->cut = true;
	shutdown(p->fd, SHUT_RDWR);
}

static unsigned int count_of(const char *address)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < PLACES; i++)
		n += places[i].fd >= 0 && !places[i].cut &&
		     (!address || !strcmp(places[i].address, address));
	return n;
}

static struct place *oldest_of_the_most(void)
{
	struct place *found = NULL;
	unsigned int most = 0;

	for (unsigned int i = 0; i < PLACES; i++) {
		struct place *p = &places[i];
		unsigned int n = p->fd >= 0 && !p->cut ? count_of(p->address) : 0;

		if (n && (n > most || (n == most && p->since < found->since))) {
			most = n;
			found = p;
		}
	}
	return found;
}

static void write_address(const struct sockaddr *a, char text[INET6_ADDRSTRLEN])
{
	text[0] = '\0';
	if (a->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, text,
			  INET6_ADDRSTRLEN);
	if (a->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
			  text, INET6_ADDRSTRLEN);
}

struct place *place_take(int fd, const struct sockaddr *from, long long now)
{
	struct place *p = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < PLACES && !p; i++)
		p = places[i].fd < 0 ? &places[i] : NULL;
	if (p) {
		*p = (struct place){.fd = fd, .since = now};
		write_address(from, p->address);
		if (count_of(NULL) > PLACES_SERVED)
			cut(oldest_of_the_most());
	}
	pthread_mutex_unlock(&lock);
	return p;
}

void place_answered(struct place *p, long long now)
{
	pthread_mutex_lock(&lock);
	p->since = now;
	pthread_mutex_unlock(&lock);
}

void place_leave(struct place *p)
{
	pthread_mutex_lock(&lock);
	p->fd = -1;
	pthread_mutex_unlock(&lock);
}

void places_sweep(long long now)
{
	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < PLACES; i++)
		if (places[i].fd >= 0 && !places[i].cut && now - places[i].since > REQUEST_MS)
			cut(&places[i]);
	pthread_mutex_unlock(&lock);
}
