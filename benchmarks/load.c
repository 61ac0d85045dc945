/* The load generator: WebSocket clients that are faster than any server.
 *
 * Goal: one process on one core that keeps a server on another core busy, whatever that
 * is written in, and that believes nothing: each payload that comes back is compared
 * byte for byte, in its order.
 *
 *     load --workload echo --port 9000 --connections 64 --in-flight 16 --size 32
 *
 * Plan: everything that can be is done before the clock runs: the payloads, their masks,
 * their compression, the handshakes. What is left for each message is a share of a
 * recv(), a comparison, a share of a send() and an entry in a histogram.
 *
 *     messages.c    the prepared messages
 *     upgrade.c     the opening handshake, as a browser does it; sha1.c is part of that
 *     client.c      frames, in and out
 *     traffic.c     the workloads: echo, fan-out and chat
 *     chat.c        a chat's rooms fill
 *     handshakes.c  handshakes
 *     idle.c        connections that do nothing
 *     measuring.c   clock, histogram, processor time
 *
 * It prints one line of JSON. With what is wrong it prints one line on standard error
 * instead, and exits with status 1. It ends in bounded time: each workload gives up when
 * nothing comes for ten seconds.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "client.h"
#include "measuring.h"
#include "options.h"

static const struct option names[] = {
    {"workload", required_argument, NULL, 'w'},
    {"port", required_argument, NULL, 'p'},
    {"connections", required_argument, NULL, 'c'},
    {"in-flight", required_argument, NULL, 'f'},
    {"publishers", required_argument, NULL, 'P'},
    {"rooms", required_argument, NULL, 'R'},
    {"size", required_argument, NULL, 's'},
    {"warmup", required_argument, NULL, 'u'},
    {"seconds", required_argument, NULL, 't'},
    {"server", required_argument, NULL, 'S'},
    {"binary", no_argument, NULL, 'b'},
    {"deflate", no_argument, NULL, 'd'},
    {"offer", no_argument, NULL, 'o'},
    {"tls", no_argument, NULL, 'T'},
    {"raw", no_argument, NULL, 'r'},
    {NULL, 0, NULL, 0},
};

static double positive(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (*end || !(number > 0))
        fail("%s is no positive number", text);
    return number;
}

static const char *read_options(struct options *options, int count, char **words)
{
    const char *workload = "";
    int letter;
    while ((letter = getopt_long(count, words, "", names, NULL)) != -1) {
        switch (letter) {
        case 'w': workload = optarg; break;
        case 'p': options->port = (int)positive(optarg); break;
        case 'c': options->connections = (unsigned)positive(optarg); break;
        case 'f': options->in_flight = (unsigned)positive(optarg); break;
        case 'P': options->publishers = (unsigned)positive(optarg); break;
        case 'R': options->rooms = (unsigned)positive(optarg); break;
        case 's': options->size = (size_t)positive(optarg); break;
        case 'u': options->warmup = positive(optarg); break;
        case 't': options->seconds = positive(optarg); break;
        case 'S': options->server = (pid_t)positive(optarg); break;
        case 'b': options->opcode = OPCODE_BINARY; break;
        case 'd': options->deflate = 1; break;
        case 'o': options->offer = 1; break;
        case 'T': options->tls = 1; break;
        case 'r': options->raw = 1; break;
        default: exit(2);
        }
    }
    return workload;
}

int main(int count, char **words)
{
    struct options options = {
        .connections = 64,
        .in_flight = 1,
        .size = 32,
        .opcode = OPCODE_TEXT,
        .warmup = 0.3,
        .seconds = 1.0,
    };
    const char *workload = read_options(&options, count, words);
    if (options.port == 0)
        fail("--port is needed");
    if (options.size < IDENTITY_SIZE)
        fail("messages have at least %d bytes", IDENTITY_SIZE);
    if (options.rooms > 0)
        options.publishers = options.rooms;
    if (options.publishers > options.connections)
        fail("there are more publishers than connections");
    if (options.rooms > 0 && options.connections % options.rooms != 0)
        fail("there are not as many connections in each room");
    if (!strcmp(workload, "chat") != (options.rooms > 0))
        fail("a chat has --rooms, and nothing else has");
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        fail("no epoll");
    if (!strcmp(workload, "echo") || !strcmp(workload, "fanout") ||
        !strcmp(workload, "chat"))
        run_traffic(&options);
    else if (!strcmp(workload, "handshakes"))
        run_handshakes(&options);
    else if (!strcmp(workload, "idle"))
        run_idle(&options);
    else
        fail("--workload is echo, fanout, chat, handshakes or idle");
    return 0;
}
