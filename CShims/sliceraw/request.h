// One request of a slice's process and its answer (slice_request.h).
#ifndef SLICERAW_REQUEST_H
#define SLICERAW_REQUEST_H

#include "../protocol/slice_request.h"

// Sends a request; `opened` gets `count` descriptors, close-on-exec. 0, or -1 with errno: that of the answer,
// EPROTO where it is not as asked for, then nothing is open.
int sliceraw_request(int connection, const struct slice_request *request, int *opened, unsigned count);

#endif
