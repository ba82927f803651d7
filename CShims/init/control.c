#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

// Commands taken from one client before the others and the service have their turn again.
#define COMMANDS_AT_ONCE 16

int control_init(struct control *control, int listener, int status_file)
{
    control->listener = listener;
    control->status_file = status_file;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        control->clients[i] = -1;
    // A client that has gone between poll and accept must not hold us.
    int flags = fcntl(listener, F_GETFL);
    return flags < 0 ? -1 : fcntl(listener, F_SETFL, flags | O_NONBLOCK);
}

static void drop(int *client)
{
    close(*client);
    *client = -1;
}

// Sends one message, or drops the client that does not read or has gone.
static void tell(int *client, const void *message, size_t length)
{
    if (send(*client, message, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        drop(client);
}

void control_publish(struct control *control, const struct slice_status *status)
{
    (void)!pwrite(control->status_file, status, sizeof *status, 0);
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i] >= 0)
            tell(&control->clients[i], status, sizeof *status);
}

void control_watch(const struct control *control, struct pollfd entries[CONTROL_ENTRIES])
{
    entries[0] = (struct pollfd){.fd = control->listener, .events = POLLIN};
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        entries[1 + i] = (struct pollfd){.fd = control->clients[i], .events = POLLIN};
}

static void accept_client(struct control *control, const struct slice_status *status)
{
    int client = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        if (control->clients[i] >= 0)
            continue;
        control->clients[i] = client;
        tell(&control->clients[i], status, sizeof *status);
        return;
    }
    close(client);
}

static void read_commands(int *client, control_handler *handle, void *context)
{
    for (unsigned i = 0; i < COMMANDS_AT_ONCE && *client >= 0; i++) {
        struct slice_command command;
        // MSG_TRUNC: the message's own length, so that a longer one is seen to be wrong. Without a
        // control buffer descriptors that come with it are closed by the kernel (unix(7)).
        ssize_t length = recv(*client, &command, sizeof command, MSG_DONTWAIT | MSG_TRUNC);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (length <= 0) {
            drop(client);
            return;
        }
        int32_t answer = length == sizeof command ? handle(&command, context) : EINVAL;
        // The handler publishes what it changed, which may have dropped this client.
        if (*client >= 0)
            tell(client, &answer, sizeof answer);
    }
}

void control_serve(struct control *control, const struct pollfd entries[CONTROL_ENTRIES],
                   const struct slice_status *status, control_handler *handle, void *context)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (entries[1 + i].revents != 0 && control->clients[i] >= 0)
            read_commands(&control->clients[i], handle, context);
    if (entries[0].revents != 0)
        accept_client(control, status);
}
