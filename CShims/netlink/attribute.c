// Attributes of replies. What is not there, or is not as long as it should be, reads as absent: a kernel
// may say more than it does today, and a length is never taken on trust.

#include "internal.h"

#include <string.h>

static bool holds(const struct nlattr *attribute, size_t size) {
    return attribute && nla_len(attribute) >= (int)size;
}

const char *cnl_get_text(const struct nlattr *attribute) {
    if (!holds(attribute, 1)) return NULL;
    const char *text = nla_data(attribute);
    return memchr(text, 0, (size_t)nla_len(attribute)) ? text : NULL;
}

uint8_t cnl_get_u8(const struct nlattr *attribute, uint8_t otherwise) {
    return holds(attribute, sizeof otherwise) ? *(const uint8_t *)nla_data(attribute) : otherwise;
}

uint16_t cnl_get_u16(const struct nlattr *attribute, uint16_t otherwise) {
    if (holds(attribute, sizeof otherwise)) memcpy(&otherwise, nla_data(attribute), sizeof otherwise);
    return otherwise;
}

uint32_t cnl_get_u32(const struct nlattr *attribute, uint32_t otherwise) {
    if (holds(attribute, sizeof otherwise)) memcpy(&otherwise, nla_data(attribute), sizeof otherwise);
    return otherwise;
}
