#include "record.h"

#include <string.h>

#include "clock.h"

// After the time: " stdout F ".
#define TAG_OFFSET (RECORD_TIME_LENGTH + 8)
#define TEXT_OFFSET (TAG_OFFSET + 2)

static char *put_digits(char *to, uint64_t value, unsigned width)
{
    for (unsigned i = width; i-- > 0; value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + width;
}

static char *put_text(char *to, const char *text)
{
    size_t length = strlen(text);
    memcpy(to, text, length);
    return to + length;
}

static char *put_number(char *to, uint64_t value)
{
    unsigned width = 1;
    for (uint64_t rest = value; rest >= 10; rest /= 10)
        width++;
    return put_digits(to, value, width);
}

// Year, month and day of a day number since 1970 in the proleptic Gregorian calendar. Years are
// counted from March, so that the leap day is the last; 146,097 days are 400 years.
static char *put_date(char *to, uint64_t days)
{
    uint64_t day = days + 719468; // since 0000-03-01
    uint64_t era = day / 146097, day_of_era = day % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    to = put_digits(to, era * 400 + year_of_era + (month <= 2), 4);
    *to++ = '-';
    to = put_digits(to, month, 2);
    *to++ = '-';
    return put_digits(to, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
}

void record_time_now(struct record_time *time)
{
    uint64_t now = wall_now();
    uint64_t seconds = now / SECOND;
    char *to = put_date(time->text, seconds / 86400);
    *to++ = 'T';
    to = put_digits(to, seconds / 3600 % 24, 2);
    *to++ = ':';
    to = put_digits(to, seconds / 60 % 60, 2);
    *to++ = ':';
    to = put_digits(to, seconds % 60, 2);
    *to++ = '.';
    to = put_digits(to, now % SECOND, 9);
    *to = 'Z';
}

size_t record_size(size_t text_length)
{
    return TEXT_OFFSET + text_length + 1;
}

size_t record_format(char *to, const struct record_time *time, unsigned stream, char tag,
                     const char *text, size_t text_length)
{
    memcpy(to, time->text, RECORD_TIME_LENGTH);
    memcpy(to + RECORD_TIME_LENGTH, stream == 0 ? " stdout " : " stderr ", 8);
    to[TAG_OFFSET] = tag;
    to[TAG_OFFSET + 1] = ' ';
    memcpy(to + TEXT_OFFSET, text, text_length);
    to[TEXT_OFFSET + text_length] = '\n';
    return record_size(text_length);
}

size_t record_loss(char *to, uint64_t lost, int error)
{
    struct record_time time;
    char text[RECORD_LOSS_MAX - TEXT_OFFSET - 1];
    char *end = put_text(text, "[slice-init: ");
    end = put_number(end, lost);
    end = put_text(end, " bytes of output lost: ");
    end = put_text(end, strerror(error)); // static texts, the longest about 50 bytes
    end = put_text(end, "]");
    record_time_now(&time);
    return record_format(to, &time, 1, RECORD_FULL, text, (size_t)(end - text));
}

uint64_t records_text(const char *records, size_t length)
{
    uint64_t bytes = 0;
    while (length > TEXT_OFFSET) {
        const char *newline = memchr(records + TEXT_OFFSET, '\n', length - TEXT_OFFSET);
        size_t record = newline != NULL ? (size_t)(newline - records) + 1 : length;
        // A full record stands for a newline of the service too.
        bytes += record - TEXT_OFFSET - (records[TAG_OFFSET] == RECORD_PARTIAL);
        records += record;
        length -= record;
    }
    return bytes;
}
