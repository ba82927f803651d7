"""A box like a slice, with a broker: user, PID and mount namespaces, a network namespace that belongs
to the host, no CAP_NET_RAW, and the filter that asks. What the project does in Swift, enough of it for
these tests."""

import ctypes
import json
import mmap
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.abspath(__file__)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BROKER = os.environ.get("SLICE_BROKER", os.path.join(CHECKOUT, "build/bin/slice-broker"))
PROGRAM = os.environ.get("RAW_PROGRAM", os.path.join(os.path.dirname(BROKER), "raw.bpf.o"))
RECEIVER = os.path.join(os.path.dirname(PROGRAM), "xdp.bpf.o")
PYTHON = "/usr/bin/python3"

ID_BASE = 300000  # of the box's ids on the host
ICMP, TCP, UDP, ICMP6, RAW = 1, 6, 17, 58, 255
SNIFF, XDP = 1, 2
GRANT, LISTEN, DELIVER, ANSWER = 1, 2, 3, 1
RANGES = ETHERTYPES = 16
GRANTS = "=IHH" + "HH" * (2 * RANGES) + f"H{ETHERTYPES}H3H" + "4Q4QQ"
STATE_SIZE = struct.calcsize("=QII" + GRANTS[1:])

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
CLONE_NEWUTS, CLONE_NEWIPC = 0x04000000, 0x08000000
MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 2, 32, 4096, 16384, 1 << 18


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def syscall(*arguments):
    return check(libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))


def pidfd_open(pid):
    return syscall(434, pid, 0)


def descriptor_of(pid, number):
    """A copy of another process's descriptor."""
    process = pidfd_open(pid)
    try:
        return syscall(438, process, number, 0)
    finally:
        os.close(process)


# --- The filter that a slice with grants has in addition (classic BPF, struct sock_filter)

LD, AND, JEQ, RET = 0x20, 0x54, 0x15, 0x06
ALLOW, NOTIFY, KILL = 0x7fff0000, 0x7fc00000, 0x80000000
EPERM_RESULT = 0x00050001
NR, ARCH, ARGUMENTS = 0, 4, 16


def branches(offset, mask, cases, otherwise):
    """Nested `switch`: `cases` maps values to a result or to another switch."""
    code = [(LD, 0, 0, offset)]
    if mask is not None:
        code.append((AND, 0, 0, mask))
    for value, then in cases.items():
        body = then if isinstance(then, list) else [(RET, 0, 0, then)]
        code += [(JEQ, 0, len(body), value)] + body
    return code + [(RET, 0, 0, otherwise)]


def argument(number):
    return ARGUMENTS + 8 * number


def asking_filter():
    AF_INET, AF_INET6, AF_PACKET, SOCK_RAW, SOL_SOCKET, SOL_PACKET = 2, 10, 17, 3, 1, 263
    raw = branches(argument(1), 0xf, {SOCK_RAW: NOTIFY}, ALLOW)
    sockets = branches(argument(0), None, {AF_PACKET: NOTIFY, AF_INET: raw, AF_INET6: raw}, ALLOW)
    options = branches(argument(1), None, {
        # SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER; SO_ATTACH_BPF
        SOL_SOCKET: branches(argument(2), None,
                             {26: NOTIFY, 27: NOTIFY, 44: NOTIFY, 50: EPERM_RESULT}, ALLOW),
        # PACKET_RX_RING, PACKET_TX_RING; VNET_HDR, FANOUT, QDISC_BYPASS, VNET_HDR_SZ
        SOL_PACKET: branches(argument(2), None, {5: NOTIFY, 13: NOTIFY, 15: EPERM_RESULT,
                                                 18: EPERM_RESULT, 20: EPERM_RESULT,
                                                 24: EPERM_RESULT}, ALLOW)}, ALLOW)
    calls = branches(NR, None, {41: sockets, 54: options}, ALLOW)
    return [(LD, 0, 0, ARCH), (JEQ, 1, 0, 0xc000003e), (RET, 0, 0, KILL)] + calls


def install_filter(asking=True):
    """Loads the filter; returns the listener. Without `asking`: one of the same length that lets all
    of it through, for comparison."""
    code = asking_filter()
    if not asking:
        code = [(c, t, f, ALLOW) if (c, k) == (RET, NOTIFY) else (c, t, f, k) for c, t, f, k in code]
    data = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(data)))
    flags = (1 << 3) | (1 << 5) if asking else 0  # NEW_LISTENER, WAIT_KILLABLE_RECV
    return syscall(317, 1, flags, program)


def drop_capabilities(keep=()):
    for number in range(64):
        if number not in keep and libc.prctl(24, number, 0, 0, 0) < 0:
            break
    mask = sum(1 << number for number in keep)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(struct.pack("=6I", mask, mask, 0, 0, 0, 0))
    check(libc.capset(header, data))


# --- Inside: the box's first process

def run_inside(orders, listener):
    """Starts what it is told to, each in a child that tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, 1 << 20, 4)
        if not message:
            os._exit(0)
        if os.fork() != 0:
            for descriptor in descriptors:
                os.close(descriptor)
            continue
        order = json.loads(message)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        orders.close()
        if listener is not None:
            os.close(listener)
        if "user" in order:
            os.setgroups([])
            os.setresgid(order["user"], order["user"], order["user"])
            os.setresuid(order["user"], order["user"], order["user"])
        child = os.fork()
        if child == 0:
            for number in range(3):
                os.dup2(descriptors[number], number)
            os.closerange(3, 1024)
            try:
                os.execvpe(order["command"][0], order["command"],
                           {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"})
            except OSError as error:
                print(error, file=sys.stderr, flush=True)
                os._exit(127)
        os.write(descriptors[3], struct.pack("=i", child))
        for number in range(3):
            os.close(descriptors[number])
        status = os.waitpid(child, 0)[1]
        os.write(descriptors[3], struct.pack("=i", os.waitstatus_to_exitcode(status)))
        os._exit(0)


def inside(number, options):
    orders = socket.socket(fileno=number)
    check(libc.unshare(CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC))
    child = os.fork()
    if child != 0:
        orders.send(struct.pack("=i", child))
        orders.close()
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xff)
    check(libc.unshare(CLONE_NEWNS))
    check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    # As a slice's mounts are; else a program's file capabilities, which it can't get, keep it from
    # being executed (capabilities(7), "Safety checking for capability-dumb binaries").
    check(libc.mount(None, b"/", None, MS_REMOUNT | MS_BIND | MS_NOSUID, None))
    check(libc.mount(b"proc", b"/proc", b"proc", 0, None))
    orders.recv(1)  # the link is there
    if options["privileged"]:
        orders.send(struct.pack("=i", -1))
        run_inside(orders, None)
    check(libc.unshare(CLONE_NEWUSER))
    orders.send(b"x")
    orders.recv(1)  # the ids are mapped
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setgroups([])
    drop_capabilities(keep=(0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31))
    check(libc.prctl(38, 1, 0, 0, 0))
    listener = install_filter(options["asking"])
    orders.send(struct.pack("=i", listener))
    run_inside(orders, listener if options["asking"] else None)


def enter_inside(pid, number, command):
    """Enters the box from outside, with a filter of its own, and becomes the command."""
    outside = socket.socket(fileno=number)
    kinds = "net", "uts", "ipc", "mnt", "user"
    files = [open(f"/proc/{pid}/ns/{kind}") for kind in ("pid", *kinds)]
    check(libc.setns(files[0].fileno(), 0))
    child = os.fork()
    if child != 0:
        outside.close()
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xff)
    for file in files[1:]:
        check(libc.setns(file.fileno(), 0))
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    drop_capabilities()
    check(libc.prctl(38, 1, 0, 0, 0))
    listener = install_filter()
    socket.send_fds(outside, [b"x"], [listener])
    os.closerange(3, 1024)
    os.execve(command[0], command, {})


def broker_inside(pid, executable, arguments):
    """Joins what the broker has to be in, then becomes it."""
    executable = os.open(executable, os.O_PATH | os.O_CLOEXEC)
    for kind in "net", "pid":
        with open(f"/proc/{pid}/ns/{kind}") as file:
            check(libc.setns(file.fileno(), 0))
    child = os.fork()
    if child != 0:
        os.closerange(3, 1024)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xff)
    check(libc.prctl(1, signal.SIGKILL, 0, 0, 0))
    with tempfile.TemporaryDirectory() as root:
        place = os.open(root, os.O_PATH | os.O_DIRECTORY)
    # Removed already: nothing can be made in it, and nothing is left.
    os.fchdir(place)
    os.chroot(".")
    os.close(place)
    os.execve(executable, ["slice-broker"] + arguments, {})


# --- Outside

def ip(*lines, within=None):
    enter = ["nsenter", "-t", str(within), "-n"] if within else []
    subprocess.run(enter + ["ip", "-force", "-batch", "-"], input="\n".join(lines), text=True,
                   check=True)


def eventually(condition, timeout=5.0):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("condition not met in time")
        time.sleep(0.01)


def read_text(path):
    with open(path) as file:
        return file.read()


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def drain(tap):
    """All that a non-blocking socket has, with where it came from."""
    found = []
    while True:
        try:
            found.append(tap.recvfrom(65536))
        except BlockingIOError:
            return found


class Hook(ctypes.Structure):  # bpf/libbpf.h, struct bpf_tc_hook, bpf_tc_opts
    _fields_ = [("size", ctypes.c_size_t), ("link", ctypes.c_int), ("point", ctypes.c_int),
                ("parent", ctypes.c_uint32), ("zero", ctypes.c_uint32)]


class Attach(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("program", ctypes.c_int), ("flags", ctypes.c_uint32),
                ("id", ctypes.c_uint32), ("handle", ctypes.c_uint32), ("priority", ctypes.c_uint32),
                ("zero", ctypes.c_uint32)]


def libbpf():
    library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    for name in ("bpf_object__open_file", "bpf_object__find_program_by_name",
                 "bpf_object__find_map_by_name"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def attach_program(pid, path, name, map_name, attach, state=None):
    """Loads a program for the box of this process, with the map `state` of another, and has `attach`
    put it on eth0, by its index; returns a map of it."""
    library = libbpf()
    found = ctypes.c_void_p(library.bpf_object__open_file(path.encode(), None))
    if found and state is not None:
        shared = ctypes.c_void_p(library.bpf_object__find_map_by_name(found, b"state"))
        check(library.bpf_map__reuse_fd(shared, state))
    if not found or library.bpf_object__load(found) < 0:
        raise OSError(ctypes.get_errno(), f"{path} cannot be loaded")
    program = library.bpf_program__fd(ctypes.c_void_p(
        library.bpf_object__find_program_by_name(found, name)))
    kept = os.dup(check(library.bpf_object__find_map_fd_by_name(found, map_name)))
    results = []

    def enter():
        with open(f"/proc/{pid}/ns/net") as file:
            check(libc.setns(file.fileno(), CLONE_NEWNET))  # of this thread alone
        results.extend(attach(library, libc.if_nametoindex(b"eth0"), program))
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert results and not any(results), results
    library.bpf_object__close(found)
    return kept


def attach_judge(pid):
    """What judges the packets of raw sockets; returns its map `state`."""
    def attach(library, link, program):
        hook = Hook(ctypes.sizeof(Hook), link, 2)  # BPF_TC_EGRESS
        options = Attach(ctypes.sizeof(Attach), program, 0, 0, 1, 1)
        return [library.bpf_tc_hook_create(ctypes.byref(hook)),
                library.bpf_tc_attach(ctypes.byref(hook), ctypes.byref(options))]
    return attach_program(pid, PROGRAM, b"from_raw_socket", b"state", attach)


def attach_receiver(pid, state):
    """What hands packets to AF_XDP sockets; returns its map of these."""
    def attach(library, link, program):
        return [library.bpf_xdp_attach(link, program, 2, None)]  # XDP_FLAGS_SKB_MODE
    return attach_program(pid, RECEIVER, b"to_xdp_socket", b"sockets", attach, state)


def own_network():
    """A network namespace for the test itself: the host of its boxes."""
    check(libc.unshare(CLONE_NEWNET))
    ip("link set lo up")


def grants(flags=0, udp=(), tcp=(), ethertypes=(), ipv4=(), ipv6=(), ring=0):
    pad = lambda ranges: [n for pair in ranges for n in pair] + [0, 0] * (RANGES - len(ranges))
    words = lambda protocols: [sum(1 << p % 64 for p in protocols if p // 64 == i) for i in range(4)]
    return struct.pack(
        "=IHH32H32HH16H3H4Q4QQ", flags, len(udp), len(tcp), *pad(udp), *pad(tcp), len(ethertypes),
        *ethertypes, *[0] * (ETHERTYPES - len(ethertypes)), 0, 0, 0, *words(ipv4), *words(ipv6), ring)


class Process:
    """A command in the box."""

    def __init__(self, box, command, user=None):
        self.output, output = os.pipe()
        self.status, status = os.pipe()
        stdin, self.input = os.pipe()
        order = {"command": command}
        if user is not None:
            order["user"] = user
        socket.send_fds(box.orders, [json.dumps(order).encode()], [stdin, output, output, status])
        for descriptor in stdin, output, status:
            os.close(descriptor)
        self.text = b""
        self.pid = struct.unpack("=i", os.read(self.status, 4))[0]

    def send(self, text):
        os.write(self.input, text.encode())

    def line(self, timeout=10):
        """The next line that it prints."""
        while b"\n" not in self.text:
            ready = select.select([self.output], [], [], timeout)[0]
            if not ready:
                raise AssertionError(f"no line in time after {self.text!r}")
            more = os.read(self.output, 65536)
            if not more:
                raise AssertionError(f"ended after {self.text!r}")
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        return line.decode(errors="replace")

    def wait(self, timeout=30):
        """Its exit status and the rest of what it printed."""
        deadline = time.monotonic() + timeout
        while select.select([self.output], [], [], max(0, deadline - time.monotonic()))[0]:
            more = os.read(self.output, 65536)
            if not more:
                code, = struct.unpack("=i", os.read(self.status, 4))
                self.close()
                return code, self.text.decode(errors="replace")
            self.text += more
        raise AssertionError(f"not ended in time, after {self.text!r}")

    def outer_pid(self, box):
        """Its number outside."""
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    if os.path.samefile(f"/proc/{name}/ns/pid", f"/proc/{box.pid}/ns/pid") and \
                            read_text(f"/proc/{name}/status").split("NSpid:\t")[1].split("\n")[0] \
                            .split("\t")[-1] == str(self.pid):
                        return int(name)
                except (OSError, IndexError):
                    pass
        raise AssertionError(f"it has ended: {self.wait()}")

    def close(self):
        for name in "output", "status", "input":
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
            setattr(self, name, -1)


class Box:
    """`asking`: its filter asks a broker; else the calls are left to the kernel. `privileged`: root of
    the host in the same namespaces, without any filter, as a control. `judged`: with the program for
    what raw sockets send."""

    count = 0

    def __init__(self, asking=True, privileged=False, judged=True):
        self.asking = asking
        self.directory = tempfile.TemporaryDirectory(prefix="slice-broker-test.")
        self.orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.orders.settimeout(20)
        options = json.dumps({"asking": asking, "privileged": privileged})
        self.process = subprocess.Popen(
            [PYTHON, HERE, "--inside", str(theirs.fileno()), options], pass_fds=[theirs.fileno()])
        theirs.close()
        self.pid = struct.unpack("=i", self.orders.recv(4))[0]
        self.make_link()
        self.orders.send(b"x")
        if not privileged:
            self.orders.recv(1)
            for name in "uid_map", "gid_map":
                with open(f"/proc/{self.pid}/{name}", "w") as file:
                    file.write(f"0 {ID_BASE} 65536")
            self.orders.send(b"x")
        number, = struct.unpack("=i", self.orders.recv(4))
        self.listener = descriptor_of(self.pid, number) if asking and not privileged else -1
        self.processes = os.open(f"/proc/{self.pid}/root/proc", os.O_RDONLY | os.O_DIRECTORY)
        self.state = attach_judge(self.pid) if judged else -1
        self.sockets = -1
        self.broker = self.control = None

    def make_link(self):
        Box.count += 1
        self.link = f"box{Box.count}"
        self.host4, self.own4 = [f"10.99.{Box.count}.{end}" for end in (1, 2)]
        self.host6, self.own6 = [f"fd99:{Box.count}::{end}" for end in (1, 2)]
        ip(f"link add {self.link} type veth peer name eth0 netns {self.pid}",
           f"address add {self.host4}/24 dev {self.link}", f"address add {self.host6}/64 dev {self.link} nodad",
           f"link set {self.link} up")
        ip("link set lo up", f"address add {self.own4}/24 dev eth0",
           f"address add {self.own6}/64 dev eth0 nodad", "link set eth0 up",
           f"route add default via {self.host4}", within=self.pid)

    def macs(self):
        """Of the link's two ends, the host's first."""
        shown = (output("ip", "link", "show", self.link),
                 output("nsenter", "-t", str(self.pid), "-n", "ip", "link", "show", "eth0"))
        return [re.search(r"link/ether (\S+)", text)[1] for text in shown]

    def start_broker(self, listener=None, state=None):
        """Starts a broker; returns what it reports: b"" when it works."""
        report, theirs = os.pipe()
        path = os.path.join(self.directory.name, f"control{Box.count}")
        if os.path.exists(path):
            os.unlink(path)
        control, requests = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        self.request_path = path + ".requests"
        if os.path.exists(self.request_path):
            os.unlink(self.request_path)
        for listening, place in (control, path), (requests, self.request_path):
            listening.bind(place)
            listening.listen(4)
        os.chmod(self.request_path, 0o666)
        os.chmod(self.directory.name, 0o755)
        state = self.state if state is None else state
        listener = self.listener if listener is None else listener
        arguments = ["--report", str(theirs), "--listener", str(listener), "--control",
                     str(control.fileno()), "--requests", str(requests.fileno()), "--processes",
                     str(self.processes), "--state", str(state)]
        self.broker = subprocess.Popen(
            [PYTHON, HERE, "--broker", str(self.pid), BROKER, json.dumps(arguments)],
            pass_fds=[theirs, listener, control.fileno(), requests.fileno(), self.processes, state])
        os.close(theirs)
        control.close()
        requests.close()
        answer = os.read(report, 64)
        os.close(report)
        self.control_path = path
        if not answer:
            self.control = self.connect()
        return answer

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(20)
        client.connect(self.control_path)
        return client

    def write_state(self, offset, data):
        """As a broker would that is killed in the middle of its work."""
        with mmap.mmap(self.state, STATE_SIZE) as memory:
            memory[offset:offset + len(data)] = data

    def broker_pid(self):
        path = f"/proc/{self.broker.pid}/task/{self.broker.pid}/children"
        return int(eventually(lambda: read_text(path).split())[0])

    def kill_broker(self):
        os.kill(self.broker_pid(), signal.SIGKILL)
        self.broker.wait()
        self.control.close()

    def command(self, data, *descriptors):
        """Sends one command; returns (error, closed, hidden) and keeps the events before it."""
        socket.send_fds(self.control, [data], descriptors) if descriptors else self.control.send(data)
        while True:
            message = self.control.recv(256)
            if not message:
                raise AssertionError("the broker has gone")
            if len(message) == 16:
                kind, error, closed, hidden = struct.unpack("=IiII", message)
                assert kind == ANSWER
                return error, closed, hidden
            self.seen.append(message)

    seen = ()

    def grant(self, **what):
        self.seen = list(self.seen)
        return self.command(struct.pack("=II", GRANT, 0) + grants(**what))

    def listen(self, *descriptors):
        return self.command(struct.pack("=II", LISTEN, 0) + grants(), *descriptors)

    def deliver(self):
        """Has packets of the box's handed to AF_XDP sockets, as the supervisor does."""
        if self.sockets < 0:
            self.sockets = attach_receiver(self.pid, self.state)
        return self.command(struct.pack("=II", DELIVER, 0) + grants(), self.sockets)

    def enter(self, *command):
        """Starts a command that enters the box from outside; returns it and its listener."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [PYTHON, HERE, "--enter", str(self.pid), str(theirs.fileno()), json.dumps(command)],
            pass_fds=[theirs.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        theirs.close()
        _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
        ours.close()
        return process, listener

    def events(self, timeout=0.2):
        """(pid, domain, type, protocol, untold) of the events so far."""
        messages = list(self.seen)
        self.seen = []
        while select.select([self.control], [], [], timeout)[0]:
            messages.append(self.control.recv(256))
        return [struct.unpack("=IiiiiI", message)[1:] for message in messages]

    def start(self, command, user=None):
        return Process(self, command, user)

    def run(self, *command, timeout=150, user=None):  # the lab is slow
        return self.start(list(command), user).wait(timeout)

    def python(self, program, *arguments, user=None):
        return self.run(PYTHON, "-S", "-c", PRELUDE + program, *arguments, user=user)

    def start_python(self, program, *arguments):
        return self.start([PYTHON, "-S", "-u", "-c", PRELUDE + program, *arguments])

    def close(self):
        if self.broker is not None and self.broker.poll() is None:
            try:
                os.kill(self.broker_pid(), signal.SIGKILL)
            except (AssertionError, OSError):
                pass
            self.broker.kill()
            self.broker.wait()
        if self.control is not None:
            self.control.close()
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.orders.close()
        for descriptor in self.listener, self.processes, self.state, self.sockets:
            if descriptor >= 0:
                os.close(descriptor)
        self.directory.cleanup()
        subprocess.run(["ip", "link", "del", self.link], stderr=subprocess.DEVNULL)


# What programs in the box begin with.
PRELUDE = """
import ctypes, errno, os, select, signal, socket, struct, sys, threading, time
from socket import *
ALL = 3
def packet(protocol=ALL, kind=SOCK_RAW):
    return socket(AF_PACKET, kind, htons(protocol))
def attempt(call):
    try:
        value = call()
        return "ok" if value is None or not isinstance(value, int) else value
    except OSError as error:
        return errno.errorcode[error.errno]
def sock_filter(*lines):
    data = b"".join(struct.pack("=HBBI", *line) for line in lines)
    memory = ctypes.create_string_buffer(data)
    return struct.pack("@HP", len(lines), ctypes.addressof(memory)), memory
ACCEPT, REFUSE = (0x06, 0, 0, 0xffffffff), (0x06, 0, 0, 0)
def attach(made, *lines):
    program, memory = sock_filter(*lines)
    made.setsockopt(SOL_SOCKET, 26, program)
def received(made, wait=0.3):
    found = []
    while select.select([made], [], [], wait)[0]:
        found.append(made.recv(65536))
    return found
"""


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(int(sys.argv[2]), json.loads(sys.argv[3]))
    elif sys.argv[1] == "--enter":
        enter_inside(int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
    elif sys.argv[1] == "--broker":
        broker_inside(int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4]))
