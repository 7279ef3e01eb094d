/* The two clocks. Only loops, the store thread and commands read them; rules get time in events. */

#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

enum { NS_PER_US = 1000, NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

/* Wall clock, nanoseconds since 1970-01-01 UTC. May step. */
int64_t clock_wall_ns(void);

/* Monotonic, milliseconds or nanoseconds from an unknown start. */
int64_t clock_now_ms(void);
int64_t clock_now_ns(void);

#endif /* BASE_CLOCK_H */
