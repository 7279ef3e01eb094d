/* Tells systemd how the daemon is doing (sd_notify(3)), when it asked to be told. */

#ifndef BROKER_NOTIFY_H
#define BROKER_NOTIFY_H

/* `state`: "READY=1", "STOPPING=1". Does nothing without $NOTIFY_SOCKET; failures are logged. */
void notify_send(const char *state);

#endif /* BROKER_NOTIFY_H */
