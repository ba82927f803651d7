#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "craw.h"

// What a broker sends; they have different lengths.
union told {
    struct slice_raw_answer answer;
    struct slice_raw_event event;
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int send_command(int control, const struct slice_raw_command *command, int descriptor) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } beside;
    struct iovec text = {.iov_base = (void *)command, .iov_len = sizeof *command};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (descriptor >= 0) {
        memset(&beside, 0, sizeof beside);
        message.msg_control = &beside;
        message.msg_controllen = sizeof beside.room;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof descriptor), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    ssize_t sent;
    do sent = sendmsg(control, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return 0;
    return errno == EPIPE ? -ECONNRESET : -errno;
}

// One message: its length, or -EAGAIN, -ECONNRESET.
static ssize_t receive(int control, union told *told) {
    ssize_t length;
    do length = recv(control, told, sizeof *told, MSG_DONTWAIT | MSG_TRUNC);
    while (length < 0 && errno == EINTR);
    if (length == 0) return -ECONNRESET;
    return length < 0 ? -errno : length;
}

static bool is_event(const union told *told, ssize_t length) {
    return length == sizeof told->event && told->event.kind == SLICE_RAW_EVENT;
}

int craw_command(
    int control, const struct slice_raw_command *command, int descriptor, int timeout_ms,
    struct slice_raw_answer *answer, void (*event)(void *context, const struct slice_raw_event *event),
    void *context) {
    const int64_t deadline = now_ms() + timeout_ms;
    int result = send_command(control, command, descriptor);
    if (result < 0) return result;
    for (;;) {
        union told told;
        const ssize_t length = receive(control, &told);
        if (is_event(&told, length)) {
            event(context, &told.event);
            if (now_ms() >= deadline) return -ETIMEDOUT; // a broker that tells without end
        } else if (length == sizeof told.answer && told.answer.kind == SLICE_RAW_ANSWER) {
            *answer = told.answer;
            return 0;
        } else if (length >= 0) {
            return -EPROTO;
        } else if (length != -EAGAIN) {
            return (int)length;
        } else {
            const int64_t left = deadline - now_ms();
            struct pollfd entry = {.fd = control, .events = POLLIN};
            if (left <= 0) return -ETIMEDOUT;
            if (poll(&entry, 1, (int)left) < 0 && errno != EINTR) return -errno;
        }
    }
}

int craw_receive(
    int control, void (*event)(void *context, const struct slice_raw_event *event), void *context) {
    // More is received the next time.
    for (int each = 0; each < 4 * SLICE_RAW_EVENTS; each++) {
        union told told;
        const ssize_t length = receive(control, &told);
        if (is_event(&told, length)) event(context, &told.event);
        else if (length < 0) return length == -EAGAIN ? 0 : (int)length;
    }
    return 0;
}

// ---- grants ------------------------------------------------------------------------------------

void craw_add_protocol(struct slice_raw_grants *grants, int is_ipv6, uint8_t protocol) {
    uint64_t *set = is_ipv6 ? grants->ipv6 : grants->ipv4;
    set[protocol / 64] |= (uint64_t)1 << protocol % 64;
}

static int add_range(
    struct slice_raw_range *ranges, uint16_t *count, uint16_t first, uint16_t last) {
    if (*count == SLICE_RAW_RANGES) return -1;
    ranges[(*count)++] = (struct slice_raw_range){.first = first, .last = last};
    return 0;
}

int craw_add_udp(struct slice_raw_grants *grants, uint16_t first, uint16_t last) {
    return add_range(grants->udp, &grants->udp_count, first, last);
}

int craw_add_tcp(struct slice_raw_grants *grants, uint16_t first, uint16_t last) {
    return add_range(grants->tcp, &grants->tcp_count, first, last);
}

int craw_add_ethertype(struct slice_raw_grants *grants, uint16_t ethertype) {
    if (grants->ethertype_count == SLICE_RAW_ETHERTYPES) return -1;
    grants->ethertypes[grants->ethertype_count++] = ethertype;
    return 0;
}
