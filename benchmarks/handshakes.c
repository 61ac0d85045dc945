/* Handshakes: connect, ask, read the 101, close; a number of them side by side.
 *
 * One that is counted is a TCP connection, a browser's request, the server's right
 * answer, a Close frame, and the server's Close frame. Its latency is the time from
 * connect() until the 101 is read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "measuring.h"
#include "options.h"
#include "sha1.h"

enum { EVENTS = 64, STALL_MILLISECONDS = 10000 };

enum state { CONNECTING, ASKING, CLOSING };

struct attempt {
    int fd;
    enum state state;
    uint64_t begun;
    char accept[ACCEPT_SIZE];
    char request[REQUEST_ROOM];
    size_t request_size;
    char input[HEAD_ROOM];
    size_t input_size;
};

static const struct options *options;
static int measuring;
static uint64_t counted;
static unsigned number;
static struct histogram histogram;

static void watch(struct attempt *attempt, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = attempt};
    if (epoll_ctl(poller, operation, attempt->fd, &event))
        fail("epoll: %s", strerror(errno));
}

static void begin(struct attempt *attempt)
{
    attempt->request_size =
        request_write(attempt->request, attempt->accept, number, options);
    attempt->begun = now();
    attempt->fd = client_socket(number, options, 0);
    attempt->state = CONNECTING;
    attempt->input_size = 0;
    number++;
    watch(attempt, EPOLL_CTL_ADD, EPOLLOUT);
}

static void send_all(struct attempt *attempt, const void *bytes, size_t size)
{
    if (send(attempt->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        fail("can't send: %s", strerror(errno));
}

static void connected(struct attempt *attempt)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        fail("can't connect: %s", strerror(error));
    send_all(attempt, attempt->request, attempt->request_size);
    attempt->state = ASKING;
    watch(attempt, EPOLL_CTL_MOD, EPOLLIN);
}

/* The 101, if it is whole; then the Close frame. */
static void answered(struct attempt *attempt)
{
    static const uint8_t code[2] = {1000 >> 8, 1000 & 255};
    struct agreement agreement;
    size_t head = response_check(attempt->input, attempt->input_size, attempt->accept,
                                 options, &agreement);
    if (head == 0)
        return;
    if (measuring)
        histogram_add(&histogram, now() - attempt->begun, 1);
    attempt->input_size -= head;
    memmove(attempt->input, attempt->input + head, attempt->input_size);
    uint8_t frame[16];
    send_all(attempt, frame, frame_write(frame, 0x80 | OPCODE_CLOSE, code, 2));
    attempt->state = CLOSING;
}

static void readable(struct attempt *attempt)
{
    ssize_t got = recv(attempt->fd, attempt->input + attempt->input_size,
                       sizeof attempt->input - attempt->input_size, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("lost %s: %s", attempt->state == ASKING ? "before the 101" : "at closing",
             got ? strerror(errno) : "end of stream");
    attempt->input_size += (size_t)got;
    if (attempt->state == ASKING)
        answered(attempt);
    if (attempt->state == ASKING || attempt->input_size < 4)
        return;
    const uint8_t *frame = (const uint8_t *)attempt->input;
    if (frame[0] != (0x80 | OPCODE_CLOSE) || frame[2] * 256 + frame[3] != 1000)
        fail("the answer to Close is wrong");
    close(attempt->fd);
    if (measuring)
        counted++;
    begin(attempt);
}

/* Make handshakes until a moment, or a little longer until there is one to count. */
static void run_until(uint64_t end)
{
    while (now() < end || (measuring && counted == 0)) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poller, events, EVENTS, STALL_MILLISECONDS);
        if (ready == 0)
            fail("no answer for %d seconds", STALL_MILLISECONDS / 1000);
        for (int i = 0; i < ready; i++) {
            struct attempt *attempt = events[i].data.ptr;
            if (attempt->state == CONNECTING)
                connected(attempt);
            else
                readable(attempt);
        }
    }
}

void run_handshakes(const struct options *chosen)
{
    options = chosen;
    struct attempt *attempts = allocate(options->connections, sizeof *attempts);
    for (unsigned i = 0; i < options->connections; i++)
        begin(&attempts[i]);
    run_until(now() + (uint64_t)(options->warmup * 1e9));

    double generator = processor_seconds(getpid());
    double server = processor_seconds(options->server);
    measuring = 1;
    uint64_t start = now();
    run_until(start + (uint64_t)(options->seconds * 1e9));
    double seconds = (double)(now() - start) / 1e9;
    generator = processor_seconds(getpid()) - generator;
    server = processor_seconds(options->server) - server;
    printf("{\"rate\": %.1f, \"p50\": %.2f, \"p99\": %.2f, \"generator\": %.3f, "
           "\"server\": %.3f}\n",
           (double)counted / seconds, histogram_percentile(&histogram, 0.50),
           histogram_percentile(&histogram, 0.99), generator / seconds,
           server / seconds);
}
