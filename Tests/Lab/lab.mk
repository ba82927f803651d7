# The lab's targets; included by the Makefile. What they do: Docs/lab.md.

# Debian packages: to run the lab on User-Mode Linux and to build its kernel; to run it on QEMU.
LAB_PACKAGES := bc bison busybox-static debian-archive-keyring e2fsprogs flex gcc iproute2 libc6-dev make util-linux xz-utils
LAB_QEMU_PACKAGES := busybox-static cpio debian-archive-keyring e2fsprogs iproute2 qemu-system-common qemu-system-x86 util-linux

.PHONY: lab lab-kernel lab-selftest

# The text of CMD goes to the shell of the lab as it stands, without make's own expansion.
unexport CMD
export LAB_COMMAND := $(value CMD)

## make lab [CMD=...]: runs the shell command CMD in the lab, or gives a shell
lab: build/lab/make-lab.so
	$(if $(findstring n,$(firstword -$(MAKEFLAGS))),,$(eval -load $<(make_lab_setup))$(run-lab Tests/Lab/run))@Tests/Lab/run "$$LAB_COMMAND"

# See make-lab.c; where it can't be built, `make lab` works, with make's statuses.
build/lab/make-lab.so: Tests/Lab/make-lab.c
	@mkdir -p $(@D)
	@$(CC) -std=c11 -D_POSIX_C_SOURCE=200809L -O1 -Wall -Wextra -fPIC -shared -o $@ $< || touch $@

## make lab-kernel: builds the lab's kernel if it is not there (minutes, once)
lab-kernel:
	@Tests/Lab/kernel --full >/dev/null

lab-selftest:
	@Tests/Lab/selftest
