# The slice runtime. `make help` lists the targets; Docs/ explains them.
SHELL := /bin/bash
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

PREFIX  ?= /usr/local
DESTDIR ?=
BIN     := build/bin

# ---- what has to be installed (Debian) -------------------------------------------------------

BUILD_PACKAGES := gcc g++ make musl-tools libc6-dev linux-libc-dev libseccomp-dev libcap-dev \
  libnl-3-dev libarchive-dev nettle-dev libjansson-dev zlib1g-dev liblzma-dev libzstd-dev \
  libbz2-dev libacl1-dev liblz4-dev libtomlplusplus-dev busybox-static

include Tests/Lab/lab.mk
include Tests/tests.mk

# Installs what is missing of the packages $(1); asks for root only then.
define install_packages
@missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || echo $$p; done); \
if [ -n "$$missing" ]; then echo "installing" $$missing >&2; Tests/install-packages $$missing; fi
endef

.PHONY: deps
deps:
	$(call install_packages,$(BUILD_PACKAGES))

# ---- building --------------------------------------------------------------------------------

# Fully static and position-independent: three to five times faster to start than dynamic
# (Docs/design.md). Without --disable-local-rpath such a binary faults before main.
SWIFT_RELEASE := swift build -c release --disable-local-rpath -Xswiftc -static-executable \
  -Xswiftc -use-ld=lld -Xswiftc -Xclang-linker -Xswiftc -static-pie -Xlinker -s

.PHONY: build swift-build
build: deps $(BIN)/slice-init $(BIN)/slice-unpack $(BIN)/busybox swift-build

swift-build: | $(BIN)
	$(SWIFT_RELEASE) --product slicectl
	$(SWIFT_RELEASE) --product sliced
	@install -m 755 .build/release/slicectl .build/release/sliced $(BIN)/

$(BIN):
	@mkdir -p $@

# 0711: whoever executes it cannot read it, so the kernel keeps the process from being traced by
# the slice that it is PID 1 of.
INIT_SOURCES := $(wildcard CShims/init/*.c)
MUSL := /usr/lib/$(shell uname -m)-linux-musl
$(BIN)/slice-init: $(INIT_SOURCES) $(wildcard CShims/init/*.h CShims/protocol/*.h) | deps $(BIN)
	musl-gcc -std=gnu11 -Os -fPIE -Wall -Wextra -Werror -Wshadow -Wconversion \
	  -Wno-sign-conversion -fstack-protector-strong -fno-asynchronous-unwind-tables \
	  -ffunction-sections -fdata-sections -ICShims/protocol -static -nostartfiles \
	  -Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now,-z,noexecstack,--gc-sections,-s \
	  $(MUSL)/rcrt1.o $(MUSL)/crti.o $(INIT_SOURCES) $(MUSL)/crtn.o -o $@
	@chmod 711 $@

$(BIN)/slice-unpack: $(wildcard CShims/unpack/*.c CShims/unpack/*.h) | deps $(BIN)
	cc -std=gnu11 -Wall -Wextra -Werror -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE \
	  -o $@ $(wildcard CShims/unpack/*.c) -static-pie -Wl,-z,relro,-z,now -s \
	  -larchive -lz -llzma -lzstd -lbz2 -lnettle -ljansson

$(BIN)/busybox: | deps $(BIN)
	@install -m 755 /bin/busybox $@

.PHONY: clean
clean:
	rm -rf build .build
