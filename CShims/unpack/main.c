// slice-unpack: makes an image's tree from an archive that nobody trusts.
//
//     slice-unpack tar    [--max-bytes N]              --progress FD < ARCHIVE
//     slice-unpack oci    [--max-bytes N] [--tag NAME] --progress FD < TAR-OF-A-LAYOUT
//     slice-unpack digest                              --progress FD
//
// It is run by descriptor in a sandbox of its own: user, mount, process, network and IPC
// namespaces with the identity id map 0 to 65535; an empty staging directory as root, which gets
// the tree as /tree (`digest` reads the tree at / itself); the capabilities CHOWN, DAC_OVERRIDE,
// FOWNER, FSETID, SETFCAP in that namespace. So whatever goes wrong here stays in the staging
// directory; and what is hostile is refused by checks as well. One thread, no child, no locale.
// (libarchive makes the C library look for conversions in /usr/lib/…/gconv, which the staging
// directory does not have; `digest`, whose root is an image, uses no libarchive reader.)
//
// Exit status: 0 done, 1 refused or failed (report.h's error line says why), 2 wrong usage.
//
// The system calls it needs are listed in syscalls.txt; the tests run it under that list.
#define _GNU_SOURCE
#include "digest.h"
#include "extract.h"
#include "oci.h"
#include "report.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const uint64_t bytes_max_default = (uint64_t)64 << 30;

enum verb { VERB_TAR, VERB_OCI, VERB_DIGEST };

struct options {
    enum verb verb;
    int progress_fd;
    const char *tag; // NULL when not given
    uint64_t bytes_max;
};

static _Noreturn void usage(const char *problem) {
    fprintf(stderr, "slice-unpack: %s\n"
            "usage: slice-unpack tar|oci|digest [--max-bytes N] [--tag NAME] --progress FD\n",
            problem);
    exit(2);
}

static uint64_t number(const char *text, uint64_t most, const char *problem) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value > most)
        usage(problem);
    return value;
}

static enum verb verb_named(const char *name) {
    if (strcmp(name, "tar") == 0)
        return VERB_TAR;
    if (strcmp(name, "oci") == 0)
        return VERB_OCI;
    if (strcmp(name, "digest") == 0)
        return VERB_DIGEST;
    usage("unknown verb");
}

static struct options parse_options(int argc, char **argv) {
    static const struct option known[] = {{"progress", required_argument, NULL, 'p'},
                                          {"tag", required_argument, NULL, 't'},
                                          {"max-bytes", required_argument, NULL, 'm'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.progress_fd = -1, .bytes_max = bytes_max_default};
    int option;
    if (argc < 2)
        usage("a verb is missing");
    options.verb = verb_named(argv[1]);
    opterr = 0;
    while ((option = getopt_long(argc - 1, argv + 1, "", known, NULL)) != -1) {
        switch (option) {
        case 'p':
            options.progress_fd = (int)number(optarg, INT_MAX, "--progress takes a descriptor");
            break;
        case 't':
            options.tag = optarg;
            break;
        case 'm':
            options.bytes_max = number(optarg, INT64_MAX / 2, "--max-bytes takes a number");
            break;
        default:
            usage("unknown option, or one without its value");
        }
    }
    if (optind != argc - 1)
        usage("too many arguments");
    if (options.progress_fd < 0)
        usage("--progress is missing");
    if (options.tag && options.verb != VERB_OCI)
        usage("--tag is for oci only");
    return options;
}

static int open_root(void) {
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        refuse(errno, "cannot open /");
    return root;
}

static int make_directory(int root, const char *name, mode_t mode) {
    if (mkdirat(root, name, mode) < 0)
        refuse(errno, "cannot make /%s in the staging directory, which must be empty", name);
    int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        refuse(errno, "cannot open /%s", name);
    return fd;
}

static void unpack_tar(struct extraction *extraction) {
    char path[PATH_MAX];
    struct archive_entry *entry;
    struct stream *stream =
        stream_open(STDIN_FILENO, STREAM_ANY, extraction_plain_max(extraction), true);
    while ((entry = stream_next(stream))) {
        extraction_count(extraction, archive_entry_pathname(entry));
        extract_path(entry, path);
        extract_entry(extraction, stream, entry, path);
    }
    report_at(NULL);
    stream_close(stream, NULL);
    if (extraction->entries == 0)
        refuse(0, "the archive has no entries");
}

// Returns what the result says of the image's configuration, a new reference.
static json_t *unpack_oci(int root, const struct options *options, struct extraction *extraction) {
    static struct oci_image image;
    int scratch = make_directory(root, "oci", 0700);
    oci_store_layout(STDIN_FILENO, scratch, options->bytes_max);
    oci_select_image(scratch, options->tag, &image);
    oci_apply_layers(scratch, &image, extraction);
    close(scratch);
    if (tree_remove(root, "oci") < 0)
        refuse(errno, "cannot remove the scratch directory /oci");
    return image.config;
}

// Entries and bytes are the tree's, as `digest` finds them again.
static void report_tree(const struct tree_digest *digest, uint64_t skipped_devices,
                        json_t *config) {
    char name[sizeof "sha256:" + STREAM_DIGEST_HEX];
    snprintf(name, sizeof name, "sha256:%s", digest->hex);
    report_result(json_pack("{s:s,s:I,s:I,s:I,s:o}", "digest", name, "entries",
                            (json_int_t)digest->entries, "bytes", (json_int_t)digest->bytes,
                            "skippedDevices", (json_int_t)skipped_devices, "config", config));
}

static void unpack(int root, const struct options *options) {
    json_t *config = NULL;
    struct extraction extraction = {.bytes_max = options->bytes_max};
    extraction.tree = make_directory(root, "tree", 0755);
    if (options->verb == VERB_OCI)
        config = unpack_oci(root, options, &extraction);
    else
        unpack_tar(&extraction);
    struct tree_digest digest = digest_tree(extraction.tree, false);
    if (syncfs(extraction.tree) < 0)
        refuse(errno, "cannot write the tree to the disk");
    report_tree(&digest, extraction.skipped_devices, config ? config : json_null());
}

// jansson's hash tables are seeded, so that no document makes them slow. It would look for
// /dev/urandom, which the sandbox lacks.
static void seed_hash_tables(void) {
    size_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        refuse(errno, "cannot get random bytes");
    json_object_seed(seed | 1); // 0 would mean: find a seed yourself
}

int main(int argc, char **argv) {
    struct options options = parse_options(argc, argv);
    if (report_open(options.progress_fd) < 0)
        usage("--progress: the descriptor is not open");
    signal(SIGPIPE, SIG_IGN);
    umask(0);
    seed_hash_tables();
    int root = open_root();
    if (options.verb == VERB_DIGEST) {
        struct tree_digest digest = digest_tree(root, true);
        report_tree(&digest, 0, json_null());
    } else {
        unpack(root, &options);
    }
    return 0;
}
