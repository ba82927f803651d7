/*
 * Unix stream sockets: what Swift can't reach, because it is a macro (CMSG_*), hidden behind
 * _GNU_SOURCE (struct ucred), or an address that has to be laid out in memory (sockaddr_un).
 *
 * Every function returns -1 and sets errno when it fails. Descriptors passed in stay the
 * caller's; descriptors handed out are the caller's to close, and close-on-exec.
 */
#ifndef SYSTEM_SOCKET_H
#define SYSTEM_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The most descriptors that travel beside one call of system_send or system_receive. */
enum { SYSTEM_DESCRIPTORS_MAX = 8 };

/* poll(2): the other side has closed, or shut down its sending. */
enum { SYSTEM_POLL_HANGUP = 0x2000 };

/* The process at the other end, as the kernel recorded it at connect(2) or listen(2). */
struct system_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

/* A socket, close-on-exec; flags: 0 or SOCK_NONBLOCK. */
int system_unix_socket(int flags);

/* connect(2) and bind(2); ENAMETOOLONG when the path has more than 107 bytes. */
int system_unix_connect(int fd, const char *path);
int system_unix_bind(int fd, const char *path);

/* accept4(2): the connection is close-on-exec; blocks only when fd does. */
int system_accept(int fd);

/* 0 when fd is a listening Unix stream socket; EINVAL or ENOTSOCK when it is something else. */
int system_check_unix_listener(int fd);

/* SO_PEERCRED. */
int system_peer_credentials(int fd, struct system_peer *peer);

/* SO_PEERPIDFD (Linux 6.5): a pidfd of the peer; ENOPROTOOPT on older kernels. */
int system_peer_pidfd(int fd);

/*
 * Sends up to length (> 0) bytes without blocking and without SIGPIPE. The descriptors travel with
 * the first of these bytes. Returns how many bytes were taken; EAGAIN when none could be.
 */
ssize_t system_send(int fd, const void *bytes, size_t length, const int *descriptors, size_t count);

/*
 * Receives up to length (> 0) bytes without blocking; 0 at the end of the stream.
 * descriptors must have room for SYSTEM_DESCRIPTORS_MAX; *count is set to how many arrived.
 * *truncated is set when the sender had passed more, or when this process may open no more:
 * the kernel has closed those.
 */
ssize_t system_receive(int fd, void *buffer, size_t length, int *descriptors, size_t *count,
		       bool *truncated);

/* Looks at the next bytes without blocking and without taking them; 0 at the end of the stream. */
ssize_t system_peek(int fd, void *buffer, size_t length);

#endif
