// bind(2) in slices with the node's address: a port that is not theirs is refused at once, where
// otherwise nothing would ever arrive at it. These programs hang on the cgroup above all slices'; what
// holds a slice to its ports is from_slice.
#ifndef CLASSIFIER_SHARED_BIND_H
#define CLASSIFIER_SHARED_BIND_H

#include "shared.h"

// errno.h, which bpf's target cannot include.
#define EACCES 13
#define EADDRINUSE 98

// Whether a slice may bind a port; for automatic ones, 0, its range is set (ip_local_port_range). A
// slice is known by its network namespace, which it can't change.
static __always_inline int may_bind(struct bpf_sock_addr *address) {
    const __be16 port = address->user_port;
    if (port == 0) return 1;
    __u64 namespace = bpf_get_netns_cookie(address);
    const __u32 *link = bpf_map_lookup_elem(&namespaces, &namespace);
    if (!link) return 1;
    const __u32 owner = owner_of(port);
    if (owner == *link) return 1;
    bpf_set_retval(owner ? -EADDRINUSE : -EACCES);
    return 0;
}

// Loopback is the slice's own.
SEC("cgroup/bind4")
int bind_ipv4(struct bpf_sock_addr *address) {
    return (address->user_ip4 & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000) ||
           may_bind(address);
}

SEC("cgroup/bind6")
int bind_ipv6(struct bpf_sock_addr *address) {
    const __u32 first = address->user_ip6[0] | address->user_ip6[1];
    const __u32 third = address->user_ip6[2], last = address->user_ip6[3];
    const int loopback = first == 0 && third == 0 && last == bpf_htonl(1);
    const int mapped = first == 0 && third == bpf_htonl(0xffff) &&
                       (last & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
    return loopback || mapped || may_bind(address);
}

#endif
