// Compiled into a slice-init of the tests: a command keeps the groups that it was started with.
#include <sys/syscall.h>
#undef SYS_setgroups
#define SYS_setgroups SYS_getpid
