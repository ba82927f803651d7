// Starting a child that shares the caller's memory and runs on a stack of its own.
#ifndef SLICE_CLONE_H
#define SLICE_CLONE_H

#include <linux/sched.h>
#include <stddef.h>

// A stack for such a child: mapped with a guard page below. Returns NULL with errno set.
void *clone_stack_map(void);
void clone_stack_unmap(void *stack);

// clone3(2) with `arguments`, to which the stack is added; the child calls `entry(context)`, which
// must not return. Returns the child's pid, or a negative errno.
// The child shares the thread pointer: it may use neither errno nor any libc function.
long clone_on_stack(struct clone_args *arguments, void *stack, void (*entry)(void *),
                    void *context);

#endif
