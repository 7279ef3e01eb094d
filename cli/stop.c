#include "cli/stop.h"

#include <signal.h>
#include <stddef.h>

static volatile bool is_asked;

static void on_signal(int number)
{
    (void)number;
    is_asked = true;
}

const volatile bool *stop_on_signal(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    action.sa_flags = (int)SA_RESETHAND; /* The second one ends us. */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    return &is_asked;
}

void stop_now(void)
{
    is_asked = true;
}
