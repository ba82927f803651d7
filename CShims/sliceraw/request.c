#define _GNU_SOURCE
#include "request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sliceraw.h"

int sliceraw_connect(void) {
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SLICE_REQUEST_PATH};
    const int made = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (made < 0) return -1;
    if (connect(made, (const struct sockaddr *)&address, sizeof address) == 0) return made;
    const int error = errno;
    close(made);
    errno = error;
    return -1;
}

// Room for what one answer can have beside it.
union beside {
    struct cmsghdr header;
    char room[CMSG_SPACE(SLICE_REQUEST_SOCKETS_MAX * sizeof(int))];
};

// Takes the descriptors of an answer; those beyond `count` are closed. Returns how many came.
static unsigned take(struct msghdr *message, int *opened, unsigned count) {
    const struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return 0;
    const unsigned came = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (unsigned each = 0; each < came; each++) {
        int number;
        memcpy(&number, CMSG_DATA(header) + each * sizeof number, sizeof number);
        if (each < count) opened[each] = number;
        else close(number);
    }
    return came;
}

int sliceraw_request(int connection, const struct slice_request *request, int *opened, unsigned count) {
    if (connection < 0) return -1;
    ssize_t length;
    do length = send(connection, request, sizeof *request, MSG_NOSIGNAL);
    while (length < 0 && errno == EINTR);
    if (length < 0) return -1;
    struct slice_answer answer;
    union beside beside;
    struct iovec text = {.iov_base = &answer, .iov_len = sizeof answer};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = &beside,
                             .msg_controllen = sizeof beside.room};
    do length = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length <= 0) {
        if (length == 0) errno = ECONNRESET;
        return -1;
    }
    const unsigned came = take(&message, opened, count);
    const bool good = length == (ssize_t)sizeof answer && answer.kind == request->kind;
    if (good && answer.error == 0 && came == count) return 0;
    for (unsigned each = 0; each < came && each < count; each++) close(opened[each]);
    errno = good && answer.error > 0 ? answer.error : EPROTO;
    return -1;
}

int sliceraw_sockets(
    int connection, int domain, int type, int protocol, int *sockets, unsigned count) {
    if (count == 0 || count > SLICE_REQUEST_SOCKETS_MAX) {
        errno = EINVAL;
        return -1;
    }
    const struct slice_request request = {
        .kind = SLICE_REQUEST_SOCKETS,
        .sockets = {.domain = domain, .type = type, .protocol = protocol, .count = count},
    };
    return sliceraw_request(connection, &request, sockets, count);
}
