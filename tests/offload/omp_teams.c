/* SPDX-License-Identifier: MIT */
/* Leagues of teams: numbers, sizes, what a team shares. */
#include <omp.h>

#include "tests/offload/check.h"

int main(void)
{
	int team[8] = {0}, teams = 0, sum = 0, own[4] = {0};

#pragma omp target teams num_teams(8) thread_limit(64) map(from : team, teams)
	{
		team[omp_get_team_num()] = omp_get_team_num() + 1;
		if (omp_get_team_num() == 0)
			teams = omp_get_num_teams();
	}
	SAME("teams", teams, 8);
	for (int i = 0; i < 8; i++)
		SAME("team", team[i], i + 1);
#pragma omp target teams num_teams(5) map(tofrom : sum) reduction(+ : sum)
	sum += 1 + omp_get_team_num();
	SAME("sum over teams", sum, 15);
#pragma omp target teams distribute num_teams(4) map(from : own)
	for (int i = 0; i < 4; i++) {
		int shared = 0;

#pragma omp parallel num_threads(16) shared(shared)
		{
#pragma omp atomic
			shared += i + 1;
		}
		own[i] = shared / (i + 1);
	}
	for (int i = 0; i < 4; i++)
		CHECK(own[i] >= 1 && own[i] <= 16 && own[i] == own[0], "own %d", own[i]);
	return 0;
}
