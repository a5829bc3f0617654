/* SPDX-License-Identifier: MIT */
/* Runs of preserved blocks: what memory maps are read to and written from. */
#ifndef RUNS_H
#define RUNS_H

#include <string.h>

#include "timing.h"

struct run {
	uint64_t order, pfn, count;
};

struct runs {
	struct run *list;
	size_t length;
};

/* A file of 64-bit words, three for each run. */
static inline struct runs load_runs(const char *path)
{
	size_t size;
	struct run *list = (struct run *)load(path, &size);

	return (struct runs){ list, size / sizeof(*list) };
}

static inline void push_run(struct runs *runs, uint64_t order, uint64_t pfn, uint64_t count)
{
	struct run *next = runs->list + runs->length;

	if (runs->length && next[-1].order == order && next[-1].pfn + (next[-1].count << order) == pfn) {
		next[-1].count += count;
		return;
	}
	*next = (struct run){ order, pfn, count };
	runs->length++;
}

/* Depends on the order of the runs; looks at one of 16. */
static inline uint64_t sum_of_runs(const struct runs *runs)
{
	uint32_t sum = (uint32_t)runs->length;

	for (size_t i = 0; i < runs->length; i += 16) {
		const struct run *run = runs->list + i;

		sum = sum * 31 + (uint32_t)(run->pfn + run->count * 64 + run->order);
	}
	return sum;
}

/* Calls EACH(from, to) for every range of bits that are set, ascending; TO is behind the last one. */
#define FOR_EACH_RANGE(WORDS, COUNT, EACH)                                              \
	do {                                                                            \
		const uint64_t *words_ = (WORDS);                                       \
		uint64_t carry_ = 0, from_ = 0;                                         \
                                                                                        \
		for (uint64_t i_ = 0; i_ < (COUNT); i_++) {                             \
			uint64_t edges_ = words_[i_] ^ (words_[i_] << 1 | carry_);      \
                                                                                        \
			while (edges_) {                                                \
				uint64_t at_ = i_ * 64 + (uint64_t)__builtin_ctzll(edges_); \
                                                                                        \
				edges_ &= edges_ - 1;                                   \
				if (carry_)                                             \
					EACH(from_, at_);                               \
				else                                                    \
					from_ = at_;                                    \
				carry_ ^= 1;                                            \
			}                                                               \
		}                                                                       \
		if (carry_)                                                             \
			EACH(from_, (uint64_t)(COUNT) * 64);                            \
	} while (0)

/* Sets bits FROM to TO, which is at least FROM + 1. */
static inline void set_range(uint64_t *words, uint64_t from, uint64_t to)
{
	uint64_t first = from >> 6, last = (to - 1) >> 6;
	uint64_t begin = ~0ull << (from & 63), end = ~0ull >> (63 - ((to - 1) & 63));

	if (first == last) {
		words[first] |= begin & end;
		return;
	}
	words[first] |= begin;
	for (uint64_t i = first + 1; i < last; i++)
		words[i] = ~0ull;
	words[last] |= end;
}

/* Pages one behind the other, as a map is written into. */
struct pages {
	unsigned char *bytes;
	uint64_t base, used;
};

static inline uint64_t zeroed_page(struct pages *pages)
{
	uint64_t at = pages->used;

	memset(pages->bytes + at, 0, 4096);
	pages->used += 4096;
	return pages->base + at;
}

static inline void *at_address(const struct pages *pages, uint64_t address)
{
	return pages->bytes + (address - pages->base);
}

/* A sum of one 32-bit word of 16. */
static inline uint64_t sum_of_pages(const struct pages *pages)
{
	const uint32_t *words = (const uint32_t *)pages->bytes;
	uint32_t sum = 0;

	for (uint64_t i = 0; i < pages->used / 4; i += 16)
		sum += words[i];
	return sum;
}

#endif
