// What the grants mean: which sockets may be opened, and what each kind may receive.
#ifndef SLICE_BROKER_GRANTS_H
#define SLICE_BROKER_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "slice_raw.h"

// By what a socket was allowed: the lower half of its mark (slice_raw.h).
enum raw_class {
    CLASS_NONE = 0,
    CLASS_PROTOCOL,  // an IP protocol, whole
    CLASS_UDP,       // UDP to ranges of ports
    CLASS_TCP,
    CLASS_SEND,      // IPPROTO_RAW: sends any header, receives nothing
    CLASS_SNIFF,     // a packet socket that receives every frame
    CLASS_ETHERTYPES // a packet socket for the ethertypes granted
};

// Whether the grants are well formed: counts, ranges, reserved fields.
bool grants_valid(const struct slice_raw_grants *grants);

// The class that socket(2) with these arguments would get, CLASS_NONE where nothing allows it.
// `protocol` is the number itself: of an ethertype not in network byte order.
enum raw_class grants_classify(const struct slice_raw_grants *grants, int domain, int type,
                               int protocol);

// Whether an open socket may be used under `grants` as it could be under `earlier`: nothing that it
// could receive or send may have been taken away.
bool grants_keep(const struct slice_raw_grants *grants, const struct slice_raw_grants *earlier,
                 enum raw_class class, int domain, int protocol);

// Whether `grants` take nothing away that `earlier` gave.
bool grants_widen(const struct slice_raw_grants *grants, const struct slice_raw_grants *earlier);

#endif
