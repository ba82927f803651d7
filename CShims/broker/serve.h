// Answers the slice's system calls.
#ifndef SLICE_BROKER_SERVE_H
#define SLICE_BROKER_SERVE_H

#include "broker.h"

// Whether this kernel's notifications are as this program knows them. 0, or -1 with errno.
int serve_prepare(void);

// Serves one more listener, which then belongs to the broker. -1 with errno: EINVAL where it is
// none, EMFILE where there are LISTENERS already; it stays the caller's.
int serve_add(struct broker *broker, int listener);

// Fails the call that an earlier broker was answering when it was killed: nobody else could. Its
// thread would wait for ever. If it came by a listener that is not there yet, serve_add() does it.
void serve_recover(struct broker *broker);

// Answers one call, where there is one. 0, or -1 with errno where the listener is of no use any more.
int serve(struct broker *broker, int listener);

#endif
