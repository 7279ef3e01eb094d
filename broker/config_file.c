#include "broker/config_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_yaml.h"

struct reading {
    struct config *config;
    struct config_yaml *yaml;
    bool seen[CONFIG_SETTINGS], has_retention;
};

static enum err refuse_twice(struct reading *r)
{
    return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml), "'%s' is set twice; say it once",
                              config_yaml_text(r->yaml));
}

static enum err read_setting(struct reading *r, unsigned index)
{
    char right[256];
    if (r->seen[index]) {
        return refuse_twice(r);
    }
    r->seen[index] = true;
    TRY(config_yaml_next_value(r->yaml));
    const char *text = config_yaml_text(r->yaml);
    if (config_set(r->config, index, text) == OK) {
        return OK;
    }
    config_describe(index, right, sizeof right);
    return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml), "%s is '%.64s'; it must be %s",
                              config_name(index), text, right);
}

static enum err read_retention(struct reading *r)
{
    if (r->has_retention) {
        return refuse_twice(r);
    }
    r->has_retention = true;
    return retention_config_read(&r->config->retention, r->yaml);
}

static enum err read_name(struct reading *r, enum config_node kind)
{
    const char *name = config_yaml_text(r->yaml);
    unsigned index;
    if (kind != CONFIG_NODE_TEXT) {
        return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml),
                                  "the name of a setting belongs here");
    }
    if (strcmp(name, RETENTION_CONFIG_NAME) == 0) {
        return read_retention(r);
    }
    if (config_find(name, &index) != OK) {
        return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml),
                                  "unknown setting '%.64s'; hejnald --help lists them all", name);
    }
    return read_setting(r, index);
}

static enum err read_all(struct reading *r)
{
    enum config_node kind;
    TRY(config_yaml_next(r->yaml, &kind));
    if (kind == CONFIG_NODE_OVER) {
        return OK; /* A file of comments sets nothing. */
    }
    if (kind != CONFIG_NODE_MAP) {
        return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml),
                                  "no settings; lines like 'mqtt_port: 1883' belong here");
    }
    for (;;) {
        TRY(config_yaml_next(r->yaml, &kind));
        if (kind == CONFIG_NODE_END) {
            return config_yaml_next(r->yaml, &kind); /* The map was all there may be. */
        }
        TRY(read_name(r, kind));
    }
}

enum err config_file_parse(struct config *c, const char *path, struct bytes text,
                           char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    const struct config_yaml_source source = {text, path, complaint, CONFIG_COMPLAINT_BYTES_MAX};
    struct reading r = {.config = c};
    enum err e = config_yaml_create(&source, &r.yaml);
    if (e != OK) {
        (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "%s: no memory to read it", path);
        return e;
    }
    e = read_all(&r);
    config_yaml_destroy(r.yaml);
    return e;
}

enum err config_file_read(struct config *c, const char *path,
                          char complaint[CONFIG_COMPLAINT_BYTES_MAX])
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        const enum err e = errno == ENOENT ? E_NOT_FOUND : E_IO;
        (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX,
                       e == E_NOT_FOUND ? "%s: no such file" : "%s: cannot be read", path);
        return e;
    }
    enum err e = E_NO_MEMORY;
    uint8_t *text = malloc(CONFIG_FILE_BYTES_MAX + 1);
    (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "%s: no memory to read it", path);
    if (text != NULL) {
        const size_t size = fread(text, 1, CONFIG_FILE_BYTES_MAX + 1, file);
        if (ferror(file) != 0 || size > CONFIG_FILE_BYTES_MAX) {
            (void)snprintf(complaint, CONFIG_COMPLAINT_BYTES_MAX, "%s: %s", path,
                           size > CONFIG_FILE_BYTES_MAX ? "larger than 1 MiB" : "cannot be read");
            e = E_IO;
        } else {
            e = config_file_parse(c, path, (struct bytes){text, size}, complaint);
        }
    }
    free(text);
    (void)fclose(file);
    return e;
}
