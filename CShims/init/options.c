#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

enum kind { KIND_DESCRIPTOR, KIND_NUMBER, KIND_STRING, KIND_POLICY, KIND_FLAG };

enum { IN_START = 1, IN_RUN = 2, REQUIRED_IN_START = 4, REQUIRED_IN_RUN = 8 };

struct option {
    const char *name;
    enum kind kind;
    unsigned modes;
    size_t offset; // of the field in struct options
    uint64_t minimum, maximum;
};

static const struct option known[] = {
    {"--report", KIND_DESCRIPTOR, IN_START | IN_RUN | REQUIRED_IN_START | REQUIRED_IN_RUN,
     offsetof(struct options, report), 3, INT_MAX},
    {"--control", KIND_DESCRIPTOR, IN_START | REQUIRED_IN_START,
     offsetof(struct options, control), 3, INT_MAX},
    {"--log", KIND_DESCRIPTOR, IN_START | REQUIRED_IN_START,
     offsetof(struct options, log), 3, INT_MAX},
    {"--status", KIND_DESCRIPTOR, IN_START | REQUIRED_IN_START,
     offsetof(struct options, status), 3, INT_MAX},
    {"--listener", KIND_DESCRIPTOR, IN_START, offsetof(struct options, listener), 3, INT_MAX},
    {"--refusals", KIND_DESCRIPTOR, IN_START, offsetof(struct options, refusals), 3, INT_MAX},
    {"--raw-state", KIND_DESCRIPTOR, IN_START, offsetof(struct options, raw_state), 3, INT_MAX},
    {"--log-size", KIND_NUMBER, IN_START | REQUIRED_IN_START,
     offsetof(struct options, log_size), LOG_SIZE_MIN, UINT64_MAX / 1024},
    {"--log-files", KIND_NUMBER, IN_START | REQUIRED_IN_START,
     offsetof(struct options, log_files), 1, 100},
    {"--restart", KIND_POLICY, IN_START | REQUIRED_IN_START,
     offsetof(struct options, restart), 0, 0},
    {"--stop-timeout", KIND_NUMBER, IN_START | REQUIRED_IN_START,
     offsetof(struct options, stop_timeout), 0, UINT32_MAX},
    {"--user", KIND_STRING, IN_START | IN_RUN, offsetof(struct options, user), 0, 0},
    {"--workdir", KIND_STRING, IN_START | IN_RUN, offsetof(struct options, workdir), 0, 0},
    {"--terminal", KIND_FLAG, IN_RUN, offsetof(struct options, terminal), 0, 0},
};

enum { KNOWN_COUNT = sizeof known / sizeof known[0] };

bool parse_decimal(const char *text, uint64_t limit, uint64_t *value)
{
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    uint64_t sum = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        unsigned digit = (unsigned)(*text - '0');
        if (sum > (limit - digit) / 10 || digit > limit)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

static int parse_policy(const char *text, enum slice_restart_policy *policy)
{
    static const char *const names[] = {
        [SLICE_RESTART_NO] = "no",
        [SLICE_RESTART_ON_FAILURE] = "on-failure",
        [SLICE_RESTART_ALWAYS] = "always",
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *policy = (enum slice_restart_policy)i;
            return 0;
        }
    }
    errno = EINVAL;
    return -1;
}

static int parse_descriptor(const char *text, const struct option *option, int *descriptor)
{
    uint64_t number;
    if (!parse_decimal(text, option->maximum, &number) || number < option->minimum) {
        errno = EINVAL;
        return -1;
    }
    // F_SETFD fails with EBADF where the number is not open.
    if (fcntl((int)number, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    *descriptor = (int)number;
    return 0;
}

static int parse_value(const char *text, const struct option *option, struct options *options)
{
    void *field = (char *)options + option->offset;
    uint64_t number;
    switch (option->kind) {
    case KIND_DESCRIPTOR:
        return parse_descriptor(text, option, field);
    case KIND_NUMBER:
        if (!parse_decimal(text, option->maximum, &number) || number < option->minimum)
            break;
        *(uint64_t *)field = number;
        return 0;
    case KIND_STRING:
        *(const char **)field = text;
        return 0;
    case KIND_POLICY:
        return parse_policy(text, field);
    case KIND_FLAG:
        break; // takes no value: never gets here
    }
    errno = EINVAL;
    return -1;
}

static const struct option *find_option(const char *name, enum mode mode)
{
    unsigned in = mode == MODE_START ? IN_START : IN_RUN;
    for (unsigned i = 0; i < KNOWN_COUNT; i++)
        if ((known[i].modes & in) != 0 && strcmp(name, known[i].name) == 0)
            return &known[i];
    return NULL;
}

static bool all_required_seen(const struct options *options, unsigned seen)
{
    unsigned required = options->mode == MODE_START ? REQUIRED_IN_START : REQUIRED_IN_RUN;
    for (unsigned i = 0; i < KNOWN_COUNT; i++)
        if ((known[i].modes & required) != 0 && (seen & 1u << i) == 0)
            return false;
    return options->mode == MODE_START || options->command != NULL;
}

static int parse_mode(const char *text, enum mode *mode)
{
    if (text != NULL && strcmp(text, "start") == 0)
        *mode = MODE_START;
    else if (text != NULL && strcmp(text, "run") == 0)
        *mode = MODE_RUN;
    else
        return -1;
    return 0;
}

int options_find_report(char **argv)
{
    if (argv[0] == NULL || argv[1] == NULL)
        return -1;
    for (char **word = argv + 2; *word != NULL && strcmp(*word, "--") != 0; word++) {
        int descriptor;
        if (strcmp(*word, "--report") == 0 && word[1] != NULL)
            return parse_descriptor(word[1], &known[0], &descriptor) == 0 ? descriptor : -1;
    }
    return -1;
}

int options_parse(char **argv, struct options *options)
{
    unsigned seen = 0;
    *options = (struct options){.report = -1, .control = -1, .log = -1, .status = -1,
                                .listener = -1, .refusals = -1, .raw_state = -1};
    if (argv[0] == NULL || parse_mode(argv[1], &options->mode) < 0)
        goto invalid;
    for (char **word = argv + 2; *word != NULL; word++) {
        if (strcmp(*word, "--") == 0) {
            if (word[1] == NULL)
                goto invalid;
            options->command = word + 1;
            break;
        }
        const struct option *option = find_option(*word, options->mode);
        if (option == NULL || (seen & 1u << (option - known)) != 0)
            goto invalid;
        seen |= 1u << (option - known);
        if (option->kind == KIND_FLAG)
            *(bool *)((char *)options + option->offset) = true;
        else if (*++word == NULL)
            goto invalid;
        else if (parse_value(*word, option, options) < 0)
            return -1;
    }
    if (all_required_seen(options, seen))
        return 0;
invalid:
    errno = EINVAL;
    return -1;
}
