/* Sending and reading frames: see client.h.
 *
 * Nothing is copied or kept of what comes in: payloads are compared with the prepared
 * messages piece by piece as the socket gives them, however they are cut.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "measuring.h"
#include "sha1.h"

enum { READ_ROOM = 256 * 1024, INFLATE_ROOM = 64 * 1024 };

int poller = -1;
struct expectations expectations;

static uint8_t read_buffer[READ_ROOM];
static uint8_t inflate_buffer[INFLATE_ROOM];

_Noreturn void client_fail(const struct client *client, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fail("connection %u: %s", client->index, text);
}

static void watch(struct client *client, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(poller, operation, client->fd, &event))
        fail("epoll: %s", strerror(errno));
}

/* Opening */

static SSL *tls_open(int fd)
{
    static SSL_CTX *context;
    if (context == NULL) {
        context = SSL_CTX_new(TLS_client_method());
        if (context == NULL)
            fail("OpenSSL does not start");
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_read_ahead(context, 1);
    }
    SSL *tls = SSL_new(context);
    if (tls == NULL || SSL_set_fd(tls, fd) != 1 || SSL_connect(tls) != 1)
        fail("no TLS: %s", ERR_reason_error_string(ERR_peek_last_error()));
    return tls;
}

static ssize_t read_some(struct client *client, void *buffer, size_t room)
{
    if (client->tls == NULL)
        return recv(client->fd, buffer, room, 0);
    int got = SSL_read(client->tls, buffer, (int)room);
    if (got > 0)
        return got;
    int error = SSL_get_error(client->tls, got);
    errno = error == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t write_some(struct client *client, struct iovec *parts, int count)
{
    if (client->tls == NULL) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        return sendmsg(client->fd, &message, MSG_NOSIGNAL);
    }
    int sent = SSL_write(client->tls, parts[0].iov_base, (int)parts[0].iov_len);
    if (sent > 0)
        return sent;
    int error = SSL_get_error(client->tls, sent);
    errno = error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

static void feed(struct client *client, const uint8_t *data, size_t size);

void client_open(struct client *client, unsigned index, const struct options *options)
{
    char request[REQUEST_ROOM], head[HEAD_ROOM], accept[ACCEPT_SIZE];
    size_t have = 0, head_size = 0;
    client->index = index;
    client->fd = client_socket(index, options, 1);
    if (options->tls)
        client->tls = tls_open(client->fd);
    size_t size = request_write(request, accept, index, options);
    struct iovec part = {.iov_base = request, .iov_len = size};
    if (write_some(client, &part, 1) != (ssize_t)size)
        client_fail(client, "can't send the handshake: %s", strerror(errno));
    while (head_size == 0) {
        ssize_t got = read_some(client, head + have, sizeof head - have);
        if (got <= 0)
            client_fail(client, "no answer to the handshake");
        have += (size_t)got;
        head_size =
            response_check(head, have, accept, options, &client->agreement);
    }
    fcntl(client->fd, F_SETFL, fcntl(client->fd, F_GETFL) | O_NONBLOCK);
    watch(client, EPOLL_CTL_ADD, EPOLLIN);
    feed(client, (uint8_t *)head + head_size, have - head_size);
}

/* Sending */

/* What is to be sent now, as one or two pieces of memory. */
static int pieces(struct client *client, struct iovec parts[2])
{
    if (client->control_size > client->control_sent && client->offset == 0) {
        parts[0].iov_base = client->control + client->control_sent;
        parts[0].iov_len = client->control_size - client->control_sent;
        return 1;
    }
    const struct messages *ring = client->ring;
    unsigned end = client->slot + client->queued;
    /* A pong waits for the frame that is sent in part, and for no other. */
    if (client->control_size > client->control_sent)
        end = client->slot + 1;
    unsigned stop = end < ring->count ? end : ring->count;
    size_t begin = ring->start[client->slot] + client->offset;
    parts[0].iov_base = ring->frames + begin;
    parts[0].iov_len = ring->start[stop] - begin;
    if (stop == end)
        return 1;
    parts[1].iov_base = ring->frames;
    parts[1].iov_len = ring->start[end - stop];
    return 2;
}

static void advance(struct client *client, size_t sent)
{
    if (client->control_size > client->control_sent && client->offset == 0) {
        client->control_sent += sent;
        return;
    }
    const struct messages *ring = client->ring;
    while (sent > 0) {
        size_t frame = ring->start[client->slot + 1] - ring->start[client->slot];
        if (sent < frame - client->offset) {
            client->offset += sent;
            return;
        }
        sent -= frame - client->offset;
        client->offset = 0;
        client->slot = client->slot + 1 == ring->count ? 0 : client->slot + 1;
        client->queued--;
    }
}

void client_flush(struct client *client)
{
    struct iovec parts[2];
    while (client->queued > 0 || client->control_size > client->control_sent) {
        int count = pieces(client, parts);
        ssize_t sent = write_some(client, parts, count);
        if (sent < 0 && errno == EAGAIN) {
            if (!client->blocked)
                watch(client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            client->blocked = 1;
            return;
        }
        if (sent < 0)
            client_fail(client, "can't send: %s", strerror(errno));
        advance(client, (size_t)sent);
    }
    if (client->blocked)
        watch(client, EPOLL_CTL_MOD, EPOLLIN);
    client->blocked = 0;
}

void client_send(struct client *client, unsigned frames)
{
    client->queued += frames;
    if (!client->blocked)
        client_flush(client);
}

static void pong(struct client *client, const uint8_t *payload, size_t size)
{
    /* Where one waits already, the newer ping's answer would do, and so does this. */
    if (client->control_size > client->control_sent)
        return;
    client->control_size =
        frame_write(client->control, 0x80 | OPCODE_PONG, payload, size);
    client->control_sent = 0;
    client_flush(client);
}

void client_close(struct client *client)
{
    static const uint8_t code[2] = {1000 >> 8, 1000 & 255};
    uint8_t frame[16];
    struct iovec part = {.iov_base = frame};
    part.iov_len = frame_write(frame, 0x80 | OPCODE_CLOSE, code, sizeof code);
    if (write_some(client, &part, 1) != (ssize_t)part.iov_len)
        client_fail(client, "can't close: %s", strerror(errno));
    close(client->fd);
}

/* Reading a message */

/* The identity is whole: is this the message that has to come next? */
static void identify(struct client *client)
{
    const char *text = (const char *)client->identity;
    unsigned source, slot;
    if (!identity_read(client->identity, &source, &slot) ||
        source >= expectations.sources)
        client_fail(client, "a message begins with %.8s", text);
    expectations.next(client, source);
    if (slot != client->arrival.slot)
        client_fail(client, "message %.8s came in place of number %04x", text,
                    client->arrival.slot);
}

/* Compare a piece of a payload that can only be one. Show what came in its place: it may
 * be an error that says why. */
static void check_foreseen(struct client *client, const uint8_t *data, size_t size)
{
    const uint8_t *wanted = client->arrival.payload + client->have;
    size_t left = client->arrival.size - client->have;
    size_t part = size < left ? size : left;
    if (memcmp(wanted, data, part))
        client_fail(client, "%.*s came in place of %.*s", (int)(size < 100 ? size : 100),
                    (const char *)data, (int)(part < 100 ? part : 100),
                    (const char *)wanted);
    if (size > left)
        client_fail(client, "a message is longer than %zu bytes", client->arrival.size);
    client->have += size;
}

/* Compare a piece of a payload with what it should be. */
static void check(struct client *client, const uint8_t *data, size_t size)
{
    if (expectations.foreseen) {
        check_foreseen(client, data, size);
        return;
    }
    if (client->have + size > client->arrival.size)
        client_fail(client, "a message is longer than %zu bytes", client->arrival.size);
    while (client->have < IDENTITY_SIZE && size > 0) {
        client->identity[client->have++] = *data++;
        size--;
        if (client->have == IDENTITY_SIZE)
            identify(client);
    }
    if (size > 0 && memcmp(client->arrival.payload + client->have, data, size))
        client_fail(client, "the payload of message %.8s is wrong",
                    (const char *)client->identity);
    client->have += size;
}

static void inflate_piece(struct client *client, const uint8_t *data, size_t size)
{
    z_stream *stream = client->inflater;
    stream->next_in = (uint8_t *)data;
    stream->avail_in = (uInt)size;
    do {
        stream->next_out = inflate_buffer;
        stream->avail_out = INFLATE_ROOM;
        int result = inflate(stream, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR)
            client_fail(client, "a message doesn't inflate");
        check(client, inflate_buffer, INFLATE_ROOM - stream->avail_out);
    } while (stream->avail_out == 0);
}

static void message_begin(struct client *client, uint8_t first)
{
    client->opcode = first & 15;
    client->compressed = (first & 0x40) != 0;
    client->have = 0;
    if (client->opcode != expectations.opcode)
        client_fail(client, "a message has opcode %d instead of %d", client->opcode,
                    expectations.opcode);
    if (client->compressed != client->agreement.deflate)
        client_fail(client, "a message is %scompressed",
                    client->compressed ? "" : "not ");
    client->arrival.size = expectations.size;
    if (expectations.foreseen)
        expectations.next(client, 0);
    if (!client->compressed)
        return;
    if (client->inflater == NULL) {
        client->inflater = allocate(1, sizeof *client->inflater);
        if (inflateInit2(client->inflater, -15))
            fail("zlib does not start");
    } else if (client->agreement.no_takeover) {
        inflateReset(client->inflater);
    }
}

static void message_end(struct client *client)
{
    static const uint8_t tail[4] = {0, 0, 0xff, 0xff};
    if (client->compressed)
        inflate_piece(client, tail, sizeof tail);
    if (client->have != client->arrival.size)
        client_fail(client, "a message has %zu bytes instead of %zu", client->have,
                    client->arrival.size);
    client->opcode = 0;
    expectations.delivered(client);
}

/* Reading frames */

static void control_end(struct client *client, int opcode)
{
    const uint8_t *payload = client->control_in;
    unsigned size = client->control_in_size;
    if (opcode == OPCODE_PING) {
        pong(client, payload, size);
    } else if (opcode == OPCODE_CLOSE) {
        unsigned code = size < 2 ? 1005 : payload[0] * 256u + payload[1];
        int length = size < 2 ? 0 : (int)size - 2;
        client_fail(client, "closed by the server with %u %.*s", code, length,
                    (const char *)payload + 2);
    } else if (opcode != OPCODE_PONG) {
        client_fail(client, "a frame has opcode %d", opcode);
    }
}

static void frame_end(struct client *client)
{
    client->in_payload = 0;
    client->head_size = 0;
    if (client->head[0] & 8)
        control_end(client, client->head[0] & 15);
    else if (client->head[0] & 0x80)
        message_end(client);
}

/* Take the head that is whole now. */
static void frame_begin(struct client *client)
{
    uint8_t first = client->head[0];
    client->left = client->head[1] & 127;
    if (client->left > 125) {
        client->left = 0;
        for (unsigned i = 2; i < client->head_size; i++)
            client->left = client->left << 8 | client->head[i];
    }
    if (client->head[1] & 0x80)
        client_fail(client, "a frame is masked");
    client->length = client->left;
    client->in_payload = 1;
    client->control_in_size = 0;
    if (first & 8) {
        if (!(first & 0x80) || client->left > 125)
            client_fail(client, "a control frame is too long or in fragments");
    } else if ((first & 15) != 0) {
        if (client->opcode != 0)
            client_fail(client, "a message begins inside another one");
        message_begin(client, first);
    } else if (client->opcode == 0 || (first & 0x70)) {
        client_fail(client, "a frame continues nothing");
    }
    if (client->left == 0)
        frame_end(client);
}

/* Read of a head; return how many bytes that took. */
static size_t feed_head(struct client *client, const uint8_t *data, size_t size)
{
    size_t used = 0;
    for (;;) {
        unsigned need = 2;
        if (client->head_size >= 2 && (client->head[1] & 127) > 125)
            need = (client->head[1] & 127) == 126 ? 4 : 10;
        if (client->head_size == need) {
            frame_begin(client);
            return used;
        }
        if (used == size)
            return used;
        client->head[client->head_size++] = data[used++];
    }
}

static void feed_payload(struct client *client, const uint8_t *data, size_t size)
{
    if (client->head[0] & 8) {
        memcpy(client->control_in + client->control_in_size, data, size);
        client->control_in_size += (unsigned)size;
    } else if (client->compressed) {
        inflate_piece(client, data, size);
    } else {
        check(client, data, size);
    }
}

/* Take a compressed message that is whole in the buffer: where it is byte for byte the
 * one that was inflated and found right before, it is right too. */
static void feed_compressed(struct client *client, const uint8_t *data, size_t size)
{
    if (expectations.sources == 1) {
        expectations.next(client, 0);
        const struct verified *known = client->arrival.verified;
        if (known->size == size && !memcmp(known->bytes, data, size)) {
            client->in_payload = 0;
            client->head_size = 0;
            client->opcode = 0;
            expectations.delivered(client);
            return;
        }
    }
    inflate_piece(client, data, size);
    struct verified *verified = client->arrival.verified;
    frame_end(client);
    if (verified->bytes == NULL) {
        verified->bytes = allocate(size, 1);
        memcpy(verified->bytes, data, size);
        verified->size = size;
    }
}

/* Whether the whole of the frame is a whole message that depends on no other. */
static int stands_alone(const struct client *client)
{
    uint8_t first = client->head[0];
    return client->compressed && client->agreement.no_takeover && !(first & 8) &&
           (first & 0x80) && (first & 15) && client->left == client->length;
}

static void feed(struct client *client, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t used;
        if (!client->in_payload) {
            used = feed_head(client, data, size);
        } else if (client->left <= size && stands_alone(client)) {
            used = client->left;
            feed_compressed(client, data, used);
        } else {
            used = client->left < size ? client->left : size;
            feed_payload(client, data, used);
            client->left -= used;
            if (client->left == 0)
                frame_end(client);
        }
        data += used;
        size -= used;
    }
}

/* What comes back is the ring's bytes, one message after another. */
static void feed_raw(struct client *client, const uint8_t *data, size_t size)
{
    const struct messages *ring = client->ring;
    while (size > 0) {
        size_t begin = ring->start[client->raw_slot] + client->raw_offset;
        size_t left = ring->start[client->raw_slot + 1] - begin;
        size_t used = left < size ? left : size;
        if (memcmp(ring->frames + begin, data, used))
            client_fail(client, "bytes came back wrong");
        data += used;
        size -= used;
        client->raw_offset += used;
        if (used < left)
            return;
        client->raw_offset = 0;
        client->raw_slot =
            client->raw_slot + 1 == ring->count ? 0 : client->raw_slot + 1;
        expectations.next(client, 0);
        expectations.delivered(client);
    }
}

void client_receive(struct client *client, int raw)
{
    /* OpenSSL holds back what epoll no longer tells about, so it is read to its end. */
    do {
        ssize_t got = read_some(client, read_buffer, READ_ROOM);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            client_fail(client, "lost: %s", got ? strerror(errno) : "end of stream");
        if (raw)
            feed_raw(client, read_buffer, (size_t)got);
        else
            feed(client, read_buffer, (size_t)got);
    } while (client->tls != NULL);
}
