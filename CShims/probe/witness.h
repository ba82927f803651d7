// Looking for packets by the text in them, at one link.
#ifndef PROBE_WITNESS_H
#define PROBE_WITNESS_H

#include <stdbool.h>

enum view {
    ARRIVING, // comes in by the link, whatever becomes of it
    PASSING,  // of IPv4 that comes in, what goes on past the programs on the link (tc-bpf(8))
    LEAVING,  // goes out by the link, behind its queue
};

struct sight {
    int count;
    int number; // of the last one: source port, or identifier of an ICMP echo; -1: none
};

// A socket that shows what a view has, at a link of the present network namespace; -1 with errno.
int witness_open(unsigned link, enum view view);
// Counts what it shows by now, of each text of a list that ends with NULL.
void witness_look(int shown, enum view view, char **texts, struct sight *sights);

#endif
