// What the files of the loader share.
#ifndef CCLASSIFIER_INTERNAL_H
#define CCLASSIFIER_INTERNAL_H

#include "cclassifier.h"
#include "maps.h"

// Fills `error`, if it is not null, and returns -number.
int ccl_fail(struct ccl_error *error, int number, const char *operation, const char *detail);

// The descriptor of a map that find_parts() has found; the classifier's.
int ccl_map(const struct ccl_classifier *classifier, const char *name);

// What is shared with the programs.
struct control *ccl_control(const struct ccl_classifier *classifier);

#endif
