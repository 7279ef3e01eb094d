#include "broker/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/test.h"

static void systemd_is_told_where_it_asked_to_be(void **state)
{
    const char name[] = "@hejnal_test_notify";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char heard[32] = "";
    (void)state;
    memcpy(at.sun_path + 1, name + 1, sizeof name - 2); /* Abstract: a 0 byte for the @. */
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof name - 1);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, size), 0);

    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    notify_send("READY=1");
    assert_true(recv(fd, heard, sizeof heard, 0) < 0);

    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    notify_send("READY=1");
    assert_int_equal(recv(fd, heard, sizeof heard - 1, 0), 7);
    assert_string_equal(heard, "READY=1");
    (void)close(fd);
    notify_send("STOPPING=1"); /* Nobody there: logged, nothing else. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(systemd_is_told_where_it_asked_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
