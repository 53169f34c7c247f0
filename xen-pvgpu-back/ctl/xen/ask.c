/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/xen/ask.h"
#include "xen-pvgpu-back/ctl/core/await.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/xen/xen.h"

#define LOCK_STEP_MS 20

static const char token[] = "ask";

struct ask_limits ask_limits = {"/run", -1, -1};

static double first_s(void)
{
	return ask_limits.first_s < 0 ? ctl_answer_s() : ask_limits.first_s;
}

static double all_s(void)
{
	return ask_limits.all_s < 0 ? ctl_answer_s() : ask_limits.all_s;
}

struct ask {
	struct store store;
	struct pvgpu_ids ids;
	char path[STORE_PATH]; /* of the answer */
	double first, all;     /* when the time is over */
	int lock;
	uint64_t number;
	const char *line;
	char *text; /* what has come of the answer */
	size_t len;
	uint32_t pages;               /* 0: not known yet */
	char wrong[PVGPU_KEY_ERROR];  /* why the key holds no answer */
	char request[PVGPU_KEY_TEXT]; /* as it is written */
};

/* ---- the answer's text ---- */

static bool is_plain(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p < ' ' || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
			return false;
	return true;
}

static bool is_sound(const json_t *o, unsigned int depth)
{
	const char *key;
	json_t *child;
	size_t i;

	if (depth > ASK_DEPTH_MAX)
		return false;
	if (json_is_string(o))
		return is_plain(json_string_value(o));
	json_array_foreach((json_t *)o, i, child) if (!is_sound(child, depth + 1)) return false;
	json_object_foreach((json_t *)o, key,
			    child) if (!is_plain(key) || !is_sound(child, depth + 1)) return false;
	return true;
}

json_t *ask_decode(const char *text, size_t len)
{
	json_t *answer = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(answer) && is_sound(answer, 0))
		return answer;
	json_decref(answer);
	return NULL;
}

/* ---- one request ---- */

static int lock(struct ask *k)
{
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000};
	char path[STORE_PATH];

	snprintf(path, sizeof(path), "%.120s/pvgpuctl-%u.lock", ask_limits.lock_dir, k->ids.be);
	k->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k->lock < 0)
		return ctl_fail(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	while (flock(k->lock, LOCK_EX | LOCK_NB) < 0) {
		if (await_now() >= k->first)
			return ctl_fail(EXIT_TIMEOUT,
					"another pvgpuctl is asking domain %u; %s is its "
					"lock",
					k->ids.be, path);
		nanosleep(&step, NULL);
	}
	return EXIT_DONE;
}

static int put_request(struct store *s, void *arg)
{
	struct ask *k = arg;

	return store_put(s, PVGPU_KEY_HOST_REQUEST, &k->ids, k->request);
}

/* Asks for a page. */
static int request(struct ask *k, uint32_t page)
{
	struct pvgpu_message m = {.number = k->number, .page = page};
	int err;

	/* The pages after the first need no text. */
	m.len = page ? 0 : (uint32_t)strlen(k->line);
	memcpy(m.s, k->line, m.len);
	pvgpu_host_request_format(&m, k->request, sizeof(k->request), NULL);
	k->store.until = k->all;
	err = store_atomically(&k->store, put_request, k);
	return err ? ctl_fail(EXIT_REFUSED, "xenstore: the request to domain %u: %s", k->ids.be,
			      strerror(-err))
		   : EXIT_DONE;
}

/* True: the key holds this page of our answer. */
static bool look(struct ask *k, uint32_t page, struct pvgpu_message *m)
{
	size_t len;
	char *text = store_read(&k->store, k->path, &len);
	bool mine = text && !pvgpu_host_answer_parse(text, len, m, k->wrong);

	if (mine)
		k->wrong[0] = '\0';
	/* Another number of pages is another answer: take() refuses it. */
	mine = mine && m->number == k->number && m->pages &&
	       (m->page == page || (k->pages && m->pages != k->pages));
	free(text);
	return mine;
}

static int take(struct ask *k, const struct pvgpu_message *m)
{
	char *more;

	if (k->pages ? m->pages != k->pages : m->pages > ASK_PAGES_MAX)
		return ctl_fail(EXIT_NOT_THERE,
				"domain %u: its answer has %u pages, %s %u: was its pvgpud "
				"started meanwhile?",
				k->ids.be, m->pages, k->pages ? "not" : "more than",
				k->pages ? k->pages : ASK_PAGES_MAX);
	k->pages = m->pages;
	more = realloc(k->text, k->len + m->len + 1);
	if (!more)
		return ctl_fail(EXIT_REFUSED, "out of memory");
	k->text = more;
	memcpy(k->text + k->len, m->s, m->len + 1);
	k->len += m->len;
	return EXIT_DONE;
}

static int wait_for(struct ask *k, uint32_t page)
{
	const double end = page ? k->all : k->first;
	struct pvgpu_message m;

	while (!look(k, page, &m)) {
		if (await_now() < end && await_event(&k->store, end))
			continue;
		return ctl_fail(EXIT_TIMEOUT,
				"domain %u has not answered in %g s: does pvgpud run there? Its "
				"log says more%s%s",
				k->ids.be, page ? all_s() : first_s(), k->wrong[0] ? "; " : "",
				k->wrong);
	}
	return take(k, &m);
}

static int converse(struct ask *k)
{
	int status = EXIT_DONE;

	for (uint32_t page = 0; !status && (!page || page < k->pages); page++) {
		status = request(k, page);
		if (!status)
			status = wait_for(k, page);
	}
	return status;
}

static uint64_t new_number(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static int start(struct ask *k)
{
	int err = store_open(&k->store);

	if (err)
		return ctl_fail(EXIT_NOT_THERE, "xenstore: %s", strerror(-err));
	pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_HOST], &k->ids, "answer", k->path, STORE_PATH);
	if (!store_exists(&k->store, k->path))
		return ctl_fail(EXIT_NOT_THERE, "domain %u: %s", k->ids.be,
				domain_exists(&k->store, k->ids.be)
					? "no pvgpud that answers dom0 runs there"
					: "there is no such domain");
	err = store_watch(&k->store, k->path, token);
	if (err)
		return ctl_fail(EXIT_REFUSED, "xenstore: watching %s: %s", k->path, strerror(-err));
	return lock(k);
}

/* The number of the next request is another one without it, too. */
static void finish(struct ask *k)
{
	char path[STORE_PATH];

	if (k->number) {
		pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_HOST], &k->ids, "request", path,
				STORE_PATH);
		store_remove(&k->store, path);
	}
	store_close(&k->store);
	if (k->lock >= 0)
		close(k->lock);
	free(k->text);
}

/* The request with this process's user and number, for the audit line. */
static char *request_line(const json_t *req)
{
	json_t *full = json_copy((json_t *)req);
	char *line;

	json_object_set_new(full, "uid", json_integer(getuid()));
	json_object_set_new(full, "pid", json_integer(getpid()));
	line = json_dumps(full, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(full);
	for (char *p = line; p && *p; p++)
		if (*p == 0x7f)
			*p = '?';
	return line;
}

json_t *ask_domain(uint32_t domid, const json_t *req, int *status)
{
	const double now = await_now();
	struct ask k = {
		.ids = {.be = domid}, .first = now + first_s(), .all = now + all_s(), .lock = -1};
	char *line = request_line(req);
	json_t *answer = NULL;

	if (!line || strlen(line) > PVGPU_MESSAGE_MAX) {
		*status = ctl_fail(EXIT_USAGE, "the request is longer than %d characters",
				   PVGPU_MESSAGE_MAX);
		free(line);
		return NULL;
	}
	k.line = line;
	*status = start(&k);
	if (!*status) {
		k.number = new_number();
		*status = converse(&k);
	}
	if (!*status) {
		answer = ask_decode(k.text, k.len);
		if (!answer)
			*status = ctl_fail(EXIT_NOT_THERE, "domain %u: its answer is malformed",
					   domid);
	}
	if (k.store.xs)
		finish(&k);
	free(line);
	return answer;
}

/* ---- whom to ask ---- */

static int named(struct host *h, uint32_t *domid)
{
	const struct domain *d;
	char err[DOMAIN_ERROR];
	int r = domains_resolve(&h->domains, "backend", ctl.spec.backend, &d, err);

	if (r)
		return ctl_fail(r == -ENOENT ? EXIT_NOT_THERE : EXIT_REFUSED, "%s", err);
	*domid = d->domid;
	return EXIT_DONE;
}

/* The domain of --backend, or those with a pvgpud that answers; *domains has room for all. */
static int wanted(struct host *h, struct asked_domain *domains, size_t *n)
{
	char path[STORE_PATH];

	*n = ctl.spec.backend[0] ? 1 : 0;
	if (*n)
		return named(h, &domains->domid);
	for (size_t i = 0; i < h->domains.n; i++) {
		const struct pvgpu_ids ids = {.be = h->domains.v[i].domid};

		pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_HOST], &ids, "answer", path, STORE_PATH);
		if (store_exists(&h->store, path))
			domains[(*n)++].domid = ids.be;
	}
	return *n ? EXIT_DONE : EXIT_NOT_THERE;
}

int ask_all(bool quiet, struct asked_domain **domains, size_t *n)
{
	struct host h;
	int status = host_open(&h);

	*domains = NULL;
	if (status)
		return status;
	*domains = calloc(h.domains.n + 1, sizeof(**domains));
	status = *domains ? wanted(&h, *domains, n) : ctl_fail(EXIT_REFUSED, "out of memory");
	if (status == EXIT_NOT_THERE && !ctl.spec.backend[0] && !quiet)
		ctl_fail(status, "no domain has a pvgpud that answers dom0");
	for (size_t i = 0; !status && i < *n; i++) {
		struct asked_domain *d = &(*domains)[i];
		char label[DOMAIN_NAME];

		snprintf(d->name, DOMAIN_NAME, "%s", domain_label(&h.domains, d->domid, label));
	}
	host_close(&h);
	return status;
}

static int several(const struct asked_domain *domains, size_t n)
{
	char names[200] = "";
	size_t at = 0;

	for (size_t i = 0; i < n && at < sizeof(names); i++)
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "",
				       domains[i].name);
	return ctl_fail(EXIT_USAGE, "several domains have a pvgpud: say which with --backend: %s",
			names);
}

int ask_whom(bool quiet, uint32_t *domid)
{
	struct asked_domain *domains;
	struct store s;
	size_t n = 0;
	int status;

	if (quiet) {
		if (store_open(&s) < 0)
			return EXIT_NOT_THERE;
		store_close(&s);
	}
	status = ask_all(quiet, &domains, &n);
	if (!status && n > 1)
		status = several(domains, n);
	else if (!status)
		*domid = domains->domid;
	free(domains);
	return status;
}
