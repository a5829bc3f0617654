// SPDX-License-Identifier: MIT
// Sessions and their files, in lists of blocks (luo-v5) or in areas (luo-v1), 4K pages. It checks nothing.
//   lists decode blocks|area MAP BASE SESSIONS RUNS     what begins at SESSIONS; MAP holds memory from BASE on
//   lists encode blocks|area MAP BASE SESSIONS RUNS     the same records into pages of their own, session by session
#include "runs.h"

#define AREA_PAGES 16
#define FILE_PAGES 2

struct session_record {
	char name[64];
	uint64_t files, count;
};

struct file_record {
	char compatible[48];
	uint64_t data, token;
};

struct block {
	uint64_t next, count;
	unsigned char records[4080];
};

#define SESSIONS_PER_BLOCK (sizeof(((struct block *)0)->records) / sizeof(struct session_record))
#define FILES_PER_BLOCK (sizeof(((struct block *)0)->records) / sizeof(struct file_record))

struct session {
	char name[64];
	struct file_record *files;
	uint64_t count;
};

static struct pages map, out;
static struct session *sessions;
static size_t session_count;
static struct file_record *files;
static int in_blocks;

static size_t read_files(uint64_t address, uint64_t count, struct file_record *to)
{
	size_t read = 0;

	if (!in_blocks) {
		memcpy(to, at_address(&map, address), count * sizeof(*to));
		return count;
	}
	while (address) {
		const struct block *block = at_address(&map, address);

		memcpy(to + read, block->records, block->count * sizeof(*to));
		read += block->count;
		address = block->next;
	}
	return read;
}

static size_t read_sessions(const struct session_record *records, uint64_t count, size_t used)
{
	for (uint64_t i = 0; i < count; i++) {
		struct session *session = sessions + session_count++;

		memcpy(session->name, records[i].name, sizeof(session->name));
		session->files = files + used;
		session->count = read_files(records[i].files, records[i].count, session->files);
		used += session->count;
	}
	return used;
}

static uint64_t decode(uint64_t address)
{
	size_t used = 0;
	uint32_t sum;

	session_count = 0;
	if (in_blocks)
		while (address) {
			const struct block *block = at_address(&map, address);

			used = read_sessions((const void *)block->records, block->count, used);
			address = block->next;
		}
	else
		read_sessions((const void *)((uint64_t *)at_address(&map, address) + 1),
			      *(uint64_t *)at_address(&map, address), 0);
	sum = (uint32_t)session_count;
	for (size_t i = 0; i < session_count; i++) {
		sum += (uint32_t)strlen(sessions[i].name);
		for (size_t k = 0; k < sessions[i].count; k++)
			sum += (uint32_t)(strlen(sessions[i].files[k].compatible) + sessions[i].files[k].token +
					  sessions[i].files[k].data);
	}
	return sum;
}

static uint64_t new_area(int page_count)
{
	uint64_t address = zeroed_page(&out);

	while (--page_count)
		zeroed_page(&out);
	return address;
}

static void *new_block(struct block **last, uint64_t *first)
{
	uint64_t address = zeroed_page(&out);

	if (*last)
		(*last)->next = address;
	else
		*first = address;
	*last = at_address(&out, address);
	return (*last)->records;
}

static uint64_t write_files(const struct session *session)
{
	uint64_t first = 0;
	struct block *block = NULL;

	if (!in_blocks) {
		first = new_area(FILE_PAGES);
		memcpy(at_address(&out, first), session->files, session->count * sizeof(*session->files));
		return first;
	}
	for (size_t i = 0; i < session->count; i += FILES_PER_BLOCK) {
		size_t count = session->count - i < FILES_PER_BLOCK ? session->count - i : FILES_PER_BLOCK;

		memcpy(new_block(&block, &first), session->files + i, count * sizeof(*session->files));
		block->count = count;
	}
	return first;
}

static void write_session(struct session_record *to, const struct session *session, uint64_t address)
{
	memcpy(to->name, session->name, sizeof(to->name));
	to->files = address;
	to->count = session->count;
}

static uint64_t encode(void)
{
	static uint64_t addresses[100000];
	uint64_t first = 0;
	struct block *block = NULL;
	struct session_record *records = NULL;

	out.used = 0;
	for (size_t i = 0; i < session_count; i++)
		addresses[i] = write_files(sessions + i);
	if (!in_blocks) {
		uint64_t *area = at_address(&out, new_area(AREA_PAGES));

		*area = session_count;
		records = (struct session_record *)(area + 1);
		for (size_t i = 0; i < session_count; i++)
			write_session(records + i, sessions + i, addresses[i]);
	} else
		for (size_t i = 0; i < session_count; i++) {
			if (i % SESSIONS_PER_BLOCK == 0)
				records = new_block(&block, &first);
			write_session(records + i % SESSIONS_PER_BLOCK, sessions + i, addresses[i]);
			block->count++;
		}
	return sum_of_pages(&out);
}

int main(int argc, char **argv)
{
	size_t size;
	uint64_t first;

	if (argc != 7)
		return 2;
	in_blocks = !strcmp(argv[2], "blocks");
	map.bytes = load(argv[3], &size);
	map.base = out.base = strtoull(argv[4], NULL, 0);
	first = strtoull(argv[5], NULL, 0);
	sessions = calloc(size / sizeof(struct session_record) + 1, sizeof(*sessions));
	files = calloc(size / sizeof(struct file_record) + 1, sizeof(*files));
	if (!strcmp(argv[1], "decode")) {
		MEASURE(atoi(argv[6]), decode(first));
		return 0;
	}
	decode(first);
	out.bytes = calloc(1, size);
	MEASURE(atoi(argv[6]), encode());
	return 0;
}
