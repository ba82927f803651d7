// WireGuard's own words to the kernel, for carrier.c.
#ifndef CNETLINK_WIREGUARD_H
#define CNETLINK_WIREGUARD_H

#include "cnetlink_overlay.h"

// Sets what is this end's: its private key and its UDP port.
int cnl_wireguard_set_own(
    int netns, int index, const uint8_t private_key[CNL_WG_KEY_SIZE], uint16_t port,
    struct cnl_error *error);

#endif
