// Communication between processes: what a neighbour leaves, and whether it is found. The argument of each
// probe is the neighbour's tag.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int tag_key(const char *tag)
{
    unsigned hash = 2166136261u; // FNV-1a
    for (; *tag; tag++)
        hash = (hash ^ (unsigned char)*tag) * 16777619u;
    return (int)(hash | 1); // not IPC_PRIVATE
}

static socklen_t abstract(const char *tag, struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    int length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "%s", tag);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static struct answer shared_memory(const char *tag)
{
    return answer_of_call(shmget(tag_key(tag), 0, 0), "shmget(key of '%s')", tag);
}
static struct answer semaphores(const char *tag)
{
    return answer_of_call(semget(tag_key(tag), 0, 0), "semget(key of '%s')", tag);
}
static struct answer messages(const char *tag)
{
    return answer_of_call(msgget(tag_key(tag), 0), "msgget(key of '%s')", tag);
}
static struct answer posix_queue(const char *tag)
{
    char name[64];
    snprintf(name, sizeof name, "/%s", tag);
    return answer_of_call(mq_open(name, O_RDONLY | O_NONBLOCK), "mq_open(%s)", name);
}
static struct answer posix_memory(const char *tag)
{
    char name[64];
    snprintf(name, sizeof name, "/%s", tag);
    return answer_of_call(shm_open(name, O_RDONLY, 0), "shm_open(%s)", name);
}
// CVE-2020-15257: names without a file belong to the network namespace.
static struct answer abstract_socket(const char *tag)
{
    struct sockaddr_un address;
    socklen_t length = abstract(tag, &address);
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0)
        return failed("socket(AF_UNIX)");
    return answer_of_call(connect(socket_, (struct sockaddr *)&address, length), "connect(@%s)", tag);
}
static struct answer listed_socket(const char *tag)
{
    static char text[1 << 20];
    if (read_text("/proc/net/unix", text, sizeof text) < 0)
        return answer_of_call(-1, "reading /proc/net/unix");
    char name[64];
    snprintf(name, sizeof name, "@%s", tag);
    return answer_of(strstr(text, name), "", "looking for @%s in /proc/net/unix", tag);
}
static struct answer hostname(const char *tag)
{
    char name[65] = "";
    if (!*tag || gethostname(name, sizeof name - 1) < 0)
        return inapplicable("needs another's hostname");
    return answer_of(!strcmp(name, tag), name, "gethostname()");
}

const struct probe ipc_probes[] = {
    {"ipc.shared-memory", shared_memory},     {"ipc.semaphores", semaphores},
    {"ipc.messages", messages},               {"ipc.posix-queue", posix_queue},
    {"ipc.posix-memory", posix_memory},       {"ipc.abstract-socket", abstract_socket},
    {"ipc.listed-socket", listed_socket},     {"ipc.hostname", hostname},
    {0},
};

// ---- the neighbour

static int wait_for_end(void)
{
    sigset_t ends;
    int number;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    static const char ready[] = "{\"finished\":true}\n";
    if (write(1, ready, sizeof ready - 1) < 0)
        return 1;
    return sigwait(&ends, &number);
}

int run_neighbour(const char *tag)
{
    char name[64];
    snprintf(name, sizeof name, "/%s", tag);
    int key = tag_key(tag);
    int memory = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
    int semaphore = semget(key, 1, IPC_CREAT | IPC_EXCL | 0666);
    int queue = msgget(key, IPC_CREAT | IPC_EXCL | 0666);
    mqd_t posix = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0666, NULL);
    int file = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0666);
    struct sockaddr_un address;
    socklen_t length = abstract(tag, &address);
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = 0;
    if (memory < 0 || semaphore < 0 || queue < 0 || posix < 0 || file < 0 || listening < 0 ||
        bind(listening, (struct sockaddr *)&address, length) < 0 || listen(listening, 64) < 0) {
        fprintf(stderr, "slice-probe: neighbour %s: %s\n", tag, strerror(errno));
        status = 1;
    } else {
        status = wait_for_end();
    }
    if (memory >= 0)
        shmctl(memory, IPC_RMID, NULL);
    if (semaphore >= 0)
        semctl(semaphore, 0, IPC_RMID);
    if (queue >= 0)
        msgctl(queue, IPC_RMID, NULL);
    if (posix >= 0)
        mq_unlink(name);
    if (file >= 0)
        shm_unlink(name);
    return status;
}
