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
        cmocka_unit_test(what_is_no_yaml_is_refused),
        cmocka_unit_test(options_win_over_the_file),
        cmocka_unit_test(bad_usage_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
