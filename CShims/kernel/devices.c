// The devices of a cgroup: a program of BPF_PROG_TYPE_CGROUP_DEVICE, written out, because it is short and the
// same everywhere. devices.txt of the kernel has the numbers.
#include "ckernel.h"

#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY 1  // major of null, zero, …
#define TERMINAL 5 // of tty and ptmx
#define MISCELLANEOUS 10 // of net/tun, which is in the /dev of slices that were granted it
#define PSEUDO_TERMINALS 136 // of what devpts shows; each slice has one of its own

static const struct {
    uint32_t major, minor;
} ALLOWED[] = {
    {MEMORY, 3}, {MEMORY, 5}, {MEMORY, 7}, {MEMORY, 8}, {MEMORY, 9}, // null zero full random urandom
    {TERMINAL, 0}, {TERMINAL, 2},                                    // tty ptmx
    {MISCELLANEOUS, 200},                                            // net/tun
};
#define ALLOWED_COUNT (sizeof ALLOWED / sizeof ALLOWED[0])

enum { TYPE = BPF_REG_2, MAJOR = BPF_REG_3, MINOR = BPF_REG_4 };

static struct bpf_insn load(uint8_t to, int16_t offset) {
    return (struct bpf_insn){
        .code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = to, .src_reg = BPF_REG_1, .off = offset};
}

static struct bpf_insn jump(uint8_t how, uint8_t value, uint32_t than, size_t by) {
    return (struct bpf_insn){
        .code = (uint8_t)(BPF_JMP | how | BPF_K), .dst_reg = value, .off = (int16_t)by, .imm = (int32_t)than};
}

static struct bpf_insn set_result(int32_t to) {
    return (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = to};
}

int kernel_device_program(void) {
    static const struct bpf_insn leave = {.code = BPF_JMP | BPF_EXIT};
    struct bpf_insn code[6 + 2 * ALLOWED_COUNT + 4];
    size_t count = 0;
    // access_type has the type in its lower half.
    code[count++] = load(TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    code[count++] = (struct bpf_insn){
        .code = BPF_ALU | BPF_AND | BPF_K, .dst_reg = TYPE, .imm = 0xffff};
    code[count++] = load(MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
    code[count++] = load(MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
    const size_t end = count + 2 + 2 * ALLOWED_COUNT;
    code[count] = jump(BPF_JNE, TYPE, BPF_DEVCG_DEV_CHAR, end - count - 1);
    count++;
    code[count] = jump(BPF_JEQ, MAJOR, PSEUDO_TERMINALS, end + 2 - count - 1);
    count++;
    for (size_t each = 0; each < ALLOWED_COUNT; each++) {
        code[count++] = jump(BPF_JNE, MAJOR, ALLOWED[each].major, 1);
        code[count] = jump(BPF_JEQ, MINOR, ALLOWED[each].minor, end + 2 - count - 1);
        count++;
    }
    code[count++] = set_result(0);
    code[count++] = leave;
    code[count++] = set_result(1);
    code[count++] = leave;

    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attributes.insns = (uint64_t)(uintptr_t)code;
    attributes.insn_cnt = (uint32_t)count;
    attributes.license = (uint64_t)(uintptr_t)"GPL";
    memcpy(attributes.prog_name, "slice_devices", sizeof "slice_devices");
    return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
}

int kernel_hold_devices(int program, int cgroup) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.target_fd = (uint32_t)cgroup;
    attributes.attach_bpf_fd = (uint32_t)program;
    attributes.attach_type = BPF_CGROUP_DEVICE;
    return (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes);
}
