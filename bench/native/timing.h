/* SPDX-License-Identifier: MIT */
/* What every program here needs: a file in memory, a clock, and the median of several runs. */
#ifndef TIMING_H
#define TIMING_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The whole of a file at an address that is a multiple of 4096. */
static inline unsigned char *load(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	unsigned char *bytes = NULL;
	long end;

	if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0)
		goto failed;
	rewind(file);
	bytes = aligned_alloc(4096, ((size_t)end + 4096) & ~(size_t)4095);
	if (!bytes || fread(bytes, 1, (size_t)end, file) != (size_t)end)
		goto failed;
	fclose(file);
	*size = (size_t)end;
	return bytes;
failed:
	perror(path);
	exit(1);
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * Prints the median nanoseconds of RUNS runs of WORK, an expression, and the checksum it has; then ends the program's
 * line. WORK must do everything anew in each run.
 */
#define MEASURE(RUNS, WORK)                                                             \
	do {                                                                            \
		int runs_ = (RUNS);                                                     \
		uint64_t *times_ = malloc((size_t)runs_ * sizeof(*times_));             \
		volatile uint64_t sum_ = 0;                                             \
                                                                                        \
		for (int run_ = 0; run_ < runs_; run_++) {                              \
			uint64_t start_ = nanoseconds();                                \
                                                                                        \
			sum_ = (WORK);                                                  \
			times_[run_] = nanoseconds() - start_;                          \
		}                                                                       \
		qsort(times_, (size_t)runs_, sizeof(*times_), compare_times);           \
		printf("%llu %llu\n", (unsigned long long)times_[runs_ / 2],            \
		       (unsigned long long)sum_);                                       \
		free(times_);                                                           \
	} while (0)

#endif
