// SPDX-License-Identifier: MIT
// Looks at every name and value of a device tree in one pass over its tokens. It checks nothing.
//   fdt-pass FILE RUNS
#include <string.h>

#include "timing.h"

static uint32_t be32(const unsigned char *at)
{
	uint32_t word;

	memcpy(&word, at, 4);
	return __builtin_bswap32(word);
}

static uint64_t pass(const unsigned char *blob)
{
	const unsigned char *at = blob + be32(blob + 8);
	const unsigned char *strings = blob + be32(blob + 12);
	uint64_t sum = 0;

	for (;;) {
		uint32_t token = be32(at);

		at += 4;
		switch (token) {
		case 1: { // a node begins
			size_t length = strlen((const char *)at);

			sum += length;
			at += (length + 4) & ~(size_t)3;
			break;
		}
		case 3: { // a property
			uint32_t length = be32(at);
			uint32_t name = be32(at + 4);

			sum += length + strings[name] + (length ? at[8] : 0);
			at += 8 + ((length + 3) & ~3u);
			break;
		}
		case 9:
			return sum;
		}
	}
}

int main(int argc, char **argv)
{
	size_t size;
	const unsigned char *blob;

	if (argc != 3)
		return 2;
	blob = load(argv[1], &size);
	MEASURE(atoi(argv[2]), pass(blob));
	return 0;
}
