// Linked into the sanitized slice-unpack only: enters SLICE_UNPACK_ROOT before main, when the
// dynamic linker and the sanitizers have already read what they need from the host's root.
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void enter_root(void) {
    const char *root = getenv("SLICE_UNPACK_ROOT");
    if (!root || chroot(root) < 0 || chdir("/") < 0) {
        perror("SLICE_UNPACK_ROOT");
        _exit(98);
    }
}
