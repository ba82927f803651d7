// The floor: the least that a slice's creation costs on this host. Makes the namespaces that a slice
// has, with a user namespace's id map and a fresh /proc, and executes a program in them; no limits, no
// root file system, no link, no filter, no record. usage: floor COUNT; prints milliseconds, one a line.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void write_map(pid_t pid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "0 100000 65536\n", 15) != 15)
        die(path);
    close(file);
}

static void become_program(int go) {
    char byte;
    if (read(go, &byte, 1) != 1 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", 0, NULL) < 0)
        _exit(1);
    execl("/bin/busybox", "sleep", "100", (char *)NULL);
    _exit(1);
}

// From before clone3 to the program's execution, which closes the pipe.
static double one(void) {
    int go[2], executed[2];
    const double began = now_ms();
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(executed, O_CLOEXEC) < 0)
        die("pipe2");
    struct clone_args arguments = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
                 CLONE_NEWNET | CLONE_NEWCGROUP,
        .exit_signal = SIGCHLD,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid < 0)
        die("clone3");
    if (pid == 0)
        become_program(go[0]);
    write_map(pid, "uid_map");
    write_map(pid, "gid_map");
    close(executed[1]);
    char byte = 0;
    if (write(go[1], &byte, 1) != 1 || read(executed[0], &byte, 1) != 0)
        die("handshake");
    const double took = now_ms() - began;
    close(go[0]);
    close(go[1]);
    close(executed[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return took;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 50;
    for (int i = 0; i < count; i++)
        printf("%.3f\n", one());
    return 0;
}
