# mx: `make help` says what there is.  Programs are the folders under cmd/,
# each linked from its own .c files and common/ (libmx.a); cmd/NAME/libs, where
# it exists, names libraries that only this program needs.
CC      = gcc
PREFIX  = /usr/local
DESTDIR =
BUILD   = build
J       = $(shell nproc)

WARN    = -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla \
          -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
          -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Werror
HARDEN  = -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE \
          -fstack-clash-protection -fcf-protection
CFLAGS  = -std=c11 -D_GNU_SOURCE -g $(WARN) $(HARDEN) $(SANITIZE) \
          -Icommon -I/usr/include/libxml2 -MMD -MP
LDFLAGS = -pie -Wl,-z,relro,-z,now,--as-needed $(SANITIZE)
LIBS    = -lldns -lssl -lcrypto -lpcre2-8 -lidn2 -lunistring -lseccomp \
          -lcrypt -ldl

PROGS   = $(notdir $(patsubst %/,%,$(dir $(wildcard cmd/*/main.c))))
SCRIPTS = $(wildcard cmd/*/mx-*.sh)
COMMON  = $(patsubst %.c,$(BUILD)/%.o,$(wildcard common/*.c))
DRIVERS = $(patsubst common/%.c,%,$(wildcard common/table_*.c))
UNIT    = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ    = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
SHIMS   = $(patsubst tests/lib/%.c,$(BUILD)/lib/%.so,$(wildcard tests/lib/shim_*.c))
UNITS   = $(wildcard cmd/*/*.service cmd/*/*.socket cmd/*/*.timer cmd/*/*.path)
SOURCES = $(wildcard cmd/*/*.[ch] common/*.[ch] tests/*/*.[ch])

all: $(PROGS:%=$(BUILD)/bin/%) $(SCRIPTS:cmd/%.sh=$(BUILD)/bin/%)

.SECONDEXPANSION:
$(PROGS:%=$(BUILD)/bin/%): $(BUILD)/bin/%: $(BUILD)/libmx.a \
    $$(addprefix $(BUILD)/,$$(addsuffix .o,$$(basename $$(wildcard cmd/$$*/*.c))))
	@mkdir -p $(@D)
	$(CC) -o $@ $(filter %.o,$^) $(BUILD)/libmx.a $(LDFLAGS) \
	    $$(cat cmd/$*/libs 2>/dev/null) $(LIBS)

$(BUILD)/libmx.a: $(COMMON) $(BUILD)/table_drivers.o $(BUILD)/param_names.o
	@rm -f $@
	ar rcs $@ $^

# The array of table drivers: every common/table_NAME.c that there is.
$(BUILD)/table_drivers.c: $(wildcard common/table_*.c)
	@mkdir -p $(@D)
	@{ echo '#include "table.h"'; \
	   echo 'extern const struct table_driver *const table_drivers[];'; \
	   for d in $(DRIVERS); do echo "extern const struct table_driver $$d;"; done; \
	   echo 'const struct table_driver *const table_drivers[] = {'; \
	   for d in $(DRIVERS); do echo "&$$d,"; done; echo '0 };'; } > $@

# The names of all programs' parameters: every PARAM_ROW there is.  A program
# must not call the others' names unknown.
$(BUILD)/param_names.stamp: $(wildcard cmd/*/*.[ch] common/*.[ch])
	@mkdir -p $(@D)
	@{ echo '#include "param_int.h"'; \
	   echo 'const char *const param_names[] = {'; \
	   for f in $$(grep -l PARAM_ROW cmd/*/*.c common/*.c); do \
	       $(CC) -D_GNU_SOURCE -DMX_PARAM_NAMES -Icommon -E -P $$f || \
	           exit 1; \
	   done | grep -o '@param "[^"]*"' | sed 's/@param \(.*\)/\1,/' | \
	       LC_ALL=C sort -u; echo 'NULL };'; } > $@.new
	@cmp -s $@.new $(BUILD)/param_names.c || \
	    cp $@.new $(BUILD)/param_names.c; mv $@.new $@

$(BUILD)/param_names.c: $(BUILD)/param_names.stamp ;

$(BUILD)/table_drivers.o $(BUILD)/param_names.o: %.o: %.c
	$(CC) $(CFLAGS) -c -o $@ $<

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

.SECONDARY: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/test_*.c))
$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libmx.a
	@mkdir -p $(@D)
	$(CC) -o $@ $< $(BUILD)/libmx.a $(LDFLAGS) $(LIBS)

$(BUILD)/lib/%.so: tests/lib/%.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -O1 -g -Wall -shared -fPIC -o $@ $< -ldl

unit: $(UNIT) ## build the unit tests
shims: $(SHIMS) ## build the preload shims of the tests

check: test-deps ## everything: install what tests need, build, run all tests
	$(MAKE) -j$(J) all unit shims
	MX_BUILD=$(abspath $(BUILD)) tests/run $(T)

check-long: test-deps ## check, and what takes longer than ten minutes
	$(MAKE) -j$(J) all unit shims
	MX_BUILD=$(abspath $(BUILD)) tests/run --long $(T)

asan: test-deps ## check under AddressSanitizer and UndefinedBehaviorSanitizer
	ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
	$(MAKE) BUILD=$(BUILD)/asan check \
	    SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined \
	    -Wno-format-truncation -Wno-maybe-uninitialized" \
	    HARDEN="-O1 -fno-omit-frame-pointer -fPIE"

demo: test-deps ## a whole mail host on loopback ports, one message through it
	$(MAKE) -j$(J) all
	MX_BUILD=$(abspath $(BUILD)) tests/demo

bench: test-deps ## speed beside the peers, in paired runs
	$(MAKE) -j$(J) all
	MX_BUILD=$(abspath $(BUILD)) tests/bench/run $(B)

fuzz: test-deps ## run every fuzzer FUZZ_S seconds (10)
	$(MAKE) -j$(J) all
	MX_BUILD=$(abspath $(BUILD)) FUZZ_S=$${FUZZ_S:-10} tests/fuzz/run $(T)

lint: deps ## clang-format, cppcheck, clang-tidy
	@tests/lint $(SOURCES)

metrics: ## sizes beside the aims
	@tests/metrics

deps: ## the packages that building needs (installs them as root)
	@tests/packages build

test-deps:
	@tests/packages build test

install: all ## DESTDIR= PREFIX=/usr/local SENDMAIL_LINKS=1 (sendmail, mailq, newaliases)
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin sbin share/man \
	    lib/systemd/system lib/sysusers.d lib/tmpfiles.d)
	@set -e; for p in $(PROGS) $(notdir $(SCRIPTS:%.sh=%)); do \
	    d=bin; [ ! -e man/$$p.8 ] || d=sbin; \
	    echo "install $$p -> $(PREFIX)/$$d"; \
	    install -m 755 $(BUILD)/bin/$$p $(DESTDIR)$(PREFIX)/$$d/$$p; \
	done
	@set -e; for m in $(wildcard man/*.[1-8]); do \
	    d=$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}; \
	    install -d $$d; install -m 644 $$m $$d/; \
	done
	@set -e; for u in $(UNITS); do \
	    sed 's,/usr/local/,$(PREFIX)/,g' $$u \
	        > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/}; \
	done
	install -m 644 cmd/mx-deliver/mx.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/mx.conf
	install -m 644 cmd/mx-deliver/mx.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/mx.conf
ifeq ($(SENDMAIL_LINKS),1)
	ln -sf ../bin/mx-submit $(DESTDIR)$(PREFIX)/sbin/sendmail
	ln -sf mx-submit $(DESTDIR)$(PREFIX)/bin/mailq
	ln -sf mx-submit $(DESTDIR)$(PREFIX)/bin/newaliases
endif
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || \
	    { systemd-sysusers $(PREFIX)/lib/sysusers.d/mx.conf && \
	      systemd-tmpfiles --create $(PREFIX)/lib/tmpfiles.d/mx.conf; }

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' Makefile

.PHONY: all unit shims check check-long asan demo bench fuzz lint metrics deps \
        test-deps install clean help
-include $(shell find $(BUILD) -path $(BUILD)/peers -prune -o -name '*.d' -type f -print 2>/dev/null)
