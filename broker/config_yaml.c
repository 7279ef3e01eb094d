#include "broker/config_yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct config_yaml {
    struct config_yaml_source source;
    yaml_parser_t parser;
    yaml_event_t event; /* The node at hand. */
};

enum err config_yaml_create(const struct config_yaml_source *source, struct config_yaml **out)
{
    struct config_yaml *y = calloc(1, sizeof *y);
    if (y == NULL) {
        return E_NO_MEMORY;
    }
    y->source = *source;
    if (yaml_parser_initialize(&y->parser) == 0) {
        free(y);
        return E_NO_MEMORY;
    }
    yaml_parser_set_encoding(&y->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y->parser, source->text.at, source->text.size);
    *out = y;
    return OK;
}

void config_yaml_destroy(struct config_yaml *y)
{
    if (y != NULL) {
        yaml_event_delete(&y->event);
        yaml_parser_delete(&y->parser);
        free(y);
    }
}

static struct config_place place_of(yaml_mark_t mark)
{
    return (struct config_place){mark.line + 1, mark.column + 1};
}

/* One line, whatever the file has in it. */
static void flatten(char *text)
{
    for (; *text != 0; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

enum err config_yaml_refuse(struct config_yaml *y, struct config_place place, const char *format,
                            ...)
{
    const struct config_yaml_source *s = &y->source;
    char what[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    flatten(what);
    (void)snprintf(s->complaint, s->complaint_bytes, "%s:%zu:%zu: %s", s->path, place.line,
                   place.column, what);
    return E_MALFORMED;
}

/* Bytes that are no UTF-8 are met while reading ahead: then only how far the parser came is known.
 */
static enum err refuse_text(struct config_yaml *y)
{
    const yaml_parser_t *p = &y->parser;
    const bool has_place = p->error == YAML_SCANNER_ERROR || p->error == YAML_PARSER_ERROR;
    return config_yaml_refuse(y, place_of(has_place ? p->problem_mark : p->mark),
                              "not YAML here or just after: %s",
                              p->problem != NULL ? p->problem : "unreadable");
}

static bool has_zero(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT &&
           strlen((const char *)event->data.scalar.value) != event->data.scalar.length;
}

/* The library's events, without those that say nothing of the settings. */
static enum err next_event(struct config_yaml *y)
{
    bool after_document = false;
    for (;;) {
        yaml_event_delete(&y->event);
        if (yaml_parser_parse(&y->parser, &y->event) == 0) {
            return refuse_text(y);
        }
        switch ((int)y->event.type) {
        case YAML_DOCUMENT_START_EVENT:
            if (after_document) {
                return config_yaml_refuse(y, config_yaml_place(y),
                                          "a second document; all settings belong into one");
            }
            break;
        case YAML_DOCUMENT_END_EVENT:
            after_document = true;
            break;
        case YAML_STREAM_START_EVENT:
            break;
        default:
            return OK;
        }
    }
}

enum err config_yaml_next(struct config_yaml *y, enum config_node *kind)
{
    TRY(next_event(y));
    if (has_zero(&y->event)) {
        return config_yaml_refuse(y, config_yaml_place(y), "a 0 byte; no text");
    }
    switch ((int)y->event.type) {
    case YAML_SCALAR_EVENT:
        *kind = CONFIG_NODE_TEXT;
        return OK;
    case YAML_ALIAS_EVENT:
        *kind = CONFIG_NODE_ALIAS;
        return OK;
    case YAML_SEQUENCE_START_EVENT:
        *kind = CONFIG_NODE_LIST;
        return OK;
    case YAML_MAPPING_START_EVENT:
        *kind = CONFIG_NODE_MAP;
        return OK;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        *kind = CONFIG_NODE_END;
        return OK;
    default:
        *kind = CONFIG_NODE_OVER;
        return OK;
    }
}

enum err config_yaml_next_value(struct config_yaml *y)
{
    enum config_node kind = CONFIG_NODE_OVER;
    TRY(config_yaml_next(y, &kind));
    return kind == CONFIG_NODE_TEXT
               ? OK
               : config_yaml_refuse(y, config_yaml_place(y),
                                    kind == CONFIG_NODE_ALIAS ? "an alias; the value itself "
                                                                "belongs here"
                                                              : "a list or mapping; one value "
                                                                "belongs here");
}

const char *config_yaml_text(const struct config_yaml *y)
{
    return y->event.type == YAML_SCALAR_EVENT ? (const char *)y->event.data.scalar.value : "";
}

struct config_place config_yaml_place(const struct config_yaml *y)
{
    return place_of(y->event.start_mark);
}
