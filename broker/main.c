/* hejnald: reads its settings, builds the house, waits for signals, takes the house down. */

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/command_line.h"
#include "broker/house.h"
#include "broker/notify.h"

/* MMAP_THRESHOLD: fixed, or it grows with the first 2 MB list that LMDB frees, and then all of them
 * stay. It lies above a query's working memory, and that much free memory is kept, or every query
 * would get its pages anew. */
enum { EXIT_FAILED = 1, EXIT_USAGE = 2, MMAP_THRESHOLD = 1 << 20, TRIM_THRESHOLD = 4 << 20 };

/* Kept out of the stack, and alive until the process ends. */
static struct command_line command_line, reloaded;
static char complaint[CONFIG_COMPLAINT_BYTES_MAX];

static void prepare_process(sigset_t *awaited)
{
    struct rlimit files;
    // NOLINTBEGIN(concurrency-mt-unsafe): no other thread yet
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    // NOLINTEND(concurrency-mt-unsafe)
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(awaited);
    (void)sigaddset(awaited, SIGTERM);
    (void)sigaddset(awaited, SIGINT);
    (void)sigaddset(awaited, SIGHUP);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread yet; those to come inherit it
    (void)sigprocmask(SIG_BLOCK, awaited, NULL);
}

/* All or nothing: a file with a mistake changes nothing. What threads hold copies of needs a
 * restart, and the log says so. */
static void reload(int argc, char **argv)
{
    if (command_line_read(argc, argv, &reloaded, complaint) != OK) {
        log_line(LOG_ERROR, "main", "nothing reloaded: %s", complaint);
        return;
    }
    for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
        if (config_same(&command_line.config, &reloaded.config, i)) {
            continue;
        }
        if (strcmp(config_name(i), "log_level") == 0) {
            memcpy(command_line.config.log_level, reloaded.config.log_level, CONFIG_TEXT_BYTES_MAX);
            log_set_level(config_log_level(&command_line.config));
            log_line(LOG_WARN, "main", "reloaded log_level=%s", command_line.config.log_level);
        } else {
            log_line(LOG_WARN, "main", "changed, but needs a restart: %s", config_name(i));
        }
    }
    if (!retention_config_same(&command_line.config.retention, &reloaded.config.retention)) {
        log_line(LOG_WARN, "main", "changed, but needs a restart: %s", RETENTION_CONFIG_NAME);
    }
    log_line(LOG_INFO, "main", "settings read again");
}

static void wait_for_end(const sigset_t *awaited, int argc, char **argv)
{
    for (;;) {
        const int number = sigwaitinfo(awaited, NULL);
        if (number == SIGHUP) {
            reload(argc, argv);
        } else if (number > 0) {
            log_line(LOG_INFO, "main", "stopping signal=%s", number == SIGTERM ? "TERM" : "INT");
            return;
        }
    }
}

static int fail(const char *what)
{
    fprintf(stderr, "hejnald: %s\n", what);
    return EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct house *house;
    sigset_t awaited;
    char description[CONFIG_COMPLAINT_BYTES_MAX];
    prepare_process(&awaited);
    log_set_level(config_log_level(&command_line.config));
    if (house_create(&command_line.config, &house, complaint) != OK) {
        return fail(complaint);
    }
    if (house_start(house) != OK) {
        house_destroy(house);
        return fail("the system has no thread left for it");
    }
    house_describe(house, description, sizeof description);
    printf("hejnald ready %s\n", description);
    if (fflush(stdout) != 0) {
        log_line(LOG_WARN, "main", "nobody reads the ready line");
    }
    notify_send("READY=1");
    wait_for_end(&awaited, argc, argv);
    notify_send("STOPPING=1");
    house_destroy(house);
    log_line(LOG_INFO, "main", "stopped");
    return 0;
}

int main(int argc, char **argv)
{
    const enum err e = command_line_read(argc, argv, &command_line, complaint);
    if (e != OK) {
        fprintf(stderr, "%s\n", complaint);
        return e == E_MALFORMED ? EXIT_USAGE : EXIT_FAILED;
    }
    switch (command_line.action) {
    case COMMAND_LINE_HELP:
        command_line_print_help(stdout);
        return 0;
    case COMMAND_LINE_VERSION:
        printf("hejnald %s\n", HEJNAL_RELEASE);
        return 0;
    case COMMAND_LINE_CHECK:
        printf("settings are right\n");
        return 0;
    case COMMAND_LINE_RUN:
    default:
        return run(argc, argv);
    }
}
