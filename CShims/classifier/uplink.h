// What hangs on the links to the world (clsact, beside filters of others): it sees packets as they
// are outside, after address translation, and knows whose they are by the link that they came in by,
// which the kernel keeps with a packet on its whole way through the host (skb->skb_iif).
//
//     to_uplink   (egress)    what leaves, before it is queued
//     from_uplink (ingress)   what arrives, before the host sees it
//
// A packet of the host's own came in by no link, and passes untouched.
#ifndef CLASSIFIER_UPLINK_H
#define CLASSIFIER_UPLINK_H

#include "audit.h"
#include "packet.h"
#include "shared_in.h"
#include "tables.h"

#include <linux/pkt_cls.h>

SEC("tc")
int to_uplink(struct __sk_buff *skb) {
    __u32 link = skb->ingress_ifindex;
    const struct slice *slice = link ? bpf_map_lookup_elem(&slices, &link) : NULL;
    // HTB takes a priority with its own handle for the class (htb_classify() in sch_htb.c).
    if (slice && slice->class) skb->priority = slice->class;
    if (slice) count_departure(skb, link);
    if (link == 0) note_host_echo(skb);
    return TC_ACT_UNSPEC;
}

SEC("tc")
int from_uplink(struct __sk_buff *skb) {
    return arrive_shared(skb);
}

#endif
