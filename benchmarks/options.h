/* What a run of the generator is asked to do. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>
#include <sys/types.h>

struct options {
    int port;
    unsigned connections;
    unsigned in_flight;  /* messages under way: of each connection, or each publisher */
    unsigned publishers; /* 0 for echo; in a chat, one for each room */
    unsigned rooms;      /* of a chat; 0 for all else */
    size_t size;         /* of a payload; in a chat, of what is said */
    int opcode;
    int deflate; /* offer compression, and send and expect compressed messages */
    int offer;   /* offer compression, and don't mind */
    int tls;
    int raw; /* what comes back is what was sent, byte for byte, masks and all */
    double warmup;
    double seconds;
    pid_t server; /* whose processor time to measure */
};

/* The workloads: each prints one line of JSON. */
void run_traffic(const struct options *options);
void run_handshakes(const struct options *options);
void run_idle(const struct options *options);

#endif
