# SPDX-License-Identifier: MIT
# pvgpu-cloudstack between doubles of CloudStack and of a pool's master.
.PHONY: check-cloudstack
check-cloudstack: $(B)/tests/pvgpuctl-fake
	$(Q)for t in toggle around usage kill; do PVGPU_BUILD=$(B) $(PYTHON) tests/cloudstack/$${t}_test.py || exit 1; done
