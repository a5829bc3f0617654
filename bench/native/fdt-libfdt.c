// SPDX-License-Identifier: MIT
// What libfdt does with a device tree.
//   fdt-libfdt walk FILE RUNS     looks at every name and value, node by node and property by property
//   fdt-libfdt check FILE RUNS    fdt_check_full(); the checksum is its result
//   fdt-libfdt build FILE RUNS    writes the tree anew, sequentially; the checksum is of the blob
#include <libfdt.h>
#include <string.h>

#include "timing.h"

static uint64_t walk(const void *fdt)
{
	uint64_t sum = 0;
	int depth = 0;

	for (int node = 0; node >= 0 && depth >= 0; node = fdt_next_node(fdt, node, &depth)) {
		int length, property;

		fdt_get_name(fdt, node, &length);
		sum += length;
		fdt_for_each_property_offset(property, fdt, node) {
			const char *name;
			const unsigned char *value = fdt_getprop_by_offset(fdt, property, &name, &length);

			sum += length + (unsigned char)name[0] + (length ? value[0] : 0);
		}
	}
	return sum;
}

// The calls that write a tree.
struct call {
	enum { BEGIN, PROPERTY, END } what;
	const char *name;
	const void *value;
	int length;
};

static size_t calls_of(const void *fdt, struct call *calls)
{
	size_t count = 0;
	int depth = 0, open = 0;

	for (int node = 0; node >= 0 && depth >= 0; node = fdt_next_node(fdt, node, &depth)) {
		int property;

		for (; open > depth; open--)
			calls[count++] = (struct call){ END, NULL, NULL, 0 };
		calls[count++] = (struct call){ BEGIN, fdt_get_name(fdt, node, NULL), NULL, 0 };
		open++;
		fdt_for_each_property_offset(property, fdt, node) {
			struct call *call = calls + count++;

			call->what = PROPERTY;
			call->value = fdt_getprop_by_offset(fdt, property, &call->name, &call->length);
		}
	}
	for (; open > 0; open--)
		calls[count++] = (struct call){ END, NULL, NULL, 0 };
	return count;
}

static uint64_t build(const struct call *calls, size_t count, unsigned char *blob, int room)
{
	uint64_t sum;
	int failed = fdt_create(blob, room) | fdt_finish_reservemap(blob);

	for (const struct call *call = calls; call < calls + count; call++)
		switch (call->what) {
		case BEGIN:
			failed |= fdt_begin_node(blob, call->name);
			break;
		case PROPERTY:
			failed |= fdt_property(blob, call->name, call->value, call->length);
			break;
		case END:
			failed |= fdt_end_node(blob);
		}
	failed |= fdt_finish(blob);
	if (failed) {
		fprintf(stderr, "the tree cannot be written\n");
		exit(1);
	}
	sum = fdt_totalsize(blob);
	for (uint32_t at = 0; at < fdt_totalsize(blob); at += 64)
		sum += blob[at];
	return sum;
}

int main(int argc, char **argv)
{
	size_t size, count;
	unsigned char *fdt, *blob;
	struct call *calls;
	int runs;

	if (argc != 4)
		return 2;
	fdt = load(argv[2], &size);
	runs = atoi(argv[3]);
	if (fdt_check_header(fdt))
		return 1;
	if (!strcmp(argv[1], "walk"))
		MEASURE(runs, walk(fdt));
	else if (!strcmp(argv[1], "check"))
		MEASURE(runs, (uint64_t)-fdt_check_full(fdt, size));
	else if (!strcmp(argv[1], "build")) {
		calls = calloc(size / 4 + 2, sizeof(*calls));
		blob = calloc(2, size + 4096);
		count = calls_of(fdt, calls);
		MEASURE(runs, build(calls, count, blob, (int)size * 2 + 8192));
	} else
		return 2;
	return 0;
}
