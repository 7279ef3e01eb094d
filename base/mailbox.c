#include "base/mailbox.h"

#include <ck_ring.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

/* The ring's fences are inline assembly, which ThreadSanitizer does not see: tell it what they
 * promise, and to look away from the ring's own slots. */
#if defined(__SANITIZE_THREAD__)
#define HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif
#ifdef HAS_TSAN
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the sanitizer's names
void __tsan_acquire(void *at);
void __tsan_release(void *at);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
#define TSAN_ACQUIRE(at) __tsan_acquire(at)
#define TSAN_RELEASE(at) __tsan_release(at)
#define TSAN_LOOK_AWAY()                                                                           \
    (AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define TSAN_LOOK_AGAIN()                                                                          \
    (AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#else
#define TSAN_ACQUIRE(at)  (void)(at)
#define TSAN_RELEASE(at)  (void)(at)
#define TSAN_LOOK_AWAY()  (void)0
#define TSAN_LOOK_AGAIN() (void)0
#endif

struct mailbox {
    ck_ring_t ring;
    atomic_bool rung; /* The event fd is already readable: posting need not write to it. */
    int fd;
    ck_ring_buffer_t letters[];
};

enum err mailbox_create(size_t slots, struct mailbox **out)
{
    CHECK(slots >= 4 && (slots & (slots - 1)) == 0 && slots <= UINT32_MAX / 2);
    struct mailbox *m = calloc(1, sizeof *m + slots * sizeof m->letters[0]);
    if (m == NULL) {
        return E_NO_MEMORY;
    }
    ck_ring_init(&m->ring, (unsigned)slots);
    m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->fd < 0) {
        free(m);
        return E_IO;
    }
    *out = m;
    return OK;
}

void mailbox_destroy(struct mailbox *m)
{
    if (m != NULL) {
        (void)close(m->fd);
        free(m);
    }
}

enum err mailbox_post(struct mailbox *m, void *letter)
{
    const uint64_t one = 1;

    TSAN_RELEASE(&m->ring);
    TSAN_LOOK_AWAY();
    const bool posted = ck_ring_enqueue_mpsc(&m->ring, m->letters, letter);
    TSAN_LOOK_AGAIN();
    if (!posted) {
        return E_BUSY;
    }
    if (!atomic_exchange(&m->rung, true)) {
        CHECK(write(m->fd, &one, sizeof one) == sizeof one);
    }
    return OK;
}

enum err mailbox_take(struct mailbox *m, void **letter)
{
    TSAN_LOOK_AWAY();
    const bool taken = ck_ring_dequeue_mpsc(&m->ring, m->letters, letter);
    TSAN_LOOK_AGAIN();
    if (!taken) {
        return E_END;
    }
    TSAN_ACQUIRE(&m->ring);
    return OK;
}

bool mailbox_is_empty(const struct mailbox *m)
{
    return ck_ring_size(&m->ring) == 0;
}

int mailbox_fd(const struct mailbox *m)
{
    return m->fd;
}

void mailbox_hush(struct mailbox *m)
{
    uint64_t ignored;
    (void)!read(m->fd, &ignored, sizeof ignored);
    atomic_store(&m->rung, false);
}

void mailbox_wait(struct mailbox *m, int wait_ms)
{
    struct pollfd poll_fd = {.fd = m->fd, .events = POLLIN};
    if (mailbox_is_empty(m)) {
        int ready = poll(&poll_fd, 1, wait_ms);
        CHECK(ready >= 0 || errno == EINTR);
    }
    mailbox_hush(m);
}
