/* hejnal: the command line. Finds the command and hands it its arguments. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* A socket or file must never be taken for a standard stream that was closed: what stands in its
 * place refuses to be written to. */
static void fill_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            /* NOLINTNEXTLINE(android-cloexec-open): a standard stream is inherited. */
            (void)open("/dev/null", O_RDONLY);
        }
    }
}

static int run(int argc, char **argv)
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
    if (argc < 2) {
        (void)fprintf(stderr, "hejnal: a command is missing; hejnal --help lists them\n");
    } else {
        (void)fprintf(stderr, "hejnal: unknown command '%s'; hejnal --help lists them\n", name);
    }
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    fill_streams();
    int code = run(argc, argv);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == EXIT_DONE) {
        (void)fprintf(stderr, "hejnal: stdout: %s\n",
                      errno != 0 ? strerrordesc_np(errno) : "not all could be written");
        code = EXIT_FAILED;
    }
    return code;
}
