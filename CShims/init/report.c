#include "report.h"

#include <errno.h>
#include <unistd.h>

int failed(struct slice_report *report, enum slice_stage stage, int error)
{
    *report = (struct slice_report){.stage = stage, .error = error};
    return -1;
}

void report_send(int descriptor, const struct slice_report *report)
{
    // Shorter than PIPE_BUF, so whole or not at all (pipe(7)).
    while (write(descriptor, report, sizeof *report) < 0 && errno == EINTR)
        ;
}

int report_exit_code(const struct slice_report *report)
{
    if (report->stage != SLICE_STAGE_INIT_EXEC)
        return 125;
    return report->error == ENOENT ? 127 : 126;
}
