// How a step of slice-init says that it failed.
#ifndef SLICE_INIT_REPORT_H
#define SLICE_INIT_REPORT_H

#include "slice_report.h"

// Fills `report` and returns -1, so that a step can end with `return failed(report, STAGE, errno)`.
int failed(struct slice_report *report, enum slice_stage stage, int error);

// Writes the report to the launcher. A launcher that has gone is no error.
void report_send(int descriptor, const struct slice_report *report);

// The exit status that says the same to those who see only that: 127 the command was not found,
// 126 it could not be executed, 125 slice-init failed before it came to that.
int report_exit_code(const struct slice_report *report);

#endif
