#define _GNU_SOURCE
#include "system_errno.h"

#include <string.h>

const char *system_errno_name(int code)
{
	return strerrorname_np(code);
}

const char *system_errno_text(int code)
{
	return strerrordesc_np(code);
}
