/* Clock, histogram, processor time, failing: see measuring.h. */
#include "measuring.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL)
        fail("out of memory");
    return memory;
}

uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The bucket of a value: its highest set bit, and the six bits below that one. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 64)
        return (unsigned)value;
    unsigned shift = 57u - (unsigned)__builtin_clzll(value);
    return (shift + 1) * 64 + (unsigned)((value >> shift) & 63);
}

static double middle_of(unsigned bucket)
{
    if (bucket < 64)
        return bucket;
    unsigned shift = bucket / 64 - 1;
    return ((double)(64 + bucket % 64) + 0.5) * (double)((uint64_t)1 << shift);
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds, uint64_t times)
{
    histogram->buckets[bucket_of(nanoseconds)] += times;
    histogram->total += times;
}

double histogram_percentile(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->total;
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < 64 * 64; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen > 0 && (double)seen >= wanted)
            return middle_of(bucket) / 1000.0;
    }
    return 0.0;
}

double processor_seconds(pid_t process)
{
    char path[64], line[1024];
    unsigned long user, system;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    FILE *file = process > 0 ? fopen(path, "r") : NULL;
    if (file == NULL)
        return 0.0;
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[size] = 0;
    /* The name, in brackets, may hold anything; the numbers are behind the last one. */
    char *rest = strrchr(line, ')');
    const char *format = ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";
    if (rest == NULL || sscanf(rest, format, &user, &system) != 2)
        return 0.0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}
