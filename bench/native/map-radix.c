// SPDX-License-Identifier: MIT
// The memory map as a radix tree, 4K pages. It checks nothing.
//   map-radix decode MAP BASE ROOT RUNS        MAP holds memory from BASE on; the checksum is of the runs
//   map-radix encode BLOCKS BASE ROOM RUNS     BLOCKS is a file of runs; the checksum is of the pages
#include "runs.h"

#define KEY_BITS 53
#define LEAF_BITS 15
#define TABLE_BITS 9
#define TOP 5

static struct runs found, sorted;
static struct pages pages;

static void push_keys(uint64_t from, uint64_t to)
{
	while (from < to) {
		int marker = 63 - __builtin_clzll(from);
		uint64_t end = to < 2ull << marker ? to : 2ull << marker;
		uint64_t order = (uint64_t)(KEY_BITS - 1 - marker);

		push_run(&found, order, (from - (1ull << marker)) << order, end - from);
		from = end;
	}
}

static void node(uint64_t address, int level, uint64_t prefix)
{
	const uint64_t *words = at_address(&pages, address);

	if (level > 0) {
		for (uint64_t i = 0; i < 512; i++)
			if (words[i])
				node(words[i], level - 1, prefix << TABLE_BITS | i);
		return;
	}
#define EACH(from, to) push_keys((prefix << LEAF_BITS) + (from), (prefix << LEAF_BITS) + (to))
	FOR_EACH_RANGE(words, 512, EACH);
#undef EACH
}

static uint64_t decode(uint64_t root)
{
	found.length = 0;
	node(root, TOP, 0);
	// Keys ascend where orders fall.
	sorted.length = 0;
	for (size_t end = found.length; end > 0;) {
		size_t begin = end - 1;

		while (begin > 0 && found.list[begin - 1].order == found.list[end - 1].order)
			begin--;
		memcpy(sorted.list + sorted.length, found.list + begin, (end - begin) * sizeof(struct run));
		sorted.length += end - begin;
		end = begin;
	}
	return sum_of_runs(&sorted);
}

static uint64_t *leaf_for(uint64_t prefix)
{
	uint64_t *table = (uint64_t *)pages.bytes;

	for (int level = TOP; level > 0; level--) {
		uint64_t *entry = table + (prefix >> ((level - 1) * TABLE_BITS) & 511);

		if (!*entry)
			*entry = zeroed_page(&pages);
		table = at_address(&pages, *entry);
	}
	return table;
}

static uint64_t encode(const struct runs *runs)
{
	uint64_t known = ~0ull;
	uint64_t *leaf = NULL;

	pages.used = 0;
	zeroed_page(&pages);
	for (size_t end = runs->length; end > 0;) {
		size_t begin = end - 1;

		while (begin > 0 && runs->list[begin - 1].order == runs->list[end - 1].order)
			begin--;
		for (size_t i = begin; i < end; i++) {
			const struct run *run = runs->list + i;
			uint64_t from = (1ull << (KEY_BITS - 1 - run->order)) + (run->pfn >> run->order);
			uint64_t to = from + run->count;

			while (from < to) {
				uint64_t prefix = from >> LEAF_BITS;
				uint64_t stop = (prefix + 1) << LEAF_BITS;

				if (prefix != known)
					leaf = leaf_for(known = prefix);
				if (stop > to)
					stop = to;
				set_range(leaf, from - (prefix << LEAF_BITS), stop - (prefix << LEAF_BITS));
				from = stop;
			}
		}
		end = begin;
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
		sorted.list = calloc(size * 4, sizeof(struct run));
		MEASURE(atoi(argv[5]), decode(strtoull(argv[4], NULL, 0)));
	} else {
		runs = load_runs(argv[2]);
		pages.bytes = calloc(1, strtoull(argv[4], NULL, 0));
		MEASURE(atoi(argv[5]), encode(&runs));
	}
	return 0;
}
