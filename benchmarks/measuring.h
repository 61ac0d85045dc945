/* Clock, histogram, processor time, and the one way in which the generator fails. */
#ifndef MEASURING_H
#define MEASURING_H

#include <stdint.h>
#include <sys/types.h>

/* Say what is wrong in one line on standard error, and exit with status 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Memory that is zeroed, or the end. */
void *allocate(size_t count, size_t size);

/* Nanoseconds of the monotonic clock. */
uint64_t now(void);

/* Latencies: 64 buckets for each power of two, so that a bucket is at most 1.6 % wide. */
struct histogram {
    uint64_t total;
    uint64_t buckets[64 * 64];
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds, uint64_t times);

/* The latency in microseconds that the given share (0 to 1) of all is not above. */
double histogram_percentile(const struct histogram *histogram, double share);

/* Processor seconds of a process and its threads since it began; 0 for an unknown one. */
double processor_seconds(pid_t process);

#endif
