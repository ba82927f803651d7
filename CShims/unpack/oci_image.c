#define _GNU_SOURCE
#include "oci.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

// distribution-spec asks registries to take manifests of 4 MiB; a layout's documents are no
// longer. An index may name an index; deeper nesting than this has no use.
enum { DOCUMENT_MAX = 4 * 1024 * 1024, INDEX_DEPTH_MAX = 4, TAG_LIST_MAX = 2048 };

static const char tag_annotation[] = "org.opencontainers.image.ref.name";

static const char *const index_types[] = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json", NULL};
static const char *const manifest_types[] = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json", NULL};
static const char *const config_types[] = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json", NULL};

static const struct {
    const char *type;
    enum stream_compression compression;
} layer_types[] = {
    {"application/vnd.oci.image.layer.v1.tar", STREAM_NONE},
    {"application/vnd.oci.image.layer.v1.tar+gzip", STREAM_GZIP},
    {"application/vnd.oci.image.layer.v1.tar+zstd", STREAM_ZSTD},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", STREAM_NONE},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", STREAM_GZIP},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", STREAM_ZSTD},
    {"application/vnd.docker.image.rootfs.diff.tar", STREAM_NONE},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", STREAM_GZIP},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", STREAM_ZSTD},
};

// The names that Go, and so OCI, has for what uname(2) calls the machine.
static const struct {
    const char *machine;
    const char *architecture;
} architectures[] = {
    {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"},
    {"s390x", "s390x"},  {"armv7l", "arm"},    {"i686", "386"},        {"loongarch64", "loong64"},
};

static const char *host_architecture(void) {
    static struct utsname host;
    uname(&host);
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (strcmp(host.machine, architectures[i].machine) == 0)
            return architectures[i].architecture;
    return host.machine;
}

// --- Documents

static json_t *parse(const char *bytes, size_t length, const char *name) {
    json_error_t error;
    json_t *document = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
    if (!document)
        refuse(0, "%s is not valid JSON: line %d: %s", name, error.line, error.text);
    if (!json_is_object(document))
        refuse(0, "%s is not a JSON object", name);
    return document;
}

// The whole file, which the caller frees.
static char *read_all(int fd, const char *name, size_t *length) {
    char *bytes = malloc(DOCUMENT_MAX + 1);
    if (!bytes)
        refuse(ENOMEM, "cannot read %s", name);
    *length = 0;
    ssize_t n;
    while ((n = read(fd, bytes + *length, DOCUMENT_MAX + 1 - *length)) > 0)
        *length += (size_t)n;
    if (n < 0)
        refuse(errno, "cannot read %s", name);
    if (*length > DOCUMENT_MAX)
        refuse(0, "%s is longer than 4 MiB", name);
    return bytes;
}

// One of the two documents that have a name instead of a digest.
static json_t *load_named(int scratch, const char *name) {
    size_t length;
    int fd = openat(scratch, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        refuse(errno,
               "this is not an OCI image layout: there is no %s at its top (make the archive with "
               "`tar -C LAYOUT -c .`)", name);
    char *bytes = read_all(fd, name, &length);
    close(fd);
    json_t *document = parse(bytes, length, name);
    free(bytes);
    return document;
}

static json_t *load_blob(int scratch, const struct oci_blob *blob) {
    char hex[STREAM_DIGEST_HEX], name[sizeof "sha256:" + STREAM_DIGEST_HEX];
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx hash;
    size_t length;
    snprintf(name, sizeof name, "sha256:%s", blob->hex);
    int fd = oci_blob_open(scratch, blob);
    char *bytes = read_all(fd, name, &length);
    close(fd);
    sha256_init(&hash);
    sha256_update(&hash, length, (const uint8_t *)bytes);
    sha256_digest(&hash, sizeof digest, digest);
    stream_hex(digest, hex);
    if (strcmp(hex, blob->hex) != 0)
        refuse(0, "the blob %s is damaged: its digest is sha256:%s", name, hex);
    json_t *document = parse(bytes, length, name);
    free(bytes);
    return document;
}

// --- Fields

static const char *text_field(json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is_one_of(const char *text, const char *const *list) {
    for (; *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

static void digest_text(const char *text, char hex[STREAM_DIGEST_HEX]) {
    if (strncmp(text, "sha256:", 7) != 0 || strlen(text + 7) != 64 ||
        strspn(text + 7, "0123456789abcdef") != 64)
        refuse(0, "\"%s\" is not a SHA-256 digest, the only kind that is supported", text);
    memcpy(hex, text + 7, STREAM_DIGEST_HEX);
}

static struct oci_blob blob_of(json_t *descriptor) {
    struct oci_blob blob;
    json_t *size = json_object_get(descriptor, "size");
    digest_text(text_field(descriptor, "digest"), blob.hex);
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        refuse(0, "the descriptor of sha256:%s has no valid size", blob.hex);
    blob.size = (uint64_t)json_integer_value(size);
    return blob;
}

static json_t *array_field(json_t *object, const char *key, const char *where) {
    json_t *array = json_object_get(object, key);
    if (!json_is_array(array))
        refuse(0, "%s has no list \"%s\"", where, key);
    return array;
}

static void check_version(json_t *document, const char *where) {
    json_t *version = json_object_get(document, "schemaVersion");
    if (!json_is_integer(version) || json_integer_value(version) != 2)
        refuse(0, "%s does not have schemaVersion 2", where);
}

// A document may repeat its media type; then it must be the descriptor's.
static void check_type(json_t *document, json_t *descriptor) {
    const char *own = text_field(document, "mediaType");
    if (*own && strcmp(own, text_field(descriptor, "mediaType")) != 0)
        refuse(0, "the media type of a document is %s where its descriptor says %s", own,
               text_field(descriptor, "mediaType"));
}

// --- Choosing the manifest

static const char *tag_of(json_t *descriptor) {
    return text_field(json_object_get(descriptor, "annotations"), tag_annotation);
}

static bool is_image(json_t *descriptor) {
    const char *type = text_field(descriptor, "mediaType");
    return is_one_of(type, index_types) || is_one_of(type, manifest_types);
}

// A descriptor without a platform may be for any; its configuration is checked later.
static bool suits_host(json_t *descriptor) {
    json_t *platform = json_object_get(descriptor, "platform");
    return !platform || (strcmp(text_field(platform, "os"), "linux") == 0 &&
                         strcmp(text_field(platform, "architecture"), host_architecture()) == 0);
}

static _Noreturn void refuse_choice(json_t *descriptors, const char *tag) {
    char tags[TAG_LIST_MAX] = "";
    size_t i, length = 0;
    json_t *descriptor;
    json_array_foreach(descriptors, i, descriptor) {
        const char *name = tag_of(descriptor);
        if (is_image(descriptor) && *name && length + strlen(name) + 3 < sizeof tags)
            length += (size_t)sprintf(tags + length, "%s%s", length ? ", " : "", name);
    }
    const char *known = length ? tags : "none";
    if (tag)
        refuse(0, "the layout has no image with the tag \"%s\" for linux/%s; its tags: %s", tag,
               host_architecture(), known);
    refuse(0, "the layout does not have exactly one image for linux/%s: name one with --tag; its "
           "tags: %s", host_architecture(), known);
}

// The one descriptor that has the tag (if any is asked for) and suits the host. At the top, two
// that suit are a question to the user; below, image-spec's image-index.md has the first win.
static json_t *choose(json_t *descriptors, const char *tag, bool top) {
    size_t i;
    json_t *descriptor, *chosen = NULL;
    json_array_foreach(descriptors, i, descriptor) {
        if (!is_image(descriptor) || (tag && strcmp(tag_of(descriptor), tag) != 0) ||
            !suits_host(descriptor))
            continue;
        bool is_same = chosen && strcmp(text_field(descriptor, "digest"),
                                        text_field(chosen, "digest")) == 0;
        if (chosen && top && !is_same)
            refuse_choice(descriptors, NULL);
        if (!chosen)
            chosen = descriptor;
    }
    if (!chosen)
        refuse_choice(descriptors, tag);
    return chosen;
}

// The manifest, from the index down. A new reference.
static json_t *find_manifest(int scratch, const char *tag) {
    json_t *document = load_named(scratch, "index.json");
    for (int depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
        check_version(document, "an index");
        json_t *manifests = array_field(document, "manifests", "an index");
        json_t *chosen = choose(manifests, depth == 0 ? tag : NULL, depth == 0);
        struct oci_blob blob = blob_of(chosen);
        bool is_manifest = is_one_of(text_field(chosen, "mediaType"), manifest_types);
        json_t *next = load_blob(scratch, &blob);
        check_type(next, chosen);
        json_decref(document);
        document = next;
        if (is_manifest)
            return document;
    }
    refuse(0, "the layout's indexes are nested more than %d deep", INDEX_DEPTH_MAX);
}

// --- The image

static enum stream_compression layer_compression(const char *type) {
    for (size_t i = 0; i < sizeof layer_types / sizeof *layer_types; i++)
        if (strcmp(type, layer_types[i].type) == 0)
            return layer_types[i].compression;
    refuse(0, "a layer has the media type \"%s\", which is not supported", type);
}

// A list of strings of the configuration; a missing one, or null, is empty. A new reference.
static json_t *text_list(json_t *config, const char *key) {
    size_t i;
    json_t *item, *list = json_object_get(config, key);
    if (!list || json_is_null(list))
        return json_array();
    bool valid = json_is_array(list);
    json_array_foreach(list, i, item)
        valid = valid && json_is_string(item);
    if (!valid)
        refuse(0, "the configuration's \"%s\" is not a list of strings", key);
    return json_incref(list);
}

// What the runtime needs to know (image-spec, config.md). A new reference.
static json_t *runtime_config(json_t *document) {
    json_t *config = json_object_get(document, "config");
    return json_pack("{s:o,s:o,s:o,s:s,s:s}", "entrypoint", text_list(config, "Entrypoint"), "cmd",
                     text_list(config, "Cmd"), "env", text_list(config, "Env"), "user",
                     text_field(config, "User"), "workdir", text_field(config, "WorkingDir"));
}

static void check_platform(json_t *config) {
    const char *system = text_field(config, "os");
    const char *architecture = text_field(config, "architecture");
    if (strcmp(system, "linux") != 0 || strcmp(architecture, host_architecture()) != 0)
        refuse(0, "the image is for %s/%s, this host is linux/%s", system, architecture,
               host_architecture());
}

static void read_layers(json_t *manifest, json_t *config, struct oci_image *image) {
    size_t i;
    json_t *descriptor;
    json_t *layers = array_field(manifest, "layers", "the manifest");
    json_t *diff_ids = array_field(json_object_get(config, "rootfs"), "diff_ids",
                                   "the configuration's rootfs");
    if (json_array_size(layers) != json_array_size(diff_ids))
        refuse(0, "the manifest has %zu layers, the configuration %zu diff_ids",
               json_array_size(layers), json_array_size(diff_ids));
    if (json_array_size(layers) > OCI_LAYERS_MAX)
        refuse(0, "the image has more than %d layers", OCI_LAYERS_MAX);
    json_array_foreach(layers, i, descriptor) {
        const char *diff_id = json_string_value(json_array_get(diff_ids, i));
        image->layers[i].compression = layer_compression(text_field(descriptor, "mediaType"));
        image->layers[i].blob = blob_of(descriptor);
        digest_text(diff_id ? diff_id : "", image->layers[i].diff_id);
    }
    image->layer_count = json_array_size(layers);
}

static void check_layout_version(int scratch) {
    json_t *layout = load_named(scratch, "oci-layout");
    const char *version = text_field(layout, "imageLayoutVersion");
    if (strcmp(version, "1.0.0") != 0)
        refuse(0, "the OCI image layout has version \"%s\"; 1.0.0 is supported", version);
    json_decref(layout);
}

void oci_select_image(int scratch, const char *tag, struct oci_image *image) {
    check_layout_version(scratch);
    json_t *manifest = find_manifest(scratch, tag);
    check_version(manifest, "the manifest");
    json_t *descriptor = json_object_get(manifest, "config");
    if (!is_one_of(text_field(descriptor, "mediaType"), config_types))
        refuse(0, "the manifest's configuration has the media type \"%s\": not a container image",
               text_field(descriptor, "mediaType"));
    struct oci_blob blob = blob_of(descriptor);
    json_t *config = load_blob(scratch, &blob);
    check_platform(config);
    read_layers(manifest, config, image);
    image->config = runtime_config(config);
    json_decref(config);
    json_decref(manifest);
}
