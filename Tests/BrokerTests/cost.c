// What the calls cost: nanoseconds of socket(2) for a raw socket, as percentiles, and of calls that
// nobody asks about. usage: cost ROUNDS
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int compare(const void *one, const void *other)
{
    const double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 0;
    double *times = calloc((size_t)rounds + 1, sizeof *times);
    for (int i = 0; i < rounds; i++) {
        const double began = now();
        const int made = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
        times[i] = now() - began;
        if (made < 0) {
            perror("socket");
            return 1;
        }
        close(made);
    }
    if (rounds > 0)
        qsort(times, (size_t)rounds, sizeof *times, compare);
    printf("raw %.0f %.0f ", rounds > 0 ? times[rounds / 2] : 0, rounds > 0 ? times[rounds * 99 / 100] : 0);
    double best[3] = {1e9, 1e9, 1e9};
    for (int turn = 0; turn < 20; turn++) {
        const int calls = 50000, udp = socket(AF_INET, SOCK_DGRAM, 0), value = 1;
        double began = now();
        for (int i = 0; i < calls; i++)
            syscall(SYS_getppid);
        double took = (now() - began) / calls;
        best[0] = took < best[0] ? took : best[0];
        began = now();
        for (int i = 0; i < calls; i++)
            setsockopt(udp, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value);
        took = (now() - began) / calls;
        best[1] = took < best[1] ? took : best[1];
        began = now();
        for (int i = 0; i < calls / 10; i++)
            close(socket(AF_INET, SOCK_DGRAM, 0));
        took = (now() - began) / (calls / 10);
        best[2] = took < best[2] ? took : best[2];
        close(udp);
    }
    printf("getppid %.1f setsockopt %.1f socket+close %.1f\n", best[0], best[1], best[2]);
    return 0;
}
