#include "identity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lines.h"
#include "options.h"
#include "report.h"

#define ID_MAX 65535
#define NAME_LENGTH_MAX 256

// Static: the buffer is only touched, and so only resident, in the process that looks a user up.
static struct lines lines;

static bool parse_id(const char *text, uint32_t *id)
{
    uint64_t value;
    if (!parse_decimal(text, ID_MAX, &value))
        return false;
    *id = (uint32_t)value;
    return true;
}

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '-';
}

// Names as useradd(8) takes them, with capitals and dots. What begins with a digit, a sign or a
// space is never a name, so no odd spelling of a number can be taken for one (CVE-2026-30892).
static bool is_name(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > NAME_LENGTH_MAX || text[0] == '-' || text[0] == '.' ||
        (text[0] >= '0' && text[0] <= '9'))
        return false;
    if (length > 1 && text[length - 1] == '$') // machine accounts
        length--;
    for (size_t i = 0; i < length; i++)
        if (!is_name_byte(text[i]))
            return false;
    return true;
}

// Cuts `line` at its colons. Returns the number of fields, at most `limit`; the rest stays in the
// last one.
static unsigned split(char *line, char **fields, unsigned limit)
{
    unsigned count = 0;
    fields[count++] = line;
    while (count < limit && (line = strchr(line, ':')) != NULL) {
        *line++ = '\0';
        fields[count++] = line;
    }
    return count;
}

static void copy_path(char *to, const char *from, const char *otherwise)
{
    if (from == NULL || from[0] != '/' || strlen(from) >= IDENTITY_TEXT_MAX)
        from = otherwise;
    strcpy(to, from);
}

// Takes what /etc/passwd says of the wanted user. 1: this line is that user; 0: it is not;
// -1: it is, and is not usable.
static int match_user(char *line, const char *name, struct identity *identity)
{
    char *fields[7] = {0};
    uint32_t uid, gid;
    if (split(line, fields, 7) < 4)
        return 0;
    bool uid_valid = parse_id(fields[2], &uid);
    if (name != NULL ? strcmp(fields[0], name) != 0 : !uid_valid || uid != identity->uid)
        return 0;
    if (!uid_valid || !parse_id(fields[3], &gid))
        return -1;
    identity->uid = uid;
    identity->gid = gid;
    if (strlen(fields[0]) <= NAME_LENGTH_MAX)
        strcpy(identity->name, fields[0]);
    copy_path(identity->home, fields[5], "/");
    copy_path(identity->shell, fields[6], "/bin/sh");
    return 1;
}

// Searches /etc/passwd for `name`, or for identity->uid where it is NULL.
static int find_user(const char *name, struct identity *identity, struct slice_report *report)
{
    int found = 0;
    if (lines_open(&lines, "/etc/passwd") < 0) {
        if (errno != ENOENT)
            return failed(report, SLICE_STAGE_INIT_USER, errno);
    } else {
        char *line;
        while (found == 0 && (line = lines_next(&lines)) != NULL)
            found = match_user(line, name, identity);
        int error = found < 0 ? EINVAL : found > 0 ? 0 : errno;
        lines_close(&lines);
        if (error != 0)
            return failed(report, SLICE_STAGE_INIT_USER, error);
    }
    if (found == 0 && name != NULL)
        return failed(report, SLICE_STAGE_INIT_USER, ENOENT);
    return 0;
}

static int add_group(struct identity *identity, gid_t gid)
{
    for (unsigned i = 0; i < identity->group_count; i++)
        if (identity->groups[i] == gid)
            return 0;
    if (identity->group_count == IDENTITY_GROUPS_MAX) {
        errno = E2BIG;
        return -1;
    }
    identity->groups[identity->group_count++] = gid;
    return 0;
}

static bool is_member(char *members, const char *name)
{
    if (name[0] == '\0')
        return false;
    for (char *next; members != NULL; members = next) {
        next = strchr(members, ',');
        if (next != NULL)
            *next++ = '\0';
        if (strcmp(members, name) == 0)
            return true;
    }
    return false;
}

// What /etc/group tells: the id of the group `wanted` (NULL: none is) and the groups that have the
// user as a member. A membership whose id is none that a slice can have is passed over.
struct group_search {
    const char *wanted;
    bool found;
    gid_t found_id;
};

static int match_group(char *line, struct group_search *search, struct identity *memberships)
{
    char *fields[4] = {0};
    uint32_t gid;
    if (split(line, fields, 4) < 3)
        return 0;
    bool valid = parse_id(fields[2], &gid);
    if (search->wanted != NULL && !search->found && strcmp(fields[0], search->wanted) == 0) {
        if (!valid) {
            errno = EINVAL;
            return -1;
        }
        search->found = true;
        search->found_id = gid;
    }
    if (valid && fields[3] != NULL && is_member(fields[3], memberships->name))
        return add_group(memberships, gid);
    return 0;
}

// Fills identity->groups, and identity->gid where `wanted` is a group's name.
static int find_groups(const char *wanted, struct identity *identity, struct slice_report *report)
{
    struct group_search search = {.wanted = wanted};
    identity->group_count = 0;
    add_group(identity, identity->gid);
    if (lines_open(&lines, "/etc/group") < 0) {
        if (errno != ENOENT)
            return failed(report, SLICE_STAGE_INIT_GROUP, errno);
    } else {
        int result = 0;
        char *line;
        while (result == 0 && (line = lines_next(&lines)) != NULL)
            result = match_group(line, &search, identity);
        int error = errno;
        lines_close(&lines);
        if (error != 0)
            return failed(report, SLICE_STAGE_INIT_GROUP, error);
    }
    if (wanted == NULL)
        return 0;
    if (!search.found)
        return failed(report, SLICE_STAGE_INIT_GROUP, ENOENT);
    // The primary group is known only now: it takes the first place.
    identity->gid = search.found_id;
    identity->groups[0] = search.found_id;
    for (unsigned i = 1; i < identity->group_count; i++)
        if (identity->groups[i] == search.found_id)
            identity->groups[i--] = identity->groups[--identity->group_count];
    return 0;
}

// Cuts a copy of `spec` at its colon. -1: it is too long to be one.
static int split_spec(const char *spec, char *copy, size_t size, char **group)
{
    if (strlen(spec) >= size)
        return -1;
    strcpy(copy, spec);
    *group = strchr(copy, ':');
    if (*group != NULL)
        *(*group)++ = '\0';
    return 0;
}

int identity_find(const char *spec, struct identity *identity, struct slice_report *report)
{
    char user[2 * NAME_LENGTH_MAX + 2];
    char *group;
    uint32_t id;
    identity->uid = 0;
    identity->gid = 0;
    identity->name[0] = '\0';
    copy_path(identity->home, NULL, "/");
    copy_path(identity->shell, NULL, "/bin/sh");

    if (split_spec(spec != NULL ? spec : "0", user, sizeof user, &group) < 0)
        return failed(report, SLICE_STAGE_INIT_USER, EINVAL);
    bool numeric = parse_id(user, &id);
    if (!numeric && !is_name(user))
        return failed(report, SLICE_STAGE_INIT_USER, EINVAL);
    if (numeric)
        identity->uid = id;
    if (find_user(numeric ? NULL : user, identity, report) < 0)
        return -1;

    if (group != NULL && parse_id(group, &id)) {
        identity->gid = id;
        group = NULL;
    } else if (group != NULL && !is_name(group)) {
        return failed(report, SLICE_STAGE_INIT_GROUP, EINVAL);
    }
    return find_groups(group, identity, report);
}

// The kernel's interface, version 3 (capget(2)): two words of 32 capabilities each.
#define CAPABILITY_VERSION_3 0x20080522

struct capability_header {
    uint32_t version;
    int pid;
};

struct capability_word {
    uint32_t effective, permitted, inheritable;
};

// A process of uid 0 gets its permitted set back at exec from the bounding set (capabilities(7)),
// which the launcher has limited; no_new_privs keeps that from ever being more than it has now.
static int limit_capabilities(bool keep)
{
    struct capability_header header = {.version = CAPABILITY_VERSION_3};
    struct capability_word words[2] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -1;
    if (keep && syscall(SYS_capget, &header, words) < 0)
        return -1;
    words[0].inheritable = words[1].inheritable = 0;
    return (int)syscall(SYS_capset, &header, words);
}

int identity_assume(const struct identity *identity, struct slice_report *report)
{
    // Direct system calls: there is one thread, and the C library's wrappers would signal others.
    if (syscall(SYS_setgroups, (size_t)identity->group_count, identity->groups) < 0 ||
        syscall(SYS_setresgid, identity->gid, identity->gid, identity->gid) < 0 ||
        syscall(SYS_setresuid, identity->uid, identity->uid, identity->uid) < 0 ||
        // A change of ids sets this to fs.suid_dumpable (prctl(2)); until exec this process must
        // not be traceable by the user that it has become (CVE-2016-9962).
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || limit_capabilities(identity->uid == 0) < 0)
        return failed(report, SLICE_STAGE_INIT_IDENTITY, errno);
    return 0;
}
