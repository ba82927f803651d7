# The tests; included by the Makefile. What is tested where: Tests/run-tests.

TEST_PACKAGES := bind9-dnsutils bird2 curl debootstrap dnsmasq-base e2fsprogs gcc hping3 iperf3 iproute2 \
  iputils-arping iputils-ping iputils-tracepath less libc6-dev libxml2-utils mtr-tiny nftables \
  nginx-light nmap openvpn openssh-client openssh-server procps prometheus python3 python3-scapy \
  python3-venv redis-server redis-tools skopeo strace tcpdump traceroute tshark umoci \
  util-linux xz-utils zstd

# PyPI's Varlink client speaks to sliced as a program that knows nothing of it.
TEST_PYTHON := build/python/bin/python3
export VARLINK_PYTHON := $(CURDIR)/$(TEST_PYTHON)

.PHONY: test test-fast test-deps test-build

## make test: builds and runs every test, in the lab what this host cannot
test: test-deps build test-build $(TEST_PYTHON)
	@Tests/run-tests

## make test-fast: the tests that need neither root nor the built programs
test-fast: deps test-build
	@Tests/run-tests --fast

test-deps:
	$(call install_packages,$(TEST_PACKAGES) $(LAB_PACKAGES))

test-build: deps
	swift build --build-tests

$(TEST_PYTHON): | test-deps
	@rm -rf build/python
	@/usr/bin/python3 -m venv build/python
	@build/python/bin/pip install --quiet --disable-pip-version-check varlink==31.0.0 || \
	  { rm -rf build/python; exit 1; }

## make bench: what slices cost on this host, beside a bare C program and other runtimes; one table
.PHONY: bench
bench: build
	@Tests/Bench/bench
