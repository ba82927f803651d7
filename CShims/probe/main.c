// slice-probe: attacks on a slice from inside, by name, for the isolation conformance suite.
//
//   slice-probe list                     the names of all probes
//   slice-probe run NAME[=ARGUMENT]…     tries them, one after another
//   slice-probe service NAME[=ARGUMENT]… the same, then waits until it is ended: a slice's service
//   slice-probe bare NAME[=ARGUMENT]…    tries them where no defence is: the control
//   slice-probe neighbour TAG            leaves what a neighbour must not find, until it is ended
//   slice-probe exhaust                  takes all message queues, pending signals and locked memory that it gets, likewise
//   slice-probe print TEXT               writes it as it is: what a hostile service would
//   slice-probe as UID PROGRAM…          executes it as a user without groups: for attacks on the supervisor
//   slice-probe race DIRECTORY           has names of the root lead to this directory of the host and back, for ever
//   slice-probe careless DIRECTORY       the control: what follows such names is led there
//   slice-probe forge PID LINK IPV4 IPV6 OTHER4 OTHER6
//                                        sends forged frames from the network namespace of PID, and looks at the host's
//                                        end of its link for what passes; the addresses are its own and another slice's
//   slice-probe forge bare               the control: on a pair of links of its own, where nothing stands between
//   slice-probe sniff PID ADDRESS…       looks in the network namespace of PID for what the host sends to the addresses
//   slice-probe spin SECONDS PROCESSES   uses what it gets of the processors, and says how much
//   slice-probe flood ADDRESS PORT SECONDS PROCESSES
//                                        sends as much as it can
//   slice-probe write SECONDS PROCESSES  writes to files as fast as it can, past the page cache
//   slice-probe leaving LINK SECONDS PORT PORT
//                                        counts what of that leaves by a link, for two ports
//   slice-probe witness PLACE LINK VIEW SECONDS TEXT…
//                                        counts packets with these texts at a link of the host ("host") or of a PID's network
//                                        namespace; VIEW is arriving, passing or leaving; ends when it has seen the last text
//   slice-probe inject PID LINK KIND[:NUMBER] FROM TO TEXT
//                                        sends packets from the network namespace of PID; KIND is udp, tcp, echo, gre or mac,
//                                        NUMBER the source port or identifier
//   slice-probe say TEXT PORT ADDRESS…   sends datagrams as anybody does
//   slice-probe granted OWN OTHER        sends with raw sockets of udp:20000-20010 and sniff, forged packets among them
//   slice-probe granted bare             the control: on a pair of links of its own, and counts what arrives
//   slice-probe hold OWN OTHER           sends and receives with such sockets, until it is ended
//
// Each probe prints one JSON object on a line:
//   {"probe": NAME, "argument": ARGUMENT, "outcome": "held|broken|inapplicable|error", "errno": NUMBER, "answer": its name,
//    "tried": the operation, "detail": what else is to be said}
// Exit status: 0 when every probe had an answer, 1 when not, 2 wrong usage. Whether it is the right answer
// is for the suite to judge.
//
// No probe changes anything outside its own process, namespaces and slice if it should succeed: what
// would do harm is tried with arguments that the kernel refuses for another reason after it has looked
// at the permission.
#include "load.h"
#include "probe.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct probe *const tables[] = {
    filter_probes, namespace_probes, capability_probes, file_probes, mount_probes, device_probes,
    terminal_probes, process_probes, descriptor_probes, ipc_probes, key_probes, resource_probes,
    network_probes, identity_probes, system_probes, raw_probes,
};

const struct probe *probe_find(const char *name)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct probe *probe = tables[i]; probe->name; probe++)
            if (!strcmp(probe->name, name))
                return probe;
    return NULL;
}

int run_list(char **list)
{
    int status = 0;
    for (; *list; list++) {
        char name[64], *mark = strchr(*list, '=');
        size_t length = mark ? (size_t)(mark - *list) : strlen(*list);
        snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), *list);
        const struct probe *probe = probe_find(name);
        if (!probe) {
            fprintf(stderr, "slice-probe: no probe '%s'\n", name);
            return 2;
        }
        if (!probe_try(probe, mark ? mark + 1 : ""))
            status = 1;
    }
    return status;
}

static int serve(char **list)
{
    int status = run_list(list);
    if (status == 2)
        return status;
    static const char finished[] = "{\"finished\":true}\n";
    if (write(1, finished, sizeof finished - 1) < 0)
        return 1;
    for (;;)
        pause();
}

// Only root can; who can't says so.
static int execute_as(const char *user, char **program)
{
    uid_t id = (uid_t)strtoul(user, NULL, 10);
    if (id && setgroups(0, NULL) == 0 && setgid(id) == 0 && setuid(id) == 0)
        execv(*program, program);
    perror("slice-probe: as");
    return 125;
}

static int print_names(void)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct probe *probe = tables[i]; probe->name; probe++)
            puts(probe->name);
    return 0;
}

int main(int count, char **arguments)
{
    const char *verb = count > 1 ? arguments[1] : "";
    if (!strcmp(verb, "list"))
        return print_names();
    if (!strcmp(verb, "run") && count > 2)
        return run_list(arguments + 2);
    if (!strcmp(verb, "service"))
        return serve(arguments + 2);
    if (!strcmp(verb, "bare") && count > 2)
        return run_bare(arguments + 2);
    if (!strcmp(verb, "neighbour") && count == 3)
        return run_neighbour(arguments[2]);
    if (!strcmp(verb, "exhaust"))
        return run_exhaust();
    if (!strcmp(verb, "as") && count > 3)
        return execute_as(arguments[2], arguments + 3);
    if (!strcmp(verb, "print") && count == 3)
        return puts(arguments[2]) < 0;
    if (!strcmp(verb, "race") && count == 3)
        return run_race(arguments[2]);
    if (!strcmp(verb, "careless") && count == 3)
        return run_careless(arguments[2]);
    if (!strcmp(verb, "forge") && count > 2)
        return run_forge(arguments + 2);
    if (!strcmp(verb, "sniff") && count > 3)
        return run_sniff(arguments + 2);
    if (!strcmp(verb, "spin") && count == 4)
        return run_spin(arguments[2], arguments[3]);
    if (!strcmp(verb, "flood") && count == 6)
        return run_flood(arguments[2], arguments[3], arguments[4], arguments[5]);
    if (!strcmp(verb, "write") && count == 4)
        return run_write(arguments[2], arguments[3]);
    if (!strcmp(verb, "leaving") && count == 6)
        return run_leaving(arguments + 2);
    if (!strcmp(verb, "witness") && count > 6)
        return run_witness(arguments + 2);
    if (!strcmp(verb, "inject") && count == 8)
        return run_inject(arguments + 2);
    if (!strcmp(verb, "say") && count > 4)
        return run_say(arguments + 2);
    if (!strcmp(verb, "granted") && count == 3 && !strcmp(arguments[2], "bare"))
        return run_granted_bare();
    if (!strcmp(verb, "granted") && count == 4)
        return run_granted(arguments + 2);
    if (!strcmp(verb, "hold") && count == 4)
        return run_hold(arguments + 2);
    // Set-uid copies of this program say as whom they run (capability.set-uid).
    if (!strcmp(verb, "identity"))
        return printf("%d\n", (int)geteuid()) < 0;
    fprintf(stderr, "usage: slice-probe list | run|service|bare NAME[=ARGUMENT]… | neighbour TAG | exhaust | print TEXT | as UID PROGRAM… |\n"
                    "  race|careless DIRECTORY | forge bare | forge PID LINK IPV4 IPV6 OTHER4 OTHER6 | sniff PID ADDRESS… | spin SECONDS PROCESSES |\n"
                    "  flood ADDRESS PORT SECONDS PROCESSES | write SECONDS PROCESSES | leaving LINK SECONDS PORT PORT |\n"
                    "  witness PLACE LINK VIEW SECONDS TEXT… | inject PID LINK KIND[:NUMBER] FROM TO TEXT | say TEXT PORT ADDRESS… |\n"
                    "  granted OWN OTHER | granted bare | hold OWN OTHER\n");
    return 2;
}
