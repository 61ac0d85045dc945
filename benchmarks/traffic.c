/* Echo, fan-out and chat: messages that go round between clients and a server.
 *
 * Echo: each client has a number of messages in flight, and sends the next one when one
 * came back. Fan-out: the server sends what any client sends to all of them; some of
 * the clients publish, each with a number of messages in flight, and a publisher sends
 * the next one when all clients, itself among them, have got one of its messages.
 * Chat: the same in each of many rooms, with one who speaks in each.
 *
 * In all, a message's latency is the time from sending it until a client has read the
 * whole of it. What is counted lies between two moments of an even stream: it runs for
 * the warm-up before the first, and is drained after the second, so that a message that
 * got lost, or came twice, is found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "chat.h"
#include "client.h"
#include "measuring.h"
#include "options.h"

enum { EVENTS = 256, STALL_SECONDS = 10, SURPLUS_MILLISECONDS = 20 };

/* The bytes of a ring, about: small enough for the processor's cache. */
enum { RING_BYTES = 256 * 1024, MOST_SLOTS = 1024 };

/* Who sends messages: a client, or in fan-out and chat one that others hear. */
struct sender {
    struct client *client;
    struct messages *ring;
    unsigned first;    /* the slot of the ring that it began with */
    unsigned sent;     /* how many it has sent, from which its next slot follows */
    unsigned finished; /* to be followed by new ones */
    uint64_t *sent_at;   /* for each slot */
    unsigned *receivers; /* for each slot: how many clients wait for it */
};

static const struct options *options;
static struct client *clients;
static struct messages *rings; /* one for echo, one for each publisher */
static struct sender *senders;
static unsigned sender_count;
static unsigned audience;    /* how many clients get each message */
static unsigned *got;        /* messages that a client got from a source */
static struct sender **done; /* those with finished messages */
static unsigned done_count;
static uint64_t under_way;

static int measuring;
static uint64_t counted;
static struct histogram histogram;
static uint64_t moment; /* when the input that is handled was there */

static struct sender *sender_of(const struct client *client, unsigned source)
{
    return &senders[options->publishers ? source : client->index];
}

/* The messages that a client got from a source; in a chat, it hears one only. */
static unsigned *got_from(const struct client *client, unsigned source)
{
    return &got[client->index * expectations.sources + (options->rooms ? 0 : source)];
}

static void next(struct client *client, unsigned source)
{
    if (options->rooms)
        source = chat_room(client, options);
    const struct messages *ring = &rings[source];
    const struct sender *sender = sender_of(client, source);
    unsigned number = *got_from(client, source);
    unsigned slot = (sender->first + number) & (ring->count - 1);
    if (number == sender->sent)
        client_fail(client, "a message came that was not sent, or came twice");
    client->arrival.source = source;
    client->arrival.slot = slot;
    client->arrival.payload = ring->plain + slot * ring->size;
    client->arrival.size = ring->size;
    client->arrival.verified = &ring->verified[slot];
}

static void delivered(struct client *client)
{
    const struct arrival *arrival = &client->arrival;
    struct sender *sender = sender_of(client, arrival->source);
    ++*got_from(client, arrival->source);
    if (measuring) {
        counted++;
        histogram_add(&histogram, moment - sender->sent_at[arrival->slot], 1);
    }
    if (--sender->receivers[arrival->slot] > 0)
        return;
    under_way--;
    if (sender->finished++ == 0)
        done[done_count++] = sender;
}

static void send_messages(struct sender *sender, unsigned count)
{
    struct messages *ring = sender->ring;
    uint64_t time = now();
    for (unsigned i = 0; i < count; i++) {
        unsigned slot = (sender->first + sender->sent++) & (ring->count - 1);
        if (options->rooms)
            messages_number(ring, slot, sender->sent);
        sender->sent_at[slot] = time;
        sender->receivers[slot] = audience;
    }
    under_way += count;
    client_send(sender->client, count);
}

/* What has come back is followed by as much, unless the run ends. */
static void follow(int ending)
{
    for (unsigned i = 0; i < done_count; i++) {
        unsigned finished = done[i]->finished;
        done[i]->finished = 0;
        if (!ending)
            send_messages(done[i], finished);
    }
    done_count = 0;
}

/* Handle what comes within some milliseconds. Return how many events that were. */
static int pass(int milliseconds, int ending)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poller, events, EVENTS, milliseconds);
    for (int i = 0; i < ready; i++) {
        struct client *client = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            client_flush(client);
        if (!(events[i].events & ~(uint32_t)EPOLLOUT))
            continue;
        moment = now();
        client_receive(client, options->raw);
        follow(ending);
    }
    return ready;
}

/* Handle messages until a moment, or a little longer until there is one to count; until
 * none are under way, where it is 0. */
static void run_until(uint64_t end)
{
    uint64_t last = now();
    for (;;) {
        int ready = pass(20, end == 0);
        uint64_t time = now();
        if (ready > 0)
            last = time;
        int some = counted > 0 || !measuring;
        if (end ? time >= end && some : under_way == 0)
            return;
        if (time - last > STALL_SECONDS * (uint64_t)1000000000)
            fail("%llu messages of %u clients got no answer for %d seconds",
                 (unsigned long long)under_way, options->connections, STALL_SECONDS);
    }
}

static void prepare(void)
{
    unsigned sources = options->publishers ? options->publishers : 1;
    size_t slots = 4;
    while (slots < 2 * options->in_flight + 2 ||
           (slots < MOST_SLOTS && 2 * slots * sources * options->size <= RING_BYTES))
        slots *= 2;
    rings = allocate(sources, sizeof *rings);
    for (unsigned i = 0; i < sources; i++) {
        if (options->rooms)
            messages_prepare_chat(&rings[i], i, (unsigned)slots, options->size);
        else
            messages_prepare(&rings[i], i, (unsigned)slots, options->size,
                             options->opcode, options->deflate);
    }
    audience = 1;
    if (options->publishers)
        audience = options->connections / (options->rooms ? options->rooms : 1);
    sender_count = options->publishers ? options->publishers : options->connections;
    senders = allocate(sender_count, sizeof *senders);
    done = allocate(sender_count, sizeof *done);
    unsigned heard = options->rooms ? 1 : sources;
    got = allocate((size_t)options->connections * heard, sizeof *got);
    for (unsigned i = 0; i < sender_count; i++) {
        struct sender *sender = &senders[i];
        /* Clients that send the same ring begin at different places of it, so that a
         * message that came to the wrong client is noticed. */
        sender->first = options->publishers ? 0 : i * 17 % (unsigned)slots;
        sender->sent_at = allocate(slots, sizeof *sender->sent_at);
        sender->receivers = allocate(slots, sizeof *sender->receivers);
        sender->client = &clients[i];
        sender->ring = &rings[options->publishers ? i : 0];
        sender->client->ring = sender->ring;
        sender->client->slot = sender->client->raw_slot = sender->first;
    }
    expectations.sources = heard;
    expectations.foreseen = options->rooms > 0;
    expectations.opcode = options->opcode;
    expectations.size = options->size;
    expectations.next = next;
    expectations.delivered = delivered;
}

void run_traffic(const struct options *chosen)
{
    options = chosen;
    clients = allocate(options->connections, sizeof *clients);
    prepare();
    if (options->rooms)
        chat_open(clients, options);
    else
        for (unsigned i = 0; i < options->connections; i++)
            client_open(&clients[i], i, options);
    for (unsigned i = 0; i < sender_count; i++)
        send_messages(&senders[i], options->in_flight);
    uint64_t begin = now() + (uint64_t)(options->warmup * 1e9);
    run_until(begin);

    double generator = processor_seconds(getpid());
    double server = processor_seconds(options->server);
    measuring = 1;
    begin = now();
    run_until(begin + (uint64_t)(options->seconds * 1e9));
    double seconds = (double)(now() - begin) / 1e9;
    measuring = 0;
    generator = processor_seconds(getpid()) - generator;
    server = processor_seconds(options->server) - server;

    run_until(0);
    pass(SURPLUS_MILLISECONDS, 1);
    for (unsigned i = 0; i < options->connections; i++)
        client_close(&clients[i]);
    printf("{\"rate\": %.1f, \"p50\": %.2f, \"p99\": %.2f, \"generator\": %.3f, "
           "\"server\": %.3f}\n",
           (double)counted / seconds, histogram_percentile(&histogram, 0.50),
           histogram_percentile(&histogram, 0.99), generator / seconds,
           server / seconds);
}
