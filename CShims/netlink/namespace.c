// Network namespaces, made and entered only by threads that end right after.
//
// A thread that fails to come back from setns(2) or unshare(2) would go on configuring the wrong
// network. So no thread of the caller's ever leaves its namespace: a fresh one does, hands over
// descriptors and ends.

#define _GNU_SOURCE // unshare, setns

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKER_STACK_SIZE (128 * 1024)

struct sysctl {
    const char *path, *value;
};

// What a slice finds. IPv4's defaults are copied from the host's current values
// (net.core.devconf_inherit_init_net), so what matters is written even where it is the kernel's
// default. See ip-sysctl.rst in the kernel's documentation.
static const struct sysctl ipv4_sysctls[] = {
    // The host forwards, a slice does not. First: it resets accept_redirects.
    {"ip_forward", "0"},
    {"conf/all/accept_redirects", "0"},
    {"conf/default/accept_redirects", "0"},
    // 127.0.0.0/8 stays inside, whatever kube-proxy or Docker set on the host.
    {"conf/all/route_localnet", "0"},
    {"conf/default/route_localnet", "0"},
    // The namespace belongs to the host's user namespace, where the slice's root has no
    // CAP_NET_BIND_SERVICE.
    {"ip_unprivileged_port_start", "0"},
    // Every group may open ICMP echo sockets (icmp(7)): they cannot forge anything. The range is
    // in the writer's ids, the host's, so it must reach beyond a slice's 65,536.
    {"ping_group_range", "0 4294967294"},
};

static const struct sysctl ipv6_sysctls[] = {
    {"conf/all/disable_ipv6", "0"},
    {"conf/all/forwarding", "0"},
    // Router advertisements would bring addresses and routes of a neighbour's choice.
    {"conf/default/accept_ra", "0"},
    {"conf/default/accept_redirects", "0"},
    // No link-local address: one address a slice (IN6_ADDR_GEN_MODE_NONE).
    {"conf/default/addr_gen_mode", "1"},
};

static const struct sysctl no_ipv6_sysctls[] = {
    {"conf/all/disable_ipv6", "1"},
    {"conf/default/disable_ipv6", "1"},
};

static int write_sysctls(
    const struct cnl_sysctls *sysctls, const struct sysctl *list, size_t count,
    struct cnl_error *error) {
    int result = 0;
    for (size_t index = 0; result == 0 && index < count; index++)
        result = cnl_sysctl_write(sysctls, list[index].path, list[index].value, error);
    return result;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int configure_ipv4(int procfs, struct cnl_error *error) {
    struct cnl_sysctls sysctls;
    int result = cnl_sysctl_open(&sysctls, procfs, CNL_SYSCTL_IPV4, error);
    if (result < 0) return result;
    result = write_sysctls(&sysctls, ipv4_sysctls, COUNT(ipv4_sysctls), error);
    cnl_sysctl_close(&sysctls);
    return result;
}

static int configure_ipv6(int procfs, bool wanted, struct cnl_error *error) {
    struct cnl_sysctls sysctls;
    struct cnl_error failure;
    int result = cnl_sysctl_open(&sysctls, procfs, CNL_SYSCTL_IPV6, &failure);
    if (result == -ENOENT && !wanted) return 0;
    if (result == -ENOENT)
        return cnl_fail(error, EAFNOSUPPORT, "enable IPv6", "the kernel has no IPv6");
    if (result < 0) {
        if (error) *error = failure;
        return result;
    }
    result = wanted ? write_sysctls(&sysctls, ipv6_sysctls, COUNT(ipv6_sysctls), error)
                    : write_sysctls(&sysctls, no_ipv6_sysctls, COUNT(no_ipv6_sysctls), error);
    cnl_sysctl_close(&sysctls);
    return result;
}

static int raise_loopback(int rtnetlink, struct cnl_error *error) {
    struct ifinfomsg header = {
        .ifi_index = CNL_LOOPBACK_INDEX, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct cnl_batch batch = {0};
    cnl_batch_add(
        &batch, "bring link up", RTM_NEWLINK, NLM_F_ACK, &header, sizeof header);
    return cnl_batch_run(rtnetlink, &batch, "lo", NULL, NULL, error);
}

// --- The worker thread

struct automatic_ports {
    uint16_t first, last;
    const char *reserved;
};

struct work {
    int enter; // descriptor of the namespace to enter; -1: make one
    int procfs; // only when making one, as `ipv6`
    bool ipv6;
    // When entering one: ports to be set, or something else to be done; null: get a handle for it.
    const struct automatic_ports *ports;
    int (*body)(void *argument, struct cnl_error *error);
    void *argument;
    struct cnl_namespace namespace;
    int result;
    struct cnl_error *error;
};

static int create(struct work *work) {
    struct cnl_namespace *namespace = &work->namespace;
    if (unshare(CLONE_NEWNET) < 0)
        return cnl_fail(work->error, errno, "create network namespace", "unshare");
    // /proc/self would be the main thread's.
    namespace->netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (namespace->netns < 0)
        return cnl_fail(work->error, errno, "open network namespace", "/proc/thread-self/ns/net");
    int result = configure_ipv4(work->procfs, work->error);
    if (result == 0) result = configure_ipv6(work->procfs, work->ipv6, work->error);
    if (result < 0) return result;
    namespace->rtnetlink = cnl_socket(NETLINK_ROUTE, work->error);
    if (namespace->rtnetlink < 0) return namespace->rtnetlink;
    return raise_loopback(namespace->rtnetlink, work->error);
}

// Reserved ports first: the range alone would give them away.
static int set_ports(const struct work *work) {
    struct cnl_sysctls sysctls;
    int result = cnl_sysctl_open(&sysctls, -1, CNL_SYSCTL_IPV4, work->error);
    if (result < 0) return result;
    char range[16];
    snprintf(range, sizeof range, "%u %u", work->ports->first, work->ports->last);
    const char *reserved = work->ports->reserved[0] ? work->ports->reserved : "\n";
    result = cnl_sysctl_write(&sysctls, "ip_local_reserved_ports", reserved, work->error);
    if (result == 0) result = cnl_sysctl_write(&sysctls, "ip_local_port_range", range, work->error);
    cnl_sysctl_close(&sysctls);
    return result;
}

static int enter(struct work *work) {
    struct cnl_namespace *namespace = &work->namespace;
    if (setns(work->enter, CLONE_NEWNET) < 0)
        return cnl_fail(work->error, errno, "enter network namespace", "fd %d", work->enter);
    if (work->ports) return set_ports(work);
    if (work->body) return work->body(work->argument, work->error);
    namespace->netns = fcntl(work->enter, F_DUPFD_CLOEXEC, 0);
    if (namespace->netns < 0)
        return cnl_fail(work->error, errno, "duplicate descriptor", "fd %d", work->enter);
    namespace->rtnetlink = cnl_socket(NETLINK_ROUTE, work->error);
    return namespace->rtnetlink < 0 ? namespace->rtnetlink : 0;
}

static void *worker_main(void *argument) {
    struct work *work = argument;
    work->result = work->enter < 0 ? create(work) : enter(work);
    if (work->result < 0) cnl_namespace_close(&work->namespace);
    return NULL;
}

// The worker inherits the blocked mask: the caller's signal handlers never run inside.
static int start_worker(pthread_t *thread, struct work *work) {
    pthread_attr_t attributes;
    int number = pthread_attr_init(&attributes);
    if (number) return number;
    pthread_attr_setstacksize(&attributes, WORKER_STACK_SIZE);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    number = pthread_create(thread, &attributes, worker_main, work);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return number;
}

static int run(struct work *work, struct cnl_namespace *namespace) {
    work->namespace = (struct cnl_namespace){.netns = -1, .rtnetlink = -1};
    pthread_t thread;
    int number = start_worker(&thread, work);
    if (number) return cnl_fail(work->error, number, "start thread", "network namespace");
    pthread_join(thread, NULL);
    *namespace = work->namespace;
    return work->result;
}

// --- Interface

int cnl_namespace_create(
    int procfs, bool ipv6, struct cnl_namespace *namespace, struct cnl_error *error) {
    struct work work = {.enter = -1, .procfs = procfs, .ipv6 = ipv6, .error = error};
    return run(&work, namespace);
}

int cnl_namespace_adopt(int netns, struct cnl_namespace *namespace, struct cnl_error *error) {
    if (netns < 0) return cnl_fail(error, EBADF, "enter network namespace", "fd %d", netns);
    struct work work = {.enter = netns, .error = error};
    return run(&work, namespace);
}

int cnl_run_inside(
    int netns, int (*body)(void *argument, struct cnl_error *error), void *argument,
    struct cnl_error *error) {
    struct work work = {.enter = netns, .body = body, .argument = argument, .error = error};
    if (netns < 0) return cnl_fail(error, EBADF, "enter network namespace", "fd %d", netns);
    struct cnl_namespace none;
    return run(&work, &none);
}

int cnl_namespace_set_ports(
    int netns, uint16_t first, uint16_t last, const char *reserved, struct cnl_error *error) {
    const struct automatic_ports ports = {.first = first, .last = last, .reserved = reserved};
    if (netns < 0) return cnl_fail(error, EBADF, "enter network namespace", "fd %d", netns);
    struct work work = {.enter = netns, .ports = &ports, .error = error};
    struct cnl_namespace none;
    return run(&work, &none);
}

int cnl_namespace_cookie(
    const struct cnl_namespace *namespace, uint64_t *cookie, struct cnl_error *error) {
    socklen_t size = sizeof *cookie;
    if (getsockopt(namespace->rtnetlink, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &size) < 0)
        return cnl_fail(error, errno, "identify network namespace", "SO_NETNS_COOKIE");
    return 0;
}

void cnl_namespace_close(struct cnl_namespace *namespace) {
    if (namespace->netns >= 0) close(namespace->netns);
    if (namespace->rtnetlink >= 0) close(namespace->rtnetlink);
    namespace->netns = namespace->rtnetlink = -1;
}
