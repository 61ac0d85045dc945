/* A WebSocket client on a socket that doesn't block, for one message after another. */
#ifndef CLIENT_H
#define CLIENT_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "messages.h"
#include "options.h"

enum { REQUEST_ROOM = 1024, HEAD_ROOM = 8192 };

/* What the opening handshake agreed on. */
struct agreement {
    int deflate;
    int no_takeover; /* the server compresses each message by itself */
};

struct client {
    int fd;
    SSL *tls;
    unsigned index;
    struct agreement agreement;
    /* Sending: frames of a ring, and a control frame that goes between two of them. */
    const struct messages *ring;
    unsigned slot;  /* the frame that is sent next, or in part */
    size_t offset;  /* bytes of it that are sent */
    unsigned queued; /* frames to send */
    uint8_t control[160];
    size_t control_size;
    size_t control_sent;
    int blocked; /* the kernel takes no more; waiting for EPOLLOUT */
    /* Reading a frame. */
    uint8_t head[10];
    unsigned head_size;
    int in_payload;
    uint64_t length; /* of its payload */
    uint64_t left;   /* bytes of that to come */
    uint8_t control_in[125];
    unsigned control_in_size;
    /* Reading a message. */
    int opcode; /* 0 between messages */
    int compressed;
    size_t have; /* bytes of its payload, inflated, that were right */
    uint8_t identity[IDENTITY_SIZE];
    struct arrival {
        unsigned source; /* whose message it is */
        unsigned slot;   /* its place in that one's ring */
        const uint8_t *payload;
        size_t size;
        struct verified *verified;
    } arrival; /* set once the identity is known, or as soon as it begins */
    z_stream *inflater;
    /* Reading raw: where in the ring. */
    unsigned raw_slot;
    size_t raw_offset;
};

/* What the workload knows about messages. All fail when something is wrong. */
struct expectations {
    int opcode;
    size_t size;
    /* Payloads have no identity: a client can only get one thing next. */
    int foreseen;
    /* Set the client's arrival to the message that has to come next from a source. */
    void (*next)(struct client *, unsigned source);
    /* The arrival is whole, and right. */
    void (*delivered)(struct client *);
    /* How many sources there are. */
    unsigned sources;
};

/* The epoll set, and what clients that are watched are for. */
extern int poller;
extern struct expectations expectations;

/* Connect, agree, and get into the epoll set. Blocks; bounded by a time limit. */
void client_open(struct client *client, unsigned index, const struct options *options);

/* Have the next frames of the ring sent, and send. */
void client_send(struct client *client, unsigned frames);

/* Send what the kernel takes now. */
void client_flush(struct client *client);

/* Send a Close frame, so that servers have no lost connection to report, and close. */
void client_close(struct client *client);

/* Read what is there, and handle it. */
void client_receive(struct client *client, int raw);

/* Say that a client's connection ended, or what else is wrong with it, and fail. */
_Noreturn void client_fail(const struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The address that a client connects from, as a number. */
uint32_t source_address(unsigned index);

/* The parts of client_open that the handshake workload takes one by one. */
int client_socket(unsigned index, const struct options *options, int blocking);
size_t request_write(char *out, char accept[29], unsigned index,
                     const struct options *options);
/* Return the head's size, 0 if it isn't whole yet. Fail if the answer isn't right. */
size_t response_check(char *head, size_t size, const char *accept,
                      const struct options *options, struct agreement *agreement);

#endif
