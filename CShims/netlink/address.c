#include "internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

size_t cnl_address_size(int family) {
    return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

const char *cnl_prefix_text(
    char text[CNL_PREFIX_TEXT_SIZE], int family, const uint8_t *address, unsigned length) {
    char plain[INET6_ADDRSTRLEN] = "?";
    inet_ntop(family, address, plain, sizeof plain);
    snprintf(text, CNL_PREFIX_TEXT_SIZE, "%s/%u", plain, length);
    return text;
}

bool cnl_prefix_equal(const uint8_t *one, const uint8_t *other, unsigned length) {
    unsigned bytes = length / 8, bits = length % 8;
    if (memcmp(one, other, bytes) != 0) return false;
    if (bits == 0) return true;
    uint8_t mask = (uint8_t)(0xff << (8 - bits));
    return ((one[bytes] ^ other[bytes]) & mask) == 0;
}

void cnl_prefix_mask(uint8_t mask[16], unsigned length) {
    for (unsigned index = 0; index < 16; index++) {
        unsigned bits = length <= index * 8 ? 0 : length - index * 8;
        mask[index] = bits >= 8 ? 0xff : (uint8_t)(0xff << (8 - bits));
    }
}
