// Answers, and how they are had: in a child, because an attack may change or end its process.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIME = 20 }; // seconds that a probe may take

#define FILL_TRIED(answer)                                                    \
    do {                                                                      \
        va_list list;                                                         \
        va_start(list, format);                                               \
        vsnprintf((answer).tried, sizeof (answer).tried, format, list);       \
        va_end(list);                                                         \
    } while (0)

struct answer answer_of_call(long value, const char *format, ...)
{
    int error = value < 0 ? errno : 0;
    struct answer answer = {.outcome = value < 0 ? HELD : BROKEN, .error = error};
    FILL_TRIED(answer);
    return answer;
}

struct answer answer_of_filter(long value, int expected, const char *format, ...)
{
    int error = value < 0 ? errno : 0;
    bool held = value < 0 && (error == expected || error == ENOSYS);
    struct answer answer = {.outcome = held ? HELD : BROKEN, .error = error};
    FILL_TRIED(answer);
    if (!held)
        snprintf(answer.detail, sizeof answer.detail, "a filter would have said %s; the call got through",
                 error_name(expected));
    return answer;
}

struct answer answer_of(bool broken, const char *detail, const char *format, ...)
{
    struct answer answer = {.outcome = broken ? BROKEN : HELD};
    FILL_TRIED(answer);
    snprintf(answer.detail, sizeof answer.detail, "%s", detail);
    return answer;
}

struct answer inapplicable(const char *why)
{
    struct answer answer = {.outcome = INAPPLICABLE};
    snprintf(answer.detail, sizeof answer.detail, "%s", why);
    return answer;
}

struct answer failed(const char *operation)
{
    struct answer answer = {.outcome = ERROR, .error = errno};
    snprintf(answer.tried, sizeof answer.tried, "%s", operation);
    return answer;
}

// ---- output

static void put_string(char **end, char *limit, const char *text)
{
    for (; *text && *end < limit - 8; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            *end += sprintf(*end, "\\%c", byte);
        else if (byte < 0x20 || byte >= 0x7F)
            *end += sprintf(*end, "\\u%04x", byte);
        else
            *(*end)++ = (char)byte;
    }
}

void probe_print(const char *name, const char *argument, const struct answer *answer)
{
    static const char *const outcomes[] = {"held", "broken", "inapplicable", "error"};
    char line[8192], *end = line, *limit = line + sizeof line - 512;
    end += sprintf(end, "{\"probe\":\"");
    put_string(&end, limit, name);
    end += sprintf(end, "\",\"argument\":\"");
    put_string(&end, limit, argument);
    end += sprintf(end, "\",\"outcome\":\"%s\",\"errno\":%d,\"answer\":\"%s\",\"tried\":\"",
                   outcomes[answer->outcome], answer->error,
                   answer->error ? error_name(answer->error) : "");
    put_string(&end, limit, answer->tried);
    end += sprintf(end, "\",\"detail\":\"");
    put_string(&end, limit, answer->detail);
    end += sprintf(end, "\"}\n");
    // One write: lines of several processes must not mix.
    for (char *at = line; at < end;) {
        ssize_t written = write(1, at, (size_t)(end - at));
        if (written < 0 && errno != EINTR)
            return;
        at += written > 0 ? written : 0;
    }
}

bool probe_try(const struct probe *probe, const char *argument)
{
    pid_t child = fork();
    if (child < 0) {
        struct answer answer = failed("fork()");
        probe_print(probe->name, argument, &answer);
        return false;
    }
    if (child == 0) {
        alarm(TIME);
        struct answer answer = probe->run(argument);
        probe_print(probe->name, argument, &answer);
        _exit(answer.outcome == ERROR);
    }
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 0;
    // A filter may kill: what it kills did not get through.
    bool late = WTERMSIG(status) == SIGALRM;
    struct answer answer = {.outcome = late ? ERROR : HELD};
    snprintf(answer.detail, sizeof answer.detail, late ? "no answer within 20 seconds" : "ended by signal %d",
             WTERMSIG(status));
    probe_print(probe->name, argument, &answer);
    return !late;
}

const char *error_name(int error)
{
    static const struct { int number; const char *name; } names[] = {
#define N(name) {name, #name}
        N(EPERM), N(ENOENT), N(ESRCH), N(EINTR), N(EIO), N(ENXIO), N(E2BIG), N(ENOEXEC), N(EBADF), N(ECHILD),
        N(EAGAIN), N(ENOMEM), N(EACCES), N(EFAULT), N(ENOTBLK), N(EBUSY), N(EEXIST), N(EXDEV), N(ENODEV),
        N(ENOTDIR), N(EISDIR), N(EINVAL), N(ENFILE), N(EMFILE), N(ENOTTY), N(ETXTBSY), N(EFBIG), N(ENOSPC),
        N(EROFS), N(ENOSYS), N(ELOOP), N(ENODATA), N(EPROTONOSUPPORT), N(ESOCKTNOSUPPORT), N(EOPNOTSUPP),
        N(EAFNOSUPPORT), N(EADDRNOTAVAIL), N(ECONNREFUSED), N(EDQUOT), N(ENOKEY), N(ENETUNREACH),
        N(EHOSTUNREACH), N(EPROTOTYPE), N(ESTALE), N(ETIMEDOUT), N(ENOTCONN),
#undef N
    };
    static char other[24];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == error)
            return names[i].name;
    snprintf(other, sizeof other, "errno %d", error);
    return other;
}

// ---- small things

long read_text(const char *path, char *text, size_t size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return -1;
    size_t length = 0;
    ssize_t count = 0;
    while (length < size - 1 && (count = read(file, text + length, size - 1 - length)) > 0)
        length += (size_t)count;
    int error = errno;
    close(file);
    text[length] = 0;
    errno = error;
    return count < 0 && !length ? -1 : (long)length;
}

long read_number(const char *path, long otherwise)
{
    char text[64], *end;
    if (read_text(path, text, sizeof text) <= 0)
        return otherwise;
    long number = strtol(text, &end, 10);
    return end == text ? otherwise : number;
}

bool write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;
    close(file);
    errno = error;
    return written;
}

double monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
