// slice-unpack, whole: archives become trees in a scratch directory, as in its sandbox. The first byte
// says which kind, the rest is the archive. A refusal, which ends the program, ends the run.
//
// Needs a scratch directory (FUZZ_SCRATCH), best on tmpfs. ./run gives it one, and a view of the machine
// in which nothing else can be written.
#define main slice_unpack_main
#include "../../CShims/unpack/main.c"
#undef main

#include "arena.h"

#include <nettle/sha2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

static jmp_buf refused;
static struct report_progress counters;
static struct archive *readers[8];
static int scratch = -1;

// ---- in place of report.c

int report_open(int fd) { return fd < 0 ? -1 : 0; }
struct report_progress *report_counters(void) { return &counters; }
void report_progress(void) {}
void report_at(const char *entry) { (void)entry; }
void report_result(json_t *result) {
    if (getenv("FUZZ_VERBOSE"))
        json_dumpf(result, stderr, 0);
    json_decref(result);
}
void refuse(int error, const char *format, ...) {
    (void)error;
    // For who writes an input: FUZZ_VERBOSE=1 build/fuzz/archive INPUT
    if (getenv("FUZZ_VERBOSE")) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
    }
    longjmp(refused, 1);
}

// ---- digests (-Wl,--wrap)

// A digest is the number of bytes: what lies behind the check of one is reached by whatever has the
// right length, where no mutation would ever find a document with its SHA-256.
void __wrap_nettle_sha256_init(struct sha256_ctx *hash) { memset(hash, 0, sizeof *hash); }

void __wrap_nettle_sha256_update(struct sha256_ctx *hash, size_t length, const uint8_t *bytes) {
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += bytes[i]; // as the real one would read them
    hash->count += length;
}

void __wrap_nettle_sha256_digest(struct sha256_ctx *hash, size_t length, uint8_t *digest) {
    for (size_t i = 0; i < length; i++)
        digest[length - 1 - i] = i < 8 ? (uint8_t)(hash->count >> 8 * i) : 0;
    memset(hash, 0, sizeof *hash);
}

// ---- readers that a refusal leaves (-Wl,--wrap)

struct archive *__real_archive_read_new(void);
int __real_archive_read_free(struct archive *reader);

struct archive *__wrap_archive_read_new(void) {
    for (unsigned i = 0; i < sizeof readers / sizeof *readers; i++)
        if (!readers[i])
            return readers[i] = __real_archive_read_new();
    abort(); // more readers than the program has at a time
}

int __wrap_archive_read_free(struct archive *reader) {
    for (unsigned i = 0; i < sizeof readers / sizeof *readers; i++)
        if (readers[i] == reader)
            readers[i] = NULL;
    return __real_archive_read_free(reader);
}

static void free_readers(void) {
    for (unsigned i = 0; i < sizeof readers / sizeof *readers; i++)
        if (readers[i])
            __wrap_archive_read_free(readers[i]);
}

// ---- runs

static void prepare_once(void) {
    if (scratch >= 0)
        return;
    const char *path = getenv("FUZZ_SCRATCH");
    scratch = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (scratch < 0) {
        fputs("FUZZ_SCRATCH must name an empty directory\n", stderr);
        exit(1);
    }
    umask(0);
    json_set_alloc_funcs(arena_malloc, arena_free);
    json_object_seed(1);
}

// So that nothing of a run, a descriptor that a refusal left open included, reaches the next.
static void clean(int first) {
    free_readers();
    arena_clear();
    close_range((unsigned)first, ~0u, 0);
    if (tree_clear(scratch) < 0)
        abort(); // the tree holds what slice-unpack itself can't remove
    memset(&counters, 0, sizeof counters);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return -1;
    prepare_once();
    struct options options = {
        .verb = data[0] & 1 ? VERB_OCI : VERB_TAR,
        .tag = data[0] & 2 ? "latest" : NULL,
        .bytes_max = 1 << 20,
    };
    if (options.verb == VERB_TAR)
        options.tag = NULL;
    int input = memfd_create("archive", MFD_CLOEXEC);
    if (input < 0 || write(input, data + 1, size - 1) != (ssize_t)(size - 1) ||
        lseek(input, 0, SEEK_SET) != 0 || dup2(input, STDIN_FILENO) < 0)
        abort();
    if (setjmp(refused) == 0)
        unpack(scratch, &options);
    clean(input);
    return 0;
}
