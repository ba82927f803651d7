// libFuzzer as a library (compiler-rt, include/fuzzer/FuzzerInterface.h).
#ifndef CFUZZ_H
#define CFUZZ_H

#include <stddef.h>
#include <stdint.h>

// Runs the fuzzer with libFuzzer's own options. Returns its exit status.
int LLVMFuzzerRunDriver(
    int *argc, char ***argv, int (*run)(const uint8_t *data, size_t size));

#endif
