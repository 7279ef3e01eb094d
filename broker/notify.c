#include "broker/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

void notify_send(const char *state)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody in the daemon changes the environment
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || path[0] == 0) {
        return;
    }
    const size_t size = strlen(path);
    if (size >= sizeof to.sun_path) {
        log_line(LOG_WARN, "notify", "NOTIFY_SOCKET is too long");
        return;
    }
    memcpy(to.sun_path, path, size);
    if (to.sun_path[0] == '@') {
        to.sun_path[0] = 0; /* An abstract socket. */
    }
    const socklen_t to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                         to_size) != (ssize_t)strlen(state)) {
        log_line(LOG_WARN, "notify", "cannot tell systemd: %s", state);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}
