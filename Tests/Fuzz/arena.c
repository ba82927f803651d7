#include "arena.h"

#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next, **link;
    size_t size;
    size_t padding;
};

static struct block *blocks;

void *arena_malloc(size_t size) {
    struct block *block = size > (size_t)1 << 30 ? NULL : malloc(sizeof *block + size);
    if (!block)
        return NULL;
    *block = (struct block){.next = blocks, .link = &blocks, .size = size};
    if (blocks)
        blocks->link = &block->next;
    blocks = block;
    return block + 1;
}

void *arena_calloc(size_t count, size_t size) {
    size_t total;
    void *memory = __builtin_mul_overflow(count, size, &total) ? NULL : arena_malloc(total);
    return memory ? memset(memory, 0, total) : NULL;
}

void *arena_reallocarray(void *memory, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *grown = arena_malloc(total);
    if (grown && memory) {
        size_t earlier = ((struct block *)memory - 1)->size;
        memcpy(grown, memory, earlier < total ? earlier : total);
        arena_free(memory);
    }
    return grown;
}

char *arena_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = arena_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void arena_free(void *memory) {
    if (!memory)
        return;
    struct block *block = (struct block *)memory - 1;
    *block->link = block->next;
    if (block->next)
        block->next->link = block->link;
    free(block);
}

void arena_clear(void) {
    while (blocks)
        arena_free(blocks + 1);
}
