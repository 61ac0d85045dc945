/* How a chat's rooms fill: see chat.h. */
#include "chat.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "measuring.h"

enum { EVENTS = 256, STALL_SECONDS = 10 };

static const struct options *options;
static const struct client *newcomer;
static char notice[128];         /* of the newcomer's coming */
static const struct client **notified; /* by a client's index: whom it was last told of */
static unsigned missing;         /* how many have not read the notice yet */

unsigned chat_room(const struct client *client, const struct options *chosen)
{
    return client->index % chosen->rooms;
}

static void next(struct client *client, unsigned source)
{
    (void)source;
    if (chat_room(client, options) != chat_room(newcomer, options) ||
        notified[client->index] == newcomer)
        client_fail(client, "a message came while connection %u was announced",
                    newcomer->index);
    client->arrival.payload = (const uint8_t *)notice;
    client->arrival.size = strlen(notice);
}

static void delivered(struct client *client)
{
    notified[client->index] = newcomer;
    missing--;
}

/* Open the next client, and read the notice of it everywhere. */
static void enter(struct client *client, unsigned index)
{
    struct in_addr address = {.s_addr = htonl(source_address(index))};
    snprintf(notice, sizeof notice,
             "{\"type\":\"system\",\"message\":\"%s connected\"}", inet_ntoa(address));
    newcomer = client;
    missing = index / options->rooms + 1;
    client_open(client, index, options);
    uint64_t end = now() + STALL_SECONDS * (uint64_t)1000000000;
    while (missing > 0) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poller, events, EVENTS, 1000);
        for (int i = 0; i < ready; i++) {
            struct client *other = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                client_flush(other);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                client_receive(other, 0);
        }
        if (missing > 0 && now() > end)
            fail("%u in the room were not told of connection %u for %d seconds",
                 missing, index, STALL_SECONDS);
    }
}

void chat_open(struct client *clients, const struct options *chosen)
{
    const struct expectations after = expectations;
    options = chosen;
    notified = allocate(options->connections, sizeof *notified);
    expectations.next = next;
    expectations.delivered = delivered;
    for (unsigned i = 0; i < options->connections; i++)
        enter(&clients[i], i);
    expectations = after;
}
