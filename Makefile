# The slice runtime. `make help` lists the targets; Docs/ explains them.
SHELL := /bin/bash
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

PREFIX  ?= /usr/local
DESTDIR ?=
BIN     := build/bin
LIB     := build/lib

## make help: this list
.PHONY: help
help:
	@sed -n 's/^## make //p' $(MAKEFILE_LIST) | awk -F ': ' '{ printf "make %-27s %s\n", $$1, $$2 }'

# ---- what has to be installed (Debian) -------------------------------------------------------

BUILD_PACKAGES := gcc g++ make musl-tools libc6-dev linux-libc-dev libseccomp-dev libcap-dev \
  libnl-3-dev libarchive-dev nettle-dev libjansson-dev zlib1g-dev liblzma-dev libzstd-dev \
  libbz2-dev libacl1-dev liblz4-dev libtomlplusplus-dev libbpf-dev libelf-dev busybox-static
DEMO_PACKAGES := curl python3 iproute2
LINT_PACKAGES := mandoc

include Tests/Lab/lab.mk
include Tests/tests.mk
include Tests/Fuzz/fuzz.mk
include Tests/Conformance/others.mk

# Installs what is missing of the packages $(1); asks for root only then.
define install_packages
@missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || echo $$p; done); \
if [ -n "$$missing" ]; then echo "installing" $$missing >&2; Tests/install-packages $$missing; fi
endef

.PHONY: deps swift-there
deps: swift-there
	$(call install_packages,$(BUILD_PACKAGES))

# The only thing that Debian does not have.
swift-there:
	@command -v swift >/dev/null || { echo 'Swift 6.3 is needed, and not on PATH:' \
	  'https://www.swift.org/install/linux has it for Debian 12' >&2; exit 1; }

# ---- building --------------------------------------------------------------------------------

# Fully static and position-independent: three to five times faster to start than dynamic
# (Docs/design.md). Without --disable-local-rpath such a binary faults before main.
SWIFT_RELEASE := swift build -c release --disable-local-rpath -Xswiftc -static-executable \
  -Xswiftc -use-ld=lld -Xswiftc -Xclang-linker -Xswiftc -static-pie -Xlinker -s

## make build: release binaries in build/bin, the default
.PHONY: build swift-build
build: deps $(BIN)/slice-init $(BIN)/slice-broker $(BIN)/slice-probe $(BIN)/slice-unpack \
  $(BIN)/slice-capture $(BIN)/slice-traffic \
  $(BIN)/busybox $(BIN)/classifier.bpf.o $(BIN)/overlay.bpf.o $(BIN)/raw.bpf.o $(BIN)/xdp.bpf.o $(LIB)/libsliceraw.a swift-build

swift-build: | deps $(BIN)
	$(SWIFT_RELEASE) --product slicectl
	$(SWIFT_RELEASE) --product sliced
	@install -m 755 .build/release/slicectl .build/release/sliced $(BIN)/

$(BIN):
	@mkdir -p $@

# 0711: whoever executes it cannot read it, so the kernel keeps the process from being traced by
# the slice that it is PID 1 of.
INIT_SOURCES := $(wildcard CShims/init/*.c)
MUSL := /usr/lib/$(shell uname -m)-linux-musl
# The kernel's headers, which musl has none of, come behind its own.
MUSL_CC := musl-gcc -std=gnu11 -Os -fPIE -Wall -Wextra -Werror -Wshadow -Wconversion \
  -Wno-sign-conversion -fstack-protector-strong -fno-asynchronous-unwind-tables \
  -ffunction-sections -fdata-sections -ICShims/protocol -idirafter /usr/include \
  -idirafter /usr/include/$(shell uname -m)-linux-gnu -static -nostartfiles \
  -Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now,-z,noexecstack,--gc-sections,-s
$(BIN)/slice-init: $(INIT_SOURCES) $(wildcard CShims/init/*.h CShims/protocol/*.h) | deps $(BIN)
	$(MUSL_CC) $(MUSL)/rcrt1.o $(MUSL)/crti.o $(INIT_SOURCES) $(MUSL)/crtn.o -o $@
	@chmod 711 $@

# Executed in slices by descriptor, as slice-init.
CAPTURE_SOURCES := $(wildcard CShims/capture/*.c)
$(BIN)/slice-capture: $(CAPTURE_SOURCES) $(wildcard CShims/capture/*.h) | deps $(BIN)
	$(MUSL_CC) $(MUSL)/rcrt1.o $(MUSL)/crti.o $(CAPTURE_SOURCES) $(MUSL)/crtn.o -o $@
	@chmod 711 $@

TRAFFIC_SOURCES := $(wildcard CShims/traffic/*.c)
$(BIN)/slice-traffic: $(TRAFFIC_SOURCES) $(wildcard CShims/traffic/*.h) | deps $(BIN)
	$(MUSL_CC) -D_GNU_SOURCE $(MUSL)/rcrt1.o $(MUSL)/crti.o $(TRAFFIC_SOURCES) $(MUSL)/crtn.o -o $@
	@chmod 711 $@

BROKER_SOURCES := $(wildcard CShims/broker/*.c)
$(BIN)/slice-broker: $(BROKER_SOURCES) $(wildcard CShims/broker/*.h CShims/protocol/*.h) | deps $(BIN)
	$(MUSL_CC) $(MUSL)/rcrt1.o $(MUSL)/crti.o $(BROKER_SOURCES) $(MUSL)/crtn.o -o $@
	@chmod 711 $@

# For programs in slices: of musl or glibc, since it needs nothing that these have differently.
SLICERAW_SOURCES := $(wildcard CShims/sliceraw/*.c)
$(LIB)/libsliceraw.a: $(SLICERAW_SOURCES) $(wildcard CShims/sliceraw/*.h CShims/sliceraw/include/*.h) \
  CShims/protocol/slice_request.h | deps
	@mkdir -p $(LIB)/sliceraw
	@cd $(LIB)/sliceraw && rm -f *.o && gcc -std=gnu11 -O2 -fPIC -Wall -Wextra -Werror -Wshadow -c \
	  -I../../../CShims/sliceraw/include $(addprefix ../../../,$(SLICERAW_SOURCES))
	@rm -f $@
	ar rcs $@ $(LIB)/sliceraw/*.o

# The attacks of the conformance suite: static, so that it runs in any image.
PROBE_SOURCES := $(wildcard CShims/probe/*.c)
$(BIN)/slice-probe: $(PROBE_SOURCES) $(wildcard CShims/probe/*.h) | deps $(BIN)
	musl-gcc -D_GNU_SOURCE -std=gnu11 -Os -fPIE -Wall -Wextra -Werror -Wshadow \
	  -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -static -nostartfiles \
	  -Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now,-z,noexecstack,--gc-sections,-s \
	  $(MUSL)/rcrt1.o $(MUSL)/crti.o $(PROBE_SOURCES) $(MUSL)/crtn.o -o $@

$(BIN)/slice-unpack: $(wildcard CShims/unpack/*.c CShims/unpack/*.h) CShims/unpack/Makefile | deps $(BIN)
	@$(MAKE) --no-print-directory -C CShims/unpack OUT=../../$(BIN)

$(BIN)/busybox: | deps $(BIN)
	@install -m 755 /bin/busybox $@

# Clang with its bpf target comes with Swift. Instructions of version 3, which Linux 6.1 knows, and
# type information (-g), from which libbpf takes the maps.
BPF_CLANG = $(dir $(realpath $(shell command -v swift)))clang
BPF_FLAGS := --target=bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror \
  -idirafter /usr/include/$(shell uname -m)-linux-gnu
$(BIN)/classifier.bpf.o: CShims/classifier/classifier.bpf.c $(wildcard CShims/classifier/*.h) \
  CShims/protocol/slice_raw.h | deps $(BIN)
	$(BPF_CLANG) $(BPF_FLAGS) -ffreestanding -c $< -o $@

$(BIN)/overlay.bpf.o: CShims/classifier/overlay.bpf.c $(wildcard CShims/classifier/*.h) | deps $(BIN)
	$(BPF_CLANG) $(BPF_FLAGS) -c $< -o $@

$(BIN)/raw.bpf.o $(BIN)/xdp.bpf.o: $(BIN)/%.bpf.o: CShims/raw/%.bpf.c CShims/raw/granted.h \
  CShims/classifier/packet.h CShims/protocol/slice_raw.h | deps $(BIN)
	$(BPF_CLANG) $(BPF_FLAGS) -ffreestanding -c $< -o $@

## make clean: removes everything built
.PHONY: clean
clean:
	rm -rf build .build

# ---- trying it -------------------------------------------------------------------------------

## make demo: builds, then shows the main job, in the lab where this host cannot enforce limits
.PHONY: demo
demo: build
	$(call install_packages,$(DEMO_PACKAGES) $(LAB_PACKAGES))
	@exec Tests/Demo/demo

## make doctor: what this host can and cannot enforce
.PHONY: doctor
doctor: build
	@$(BIN)/slicectl doctor

# ---- checking --------------------------------------------------------------------------------

## make lint: format of the Swift sources, warnings of the C sources, manual pages, scripts
.PHONY: lint
LINTED_C := $(filter-out CShims/init/% CShims/broker/% CShims/capture/% CShims/traffic/% CShims/probe/% CShims/unpack/% %.bpf.c,\
  $(wildcard CShims/*/*.c))
lint: deps
	$(call install_packages,$(LINT_PACKAGES))
	swift format lint --strict --recursive Package.swift Sources Tests
	@# The programs are built with these warnings, SwiftPM's targets are not.
	@for file in $(LINTED_C); do \
	  gcc -std=gnu11 -fsyntax-only -Wall -Wextra -Werror -I/usr/include/libnl3 \
	    -I$${file%/*}/include -ICShims/protocol $$file || exit 1; done
	mandoc -T lint -W warning Docs/man/*.[1-8]
	@for file in .ci/run Tests/install-packages Tests/Demo/* Tests/Conformance/run \
	  $(filter-out %.sh,$(wildcard Tests/Conformance/runtimes/*)) Tests/Lab/{run,init,kernel} Tests/Fuzz/run; do \
	  bash -n $$file || exit 1; done

## make format: formats the Swift sources
.PHONY: format
format: swift-there
	swift format --in-place --recursive Package.swift Sources Tests

## make conformance: attacks slices, on this host if it can enforce limits, else in the lab
.PHONY: conformance
conformance: build
	$(call install_packages,$(LAB_PACKAGES))
	@exec Tests/Conformance/run $(CONFORMANCE)

# ---- installing ------------------------------------------------------------------------------

# Where each file goes, below PREFIX: where Debian's systemd, man and shells search /usr/local.
LIBRARY         := lib/slices
UNITS           := lib/systemd/system
BASH_COMPLETION := share/bash-completion/completions/slicectl
ZSH_COMPLETION  := share/zsh/site-functions/_slicectl
FISH_COMPLETION := share/fish/vendor_completions.d/slicectl.fish
EXAMPLES        := share/doc/slices
INSTALLED := bin/slicectl sbin/sliced $(LIBRARY)/slice-init $(LIBRARY)/slice-broker \
  $(LIBRARY)/slice-capture $(LIBRARY)/slice-traffic $(LIBRARY)/overlay.bpf.o \
  $(LIBRARY)/slice-probe $(LIBRARY)/slice-unpack $(LIBRARY)/busybox $(LIBRARY)/classifier.bpf.o \
  $(LIBRARY)/raw.bpf.o $(LIBRARY)/xdp.bpf.o $(UNITS)/sliced.service $(UNITS)/slices.service $(BASH_COMPLETION) \
  $(ZSH_COMPLETION) $(FISH_COMPLETION) $(EXAMPLES)/node.toml \
  lib/libsliceraw.a include/sliceraw.h \
  $(foreach page,$(notdir $(wildcard Docs/man/*)),share/man/man$(subst .,,$(suffix $(page)))/$(page))
to = $(DESTDIR)$(PREFIX)/$(1)

# What `make build` has made is installed as it is, so that root needs no compiler.
## make install: programs, units, manual pages, completions, below DESTDIR and PREFIX (/usr/local)
.PHONY: install
install: $(if $(wildcard $(BIN)/sliced),,build)
	install -D -m 755 $(BIN)/slicectl $(call to,bin/slicectl)
	install -D -m 755 $(BIN)/sliced $(call to,sbin/sliced)
	install -D -m 755 -t $(call to,$(LIBRARY)) $(BIN)/slice-probe $(BIN)/slice-unpack $(BIN)/busybox
	install -m 711 $(BIN)/slice-init $(BIN)/slice-broker $(BIN)/slice-capture $(BIN)/slice-traffic \
	  $(call to,$(LIBRARY)/)
	install -m 644 $(BIN)/classifier.bpf.o $(BIN)/overlay.bpf.o $(BIN)/raw.bpf.o \
	  $(BIN)/xdp.bpf.o $(call to,$(LIBRARY)/)
	install -D -m 644 -t $(call to,lib) $(LIB)/libsliceraw.a
	install -D -m 644 -t $(call to,include) CShims/sliceraw/include/sliceraw.h
	install -D -m 644 -t $(call to,$(UNITS)) Docs/examples/sliced.service Docs/examples/slices.service
	sed -i 's,/usr/local/sbin/,$(PREFIX)/sbin/,' $(call to,$(UNITS)/sliced.service)
	install -D -m 644 -t $(call to,$(EXAMPLES)) Docs/examples/node.toml
	$(foreach page,$(wildcard Docs/man/*),install -D -m 644 -t \
	  $(call to,share/man/man$(subst .,,$(suffix $(page)))) $(page) &&) true
	install -d $(call to,$(dir $(BASH_COMPLETION))) $(call to,$(dir $(ZSH_COMPLETION))) \
	  $(call to,$(dir $(FISH_COMPLETION)))
	$(BIN)/slicectl --generate-completion-script bash >$(call to,$(BASH_COMPLETION))
	$(BIN)/slicectl --generate-completion-script zsh >$(call to,$(ZSH_COMPLETION))
	$(BIN)/slicectl --generate-completion-script fish >$(call to,$(FISH_COMPLETION))
	$(if $(DESTDIR),,@echo "start it with: systemctl daemon-reload && systemctl enable --now sliced")

## make uninstall: removes what install puts there, and no slice
.PHONY: uninstall
uninstall:
	rm -f $(foreach file,$(INSTALLED),$(call to,$(file)))
	@rmdir --ignore-fail-on-non-empty $(call to,$(LIBRARY)) $(call to,$(EXAMPLES)) 2>/dev/null || true
