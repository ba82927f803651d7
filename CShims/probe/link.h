// Links of a network namespace, as far as forging and looking need them.
#ifndef PROBE_LINK_H
#define PROBE_LINK_H

#include <stdbool.h>
#include <stdint.h>

// The only link that is up beside lo; 0 when there is none, or more than one.
unsigned link_only(void);
// A link's MAC address, in the present namespace.
bool link_address(const char *name, uint8_t mac[6]);
// A MAC address that the present namespace knows of at a link; errno EHOSTUNREACH: none.
bool link_neighbour(const char *name, uint8_t mac[6]);
// A packet socket that shows frames of a protocol on a link, and sends there; link 0: shows those of all links, protocol
// 0: shows none. Not waiting; -1 with errno.
int link_tap(unsigned link, unsigned protocol);
// Enters the network namespace of a process, by its number; errno where not.
bool link_enter(const char *pid);
// A pair of links, up, in the present namespace.
bool link_make_pair(const char *one, const char *other);

#endif
