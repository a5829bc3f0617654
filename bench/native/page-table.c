// SPDX-License-Identifier: MIT
// Walks an x86 page table of four levels to runs: what bench/page-table.ts is measured against. It checks nothing.
//   page-table FILE BASE WALKS    FILE holds memory from BASE on, where the top table is
// Prints the median time of a walk in nanoseconds, the number of runs, and the sum of their lengths in pages.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct run {
	uint64_t iova, pa, pages;
};

struct walk {
	const uint8_t *image;
	uint64_t base;
	struct run *runs;
	uint64_t count;
};

#define ADDRESS 0x000ffffffffff000ull

static void page(struct walk *w, uint64_t iova, uint64_t pa)
{
	struct run *last = w->runs + w->count;

	if (w->count && last[-1].iova + (last[-1].pages << 12) == iova && last[-1].pa + (last[-1].pages << 12) == pa) {
		last[-1].pages++;
		return;
	}
	*last = (struct run){ iova, pa, 1 };
	w->count++;
}

static void table(struct walk *w, uint64_t pa, int shift, uint64_t iova)
{
	const uint64_t *entries = (const uint64_t *)(w->image + (pa - w->base));

	for (int i = 0; i < 512; i++) {
		uint64_t entry = entries[i];
		uint64_t at = iova + ((uint64_t)i << shift);

		if (!(entry & 1))
			continue;
		if (shift == 12)
			page(w, at, entry & ADDRESS);
		else
			table(w, entry & ADDRESS, shift - 9, at);
	}
}

static int ascending(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	FILE *file = fopen(argv[1], "rb");
	uint64_t base = strtoull(argv[2], NULL, 0);
	int walks = atoi(argv[3]);
	if (!file || walks < 1)
		return 2;
	fseek(file, 0, SEEK_END);
	long size = ftell(file);
	rewind(file);
	uint8_t *image = aligned_alloc(4096, size);
	struct walk w = { image, base, malloc((size / 8) * sizeof(struct run)), 0 };
	double *times = malloc(walks * sizeof(double));
	if (!image || !w.runs || !times || fread(image, 1, size, file) != (size_t)size)
		return 1;
	for (int i = 0; i < walks; i++) {
		struct timespec from, to;

		w.count = 0;
		clock_gettime(CLOCK_MONOTONIC, &from);
		table(&w, base, 39, 0);
		clock_gettime(CLOCK_MONOTONIC, &to);
		times[i] = (to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec);
	}
	uint64_t pages = 0;
	for (uint64_t i = 0; i < w.count; i++)
		pages += w.runs[i].pages;
	qsort(times, walks, sizeof(double), ascending);
	printf("%.0f %llu %llu\n", times[walks / 2], (unsigned long long)w.count, (unsigned long long)pages);
	return 0;
}
