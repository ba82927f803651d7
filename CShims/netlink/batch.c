// Requests to the kernel: several messages in one sendmsg(2), every reply collected.
//
// Netlink carries a request out inside sendmsg, so that all acknowledgements are queued when it
// returns, and a dump continues inside recv. The replies are therefore read without ever
// blocking, until the queue is empty; nothing can be left over for the next request.

#include "internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

// Room for a message unless told otherwise (link creation: under 400 bytes).
#define MESSAGE_SIZE 1024
// The kernel's replies are at most NLMSG_GOODSIZE (8 KiB), or what an earlier receive had room
// for; see netlink_dump() in the kernel's net/netlink/af_netlink.c.
#define RECEIVE_SIZE 16384
#define DUMP_TRIES 10
// Of the numbers that a system call may return for an error (MAX_ERRNO of the kernel's linux/err.h).
#define MOST_ERRNO 4095

static atomic_uint next_sequence = 1;

// --- Building

struct nl_msg *cnl_batch_add(
    struct cnl_batch *batch, const char *operation, int type, int flags, const void *header,
    size_t size) {
    return cnl_batch_add_sized(batch, operation, type, flags, header, size, MESSAGE_SIZE);
}

struct nl_msg *cnl_batch_add_sized(
    struct cnl_batch *batch, const char *operation, int type, int flags, const void *header,
    size_t size, size_t room) {
    if (batch->count == CNL_BATCH_MAX) {
        batch->failed = true;
        return NULL;
    }
    struct nl_msg *message = nlmsg_alloc_size(room);
    if (message && (!nlmsg_put(message, NL_AUTO_PORT, 0, type, 0, flags | NLM_F_REQUEST) ||
                    nlmsg_append(message, (void *)header, size, NLMSG_ALIGNTO) < 0)) {
        nlmsg_free(message);
        message = NULL;
    }
    if (!message) {
        batch->failed = true;
        return NULL;
    }
    batch->messages[batch->count] = message;
    batch->operations[batch->count] = operation;
    batch->count++;
    return message;
}

void cnl_put(
    struct cnl_batch *batch, struct nl_msg *message, int type, const void *data, size_t size) {
    if (!message || nla_put(message, type, (int)size, data) < 0) batch->failed = true;
}

void cnl_put_u8(struct cnl_batch *batch, struct nl_msg *message, int type, uint8_t value) {
    cnl_put(batch, message, type, &value, sizeof value);
}

void cnl_put_u32(struct cnl_batch *batch, struct nl_msg *message, int type, uint32_t value) {
    cnl_put(batch, message, type, &value, sizeof value);
}

void cnl_put_string(
    struct cnl_batch *batch, struct nl_msg *message, int type, const char *value) {
    cnl_put(batch, message, type, value, strlen(value) + 1);
}

struct nlattr *cnl_nest_start(struct cnl_batch *batch, struct nl_msg *message, int type) {
    struct nlattr *nest = message ? nla_nest_start(message, type) : NULL;
    if (!nest) batch->failed = true;
    return nest;
}

void cnl_nest_end(struct nl_msg *message, struct nlattr *nest) {
    if (nest) nla_nest_end(message, nest);
}

// --- Running

// What is known while the replies of one batch come in.
struct collection {
    const struct cnl_batch *batch;
    uint32_t first_sequence;
    const char *object;
    cnl_reply_handler handler;
    void *argument;
    struct cnl_error *error;
    int result;            // of the first message that failed
    unsigned acknowledged; // messages whose end has been seen
    bool interrupted;      // NLM_F_DUMP_INTR seen
};

// The kernel's own words behind an error, or null; see NETLINK_EXT_ACK in netlink(7).
static const char *explanation(const struct nlmsghdr *reply) {
    // Without NLM_F_CAPPED the request is repeated before the attributes; cnl_socket() asks for it.
    if (!(reply->nlmsg_flags & NLM_F_ACK_TLVS) || !(reply->nlmsg_flags & NLM_F_CAPPED)) return NULL;
    struct nlattr *attributes[NLMSGERR_ATTR_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (nlmsg_parse(header, sizeof(struct nlmsgerr), attributes, NLMSGERR_ATTR_MAX, NULL) < 0)
        return NULL;
    return cnl_get_text(attributes[NLMSGERR_ATTR_MSG]);
}

static void collect_result(
    struct collection *collection, unsigned index, int number, const char *reason) {
    collection->acknowledged++;
    if (number == 0 || collection->result != 0) return;
    collection->result = cnl_fail(
        collection->error, number, collection->batch->operations[index], "%s%s%s",
        collection->object, reason ? ": " : "", reason ? reason : "");
}

static void collect_reply(struct collection *collection, const struct nlmsghdr *reply) {
    uint32_t index = reply->nlmsg_seq - collection->first_sequence;
    if (index >= collection->batch->count) return; // not an answer to us
    if (reply->nlmsg_flags & NLM_F_DUMP_INTR) collection->interrupted = true;
    if (reply->nlmsg_type == NLMSG_ERROR || reply->nlmsg_type == NLMSG_DONE) {
        // Both start with an int: the negative errno.
        int number = 0;
        if (reply->nlmsg_len >= NLMSG_LENGTH(sizeof number))
            memcpy(&number, NLMSG_DATA(reply), sizeof number);
        if (number > 0 || number < -MOST_ERRNO) number = -EPROTO;
        const char *reason =
            reply->nlmsg_type == NLMSG_ERROR && number ? explanation(reply) : NULL;
        collect_result(collection, index, -number, reason);
    } else if (reply->nlmsg_type >= NLMSG_MIN_TYPE && collection->handler) {
        collection->handler(reply, collection->argument);
    }
}

// One receive; 0, -EAGAIN when there is no more, or another -errno.
static int receive(int socket, struct collection *collection) {
    _Alignas(struct nlmsghdr) char buffer[RECEIVE_SIZE];
    struct sockaddr_nl sender;
    struct iovec vector = {buffer, sizeof buffer};
    struct msghdr header = {
        .msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &vector, .msg_iovlen = 1};
    ssize_t received = recvmsg(socket, &header, MSG_DONTWAIT);
    if (received < 0) return errno == EINTR ? 0 : -errno;
    if (header.msg_flags & MSG_TRUNC) return -EMSGSIZE;
    if (sender.nl_pid != 0) return 0; // only the kernel answers
    int left = (int)received;
    for (struct nlmsghdr *reply = (void *)buffer; nlmsg_ok(reply, left);
         reply = nlmsg_next(reply, &left))
        collect_reply(collection, reply);
    return 0;
}

static int send_batch(int socket, struct cnl_batch *batch, uint32_t first_sequence) {
    struct iovec vectors[CNL_BATCH_MAX];
    for (unsigned index = 0; index < batch->count; index++) {
        struct nlmsghdr *message = nlmsg_hdr(batch->messages[index]);
        message->nlmsg_seq = first_sequence + index;
        message->nlmsg_pid = 0;
        vectors[index] = (struct iovec){message, message->nlmsg_len};
    }
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct msghdr header = {
        .msg_name = &kernel,
        .msg_namelen = sizeof kernel,
        .msg_iov = vectors,
        .msg_iovlen = batch->count};
    ssize_t sent;
    do {
        sent = sendmsg(socket, &header, 0);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

// How many messages must have been seen to their end: those that asked for it.
static unsigned expected(const struct cnl_batch *batch) {
    unsigned count = 0;
    for (unsigned index = 0; index < batch->count; index++)
        if (nlmsg_hdr(batch->messages[index])->nlmsg_flags & NLM_F_ACK) count++;
    return count;
}

static int send_and_collect(int socket, struct cnl_batch *batch, struct collection *collection) {
    const char *object = collection->object;
    if (batch->failed) return cnl_fail(collection->error, ENOMEM, "build request", "%s", object);
    int result = send_batch(socket, batch, collection->first_sequence);
    if (result < 0) return cnl_fail(collection->error, -result, "send request", "%s", object);
    do {
        result = receive(socket, collection);
    } while (result == 0);
    if (collection->result < 0) return collection->result;
    if (result != -EAGAIN)
        return cnl_fail(collection->error, -result, "receive reply", "%s", object);
    if (collection->acknowledged < expected(batch))
        return cnl_fail(collection->error, EPROTO, "receive reply", "%s: incomplete", object);
    if (collection->interrupted)
        return cnl_fail(collection->error, EINTR, "receive reply", "%s: changed", object);
    return 0;
}

int cnl_batch_run(
    int socket, struct cnl_batch *batch, const char *object, cnl_reply_handler handler,
    void *argument, struct cnl_error *error) {
    struct collection collection = {
        .batch = batch,
        .first_sequence = atomic_fetch_add(&next_sequence, CNL_BATCH_MAX),
        .object = object,
        .handler = handler,
        .argument = argument,
        .error = error,
    };
    int result = send_and_collect(socket, batch, &collection);
    for (unsigned index = 0; index < batch->count; index++) nlmsg_free(batch->messages[index]);
    batch->count = 0;
    return result;
}

int cnl_dump(
    int socket, const char *operation, int type, const void *header, size_t size,
    cnl_reply_handler handler, void (*reset)(void *argument), void *argument,
    struct cnl_error *error) {
    int result = -EINTR;
    for (int tries = 0; tries < DUMP_TRIES && result == -EINTR; tries++) {
        struct cnl_batch batch = {0};
        // A dump is acknowledged by its NLMSG_DONE alone.
        cnl_batch_add(&batch, operation, type, NLM_F_DUMP | NLM_F_ACK, header, size);
        if (reset) reset(argument);
        result = cnl_batch_run(socket, &batch, "all", handler, argument, error);
    }
    return result;
}

// --- Sockets

int cnl_socket(int protocol, struct cnl_error *error) {
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (descriptor < 0) return cnl_fail(error, errno, "open netlink socket", "family %d", protocol);
    // Capped acknowledgements with the kernel's explanation; dumps that honour their filters.
    int on = 1;
    if (setsockopt(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0 ||
        setsockopt(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0 ||
        (protocol == NETLINK_ROUTE &&
         setsockopt(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) < 0)) {
        int number = errno;
        close(descriptor);
        return cnl_fail(error, number, "set netlink socket option", "family %d", protocol);
    }
    return descriptor;
}
