// TUN devices of a slice: made for it, since making one takes CAP_NET_ADMIN in its network namespace, and
// owned by its root, which then may attach to it without (tun_not_capable() in the kernel's
// drivers/net/tun.c).
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKER_STACK_SIZE (64 * 1024)
// Packets that wait for who is attached, of each queue. The kernel keeps 500 unless told, of up to 64 KiB, and
// charges them to nobody (tun_net_xmit()).
#define QUEUE_LENGTH 64

struct work {
    int netns;
    const struct cnl_tun *tun;
    int result;
    struct cnl_error *error;
};

// In the namespace: a device belongs to that of who makes it.
static int make(const struct work *work) {
    const struct cnl_tun *tun = work->tun;
    if (setns(work->netns, CLONE_NEWNET) < 0)
        return cnl_fail(work->error, errno, "enter network namespace", "fd %d", work->netns);
    int device = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (device < 0)
        return cnl_fail(
            work->error, errno == ENOENT || errno == ENODEV ? EOPNOTSUPP : errno, "open",
            "/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    if (tun->queues) request.ifr_flags |= IFF_MULTI_QUEUE;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", tun->name);
    int result = 0;
    if (ioctl(device, TUNSETIFF, &request) < 0 ||
        ioctl(device, TUNSETOWNER, (unsigned long)tun->owner) < 0 ||
        ioctl(device, TUNSETPERSIST, 1UL) < 0)
        result = cnl_fail(work->error, errno, "make TUN device", "%s", tun->name);
    close(device);
    return result;
}

static void *worker_main(void *argument) {
    struct work *work = argument;
    work->result = make(work);
    return NULL;
}

// By a thread of its own: the caller's namespace never changes.
static int run(struct work *work) {
    pthread_attr_t attributes;
    pthread_t thread;
    int number = pthread_attr_init(&attributes);
    if (number) return cnl_fail(work->error, number, "start thread", "TUN device");
    pthread_attr_setstacksize(&attributes, WORKER_STACK_SIZE);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    number = pthread_create(&thread, &attributes, worker_main, work);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (number) return cnl_fail(work->error, number, "start thread", "TUN device");
    pthread_join(thread, NULL);
    return work->result;
}

static int configure(
    const struct cnl_namespace *namespace, const struct cnl_tun *tun, struct cnl_error *error) {
    int index;
    int result = cnl_slice_device(namespace, tun->name, &index, error);
    if (result < 0) return result;
    struct cnl_batch batch = {0};
    if (tun->family != 0) {
        const struct ifaddrmsg header = {
            .ifa_family = tun->family,
            .ifa_prefixlen = tun->prefix,
            .ifa_index = (uint32_t)index,
            .ifa_flags = tun->family == AF_INET6 ? IFA_F_NODAD : 0,
        };
        struct nl_msg *message = cnl_batch_add(
            &batch, "add address", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &header,
            sizeof header);
        const size_t size = cnl_address_size(tun->family);
        cnl_put(&batch, message, IFA_LOCAL, tun->address, size);
        cnl_put(&batch, message, IFA_ADDRESS, tun->address, size);
    }
    const struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct nl_msg *message =
        cnl_batch_add(&batch, "bring link up", RTM_NEWLINK, NLM_F_ACK, &up, sizeof up);
    cnl_put_u32(&batch, message, IFLA_TXQLEN, QUEUE_LENGTH);
    return cnl_batch_run(namespace->rtnetlink, &batch, tun->name, NULL, NULL, error);
}

int cnl_tun_create(
    const struct cnl_namespace *namespace, const struct cnl_tun *tun, struct cnl_error *error) {
    int result = cnl_check_name(tun->name, error);
    if (result < 0) return result;
    struct work work = {.netns = namespace->netns, .tun = tun, .error = error};
    result = run(&work);
    if (result < 0) return result;
    result = configure(namespace, tun, error);
    if (result < 0) cnl_tun_delete(namespace, tun->name, NULL);
    return result;
}

int cnl_tun_delete(
    const struct cnl_namespace *namespace, const char *name, struct cnl_error *error) {
    const struct ifinfomsg any = {0};
    struct cnl_batch batch = {0};
    struct nl_msg *message =
        cnl_batch_add(&batch, "delete link", RTM_DELLINK, NLM_F_ACK, &any, sizeof any);
    cnl_put_string(&batch, message, IFLA_IFNAME, name);
    struct cnl_error failure;
    int result = cnl_batch_run(namespace->rtnetlink, &batch, name, NULL, NULL, &failure);
    if (result == 0 || result == -ENODEV) return 0;
    if (error) *error = failure;
    return result;
}
