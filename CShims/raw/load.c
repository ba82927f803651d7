#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

// Loads the object's program and takes one of its maps. `state`: in place of its own map of that name, -1:
// that. 0 or -errno.
static int load(
    const char *path, int state, const char *program_name, int *program, const char *map_name, int *map,
    struct craw_error *error) {
    *program = *map = -1;
    struct bpf_object *object = bpf_object__open_file(path, NULL);
    if (!object) return fail(error, errno, "open the program for raw sockets", path);
    const char *operation = "load the program for raw sockets";
    int result = 0;
    struct bpf_map *shared = bpf_object__find_map_by_name(object, "state");
    if (state >= 0)
        result = shared ? bpf_map__reuse_fd(shared, state) : -EINVAL;
    if (result == 0) result = bpf_object__load(object);
    if (result < 0) {
        // As the classifier's: what kernels say that cannot.
        const int number =
            result == -ENOSYS || result == -EINVAL || result == -EPERM ? EOPNOTSUPP : -result;
        result = fail(error, number, operation, path);
    } else {
        const struct bpf_program *found = bpf_object__find_program_by_name(object, program_name);
        *program = keep(found ? bpf_program__fd(found) : -1);
        *map = keep(bpf_object__find_map_fd_by_name(object, map_name));
        if (*program < 0 || *map < 0) result = fail(error, EINVAL, operation, "a part is missing");
    }
    bpf_object__close(object);
    return result;
}

int craw_open(uint32_t id, struct craw_error *error) {
    const int program = bpf_prog_get_fd_by_id(id);
    return program < 0 ? fail(error, errno, "open the program for raw sockets", "by its id") : program;
}

int craw_load(const char *path, int state, struct craw_judge *judge, struct craw_error *error) {
    return load(path, state, "from_raw_socket", &judge->program, "state", &judge->state, error);
}

int craw_load_receiver(
    const char *path, int state, struct craw_receiver *receiver, struct craw_error *error) {
    return load(
        path, state, "to_xdp_socket", &receiver->program, "sockets", &receiver->sockets, error);
}

// A map by its id, if it is one of sockets of AF_XDP.
static int open_sockets(uint32_t id) {
    const int map = bpf_map_get_fd_by_id(id); // close-on-exec
    if (map < 0) return -1;
    struct bpf_map_info about = {0};
    uint32_t size = sizeof about;
    if (bpf_obj_get_info_by_fd(map, &about, &size) == 0 && about.type == BPF_MAP_TYPE_XSKMAP) return map;
    close(map);
    return -1;
}

int craw_find_sockets(uint32_t program) {
    const int number = bpf_prog_get_fd_by_id(program);
    if (number < 0) return -errno;
    uint32_t maps[4] = {0};
    struct bpf_prog_info about = {.nr_map_ids = 4, .map_ids = (uintptr_t)maps};
    uint32_t size = sizeof about;
    int found = -1;
    if (bpf_obj_get_info_by_fd(number, &about, &size) == 0)
        for (uint32_t each = 0; each < about.nr_map_ids && each < 4 && found < 0; each++)
            found = open_sockets(maps[each]);
    close(number);
    return found < 0 ? -ENOENT : found;
}
