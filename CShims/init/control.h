// The outside's view of the service and its commands: the status file and the control socket.
#ifndef SLICE_INIT_CONTROL_H
#define SLICE_INIT_CONTROL_H

#include <poll.h>
#include <stdbool.h>

#include "slice_status.h"

#define CONTROL_CLIENTS 4

// Entries for poll(2): the listener and the clients.
#define CONTROL_ENTRIES (1 + CONTROL_CLIENTS)

struct control {
    int listener;
    int status_file;
    int clients[CONTROL_CLIENTS]; // -1: free
};

// Carries a command out; returns the errno to answer with, 0 when accepted.
typedef int control_handler(const struct slice_command *command, void *context);

// Both descriptors are borrowed. 0, or -1 with errno.
int control_init(struct control *control, int listener, int status_file);

// Writes the record to the file and sends it to every client. A client whose socket is full is
// dropped. That the file cannot be written is no reason to end a service, so it is not told.
void control_publish(struct control *control, const struct slice_status *status);

void control_watch(const struct control *control, struct pollfd entries[CONTROL_ENTRIES]);

// Accepts clients (each gets `status` at once; one too many is closed) and reads commands.
// Never waits.
void control_serve(struct control *control, const struct pollfd entries[CONTROL_ENTRIES],
                   const struct slice_status *status, control_handler *handle, void *context);

#endif
