/* Any bytes as a config file: it is taken, or refused by one line that says where. */

#include "broker/config_file.h"

#include <string.h>

#include "base/check.h"
#include "base/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_rules(const struct retention_config *c)
{
    struct retention_rule rules[RETENTION_RULES_MAX];
    CHECK(c->count <= RETENTION_RULES_MAX);
    retention_config_rules(c, rules);
    for (unsigned i = 0; i < c->count; i++) {
        CHECK(topic_is_filter(rules[i].filter) && rules[i].filter.size <= SERIES_PATH_BYTES_MAX);
        CHECK(rules[i].keep_s >= 0 && rules[i].keep_s <= INT64_C(86400) * RETENTION_DAYS_MAX);
    }
}

/* "f:LINE:COLUMN: what" */
static void expect_line(const char *complaint)
{
    const char *at = complaint + 2;
    CHECK(strncmp(complaint, "f:", 2) == 0);
    for (int i = 0; i < 2; i++) {
        const size_t digits = strspn(at, "0123456789");
        CHECK(digits > 0 && at[0] != '0' && at[digits] == ':');
        at += digits + 1;
    }
    CHECK(at[0] == ' ' && at[1] != 0 && strpbrk(at, "\n\r\t") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config c;
    static char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    config_init(&c);
    complaint[0] = 0;
    if (config_file_parse(&c, "f", (struct bytes){data, size}, complaint) == OK) {
        expect_rules(&c.retention);
    } else {
        expect_line(complaint);
    }
    return 0;
}
