// What all probes have in common. A probe is one attack: it is tried once, in a process of its own, and
// says what it tried and what the kernel answered.
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum outcome {
    HELD,         // the attack did not work
    BROKEN,       // it did
    INAPPLICABLE, // it cannot be tried: the kernel lacks what is attacked
    ERROR,        // the probe's own preparation failed: nothing is known
};

struct answer {
    enum outcome outcome;
    int error;        // errno, 0 where the call succeeded or none was made
    char tried[512];  // the operation, as a manual page writes it
    char detail[512]; // what else is to be said, such as which of many was open
};

// `argument` is what stands after `=` in NAME=ARGUMENT; empty when there is nothing.
typedef struct answer attack(const char *argument);

struct probe {
    const char *name; // CONCERN.ATTACK, unique
    attack *run;
};

// One table a concern, each ended by a probe without a name.
extern const struct probe filter_probes[], namespace_probes[], capability_probes[], file_probes[],
    mount_probes[], device_probes[], terminal_probes[], process_probes[], descriptor_probes[], ipc_probes[],
    key_probes[], resource_probes[], network_probes[], identity_probes[], system_probes[], raw_probes[];

// ---- answers

// Of a system call's value and the present errno: what succeeded is broken.
struct answer answer_of_call(long value, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Of a call that a filter must answer with `expected`, made in a way that the kernel would have another
// answer for. ENOSYS holds as well: nothing behind the filter was reached.
struct answer answer_of_filter(long value, int expected, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Of a condition: `broken` tells. `detail` may be empty.
struct answer answer_of(bool broken, const char *detail, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct answer inapplicable(const char *why);
// With the present errno.
struct answer failed(const char *operation);

// Prints an answer as a line of JSON.
void probe_print(const char *name, const char *argument, const struct answer *answer);
// Runs it in a child and prints its answer. Returns false when no answer was had.
bool probe_try(const struct probe *probe, const char *argument);
// Tries each NAME[=ARGUMENT] of a list that ends with NULL. Returns the program's exit status.
int run_list(char **list);
// The probe of that name, or NULL.
const struct probe *probe_find(const char *name);

// ---- small things

// Reads a file's beginning as text; returns the length, or -1 with errno.
long read_text(const char *path, char *text, size_t size);
// The same as a number; `otherwise` when there is none.
long read_number(const char *path, long otherwise);
bool write_text(const char *path, const char *text);
// Sends one netlink message and reads its acknowledgement into errno; 0 or -1.
long netlink_request(int protocol, void *message, size_t size);
// Seconds of a clock that nobody sets.
double monotonic_seconds(void);
const char *error_name(int error);
struct stat;
// Whether it is /dev/null, whatever its name.
bool is_null_device(const struct stat *info);

// ---- places to run probes in, beside a slice

// `bare LIST…`: namespaces of its own and nothing else, as root of the host: the control.
int run_bare(char **list);
// `neighbour TAG`: leaves traces of every kind of communication, until SIGTERM.
int run_neighbour(const char *tag);
// `exhaust`: takes all message queues, pending signals and locked memory that its user gets, until SIGTERM.
int run_exhaust(void);
// The System V key of a tag.
int tag_key(const char *tag);
// `race DIRECTORY` and `careless DIRECTORY` (race.c).
int run_race(const char *directory);
int run_careless(const char *directory);

// ---- packets: attacks from a network namespace, seen from the host's end of its link (packets.c)

// `forge PID LINK IPV4 IPV6 OTHER4 OTHER6`, and `forge bare`: the control.
int run_forge(char **arguments);
// `sniff PID ADDRESS…`.
int run_sniff(char **arguments);
// `leaving LINK SECONDS PORT PORT`.
int run_leaving(char **arguments);
// `witness PLACE LINK VIEW SECONDS TEXT…` (witness.c).
int run_witness(char **arguments);
// `inject PID LINK KIND FROM TO TEXT`, `say TEXT PORT ADDRESS…` (inject.c).
int run_inject(char **arguments);
int run_say(char **arguments);

// ---- raw sockets that were granted (granted.c)

// `granted OWN OTHER`, `granted bare`: the control, `hold OWN OTHER`.
int run_granted(char **arguments);
int run_granted_bare(void);
int run_hold(char **arguments);

#endif
