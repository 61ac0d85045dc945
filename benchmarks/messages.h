/* Messages whose frames, masks and all, are made before anything is measured.
 *
 * A set of messages is a ring: a client sends one after another, round and round, so
 * that what is sent is always one piece of memory, or two where the ring closes. All
 * messages of a run differ in their first bytes, their identity, so that one that is
 * lost, doubled, or out of its order is noticed.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stddef.h>
#include <stdint.h>

/* The identity at the beginning of each payload, "SSSSNNNN": source and slot in hex. */
enum { IDENTITY_SIZE = 8 };

/* The digits of a chat's numbers. */
enum { NUMBER_SIZE = 8 };

enum { OPCODE_TEXT = 1, OPCODE_BINARY = 2, OPCODE_CLOSE = 8, OPCODE_PING = 9 };
enum { OPCODE_PONG = 10 };

/* What the compressed messages are limited to: 4 KiB, the least window that a peer of
 * ours asks of its clients. */
enum { WINDOW_BITS = 12 };

struct messages {
    unsigned count;   /* slots in the ring, a power of two */
    size_t size;      /* bytes in each payload */
    size_t number_at; /* where a chat's payload has its number */
    int opcode;       /* text or binary */
    uint8_t *plain;   /* the payloads, one after another */
    uint8_t *frames;  /* the frames, one after another */
    size_t *start;    /* where each frame begins; one more for the end of the last */
    /* Compressed payloads that came back, were inflated and were right: what is byte
     * for byte the same needs no inflating again. */
    struct verified {
        size_t size;
        uint8_t *bytes;
    } *verified;
};

/* Make a ring of messages. */
void messages_prepare(struct messages *messages, unsigned source, unsigned count,
                      size_t size, int opcode, int deflate);

/* Make a ring of a chat's messages, as the tutorials' clients send them: JSON, with one
 * sender's name, and a text of some bytes that begins with a number. */
void messages_prepare_chat(struct messages *messages, unsigned source, unsigned count,
                           size_t size);

/* Give a chat's message another number: no two that are sent are the same. */
void messages_number(struct messages *messages, unsigned slot, unsigned number);

/* Write a masked client frame; return its size, at most that of the payload and 14. */
size_t frame_write(uint8_t *out, uint8_t first, const uint8_t *payload, size_t size);

/* Read an identity; return 0 if it is none. */
int identity_read(const uint8_t *bytes, unsigned *source, unsigned *slot);

#endif
