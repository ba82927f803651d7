// Replies to netlink requests: nothing goes to the kernel, what comes back is the input.
//
// The first byte says which question is asked, the second whether acknowledgements follow. Then come the
// replies to one request after another, each with a length of two bytes.
#include "../../CShims/netlink/internal.h"
#include "../../CShims/netlink/include/cnetlink_shape.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t *rest;
static size_t rest_size;
static bool acknowledges;

// Of the last request.
static uint32_t first_sequence;
static unsigned messages;
static enum { NOTHING, REPLIES, ACKNOWLEDGEMENTS } next;

// ---- in place of the socket (-Wl,--wrap)

ssize_t __wrap_sendmsg(int socket, const struct msghdr *header, int flags) {
    (void)socket;
    (void)flags;
    ssize_t sum = 0;
    messages = (unsigned)header->msg_iovlen;
    first_sequence = ((const struct nlmsghdr *)header->msg_iov[0].iov_base)->nlmsg_seq;
    for (unsigned i = 0; i < messages; i++)
        sum += (ssize_t)header->msg_iov[i].iov_len;
    next = REPLIES;
    return sum;
}

// Replies are to a request that was sent: their sequence numbers are put right.
static size_t replies(uint8_t *to, size_t room) {
    if (rest_size < 2)
        return 0;
    size_t size = rest[0] | (size_t)rest[1] << 8;
    rest += 2;
    rest_size -= 2;
    if (size > rest_size)
        size = rest_size;
    if (size > room)
        size = room;
    memcpy(to, rest, size);
    rest += size;
    rest_size -= size;
    for (size_t at = 0; at + sizeof(struct nlmsghdr) <= size;) {
        struct nlmsghdr *reply = (void *)(to + at);
        reply->nlmsg_seq = first_sequence + reply->nlmsg_seq % (messages + 1);
        size_t step = NLMSG_ALIGN((size_t)reply->nlmsg_len);
        at += step < sizeof *reply ? sizeof *reply : step;
    }
    return size;
}

static size_t acknowledgements(uint8_t *to) {
    size_t size = 0;
    for (unsigned i = 0; i < messages; i++) {
        struct nlmsghdr *reply = (void *)(to + size);
        *reply = (struct nlmsghdr){.nlmsg_len = NLMSG_LENGTH(sizeof(int)),
                                   .nlmsg_type = NLMSG_DONE,
                                   .nlmsg_seq = first_sequence + i};
        memset(NLMSG_DATA(reply), 0, sizeof(int));
        size += NLMSG_ALIGN(reply->nlmsg_len);
    }
    return size;
}

ssize_t __wrap_recvmsg(int socket, struct msghdr *header, int flags) {
    (void)socket;
    (void)flags;
    // Behind what was received nothing may be read. The receiver asks again until there is no more,
    // so the buffer is whole again when it is left.
    uint8_t *to = header->msg_iov->iov_base;
    const size_t room = header->msg_iov->iov_len;
    __asan_unpoison_memory_region(to, room);
    size_t size = 0;
    if (next == REPLIES) {
        size = replies(to, room);
        next = acknowledges ? ACKNOWLEDGEMENTS : NOTHING;
    }
    if (size == 0 && next == ACKNOWLEDGEMENTS) {
        size = acknowledgements(to);
        next = NOTHING;
    }
    if (size == 0) {
        errno = EAGAIN;
        return -1;
    }
    memset(header->msg_name, 0, header->msg_namelen);
    header->msg_flags = 0;
    __asan_poison_memory_region(to + size, room - size);
    return (ssize_t)size;
}

// ---- questions

static struct cnl_context context = {.rtnetlink = -1};

static void ask(unsigned question) {
    struct cnl_error error;
    char names[4][CNL_NAME_SIZE];
    struct cnl_link_counters counters[4];
    struct cnl_statistics statistics;
    struct cnl_uplink uplinks[CNL_MAX_UPLINKS];
    struct cnl_node_address node;
    struct cnl_root_qdisc root;
    const struct cnl_published port = {.protocol = 6, .host_port = 80, .port = 8080};
    const struct cnl_pool pool = {
        .family = AF_INET, .prefix = {10, 88}, .length = 16, .gateway = {10, 88, 0, 1}};
    const uint8_t address[16] = {10, 88, 0, 7};
    size_t count;
    uint32_t program;
    bool found;
    switch (question) {
    case 0: cnl_link_list(&context, "sl-", names, 4, &count, &error); break;
    case 1: cnl_link_statistics(&context, "sl-1", &statistics, &error); break;
    case 2: cnl_link_statistics_list(&context, "", counters, 4, &count, &error); break;
    case 3: cnl_classifier_find(&context, 2, &program, &error); break;
    case 4: cnl_uplink_find(&context, 2, &program, &error); break;
    case 5: cnl_uplinks(&context, uplinks, &count, &error); break;
    case 6: cnl_node_address(&context, AF_INET, &node, &error); break;
    case 7: cnl_node_address(&context, AF_INET6, &node, &error); break;
    case 8: cnl_pool_check(&context, &pool, &error); break;
    case 9: cnl_pool_check_address(&context, AF_INET, address, &error); break;
    case 10: cnl_root_find(&context, 2, &root, &error); break;
    case 11: cnl_nat_find(&found, &error); break;
    case 12: cnl_connections_forget(AF_INET, address, &port, 1, &error); break;
    case 13: cnl_connections_forget(AF_INET6, NULL, &port, 1, &error); break;
    case 14: cnl_link_delete(&context, "sl-1", &error); break;
    default: cnl_uplink_detach(&context, 2, &error); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return -1;
    if (context.rtnetlink < 0)
        context.rtnetlink = cnl_socket(NETLINK_ROUTE, NULL);
    acknowledges = data[1] & 1;
    rest = data + 2;
    rest_size = size - 2;
    next = NOTHING;
    ask(data[0] % 16);
    return 0;
}
