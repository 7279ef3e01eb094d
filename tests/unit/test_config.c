#include "broker/command_line.h"
#include "broker/config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/test.h"

static void defaults_lie_within_their_bounds(void **state)
{
    static struct config c;
    (void)state;
#define IN_BOUNDS(name, fallback, least, most, unit, sentence)                                     \
    assert_true((least) <= (fallback) && (fallback) <= (most));
#define NO_BOUNDS(name, fallback, choices, sentence) assert_true(sizeof(fallback) > 1);
    CONFIG_MAP(IN_BOUNDS, NO_BOUNDS)
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    config_init(&c);
    assert_ok(config_check(&c, complaint));
    assert_int_equal(c.mqtt_port, 1883);
    assert_string_equal(c.data, "./hejnal-data");
    assert_int_equal(config_log_level(&c), LOG_INFO);
}

static enum err set(struct config *c, const char *name, const char *text)
{
    unsigned index;
    TRY(config_find(name, &index));
    return config_set(c, index, text);
}

static void good_values_are_taken_and_others_told_apart(void **state)
{
    static struct config c;
    (void)state;
    config_init(&c);
    assert_ok(set(&c, "mqtt_port", "2000"));
    assert_int_equal(set(&c, "mqtt_prot", "1"), E_NOT_FOUND);
    assert_int_equal(set(&c, "mqtt_port", "80a"), E_MALFORMED);
    assert_int_equal(set(&c, "mqtt_port", ""), E_MALFORMED);
    assert_int_equal(set(&c, "mqtt_port", " 5"), E_MALFORMED);
    assert_int_equal(set(&c, "mqtt_port", "+5"), E_MALFORMED);
    assert_int_equal(set(&c, "mqtt_port", "-1"), E_LIMIT);
    assert_int_equal(set(&c, "mqtt_port", "65536"), E_LIMIT);
    assert_int_equal(set(&c, "mqtt_port", "99999999999999999999"), E_LIMIT);
    assert_int_equal(c.mqtt_port, 2000);
    assert_int_equal(set(&c, "log_level", "inf"), E_MALFORMED);
    assert_int_equal(set(&c, "log_level", "debug info"), E_MALFORMED);
    assert_int_equal(set(&c, "bind", ""), E_MALFORMED);
    assert_ok(set(&c, "log_level", "warn"));
    assert_int_equal(config_log_level(&c), LOG_WARN);
    assert_ok(set(&c, "journal_mb", "2000"));
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    assert_int_equal(config_check(&c, complaint), E_LIMIT);
    assert_non_null(strstr(complaint, "journal_max_mb"));
}

static void a_file_sets_what_it_says(void **state)
{
    static struct config c;
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    (void)state;
    config_init(&c);
    assert_ok(config_file_parse(&c, "h.yaml",
                                bytes_of("# ports\nmqtt_port: 1\n\"query_port\": '2'\n"
                                         "data: /var/lib/hejnal # here\nlog_level: error\n"),
                                complaint));
    assert_int_equal(c.mqtt_port, 1);
    assert_int_equal(c.query_port, 2);
    assert_string_equal(c.data, "/var/lib/hejnal");
    assert_string_equal(c.log_level, "error");
    assert_ok(config_file_parse(&c, "h.yaml", bytes_of(""), complaint));
    assert_ok(config_file_parse(&c, "h.yaml", bytes_of("# nothing\n"), complaint));
}

static void mistakes_are_shown_where_they_stand(void **state)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"bind: "
         "a\nmqtt_prot: 1\n",
         "h.yaml:2:1: unknown setting 'mqtt_prot'; hejnald --help lists them all"},
        {"bind: "
         "a\nmqtt_port:  70000\n",
         "h.yaml:2:13: mqtt_port is '70000'; it must be a whole number from 0 to 65535"},
        {"# mqtt_port: 1\n{query_port: 1, mqtt_port: x}\n",
         "h.yaml:2:28: mqtt_port is 'x'; it must be a whole number from 0 to 65535"},
        {"loops: 2\nbind: a\nloops: 3\n", "h.yaml:3:1: 'loops' is set twice; say it once"},
        {"log_level: loud\n",
         "h.yaml:1:12: log_level is 'loud'; it must be one of: debug info warn error"},
        {"bind:\nloops: 1\n", "h.yaml:1:6: bind is ''; it must be a text of 1 to 1023 bytes"},
        {"bind: a\nloops: [1, 2]\n", "h.yaml:2:8: a list or mapping; one value belongs here"},
        {"- a\n", "h.yaml:1:1: no settings; lines like 'mqtt_port: 1883' belong here"},
        {"bind: a\n---\nloops: 1\n", "h.yaml:2:1: a second document; all settings belong into one"},
        {"bind: &b a\ndata: *b\n", "h.yaml:2:7: an alias; the value itself belongs here"},
        {"? [a]\n: b\n", "h.yaml:1:3: the name of a setting belongs here"},
        {"bind: \"a\\0b\"\n", "h.yaml:1:7: a 0 byte; no text"},
        {"loops: \"1\\n2\"\n",
         "h.yaml:1:8: loops is '1?2'; it must be a whole number from 0 to 64"},
    };
    static struct config c;
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_init(&c);
        assert_int_equal(config_file_parse(&c, "h.yaml", bytes_of(cases[i].text), complaint),
                         E_MALFORMED);
        assert_string_equal(complaint, cases[i].complaint);
    }
}

static void rules_of_retention_are_read_in_order(void **state)
{
    static struct config c;
    struct retention_rule rules[RETENTION_RULES_MAX];
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    (void)state;
    config_init(&c);
    assert_ok(config_file_parse(&c, "h.yaml",
                                bytes_of("loops: 2\n"
                                         "retention: # of points\n"
                                         "  - filter: krakow/air/#\n"
                                         "    days: 365\n"
                                         "  - {days: 0, filter: '+/water/+/level'}\n"
                                         "  - filter: \"#\"\n"
                                         "    days: '30'\n"
                                         "retention_days: 7\n"),
                                complaint));
    assert_int_equal(c.retention.count, 3);
    retention_config_rules(&c.retention, rules);
    assert_true(bytes_equal(rules[0].filter, bytes_of("krakow/air/#")));
    assert_true(bytes_equal(rules[1].filter, bytes_of("+/water/+/level")));
    assert_true(bytes_equal(rules[2].filter, bytes_of("#")));
    assert_int_equal(rules[0].keep_s, 365 * 86400);
    assert_int_equal(rules[1].keep_s, 0);
    assert_int_equal(rules[2].keep_s, 30 * 86400);
    assert_int_equal(c.retention_days, 7);
    config_init(&c);
    assert_ok(config_file_parse(&c, "h.yaml", bytes_of("retention: []\n"), complaint));
    assert_int_equal(c.retention.count, 0);
}

#define RULE "a rule is 'filter: krakow/air/#' and 'days: 365'"

static void mistakes_in_rules_are_shown_where_they_stand(void **state)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"retention: 30\n", "h.yaml:1:12: retention is a list of rules, each after a '-'; " RULE},
        {"retention:\n", "h.yaml:1:11: retention is a list of rules, each after a '-'; " RULE},
        {"retention:\n  filter: a\n  days: 1\n",
         "h.yaml:2:3: retention is a list of rules, each after a '-'; " RULE},
        {"retention:\n  - a/#\n", "h.yaml:2:5: no rule; " RULE},
        {"retention:\n  - [a]\n", "h.yaml:2:5: no rule; " RULE},
        {"retention:\n  - filter: a\n    day: 1\n", "h.yaml:3:5: unknown word 'day'; " RULE},
        {"retention:\n  - filter: a\n    days: 1\n    days: 2\n",
         "h.yaml:4:5: 'days' is set twice in this rule; say it once"},
        {"retention:\n  - filter: a\n  - days: 1\n", "h.yaml:2:5: this rule has no 'days'; " RULE},
        {"retention:\n  - days: 1\n", "h.yaml:2:5: this rule has no 'filter'; " RULE},
        {"retention:\n  - {}\n", "h.yaml:2:5: this rule has no 'filter'; " RULE},
        {"retention:\n  - filter: a/#/b\n    days: 1\n",
         "h.yaml:2:13: filter is 'a/#/b'; it must be an MQTT topic filter of 1 to 1024 bytes, like "
         "krakow/+/pm25 or krakow/air/#"},
        {"retention:\n  - filter: #\n    days: 1\n",
         "h.yaml:2:12: filter is ''; it must be an MQTT topic filter; '#' alone stands in quotes"},
        {"retention:\n  - filter: a\n    days:  36501\n",
         "h.yaml:3:12: days is '36501'; it must be a whole number from 0 to 36500 (0: for ever)"},
        {"retention:\n  - filter: a\n    days: -1\n",
         "h.yaml:3:11: days is '-1'; it must be a whole number from 0 to 36500 (0: for ever)"},
        {"retention:\n  - filter: a\n    days: 1e3\n",
         "h.yaml:3:11: days is '1e3'; it must be a whole number from 0 to 36500 (0: for ever)"},
        {"retention:\n  - filter: a\n    days: 99999999999999999999\n",
         "h.yaml:3:11: days is '99999999999999999999'; it must be a whole number from 0 to 36500 "
         "(0: for ever)"},
        {"retention:\n  - filter: [a]\n    days: 1\n",
         "h.yaml:2:13: a list or mapping; one value belongs here"},
        {"retention:\n  - filter: a\n    days: 1\n  - filter: b\n    days: 2\n  - filter: a\n"
         "    days: 3\n",
         "h.yaml:6:5: rule 1 has this filter already, and the first decides; leave one out"},
        {"retention: []\nretention: []\n", "h.yaml:2:1: 'retention' is set twice; say it once"},
    };
    static struct config c;
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_init(&c);
        assert_int_equal(config_file_parse(&c, "h.yaml", bytes_of(cases[i].text), complaint),
                         E_MALFORMED);
        assert_string_equal(complaint, cases[i].complaint);
    }
}

static void there_may_be_so_many_rules_and_no_more(void **state)
{
    static struct config c;
    static char text[64 * (RETENTION_RULES_MAX + 1)];
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    size_t size = (size_t)snprintf(text, sizeof text, "retention:\n");
    (void)state;
    for (int i = 0; i <= RETENTION_RULES_MAX; i++) {
        config_init(&c);
        size += (size_t)snprintf(text + size, sizeof text - size, "- {filter: a/%d, days: 1}\n", i);
        assert_int_equal(config_file_parse(&c, "h.yaml", bytes_of(text), complaint),
                         i < RETENTION_RULES_MAX ? OK : E_MALFORMED);
    }
    assert_string_equal(complaint, "h.yaml:66:3: one rule too many; there may be 64");
}

static void what_is_kept_longest_is_known(void **state)
{
    static struct config c, other;
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    (void)state;
    config_init(&c);
    config_init(&other);
    assert_int_equal(retention_config_longest(&c.retention, 0), 0);
    assert_int_equal(retention_config_longest(&c.retention, 30), 30);
    assert_ok(config_file_parse(
        &c, "h.yaml", bytes_of("retention: [{filter: a, days: 5}, {filter: b, days: 50}]"),
        complaint));
    assert_int_equal(retention_config_longest(&c.retention, 30), 50);
    assert_int_equal(retention_config_longest(&c.retention, 60), 60);
    assert_int_equal(retention_config_longest(&c.retention, 0), 0);
    assert_false(retention_config_same(&c.retention, &other.retention));
    other = c;
    assert_true(retention_config_same(&c.retention, &other.retention));
    other.retention.rule[1].days = 0;
    assert_false(retention_config_same(&c.retention, &other.retention));
    assert_int_equal(retention_config_longest(&other.retention, 60), 0);
}

static void what_is_no_yaml_is_refused(void **state)
{
    static const char *const cases[] = {
        "bind: 'a\n",
        "\tbind: a",
        "bind: \xff\n",
        "? [a]\n: b\n",
        "bind: *x\n",
        "bind: a\n---\nloops: 1\n",
        "bind: {a: 1}\n",
        "[",
        "}",
        "bind: a\n  loops: [1\n",
    };
    static struct config c;
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_init(&c);
        complaint[0] = 0;
        assert_int_equal(config_file_parse(&c, "h.yaml", bytes_of(cases[i]), complaint),
                         E_MALFORMED);
        assert_int_equal(strncmp(complaint, "h.yaml:", 7), 0);
        assert_null(strchr(complaint, '\n'));
    }
    assert_int_equal(
        config_file_parse(&c, "h.yaml", (struct bytes){(const uint8_t *)"a\0", 2}, complaint),
        E_MALFORMED);
    assert_int_equal(config_file_read(&c, "/nonexistent/h.yaml", complaint), E_NOT_FOUND);
    assert_string_equal(complaint, "/nonexistent/h.yaml: no such file");
}

enum { ARGUMENTS_MAX = 8 };

static enum err read_line(const char *line, struct command_line *o, char *complaint)
{
    static char copy[256];
    char *argv[ARGUMENTS_MAX + 1] = {0}, *rest = copy, *word;
    int argc = 0;
    (void)snprintf(copy, sizeof copy, "%s", line);
    while ((word = strsep(&rest, " ")) != NULL) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc++] = word;
    }
    return command_line_read(argc, argv, o, complaint);
}

static void options_win_over_the_file(void **state)
{
    static struct command_line o;
    char complaint[CONFIG_COMPLAINT_BYTES_MAX], path[] = "/tmp/hejnal_config_XXXXXX", line[128];
    const char text[] = "mqtt_port: 5\nquery_port: 6\n";
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    (void)close(fd);
    (void)snprintf(line, sizeof line, "hejnald --mqtt-port 7 -c %s --data=/x", path);
    assert_ok(read_line(line, &o, complaint));
    assert_int_equal(o.action, COMMAND_LINE_RUN);
    assert_int_equal(o.config.mqtt_port, 7);
    assert_int_equal(o.config.query_port, 6);
    assert_string_equal(o.config.data, "/x");
    (void)unlink(path);
    assert_int_equal(read_line(line, &o, complaint), E_NOT_FOUND);
}

static void bad_usage_is_one_line(void **state)
{
    static const struct {
        const char *line, *complaint;
    } cases[] = {
        {"hejnald --mqtt-prot 1", "hejnald: unknown option '--mqtt-prot'; see --help"},
        {"hejnald --mqtt_port 1", "hejnald: unknown option '--mqtt_port'; see --help"},
        {"hejnald --data", "hejnald: a value is missing after '--data'; see --help"},
        {"hejnald -c", "hejnald: a value is missing after '-c'; see --help"},
        {"hejnald now", "hejnald: unknown argument 'now'; see --help"},
        {"hejnald --loops many",
         "hejnald: --loops is 'many'; it must be a whole number from 0 to 64"},
    };
    static struct command_line o;
    char complaint[CONFIG_COMPLAINT_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_line(cases[i].line, &o, complaint), E_MALFORMED);
        assert_string_equal(complaint, cases[i].complaint);
    }
    assert_ok(read_line("hejnald --help", &o, complaint));
    assert_int_equal(o.action, COMMAND_LINE_HELP);
    assert_ok(read_line("hejnald --check-config", &o, complaint));
    assert_int_equal(o.action, COMMAND_LINE_CHECK);
    assert_ok(read_line("hejnald --version", &o, complaint));
    assert_int_equal(o.action, COMMAND_LINE_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_lie_within_their_bounds),
        cmocka_unit_test(good_values_are_taken_and_others_told_apart),
        cmocka_unit_test(a_file_sets_what_it_says),
        cmocka_unit_test(mistakes_are_shown_where_they_stand),
        cmocka_unit_test(rules_of_retention_are_read_in_order),
        cmocka_unit_test(mistakes_in_rules_are_shown_where_they_stand),
        cmocka_unit_test(there_may_be_so_many_rules_and_no_more),
        cmocka_unit_test(what_is_kept_longest_is_known),
        cmocka_unit_test(what_is_no_yaml_is_refused),
        cmocka_unit_test(options_win_over_the_file),
        cmocka_unit_test(bad_usage_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
