/* hejnal: the command line. Finds the command and hands it its arguments. */

#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static const struct {
    const char *name, *arguments, *sentence;
    int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND_ROW(name, arguments, sentence) {#name, arguments, sentence, cmd_##name},
    COMMAND_MAP(COMMAND_ROW)
#undef COMMAND_ROW
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(void)
{
    printf("hejnal COMMAND ...: talk to a Hejnał server\n\n");
    for (int i = 0; i < COMMANDS; i++) {
        printf("  %-10s %-14s %s\n", commands[i].name, commands[i].arguments, commands[i].sentence);
    }
    printf("\nhejnal COMMAND --help tells more. Exit codes: 0 done, 1 failed, 2 usage.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help();
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("hejnal %s\n", HEJNAL_RELEASE);
        return EXIT_DONE;
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    (void)fprintf(stderr, "hejnal: unknown command '%s'; hejnal --help lists them\n", name);
    return EXIT_USAGE;
}
