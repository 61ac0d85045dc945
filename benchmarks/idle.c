/* Idle connections: open them, say so, hold them until standard input ends.
 *
 * They answer pings, and each has to be open still at the end. Who started the generator
 * measures the server's memory meanwhile.
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client.h"
#include "measuring.h"
#include "options.h"

enum { EVENTS = 256, PATIENCE_SECONDS = 120 };

static void next(struct client *client, unsigned source)
{
    (void)source;
    client_fail(client, "a message came, and none was sent");
}

void run_idle(const struct options *options)
{
    struct client *clients = allocate(options->connections, sizeof *clients);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    expectations.next = next;
    expectations.sources = 0;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event))
        fail("standard input has to be a pipe");
    for (unsigned i = 0; i < options->connections; i++)
        client_open(&clients[i], i, options);
    printf("{\"open\": %u}\n", options->connections);
    fflush(stdout);
    uint64_t end = now() + PATIENCE_SECONDS * (uint64_t)1000000000;
    int asked = 0;
    while (!asked && now() < end) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poller, events, EVENTS, 1000);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (client == NULL)
                asked = 1;
            else
                client_receive(client, 0);
        }
    }
    for (unsigned i = 0; i < options->connections; i++)
        client_close(&clients[i]);
}
