// oci.h: an OCI image layout (opencontainers/image-spec, image-layout.md) becomes a tree.
//
// In three steps, a file each: the layout's blobs are stored in a scratch directory
// (oci_layout.c); index, manifest and configuration say which image is meant (oci_image.c); its
// layers are applied in order (oci_layers.c). All of them refuse with report.h.
#ifndef SLICE_UNPACK_OCI_H
#define SLICE_UNPACK_OCI_H

#include "extract.h"

#include <jansson.h>
#include <stddef.h>

enum { OCI_LAYERS_MAX = 512 };

// A descriptor (image-spec, descriptor.md), as far as it is used.
struct oci_blob {
    char hex[STREAM_DIGEST_HEX]; // of its SHA-256; also its file's name in the scratch directory
    uint64_t size;
};

struct oci_layer {
    struct oci_blob blob;
    enum stream_compression compression;
    char diff_id[STREAM_DIGEST_HEX]; // SHA-256 of the uncompressed layer
};

struct oci_image {
    struct oci_layer layers[OCI_LAYERS_MAX];
    size_t layer_count;
    json_t *config; // what the result line says of it; a new reference
};

// Reads a tar of a layout from `input` to its end and stores what may be needed of it in the
// directory `scratch`: at most `bytes_max` bytes.
void oci_store_layout(int input, int scratch, uint64_t bytes_max);

// Finds the image that `tag` names (annotation org.opencontainers.image.ref.name), or, when
// `tag` is NULL, the only one; of an image for many machines, the one for this machine.
// Verifies size and digest of every document it reads.
void oci_select_image(int scratch, const char *tag, struct oci_image *image);

// Applies the layers. A layer is read twice: first to verify its size, digest and diff_id and to
// apply its whiteouts to what the lower layers made, then to add its own entries. So a whiteout
// hides nothing of its own layer, wherever in the layer it stands.
void oci_apply_layers(int scratch, const struct oci_image *image, struct extraction *extraction);

// Opens a stored blob for reading, after checking its size. The caller closes it.
int oci_blob_open(int scratch, const struct oci_blob *blob);

#endif
