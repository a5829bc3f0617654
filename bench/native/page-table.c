// SPDX-License-Identifier: MIT
// An x86 page table of four levels. It checks nothing.
//   page-table walk MAP BASE RUNS       walks it to runs: MAP holds memory from BASE on, where the top table is; the
//                                       checksum is the number of runs times 2^20 plus the pages that they have
//   page-table build CALLS BASE RUNS    makes one: CALLS is a file of three words each, page, frame and number of pages;
//                                       the checksum is of the tables
#include "runs.h"

struct mapping {
	uint64_t iova, pa, count;
};

struct walk {
	const uint8_t *image;
	uint64_t base;
	struct mapping *runs;
	uint64_t count;
};

#define ADDRESS 0x000ffffffffff000ull

static void page(struct walk *w, uint64_t iova, uint64_t pa)
{
	struct mapping *last = w->runs + w->count;

	if (w->count && last[-1].iova + (last[-1].count << 12) == iova && last[-1].pa + (last[-1].count << 12) == pa) {
		last[-1].count++;
		return;
	}
	*last = (struct mapping){ iova, pa, 1 };
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

static uint64_t walk(struct walk *w)
{
	w->count = 0;
	table(w, w->base, 39, 0);
	return w->count;
}

struct call {
	uint64_t page, frame, count;
};

static struct pages pages;

#define TABLE_ENTRY 0x27
#define PAGE_ENTRY 0x67

static uint64_t *table_for(uint64_t page)
{
	uint64_t *table = (uint64_t *)pages.bytes;

	for (int shift = 27; shift > 0; shift -= 9) {
		uint64_t *entry = table + (page >> shift & 511);

		if (!*entry)
			*entry = zeroed_page(&pages) | TABLE_ENTRY;
		table = at_address(&pages, *entry & ADDRESS);
	}
	return table;
}

static uint64_t build(const struct call *calls, size_t count)
{
	pages.used = 0;
	zeroed_page(&pages);
	for (const struct call *call = calls; call < calls + count; call++) {
		uint64_t page = call->page, end = page + call->count, frame = call->frame;

		while (page < end) {
			uint64_t *table = table_for(page);
			uint64_t stop = (page | 511) + 1;

			for (; page < end && page < stop; page++, frame++)
				table[page & 511] = frame << 12 | PAGE_ENTRY;
		}
	}
	return sum_of_pages(&pages);
}

int main(int argc, char **argv)
{
	struct walk w = { 0 };
	uint64_t count = 0;
	size_t size;
	unsigned char *file;

	if (argc != 5)
		return 2;
	file = load(argv[2], &size);
	w.base = pages.base = strtoull(argv[3], NULL, 0);
	if (!strcmp(argv[1], "build")) {
		pages.bytes = calloc(4096, 4096);
		MEASURE(atoi(argv[4]), build((struct call *)file, size / sizeof(struct call)));
		return 0;
	}
	w.image = file;
	w.runs = calloc(size / 8, sizeof(struct mapping));
	walk(&w);
	for (uint64_t i = 0; i < w.count; i++)
		count += w.runs[i].count;
	MEASURE(atoi(argv[4]), (walk(&w) * 1048576 + count) % 4294967296);
	return 0;
}
