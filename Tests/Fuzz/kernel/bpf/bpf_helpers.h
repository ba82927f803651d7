// In place of libbpf's: what programs for the kernel call, as functions of this process (kernel.c), so that they can be
// compiled for it and fuzzed.
#ifndef FUZZ_BPF_HELPERS_H
#define FUZZ_BPF_HELPERS_H

#include <stddef.h>
#include <linux/bpf.h>

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) __typeof__(value) *name
#undef __always_inline
#define __always_inline inline __attribute__((always_inline, unused))

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
long bpf_clone_redirect(struct __sk_buff *skb, __u32 link, __u64 flags);
__u64 bpf_ktime_get_ns(void);
__u64 bpf_ktime_get_coarse_ns(void);
__u64 bpf_jiffies64(void);
long bpf_skb_pull_data(struct __sk_buff *skb, __u32 size);
long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 offset, void *to, __u32 size);
long bpf_skb_load_bytes_relative(const struct __sk_buff *skb, __u32 offset, void *to, __u32 size, __u32 from);
long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 offset, const void *from, __u32 size, __u64 flags);
long bpf_skb_change_head(struct __sk_buff *skb, __u32 size, __u64 flags);
long bpf_fib_lookup(void *skb, struct bpf_fib_lookup *route, int size, __u32 flags);
long bpf_redirect(__u32 link, __u64 flags);
long bpf_redirect_neigh(__u32 link, struct bpf_redir_neigh *next, int size, __u64 flags);
long bpf_skb_get_tunnel_key(struct __sk_buff *skb, struct bpf_tunnel_key *key, __u32 size, __u64 flags);
long bpf_skb_set_tunnel_key(struct __sk_buff *skb, struct bpf_tunnel_key *key, __u32 size, __u64 flags);
__u64 bpf_get_netns_cookie(void *context);
int bpf_set_retval(int value);

#endif
