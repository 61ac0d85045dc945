/* The opening handshake, as a browser does it: sockets, the request, the answer. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "client.h"
#include "measuring.h"
#include "sha1.h"

/* How long a step of opening may take, in seconds. */
enum { OPEN_SECONDS = 15 };

/* Each source address has some 28,000 ports, and a port rests for a minute. */
enum { SOURCES = 100 };

uint32_t source_address(unsigned index)
{
    return INADDR_LOOPBACK + 1 + index % SOURCES;
}

int client_socket(unsigned index, const struct options *options, int blocking)
{
    int on = 1;
    int type = SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK);
    struct timeval limit = {.tv_sec = OPEN_SECONDS};
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, type, 0);
    if (fd < 0)
        fail("no socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    /* The port is chosen by connect(), which knows which ones are free for this peer. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    source.sin_addr.s_addr = htonl(source_address(index));
    if (bind(fd, (struct sockaddr *)&source, sizeof source))
        fail("no source address: %s", strerror(errno));
    address.sin_port = htons((uint16_t)options->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) &&
        errno != EINPROGRESS)
        fail("can't connect: %s", strerror(errno));
    return fd;
}

size_t request_write(char *out, char accept[ACCEPT_SIZE], unsigned index,
                     const struct options *options)
{
    unsigned char nonce[16] = "wsplug-load";
    char key[25], room[32] = "";
    memcpy(nonce + 12, &index, 4);
    base64(nonce, 16, key);
    accept_for_key(key, accept);
    if (options->rooms > 0)
        snprintf(room, sizeof room, "room-%u", index % options->rooms);
    int size = snprintf(
        out, REQUEST_ROOM,
        "GET /%s HTTP/1.1\r\n"
        "Host: 127.0.0.1:%d\r\n"
        "Connection: Upgrade\r\n"
        "Pragma: no-cache\r\n"
        "Cache-Control: no-cache\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"
        "Upgrade: websocket\r\n"
        "Origin: http%s://127.0.0.1:%d\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
        "Accept-Language: en-US,en;q=0.9\r\n"
        "Cookie: theme=dark; session=0123456789abcdef0123456789abcdef\r\n"
        "Sec-WebSocket-Key: %s\r\n"
        "%s"
        "\r\n",
        room, options->port, options->tls ? "s" : "", options->port, key,
        options->deflate || options->offer
            ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            : "");
    return (size_t)size;
}

/* Find a header's value; NULL if there is none. The head ends with a zero. */
static const char *header(const char *head, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (!strncasecmp(line, name, size) && line[size] == ':')
            return line + size + 1 + strspn(line + size + 1, " \t");
    }
    return NULL;
}

static int value_is(const char *value, const char *wanted)
{
    return value != NULL && !strncasecmp(value, wanted, strlen(wanted));
}

/* Read what was agreed about compression. */
static void agree(const char *extensions, const struct options *options,
                  struct agreement *agreement)
{
    char value[256] = "";
    if (extensions != NULL)
        snprintf(value, sizeof value, "%.*s", (int)strcspn(extensions, "\r"),
                 extensions);
    agreement->deflate = strstr(value, "permessage-deflate") != NULL;
    agreement->no_takeover = strstr(value, "server_no_context_takeover") != NULL;
    if (agreement->deflate && !options->deflate && !options->offer)
        fail("the server compresses, and was not asked to");
    if (!agreement->deflate && options->deflate)
        fail("the server doesn't compress");
    const char *bits = strstr(value, "client_max_window_bits=");
    if (bits != NULL && atoi(bits + strcspn(bits, "=") + 1) < WINDOW_BITS)
        fail("the server wants a smaller window: %s", value);
}

size_t response_check(char *head, size_t size, const char *accept,
                      const struct options *options, struct agreement *agreement)
{
    char *end = memmem(head, size, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    end[2] = 0;
    if (strncmp(head, "HTTP/1.1 101 ", 13))
        fail("the server refuses: %.*s", (int)strcspn(head, "\r"), head);
    if (!value_is(header(head, "Upgrade"), "websocket") ||
        !value_is(header(head, "Connection"), "upgrade") ||
        !value_is(header(head, "Sec-WebSocket-Accept"), accept))
        fail("the server's answer to the handshake is wrong");
    agree(header(head, "Sec-WebSocket-Extensions"), options, agreement);
    return (size_t)(end + 4 - head);
}
