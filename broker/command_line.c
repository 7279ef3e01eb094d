#include "broker/command_line.h"

#include <string.h>

#include "broker/config_file.h"

/* Walks the arguments: `--name value`, `--name=value`, `-c value`. */
struct arguments {
    int argc, at;
    char *const *argv;
    char *complaint;
};

static enum err refuse(const struct arguments *a, const char *what, const char *about)
{
    (void)snprintf(a->complaint, CONFIG_COMPLAINT_BYTES_MAX, "hejnald: %s '%.64s'; see --help",
                   what, about);
    return E_MALFORMED;
}

/* The value of the option at hand, whose text is `argument`. */
static enum err take_value(struct arguments *a, const char *argument, const char **value)
{
    const char *equals = strchr(argument, '=');
    if (equals != NULL) {
        *value = equals + 1;
        return OK;
    }
    if (a->at == a->argc) {
        return refuse(a, "a value is missing after", argument);
    }
    *value = a->argv[a->at++];
    return OK;
}

/* "--mqtt-port=1" -> "mqtt_port"; too long: "". */
static void name_of(const char *argument, char *name, size_t size)
{
    const size_t length = strcspn(argument + 2, "=");
    name[0] = 0;
    if (length < size) {
        memcpy(name, argument + 2, length);
        name[length] = 0;
    }
    for (char *at = name; *at != 0; at++) {
        if (*at == '-') {
            *at = '_';
        } else if (*at == '_') {
            *at = '-'; /* Options are written with dashes only. */
        }
    }
}

static enum err take_setting(struct arguments *a, const char *argument, struct config *c)
{
    char name[64], right[256];
    const char *value;
    unsigned index;
    name_of(argument, name, sizeof name);
    if (config_find(name, &index) != OK) {
        return refuse(a, "unknown option", argument);
    }
    TRY(take_value(a, argument, &value));
    if (config_set(c, index, value) != OK) {
        config_describe(index, right, sizeof right);
        (void)snprintf(a->complaint, CONFIG_COMPLAINT_BYTES_MAX,
                       "hejnald: %.64s is '%.64s'; it must be %s", argument, value, right);
        return E_MALFORMED;
    }
    return OK;
}

static bool is_config_option(const char *argument)
{
    return strcmp(argument, "-c") == 0 || strcmp(argument, "--config") == 0 ||
           strncmp(argument, "--config=", strlen("--config=")) == 0;
}

static enum err take_argument(struct arguments *a, struct command_line *out)
{
    const char *argument = a->argv[a->at++];
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        out->action = COMMAND_LINE_HELP;
        return OK;
    }
    if (strcmp(argument, "--version") == 0) {
        out->action = COMMAND_LINE_VERSION;
        return OK;
    }
    if (strcmp(argument, "--check-config") == 0) {
        out->action = out->action == COMMAND_LINE_RUN ? COMMAND_LINE_CHECK : out->action;
        return OK;
    }
    if (is_config_option(argument)) {
        return take_value(a, argument, &out->config_path);
    }
    if (strncmp(argument, "--", 2) != 0) {
        return refuse(a, "unknown argument", argument);
    }
    return take_setting(a, argument, &out->config);
}

static enum err take_all(struct arguments *a, struct command_line *out)
{
    for (a->at = 1; a->at < a->argc;) {
        TRY(take_argument(a, out));
    }
    return OK;
}

/* Options win over the file: walk them once to find it and once more after reading it. */
enum err command_line_read(int argc, char *const *argv, struct command_line *out,
                           char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    struct arguments arguments = {.argc = argc, .argv = argv, .complaint = complaint};
    *out = (struct command_line){0};
    config_init(&out->config);
    TRY(take_all(&arguments, out));
    if (out->action == COMMAND_LINE_HELP || out->action == COMMAND_LINE_VERSION) {
        return OK;
    }
    if (out->config_path != NULL) {
        config_init(&out->config);
        const enum err e = config_file_read(&out->config, out->config_path, complaint);
        if (e != OK) {
            return e == E_MALFORMED ? E_IO : e; /* The usage was right. */
        }
        TRY(take_all(&arguments, out));
    }
    return config_check(&out->config, complaint);
}

void command_line_print_help(FILE *to)
{
    fputs("hejnald: MQTT broker and time-series store for cities\n"
          "\n"
          "  hejnald [-c FILE] [--SETTING VALUE]... [--check-config] [--help] [--version]\n"
          "\n"
          "  -c, --config FILE    read settings from a YAML file; options win over it\n"
          "  --check-config       read the settings, say whether they are right, and end\n"
          "\n"
          "Each setting is a line 'name: value' in the file and an option --name VALUE, with\n"
          "dashes for underscores. Setting, default, meaning (bounds):\n"
          "\n",
          to);
    config_print(to);
    fputs("\n"
          "Only the file has rules of retention; the first whose filter selects a series decides,\n"
          "and where none does, retention_days (0: for ever):\n"
          "\n"
          "  retention:\n"
          "    - filter: krakow/air/#\n"
          "      days: 365\n",
          to);
}
