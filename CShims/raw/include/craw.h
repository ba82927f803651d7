// Loads what judges the packets of a slice's raw sockets (raw.bpf.c), once for each slice that has any,
// and speaks to the slice's broker (slice_raw.h).
//
// A program is held by what it hangs on, and holds its maps. Whoever has a descriptor of the map of grants
// can start the next broker with it.
//
// Conventions: 0 or -errno; needs CAP_SYS_ADMIN in the initial user namespace, as bpf(2) does; any thread
// at any time. Descriptors handed out are the caller's, and close-on-exec.
#ifndef CRAW_H
#define CRAW_H

#include <stdint.h>

#include "../../protocol/slice_raw.h"

#define CRAW_DETAIL_SIZE 192

struct craw_error {
    const char *operation;
    char detail[CRAW_DETAIL_SIZE];
};

struct craw_judge {
    int program; // for a filter on the slice's end of its link, in the direction out
    int state;   // its map, struct slice_raw_state
};

// `path`: of the object file. `state`: of an earlier judge of the slice, for one in its place; -1: with a
// map of its own. `error` may be null, else it is filled on failure.
// ENOENT: no such file. EOPNOTSUPP: this kernel cannot run it.
int craw_load(const char *path, int state, struct craw_judge *judge, struct craw_error *error);

// The program with this id (cnl_raw_find()): a descriptor, the caller's, or -errno. ENOENT: it has gone.
int craw_open(uint32_t id, struct craw_error *error);

// What hands packets to the slice's AF_XDP socket (xdp.bpf.c).
struct craw_receiver {
    int program; // XDP, for the slice's end of its link
    int sockets; // its map of sockets
};

// `state`: of the slice's judge. Errors as above.
int craw_load_receiver(
    const char *path, int state, struct craw_receiver *receiver, struct craw_error *error);

// The map of sockets of a receiver that hangs somewhere, by the program's id. -errno; ENOENT: it is none of
// these.
int craw_find_sockets(uint32_t program);

// Sends one command, with `descriptor` (-1: none) beside it, and receives its answer; what comes before the
// answer is given to `event`. `control` is a connection to the broker's control socket. One thread at a
// time.
// ETIMEDOUT: no answer within `timeout_ms`. ECONNRESET: the broker has gone. EPROTO: no broker speaks so.
int craw_command(
    int control, const struct slice_raw_command *command, int descriptor, int timeout_ms,
    struct slice_raw_answer *answer, void (*event)(void *context, const struct slice_raw_event *event),
    void *context);

// Receives the events that are there; never waits. ECONNRESET as above.
int craw_receive(
    int control, void (*event)(void *context, const struct slice_raw_event *event), void *context);

// Sets one protocol, of IPv4 or IPv6.
void craw_add_protocol(struct slice_raw_grants *grants, int is_ipv6, uint8_t protocol);
// -1: there is no more room, and nothing was added.
int craw_add_udp(struct slice_raw_grants *grants, uint16_t first, uint16_t last);
int craw_add_tcp(struct slice_raw_grants *grants, uint16_t first, uint16_t last);
int craw_add_ethertype(struct slice_raw_grants *grants, uint16_t ethertype);

#endif
