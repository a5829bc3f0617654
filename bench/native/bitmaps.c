// SPDX-License-Identifier: MIT
// Bitmaps to ranges: where bits change, one bitmap after the other into the same array. It checks nothing.
//   bitmaps FILE SIZE RUNS    FILE holds bitmaps of SIZE bytes; the checksum is of how many ends of ranges each has, and
//                             of the one in the middle
#include "timing.h"

__attribute__((noinline)) static size_t edges(const uint64_t *words, size_t count, uint32_t *out)
{
	size_t found = 0;
	uint64_t carry = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t word = words[i], changes = word ^ (word << 1 | carry);

		carry = word >> 63;
		for (; changes; changes &= changes - 1)
			out[found++] = (uint32_t)(i * 64 + (uint64_t)__builtin_ctzll(changes));
	}
	if (carry)
		out[found++] = (uint32_t)(count * 64);
	return found;
}

static uint64_t all(const uint64_t *words, size_t bitmaps, size_t count, uint32_t *out)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bitmaps; i++) {
		size_t found = edges(words + i * count, count, out);

		sum = sum * 31 + (uint32_t)found + (found ? out[found / 2] : 0);
	}
	return sum;
}

int main(int argc, char **argv)
{
	size_t length, size;
	uint64_t *words;
	uint32_t *out;

	if (argc != 4)
		return 2;
	words = (uint64_t *)load(argv[1], &length);
	size = strtoull(argv[2], NULL, 0);
	out = calloc(size * 8 + 1, sizeof(*out));
	MEASURE(atoi(argv[3]), all(words, length / size, size / 8, out));
	return 0;
}
