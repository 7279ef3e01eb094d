/* The whole daemon as one thing: made from a config in order, taken down in reverse.
 *
 *   engine, workers, store thread, then for each loop: loop, ingest, MQTT server, query server,
 *   listeners. Main's thread makes and takes down; between house_start() and house_stop() the
 *   threads run by themselves. */

#ifndef BROKER_HOUSE_H
#define BROKER_HOUSE_H

#include "broker/config.h"

struct house;

/* Open the store (recovering what the journal holds), listen, start nothing yet. On failure
 * `complaint` is a line for people. */
MUST_USE enum err house_create(const struct config *config, struct house **out,
                               char complaint[CONFIG_COMPLAINT_BYTES_MAX]);

/* Run the threads. E_NO_MEMORY. */
MUST_USE enum err house_start(struct house *h);

/* "mqtt=ADDR:PORT query=ADDR:PORT data=DIR", as the ready line ends. */
void house_describe(const struct house *h, char *to, size_t size);

/* Stop accepting, let go of all clients, store what was taken, checkpoint, free all. Started or
 * not; NULL is fine. */
void house_destroy(struct house *h);

#endif /* BROKER_HOUSE_H */
