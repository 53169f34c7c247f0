/* SPDX-License-Identifier: MIT */
/* Completion for bash and zsh, from the tables of options and subcommands. */
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/core/ctl.h"

/* zsh takes bash's, by its own emulation. */
static const char function[] =
	"_pvgpuctl() {\n"
	"\tlocal word=\"${COMP_WORDS[COMP_CWORD]}\" command=\"\" i\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tcase \"${COMP_WORDS[i]}\" in -*) ;; *) command=\"${COMP_WORDS[i]}\"; break ;; esac\n"
	"\tdone\n"
	"\tCOMPREPLY=()\n"
	"\tcase \"$command\" in\n";

static const char rest[] = "\tesac\n"
			   "}\n"
			   "complete -o default -F _pvgpuctl pvgpuctl\n";

int completion_main(int argc, char **argv)
{
	const bool zsh = !strcmp(argv[0], "zsh");

	if (!zsh && strcmp(argv[0], "bash") != 0)
		return ctl_fail(EXIT_USAGE, "completion %s: must be bash or zsh", argv[0]);
	if (zsh)
		puts("#compdef pvgpuctl\nautoload -U +X bashcompinit && bashcompinit");
	fputs("# Made by pvgpuctl completion.\n", stdout);
	fputs(function, stdout);
	ctl_complete();
	fputs(rest, stdout);
	return EXIT_DONE;
}
