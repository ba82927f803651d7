#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

int cnl_fail(struct cnl_error *error, int number, const char *operation, const char *format, ...) {
    if (error) {
        error->error = number;
        error->operation = operation;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->detail, sizeof error->detail, format, arguments);
        va_end(arguments);
    }
    return -number;
}
