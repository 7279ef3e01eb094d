/* What threads of the daemon say to each other. A letter is the first member of what it carries;
 * whoever takes it owns it. */

#ifndef BROKER_THREADS_LETTER_H
#define BROKER_THREADS_LETTER_H

enum letter_kind {
    LETTER_STOP,       /* main -> all: finish. */
    LETTER_BATCH,      /* loop -> store: write it; store -> loop: its `result` is set. */
    LETTER_COMMITTED,  /* store -> loops with tails: a durable batch, shared; see store_thread.h. */
    LETTER_CROSSING,   /* loop -> loop: messages, retained changes, interest; see crossing.h. */
    LETTER_CONNECTION, /* loop -> loop: a connection moves to its session's home. */
    LETTER_JOB,        /* worker -> loop or store: a job is done. */
    LETTER_ADMIN,      /* loop -> store: do it now; store -> loop: done. */
    LETTER_KINDS
};

struct letter {
    enum letter_kind kind;
};

#endif /* BROKER_THREADS_LETTER_H */
