// What the kernel's programs let through: the classifier, the programs of overlays, the judge of raw sockets, compiled for
// this process. What passes must be right in the eyes of judge.c, which is written another way.
//
// The input is a list of steps: eight bytes that say which program runs, on which link and in what surroundings, two for
// the packet's length, and the packet.
#include "judge.h"
#include "kernel.h"

#include "../../CShims/classifier/maps.h"
#include "../../CShims/classifier/overlay.h"
#include "../../CShims/protocol/slice_raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The programs, and their maps by name: what they are is in their own sources.
int from_slice(struct __sk_buff *), to_slice(struct __sk_buff *), to_uplink(struct __sk_buff *), from_uplink(struct __sk_buff *);
int from_raw_socket(struct __sk_buff *);
int from_member(struct __sk_buff *), to_member(struct __sk_buff *), from_peer(struct __sk_buff *), to_peer(struct __sk_buff *);
extern char slices[], drops[], networks[], services[], allowed_networks[], allowed_services[], raw_grants[], flows[], visits[],
    ports[], echoes[], namespaces[], fragments[], host_echoes[], verdicts[], audit_even[], audit_odd[], senders[];
extern char state[], members[], peers[], dropped[];
extern struct terms terms;
extern struct speakers speakers;
extern struct control control;

enum { PLAIN = 2, GRANTED, SHARED, OTHER_SHARED, MEMBER, GRANTED_MEMBER, UPLINK = 9, PASSES = 0, COPIED = 4 /* TC_ACT_STOLEN */, REDIRECTED = 7 };

static const struct party parties[] = {
    [PLAIN] = {{2, 0, 0, 0, 0, 2}, {2, 0x73, 0x68, 0, 0, 1}, {172, 31, 128, 2}, {0xfd, [15] = 2}, 0, 0, false, false},
    [GRANTED] = {{2, 0, 0, 0, 0, 3}, {2, 0x73, 0x68, 0, 0, 1}, {172, 31, 128, 3}, {0xfd, [15] = 3}, 0, 0, true, false},
    [SHARED] = {{2, 0, 0, 0, 0, 4}, {2, 0x73, 0x68, 0, 0, 1}, {203, 0, 113, 2}, {0x20, 1, [15] = 2}, 20000, 64, false, false},
    [OTHER_SHARED] = {{2, 0, 0, 0, 0, 5}, {2, 0x73, 0x68, 0, 0, 1}, {203, 0, 113, 2}, {0x20, 1, [15] = 2}, 20064, 64, false, false},
};
static const struct party overlay_members[] = {
    {.mac = {2, 0, 0, 0, 0, 6}, .host_mac = {2, 0x73, 0x6f, 0, 0, 9}, .ipv4 = {10, 64, 0, 2}},
    {.mac = {2, 0, 0, 0, 0, 7}, .host_mac = {2, 0x73, 0x6f, 0, 0, 10}, .ipv4 = {10, 64, 0, 3}, .ospf = true},
};

static void map_address(uint8_t to[16], const uint8_t ipv4[4])
{
    memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    memcpy(to + 12, ipv4, 4);
}

static void add_maps(void)
{
    const struct { void *map; enum map_kind kind; size_t key, value, count; } list[] = {
        {slices, MAP_HASH, 4, sizeof(struct slice), 8}, {drops, MAP_HASH, 4, sizeof(struct drops), 8},
        {networks, MAP_PREFIX, sizeof(struct network), 4, 8}, {services, MAP_HASH, sizeof(struct service), 4, 8},
        {allowed_networks, MAP_PREFIX, sizeof(struct allowed_network), 4, 8},
        {allowed_services, MAP_HASH, sizeof(struct allowed_service), 4, 8},
        {raw_grants, MAP_HASH, 4, sizeof(struct raw_grant), 8}, {flows, MAP_HASH, sizeof(struct flow), 8, 32},
        {visits, MAP_HASH, sizeof(struct flow), 8, 32}, {ports, MAP_ARRAY, 4, 4, PORTS}, {echoes, MAP_ARRAY, 4, 4, PORTS},
        {namespaces, MAP_HASH, 8, 4, 8}, {fragments, MAP_HASH, sizeof(struct fragment), sizeof(struct claim), 32},
        {host_echoes, MAP_HASH, sizeof(struct host_echo), 8, 32}, {verdicts, MAP_ARRAY, 4, 56, 1024},
        {audit_even, MAP_HASH, sizeof(struct departure), sizeof(struct traffic), 32},
        {audit_odd, MAP_HASH, sizeof(struct departure), sizeof(struct traffic), 32},
        {senders, MAP_HASH, 4, sizeof(struct sender), 8}, {state, MAP_ARRAY, 4, sizeof(struct slice_raw_state), 1},
        {members, MAP_HASH, 4, sizeof(struct member), 8}, {peers, MAP_PREFIX, sizeof(struct part), sizeof(struct peer), 8},
        {dropped, MAP_HASH, 4, sizeof(struct overlay_drops), 8},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        kernel_add_map(list[i].map, list[i].kind, list[i].key, list[i].value, list[i].count);
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
void *bpf_map_lookup_elem(void *map, const void *key);

static void set(void *map, const void *key, const void *value)
{
    if (bpf_map_update_elem(map, key, value, 0) != 0)
        abort();
}

static void set_slices(void)
{
    for (uint32_t link = PLAIN; link <= OTHER_SHARED; link++) {
        const struct party *party = &parties[link];
        struct slice slice = {.owner = 1000 + link % 2, .has_ipv6 = 1, .shared = party->port_count > 0,
                              .first_port = (uint16_t)party->first_port, .port_count = (uint16_t)party->port_count,
                              .gateway4 = {[10] = 0xff, 0xff, 172, 31, 128, 1}, .gateway6 = {0xfd, [15] = 1}};
        memcpy(slice.mac, party->mac, 6);
        memcpy(slice.host_mac, party->host_mac, 6);
        map_address(slice.ipv4, party->ipv4);
        memcpy(slice.ipv6, party->ipv6, 16);
        set(slices, &link, &slice);
        set(drops, &link, &(struct drops){0});
        set(senders, &link, &(struct sender){0});
        for (uint32_t port = party->first_port; port < party->first_port + party->port_count; port++)
            set(ports, &port, &link);
        if (party->gre)
            set(raw_grants, &link, &(struct raw_grant){.ipv4 = {1ull << 47}, .ethertypes = {0xb588}});
    }
}

static void set_world(void)
{
    static const uint32_t refused = NETWORK_REFUSED, first = 0;
    kernel_reset();
    set_slices();
    struct network site = {.length = 96 + 8, .address = {[10] = 0xff, 0xff, 10}};
    set(networks, &site, &refused);
    set(services, &(struct service){.port = 0x3500, .protocol = 17}, &refused); // 53, at the host
    struct slice_raw_state grants = {.granted = 1, .grants = {.udp_count = 1, .udp = {{20000, 20010}}, .ethertype_count = 1,
                                     .ethertypes = {0x88b5}, .ipv4 = {1ull << 1, 1ull << (89 - 64)}, .ipv6 = {1ull << 58, 1ull << (89 - 64)}}};
    set(state, &first, &grants);
    // 10.64.0.0/16, of which this node has 10.64.0.0/24 and a peer 10.64.1.0/24.
    terms = (struct terms){.subnet = 0x0000400a, .subnet_mask = 0x0000ffff, .part = 0x0000400a, .part_mask = 0x00ffffff,
                           .gateway = 0x0100400a, .network = 7, .has_headers = 1};
    // One that has gone, and one that was granted something else.
    speakers = (struct speakers){.links = {GRANTED_MEMBER, 8, 0, MEMBER}};
    for (uint32_t link = MEMBER; link <= GRANTED_MEMBER; link++) {
        const struct party *party = &overlay_members[link - MEMBER];
        struct member one = {.protocols = {0, party->ospf ? 1ull << (89 - 64) : 0}};
        memcpy(one.mac, party->mac, 6);
        memcpy(one.host_mac, party->host_mac, 6);
        memcpy(&one.address, party->ipv4, 4);
        set(members, &link, &one);
        set(dropped, &link, &(struct overlay_drops){0});
    }
    set(peers, &(struct part){.length = 24, .address = 0x0001400a}, &(struct peer){.family = 2, .ipv4 = 0xcb007107});
    control = (struct control){.generation = 1, .reserved = 4};
    world = (struct world){.now = 1000000000ull * 100};
}

// ---- steps

struct step {
    uint8_t program, link, route, route_link, flags, linear, time, protocol;
};

static void wrong(const char *program, unsigned link, const char *what)
{
    fprintf(stderr, "%s let pass on link %u: %s\n", program, link, what);
    abort();
}

// Whom what arrives for the node's address is given to: who has the port that it names.
static const char *judge_arrival(const uint8_t *frame, size_t size)
{
    const struct party *party = &parties[world.redirected];
    const size_t header = frame[12] == 0x08 ? 14 + 4u * (frame[14] & 15) : frame[20] == 44 ? 62 : 54;
    const unsigned protocol = frame[12] == 0x08 ? frame[23] : frame[20] == 44 ? frame[54] : frame[20];
    if (world.redirected != SHARED && world.redirected != OTHER_SHARED)
        return "to a link that doesn't share the address";
    if (memcmp(frame, party->mac, 6) != 0)
        return "not to the slice's MAC address";
    const bool later = frame[12] == 0x08 ? ((frame[20] & 0x1f) | frame[21]) != 0 : frame[20] == 44 && (frame[56] | (frame[57] & 0xf8)) != 0;
    if (later || (protocol != 6 && protocol != 17) || size < header + 4)
        return NULL;
    const unsigned port = (unsigned)frame[header + 2] << 8 | frame[header + 3];
    return port - party->first_port < party->port_count ? NULL : "for a port that is not the slice's";
}

// The identifier with which an echo leaves, after it was exchanged.
static const char *judge_echo(const struct party *party, const uint8_t *frame)
{
    const bool six = frame[12] == 0x86;
    const size_t header = six ? 54 : 34;
    if (frame[six ? 20 : 23] != (six ? 58 : 1) || (!six && (((frame[20] & 0x1f) | frame[21]) != 0)))
        return NULL;
    if (frame[header] == (six ? 129 : 0))
        return "an answer to an echo, which is the host's to give";
    if (frame[header] != (six ? 128 : 8))
        return NULL;
    const unsigned identifier = (unsigned)frame[header + 4] << 8 | frame[header + 5];
    return identifier - party->first_port < party->port_count ? NULL : "an echo with an identifier that is not the slice's";
}

static const char *judge_from_slice(unsigned link, int verdict, const uint8_t *frame, size_t size, bool tagged)
{
    const struct party *party = &parties[link];
    const char *what = judge_sent(party, frame, size, tagged);
    if (what || !party->port_count)
        return what ? what : verdict == PASSES ? NULL : "redirected, and doesn't share an address";
    if (verdict != REDIRECTED || world.redirected != world.route_link || (world.redirected >= PLAIN && world.redirected <= OTHER_SHARED))
        return "from the node's address, and not to the outside";
    return judge_echo(party, frame);
}

static const struct party *member_at(unsigned link)
{
    return link == MEMBER || link == GRANTED_MEMBER ? &overlay_members[link - MEMBER] : NULL;
}

// `sent`: the frame as it came; `frame`: as it goes on, with other addresses of its own.
static const char *judge_from_member(unsigned link, int verdict, const uint8_t *sent, const uint8_t *frame, size_t size, bool tagged)
{
    const struct party *party = member_at(link);
    if (!party)
        return "what came by a link without a member";
    // An answer for who asks by ARP goes back and nowhere else.
    if (frame[12] == 0x08 && frame[13] == 0x06)
        return verdict == REDIRECTED && world.redirected == link && memcmp(frame, party->mac, 6) == 0 ? NULL : "ARP for others";
    if (world.copied & ~(1u << GRANTED_MEMBER) || world.copied >> link & 1)
        return "a copy for somebody without a grant, or for the sender";
    return judge_member(party, sent, size, tagged);
}

static const char *judge_to_member(unsigned link, const uint8_t *frame, bool tagged)
{
    const struct party *party = member_at(link);
    if (!party || tagged)
        return "what goes to a link without a member, or is tagged";
    if (frame[12] == 0x08 && frame[13] == 0x06)
        return NULL;
    const unsigned protocol = frame[23];
    const bool granted = protocol == 1 || protocol == 6 || protocol == 17 || (protocol == 89 && party->ospf);
    const bool own = memcmp(frame + 30, party->ipv4, 4) == 0 || memcmp(frame + 30, "\xe0\0\0", 3) == 0;
    return granted && own ? NULL : "what is not for the member";
}

static const char *judge_from_peer(const uint8_t *frame, size_t size, unsigned host)
{
    if (size < 34 || memcmp(frame + 26, "\x0a\x40\x01", 3) != 0)
        return "an address that is not the peer's";
    if (memcmp(frame + 30, "\x0a\x40\x00", 3) != 0)
        return "an address that is not this node's to give";
    return host == 7 && !world.no_tunnel ? NULL : "from no peer";
}

static bool passes(int verdict) { return verdict == PASSES || verdict == COPIED || verdict == REDIRECTED; }

static void run(const struct step *step, const uint8_t *bytes, size_t size)
{
    struct __sk_buff skb = {.ifindex = step->link % 10, .vlan_present = step->flags & 1, .ingress_ifindex = step->flags & 2 ? UPLINK : 0,
                            .mark = step->flags & 4 ? SLICE_RAW_MARK | 1 : 0, .pkt_type = step->flags & 8 ? 3 : 0};
    uint8_t *frame = kernel_set_packet(&skb, bytes, size, step->linear);
    // As eth_type_trans() says it; behind that it is a program's word for what it sends.
    unsigned type = size >= 14 ? (unsigned)frame[12] << 8 | frame[13] : 0;
    skb.protocol = (uint16_t)(frame[13] << 8 | frame[12]);
    if (type < 0x0600)
        skb.protocol = 0x0400; // ETH_P_802_2
    world.route = step->route % 10;
    world.route_link = step->route_link % 10;
    world.now += (uint64_t)step->time << 22;
    world.tunnel = (struct bpf_tunnel_key){.tunnel_id = 7, .remote_ipv4 = 0xcb007100u + step->protocol};
    world.no_tunnel = step->flags & 16;
    world.redirected = world.copied = 0;
    const unsigned link = skb.ifindex;
    const bool known = link >= PLAIN && link <= OTHER_SHARED, tagged = skb.vlan_present;
    const char *what = NULL;
    int verdict;
    switch (step->program % 9) {
    case 0:
        verdict = from_slice(&skb);
        if (verdict == PASSES || verdict == REDIRECTED)
            what = !known ? "what came by a link without a slice" : judge_from_slice(link, verdict, frame, size, tagged);
        if (what)
            wrong("from_slice", link, what);
        break;
    case 1:
        verdict = to_slice(&skb);
        if (verdict == PASSES)
            what = !known ? "what goes to a link without a slice" : judge_received(&parties[link], frame, size, tagged);
        if (what)
            wrong("to_slice", link, what);
        break;
    case 2:
        skb.ifindex = UPLINK;
        if (from_uplink(&skb) == REDIRECTED && (what = judge_arrival(frame, size)))
            wrong("from_uplink", world.redirected, what);
        break;
    case 3:
        skb.ifindex = UPLINK;
        skb.ingress_ifindex = link;
        to_uplink(&skb);
        break;
    case 4:
        skb.protocol = (uint16_t)(step->protocol << 8);
        if (from_raw_socket(&skb) == PASSES && skb.mark && (what = judge_raw(frame, size, tagged)))
            wrong("from_raw_socket", link, what);
        break;
    case 5:
        verdict = from_member(&skb);
        if (passes(verdict) && (what = judge_from_member(link, verdict, bytes, frame, size, tagged)))
            wrong("from_member", link, what);
        break;
    case 6:
        if (passes(to_member(&skb)) && (what = judge_to_member(link, frame, tagged)))
            wrong("to_member", link, what);
        break;
    case 7:
        if (passes(from_peer(&skb)) && (what = judge_from_peer(frame, size, step->protocol)))
            wrong("from_peer", link, what);
        break;
    case 8:
        if (to_peer(&skb) == PASSES && memcmp(frame + 30, "\x0a\x40\x01", 3) != 0)
            wrong("to_peer", link, "what is no peer's");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        add_maps();
    ready = true;
    set_world();
    struct step step;
    while (size >= sizeof step + 2) {
        memcpy(&step, data, sizeof step);
        size_t length = data[sizeof step] | (size_t)data[sizeof step + 1] << 8;
        data += sizeof step + 2;
        size -= sizeof step + 2;
        length = length > size ? size : length;
        // The kernel lets none in that has not a whole Ethernet header.
        if (length >= 14 && length <= MOST_PACKET)
            run(&step, data, length);
        data += length;
        size -= length;
    }
    return 0;
}
