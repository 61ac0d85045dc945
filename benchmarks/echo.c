/* The bare epoll echo: what this machine and its kernel allow.
 *
 * Goal: a limit to compare WebSocket servers with. One thread, one epoll set, no checks
 * that a server on the internet could do without, nothing allocated per message.
 *
 *     echo PORT raw          answers the opening handshake; from then on sends each byte
 *                            back as it came, without a look at it
 *     echo PORT websocket    the least that is a WebSocket echo: unmasks each frame in
 *                            place, writes a server's head before it, and sends all
 *                            that one read brought with one call
 *
 * Plan: each connection has one buffer. What is read is appended to it; whole frames
 * turn into replies at its beginning (a reply is 4 bytes shorter than its request, so
 * that it never overtakes what is still to be read); replies are sent at once, and as
 * long as the kernel doesn't take all of them the connection isn't read from.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sha1.h"

enum { EVENTS = 256, FIRST_ROOM = 16384 };

struct connection {
    int fd;
    int open;      /* the handshake is done */
    int ending;    /* to be closed once all is sent */
    uint8_t *data; /* replies, then what is not whole yet */
    size_t room;
    size_t size;       /* bytes of both */
    size_t reply_size; /* bytes of the replies */
    size_t reply_sent;
};

static int raw;
static int poller;

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int operation, struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(poller, operation, connection->fd, &event))
        stop("epoll_ctl");
}

static void drop(struct connection *connection)
{
    close(connection->fd);
    free(connection->data);
    free(connection);
}

/* Send the replies. Return 0 once the connection is gone. */
static int flush(struct connection *connection, int was_blocked)
{
    while (connection->reply_sent < connection->reply_size) {
        ssize_t sent = send(connection->fd, connection->data + connection->reply_sent,
                            connection->reply_size - connection->reply_sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            if (!was_blocked)
                watch(EPOLL_CTL_MOD, connection, EPOLLOUT);
            return 1;
        }
        if (sent < 0) {
            drop(connection);
            return 0;
        }
        connection->reply_sent += (size_t)sent;
    }
    connection->size -= connection->reply_size;
    if (connection->size > 0)
        memmove(connection->data, connection->data + connection->reply_size,
                connection->size);
    connection->reply_size = connection->reply_sent = 0;
    if (connection->ending) {
        drop(connection);
        return 0;
    }
    if (was_blocked)
        watch(EPOLL_CTL_MOD, connection, EPOLLIN);
    return 1;
}

/* Answer the opening handshake once its head is whole. Return 0 for what is none. */
static int answer(struct connection *connection)
{
    static const char name[] = "\r\nSec-WebSocket-Key:";
    char *head = (char *)connection->data;
    char *end = memmem(head, connection->size, "\r\n\r\n", 4);
    if (end == NULL)
        return connection->size < FIRST_ROOM;
    *end = 0;
    char *key = strcasestr(head, name);
    if (key == NULL)
        return 0;
    key += strlen(name);
    key += strspn(key, " ");
    char accept[ACCEPT_SIZE];
    if (end - key < 24)
        return 0;
    accept_for_key(key, accept);
    connection->size = connection->reply_size =
        (size_t)snprintf(head, connection->room,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
    connection->open = 1;
    return 1;
}

/* Unmask to a place that is not behind the masked bytes. */
static void unmask(uint8_t *out, const uint8_t *in, size_t size, const uint8_t *mask)
{
    uint64_t wide, word;
    uint32_t narrow;
    memcpy(&narrow, mask, 4);
    wide = (uint64_t)narrow << 32 | narrow;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    const uint8_t *key = (const uint8_t *)&wide;
    for (; i < size; i++)
        out[i] = in[i] ^ key[i & 7];
}

/* The whole frames of the input become the replies in front of what is left. */
static void reply(struct connection *connection)
{
    uint8_t *data = connection->data;
    size_t in = 0, out = 0;
    while (connection->size - in >= 6) {
        uint64_t length = data[in + 1] & 127;
        size_t head = 2;
        if (length > 125) {
            unsigned wide = length == 126 ? 2 : 8;
            head += wide;
            if (connection->size - in < head + 4)
                break;
            length = 0;
            for (unsigned i = 0; i < wide; i++)
                length = length << 8 | data[in + 2 + i];
        }
        if (connection->size - in < head + 4 + length)
            break;
        connection->ending |= (data[in] & 15) == 8;
        uint8_t mask[4];
        memcpy(mask, data + in + head, 4);
        memmove(data + out, data + in, head);
        data[out + 1] &= 127;
        unmask(data + out + head, data + in + head + 4, length, mask);
        in += head + 4 + length;
        out += head + length;
    }
    if (in > out) {
        memmove(data + out, data + in, connection->size - in);
        connection->size -= in - out;
    }
    connection->reply_size = out;
}

static void readable(struct connection *connection)
{
    if (connection->size == connection->room) {
        connection->room *= 4;
        connection->data = realloc(connection->data, connection->room);
        if (connection->data == NULL)
            stop("realloc");
    }
    ssize_t got = recv(connection->fd, connection->data + connection->size,
                       connection->room - connection->size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        drop(connection);
        return;
    }
    connection->size += (size_t)got;
    if (!connection->open) {
        if (!answer(connection)) {
            drop(connection);
            return;
        }
    } else if (raw) {
        connection->reply_size = connection->size;
    } else {
        reply(connection);
    }
    if (connection->reply_size > 0)
        flush(connection, 0);
}

static void welcome(int listener)
{
    for (;;) {
        int on = 1;
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL || (connection->data = malloc(FIRST_ROOM)) == NULL)
            stop("malloc");
        connection->room = FIRST_ROOM;
        connection->fd = fd;
        watch(EPOLL_CTL_ADD, connection, EPOLLIN);
    }
}

static int listen_on(uint16_t port)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096))
        stop("listen");
    return fd;
}

int main(int count, char **words)
{
    if (count != 3 || (strcmp(words[2], "raw") && strcmp(words[2], "websocket"))) {
        fputs("usage: echo PORT raw|websocket\n", stderr);
        return 2;
    }
    raw = !strcmp(words[2], "raw");
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on((uint16_t)atoi(words[1]));
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = NULL};
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &accepting))
        stop("epoll");
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL)
                welcome(listener);
            else if (events[i].events & EPOLLOUT)
                flush(connection, 1);
            else
                readable(connection);
        }
    }
}
