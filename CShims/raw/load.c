#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "craw.h"

static int fail(struct craw_error *error, int number, const char *operation, const char *detail) {
    if (error) {
        error->operation = operation;
        snprintf(error->detail, sizeof error->detail, "%s", detail);
    }
    return -number;
}

static int keep(int descriptor) {
    return descriptor < 0 ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
}

int craw_load(const char *path, struct craw_judge *judge, struct craw_error *error) {
    *judge = (struct craw_judge){.program = -1, .state = -1};
    struct bpf_object *object = bpf_object__open_file(path, NULL);
    if (!object) return fail(error, errno, "open the program for raw sockets", path);
    int result = bpf_object__load(object);
    if (result < 0) {
        // As the classifier's: what kernels say that cannot.
        const int number =
            result == -ENOSYS || result == -EINVAL || result == -EPERM ? EOPNOTSUPP : -result;
        result = fail(error, number, "load the program for raw sockets", path);
    } else {
        const struct bpf_program *program =
            bpf_object__find_program_by_name(object, "from_raw_socket");
        judge->program = keep(program ? bpf_program__fd(program) : -1);
        judge->state = keep(bpf_object__find_map_fd_by_name(object, "state"));
        if (judge->program < 0 || judge->state < 0)
            result = fail(error, EINVAL, "load the program for raw sockets", "a part is missing");
    }
    bpf_object__close(object);
    return result;
}

int craw_open(uint32_t id, struct craw_error *error) {
    const int program = bpf_prog_get_fd_by_id(id);
    return program < 0 ? fail(error, errno, "open the program for raw sockets", "by its id") : program;
}
