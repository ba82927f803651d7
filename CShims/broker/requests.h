// Requests of the slice's processes (slice_request.h).
#ifndef SLICE_BROKER_REQUESTS_H
#define SLICE_BROKER_REQUESTS_H

#include <poll.h>

#include "broker.h"

// The listening socket, then the clients.
#define REQUEST_ENTRIES (1 + SLICE_REQUEST_CLIENTS)

// What to wait for: fills REQUEST_ENTRIES entries. Nothing is taken before grants hold, nor of who has not read
// its last answer. Returns for how long, in milliseconds, -1: for ever.
int requests_wait(const struct broker *broker, struct pollfd *entries);

// Answers one request of each client that has one, and takes one new client. Never waits.
void requests_serve(struct broker *broker, const struct pollfd *entries);

#endif
