#define _GNU_SOURCE
#include "oci.h"

#include "report.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// image-spec, layer.md, "Whiteouts"; names that begin with ".wh..wh." are AUFS' own files, of
// which only the opaque marker means something.
static const char whiteout_prefix[] = ".wh.";
static const char reserved_prefix[] = ".wh..wh.";
static const char opaque_name[] = ".wh..wh..opq";

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *last_component(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_whiteout(const char *path) {
    return has_prefix(last_component(path), whiteout_prefix);
}

// A reserved name may only stand last: below `.wh.x/` nothing could be told from a whiteout.
static void check_components(const char *path) {
    for (const char *at = path; at; at = strchr(at, '/'), at = at ? at + 1 : NULL)
        if (has_prefix(at, whiteout_prefix) && strchr(at, '/'))
            refuse(0, "a directory has a name that OCI reserves for whiteouts");
}

// Opens the directory of lower layers that a whiteout speaks of, or -1 if there is none. A
// symbolic link on the way means that this layer puts a directory in its place (an overlay's
// difference names real paths only), so that nothing of the lower layers shows there.
static int open_hidden_directory(int tree, const char *path) {
    char parent[PATH_MAX] = "";
    memcpy(parent, path, (size_t)(last_component(path) - path));
    size_t length = strlen(parent);
    if (length > 0)
        parent[length - 1] = '\0';
    int fd = tree_open(tree, parent, O_RDONLY | O_DIRECTORY, TREE_LINKS_REFUSED);
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        refuse(errno, "cannot open the directory of a whiteout");
    return fd;
}

static void apply_whiteout(int tree, const char *path) {
    const char *name = last_component(path);
    const char *hidden = name + strlen(whiteout_prefix);
    bool opaque = strcmp(name, opaque_name) == 0;
    if (!opaque && has_prefix(name, reserved_prefix))
        return;
    if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        refuse(0, "refused: a whiteout of \"%s\"", hidden);
    int directory = open_hidden_directory(tree, path);
    if (directory < 0)
        return;
    struct stat status;
    if (fstat(directory, &status) < 0 ||
        (opaque ? tree_clear(directory) : tree_remove(directory, hidden)) < 0)
        refuse(errno, "cannot apply the whiteout");
    // As for entries: a directory keeps the time that its own entry said.
    const struct timespec times[2] = {status.st_atim, status.st_mtim};
    if (futimens(directory, times) < 0)
        refuse(errno, "cannot set the time of the whiteout's directory");
    close(directory);
}

static struct stream *open_layer(int scratch, const struct oci_layer *layer,
                                 const struct extraction *extraction, int *fd) {
    *fd = oci_blob_open(scratch, &layer->blob);
    return stream_open(*fd, layer->compression, extraction_plain_max(extraction), false);
}

static void verify_and_whiteout(int scratch, const struct oci_layer *layer,
                                struct extraction *extraction) {
    int fd;
    char path[PATH_MAX];
    struct stream_digests digests;
    struct archive_entry *entry;
    struct stream *stream = open_layer(scratch, layer, extraction, &fd);
    while ((entry = stream_next(stream))) {
        extraction_count(extraction, archive_entry_pathname(entry));
        extract_path(entry, path);
        check_components(path);
        if (is_whiteout(path))
            apply_whiteout(extraction->tree, path);
    }
    report_at(NULL);
    stream_close(stream, &digests);
    close(fd);
    if (strcmp(digests.stored, layer->blob.hex) != 0)
        refuse(0, "the layer sha256:%s is damaged: its digest is sha256:%s", layer->blob.hex,
               digests.stored);
    if (strcmp(digests.plain, layer->diff_id) != 0)
        refuse(0,
               "the layer sha256:%s is not what the configuration says: its diff_id is sha256:%s "
               "instead of sha256:%s", layer->blob.hex, digests.plain, layer->diff_id);
}

static void add_entries(int scratch, const struct oci_layer *layer,
                        struct extraction *extraction) {
    int fd;
    char path[PATH_MAX];
    struct archive_entry *entry;
    struct stream *stream = open_layer(scratch, layer, extraction, &fd);
    while ((entry = stream_next(stream))) {
        report_at(archive_entry_pathname(entry));
        extract_path(entry, path);
        if (!is_whiteout(path))
            extract_entry(extraction, stream, entry, path);
    }
    report_at(NULL);
    stream_close(stream, NULL);
    close(fd);
}

void oci_apply_layers(int scratch, const struct oci_image *image, struct extraction *extraction) {
    for (size_t i = 0; i < image->layer_count; i++) {
        verify_and_whiteout(scratch, &image->layers[i], extraction);
        add_entries(scratch, &image->layers[i], extraction);
    }
}
