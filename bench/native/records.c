// SPDX-License-Identifier: MIT
// Entries of a folio list, 16 bytes each, to and from three arrays that are there already. It checks nothing.
//   records decode ENTRIES ROWS RUNS   entries to columns, ROWS at a time into columns of that length
//   records encode ENTRIES ROWS RUNS   back, ROWS at a time into room for as many entries
#include <string.h>

#include "timing.h"

struct entry {
	uint64_t word, index;
};

static size_t count;
static uint64_t *pfn, *page_index;
static uint16_t *flags;

__attribute__((noinline)) static void to_columns(const struct entry *entries, size_t rows)
{
	for (size_t i = 0; i < rows; i++) {
		pfn[i] = entries[i].word & 0xfffffffffffff;
		flags[i] = (uint16_t)(entries[i].word >> 52);
		page_index[i] = entries[i].index;
	}
}

__attribute__((noinline)) static void from_columns(struct entry *entries, size_t from, size_t rows)
{
	for (size_t i = 0; i < rows; i++) {
		entries[i].word = pfn[from + i] | (uint64_t)flags[from + i] << 52;
		entries[i].index = page_index[from + i];
	}
}

/* Looks at one row of 97, of each part of ROWS. */
static uint32_t decode(const struct entry *entries, size_t rows)
{
	uint32_t sum = 0;

	for (size_t from = 0; from + rows <= count; from += rows) {
		to_columns(entries + from, rows);
		for (size_t i = 0; i < rows; i += 97)
			sum = sum * 31 + (uint32_t)pfn[i] + flags[i] + (uint32_t)page_index[i];
	}
	return sum;
}

static uint32_t encode(struct entry *out, size_t rows)
{
	uint32_t sum = 0;

	for (size_t from = 0; from + rows <= count; from += rows) {
		from_columns(out, from, rows);
		for (size_t i = 0; i < rows; i += 97)
			sum = sum * 31 + (uint32_t)out[i].word + (uint32_t)(out[i].word >> 32) +
			      (uint32_t)out[i].index;
	}
	return sum;
}

int main(int argc, char **argv)
{
	size_t size, rows;
	struct entry *entries;

	if (argc != 5)
		return 2;
	entries = (struct entry *)load(argv[2], &size);
	count = size / sizeof(*entries);
	rows = strtoull(argv[3], NULL, 0);
	pfn = malloc(count * sizeof(*pfn));
	flags = malloc(count * sizeof(*flags));
	page_index = malloc(count * sizeof(*page_index));
	to_columns(entries, count);
	if (!strcmp(argv[1], "decode"))
		MEASURE(atoi(argv[4]), decode(entries, rows));
	else
		MEASURE(atoi(argv[4]), encode(entries, rows));
	return 0;
}
