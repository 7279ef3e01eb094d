/* Ending in peace: the first SIGINT or SIGTERM asks, the second one ends the process. */

#ifndef CLI_STOP_H
#define CLI_STOP_H

#include <stdbool.h>

/* From now on signals are heard. What it points to becomes true when one came; for ever. */
const volatile bool *stop_on_signal(void);

/* As if a signal had come. */
void stop_now(void);

#endif /* CLI_STOP_H */
