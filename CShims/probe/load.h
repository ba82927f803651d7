#ifndef PROBE_LOAD_H
#define PROBE_LOAD_H

// `spin SECONDS PROCESSES`: processes that never rest. Prints what they used of processors and how long it took,
// in seconds: {"used": 4.9, "elapsed": 5.0}.
int run_spin(const char *seconds, const char *processes);

// `flood ADDRESS PORT SECONDS PROCESSES`: processes that send datagrams of 1,400 bytes as fast as they can.
// Prints how many bytes they had the kernel take: {"sent": 1000000}.
int run_flood(const char *address, const char *port, const char *seconds, const char *processes);

// `write SECONDS PROCESSES`: processes that write to files of their own as fast as they can, past the page cache.
// Prints how many bytes: {"written": 1000000}.
int run_write(const char *seconds, const char *processes);

#endif
