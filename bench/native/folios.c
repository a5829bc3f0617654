// SPDX-License-Identifier: MIT
// The list of a preserved vmalloc area, and the folio list of a memfd (memfd-v2) that lies in one, 4K pages. It checks
// nothing.
//   folios area MAP BASE FIRST - RUNS           the pages of the area whose list begins at FIRST
//   folios list FRAMES BASE ROOM - RUNS         writes the list of an area of the pages in the file FRAMES
//   folios decode MAP BASE HEADER BLOCKS RUNS   the folios of the memfd at HEADER; BLOCKS is a file of preserved runs
//   folios encode FOLIOS BASE ROOM FRAMES RUNS  writes the folios of the file FOLIOS into the pages in the file FRAMES
// MAP holds memory from BASE on.
#include "runs.h"

#define PER_LIST 511
#define PER_PAGE 256

struct list {
	uint64_t next, pages[PER_LIST];
};

struct memfd {
	uint64_t pos, size;
	uint32_t seals, flags;
	uint64_t folios;
	uint64_t first;
	uint32_t pages;
	uint16_t area_flags, order;
};

struct folio {
	uint64_t word, index;
};

struct folio_run {
	uint64_t index, pfn, order, count, flags;
};

static struct pages pages;
static uint64_t *frames;
static size_t frame_count;
static struct folio_run *folio_runs;
static size_t folio_run_count;

static void read_list(uint64_t first)
{
	frame_count = 0;
	for (uint64_t address = first; address;) {
		const struct list *list = at_address(&pages, address);

		for (int i = 0; i < PER_LIST && list->pages[i]; i++)
			frames[frame_count++] = list->pages[i] >> 12;
		address = list->next;
	}
}

static uint64_t area(uint64_t first)
{
	uint32_t sum = 0;

	read_list(first);
	for (size_t i = 0; i < frame_count; i += 16)
		sum = sum * 31 + (uint32_t)frames[i];
	return sum;
}

static uint64_t write_list(void)
{
	struct list *list = NULL;
	uint64_t first = 0;

	for (size_t i = 0; i <= frame_count; i += PER_LIST) {
		uint64_t address = zeroed_page(&pages);

		if (list)
			list->next = address;
		else
			first = address;
		list = at_address(&pages, address);
		for (size_t k = 0; k < PER_LIST && i + k < frame_count; k++)
			list->pages[k] = frames[i + k] << 12;
	}
	return first;
}

/* The order of the block that PFN begins, or -1. HINT is where the last one was. */
static int order_of(const struct runs *blocks, uint64_t pfn, size_t *hint)
{
	const struct run *list = blocks->list;
	size_t low = 0, high = blocks->length;

	if (pfn < list[*hint].pfn || pfn >= list[*hint].pfn + (list[*hint].count << list[*hint].order)) {
		// By address: the runs of all orders lie apart.
		while (low < high) {
			size_t middle = (low + high) / 2;

			if (list[middle].pfn <= pfn)
				low = middle + 1;
			else
				high = middle;
		}
		if (!low || pfn >= list[low - 1].pfn + (list[low - 1].count << list[low - 1].order))
			return -1;
		*hint = low - 1;
	}
	return (int)list[*hint].order;
}

static uint64_t decode(const struct runs *blocks, uint64_t header)
{
	const struct memfd *memfd = at_address(&pages, header);
	uint64_t left = memfd->folios, next_index = 0, next_pfn = 0;
	size_t hint = 0, i;
	uint32_t sum;

	read_list(memfd->first);
	folio_run_count = 0;
	for (i = 0; i < frame_count; i++) {
		const struct folio *folios = at_address(&pages, frames[i] << 12);
		uint64_t count = left < PER_PAGE ? left : PER_PAGE;

		left -= count;
		for (uint64_t k = 0; k < count; k++) {
			uint64_t pfn = folios[k].word & 0xfffffffffffff, flags = folios[k].word >> 52;
			uint64_t index = folios[k].index;
			uint64_t order = (uint64_t)order_of(blocks, pfn, &hint);
			struct folio_run *run = folio_runs + folio_run_count;

			if (folio_run_count && index == next_index && pfn == next_pfn && run[-1].order == order &&
			    run[-1].flags == flags)
				run[-1].count++;
			else {
				*run = (struct folio_run){ index, pfn, order, 1, flags };
				folio_run_count++;
			}
			next_index = index + (1ull << order);
			next_pfn = pfn + (1ull << order);
		}
	}
	sum = (uint32_t)folio_run_count;
	for (i = 0; i < folio_run_count; i += 16)
		sum = sum * 31 + (uint32_t)(folio_runs[i].pfn + folio_runs[i].index + folio_runs[i].count * 64 +
					    folio_runs[i].order + folio_runs[i].flags);
	return sum;
}

static uint64_t encode(void)
{
	struct memfd *memfd;
	uint64_t written = 0;
	struct folio *page = NULL;

	pages.used = 0;
	memfd = at_address(&pages, zeroed_page(&pages));
	for (size_t i = 0; i < frame_count; i++)
		zeroed_page(&pages);
	for (size_t i = 0; i < folio_run_count; i++) {
		const struct folio_run *run = folio_runs + i;

		for (uint64_t k = 0; k < run->count; k++, written++) {
			if (written % PER_PAGE == 0)
				page = at_address(&pages, frames[written / PER_PAGE] << 12);
			page[written % PER_PAGE].word = (run->pfn + (k << run->order)) | run->flags << 52;
			page[written % PER_PAGE].index = run->index + (k << run->order);
		}
	}
	memfd->size = (folio_runs[folio_run_count - 1].index + 1) << 12;
	memfd->folios = written;
	memfd->first = write_list();
	memfd->pages = (uint32_t)frame_count;
	memfd->area_flags = 1;
	return sum_of_pages(&pages);
}

static void load_frames(const char *path)
{
	frames = (uint64_t *)load(path, &frame_count);
	frame_count /= sizeof(*frames);
}

int main(int argc, char **argv)
{
	size_t size;
	struct runs blocks;
	int reads;

	if (argc != 7)
		return 2;
	reads = !strcmp(argv[1], "area") || !strcmp(argv[1], "decode");
	pages.base = strtoull(argv[3], NULL, 0);
	if (reads) {
		pages.bytes = load(argv[2], &size);
		frames = calloc(size / 8, sizeof(*frames));
		folio_runs = calloc(size / 16, sizeof(*folio_runs));
	} else
		pages.bytes = calloc(1, strtoull(argv[4], NULL, 0));
	if (!strcmp(argv[1], "area"))
		MEASURE(atoi(argv[6]), area(strtoull(argv[4], NULL, 0)));
	else if (!strcmp(argv[1], "list")) {
		load_frames(argv[2]);
		MEASURE(atoi(argv[6]), (pages.used = 0, write_list(), sum_of_pages(&pages)));
	} else if (!strcmp(argv[1], "decode")) {
		blocks = load_runs(argv[5]);
		MEASURE(atoi(argv[6]), decode(&blocks, strtoull(argv[4], NULL, 0)));
	} else {
		load_frames(argv[5]);
		folio_runs = (struct folio_run *)load(argv[2], &size);
		folio_run_count = size / sizeof(*folio_runs);
		MEASURE(atoi(argv[6]), encode());
	}
	return 0;
}
