// Loads by name, for what a slice's limits must hold: `load NAME [NUMBER]`.
//   spin N         N threads that never rest
//   count          iterations of a loop, a line each half second: MILLISECONDS ITERATIONS
//   forks          fork as fast as it goes, by all descendants
//   anonymous, pagecache, tmpfs, pipes, sockets, pagetables
//                  takes 1 MiB after another of that kind until the kernel objects or NUMBER MiB are
//                  reached, prints `took N MiB`, and keeps it until standard input ends
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)
static char block[MIB];

static void *spin(void *unused) {
    for (;;)
        __asm__ volatile("");
    return unused;
}

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void count(void) {
    long begin = now_ms();
    for (uint64_t iterations = 0;; iterations++) {
        for (int i = 0; i < 100000; i++)
            __asm__ volatile("");
        long now = now_ms();
        if (now - begin < 500)
            continue;
        printf("%ld %lu\n", now - begin, (unsigned long)iterations);
        fflush(stdout);
        begin = now;
        iterations = 0;
    }
}

// Each takes about 1 MiB. Returns 0 when it could not.
static int anonymous(void) {
    char *memory = mmap(0, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    memset(memory, 1, MIB);
    return 1;
}

static int append(const char *path) {
    static int file = -1;
    if (file < 0)
        file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    return write(file, block, MIB) == MIB;
}
static int pagecache(void) { return append("/load.file"); }
static int tmpfs(void) { return append("/tmp/load.file"); }

static int pipes(void) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) < 0)
        return 0;
    fcntl(ends[1], F_SETPIPE_SZ, MIB);
    long total = 0, written;
    while ((written = write(ends[1], block, 65536)) > 0)
        total += written;
    return total > 0;
}

static int sockets(void) {
    int ends[2], size = MIB;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
        return 0;
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    long total = 0, written;
    while ((written = write(ends[1], block, 65536)) > 0)
        total += written;
    return total > 0;
}

// One byte in each 2 MiB needs a page and a page table of its own: 8 KiB.
static int pagetables(void) {
    size_t size = 128ul * (2 << 20);
    char *memory = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    madvise(memory, size, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < size; at += 2 << 20)
        memory[at] = 1;
    return 1;
}

static const struct { const char *name; int (*take)(void); } kinds[] = {
    {"anonymous", anonymous}, {"pagecache", pagecache}, {"tmpfs", tmpfs},
    {"pipes", pipes}, {"sockets", sockets}, {"pagetables", pagetables},
};

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    long number = argc > 2 ? atol(argv[2]) : 0;
    if (!strcmp(name, "spin")) {
        for (long i = 1; i < number; i++) {
            pthread_t thread;
            if (pthread_create(&thread, 0, spin, 0))
                return 1;
        }
        spin(0);
    }
    if (!strcmp(name, "count"))
        count();
    if (!strcmp(name, "forks"))
        for (;;)
            fork();
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(name, kinds[i].name))
            continue;
        long taken = 0;
        while (taken < (number ? number : 1 << 20) && kinds[i].take())
            taken++;
        printf("took %ld MiB\n", taken);
        fflush(stdout);
        while (read(0, block, 1) > 0) {
        }
        return 0;
    }
    fprintf(stderr, "usage: load NAME [NUMBER]\n");
    return 2;
}
