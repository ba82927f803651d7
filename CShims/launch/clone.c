#define _GNU_SOURCE
#include "clone.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { GUARD_SIZE = 4096, STACK_SIZE = 64 * 1024 };

void *clone_stack_map(void) {
    void *stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return NULL;
    if (mprotect(stack, GUARD_SIZE, PROT_NONE) < 0) {
        int error = errno;
        munmap(stack, GUARD_SIZE + STACK_SIZE);
        errno = error;
        return NULL;
    }
    return stack;
}

void clone_stack_unmap(void *stack) { munmap(stack, GUARD_SIZE + STACK_SIZE); }

long clone_on_stack(struct clone_args *arguments, void *stack, void (*entry)(void *),
                    void *context) {
    arguments->stack = (uint64_t)(uintptr_t)stack + GUARD_SIZE;
    arguments->stack_size = STACK_SIZE;
    long result;
    register void (*child_entry)(void *) __asm__("r12") = entry;
    register void *child_context __asm__("r13") = context;
    // In the child the stack is new and empty, so nothing of this frame may be read: the entry and
    // its context wait in registers, and rbp is cleared to end backtraces here.
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r13, %%rdi\n\t"
                     "call *%%r12\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone3), "D"(arguments), "S"(sizeof *arguments), "r"(child_entry),
                       "r"(child_context)
                     : "rcx", "r11", "memory");
    return result;
}
