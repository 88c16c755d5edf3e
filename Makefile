# SPDX-License-Identifier: GPL-3.0-or-later
#
# make            set up what is missing, then build build/apptap
# make demo       tap a real curl on a real nginx and show what was seen
# make check      every test, plain and under AddressSanitizer and UBSan
# make bench      ratios to the straight path, beside other taps; QUICK=1, ONLY="bulk,tls", ADD=1
# make install    DESTDIR and PREFIX as usual; make uninstall
#
# For packagers: LWIP_SRC= names unpacked lwIP sources, WOLFSSL_PREFIX= an
# installed static wolfSSL, and SETUP=no keeps apt out of it.

BUILD    ?= build
PREFIX   ?= /usr/local
SETUP    ?= yes
SANITIZE ?=
VERSION  := 0.1.0

CC       ?= cc
CFLAGS   ?= -O2 -g
GUESTS   := build/guests
LWIP_SRC ?= $(GUESTS)/lwip
WOLFSSL_PREFIX ?= $(GUESTS)/wolfssl

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
SAN  := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
OURS := -std=gnu11 -D_GNU_SOURCE -DAPPTAP_VERSION='"$(VERSION)"' -iquote . $(WARN) $(SAN) -pthread -MMD -MP

# A guest library's header never crosses its room's door, so each room sees
# its own guest's headers and nobody else's.
GUEST_netstack := -isystem $(LWIP_SRC)/src/include
GUEST_tls      := -isystem $(WOLFSSL_PREFIX)/include -include wolfssl/options.h

ROOMS    ?= netstack tls extension pcap tunnel
SOURCES  := $(filter-out %.bpf.c,$(foreach r,$(ROOMS),$(wildcard $(r)/*.c))) $(filter-out tools/apptap.c,$(wildcard tools/*.c))
OBJECTS  := $(SOURCES:%.c=$(BUILD)/obj/%.o)
TOOL_SRC := tools/apptap.c
TOOL_OBJ := $(TOOL_SRC:%.c=$(BUILD)/obj/%.o)
UNIT_SRC := $(wildcard tests/unit/*_test.c)
UNITS    := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)

LWIP_CORE := $(addprefix core/,def.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c \
	tcp.c tcp_in.c tcp_out.c timeouts.c) \
	$(addprefix core/ipv4/,ip4.c ip4_addr.c) \
	$(addprefix core/ipv6/,icmp6.c inet6.c ip6.c ip6_addr.c nd6.c)
LWIP_OBJ  := $(LWIP_CORE:%.c=$(BUILD)/lwip/%.o)

LIBS := $(BUILD)/libapptap.a $(BUILD)/liblwip.a $(WOLFSSL_PREFIX)/lib/libwolfssl.a \
	-lpcap -lhttp_parser -lnghttp2 -lz -lcjson -lpcre2-8 -lseccomp -lresolv -lmnl -lbpf -lm -pthread

.PHONY: all setup demo check check-plain check-sanitized unit headers fuzzers e2e fuzz bench install uninstall lint clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/apptap

# --- set-up -----------------------------------------------------------------

# The stamp says which set of packages was last seen whole; a second run
# neither asks apt nor needs a network.
PACKAGES := $(GUESTS)/packages
PARTS    := $(PACKAGES) $(PACKAGES)-demo $(PACKAGES)-all
$(PACKAGES): PART = build
$(PACKAGES)-demo: PART = demo
$(PACKAGES)-all: PART =
$(PARTS): tools/setup/packages tools/setup/packages.txt
	@mkdir -p $(@D)
	@$(if $(filter yes,$(SETUP)),tools/setup/packages $(PART),true)
	@touch $@

# All that tests, linters and the benchmark want too.
setup: $(PACKAGES)-all $(GUESTS)/lwip.stamp $(GUESTS)/wolfssl.stamp

ifeq ($(LWIP_SRC),$(GUESTS)/lwip)
$(GUESTS)/lwip.stamp: tools/setup/source | $(PACKAGES)
	tools/setup/source lwip $(GUESTS)/lwip
	@touch $@
else
$(GUESTS)/lwip.stamp: ; @mkdir -p $(@D) && touch $@
endif

ifeq ($(WOLFSSL_PREFIX),$(GUESTS)/wolfssl)
$(GUESTS)/wolfssl.stamp: tools/setup/source tools/setup/wolfssl tools/setup/wolfssl.h | $(PACKAGES)
	tools/setup/source wolfssl $(GUESTS)/wolfssl-src
	tools/setup/wolfssl $(GUESTS)/wolfssl-src $(GUESTS)/wolfssl
	@touch $@
else
$(GUESTS)/wolfssl.stamp: ; @mkdir -p $(@D) && touch $@
endif

GUEST_STAMPS := $(GUESTS)/lwip.stamp $(GUESTS)/wolfssl.stamp

# --- the build --------------------------------------------------------------

$(BUILD)/lwip/%.o: netstack/lwipopts.h | $(GUEST_STAMPS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SAN) -fno-strict-aliasing -w -iquote netstack -Inetstack -I$(LWIP_SRC)/src/include \
		-c $(LWIP_SRC)/src/$*.c -o $@

$(BUILD)/liblwip.a: $(LWIP_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

# lwIP finds lwipopts.h and arch/cc.h beside our own sources.
$(BUILD)/obj/netstack/%.o: OURS += -Inetstack
$(BUILD)/obj/%.o: %.c | $(GUEST_STAMPS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OURS) $(GUEST_$(firstword $(subst /, ,$*))) -c $< -o $@

$(BUILD)/obj/tls/%.o: $(GUESTS)/wolfssl.stamp
$(BUILD)/lwip/%.o: $(GUESTS)/lwip.stamp
$(BUILD)/apptap $(UNITS): $(GUEST_STAMPS)

# The kernel's half of `local`: compiled by clang for the BPF machine (a clang that is
# told a target knows no host's headers any more, so is shown them), and put into a
# header for its loader. It needs no kernel's types at hand: CO-RE.
BPF_CLANG ?= clang
BPFTOOL   ?= $(or $(shell command -v bpftool),/usr/sbin/bpftool)
GEN       := $(BUILD)/gen/extension
$(GEN)/redirect.bpf.o: extension/redirect.bpf.c extension/redirect_shared.h $(wildcard extension/*.bpf.h) | $(GUEST_STAMPS)
	@mkdir -p $(@D)
	$(BPF_CLANG) -O2 -g -target bpf -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror -iquote . \
		$$($(BPF_CLANG) -v -E - </dev/null 2>&1 | sed -n '/<...> search/,/^End/s|^ \(/.*\)|-idirafter \1|p') -c $< -o $@
$(GEN)/redirect.skel.h: $(GEN)/redirect.bpf.o
	{ echo '// NOLINTBEGIN'; $(BPFTOOL) gen skeleton $< name redirect_bpf && echo '// NOLINTEND'; } > $@
GUEST_extension := -isystem $(GEN)
$(BUILD)/obj/extension/redirect.o: $(GEN)/redirect.skel.h

$(BUILD)/libapptap.a: $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/apptap: $(TOOL_OBJ) $(BUILD)/libapptap.a $(BUILD)/liblwip.a | $(GUEST_STAMPS)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) $(TOOL_OBJ) $(LIBS) -o $@

# --- tests ------------------------------------------------------------------

$(BUILD)/obj/tests/%.o: OURS += -Inetstack $(GUEST_netstack) -isystem $(WOLFSSL_PREFIX)/include
$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libapptap.a $(BUILD)/liblwip.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) $< $(LIBS) -lcmocka -o $@

unit: $(UNITS) $(BUILD)/tls_client

# A plain client of the guest's, for the scenarios.
$(BUILD)/tls_client: tests/peers/tls_client.c | $(GUEST_STAMPS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -std=gnu11 -D_GNU_SOURCE $(WARN) -isystem $(WOLFSSL_PREFIX)/include $< $(WOLFSSL_PREFIX)/lib/libwolfssl.a -lm -pthread -o $@

# Each header compiles alone.
HEADERS  := $(filter-out %.bpf.h,$(foreach r,$(ROOMS) tools,$(wildcard $(r)/*.h)))
ALONE    := $(HEADERS:%=$(BUILD)/alone/%)
$(BUILD)/alone/netstack/%: OURS += -Inetstack
$(BUILD)/alone/%: % | $(GUEST_STAMPS)
	@mkdir -p $(@D)
	@$(CC) $(filter-out -MMD -MP,$(OURS)) $(GUEST_$(firstword $(subst /, ,$*))) -Wno-unused-function -fsyntax-only -x c $<
	@touch $@
headers: $(ALONE)

# Both passes are played to their end, then summed. A pass that could not be
# built counts as failed.
CHECK := build/check
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
check: setup
	@mkdir -p $(CHECK) && rm -f $(CHECK)/*
	@$(MAKE) --no-print-directory check-plain || true
	@$(MAKE) --no-print-directory check-sanitized || true
	@tests/run --sum $(CHECK)/plain $(CHECK)/sanitized | tee $(CHECK)/totals; ! grep -qv ' 0 failed' $(CHECK)/totals

check-plain:
	@mkdir -p $(CHECK) && rm -f $(CHECK)/plain
	@$(MAKE) --no-print-directory -s $(PARALLEL) all unit headers
	@tests/run --build $(BUILD) --totals $(CHECK)/plain

check-sanitized:
	@mkdir -p $(CHECK) && rm -f $(CHECK)/sanitized
	@$(MAKE) --no-print-directory -s $(PARALLEL) BUILD=build/asan SANITIZE=address,undefined all unit
	@tests/run --build build/asan --sanitized --label asan/ --totals $(CHECK)/sanitized

# The scenarios alone: make e2e NAMES="test_tls test_load"
NAMES ?= e2e/
e2e: $(BUILD)/apptap $(BUILD)/tls_client
	@tests/run --build $(BUILD) $(NAMES)

# Each fuzz target for FUZZ_SECONDS; its corpus stays in build/corpus and begins
# with what tests/fuzz/corpus has for it.
FUZZ_SECONDS ?= 60
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)
FUZZERS  := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/libapptap.a $(BUILD)/liblwip.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fsanitize=fuzzer,address,undefined $< $(LIBS) -lcmocka -o $@
fuzzers: $(FUZZERS)
fuzz: setup
	@$(MAKE) --no-print-directory -s $(PARALLEL) BUILD=build/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzzers
	@set -e; for f in build/fuzz/fuzz/*_fuzz; do n=$$(basename $$f); mkdir -p build/corpus/$$n build/crashes; echo "fuzz $$n"; \
		$$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -artifact_prefix=build/crashes/$$n- -verbosity=0 build/corpus/$$n $$(ls -d tests/fuzz/corpus/$$n 2>/dev/null); done

# Quiet, or with a reason: .clang-tidy and tests/cppcheck.txt hold them.
TIDY = $(foreach r,$(ROOMS) tools,tidy-$(r))
tidy-extension: $(GEN)/redirect.skel.h
tidy-%: | $(GUEST_STAMPS)
	@clang-tidy --quiet $(filter-out %.bpf.c,$(wildcard $*/*.c)) -- $(filter-out -MMD -MP -Werror,$(OURS)) $(GUEST_$*) \
		$(if $(filter netstack,$*),-Inetstack) 2>/dev/null
lint: setup headers $(TIDY)
	@tools/floors
	@$(MAKE) --no-print-directory -s $(PARALLEL) BUILD=build/lint-gcc CC=gcc all unit
	@$(MAKE) --no-print-directory -s $(PARALLEL) BUILD=build/lint-clang CC=clang all unit headers
	@cppcheck --quiet --error-exitcode=1 --std=c11 --language=c --inline-suppr --suppressions-list=tests/cppcheck.txt \
		--enable=warning,performance,portability -iextension/redirect.bpf.c -I. $(ROOMS) $(TOOL_SRC)

-include $(OBJECTS:.o=.d) $(TOOL_OBJ:.o=.d) $(UNIT_SRC:%.c=$(BUILD)/obj/%.d) $(FUZZ_SRC:%.c=$(BUILD)/obj/%.d)

# --- shown, measured, installed ---------------------------------------------

demo: $(PACKAGES)-demo $(BUILD)/apptap
	@tools/demo $(BUILD)

# Takes about twelve minutes, with QUICK=1 under two. ONLY names parts, ADD=1 keeps the other parts of the
# runs before, VERBOSE=1 says what each case took.
bench: $(PACKAGES)-all $(BUILD)/apptap $(BUILD)/bench_client $(BUILD)/bench_server
	@/usr/bin/python3 tools/bench $(if $(QUICK),--quick) $(if $(ONLY),--only '$(ONLY)') $(if $(ADD),--add) $(if $(VERBOSE),--verbose) $(BUILD)

$(BUILD)/bench_%: tools/bench/%.c tools/bench/wire.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -std=gnu11 -D_GNU_SOURCE -iquote . $(WARN) $< -o $@

# Where Wireshark looks for programs that are interfaces of it; EXTCAP_DIR= for none.
EXTCAP_DIR ?= $(shell pkg-config --variable=extcapdir wireshark 2>/dev/null || tshark -G folders 2>/dev/null | \
	sed -n 's/^\(Global \)\{0,1\}Extcap path:[[:space:]]*//p')
install: $(BUILD)/apptap
	install -D -m 755 $(BUILD)/apptap $(DESTDIR)$(PREFIX)/bin/apptap
	install -D -m 644 tools/apptap.1 $(DESTDIR)$(PREFIX)/share/man/man1/apptap.1
	@d='$(EXTCAP_DIR)'; if [ -n "$$d" ] && { [ -n '$(DESTDIR)' ] || [ -w "$$d" ]; }; then set -x; \
		mkdir -p "$(DESTDIR)$$d" && ln -sfn $(PREFIX)/bin/apptap "$(DESTDIR)$$d/apptap"; \
		else echo 'Wireshark has no folder that can be written to: apptap extcap --install makes a link for one user'; fi

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/apptap $(DESTDIR)$(PREFIX)/share/man/man1/apptap.1
	@l='$(DESTDIR)$(EXTCAP_DIR)/apptap'; [ "$$(readlink "$$l")" != $(PREFIX)/bin/apptap ] || rm -v "$$l"

clean:
	rm -rf build
