/* SPDX-License-Identifier: MIT */
/*
 * The tracer itself. It is attached by PTRACE_SEIZE, so that stops and signals of the command's own
 * stay what they are, and without PTRACE_O_EXITKILL: who ends the tracer does not end the command.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/gpu/trace/trace.h"

#define THREADS     4096
#define PROCESSES   1024
#define WRITE_EVERY 2 /* seconds */
#define OPTIONS                                                                                    \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |  \
	 PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)

struct process {
	pid_t pid;
	unsigned int threads; /* none: the place is free */
	enum phase phase;
};

struct thread {
	struct process *process;
	bool inside; /* of a call */
	uint64_t nr, args[6];
	struct call *call;
	struct row *row;
};

static struct process processes[PROCESSES];
/* Those that live are the first; tids apart, since they are searched. */
static pid_t tids[THREADS];
static struct thread threads[THREADS];
static unsigned int n_threads;

static struct {
	struct follow f;
	bool registers;
	bool started; /* the command itself runs */
	bool leaving; /* its first thread is about to */
	bool has_ended;
	bool changed; /* since the output was written */
	uint64_t seen_threads, seen_processes, unseen_threads, seals;
	struct timespec begin;
	char ended[32];
} state = {.ended = "running"};

static volatile sig_atomic_t timer, told_to_stop;

/* ---- the output ---- */

static json_t *output(void)
{
	struct timespec now;
	const char *slash = strrchr(state.f.command, '/');

	clock_gettime(CLOCK_MONOTONIC, &now);
	return json_pack(
		"{si ss ss ss ss sf sI sI sI sI so so}", "format", 1, "command",
		slash ? slash + 1 : state.f.command, "ended", state.ended, "interface",
		state.registers ? "registers" : "syscall_info", "seal", state.f.seal, "seconds",
		(double)(now.tv_sec - state.begin.tv_sec) +
			(double)(now.tv_nsec - state.begin.tv_nsec) / 1e9,
		"seals", (json_int_t)state.seals, "processes", (json_int_t)state.seen_processes,
		"threads", (json_int_t)state.seen_threads, "threads_not_followed",
		(json_int_t)state.unseen_threads, "before", table_json(BEFORE), "after",
		table_json(AFTER));
}

/* A reader finds a whole one at any time. */
static bool write_output(void)
{
	json_t *o = output();
	char temporary[256];
	int fd, err = 0;

	snprintf(temporary, sizeof(temporary), ".%.200s.%d", state.f.out, getpid());
	fd = openat(state.f.folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || json_dumpfd(o, fd, JSON_INDENT(1)) < 0 ||
	    renameat(state.f.folder, temporary, state.f.folder, state.f.out) < 0)
		err = errno ? errno : ENOSPC;
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && err)
		unlinkat(state.f.folder, temporary, 0);
	json_decref(o);
	state.changed = false;
	errno = err;
	return !err;
}

static void set_ended(int code, int status)
{
	if (state.has_ended)
		return;
	snprintf(state.ended, sizeof(state.ended), "%s %d", code == CLD_EXITED ? "exit" : "signal",
		 status);
	state.has_ended = state.changed = true;
	state.leaving = false;
}

/* ---- threads and processes ---- */

static struct thread *find(pid_t tid)
{
	for (unsigned int i = 0; i < n_threads; i++)
		if (tids[i] == tid)
			return &threads[i];
	return NULL;
}

/* What /proc says of a thread: its process, and that one's parent. */
static void read_status(pid_t tid, pid_t *pid, pid_t *parent)
{
	char path[32], line[128];
	FILE *f;

	*pid = tid;
	*parent = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "Tgid: %d", pid);
		sscanf(line, "PPid: %d", parent);
	}
	fclose(f);
}

static struct process *find_process(pid_t pid)
{
	for (unsigned int i = 0; i < PROCESSES; i++)
		if (processes[i].threads && processes[i].pid == pid)
			return &processes[i];
	return NULL;
}

/* A child is sealed where its parent is. */
static struct process *add_process(pid_t pid, pid_t parent)
{
	const struct process *of = find_process(parent);

	for (unsigned int i = 0; i < PROCESSES; i++) {
		if (processes[i].threads)
			continue;
		processes[i].pid = pid;
		processes[i].phase = of ? of->phase : BEFORE;
		state.seen_processes++;
		return &processes[i];
	}
	return NULL;
}

/* NULL where there are too many: it runs on and is not looked at. */
static struct thread *add(pid_t tid)
{
	struct process *p;
	struct thread *t;
	pid_t pid, parent;

	read_status(tid, &pid, &parent);
	p = find_process(pid);
	if (!p)
		p = add_process(pid, parent);
	if (!p || n_threads == THREADS) {
		state.unseen_threads++;
		return NULL;
	}
	t = &threads[n_threads];
	tids[n_threads++] = tid;
	*t = (struct thread){.process = p};
	p->threads++;
	state.seen_threads++;
	return t;
}

static void drop(struct thread *t)
{
	unsigned int at = (unsigned int)(t - threads);

	t->process->threads--;
	n_threads--;
	threads[at] = threads[n_threads];
	tids[at] = tids[n_threads];
}

/* ---- calls ---- */

/* What a thread has stopped at. */
struct stop {
	bool entry;
	bool native; /* a call of x86-64; others have other numbers */
	uint64_t nr, args[6];
	int64_t result;
};

static bool read_info(pid_t tid, struct stop *s)
{
	struct __ptrace_syscall_info i;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(i), &i) <= 0)
		return false;
	s->entry = i.op == PTRACE_SYSCALL_INFO_ENTRY;
	s->native = i.arch == AUDIT_ARCH_X86_64;
	if (s->entry) {
		s->nr = i.entry.nr;
		memcpy(s->args, i.entry.args, sizeof(s->args));
	} else {
		s->result = i.exit.rval;
	}
	return true;
}

/* Entries and exits take turns, and registers do not say which it is. */
static bool read_registers(pid_t tid, const struct thread *t, struct stop *s)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &r) < 0)
		return false;
	s->entry = !t->inside;
	s->native = r.cs == 0x33;
	s->nr = r.orig_rax;
	s->args[0] = r.rdi;
	s->args[1] = r.rsi;
	s->args[2] = r.rdx;
	s->args[3] = r.r10;
	s->args[4] = r.r8;
	s->args[5] = r.r9;
	s->result = (int64_t)r.rax;
	return true;
}

static void call_begins(pid_t tid, struct thread *t, const struct stop *s)
{
	struct entry e = {.tid = tid, .pid = t->process->pid, .nr = s->nr};
	struct key k;

	t->inside = true;
	t->nr = s->native ? s->nr : UINT64_MAX;
	memcpy(t->args, s->args, sizeof(t->args));
	memcpy(e.args, s->args, sizeof(e.args));
	t->call = NULL;
	t->row = NULL;
	if (!state.started)
		return;
	t->call = table_call(t->process->phase, t->nr);
	t->call->count++;
	if (s->native && calls_key(&e, &k)) {
		t->row = table_row(t->process->phase, &k);
		t->row->count++;
	}
	state.changed = true;
}

static void call_returns(struct thread *t, int64_t result)
{
	bool failed = result < 0 && result > -4096 && t->nr != SYS_rt_sigreturn;

	if (!t->inside)
		return;
	t->inside = false;
	if (t->call && failed)
		table_error(&t->call->errors, (int)-result);
	if (t->row && failed)
		table_error(&t->row->errors, (int)-result);
	if (t->row && !failed && t->nr == SYS_mmap)
		t->row->bytes += t->args[1];
	if (t->call && !failed && t->nr == SYS_prctl && t->args[0] == PR_SET_NO_NEW_PRIVS &&
	    !strcmp(state.f.seal, "no_new_privs")) {
		t->process->phase = AFTER;
		state.seals++;
	}
}

static void on_call(pid_t tid, struct thread *t)
{
	struct stop s = {};

	if (!state.registers && !read_info(tid, &s)) {
		if (errno == ESRCH)
			return; /* killed as it stopped */
		state.registers = true;
	}
	if (state.registers && !read_registers(tid, t, &s))
		return;
	if (s.entry)
		call_begins(tid, t, &s);
	else
		call_returns(t, s.result);
}

/* ---- stops ---- */

/* The thread that has called execve goes on under its process's id; the others are gone. */
static void on_exec(pid_t pid)
{
	unsigned long former = 0;
	struct thread *t = find(pid), *of;
	struct process *p;

	ptrace(PTRACE_GETEVENTMSG, pid, NULL, &former);
	of = find((pid_t)former);
	if (!t)
		return;
	if (of)
		*t = *of;
	if (!state.started && pid == state.f.pid) {
		state.started = true;
		t->call = NULL; /* our own execve is not the command's */
		t->row = NULL;
	}
	p = t->process;
	for (unsigned int i = n_threads; i-- > 0;)
		if (tids[i] != pid && threads[i].process == p)
			drop(&threads[i]);
}

static bool is_stopping(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void on_stop(pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16, deliver = 0;
	struct thread *t = find(tid);

	if (!t)
		t = add(tid);
	if (event == PTRACE_EVENT_STOP && is_stopping(sig)) {
		ptrace(PTRACE_LISTEN, tid, NULL, NULL);
		return;
	}
	if (sig == (SIGTRAP | 0x80)) {
		if (t)
			on_call(tid, t);
	} else if (event == PTRACE_EVENT_EXEC) {
		on_exec(tid);
	} else if (event == PTRACE_EVENT_EXIT) {
		state.leaving |= tid == state.f.pid && !state.has_ended;
	} else if (!event) {
		deliver = sig;
	}
	ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)deliver);
}

static void on_end(pid_t tid, int status)
{
	struct thread *t = find(tid);

	if (t)
		drop(t);
	if (tid == state.f.pid)
		set_ended(WIFEXITED(status) ? CLD_EXITED : CLD_KILLED,
			  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* The next stop or end. While the command's first thread leaves, its end is looked at before it is
 * taken: who started the command hears of the end only then, and finds the output written. */
static pid_t next(int *status)
{
	siginfo_t i = {};

	if (!state.leaving || waitid(P_ALL, 0, &i, WEXITED | WSTOPPED | WNOWAIT | __WALL) < 0)
		return waitpid(-1, status, __WALL);
	if (i.si_pid == state.f.pid && i.si_code != CLD_TRAPPED && i.si_code != CLD_STOPPED) {
		set_ended(i.si_code, i.si_status);
		write_output();
	}
	return waitpid(i.si_pid, status, __WALL);
}

static void on_signal(int sig)
{
	if (sig == SIGALRM)
		timer = 1;
	else
		told_to_stop = 1;
}

/* No SA_RESTART: waitpid is to return. One that comes just before waitpid is called waits for the
 * next of the timer. */
static void set_timer(void)
{
	const struct itimerval every = {{WRITE_EVERY, 0}, {WRITE_EVERY, 0}};
	struct sigaction a = {.sa_handler = on_signal};
	sigset_t none;

	sigaction(SIGALRM, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

int follow_attach(const struct follow *f)
{
	int status;

	state.f = *f;
	state.registers = f->registers;
	clock_gettime(CLOCK_MONOTONIC, &state.begin);
	if (!write_output() || ptrace(PTRACE_SEIZE, f->pid, NULL, OPTIONS) < 0 ||
	    ptrace(PTRACE_INTERRUPT, f->pid, NULL, NULL) < 0 ||
	    waitpid(f->pid, &status, __WALL) != f->pid)
		return -errno;
	if (!WIFSTOPPED(status))
		return -ESRCH;
	on_stop(f->pid, status);
	return 0;
}

void follow_run(void)
{
	pid_t tid;
	int status;

	set_timer();
	while (!told_to_stop) {
		tid = next(&status);
		if (tid < 0 && errno != EINTR)
			break;
		if (tid > 0 && WIFSTOPPED(status))
			on_stop(tid, status);
		else if (tid > 0)
			on_end(tid, status);
		if (timer) {
			timer = 0;
			if (state.changed)
				write_output();
		}
	}
	if (told_to_stop && !state.has_ended)
		snprintf(state.ended, sizeof(state.ended), "told to stop");
	if (state.changed || told_to_stop || !state.started)
		write_output();
}
