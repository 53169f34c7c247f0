/* SPDX-License-Identifier: MIT */
/* What ini_parse_stream makes of standard input, which it reads as pvgpu's tools do. Linked with
 * inih, and with what an old dom0's tools have in its place. As theirs, its reader keeps lines that
 * are too long to itself: inih 55 takes the rest for a line of its own, inih 59 drops it. */
#include <ini.h>
#include <stdio.h>
#include <string.h>

static char *next_line(char *buf, int cap, void *arg)
{
	if (!fgets(buf, cap, arg))
		return NULL;
	if (!strchr(buf, '\n') && !feof((FILE *)arg)) {
		int c;

		while ((c = fgetc(arg)) != EOF && c != '\n')
			;
		return strcpy(buf, "\n");
	}
	memmove(buf, buf + strspn(buf, " \t"), strlen(buf + strspn(buf, " \t")) + 1);
	return buf;
}

static int on_value(void *arg, const char *section, const char *name, const char *value)
{
	printf("[%s] <%s> = <%s>\n", section, name, value);
	return strcmp(name, "refused") != 0;
}

int main(void)
{
	printf("%d\n", ini_parse_stream(next_line, stdin, on_value, NULL));
	return 0;
}
