/* MQTT control packets 3.1.1 and 5.0, as bytes and as structs. Pure: no sockets, no sessions, no
 * allocation.
 *
 * Reading never copies: the structs point into the bytes given. A read function checks everything
 * the standard demands of that packet alone; what depends on the session (order, ids in use,
 * rights) is the session's. Sources are cited by the labels of the OASIS standards, e.g.
 * [MQTT-2.2.1-3]. */

#ifndef PROTO_MQTT_PACKET_H
#define PROTO_MQTT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "proto/mqtt_properties.h"

enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK,
    MQTT_PUBLISH,
    MQTT_PUBACK,
    MQTT_PUBREC,
    MQTT_PUBREL,
    MQTT_PUBCOMP,
    MQTT_SUBSCRIBE,
    MQTT_SUBACK,
    MQTT_UNSUBSCRIBE,
    MQTT_UNSUBACK,
    MQTT_PINGREQ,
    MQTT_PINGRESP,
    MQTT_DISCONNECT,
    MQTT_AUTH
};

/* Protocol levels; 3.1 is level 3 with the name "MQIsdp". */
enum mqtt_version { MQTT_V31 = 3, MQTT_V311 = 4, MQTT_V5 = 5 };

struct mqtt_packet {
    uint8_t type;      /* 0..15; not yet checked to be one of enum mqtt_type. */
    uint8_t flags;     /* Low nibble of the first byte. */
    bool padded;       /* The length took more bytes than needed: 3.1.1 does not forbid it. */
    struct bytes body; /* What follows the fixed header. */
};

/* Cut one packet off `in`. E_MORE, and `in` untouched: not whole yet (`*needed`, when the length is
 * known, is the packet's full size, else 0). E_LIMIT: larger than `bytes_max`, told as soon as the
 * length is known. E_MALFORMED: type 0, flags the type forbids in every version [MQTT-2.1.3-1], or
 * a length field longer than four bytes. What only some versions forbid, the readers refuse. */
MUST_USE enum err mqtt_packet_take(struct bytes *in, size_t bytes_max, struct mqtt_packet *out,
                                   size_t *needed);

struct mqtt_will {
    struct bytes topic, payload;
    uint8_t qos;
    bool retain;
    struct mqtt_properties properties; /* v5 only. */
};

struct mqtt_connect {
    uint8_t version; /* enum mqtt_version. */
    bool clean_start;
    bool has_will, has_user_name, has_password;
    uint16_t keep_alive_s;
    struct bytes client_id; /* May be empty. */
    struct bytes user_name, password;
    struct mqtt_will will;
    struct mqtt_properties properties;
};

struct mqtt_publish {
    struct bytes topic; /* UTF-8, no wildcards; empty only in v5 with a topic alias. */
    struct bytes payload;
    uint16_t packet_id; /* 1..65535, or 0 when qos is 0. */
    uint8_t qos;        /* 0, 1 or 2. */
    bool retain, duplicate;
    struct mqtt_properties properties;
};

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_ack {
    uint8_t type;
    uint16_t packet_id;
    uint8_t reason; /* 0 when left out. */
    struct mqtt_properties properties;
};

struct mqtt_subscription {
    struct bytes filter; /* Valid; in v5 a "$share/..." one by [MQTT-4.8.2-1, -2] too. */
    uint8_t qos;
    bool no_local, retain_as_published;
    uint8_t retain_handling; /* 0 send, 1 send if new, 2 do not. */
};

/* SUBSCRIBE or UNSUBSCRIBE: its topics are read one by one with mqtt_*_next(). */
struct mqtt_subscribe {
    uint16_t packet_id;
    struct mqtt_properties properties;
    struct bytes topics; /* Already checked whole: next() meets no error but E_END. */
    uint8_t version;
};

struct mqtt_disconnect {
    uint8_t reason;
    struct mqtt_properties properties;
};

/* Readers. `version` is the connection's. E_MALFORMED: breaks the format; E_DENIED: well-formed but
 * forbidden ("protocol error" of v5); E_VERSION: a CONNECT of a protocol we do not speak. Where
 * they fail, `*reason` is the v5 reason code to close with (0x81, 0x82, 0x84, 0x90, 0x99, ...).
 * Properties before v5: none seen. The house's own limit on topic levels counts as 0x90 or 0x8f.
 *
 * A packet that is no CONNECT is refused as one with 0x82 [MQTT-3.1.0-1]. */
MUST_USE enum err mqtt_connect_read(const struct mqtt_packet *p, struct mqtt_connect *out,
                                    uint8_t *reason);
/* The version to write the refusal of a CONNECT in: the one it asks for, or 3.1.1 where that is a
 * level of MQTT we do not speak [MQTT-3.1.2-2]; 0: it is no MQTT, and nothing can be said. */
uint8_t mqtt_connect_version(const struct mqtt_packet *p);
MUST_USE enum err mqtt_publish_read(const struct mqtt_packet *p, uint8_t version,
                                    struct mqtt_publish *out, uint8_t *reason);
MUST_USE enum err mqtt_ack_read(const struct mqtt_packet *p, uint8_t version, struct mqtt_ack *out,
                                uint8_t *reason);
MUST_USE enum err mqtt_subscribe_read(const struct mqtt_packet *p, uint8_t version,
                                      struct mqtt_subscribe *out, uint8_t *reason);
MUST_USE enum err mqtt_subscribe_next(struct mqtt_subscribe *s, struct mqtt_subscription *out);
MUST_USE enum err mqtt_unsubscribe_read(const struct mqtt_packet *p, uint8_t version,
                                        struct mqtt_subscribe *out, uint8_t *reason);
MUST_USE enum err mqtt_unsubscribe_next(struct mqtt_subscribe *s, struct bytes *filter);
MUST_USE enum err mqtt_disconnect_read(const struct mqtt_packet *p, uint8_t version,
                                       struct mqtt_disconnect *out, uint8_t *reason);

MUST_USE enum err mqtt_pingreq_read(const struct mqtt_packet *p, uint8_t version, uint8_t *reason);

/* Writers. E_LIMIT, and nothing written, when it does not fit. `properties` is an encoded list
 * (mqtt_property_put_*), without its length; ignored before v5.
 *
 * CONNACK: `reason` is always the v5 code (0..5 of 3.1.1 also do before v5). Where 3.1.1 has no
 * code for it, nothing is written: that server must close without a word [MQTT-3.2.2-6]. */
MUST_USE enum err mqtt_connack_write(struct writer *w, uint8_t version, bool session_present,
                                     uint8_t reason, struct bytes properties);
/* PUBACK, PUBREC, PUBREL, PUBCOMP; the short form where the standard allows it. */
MUST_USE enum err mqtt_ack_write(struct writer *w, uint8_t version, uint8_t type,
                                 uint16_t packet_id, uint8_t reason);
/* SUBACK or UNSUBACK; before v5 an UNSUBACK has no codes, and every failure is 0x80. */
MUST_USE enum err mqtt_suback_write(struct writer *w, uint8_t version, uint8_t type,
                                    uint16_t packet_id, struct bytes codes);
MUST_USE enum err mqtt_pingresp_write(struct writer *w);
/* v5 only: earlier servers just close. */
MUST_USE enum err mqtt_disconnect_write(struct writer *w, uint8_t reason, struct bytes properties);

/* A PUBLISH; `properties` as above. Its size for a buffer is at most topic + payload + properties +
 * MQTT_PUBLISH_OVERHEAD. */
enum { MQTT_PUBLISH_OVERHEAD = 5 + 2 + 2 + 4, MQTT_ACK_BYTES_MAX = 6 };
MUST_USE enum err mqtt_publish_write(struct writer *w, uint8_t version,
                                     const struct mqtt_publish *publish, struct bytes properties);

/* Reason codes used by the house (MQTT 5.0, section 2.4). */
enum mqtt_reason {
    MQTT_SUCCESS = 0x00,
    MQTT_DISCONNECT_WITH_WILL = 0x04,
    MQTT_NO_MATCHING_SUBSCRIBERS = 0x10,
    MQTT_NO_SUBSCRIPTION_EXISTED = 0x11,
    MQTT_UNSPECIFIED = 0x80,
    MQTT_MALFORMED = 0x81,
    MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_IMPLEMENTATION_ERROR = 0x83,
    MQTT_UNSUPPORTED_VERSION = 0x84,
    MQTT_CLIENT_ID_INVALID = 0x85,
    MQTT_BAD_USER = 0x86,
    MQTT_NOT_AUTHORIZED = 0x87,
    MQTT_SERVER_UNAVAILABLE = 0x88,
    MQTT_SERVER_BUSY = 0x89,
    MQTT_SERVER_SHUTTING_DOWN = 0x8b,
    MQTT_BAD_AUTH_METHOD = 0x8c,
    MQTT_KEEP_ALIVE_TIMEOUT = 0x8d,
    MQTT_SESSION_TAKEN_OVER = 0x8e,
    MQTT_FILTER_INVALID = 0x8f,
    MQTT_TOPIC_INVALID = 0x90,
    MQTT_PACKET_ID_IN_USE = 0x91,
    MQTT_PACKET_ID_NOT_FOUND = 0x92,
    MQTT_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    MQTT_TOPIC_ALIAS_INVALID = 0x94,
    MQTT_PACKET_TOO_LARGE = 0x95,
    MQTT_MESSAGE_RATE_TOO_HIGH = 0x96,
    MQTT_QUOTA_EXCEEDED = 0x97,
    MQTT_ADMINISTRATIVE_ACTION = 0x98,
    MQTT_PAYLOAD_INVALID = 0x99,
    MQTT_RETAIN_NOT_SUPPORTED = 0x9a,
    MQTT_QOS_NOT_SUPPORTED = 0x9b,
    MQTT_SHARED_NOT_SUPPORTED = 0x9e,
    MQTT_SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xa1
};

#endif /* PROTO_MQTT_PACKET_H */
