/* The house rules a compiler cannot see, as a test: `tidy FILE...` (from the root of the tree).
 *
 * Shape:   100 columns, 70 lines a function, 600 a file, no tabs, no trailing blanks, no TODO.
 * Rooms:   who may include whom (the table `rooms`).
 * Doors:   each foreign library is included by one file only (the table `doors`).
 * Bans:    calls with a safer name in the house (the table `bans`).
 * Headers: a .c file includes its own header first; a guard is the path; names carry the file's
 *          prefix. */

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 100, FUNCTION_LINES_MAX = 70, FILE_LINES_MAX = 600, LINE_BYTES_MAX = 4096 };

/* Each room, and the rooms it may include besides itself. Lower rooms never look up. */
static const struct {
    const char *room, *may_include;
} rooms[] = {
    {"base", ""},
    {"codec", "base"},
    {"proto", "base"},
    {"storage", "base codec"},
    {"broker", "base proto storage"},
    {"clients", "base codec proto"},
    {"cli", "base codec proto storage clients"},
    {"bench", "base codec proto storage clients"},
    {"tests", "base codec proto storage broker clients cli tests"},
};

/* Each foreign header, and the one file (without its ending) that may include it. */
static const struct {
    const char *header, *door;
} doors[] = {
    {"ev.h", "broker/threads/loop"}, {"lmdb.h", "storage/kv"},
    {"xxhash.h", "base/hash"},       {"ck_", "base/mailbox"},
    {"pthread.h", "base/thread"},    {"protobuf-c/", "proto/frame"},
    {"hejnal.pb-c.h", "proto/"},     {"yaml.h", "broker/config_yaml"},
    {"MQTTAsync.h", "cli/device"},   {"zlib.h", "cli/gzip_file"},
};

static const struct {
    const char *banned, *instead;
} bans[] = {
    {" strcpy(", "bytes and writer_put"},
    {" strcat(", "bytes and writer_put"},
    {" sprintf(", "snprintf"},
    {" atoi(", "strtol with checks"},
    {" atof(", "number_read"},
    {" time(", "base/clock.h"},
    {" gettimeofday(", "base/clock.h"},
    {" rand(", "struct rng"},
    {"TODO", "a finished piece"},
    {"FIXME", "a fix"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int faults;

static void fault(const char *path, int line, const char *what, const char *detail)
{
    printf("%s:%d: %s%s\n", path, line, what, detail);
    faults++;
}

/* Length of a name's first part: "storage/chunk.c" -> 7. */
static size_t room_length(const char *path)
{
    return strcspn(path, "/");
}

static bool has_word(const char *words, const char *word, size_t length)
{
    for (const char *at = words; (at = strstr(at, word)) != NULL; at++) {
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0)) {
            return true;
        }
    }
    return false;
}

static void check_room(const char *path, int line, const char *included)
{
    char from[64] = "", to[64] = "";
    snprintf(from, sizeof from, "%.*s", (int)room_length(path), path);
    snprintf(to, sizeof to, "%.*s", (int)room_length(included), included);
    if (strcmp(from, to) == 0) {
        return;
    }
    for (size_t i = 0; i < COUNT(rooms); i++) {
        if (strcmp(rooms[i].room, from) == 0 && !has_word(rooms[i].may_include, to, strlen(to))) {
            fault(path, line, "this room may not include ", included);
        }
    }
}

static void check_door(const char *path, int line, const char *included)
{
    for (size_t i = 0; i < COUNT(doors); i++) {
        if (strncmp(included, doors[i].header, strlen(doors[i].header)) == 0 &&
            strncmp(path, doors[i].door, strlen(doors[i].door)) != 0 &&
            strncmp(path, "tests/", 6) != 0) {
            fault(path, line, "only this file may include that header: ", doors[i].door);
        }
    }
}

/* Checks `#include` lines; returns whether the line was one. */
static bool check_include(const char *path, int line, const char *text)
{
    char included[256], own[256];
    if (sscanf(text, "#include \"%255[^\"]\"", included) == 1) {
        check_room(path, line, included);
        size_t length = strlen(path);
        snprintf(own, sizeof own, "%.*sh", (int)length - 1, path);
        FILE *header = path[length - 1] == 'c' ? fopen(own, "r") : NULL;
        if (header != NULL) {
            fclose(header);
            if (line == 1 && strcmp(included, own) != 0) {
                fault(path, line, "the first include must be ", own);
            }
        }
        return true;
    }
    if (sscanf(text, "#include <%255[^>]>", included) == 1) {
        check_door(path, line, included);
        return true;
    }
    return false;
}

static void check_shape(const char *path, int line, const char *text)
{
    size_t bytes = strlen(text), columns = 0;
    for (size_t i = 0; i < bytes; i++) {
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    if (columns > COLUMNS_MAX) {
        fault(path, line, "longer than 100 columns", "");
    }
    if (strchr(text, '\t') != NULL) {
        fault(path, line, "tab", "");
    }
    if (bytes > 0 && isspace((unsigned char)text[bytes - 1])) {
        fault(path, line, "trailing blank", "");
    }
}

static void check_bans(const char *path, int line, const char *text)
{
    for (size_t i = 0; i < COUNT(bans); i++) {
        if (strstr(text, bans[i].banned) != NULL) {
            fault(path, line, "instead use ", bans[i].instead);
        }
    }
}

static void check_guard(const char *path, int line, const char *text)
{
    char guard[256] = "", want[256] = "";
    if (sscanf(text, "#ifndef %255s", guard) != 1) {
        return;
    }
    for (size_t i = 0; path[i] != 0 && i + 1 < sizeof want; i++) {
        want[i] = isalnum((unsigned char)path[i]) ? (char)toupper((unsigned char)path[i]) : '_';
    }
    if (strcmp(guard, want) != 0) {
        fault(path, line, "the include guard must be ", want);
    }
}

/* A function of the house starts at column 0 with "{" alone and ends with "}" alone. */
static void check_function(const char *path, int line, const char *text, int *opened)
{
    if (strcmp(text, "{") == 0) {
        *opened = line;
    } else if (strcmp(text, "}") == 0 && *opened > 0) {
        if (line - *opened - 1 > FUNCTION_LINES_MAX) {
            fault(path, *opened, "function longer than 70 lines", "");
        }
        *opened = 0;
    }
}

static void check_file(const char *path)
{
    char text[LINE_BYTES_MAX];
    int line = 0, opened = 0;
    bool guarded = path[strlen(path) - 1] != 'h', is_tidy = strstr(path, "tidy.c") != NULL;
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        fault(path, 0, "cannot be read", "");
        return;
    }
    while (fgets(text, sizeof text, file) != NULL) {
        line++;
        text[strcspn(text, "\n")] = 0;
        check_shape(path, line, text);
        check_include(path, line, text);
        check_function(path, line, text, &opened);
        if (!is_tidy) {
            check_bans(path, line, text);
        }
        if (!guarded && strncmp(text, "#ifndef", 7) == 0) {
            check_guard(path, line, text);
            guarded = true;
        }
    }
    fclose(file);
    if (line > FILE_LINES_MAX) {
        fault(path, line, "file longer than 600 lines", "");
    }
    if (!guarded) {
        fault(path, 1, "no include guard", "");
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        check_file(argv[i]);
    }
    printf("%d files, %d faults\n", argc - 1, faults);
    return faults > 0;
}
