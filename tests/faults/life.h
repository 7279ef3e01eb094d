/* One life of a store, as a script that may be struck by a fault at any place, and what must hold
 * whatever the fault was. To have more tried, add a step to the table in life.c.
 *
 * A step does one thing, returns how it went, and leaves the next ones to go on as they can. What
 * is written is remembered, with whether it was acknowledged. */

#ifndef TESTS_FAULTS_LIFE_H
#define TESTS_FAULTS_LIFE_H

#include "base/err.h"

struct life;

/* A life that will be lived in `directory`, which is absent. */
struct life *life_create(const char *directory);

/* Every step of the script, in order; says how many of them failed. Ends the process with a line on
 * stderr when a step that went well did not do what it promises. */
unsigned life_run(struct life *l);

/* The fault is over: without a restart it must work again, then after one, all that was
 * acknowledged must be there, and the offline check must find nothing. Ends the process as
 * above. */
void life_heal(struct life *l);

void life_destroy(struct life *l);

#endif /* TESTS_FAULTS_LIFE_H */
