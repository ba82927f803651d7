// Names and numbers of capabilities, from libcap.
#ifndef CCAPABILITY_H
#define CCAPABILITY_H

#include <stdint.h>

// The number of the capability `name` ("CAP_CHOWN", in any case), or -1 when there is none.
int ccapability_number(const char *name);

#endif
