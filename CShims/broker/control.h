// The supervisor's side of the broker: commands, answers, events.
#ifndef SLICE_BROKER_CONTROL_H
#define SLICE_BROKER_CONTROL_H

#include <poll.h>
#include <sys/types.h>

#include "broker.h"

// Takes a new client, in place of the one before. Never waits.
void control_accept(struct broker *broker);

// Carries out one command and answers it, or drops a client that has gone. Waits for nothing but
// the search for sockets where something was taken away.
void control_read(struct broker *broker);

// Tells of a call that was refused. `protocol` as in grants.h. Never waits.
void control_tell_refused(struct broker *broker, pid_t thread, int domain, int type, int protocol);

#endif
