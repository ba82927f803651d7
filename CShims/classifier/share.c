// Memory that the loader shares with the programs: a section of theirs with a name of its own.

#include "internal.h"

#include <sys/mman.h>

void *ccl_share(const struct bpf_object *object, const char *section, size_t size) {
    const int data = bpf_object__find_map_fd_by_name(object, section);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, data, 0);
    return memory == MAP_FAILED ? NULL : memory;
}
