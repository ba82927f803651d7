// WireGuard by generic netlink (linux/wireguard.h). A link is named by its index, which means something
// in its own network namespace alone: so each request goes by a socket made there.

#include "wireguard.h"
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static int open_socket(void *argument, struct cnl_error *error) {
    int *socket = argument;
    *socket = cnl_socket(NETLINK_GENERIC, error);
    return *socket < 0 ? *socket : 0;
}

static void read_family(const struct nlmsghdr *reply, void *argument) {
    struct nlattr *attributes[CTRL_ATTR_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (nlmsg_parse(header, GENL_HDRLEN, attributes, CTRL_ATTR_MAX, NULL) < 0) return;
    if (attributes[CTRL_ATTR_FAMILY_ID])
        *(uint16_t *)argument = nla_get_u16(attributes[CTRL_ATTR_FAMILY_ID]);
}

// Generic netlink gives its families numbers as they are loaded.
static int find_family(int socket, uint16_t *family, struct cnl_error *error) {
    const struct genlmsghdr header = {.cmd = CTRL_CMD_GETFAMILY, .version = 2};
    struct cnl_batch batch = {0};
    struct nl_msg *message = cnl_batch_add(
        &batch, "find WireGuard", GENL_ID_CTRL, NLM_F_ACK, &header, sizeof header);
    cnl_put_string(&batch, message, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
    *family = 0;
    struct cnl_error failure;
    int result = cnl_batch_run(socket, &batch, WG_GENL_NAME, read_family, family, &failure);
    if (result == -ENOENT || (result == 0 && *family == 0))
        return cnl_fail(error, EOPNOTSUPP, "find WireGuard", "the kernel has none");
    if (result < 0 && error) *error = failure;
    return result;
}

// A request to be filled, and the socket for it.
struct request {
    int socket;
    struct cnl_batch batch;
    struct nl_msg *message;
};

static int begin(
    struct request *request, int netns, int index, const char *operation, uint8_t command,
    struct cnl_error *error) {
    *request = (struct request){.socket = -1};
    int result = cnl_run_inside(netns, open_socket, &request->socket, error);
    uint16_t family = 0;
    if (result == 0) result = find_family(request->socket, &family, error);
    if (result < 0) {
        if (request->socket >= 0) close(request->socket);
        return result;
    }
    const struct genlmsghdr header = {.cmd = command, .version = WG_GENL_VERSION};
    request->message = cnl_batch_add(
        &request->batch, operation, family,
        NLM_F_ACK | (command == WG_CMD_GET_DEVICE ? NLM_F_DUMP : 0), &header, sizeof header);
    cnl_put_u32(&request->batch, request->message, WGDEVICE_A_IFINDEX, (uint32_t)index);
    return 0;
}

static int end(
    struct request *request, cnl_reply_handler handler, void *argument, struct cnl_error *error) {
    int result =
        cnl_batch_run(request->socket, &request->batch, "carrier", handler, argument, error);
    close(request->socket);
    return result;
}

int cnl_wireguard_set_own(
    int netns, int index, const uint8_t private_key[CNL_WG_KEY_SIZE], uint16_t port,
    struct cnl_error *error) {
    struct request request;
    int result = begin(&request, netns, index, "set WireGuard's key", WG_CMD_SET_DEVICE, error);
    if (result < 0) return result;
    cnl_put(&request.batch, request.message, WGDEVICE_A_PRIVATE_KEY, private_key, CNL_WG_KEY_SIZE);
    cnl_put(&request.batch, request.message, WGDEVICE_A_LISTEN_PORT, &port, sizeof port);
    return end(&request, NULL, NULL, error);
}

static void put_endpoint(struct request *request, const struct cnl_wg_peer *peer) {
    if (peer->family == AF_INET) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(peer->udp_port)};
        memcpy(&address.sin_addr, peer->host, sizeof address.sin_addr);
        cnl_put(&request->batch, request->message, WGPEER_A_ENDPOINT, &address, sizeof address);
    } else {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(peer->udp_port)};
        memcpy(&address.sin6_addr, peer->host, sizeof address.sin6_addr);
        cnl_put(&request->batch, request->message, WGPEER_A_ENDPOINT, &address, sizeof address);
    }
}

static void put_part(struct request *request, const struct cnl_wg_peer *peer) {
    struct cnl_batch *batch = &request->batch;
    const uint16_t family = AF_INET;
    struct nlattr *list = cnl_nest_start(batch, request->message, WGPEER_A_ALLOWEDIPS);
    struct nlattr *one = cnl_nest_start(batch, request->message, 0);
    cnl_put(batch, request->message, WGALLOWEDIP_A_FAMILY, &family, sizeof family);
    cnl_put(batch, request->message, WGALLOWEDIP_A_IPADDR, peer->part, sizeof peer->part);
    cnl_put_u8(batch, request->message, WGALLOWEDIP_A_CIDR_MASK, peer->part_length);
    cnl_nest_end(request->message, one);
    cnl_nest_end(request->message, list);
}

// `peer` null: take the one with this key away.
static int change(
    int netns, int index, const uint8_t *key, const struct cnl_wg_peer *peer,
    struct cnl_error *error) {
    struct request request;
    int result = begin(
        &request, netns, index, peer ? "set WireGuard's peer" : "remove WireGuard's peer",
        WG_CMD_SET_DEVICE, error);
    if (result < 0) return result;
    struct nlattr *list = cnl_nest_start(&request.batch, request.message, WGDEVICE_A_PEERS);
    struct nlattr *one = cnl_nest_start(&request.batch, request.message, 0);
    cnl_put(&request.batch, request.message, WGPEER_A_PUBLIC_KEY, key, CNL_WG_KEY_SIZE);
    cnl_put_u32(
        &request.batch, request.message, WGPEER_A_FLAGS,
        peer ? WGPEER_F_REPLACE_ALLOWEDIPS : WGPEER_F_REMOVE_ME);
    if (peer) {
        put_endpoint(&request, peer);
        put_part(&request, peer);
    }
    cnl_nest_end(request.message, one);
    cnl_nest_end(request.message, list);
    return end(&request, NULL, NULL, error);
}

int cnl_wireguard_set_peer(
    int netns, int index, const struct cnl_wg_peer *peer, struct cnl_error *error) {
    return change(netns, index, peer->public_key, peer, error);
}

int cnl_wireguard_remove_peer(
    int netns, int index, const uint8_t public_key[CNL_WG_KEY_SIZE], struct cnl_error *error) {
    return change(netns, index, public_key, NULL, error);
}

struct found_key {
    bool found;
    uint8_t key[CNL_WG_KEY_SIZE];
};

static void read_key(const struct nlmsghdr *reply, void *argument) {
    struct found_key *found = argument;
    struct nlattr *attributes[WGDEVICE_A_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (nlmsg_parse(header, GENL_HDRLEN, attributes, WGDEVICE_A_MAX, NULL) < 0) return;
    struct nlattr *key = attributes[WGDEVICE_A_PUBLIC_KEY];
    if (!key || nla_len(key) != CNL_WG_KEY_SIZE) return;
    memcpy(found->key, nla_data(key), CNL_WG_KEY_SIZE);
    found->found = true;
}

int cnl_wireguard_public_key(
    int netns, int index, uint8_t public_key[CNL_WG_KEY_SIZE], struct cnl_error *error) {
    struct request request;
    int result = begin(&request, netns, index, "read WireGuard's key", WG_CMD_GET_DEVICE, error);
    if (result < 0) return result;
    struct found_key found = {0};
    result = end(&request, read_key, &found, error);
    if (result == 0 && !found.found)
        result = cnl_fail(error, ENOKEY, "read WireGuard's key", "carrier");
    if (result == 0) memcpy(public_key, found.key, CNL_WG_KEY_SIZE);
    return result;
}
