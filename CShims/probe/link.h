// Links of a network namespace, as far as forging needs them.
#ifndef PROBE_LINK_H
#define PROBE_LINK_H

#include <stdbool.h>
#include <stdint.h>

// The only link that is up beside lo; 0 when there is none, or more than one.
unsigned link_only(void);
// A link's MAC address, in the present namespace.
bool link_address(const char *name, uint8_t mac[6]);
// A pair of links, up, in the present namespace.
bool link_make_pair(const char *one, const char *other);

#endif
