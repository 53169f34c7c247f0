# SPDX-License-Identifier: MIT
# Fuzzers. tests/fuzz/fuzz_NAME.c says in its first lines what it is made of, over as many lines as needed:
#   /* FUZZ_OBJS: libpvgpu/image/fatbin.c gen/pvgpu_decode.c */   sources from the top; gen/ is $(B)/gen/, and a folder
#                                                                  with its slash: the sources of the folders in it
#   /* FUZZ_LIBS: -lzstd */                                       optional
#   /* FUZZ_DECODES: libpvgpu/image/fatbin.c */   optional: the decoders whose lines `make fuzz-report` counts for it
# It starts from tests/fuzz/corpus/NAME.txt and $(B)/gen/corpus/NAME and leaves what breaks it in $(B)/fuzz/crashes;
# `tests/fuzz/corpus.py add NAME FILE` takes such a file into the corpus.
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_CC ?= clang
FUZZ_SECONDS ?= $(or $(SECONDS),60)
# So many executions of each of FUZZ_MANY, instead of the seconds.
FUZZ_RUNS ?= 0
FUZZ_MANY ?= worker xenctl messages adopt
FUZZ_SAN := address,undefined
FUZZ_CFLAGS = -std=c11 -g -O1 $(WARN) -Wno-missing-prototypes -pthread -fsanitize=fuzzer-no-link,$(FUZZ_SAN) \
	-fno-sanitize-recover=undefined -fno-omit-frame-pointer $(FUZZ_MORE)

# fuzz_said,NAME,WORD -> what its comment says after WORD:
fuzz_said = $(shell awk 'NR > 60 { exit } /$(2):/ { on = 1; sub(/.*$(2):/, "") } \
	on { end = sub(/\*\/.*/, ""); sub(/^[ \t]*\*/, ""); print; if (end) exit }' tests/fuzz/fuzz_$(1).c)

fuzz_sources = $(foreach s,$(call fuzz_said,$(1),FUZZ_OBJS),$(if $(filter %/,$(s)),$(wildcard $(s)*/*.c),$(s)))

define fuzz_rule
$(B)/fuzz/$(1): $(B)/obj/fuzz/tests/fuzz/fuzz_$(1).o $$(patsubst %.c,$(B)/obj/fuzz/%.o,$$(call fuzz_sources,$(1)))
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(FUZZ_CC) -pthread -fsanitize=fuzzer,$(FUZZ_SAN) $(FUZZ_MORE) -o $$@ $$(filter %.o,$$^) $$(call fuzz_said,$(1),FUZZ_LIBS)
endef
$(foreach n,$(FUZZ_NAMES),$(eval $(call fuzz_rule,$(n))))

$(B)/obj/fuzz/%.o: %.c | $$(GEN)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(CPPFLAGS) $(CPPFLAGS_$(basename $(notdir $<))) $(FUZZ_CFLAGS) $(CFLAGS_$(basename $(notdir $<))) -MMD -MP -c -o $@ $<

$(B)/obj/fuzz/gen/%.o: $(B)/gen/%.c | $$(GEN)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

# Which lines of the decoders the fuzzers reach: of the files that fuzz_NAME.c names after FUZZ_DECODES.
FUZZ_REPORT := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(shell grep -l FUZZ_DECODES: tests/fuzz/fuzz_*.c)))
FUZZ_REPORT_LEAST ?= 90
.PHONY: fuzz-report
fuzz-report:
	$(Q)$(MAKE) --no-print-directory fuzzers B=$(B)-cov FUZZ_NAMES="$(FUZZ_REPORT)" FUZZ_SAN=undefined \
		FUZZ_MORE="-fprofile-instr-generate -fcoverage-mapping"
	$(Q)$(PYTHON) tests/fuzz/report.py --build $(B)-cov --seconds $(FUZZ_SECONDS) --least $(FUZZ_REPORT_LEAST) $(FUZZ_REPORT)

.PHONY: fuzzers
fuzzers: $(addprefix $(B)/fuzz/,$(FUZZ_NAMES))
fuzz: fuzzers
	$(Q)$(PYTHON) tests/fuzz/run.py --build $(B) --seconds $(FUZZ_SECONDS) --runs $(FUZZ_RUNS) \
		--many "$(FUZZ_MANY)" $(if $(FUZZ_JSON),--json $(FUZZ_JSON)) $(FUZZ_NAMES)
