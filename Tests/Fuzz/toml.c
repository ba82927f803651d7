// The TOML reader that slice.toml and node.toml go through: any bytes, every node looked at.
#include "ctoml.h"

#include <stdlib.h>

static size_t sum(struct ctoml_text text) {
    size_t sum = 0;
    for (size_t i = 0; i < text.length; i++)
        sum += (unsigned char)text.bytes[i];
    return sum;
}

// The children of the node at `index` lie behind it; returns where they end.
static size_t walk(const struct ctoml_node *nodes, size_t count, size_t index, size_t *bytes) {
    if (index >= count)
        abort(); // a node promises children that are not there
    const struct ctoml_node *node = &nodes[index++];
    *bytes += sum(node->key) + sum(node->text);
    if (node->kind == CTOML_TABLE || node->kind == CTOML_ARRAY)
        for (size_t i = 0; i < node->children; i++)
            index = walk(nodes, count, index, bytes);
    return index;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ctoml_document *document = ctoml_parse((const char *)data, size);
    size_t count = 0, bytes = 0;
    const struct ctoml_node *nodes = ctoml_nodes(document, &count);
    struct ctoml_position position;
    if (nodes && walk(nodes, count, 0, &bytes) != count)
        abort();
    if (!nodes)
        bytes += sum(ctoml_error(document, &position));
    ctoml_free(document);
    return bytes == (size_t)-1;
}
