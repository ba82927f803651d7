#include "ccapability.h"

#include <sys/capability.h>

int ccapability_number(const char *name) {
    cap_value_t value;
    return cap_from_name(name, &value) < 0 ? -1 : value;
}
