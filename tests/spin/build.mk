# SPDX-License-Identifier: MIT
.PHONY: check-spin
check-spin:
	$(Q)tests/spin/run.sh
