// SPDX-License-Identifier: MIT
// The memory map as a list of chunks with bitmaps of a page, 4K pages. It checks nothing.
//   map-bitmaps decode MAP BASE FIRST RUNS       MAP holds memory from BASE on; the checksum is of the runs
//   map-bitmaps encode BLOCKS BASE ROOM RUNS     BLOCKS is a file of runs; the checksum is of the pages
#include "runs.h"

#define BITS 32768
#define ROOM 255

struct chunk {
	uint64_t next;
	uint32_t order, used;
	struct {
		uint64_t start, bitmap;
	} entries[ROOM];
};

static struct runs found;
static struct pages pages;

static uint64_t decode(uint64_t first)
{
	found.length = 0;
	for (uint64_t address = first; address;) {
		const struct chunk *chunk = at_address(&pages, address);

		for (uint32_t i = 0; i < chunk->used; i++) {
			uint64_t start = chunk->entries[i].start >> 12;
			const uint64_t *words = at_address(&pages, chunk->entries[i].bitmap);

#define EACH(from, to) push_run(&found, chunk->order, start + ((from) << chunk->order), (to) - (from))
			FOR_EACH_RANGE(words, BITS / 64, EACH);
#undef EACH
		}
		address = chunk->next;
	}
	return sum_of_runs(&found);
}

/* The bitmaps of a map that is being written, in the order of the map. */
static struct bitmap {
	uint64_t order, cell, address;
} *bitmaps;

static uint64_t encode(const struct runs *runs)
{
	size_t count = 0;
	struct chunk *chunk = NULL;

	pages.used = 0;
	for (size_t i = 0; i < runs->length; i++) {
		uint64_t order = runs->list[i].order;
		uint64_t from = runs->list[i].pfn >> order, to = from + runs->list[i].count;

		while (from < to) {
			uint64_t cell = from / BITS;
			uint64_t stop = (cell + 1) * BITS;

			if (!count || bitmaps[count - 1].order != order || bitmaps[count - 1].cell != cell)
				bitmaps[count++] = (struct bitmap){ order, cell, zeroed_page(&pages) };
			if (stop > to)
				stop = to;
			set_range(at_address(&pages, bitmaps[count - 1].address), from - cell * BITS, stop - cell * BITS);
			from = stop;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!chunk || chunk->order != bitmaps[i].order || chunk->used == ROOM) {
			uint64_t address = zeroed_page(&pages);

			if (chunk)
				chunk->next = address;
			chunk = at_address(&pages, address);
			chunk->order = (uint32_t)bitmaps[i].order;
		}
		chunk->entries[chunk->used].start = bitmaps[i].cell * BITS << (bitmaps[i].order + 12);
		chunk->entries[chunk->used++].bitmap = bitmaps[i].address;
	}
	return sum_of_pages(&pages);
}

int main(int argc, char **argv)
{
	size_t size;
	struct runs runs;

	if (argc != 6)
		return 2;
	pages.base = strtoull(argv[3], NULL, 0);
	if (!strcmp(argv[1], "decode")) {
		pages.bytes = load(argv[2], &size);
		found.list = calloc(size * 4, sizeof(struct run));
		MEASURE(atoi(argv[5]), decode(strtoull(argv[4], NULL, 0)));
	} else {
		runs = load_runs(argv[2]);
		size = strtoull(argv[4], NULL, 0);
		pages.bytes = calloc(1, size);
		bitmaps = calloc(size / 4096, sizeof(*bitmaps));
		MEASURE(atoi(argv[5]), encode(&runs));
	}
	return 0;
}
