/* The C library's constant texts about an errno; GNU names that Swift can't import. */
#ifndef SYSTEM_ERRNO_H
#define SYSTEM_ERRNO_H

/* "ENOENT"; NULL for an unknown code. Static storage, safe in every thread (strerror(3)). */
const char *system_errno_name(int code);

/* "No such file or directory", in English whatever the locale; NULL for an unknown code. */
const char *system_errno_text(int code);

#endif
