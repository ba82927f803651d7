// Has a source file allocate from the arena; included before it (-include), behind the headers that
// declare the names.
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#define malloc arena_malloc
#define calloc arena_calloc
#define reallocarray arena_reallocarray
#define strdup arena_strdup
#define free arena_free
