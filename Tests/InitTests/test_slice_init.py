#!/usr/bin/python3
"""slice-init as PID 1 of real PID namespaces, with real services.

Needs root. The binary is $SLICE_INIT, else build/bin/slice-init of this checkout.
"""

import ctypes
import errno
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.abspath(__file__)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BINARY = os.environ.get("SLICE_INIT", os.path.join(CHECKOUT, "build/bin/slice-init"))
PYTHON = "/usr/bin/python3"

STARTING, RUNNING, BACKOFF, STOPPING, EXITED = 1, 2, 3, 4, 5
STOP, SIGNAL, POLICY = 1, 2, 3
SETUP, USER, GROUP, IDENTITY, WORKDIR, TERMINAL, FORK, EXEC = range(16, 24)

ID_BASE = 300000  # of the slice's ids on the host
STATUS_FORMAT = "=IIiIiiQQQQ"
STATUS_FIELDS = ("version state pid restarts exit_code exit_signal started_at exited_at "
                 "dropped next_start_at").split()

PASSWD = """root:x:0:0:root:/root:/bin/sh
# a comment, and lines that are none

:::
short:x:1
web:x:1001:1002:Web,,,:/srv/web:/bin/bash
nohome:x:1003:1003::relative:
large:x:70000:70000::/:/bin/sh
wrap:x:4294967296:0::/:/bin/sh
negative:x:-1:0::/:/bin/sh
hex:x:0x10:0::/:/bin/sh
1001x:x:0:0::/:/bin/sh
0x0:x:0:0::/:/bin/sh
machine$:x:1004:1004::/:/bin/sh
web:x:0:0:a second web:/:/bin/sh
last:x:1005:1005::/tmp:/bin/sh"""

GROUP_FILE = """root:x:0:
adm:x:4:root,web
staff:x:50:webb,we,web2
disk:x:6:web
disk2:x:6:web
webs:x:1002:
big:x:65536:web
sign:x:+7:web
short:x
ops:x:2000:last,web,root
"""


# --- inside: what the launcher of the project does in C, enough of it for these tests

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source, target, kind, flags, data=None):
    encode = lambda text: None if text is None else text.encode()
    check(libc.mount(encode(source), encode(target), encode(kind), flags, encode(data)))


def become_init(setup, ready, mapped):
    check(libc.unshare(CLONE_NEWNS))
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", 0)
    for path, source in setup["binds"].items():
        mount(source, path, None, MS_BIND)
    if "root" in setup:
        mount("/", setup["root"], None, MS_BIND | MS_REC)
        os.chroot(setup["root"])  # and the working directory stays outside
    if setup["user_namespace"]:
        check(libc.unshare(CLONE_NEWUSER))
        os.write(ready, b"x")
        os.read(mapped, 1)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        os.setgroups([])
    os.close(ready)
    os.close(mapped)
    os.umask(0)
    for number in setup.get("ignored", []):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, setup.get("blocked", []))
    descriptor = os.open(setup["binary"], os.O_PATH | os.O_CLOEXEC)
    arguments = ["slice-init"] + setup["arguments"]
    os.execve(descriptor, arguments, setup["environment"])


def inside(setup):
    """Parent of PID 1: makes the namespaces, writes the id maps, passes the exit status on."""
    check(libc.unshare(CLONE_NEWPID))
    ready, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready[0])
        os.close(mapped[1])
        become_init(setup, ready[1], mapped[0])
    os.close(ready[1])
    if setup["user_namespace"] and os.read(ready[0], 1):
        for name in "uid_map", "gid_map":
            with open(f"/proc/{child}/{name}", "w") as file:
                file.write(f"0 {ID_BASE} 65536")
        os.write(mapped[1], b"x")
    os.closerange(3, 1024)
    status = os.waitpid(child, 0)[1]
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 200)


# --- outside

def read_text(path):
    with open(path) as file:
        return file.read()


def child_of(pid):
    """The one child of a process, once it has it."""
    path = f"/proc/{pid}/task/{pid}/children"
    return int(eventually(lambda: read_text(path).split())[0])


def eventually(condition, timeout=5.0):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("condition not met in time")
        time.sleep(0.01)


class Launch:
    """One slice-init process, seen from its launcher."""

    def __init__(self, arguments, descriptors, directory, environment=None, stdio=None,
                 user_namespace=False, passwd=PASSWD, group=GROUP_FILE, binds=None, **setup):
        report_read, report_write = os.pipe()
        self.report = report_read
        binds = dict(binds or {})
        for name, text in ("passwd", passwd), ("group", group):
            path = os.path.join(directory, name)
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, 0o644)
            binds.setdefault("/etc/" + name, path)
        setup.update(binary=setup.get("binary", BINARY), user_namespace=user_namespace, binds=binds,
                     environment=environment or {},
                     arguments=[arguments[0], "--report", str(report_write)] + arguments[1:])
        self.process = subprocess.Popen(
            [PYTHON, HERE, "--inside", json.dumps(setup)], stdin=(stdio or [subprocess.DEVNULL])[0],
            stdout=stdio[1] if stdio else None, stderr=stdio[2] if stdio else None,
            pass_fds=list(descriptors) + [report_write] + setup.get("leaked", []))
        os.close(report_write)

    def outcome(self, timeout=10):
        """None: executed; else (stage, errno)."""
        ready = select.select([self.report], [], [], timeout)[0]
        assert ready, "no report in time"
        data = os.read(self.report, 64)
        if not data:
            return None
        assert len(data) == 16, data
        stage, _, error, _ = struct.unpack("=IIiI", data)
        return stage, error

    def pid(self):
        """Of PID 1, outside."""
        return child_of(self.process.pid)

    def wait(self, timeout=10):
        return self.process.wait(timeout)

    def close(self):
        if self.process.poll() is None:
            try:
                os.kill(self.pid(), signal.SIGKILL)
            except (AssertionError, FileNotFoundError, ProcessLookupError):
                pass
            self.process.kill()
        self.process.wait()
        os.close(self.report)


class Slice(Launch):
    """slice-init start."""

    def __init__(self, directory, command, restart="no", size=1 << 20, files=3, grace=3000,
                 user=None, workdir=None, log=None, **more):
        self.directory = directory
        self.log = log or os.path.join(directory, "logs")
        os.makedirs(self.log, exist_ok=True)
        if more.get("user_namespace"):
            os.chown(self.log, ID_BASE, ID_BASE)
        self.socket_path = os.path.join(directory, "control")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.socket_path)
        listener.listen(16)
        self.status_path = os.path.join(directory, "status")
        status = os.open(self.status_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        log_descriptor = os.open(self.log, os.O_RDONLY | os.O_DIRECTORY)
        arguments = ["start", "--control", str(listener.fileno()), "--log", str(log_descriptor),
                     "--status", str(status), "--log-size", str(size), "--log-files", str(files),
                     "--restart", restart, "--stop-timeout", str(grace)]
        if user is not None:
            arguments += ["--user", user]
        if workdir is not None:
            arguments += ["--workdir", workdir]
        if command is not None:
            arguments += ["--"] + command
        super().__init__(arguments, [listener.fileno(), log_descriptor, status], directory, **more)
        listener.close()
        os.close(status)
        os.close(log_descriptor)

    def status(self):
        with open(self.status_path, "rb") as file:
            data = file.read()
        if len(data) < struct.calcsize(STATUS_FORMAT):
            return dict.fromkeys(STATUS_FIELDS, 0)
        return dict(zip(STATUS_FIELDS, struct.unpack(STATUS_FORMAT, data)))

    def wait_state(self, state, timeout=10):
        return eventually(lambda: (lambda s: s if s["state"] == state else None)(self.status()),
                          timeout)

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(5)
        client.connect(self.socket_path)
        return client

    def command(self, kind, argument):
        """Sends one command; returns the errno of the answer."""
        with self.connect() as client:
            client.send(struct.pack("=II", kind, argument))
            while True:
                message = client.recv(256)
                if not message:
                    raise AssertionError("connection closed")
                if len(message) == 4:
                    return struct.unpack("=i", message)[0]

    def log_files(self):
        names = [name for name in os.listdir(self.log) if re.fullmatch(r"log(\.\d+)?", name)]
        return sorted(names, key=lambda name: -int(name[4:] or 0))

    def records(self):
        """(stream, tag, text) of everything logged, oldest first."""
        records = []
        ended = self.process.poll() is not None  # else a write or a rotation may be under way
        for name in self.log_files():
            path = os.path.join(self.log, name)
            if os.path.isdir(path):
                continue
            try:
                with open(path, "rb") as file:
                    data = file.read()
            except FileNotFoundError:  # rotated away since the listing
                assert not ended
                continue
            if ended and data:
                assert data.endswith(b"\n"), f"{name} ends inside a record"
            for line in data.split(b"\n")[:-1]:
                match = re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) "
                                     rb"([FP]) (.*)", line, re.DOTALL)
                assert match, line
                records.append((match[1].decode(), match[2].decode(), match[3]))
        return records

    def text(self, stream="stdout"):
        return b"".join(text + (b"\n" if tag == "F" else b"")
                        for name, tag, text in self.records() if name == stream)


def python(program):
    return [PYTHON, "-S", "-c", program]


class InitTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="slice-init-test.")
        os.chmod(self.directory, 0o755)
        self.addCleanup(shutil.rmtree, self.directory)

    def slice(self, command, **more):
        started = Slice(self.directory, command, **more)
        self.addCleanup(started.close)
        return started

    def run_command(self, command, options=(), stdio=None, **more):
        """slice-init run; (outcome, exit status, output)."""
        out_path = os.path.join(self.directory, "out")
        with open(out_path, "wb") as out:
            launch = Launch(["run", *options, "--"] + command, [], self.directory,
                            stdio=stdio or [subprocess.DEVNULL, out, out], **more)
            self.addCleanup(launch.close)
            outcome = launch.outcome()
            status = launch.wait()
        with open(out_path, errors="replace") as file:
            return outcome, status, file.read()

    def ids(self, user, **more):
        """What `user` becomes: uid, gid, supplementary groups, or the outcome."""
        program = ("import os;print(*os.getresuid(),*os.getresgid(),'/',"
                   "*sorted(os.getgroups()))")
        options = ["--user", user] if user is not None else []
        outcome, _, output = self.run_command(python(program), options, **more)
        if outcome:
            return outcome
        ids, groups = output.split("/")
        ids = [int(i) for i in ids.split()]
        self.assertEqual(len(set(ids[:3])), 1)
        self.assertEqual(len(set(ids[3:])), 1)
        return ids[0], ids[3], [int(g) for g in groups.split()]


class Identity(InitTest):
    def test_users_and_groups_of_the_image(self):
        for user, expected in {
            None: (0, 0, [0, 4, 2000]),
            "root": (0, 0, [0, 4, 2000]),
            "0": (0, 0, [0, 4, 2000]),
            "web": (1001, 1002, [4, 6, 1002, 2000]),
            "1001": (1001, 1002, [4, 6, 1002, 2000]),
            "web:staff": (1001, 50, [4, 6, 50, 2000]),
            "web:ops": (1001, 2000, [4, 6, 2000]),
            "web:0": (1001, 0, [0, 4, 6, 2000]),
            "1234": (1234, 0, [0]),
            "65535:65535": (65535, 65535, [65535]),
            "1234:ops": (1234, 2000, [2000]),
            "machine$": (1004, 1004, [1004]),
            "last": (1005, 1005, [1005, 2000]),
        }.items():
            with self.subTest(user=user):
                self.assertEqual(self.ids(user), expected)

    def test_odd_users_are_refused(self):
        for user, expected in {
            "": (USER, errno.EINVAL), "-1": (USER, errno.EINVAL), "+1": (USER, errno.EINVAL),
            " 1": (USER, errno.EINVAL), "1 ": (USER, errno.EINVAL), "0x0": (USER, errno.EINVAL),
            "00": (USER, errno.EINVAL), "4294967296": (USER, errno.EINVAL),
            "4294967295": (USER, errno.EINVAL), "65536": (USER, errno.EINVAL),
            "18446744073709551616": (USER, errno.EINVAL), "1001x": (USER, errno.EINVAL),
            "1e3": (USER, errno.EINVAL), "web\n": (USER, errno.EINVAL),
            "w" * 5000: (USER, errno.EINVAL), ":0": (USER, errno.EINVAL),
            "large": (USER, errno.EINVAL), "wrap": (USER, errno.EINVAL),
            "negative": (USER, errno.EINVAL), "hex": (USER, errno.EINVAL),
            "nobody-here": (USER, errno.ENOENT), "short": (USER, errno.ENOENT),
            "web:": (GROUP, errno.EINVAL), "web:-1": (GROUP, errno.EINVAL),
            "web:65536": (GROUP, errno.EINVAL), "web:4:4": (GROUP, errno.EINVAL),
            "web:nobody": (GROUP, errno.ENOENT), "web:big": (GROUP, errno.EINVAL),
        }.items():
            with self.subTest(user=user):
                self.assertEqual(self.ids(user), expected)

    def test_hostile_files(self):
        long_line = "web:" + "x" * 200000 + ":0:0::/:/bin/sh\n"
        self.assertEqual(self.ids("web", passwd=long_line + "web:x:7:8::/:/bin/sh\n")[:2], (7, 8))
        nul = "web:x\0:0:0::/:/bin/sh\n"
        self.assertEqual(self.ids("web", passwd=nul + "web:x:7:8::/:/bin/sh")[:2], (7, 8))
        self.assertEqual(self.ids("web", passwd="x\n" * (5 << 20)), (USER, errno.EFBIG))
        self.assertEqual(self.ids("web", passwd=""), (USER, errno.ENOENT))
        self.assertEqual(self.ids(None, passwd="", group=""), (0, 0, [0]))
        many = "".join(f"g{i}:x:{i}:web\n" for i in range(1, 1000))
        self.assertEqual(self.ids("web", group=many), (GROUP, errno.E2BIG))
        fifo = os.path.join(self.directory, "fifo")
        os.mkfifo(fifo)
        self.assertEqual(self.ids("web", binds={"/etc/passwd": fifo}), (USER, errno.EINVAL))
        self.assertEqual(self.ids("web", binds={"/etc/group": "/dev/zero"}),
                         (GROUP, errno.EINVAL))

    def test_capabilities(self):
        show = ["/bin/grep", "-E", "^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs)", "/proc/self/status"]
        own = dict(line.split() for line in self.run_command(show)[2].splitlines())
        self.assertEqual((int(own["CapInh:"], 16), int(own["CapAmb:"], 16)), (0, 0))
        self.assertNotEqual(int(own["CapEff:"], 16), 0)
        other = dict(line.split() for line in self.run_command(show, ["--user", "web"])[2]
                     .splitlines())
        for name in "CapInh:", "CapPrm:", "CapEff:", "CapAmb:":
            self.assertEqual(int(other[name], 16), 0, name)

    def test_environment_and_directory(self):
        env = ["/usr/bin/env"]
        output = self.run_command(env, ["--user", "web"])[2]
        variables = dict(line.split("=", 1) for line in output.splitlines())
        self.assertEqual(variables, {
            "HOME": "/srv/web", "USER": "web", "LOGNAME": "web", "SHELL": "/bin/bash",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
        given = {"HOME": "/x", "PATH": "/bin", "USER": "u", "A": "", "LOGNAME": "l", "SHELL": "s"}
        output = self.run_command(env, ["--user", "web"], environment=given)[2]
        self.assertEqual(dict(line.split("=", 1) for line in output.splitlines()), given)
        for options, expected in ((["--user", "web"], "/"), (["--user", "last"], "/tmp"),
                                  (["--user", "nohome"], "/"), (["--workdir", "/usr"], "/usr")):
            with self.subTest(options=options):
                self.assertEqual(self.run_command(["/bin/pwd"], options)[2].strip(), expected)
        for path, error in {"/none": errno.ENOENT, "usr": errno.EINVAL, "": errno.EINVAL,
                            "/etc/passwd": errno.ENOTDIR}.items():
            with self.subTest(path=path):
                outcome, status, _ = self.run_command(["/bin/pwd"], ["--workdir", path])
                self.assertEqual((outcome, status), ((WORKDIR, error), 125))
        os.mkdir(os.path.join(self.directory, "private"), 0o700)
        private = os.path.join(self.directory, "private")
        outcome = self.run_command(["/bin/pwd"], ["--user", "web", "--workdir", private])[0]
        self.assertEqual(outcome, (WORKDIR, errno.EACCES))

    def test_working_directory_through_a_leaked_descriptor(self):
        root = os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, root)
        leaked = fcntl.fcntl(root, fcntl.F_DUPFD, 20)
        self.addCleanup(os.close, leaked)
        outcome = self.run_command(["/bin/pwd"], ["--workdir", f"/proc/self/fd/{leaked}"],
                                   leaked=[leaked])[0]
        self.assertEqual(outcome, (WORKDIR, errno.ENOENT))


    def test_working_directory_outside_the_root(self):
        root = os.path.join(self.directory, "root")
        os.mkdir(root)
        outcome = self.run_command(["/bin/pwd"], ["--workdir", "/proc/self/cwd"], root=root)[0]
        self.assertEqual(outcome, (WORKDIR, errno.ENOENT))
        outcome = self.run_command(["/bin/pwd"], ["--workdir", "/proc/self/root"], root=root)[0]
        self.assertIsNone(outcome)


class Execution(InitTest):
    def write(self, name, text, mode=0o755):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def test_exit_status(self):
        self.assertEqual(self.run_command(["/bin/sh", "-c", "exit 7"])[:2], (None, 7))
        self.assertEqual(self.run_command(["true"])[:2], (None, 0))

    def test_exec_failures(self):
        for command, expected in (
            (["no-such-command"], ((EXEC, errno.ENOENT), 127)),
            (["/no/such/command"], ((EXEC, errno.ENOENT), 127)),
            ([""], ((EXEC, errno.ENOENT), 127)),
            (["/etc"], ((EXEC, errno.EACCES), 126)),
            ([self.write("plain", "true", 0o644)], ((EXEC, errno.EACCES), 126)),
            ([self.write("script", "exit 0\n")], ((EXEC, errno.ENOEXEC), 126)),
            ([self.write("lost", "#!/no/interpreter\n")], ((EXEC, errno.ENOENT), 127)),
            ([self.write("good", "#!/bin/sh\nexit 9\n")], (None, 9)),
        ):
            with self.subTest(command=command):
                self.assertEqual(self.run_command(command)[:2], expected)

    def test_search_path(self):
        os.mkdir(os.path.join(self.directory, "a"))
        os.mkdir(os.path.join(self.directory, "b"))
        self.write("a/tool", "", 0o644)
        path = {"PATH": f"/nowhere:{self.directory}/a:{self.directory}/b"}
        self.assertEqual(self.run_command(["tool"], environment=path)[:2],
                         ((EXEC, errno.EACCES), 126))
        self.write("b/tool", "#!/bin/sh\nexit 4\n")
        self.assertEqual(self.run_command(["tool"], environment=path)[:2], (None, 4))
        self.assertEqual(self.run_command(["tool"], ["--workdir", f"{self.directory}/b"],
                                          environment={"PATH": "/nowhere:"})[:2], (None, 4))

    def test_start_tells_exec_failure_and_never_restarts_it(self):
        started = self.slice(["no-such-command"], restart="always")
        self.assertEqual(started.outcome(), (EXEC, errno.ENOENT))
        self.assertEqual(started.wait(), 127)
        status = started.status()
        self.assertEqual((status["state"], status["exit_code"], status["restarts"]),
                         (EXITED, 127, 0))

    def test_start_tells_user_failure(self):
        started = self.slice(["true"], user="nobody-here")
        self.assertEqual(started.outcome(), (USER, errno.ENOENT))
        self.assertEqual(started.wait(), 125)

    def test_arguments_fail_closed(self):
        for arguments in (["run", "--what", "--", "true"], ["run", "--user"], ["run", "--"],
                          ["run"], ["dance"], ["run", "--user", "0", "--user", "0", "--", "true"],
                          ["run", "--restart", "no", "--", "true"], ["run", "true"],
                          ["start", "--", "true"]):
            with self.subTest(arguments=arguments):
                launch = Launch(arguments, [], self.directory)
                self.addCleanup(launch.close)
                self.assertEqual(launch.outcome(), (SETUP, errno.EINVAL))
                self.assertEqual(launch.wait(), 125)
        for more in {"size": 100}, {"files": 0}, {"files": 101}, {"restart": "maybe"}, \
                {"grace": -1}, {"grace": "0x10"}:
            with self.subTest(more=more):
                shutil.rmtree(self.directory)
                os.mkdir(self.directory)
                self.assertEqual(self.slice(["true"], **more).outcome(), (SETUP, errno.EINVAL))

    def test_refuses_to_be_anything_but_the_first_process(self):
        read, write = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        options = [word for name in ("control", "log", "status")
                   for word in (f"--{name}", str(null))]
        result = subprocess.run(
            [BINARY, "start", "--report", str(write), *options, "--log-size", "100000",
             "--log-files", "2", "--restart", "no", "--stop-timeout", "0", "--", "true"],
            pass_fds=[write, null])
        os.close(write)
        os.close(null)
        self.assertEqual(struct.unpack("=IIiI", os.read(read, 16))[::2], (SETUP, errno.EPERM))
        os.close(read)
        self.assertEqual(result.returncode, 125)

    def test_nothing_leaks_into_the_command(self):
        # The directory's own descriptor is closed again when the names are looked at.
        program = ("import os;d='/proc/self/fd/';"
                   "print(sorted(int(n) for n in os.listdir(d) if os.path.lexists(d+n)));"
                   "print(open('/proc/self/status').read());print(os.getsid(0)==os.getpid());"
                   "print(oct(os.umask(0)))")
        leaked = [os.open("/", os.O_RDONLY) for _ in range(40)]
        state = {"leaked": leaked, "ignored": [1, 2, 15, 17, 30],
                 "blocked": [10, 12, 15, 40, 64]}
        try:
            output = self.run_command(python(program), **state)[2]
            started = self.slice(python(program), **state)
            self.assertIsNone(started.outcome())
            started.wait()
        finally:
            for descriptor in leaked:
                os.close(descriptor)
        for text in output, started.text().decode():
            self.assertIn("[0, 1, 2]\n", text)
            self.assertIn("SigBlk:\t0000000000000000", text)
            # Python itself ignores SIGPIPE and SIGXFSZ.
            self.assertIn("SigIgn:\t0000000001001000", text)
            self.assertTrue(text.endswith("True\n0o22\n"), text)

    def test_standard_descriptors_are_open(self):
        program = "import os,sys;[os.fstat(i) for i in range(3)];os._exit(3)"
        with open(os.devnull) as null:
            launch = Launch(["run", "--"] + python(program), [], self.directory)
            self.addCleanup(launch.close)
            self.assertIsNone(launch.outcome())
            self.assertEqual(launch.wait(), 3)


class Terminal(InitTest):
    def test_controlling_terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        program = ("import os;f=os.open('/dev/tty',os.O_RDWR);print(os.getsid(0)==os.getpid(),"
                   "os.tcgetpgrp(f)==os.getpid(),os.fstat(0).st_uid)")
        outcome, status, _ = self.run_command(python(program), ["--terminal", "--user", "web"],
                                              stdio=[slave, slave, slave])
        os.close(slave)
        output = os.read(master, 4096)
        self.assertEqual((outcome, status), (None, 0), output)
        self.assertIn(b"True True 1001", output)

    def test_interrupt_key_reaches_the_command(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        launch = Launch(["run", "--terminal", "--", "/bin/sh", "-c", "trap 'exit 42' INT;"
                         "echo ready; while :; do sleep 0.1; done"],
                        [], self.directory, stdio=[slave, slave, slave])
        self.addCleanup(launch.close)
        os.close(slave)
        self.assertIsNone(launch.outcome())
        self.assertIn(b"ready", os.read(master, 100))
        os.write(master, b"\x03")
        self.assertEqual(launch.wait(), 42)

    def test_not_a_terminal(self):
        outcome, status, _ = self.run_command(["true"], ["--terminal"])
        self.assertEqual((outcome, status), ((TERMINAL, errno.ENOTTY), 125))


class Lifecycle(InitTest):
    def test_exits_with_the_service(self):
        started = self.slice(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"])
        self.assertIsNone(started.outcome())
        self.assertEqual(started.wait(), 3)
        status = started.status()
        self.assertEqual((status["version"], status["state"], status["exit_code"],
                          status["exit_signal"], status["pid"]), (1, EXITED, 3, 0, 0))
        self.assertLessEqual(status["started_at"], status["exited_at"])
        self.assertLess(abs(status["exited_at"] / 1e9 - time.time()), 20)
        self.assertEqual(sorted(started.records()),
                         [("stderr", "F", b"err"), ("stdout", "F", b"out")])

    def test_death_by_signal(self):
        started = self.slice(["/bin/sh", "-c", "kill -SEGV $$"])
        self.assertEqual(started.wait(), 128 + signal.SIGSEGV)
        self.assertEqual(started.status()["exit_signal"], signal.SIGSEGV)

    def test_daemon_that_forks_and_leaves_zombies(self):
        program = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for i in range(300):
    if os.fork() == 0:
        if os.fork() == 0: os._exit(1)
        os._exit(0)
for i in range(300): os.wait()
time.sleep(0.3)
zombies = 0
for name in os.listdir('/proc'):
    if name.isdigit() and open('/proc/%s/stat' % name).read().rsplit(')')[1].split()[0] == 'Z':
        zombies += 1
print('zombies', zombies, 'parent', os.getppid(), flush=True)
time.sleep(0.5)
os._exit(6)
"""
        started = self.slice(python(program))
        self.assertIsNone(started.outcome())
        eventually(lambda: started.status()["pid"] == 0 and started.status()["state"] == RUNNING)
        self.assertIsNone(started.process.poll())
        self.assertEqual(started.wait(20), 6)
        self.assertIn(b"zombies 0 parent 1\n", started.text())

    def test_daemon_is_stopped_by_name_of_all(self):
        started = self.slice(["/bin/sh", "-c", "(sleep 100; :) & exit 0"])
        eventually(lambda: started.status()["pid"] == 0 and started.status()["state"] == RUNNING)
        self.assertEqual(started.command(STOP, 5000), 0)
        self.assertEqual(started.wait(3), 128 + signal.SIGTERM)

    def test_failure_takes_the_rest_along(self):
        started = self.slice(["/bin/sh", "-c", "trap '' TERM; sleep 100 & exit 5"])
        self.assertEqual(started.wait(3), 5)

    def test_stop(self):
        started = self.slice(python("import time,signal,sys;"
                                    "signal.signal(15,lambda *a:sys.exit(9));print(flush=True);"
                                    "[time.sleep(0.1) for _ in iter(int,1)]"), restart="always")
        eventually(lambda: started.text())
        self.assertEqual(started.command(STOP, 5000), 0)
        self.assertEqual(started.wait(3), 9)
        self.assertEqual(started.status()["restarts"], 0)

    def test_service_that_ignores_sigterm(self):
        for how in "command", "signal", "second command":
            with self.subTest(how=how):
                shutil.rmtree(self.directory)
                os.mkdir(self.directory)
                started = self.slice(["/bin/sh", "-c", "trap '' TERM; echo; sleep 100 & wait;"
                                      "sleep 100"], grace=400, restart="always")
                eventually(lambda: started.text())
                begin = time.monotonic()
                if how == "signal":
                    os.kill(started.pid(), signal.SIGTERM)
                elif how == "command":
                    self.assertEqual(started.command(STOP, 400), 0)
                else:
                    self.assertEqual(started.command(STOP, 100000), 0)
                    self.assertEqual(started.command(STOP, 400), 0)
                started.wait_state(STOPPING)
                self.assertEqual(started.wait(5), 128 + signal.SIGKILL)
                self.assertGreater(time.monotonic() - begin, 0.35)
                self.assertEqual(started.status()["state"], EXITED)

    def test_stopped_service_can_be_stopped(self):
        started = self.slice(["sleep", "100"])
        started.wait_state(RUNNING)
        self.assertEqual(started.command(SIGNAL, signal.SIGSTOP), 0)
        self.assertEqual(started.command(STOP, 60000), 0)
        self.assertEqual(started.wait(3), 128 + signal.SIGTERM)

    def test_signals_are_forwarded(self):
        numbers = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, 40]
        started = self.slice(python(
            "import signal,time\nfor n in (1,10,12,28,40): "
            "signal.signal(n,lambda s,f:print('got',s,flush=True))\n"
            "print('ready',flush=True)\nwhile 1: time.sleep(1)"))
        eventually(lambda: b"ready" in started.text())
        for number in numbers:
            os.kill(started.pid(), number)
            eventually(lambda: b"got %d\n" % number in started.text())
        self.assertEqual(started.command(SIGNAL, signal.SIGUSR1), 0)
        eventually(lambda: started.text().count(b"got 10\n") == 2)
        for number in 0, 65, 1 << 31:
            self.assertEqual(started.command(SIGNAL, number), errno.EINVAL)
        self.assertEqual(started.command(99, 0), errno.EINVAL)
        self.assertEqual(started.command(POLICY, 3), errno.EINVAL)
        self.assertEqual(started.command(SIGNAL, signal.SIGKILL), 0)
        self.assertEqual(started.wait(3), 128 + signal.SIGKILL)

    def test_restarts_with_back_off(self):
        path = os.path.join(self.directory, "runs")
        started = self.slice(["/bin/sh", "-c", f"date +%s%N >> {path}; exit 1"],
                             restart="on-failure")
        self.assertIsNone(started.outcome())
        eventually(lambda: started.status()["restarts"] >= 4, 10)
        runs = [int(line) / 1e9 for line in read_text(path).split()]
        gaps = [b - a for a, b in zip(runs, runs[1:])]
        for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8)):
            self.assertGreaterEqual(gap, least)
            self.assertLess(gap, least + 0.4)
        status = started.wait_state(BACKOFF)
        self.assertEqual((status["exit_code"], status["pid"]), (1, 0))
        self.assertGreater(status["next_start_at"], status["exited_at"])
        self.assertEqual(started.command(STOP, 1000), 0)
        self.assertEqual(started.wait(1), 1)

    def test_policies(self):
        for policy, code, again in (("no", 1, False), ("on-failure", 0, False),
                                    ("on-failure", 1, True), ("always", 0, True)):
            with self.subTest(policy=policy, code=code):
                shutil.rmtree(self.directory)
                os.mkdir(self.directory)
                started = self.slice(["/bin/sh", "-c", f"exit {code}"], restart=policy)
                if again:
                    eventually(lambda: started.status()["restarts"] > 0)
                    self.assertEqual(started.command(POLICY, 0), 0)
                self.assertEqual(started.wait(3), code)

    def test_exec_failure_of_a_later_run_is_a_failed_run(self):
        path = os.path.join(self.directory, "service")
        with open(path, "w") as file:
            file.write("#!/bin/sh\nrm $0\nexit 1\n")
        os.chmod(path, 0o755)
        started = self.slice([path], restart="on-failure")
        self.assertIsNone(started.outcome())
        eventually(lambda: started.status()["exit_code"] == 127)
        eventually(lambda: started.status()["restarts"] >= 2)

    def test_slice_without_a_command_idles(self):
        started = self.slice(None, grace=500)
        self.assertIsNone(started.outcome())
        status = started.wait_state(RUNNING)
        self.assertEqual(status["pid"], 0)
        self.assertEqual(started.command(SIGNAL, signal.SIGUSR1), errno.ESRCH)
        time.sleep(0.2)
        self.assertIsNone(started.process.poll())
        with started.connect() as client:
            client.send(struct.pack("=II", STOP, 60000))
            self.assertEqual(started.wait(3), 0)

    def test_interrupt_from_outside_stops(self):
        started = self.slice(["sleep", "100"])
        started.wait_state(RUNNING)
        os.kill(started.pid(), signal.SIGINT)
        self.assertEqual(started.wait(3), 128 + signal.SIGTERM)

    def test_in_a_user_namespace(self):
        binary = os.path.join(self.directory, "init")
        shutil.copy(BINARY, binary)
        os.chmod(binary, 0o711)
        program = """
import os
def attempt(what, call):
    try: call(); print(what, 'possible')
    except OSError as error: print(what, error.strerror)
attempt('readlink', lambda: os.readlink('/proc/1/exe'))
attempt('open', lambda: open('/proc/1/exe', 'rb'))
attempt('environ', lambda: open('/proc/1/environ', 'rb').read())
attempt('mem', lambda: open('/proc/1/mem', 'rb'))
attempt('self', lambda: os.readlink('/proc/self/exe'))
print(*os.getresuid(), *os.getgroups())
"""
        started = self.slice(python(program), user_namespace=True, binary=binary)
        self.assertIsNone(started.outcome())
        self.assertEqual(started.wait(), 0)
        lines = started.text().decode().splitlines()
        self.assertEqual(lines, ["readlink Permission denied", "open Permission denied",
                                 "environ Permission denied", "mem Permission denied",
                                 "self possible", "0 0 0 0 4 2000"])
        self.assertEqual(os.stat(os.path.join(started.log, "log")).st_uid, ID_BASE)

    def test_user_may_reopen_its_output(self):
        started = self.slice(["/bin/sh", "-c", "echo again > /dev/stdout; id -u"], user="web",
                             user_namespace=True)
        self.assertEqual(started.wait(), 0, started.records())
        self.assertEqual(started.text(), b"again\n1001\n")


class Control(InitTest):
    def receive(self, client):
        return dict(zip(STATUS_FIELDS, struct.unpack(STATUS_FORMAT, client.recv(256))))

    def test_status_at_connect_and_at_change(self):
        started = self.slice(["sleep", "100"])
        started.wait_state(RUNNING)
        client = started.connect()
        self.assertEqual(self.receive(client)["state"], RUNNING)
        client.send(struct.pack("=II", STOP, 1000))
        self.assertEqual(self.receive(client)["state"], STOPPING)
        self.assertEqual(client.recv(256), b"\0\0\0\0")
        last = self.receive(client)
        self.assertEqual((last["state"], last["exit_signal"]), (EXITED, 15))
        self.assertEqual(client.recv(256), b"")
        client.close()

    def test_odd_messages(self):
        started = self.slice(["sleep", "100"])
        started.wait_state(RUNNING)
        with started.connect() as client:
            client.recv(256)
            for message in b"x", b"x" * 7, b"\1\0\0\0\0\0\0\0x", b"y" * 5000:
                client.send(message)
                self.assertEqual(client.recv(256), struct.pack("=i", errno.EINVAL))
            socket.send_fds(client, [struct.pack("=II", SIGNAL, signal.SIGCONT)], [0, 1, 2])
            self.assertEqual(client.recv(256), b"\0\0\0\0")
            descriptors = os.listdir(f"/proc/{started.pid()}/fd")
            self.assertLess(len(descriptors), 14, descriptors)
        self.assertIsNone(started.process.poll())

    def test_one_client_too_many_is_closed(self):
        started = self.slice(["sleep", "100"])
        started.wait_state(RUNNING)
        clients = [started.connect() for _ in range(4)]
        for client in clients:
            self.assertEqual(self.receive(client)["state"], RUNNING)
        with started.connect() as fifth:
            self.assertEqual(fifth.recv(256), b"")
        clients.pop().close()
        eventually(lambda: self.accepted(started))
        for client in clients:
            client.close()

    def accepted(self, started):
        with started.connect() as client:
            return client.recv(256)

    def test_client_that_does_not_read_is_dropped(self):
        started = self.slice(python("import time\nwhile 1: time.sleep(1)"))
        started.wait_state(RUNNING)
        client = started.connect()
        client.settimeout(0.2)
        sent = 0
        try:
            while sent < 100000:
                client.send(struct.pack("=II", SIGNAL, signal.SIGCONT))
                sent += 1
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.assertLess(sent, 100000)
        begin = time.monotonic()
        self.assertEqual(started.command(STOP, 1000), 0)
        started.wait(3)
        self.assertLess(time.monotonic() - begin, 1)
        client.close()


class Log(InitTest):
    def test_lines_partial_lines_and_bytes(self):
        long_line = b"l" * 10000
        data = b"a\n\n" + bytes(set(range(256)) - {10}) + b"\n" + long_line + b"\n" + b"e" * 4096 \
            + b"\nlast without newline"
        path = os.path.join(self.directory, "data")
        with open(path, "wb") as file:
            file.write(data)
        started = self.slice(["cat", path])
        self.assertEqual(started.wait(), 0)
        self.assertEqual(started.text(), data + b"\n")
        records = started.records()
        self.assertEqual([(tag, len(text)) for _, tag, text in records],
                         [("F", 1), ("F", 0), ("F", 255), ("P", 4096), ("P", 4096), ("F", 1808),
                          ("F", 4096), ("F", 20)])

    def test_prompt_without_newline_appears(self):
        started = self.slice(["/bin/sh", "-c", "printf one; sleep 0.6; printf 'two\\n'; sleep 100"])
        self.assertEqual(eventually(started.records), [("stdout", "P", b"one")])
        eventually(lambda: started.text() == b"onetwo\n")

    def test_end_closes_an_open_line(self):
        started = self.slice(["/bin/sh", "-c", "printf x; sleep 0.5"])
        self.assertEqual(started.wait(), 0)
        self.assertEqual(started.records(), [("stdout", "P", b"x"), ("stdout", "F", b"")])

    def test_both_streams(self):
        started = self.slice(python(
            "import os\nfor i in range(2000): os.write(1,b'o%d\\n'%i);os.write(2,b'e%d\\n'%i)"))
        self.assertEqual(started.wait(), 0)
        for stream, letter in ("stdout", b"o"), ("stderr", b"e"):
            expected = b"".join(letter + b"%d\n" % i for i in range(2000))
            self.assertEqual(started.text(stream), expected)

    def test_prints_100_megabytes(self):
        size, files = 4 << 20, 4
        program = ("import os\nb=b''.join(b'%07d line of the service that prints a lot, and more "
                   "of it\\n'%i for i in range(16384))\nn=100*1024*1024\nw=0\n"
                   "while w<n:\n o=0\n while o<len(b): o+=os.write(1,b[o:o+65536])\n w+=o\n"
                   "os.write(1,b'the end\\n')")
        begin = time.monotonic()
        started = self.slice(python(program), size=size, files=files)
        self.assertEqual(started.wait(60), 0)
        elapsed = time.monotonic() - begin
        sizes = {name: os.path.getsize(os.path.join(started.log, name))
                 for name in started.log_files()}
        self.assertEqual(sorted(sizes), ["log", "log.1", "log.2", "log.3"])
        for name, length in sizes.items():
            self.assertLessEqual(length, size)
            if name != "log":
                self.assertGreater(length, size - 5000)
        records = started.records()
        self.assertEqual(records[-1][2], b"the end")
        numbers = [int(text[:7]) for _, tag, text in records[:-1]]
        for previous, number in zip(numbers, numbers[1:]):
            self.assertEqual(number, (previous + 1) % 16384)
        self.assertEqual(started.status()["dropped"], 0)
        print(f"\n  100 MB in {elapsed:.2f} s", file=sys.stderr)
        self.assertLess(elapsed, 20)

    def test_nothing_is_lost_below_the_bound(self):
        program = ("import os\nfor i in range(200): os.write(1,b''.join(b'%d\\n'%(i*1000+j) "
                   "for j in range(1000)))")
        started = self.slice(python(program), size=1 << 20, files=20)
        self.assertEqual(started.wait(30), 0)
        self.assertEqual(started.text(), b"".join(b"%d\n" % i for i in range(200000)))

    def test_existing_and_foreign_files(self):
        logs = os.path.join(self.directory, "logs")
        os.mkdir(logs)
        old = "2026-01-01T00:00:00.000000000Z stdout F from before\n"
        with open(os.path.join(logs, "log"), "w") as file:
            file.write(old)
        started = self.slice(["echo", "new"])
        self.assertEqual(started.wait(), 0)
        self.assertEqual(started.text(), b"from before\nnew\n")

        many = ["/bin/sh", "-c", "seq 100000"]
        for name, make in {
            "log.1": lambda path: (os.mkdir(path), open(path + "/x", "w").close()),
            "log": lambda path: os.mkfifo(path),
            "log.2": lambda path: os.symlink("/etc/passwd", path),
        }.items():
            with self.subTest(name=name):
                shutil.rmtree(self.directory)
                os.makedirs(logs)
                make(os.path.join(logs, name))
                started = self.slice(many, size=1 << 20, files=3)
                self.assertEqual(started.wait(), 0)
                self.assertEqual(started.records()[-1][2], b"100000")
                total = sum(os.lstat(os.path.join(logs, f)).st_size for f in os.listdir(logs))
                self.assertLess(total, (3 << 20) + 8192)
        shutil.rmtree(self.directory)
        os.makedirs(logs)
        target = os.path.join(self.directory, "target")
        open(target, "w").close()
        os.symlink(target, os.path.join(logs, "log"))
        started = self.slice(["echo", "new"])
        self.assertEqual(started.wait(), 0)
        self.assertEqual(os.path.getsize(target), 0)
        self.assertEqual(started.text(), b"new\n")

    def test_removed_file_is_made_again(self):
        started = self.slice(["/bin/sh", "-c", "while :; do echo x; sleep 0.05; done"])
        eventually(started.log_files)
        os.unlink(os.path.join(started.log, "log"))
        eventually(started.log_files)

    def mount_small(self, size):
        logs = os.path.join(self.directory, "small")
        os.mkdir(logs)
        mount("tmpfs", logs, "tmpfs", 0, f"size={size}")
        self.addCleanup(subprocess.run, ["umount", "-l", logs], check=True)
        return logs

    def test_full_disk_never_holds_the_service(self):
        logs = self.mount_small("1m")
        line = b"0123456789" * 10 + b"\n"
        program = ("import os,time\nl=b'0123456789'*10+b'\\n'\n"
                   "for i in range(1000): os.write(1,l*300)\n"
                   "open(%r,'w').close()\ni=0\n"
                   "while 1: os.write(1,b'after %%d\\n'%%i); i+=1; time.sleep(0.05)"
                   % os.path.join(self.directory, "printed"))
        # Larger than the disk: it fills before anything is rotated away.
        started = self.slice(python(program), log=logs, size=8 << 20, files=4)
        self.assertIsNone(started.outcome())
        eventually(lambda: os.path.exists(os.path.join(self.directory, "printed")), 20)
        eventually(lambda: started.status()["dropped"] > 0)
        self.assertEqual(started.status()["state"], RUNNING)
        kept = [text for _, _, text in started.records()]
        self.assertGreater(len(kept), 6000)
        dropped_text = re.compile(rb"\[slice-init: (\d+) bytes of output lost: (.*)\]")
        mount(None, logs, None, 32, "size=16m")  # MS_REMOUNT: there is room again
        eventually(lambda: any(text.startswith(b"after") for _, _, text in started.records()[-3:]))
        self.assertEqual(started.command(STOP, 1000), 0)
        started.wait(3)
        records = started.records()
        losses = [dropped_text.fullmatch(text) for stream, _, text in records if stream == "stderr"]
        self.assertTrue(losses and all(losses), losses)
        self.assertEqual(losses[0][2], b"No space left on device")
        lost = sum(int(match[1]) for match in losses)
        self.assertEqual(lost, started.status()["dropped"])
        written = sum(len(text) + 1 for stream, _, text in records if stream == "stdout")
        after = [int(text[6:]) for _, _, text in records if text.startswith(b"after")]
        missing = sum(len(b"after %d\n" % i) for i in set(range(after[-1] + 1)) - set(after))
        full = len([text for _, _, text in records if text == line[:-1]]) * len(line)
        self.assertEqual(300000 * len(line) - full + missing, lost)
        self.assertEqual(written + lost,
                         300000 * len(line) + sum(len(b"after %d\n" % i)
                                                  for i in range(after[-1] + 1)))

    def test_log_directory_that_cannot_be_written(self):
        logs = self.mount_small("64k")
        mount(None, logs, None, 32 | 1)  # read-only
        started = self.slice(["/bin/sh", "-c", "seq 100000; exit 4"], log=logs)
        self.assertEqual(started.wait(10), 4)
        self.assertEqual(started.status()["dropped"],
                         sum(len(f"{i}\n") for i in range(1, 100001)))

    def test_daemon_that_keeps_the_pipes_open_does_not_hold_the_end(self):
        # A process of another parent (entered from outside) holds the pipe's write end.
        started = self.slice(["/bin/sh", "-c", "echo hello; sleep 0.5; exit 0"])
        self.assertIsNone(started.outcome())
        holder = os.open(f"/proc/{child_of(started.pid())}/fd/1", os.O_WRONLY)
        begin = time.monotonic()
        self.assertEqual(started.wait(3), 0)
        os.close(holder)
        self.assertLess(time.monotonic() - begin, 1.2)
        self.assertEqual(started.text(), b"hello\n")


class Size(InitTest):
    def test_on_disk(self):
        self.assertLess(os.path.getsize(BINARY), 1 << 20)

    def test_resident(self):
        started = self.slice(["/bin/sh", "-c", "seq 1000000; seq 10000 >&2; sleep 100"])
        eventually(lambda: b"1000000\n" in started.text()[-20:], 20)
        pid = started.pid()
        sizes = {}
        for name in "status", "smaps_rollup":
            for line in read_text(f"/proc/{pid}/{name}").splitlines():
                match = re.match(r"(VmRSS|Rss|Pss|VmHWM|Private_Dirty):\s+(\d+) kB", line)
                if match:
                    sizes[match[1]] = int(match[2])
        print(f"\n  resident: {sizes} kB; on disk {os.path.getsize(BINARY)}", file=sys.stderr)
        self.assertLess(sizes["VmRSS"], 300)
        self.assertLess(sizes["Pss"], 300)


def main():
    if os.geteuid() != 0:
        sys.exit("needs root: it makes namespaces")
    program = unittest.main(exit=False, verbosity=1)
    result = program.result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--inside":
        inside(json.loads(sys.argv[2]))
    main()
