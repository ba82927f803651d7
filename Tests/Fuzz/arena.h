// Memory of code that ends its process where it refuses: the fuzzer goes on, and frees it all.
#ifndef FUZZ_ARENA_H
#define FUZZ_ARENA_H

#include <stddef.h>

void *arena_malloc(size_t size);
void *arena_calloc(size_t count, size_t size);
void *arena_reallocarray(void *block, size_t count, size_t size);
char *arena_strdup(const char *text);
void arena_free(void *block);
// Frees everything.
void arena_clear(void);

#endif
