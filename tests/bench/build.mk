# SPDX-License-Identifier: MIT
TESTPROGS += $(B)/tests/pvbench $(B)/nullcuda/libcuda.so.1
$(B)/tests/pvbench: $(call obj,tests/bench/pvbench.c tests/bench/naps.c tests/bench/hops.c) | $(B)/stubs/libcuda.so
LDLIBS_pvbench = -L$(B)/stubs -lcuda -lm
TESTPROGS += $(B)/tests/callbench
$(B)/tests/callbench: $(call obj,tests/bench/callbench.c) | $(B)/stubs/libcuda.so
LDLIBS_callbench = -L$(B)/stubs -lcuda

# Graphs, on a far end that has them.
TESTPROGS += $(B)/tests/graphbench
$(B)/tests/graphbench: $(call obj,tests/bench/graphbench.c) | $(B)/stubs/libcuda.so
LDLIBS_graphbench = -L$(B)/stubs -lcuda
TESTPROGS += $(B)/tests/allocbench
$(B)/tests/allocbench: $(call obj,tests/bench/allocbench.c) | $(B)/stubs/libcuda.so
LDLIBS_allocbench = -L$(B)/stubs -lcuda
# A tenant of the sweep, and what it looks at the GPU with.
TESTPROGS += $(B)/tests/pieces $(B)/tests/watch
$(B)/tests/watch: $(call obj,tests/bench/watch.c)
$(B)/tests/pieces: $(call obj,tests/bench/pieces.c) | $(B)/stubs/libcuda.so
LDLIBS_pieces = -L$(B)/stubs -lcuda
# A tenant with a load of the simulator's.
TESTPROGS += $(B)/tests/strategist
$(B)/tests/strategist: $(call obj,tests/bench/strategist.c) $$(SIM_OBJS) | $(B)/stubs/libcuda.so
LDLIBS_strategist = -L$(B)/stubs -lcuda -lm
TESTPROGS += $(B)/tests/schedbench
$(B)/tests/schedbench: $(call obj,tests/bench/schedbench.c) $$(SCHED_OBJS)
$(B)/nullcuda/libcuda.so.1: $(call obj,tests/bench/nullcuda.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libcuda.so.1 -o $@ $^

# In the emulator and on shared machines only ratios of one run mean something: see docs/performance.md.
bench: packages
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/bench/bench.py --build $(B) $(if $(BENCH_JSON),--out $(BENCH_JSON)) $(BENCH)

# The simulated GPU's engine; ENGINE="--before FILE" compares with another build's ptxrun.
.PHONY: bench-engine
bench-engine: $(B)/tests/ptxrun
	$(Q)$(PYTHON) tests/bench/engine.py --build $(B) $(ENGINE)

# Tenants that wait for their results: what each gets of what it is due, and all of them against the far end alone.
.PHONY: bench-loops
bench-loops: packages
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/bench/loops.py --build $(B) $(LOOPS)

# A program that computes: a decoder in each of several tenants.
.PHONY: bench-decoder
bench-decoder: packages
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/bench/loops.py --build $(B) --table decoders $(LOOPS)

# Pieces of any length, in any number of tenants and streams: shares, waits and overlap, about 15 minutes.
.PHONY: bench-sweep
bench-sweep: packages
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/bench/sweep.py --build $(B) $(SWEEP)

# The worst strategies of the simulator's search, against the real pvgpud: about eight minutes.
.PHONY: bench-strategies
bench-strategies: packages
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/bench/strategies.py --build $(B) $(STRATEGIES)

# One hand-over: which thread wakes which, and when. Needs root and tracefs.
.PHONY: bench-handover
bench-handover: packages
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/bench/handover.py --build $(B) $(HANDOVER)

# Their figures mean nothing here: that each of these comes to its end does.
.PHONY: check-bench
check-bench:
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/bench/bench.py --build $(B) --quick --out $(B)/bench-quick.json post calls awaited drain gate idle

# docs/results/RELEASE.md, from the runs in docs/results/RELEASE. With RUN, FILE and MACHINE a run is recorded first:
# make results RUN=bench FILE=build/bench.json MACHINE="2 cores, simulated GPU"
.PHONY: results check-docs check-docs-results
results:
	$(Q)$(PYTHON) tests/bench/results.py $(if $(RUN),--add $(RUN) $(FILE) --machine "$(MACHINE)")
check-docs: check-docs-results
check-docs-results:
	$(Q)$(PYTHON) tests/bench/results.py --check
	$(Q)$(PYTHON) tests/bench/results_test.py
