/*
 * Structures as no kernel hands them over, for the types in nasty.btf:
 *
 *     gcc -g -c nasty.c -o nasty.o && pahole -J nasty.o && objcopy --dump-section .BTF=nasty.btf nasty.o
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

struct list_head {
	struct list_head *next, *prev;
};
typedef struct {
	unsigned int raw;
} spinlock_t;
struct cpumask {
	unsigned long bits[4];
};
typedef struct cpumask cpumask_t;
typedef struct {
	unsigned long bits[16];
} nodemask_t;
enum colour { RED, GREEN = -1, BLUE = 70000 };
enum huge { SMALL = 1, HUGE_ = 0x123456789abcdefULL };
struct page;

/* Pointers, at any depth. */
struct pointers_ser {
	u64 count;
	struct {
		struct page *page;
		union {
			u64 number;
			void *where;
		};
	} slots[3];
	void (*release)(struct page *page, int how);
};

/* Types that the configuration decides. */
struct config_ser {
	spinlock_t lock;
	cpumask_t cpus;
	struct {
		nodemask_t nodes[2];
	} inner;
	struct cpumask plain;
};

/* An address as DECLARE_KHOSER_PTR makes it, which is no fault. */
struct address_ser {
	union {
		u64 phys;
		struct page *ptr;
	} first;
	u64 count;
};

/* Bit fields that do not fill their unit, and one that lies across two. */
struct odd_bits_ser {
	u32 a : 3;
	u32 b : 30;
	u8 c;
	u64 d : 40;
} __attribute__((packed));

/* Bit fields that fill theirs. */
struct even_bits_ser {
	u64 pfn : 52;
	u64 flags : 12;
	u64 index;
} __attribute__((packed));

/* Text that moves what is behind it, and text that does not. */
struct text_ser {
	char name[13];
	u32 moved;
	char more[4];
	u32 also_moved;
	char even[8];
	u8 byte;
} __attribute__((packed));

/* Anonymous members, arrays of arrays, enumerations, holes. */
struct shapes {
	u8 first;
	union {
		u32 word;
		struct {
			u16 low;
			u16 high;
		};
	};
	u16 grid[3][5];
	enum colour colour;
	enum huge huge;
	const volatile u64 *restrict_me;
	bool yes : 1;
	bool no : 1;
	signed char small;
	double real;
	u8 tail[];
};

struct pointers_ser pointers;
struct config_ser config;
struct address_ser address;
struct odd_bits_ser odd;
struct even_bits_ser even;
struct text_ser text;
struct shapes *shapes;
struct list_head head;
