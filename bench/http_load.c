/* Lines of line protocol to a peer, as fast as it takes them.
 *
 * http_load PORT PATH FILE CONNECTIONS LINES
 * LINES of them a request; the connections take the next request in turn, so the order is about
 * that of the file. Prints points, seconds and points a second; the time ends when the peer has
 * answered the last request. */

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"
#include "bench/http.h"

enum { CONNECTIONS_MAX = 16 };

static struct {
    const char *path, *text;
    unsigned port;
    size_t size, lines;
    struct lock lock;
    size_t taken; /* Bytes of the text that are somebody's. */
    size_t points;
} load;

/* The next `lines` lines. Empty: that was all. */
static size_t take_lines(const char **at)
{
    size_t size = 0;
    lock_take(&load.lock);
    *at = load.text + load.taken;
    const size_t left = load.size - load.taken;
    for (size_t i = 0; i < load.lines && size < left; i++) {
        const char *end = memchr(*at + size, '\n', left - size);
        CHECK(end != NULL);
        size = (size_t)(end - *at) + 1;
        load.points++;
    }
    load.taken += size;
    lock_drop(&load.lock);
    return size;
}

static void run(void *unused)
{
    struct http *h = malloc(sizeof *h);
    const char *at;
    (void)unused;
    CHECK(h != NULL);
    http_connect(h, load.port);
    for (size_t size; (size = take_lines(&at)) > 0;) {
        (void)http_ask(h, load.path, at, size);
    }
    (void)close(h->fd);
    free(h);
}

static void map_text(const char *path)
{
    struct stat about;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &about) == 0);
    load.size = (size_t)about.st_size;
    load.text = mmap(NULL, load.size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    CHECK(load.text != MAP_FAILED);
}

int main(int argc, char **argv)
{
    struct thread threads[CONNECTIONS_MAX];
    if (argc != 6) {
        (void)fprintf(stderr, "usage: http_load PORT PATH FILE CONNECTIONS LINES\n");
        return 2;
    }
    const unsigned count = (unsigned)strtoul(argv[4], NULL, 10);
    load.port = (unsigned)strtoul(argv[1], NULL, 10);
    load.path = argv[2];
    load.lines = strtoul(argv[5], NULL, 10);
    CHECK(count > 0 && count <= CONNECTIONS_MAX && load.lines > 0);
    map_text(argv[3]);
    lock_init(&load.lock);
    const int64_t start_ns = clock_now_ns();
    for (unsigned i = 0; i < count; i++) {
        CHECK(thread_start(&threads[i], "load", run, NULL) == OK);
    }
    for (unsigned i = 0; i < count; i++) {
        thread_join(&threads[i]);
    }
    const double seconds = (double)(clock_now_ns() - start_ns) / NS_PER_S;
    printf("points=%zu seconds=%.3f rate=%.0f\n", load.points, seconds,
           (double)load.points / seconds);
    return 0;
}
