// Runs a program on a kernel without one system call: it fails with ENOSYS. Or without what the call
// does where an argument, counted from 0, has a value: it fails with EPROTONOSUPPORT.
// usage: without NUMBER[:ARGUMENT=VALUE] PROGRAM ARGUMENT…
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count < 3) return 2;
    unsigned number, argument = 0, value = 0;
    const int found = sscanf(arguments[1], "%u:%u=%u", &number, &argument, &value);
    if (found != 1 && found != 3) return 2;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4),
        // The lower half, on a little-endian machine.
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * argument),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JA, found == 1 ? 0 : 1, 0, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (found == 1 ? ENOSYS : EPROTONOSUPPORT)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        perror("without: seccomp");
        return 1;
    }
    execv(arguments[2], arguments + 2);
    perror("without: execv");
    return 1;
}
