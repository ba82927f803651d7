// AF_XDP in a box, through the library. usage: xdp PATH COMMAND [ARGUMENT…], PATH of the requests' socket, or
// - where it is linked with Tests/Probes/native_request.c
//
//   receive             prints each frame in hexadecimal, until standard input ends
//   send COUNT FRAME    sends a frame, given in hexadecimal, COUNT times; 0: until standard input ends
//   lines COUNT         sends each frame of standard input, a line each, COUNT times
//   fill SECONDS FRAME  sends it as fast as it can, prints packets a second
//   take SECONDS        receives, prints packets a second
//   hold                opens it, and waits until standard input ends
//   again OPTION        what the socket says to a second setsockopt(2) of SOL_XDP: its errno
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sliceraw.h"

static int finish(const char *what) {
    printf("%s: %s\n", what, strerrorname_np(errno));
    exit(1);
}

static int connect_to(const char *path) {
    if (strcmp(path, "-") == 0) return 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    const int made = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (connect(made, (struct sockaddr *)&address, sizeof address) < 0) finish("connect");
    return made;
}

static int input_ended(int wait) {
    struct pollfd entry = {.fd = 0, .events = POLLIN};
    char byte;
    return poll(&entry, 1, wait) > 0 && read(0, &byte, 1) <= 0;
}

static void receive(struct sliceraw_xdp *xdp) {
    struct pollfd entries[] = {{.fd = xdp->socket, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    struct sliceraw_frame frames[64];
    while (entries[1].revents == 0) {
        poll(entries, 2, -1);
        const uint32_t count = sliceraw_xdp_receive(xdp, frames, 64);
        for (uint32_t each = 0; each < count; each++) {
            for (uint32_t byte = 0; byte < frames[each].length; byte++)
                printf("%02x", frames[each].data[byte]);
            printf("\n");
        }
        sliceraw_xdp_give_back(xdp, frames, count);
    }
}

static uint32_t read_hex(const char *text, uint8_t *bytes) {
    uint32_t length = 0;
    for (unsigned value; sscanf(text + 2 * length, "%2x", &value) == 1; length++) bytes[length] = value;
    return length;
}

static void send_frames(struct sliceraw_xdp *xdp, long count, const char *text) {
    static uint8_t bytes[2048];
    const uint32_t length = read_hex(text, bytes);
    long sent = 0;
    while (count == 0 ? !input_ended(0) : sent < count) {
        struct sliceraw_frame frames[32];
        const uint32_t wanted = count == 0 || count - sent > 32 ? 32 : (uint32_t)(count - sent);
        const uint32_t taken = sliceraw_xdp_reserve(xdp, frames, wanted);
        for (uint32_t each = 0; each < taken; each++) {
            memcpy(frames[each].data, bytes, length);
            frames[each].length = length;
        }
        if (sliceraw_xdp_send(xdp, frames, taken) < 0 && errno != EAGAIN && errno != ENOBUFS) finish("send");
        sent += taken;
    }
    while (sliceraw_xdp_pending(xdp) > 0)
        if (sliceraw_xdp_flush(xdp) < 0 && errno != EAGAIN && errno != ENOBUFS) finish("flush");
    printf("sent %ld\n", sent);
}

static void send_lines(struct sliceraw_xdp *xdp, long count) {
    static char line[8192];
    while (fgets(line, sizeof line, stdin)) send_frames(xdp, count, line);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fill(struct sliceraw_xdp *xdp, double seconds, const char *text) {
    static uint8_t bytes[2048];
    const uint32_t length = read_hex(text, bytes);
    const double began = now();
    long sent = 0;
    while (now() - began < seconds) {
        struct sliceraw_frame frames[64];
        const uint32_t taken = sliceraw_xdp_reserve(xdp, frames, 64);
        for (uint32_t each = 0; each < taken; each++) {
            memcpy(frames[each].data, bytes, length);
            frames[each].length = length;
        }
        sliceraw_xdp_send(xdp, frames, taken); // EAGAIN, ENOBUFS: they leave with the next
        sent += taken;
    }
    printf("%.0f\n", (double)sent / seconds);
}

static void take(struct sliceraw_xdp *xdp, double seconds) {
    const double began = now();
    long came = 0;
    while (now() - began < seconds) {
        struct pollfd entry = {.fd = xdp->socket, .events = POLLIN};
        struct sliceraw_frame frames[64];
        const uint32_t count = sliceraw_xdp_receive(xdp, frames, 64);
        if (count == 0) poll(&entry, 1, 100);
        sliceraw_xdp_give_back(xdp, frames, count);
        came += count;
    }
    printf("%.0f\n", (double)came / seconds);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 3) return 2;
    const struct sliceraw_xdp_options options = {.frame_size = 2048, .receive = 512, .send = 512};
    struct sliceraw_xdp xdp;
    if (sliceraw_xdp_open(connect_to(argv[1]), &options, &xdp) < 0) finish("open");
    printf("open\n");
    if (strcmp(argv[2], "receive") == 0) receive(&xdp);
    if (strcmp(argv[2], "lines") == 0 && argc == 4) send_lines(&xdp, atol(argv[3]));
    if (strcmp(argv[2], "fill") == 0 && argc == 5) fill(&xdp, atof(argv[3]), argv[4]);
    if (strcmp(argv[2], "take") == 0 && argc == 4) take(&xdp, atof(argv[3]));
    if (strcmp(argv[2], "hold") == 0) while (!input_ended(-1));
    if (strcmp(argv[2], "send") == 0 && argc == 5) send_frames(&xdp, atol(argv[3]), argv[4]);
    if (strcmp(argv[2], "again") == 0 && argc == 4) {
        uint64_t value[8] = {(uintptr_t)xdp.memory, xdp.memory_size, 2048, 0};
        const int result = setsockopt(xdp.socket, SOL_XDP, atoi(argv[3]), value, sizeof value);
        printf("%s\n", result == 0 ? "ok" : strerrorname_np(errno));
    }
    sliceraw_xdp_close(&xdp);
}
