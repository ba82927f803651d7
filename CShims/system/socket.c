#define _GNU_SOURCE
#include "system_socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* asm-generic/socket.h since Linux 6.5 */
#endif

_Static_assert(SYSTEM_POLL_HANGUP == POLLRDHUP, "differs on this architecture");

int system_unix_socket(int flags)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static int fill_address(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);

	if (length == 0) {
		errno = ENOENT;
		return -1;
	}
	if (length >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, length);
	return 0;
}

int system_unix_connect(int fd, const char *path)
{
	struct sockaddr_un address;

	if (fill_address(&address, path) == -1)
		return -1;
	return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

int system_unix_bind(int fd, const char *path)
{
	struct sockaddr_un address;

	if (fill_address(&address, path) == -1)
		return -1;
	return bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

int system_accept(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC);
}

static int has_option(int fd, int option, int wanted)
{
	int value;
	socklen_t length = sizeof(value);

	if (getsockopt(fd, SOL_SOCKET, option, &value, &length) == -1)
		return -1;
	if (value != wanted) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

int system_check_unix_listener(int fd)
{
	if (has_option(fd, SO_DOMAIN, AF_UNIX) == -1 || has_option(fd, SO_TYPE, SOCK_STREAM) == -1)
		return -1;
	return has_option(fd, SO_ACCEPTCONN, 1);
}

int system_peer_credentials(int fd, struct system_peer *peer)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == -1)
		return -1;
	peer->uid = credentials.uid;
	peer->gid = credentials.gid;
	peer->pid = credentials.pid;
	return 0;
}

int system_peer_pidfd(int fd)
{
	int pidfd;
	socklen_t length = sizeof(pidfd);

	/* The kernel opens it close-on-exec, as every pidfd (pidfd_open(2)). */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == -1)
		return -1;
	return pidfd;
}

/* Aligned room for one SCM_RIGHTS message (cmsg(3)). */
union rights {
	struct cmsghdr header;
	char room[CMSG_SPACE(SYSTEM_DESCRIPTORS_MAX * sizeof(int))];
};

ssize_t system_send(int fd, const void *bytes, size_t length, const int *descriptors, size_t count)
{
	union rights rights;
	struct iovec data = {.iov_base = (void *)bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (count > SYSTEM_DESCRIPTORS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (count > 0) {
		memset(&rights, 0, sizeof(rights));
		message.msg_control = &rights;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		rights.header.cmsg_level = SOL_SOCKET;
		rights.header.cmsg_type = SCM_RIGHTS;
		rights.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&rights.header), descriptors, count * sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t system_receive(int fd, void *buffer, size_t length, int *descriptors, size_t *count,
		       bool *truncated)
{
	union rights rights;
	struct iovec data = {.iov_base = buffer, .iov_len = length};
	struct msghdr message = {
	    .msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = &rights,
	    .msg_controllen = sizeof(rights),
	};
	struct cmsghdr *header;
	ssize_t received;

	*count = 0;
	*truncated = false;
	received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (received == -1)
		return -1;
	/* One SCM_RIGHTS at most: the kernel merges none, and no other kind was asked for. */
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
		size_t size = header->cmsg_len - CMSG_LEN(0);

		memcpy(descriptors, CMSG_DATA(header), size);
		*count = size / sizeof(int);
	}
	*truncated = (message.msg_flags & MSG_CTRUNC) != 0;
	return received;
}

ssize_t system_peek(int fd, void *buffer, size_t length)
{
	return recv(fd, buffer, length, MSG_PEEK | MSG_DONTWAIT);
}
