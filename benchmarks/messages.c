/* Prepared messages: see messages.h. */
#include "messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "measuring.h"

/* Numbers that look random and are the same in every run. */
static uint32_t next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

/* Text as it is on the wire in practice: JSON with numbers that vary. */
static void fill_text(uint8_t *payload, size_t size)
{
    char record[128];
    size_t have = 0;
    while (have < size) {
        int length = snprintf(record, sizeof record,
                              "{\"symbol\":\"X%03u\",\"bid\":%u.%02u,\"ask\":%u.%02u,"
                              "\"volume\":%u},",
                              next_random() % 1000, next_random() % 500,
                              next_random() % 100, next_random() % 500,
                              next_random() % 100, next_random() % 100000);
        size_t part = (size_t)length < size - have ? (size_t)length : size - have;
        memcpy(payload + have, record, part);
        have += part;
    }
}

static void fill_bytes(uint8_t *payload, size_t size)
{
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)next_random();
}

size_t frame_write(uint8_t *out, uint8_t first, const uint8_t *payload, size_t size)
{
    size_t head = 2;
    out[0] = first;
    if (size < 126) {
        out[1] = (uint8_t)(0x80 | size);
    } else if (size < 65536) {
        out[1] = 0x80 | 126;
        out[2] = (uint8_t)(size >> 8);
        out[3] = (uint8_t)size;
        head = 4;
    } else {
        out[1] = 0x80 | 127;
        for (unsigned i = 0; i < 8; i++)
            out[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
        head = 10;
    }
    uint32_t mask = next_random();
    memcpy(out + head, &mask, 4);
    const uint8_t *key = out + head;
    for (size_t i = 0; i < size; i++)
        out[head + 4 + i] = payload[i] ^ key[i & 3];
    return head + 4 + size;
}

/* Compress as RFC 7692 section 7.2.1 says: without the end of the flushed block. */
static size_t compress_payload(uint8_t *out, size_t room, uint8_t *in, size_t size)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, 6, Z_DEFLATED, -WINDOW_BITS, 8, Z_DEFAULT_STRATEGY))
        fail("zlib does not start");
    stream.next_in = in;
    stream.avail_in = (uInt)size;
    stream.next_out = out;
    stream.avail_out = (uInt)room;
    if (deflate(&stream, Z_SYNC_FLUSH) != Z_OK || stream.avail_out == 0)
        fail("zlib does not compress");
    size_t written = room - stream.avail_out - 4;
    deflateEnd(&stream);
    return written;
}

/* The most that a compressed payload, or a frame, takes. */
static size_t room_of(size_t size)
{
    return size + size / 100 + 64;
}

static void reserve(struct messages *messages, unsigned count, size_t size, int opcode)
{
    messages->count = count;
    messages->size = size;
    messages->opcode = opcode;
    messages->plain = allocate(count, size);
    messages->frames = allocate(count, room_of(size));
    messages->start = allocate(count + 1, sizeof *messages->start);
    messages->verified = allocate(count, sizeof *messages->verified);
}

void messages_prepare(struct messages *messages, unsigned source, unsigned count,
                      size_t size, int opcode, int deflate)
{
    size_t room = room_of(size);
    uint8_t *scratch = allocate(room, 1);
    reserve(messages, count, size, opcode);
    for (unsigned slot = 0; slot < count; slot++) {
        uint8_t *payload = messages->plain + slot * size;
        char identity[IDENTITY_SIZE + 1];
        if (opcode == OPCODE_TEXT)
            fill_text(payload, size);
        else
            fill_bytes(payload, size);
        snprintf(identity, sizeof identity, "%04x%04x", source & 0xffff, slot & 0xffff);
        memcpy(payload, identity, IDENTITY_SIZE);
        uint8_t first = (uint8_t)(0x80 | opcode);
        uint8_t *out = messages->frames + messages->start[slot];
        size_t written;
        if (deflate) {
            size_t small = compress_payload(scratch, room, payload, size);
            written = frame_write(out, first | 0x40, scratch, small);
        } else {
            written = frame_write(out, first, payload, size);
        }
        messages->start[slot + 1] = messages->start[slot] + written;
    }
    free(scratch);
}

void messages_prepare_chat(struct messages *messages, unsigned source, unsigned count,
                           size_t size)
{
    static const char words[] = " Has anybody seen the keys of the cellar?";
    static const char tail[] = "\",\"color\":\"#2456d6\"}";
    char head[128];
    size_t head_size = (size_t)snprintf(
        head, sizeof head,
        "{\"type\":\"usermsg\",\"name\":\"Visitor %u\",\"message\":\"", source);
    size_t tail_size = sizeof tail - 1;
    reserve(messages, count, head_size + size + tail_size, OPCODE_TEXT);
    messages->number_at = head_size;
    for (unsigned slot = 0; slot < count; slot++) {
        uint8_t *payload = messages->plain + slot * messages->size;
        memcpy(payload, head, head_size);
        memset(payload + head_size, '0', NUMBER_SIZE);
        for (size_t i = NUMBER_SIZE; i < size; i++)
            payload[head_size + i] =
                (uint8_t)words[(i - NUMBER_SIZE) % (sizeof words - 1)];
        memcpy(payload + head_size + size, tail, tail_size);
        messages->start[slot + 1] =
            messages->start[slot] + frame_write(messages->frames + messages->start[slot],
                                                0x80 | OPCODE_TEXT, payload,
                                                messages->size);
    }
}

void messages_number(struct messages *messages, unsigned slot, unsigned number)
{
    uint8_t *plain = messages->plain + slot * messages->size + messages->number_at;
    /* The payload is the frame's end. */
    uint8_t *masked = messages->frames + messages->start[slot + 1] - messages->size +
                      messages->number_at;
    for (unsigned i = NUMBER_SIZE; i-- > 0; number /= 10) {
        uint8_t digit = (uint8_t)('0' + number % 10);
        masked[i] ^= plain[i] ^ digit;
        plain[i] = digit;
    }
}

static int hex_read(const uint8_t *bytes, unsigned *number)
{
    *number = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t c = bytes[i];
        unsigned digit = c >= 'a' ? c - 'a' + 10u : c - (unsigned)'0';
        if (digit > 15 || (c > '9' && c < 'a'))
            return 0;
        *number = *number * 16 + digit;
    }
    return 1;
}

int identity_read(const uint8_t *bytes, unsigned *source, unsigned *slot)
{
    return hex_read(bytes, source) && hex_read(bytes + 4, slot);
}
