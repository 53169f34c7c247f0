/* SPDX-License-Identifier: MIT */
/* The daemons' log: one line for each message, on standard error. */
#ifndef PVGPU_LOG_H
#define PVGPU_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The prefix of each line; pvgpud unless set. */
void log_set_program(const char *name);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "info" and so on; -1: no such level. */
int log_parse_level(const char *name);
const char *log_level_name(enum log_level level);

/* Gets each line of the chosen level, without the prefix. NULL: none. */
void log_set_tap(void (*tap)(enum log_level level, const char *text));

/* Is given each line of the chosen level in place of standard error, unless it returns false. NULL:
 * none. log_sink.h has two. */
void log_set_sink(bool (*sink)(enum log_level level, const char *program, const char *text));

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Bounds the lines that a guest or a worker can cause: a number in each window of time. */
struct log_bound {
	uint64_t since_ms;
	unsigned int lines;
};

/* May one more line be shown? The first refusal in a window logs that lines of `who` are left out.
 */
bool log_room(struct log_bound *b, uint64_t now_ms, const char *who);

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
