# Fuzzing; included by the Makefile. Tests/Fuzz/run says what is fuzzed.

FUZZ_SECONDS ?= 60
FUZZ_OUT     := build/fuzz
# Clang, libFuzzer and the sanitizers come with Swift.
FUZZ_CLANG   = $(dir $(realpath $(shell command -v swift)))clang
FUZZ_FLAGS   := -g -O1 -std=gnu11 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
  -fuse-ld=lld -Wno-unused-command-line-argument -ICShims/protocol
FUZZ_C       := $(addprefix $(FUZZ_OUT)/,toml archive broker requests netlink verdicts)
# Coverage as libFuzzer counts it, which swiftc does not ask for by itself; and the linker must keep the
# counters, to which nothing refers.
FUZZ_SWIFT   := SLICES_FUZZ=1 swift build -c release --scratch-path $(FUZZ_OUT)/swift --product text \
  -Xswiftc -enable-testing -Xswiftc -sanitize=fuzzer,address \
  -Xswiftc -Xllvm -Xswiftc -sanitizer-coverage-inline-8bit-counters=1 \
  -Xswiftc -Xllvm -Xswiftc -sanitizer-coverage-pc-table=1 \
  -Xswiftc -use-ld=lld -Xlinker -z -Xlinker nostart-stop-gc

## make fuzz: feeds every parser with what nobody wrote, FUZZ_SECONDS (60) each; FUZZ names some
.PHONY: fuzz fuzz-replay fuzz-text
fuzz: $(FUZZ_C) fuzz-text
	@FUZZ_SECONDS=$(FUZZ_SECONDS) Tests/Fuzz/run $(FUZZ)

# The corpus once, as `make test` does for those in C.
fuzz-replay: $(FUZZ_C)
	@Tests/Fuzz/run --replay toml archive broker requests netlink verdicts

fuzz-text: | deps $(FUZZ_OUT)
	$(FUZZ_SWIFT)
	@cp $(FUZZ_OUT)/swift/release/text $(FUZZ_OUT)/text

$(FUZZ_OUT):
	@mkdir -p $@

$(FUZZ_OUT)/toml: Tests/Fuzz/toml.c $(wildcard CShims/toml/*.cpp CShims/toml/include/*.h) | deps $(FUZZ_OUT)
	$(FUZZ_CLANG) $(FUZZ_FLAGS) -ICShims/toml/include -c Tests/Fuzz/toml.c -o $@.o
	$(FUZZ_CLANG)++ $(subst gnu11,c++17,$(FUZZ_FLAGS)) -DTOML_EXCEPTIONS=0 -ICShims/toml/include \
	  CShims/toml/ctoml.cpp $@.o -o $@

$(FUZZ_OUT)/archive: $(wildcard Tests/Fuzz/a*.[ch] CShims/unpack/*.[ch]) | deps $(FUZZ_OUT)
	$(FUZZ_CLANG) $(FUZZ_FLAGS) -c Tests/Fuzz/arena.c -o $@-arena.o
	$(FUZZ_CLANG) $(FUZZ_FLAGS) -D_GNU_SOURCE -Wno-macro-redefined -ITests/Fuzz -ICShims/unpack \
	  -include Tests/Fuzz/arena_names.h Tests/Fuzz/archive.c \
	  $(filter-out %/main.c %/report.c,$(wildcard CShims/unpack/*.c)) $@-arena.o \
	  -Wl,--wrap=archive_read_new,--wrap=archive_read_free \
	  -Wl,--wrap=nettle_sha256_init,--wrap=nettle_sha256_update,--wrap=nettle_sha256_digest -larchive -lnettle -ljansson -o $@

$(FUZZ_OUT)/broker: Tests/Fuzz/broker.c $(wildcard CShims/broker/*.[ch] CShims/protocol/*.h) | deps $(FUZZ_OUT)
	$(FUZZ_CLANG) $(FUZZ_FLAGS) Tests/Fuzz/broker.c \
	  $(addprefix CShims/broker/,control.c grants.c filter.c requests.c rings.c xdp.c) -o $@

$(FUZZ_OUT)/requests: Tests/Fuzz/requests.c $(wildcard CShims/broker/*.[ch] CShims/protocol/*.h) | deps $(FUZZ_OUT)
	$(FUZZ_CLANG) $(FUZZ_FLAGS) Tests/Fuzz/requests.c \
	  $(addprefix CShims/broker/,serve.c control.c grants.c filter.c target.c xdp.c) \
	  -Wl,--wrap=ioctl,--wrap=process_vm_readv -o $@

# Programs for the kernel, compiled for this process: what they call is in kernel.c. Packets are read where they lie.
FUZZ_KERNEL := -ITests/Fuzz/kernel
$(FUZZ_OUT)/verdicts: Tests/Fuzz/verdicts.c $(wildcard Tests/Fuzz/kernel.[ch] Tests/Fuzz/judge.[ch] \
  Tests/Fuzz/kernel/bpf/*.h CShims/classifier/*.[ch] CShims/raw/*.c CShims/protocol/*.h) | deps $(FUZZ_OUT)
	for one in classifier/classifier classifier/overlay raw/raw; do \
	  $(FUZZ_CLANG) $(FUZZ_FLAGS) $(FUZZ_KERNEL) -fno-sanitize=alignment -DLICENSE="license_$${one##*/}" \
	    -c CShims/$$one.bpf.c -o $@-$${one##*/}.o || exit 1; done
	$(FUZZ_CLANG) $(FUZZ_FLAGS) $(FUZZ_KERNEL) $(addprefix Tests/Fuzz/,verdicts.c kernel.c judge.c) \
	  $@-classifier.o $@-overlay.o $@-raw.o -o $@

$(FUZZ_OUT)/netlink: Tests/Fuzz/netlink.c $(wildcard CShims/netlink/*.[ch] CShims/netlink/include/*.h) | deps $(FUZZ_OUT)
	$(FUZZ_CLANG) $(FUZZ_FLAGS) -ICShims/netlink/include -I/usr/include/libnl3 Tests/Fuzz/netlink.c \
	  $(wildcard CShims/netlink/*.c) -Wl,--wrap=sendmsg,--wrap=recvmsg -lnl-3 -o $@
