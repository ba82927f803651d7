"""Runs slice-unpack as the supervisor does: by descriptor, in an empty root, in namespaces of its
own with the identity id map 0..65535, with five capabilities, and under a seccomp filter that
allows the system calls of CShims/unpack/syscalls.txt and ends the process at any other."""

import ctypes
import glob
import json
import os
import platform
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", "..", "build")
# SLICE_UNPACK_SANITIZED=1 runs the build with the address and undefined-behaviour sanitizers. It
# is dynamic, so it enters its root by itself (enter_root.c), without namespaces.
SANITIZED = os.environ.get("SLICE_UNPACK_SANITIZED") == "1"
PROGRAM = os.environ.get("SLICE_UNPACK") or os.path.join(
    BUILD, "slice-unpack-sanitized" if SANITIZED else "slice-unpack")

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x8000000, 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 22, 24, 38
SECCOMP_MODE_FILTER = 2
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[platform.machine()]
# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETFCAP: linux/capability.h
KEPT_CAPABILITIES = {0, 1, 3, 4, 31}
SANITIZER_STATUS = 99
TIME_LIMIT_S = 120

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "set-up of the sandbox")


def allowed_calls():
    """The numbers of the calls that syscalls.txt names and this machine has."""
    numbers = {}
    for header in glob.glob("/usr/include/*-linux-gnu/asm/unistd_64.h") + [
            "/usr/include/asm-generic/unistd.h"]:
        if not numbers and os.path.exists(header):
            with open(header) as text:
                numbers = dict(re.findall(r"#define __NR3?2?6?4?_(\w+)\s+(\d+)", text.read()))
    with open(os.path.join(HERE, "..", "..", "CShims", "unpack", "syscalls.txt")) as text:
        names = [name for line in text for name in line.split("#")[0].split()]
    return sorted(int(numbers[name]) for name in [*names, "execveat"] if name in numbers)


def filter_program(calls):
    """A classic BPF program (struct sock_filter: code, jt, jf, k)."""
    load, equal, give, kill, allow = 0x20, 0x15, 0x06, 0x80000000, 0x7FFF0000
    program = [(load, 0, 0, 4), (equal, 1, 0, AUDIT_ARCH), (give, 0, 0, kill), (load, 0, 0, 0)]
    for number in calls:
        program += [(equal, 0, 1, number), (give, 0, 0, allow)]
    program.append((give, 0, 0, kill))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


FILTER = filter_program(allowed_calls())


def install_filter():
    code = ctypes.create_string_buffer(FILTER, len(FILTER))
    program = struct.pack("HxxxxxxP", len(FILTER) // 8, ctypes.addressof(code))
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0))


@dataclass
class Outcome:
    status: int
    lines: list
    stderr: str

    @property
    def result(self):
        return self.lines[-1].get("result") if self.lines else None

    @property
    def error(self):
        return self.lines[-1].get("error") if self.lines else None


class Staging:
    """A staging directory; use as a context."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="slice-unpack-")
        return self

    def __exit__(self, *_):
        self.clear()
        os.rmdir(self.path)

    def clear(self):
        # Not shutil.rmtree: a tree may be deeper than it can go.
        for name in os.listdir(self.path):
            subprocess.run(["rm", "-rf", os.path.join(self.path, name)], check=True)

    def at(self, name=""):
        return os.path.join(self.path, "tree", name).rstrip("/")

    def read(self, name):
        with open(self.at(name), "rb") as file:
            return file.read()

    def names(self, name=""):
        return sorted(os.listdir(self.at(name)))


def become_contained(root, to_parent, from_parent):
    check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET))
    os.write(to_parent, b"x")
    os.read(from_parent, 1)
    os.chroot(root)
    os.chdir("/")
    for capability in range(64):
        if capability not in KEPT_CAPABILITIES:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def execute(root, arguments, program, stdin, progress, stderr, to_parent, from_parent):
    """Runs in the child; never returns."""
    try:
        os.dup2(stdin, 0)
        os.dup2(stderr, 1)
        os.dup2(stderr, 2)
        os.set_inheritable(progress, True)
        resource.setrlimit(resource.RLIMIT_CPU, (TIME_LIMIT_S, TIME_LIMIT_S))
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
        environment = {}
        if SANITIZED:
            environment = {
                "SLICE_UNPACK_ROOT": root,
                # The process ends without giving memory back, on purpose.
                "ASAN_OPTIONS": f"detect_leaks=0:exitcode={SANITIZER_STATUS}",
                "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={SANITIZER_STATUS}",
            }
            os.write(to_parent, b"x")
        else:
            become_contained(root, to_parent, from_parent)
        argv = ["slice-unpack", *arguments, "--progress", str(progress)]
        if not SANITIZED:
            install_filter()
        os.execve(program, argv, environment)
    except BaseException as error:
        os.write(2, f"{error}\n".encode())
    os._exit(97)


def map_ids(pid):
    if not SANITIZED:
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{name}", "w") as file:
                file.write("0 0 65536\n")


def run(root, arguments, archive):
    """Runs `slice-unpack ARGUMENTS --progress FD` in `root`; `archive` is a file or bytes."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as progress, \
            tempfile.TemporaryFile() as stderr, open(PROGRAM, "rb") as program:
        source = stdin
        if isinstance(archive, bytes):
            stdin.write(archive)
            stdin.seek(0)
        else:
            source = archive
        ready, to_parent = os.pipe()
        from_parent, go = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            execute(root, arguments, program.fileno(), source.fileno(), progress.fileno(),
                    stderr.fileno(), to_parent, from_parent)
        os.close(to_parent)
        if os.read(ready, 1):
            map_ids(pid)
        os.write(go, b"x")
        for fd in (ready, from_parent, go):
            os.close(fd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        progress.seek(0)
        stderr.seek(0)
        lines = [json.loads(line) for line in progress.read().splitlines()]
        return Outcome(status, lines, stderr.read().decode(errors="replace"))


def describe_status(status):
    return signal.Signals(-status).name if status < 0 else str(status)
