// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the converter from PAL to SGT between two PCI devices: QEMU's edu
 * does DMA to the BAR of ivshmem, by the addresses of the table.
 *
 * Only who built the machine knows which way the DMA takes there, and has to
 * say so: dma_buf_mapping_pci.route=bus, iova, phys or none. The IOMMU is on
 * for iova alone; phys needs bounce buffers, thus memory above 4 GiB. With
 * swiotlb=force all DMA to ordinary memory goes by them, so that data is wrong
 * where nobody synchronises. Without that parameter, the suite is skipped.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/iopoll.h>
#include <linux/limits.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <linux/uaccess.h>

#include <uapi/linux/dma-buf.h>

#include "helpers.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "dma_buf_mapping_pci."

#define VENDOR_QEMU	0x1234
#define DEVICE_EDU	0x11e8
#define DEVICE_IVSHMEM	0x1110
#define IVSHMEM_BAR	2

/* edu: a DMA engine between memory and a buffer of its own */
#define EDU_SRC		0x80
#define EDU_DST		0x88
#define EDU_COUNT	0x90
#define EDU_CMD		0x98
#define EDU_START	BIT(0)
#define EDU_TO_MEMORY	BIT(1)
#define EDU_BUFFER	0x40000
#define EDU_MAX		SZ_2K

/* How much of the BAR, or of ordinary memory, a test fills and watches */
#define MEMORY_SIZE	PAGES(64)
#define BUFFER_PAGES	6
#define BUFFER_EXTENTS	3

/* More than a bounce buffer can hold */
#define LARGE_SIZE	SZ_1M
#define BOUNCE_MAX	SZ_256K

/* What the buffer has of it: out of order, two adjacent, else with holes */
static const struct phys_vec pieces[] = {
	{ PAGES(32), PAGES(2) }, { PAGES(4), PAGES(1) },
	{ PAGES(5), PAGES(2) }, { PAGES(16), PAGES(1) },
};

/* As a host bridge may have it; QEMU's has the same address on both sides */
#define BRIDGE_OFFSET	(4ULL * SZ_1G)

enum route { ROUTE_BUS, ROUTE_IOVA, ROUTE_PHYS, ROUTE_NONE };

static const char * const routes[] = {
	[ROUTE_BUS] = "bus",
	[ROUTE_IOVA] = "iova",
	[ROUTE_PHYS] = "phys",
	[ROUTE_NONE] = "none",
};

static char *route_param;
module_param_named(route, route_param, charp, 0400);
MODULE_PARM_DESC(route, "Way of DMA in this machine: bus, iova, phys or none");

static enum route p2p_route;
static struct pci_dev *edu;
static void __iomem *edu_regs;
static struct pci_dev *ivshmem;
static u8 *bar;

/**
 * struct buffer - memory, and what a dma-buf has of it
 * @test: the test that it belongs to
 * @exp: exporter of @pieces
 * @attach: edu's attachment, NULL if there is no way for it
 * @provider: ivshmem's, except for the offset that its bridge has
 * @route: which way edu has to reach it
 * @bounced: by bounce buffers
 * @start: address that the exporter gives for @bytes
 * @size: number of @bytes
 * @bytes: the memory
 * @expected: what each of @bytes has to be
 */
struct buffer {
	struct kunit *test;
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	struct p2pdma_provider provider;
	enum route route;
	bool bounced;
	phys_addr_t start;
	size_t size;
	u8 *bytes;
	u8 *expected;
};

static struct dma_buf_phys_list *list_pieces(struct buffer *b)
{
	struct dma_buf_phys_list *list;
	size_t i;

	list = test_list(b->test, pieces, ARRAY_SIZE(pieces));
	for (i = 0; i < list->nr_ranges; i++)
		list->ranges[i].paddr += b->start;
	return list;
}

static struct buffer *new_buffer(struct kunit *test)
{
	struct buffer *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->test = test;
	return b;
}

/* With the same bytes each time */
static void fill(u8 *bytes, size_t size)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 4);
	prandom_bytes_state(&rnd, bytes, size);
}

static struct buffer *filled_buffer(struct kunit *test, u8 *bytes, size_t size)
{
	struct buffer *b = new_buffer(test);

	b->bytes = bytes;
	b->size = size;
	b->expected = kunit_kmalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b->expected);

	fill(b->expected, size);
	fill(b->bytes, size);
	return b;
}

/* The offset of the bridge has to count for bus addresses, and for them alone */
static struct buffer *bar_buffer(struct kunit *test)
{
	struct buffer *b = filled_buffer(test, bar, MEMORY_SIZE);
	struct dma_buf_phys_list *list;

	b->route = p2p_route;
	b->provider = *pcim_p2pdma_provider(ivshmem, IVSHMEM_BAR);
	b->provider.bus_offset = -BRIDGE_OFFSET;
	if (b->route == ROUTE_BUS)
		b->start = pci_bus_address(ivshmem, IVSHMEM_BAR) +
			   BRIDGE_OFFSET;
	else
		b->start = pci_resource_start(ivshmem, IVSHMEM_BAR);

	list = list_pieces(b);
	list->attrs = DMA_BUF_PHYS_MMIO;
	list->provider = &b->provider;
	b->exp = test_pal_exporter(test, list);
	return b;
}

static void free_memory(void *data)
{
	struct buffer *b = data;

	free_pages_exact(b->bytes, b->size);
}

static struct buffer *ordinary_memory(struct kunit *test, size_t size)
{
	u8 *bytes = alloc_pages_exact(size, GFP_KERNEL);
	struct buffer *b;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, bytes);
	b = filled_buffer(test, bytes, size);
	ret = kunit_add_action_or_reset(test, free_memory, b);
	KUNIT_ASSERT_EQ(test, ret, 0);
	b->route = p2p_route == ROUTE_IOVA ? ROUTE_IOVA : ROUTE_PHYS;
	b->bounced = b->route == ROUTE_PHYS &&
		     is_swiotlb_force_bounce(&edu->dev);
	b->start = virt_to_phys(bytes);
	return b;
}

static struct buffer *memory_buffer(struct kunit *test)
{
	struct buffer *b = ordinary_memory(test, MEMORY_SIZE);

	b->exp = test_pal_exporter(test, list_pieces(b));
	return b;
}

static void attach_edu(struct buffer *b)
{
	b->attach = test_attach_sgt(b->exp, &edu->dev, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(b->test, b->attach);
	KUNIT_EXPECT_STREQ(b->test, dma_buf_mapping_name(b->attach),
			   "PAL -> SGT");
}

static struct buffer *attached_bar(struct kunit *test)
{
	struct buffer *b;

	if (p2p_route == ROUTE_NONE)
		kunit_skip(test, "no way between the devices in this machine");
	b = bar_buffer(test);
	attach_edu(b);
	return b;
}

/* Device memory is never bounced, and all that is mapped here would be */
static struct buffer *mappable_bar(struct kunit *test)
{
	if (p2p_route == ROUTE_PHYS && is_swiotlb_force_bounce(&edu->dev))
		kunit_skip(test, "all DMA is bounced in this machine");
	return attached_bar(test);
}

static struct sg_table *map(struct buffer *b)
{
	return dma_buf_map_attachment_unlocked(b->attach, DMA_BIDIRECTIONAL);
}

static struct sg_table *map_good(struct buffer *b)
{
	struct sg_table *sgt = map(b);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(b->test, sgt);
	return sgt;
}

static void unmap(struct buffer *b, struct sg_table *sgt)
{
	dma_buf_unmap_attachment_unlocked(b->attach, sgt, DMA_BIDIRECTIONAL);
}

/* The address of a byte, and how many its entry holds from there on */
static dma_addr_t table_addr(struct sg_table *sgt, size_t offset, size_t *left)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (offset < sg_dma_len(sg)) {
			*left = sg_dma_len(sg) - offset;
			return sg_dma_address(sg) + offset;
		}
		offset -= sg_dma_len(sg);
	}
	*left = 0;
	return 0;
}

/* What a DMA address stands for, with no word of the converter's for it */
static phys_addr_t to_phys(struct buffer *b, dma_addr_t addr)
{
	switch (b->route) {
	case ROUTE_BUS:
		return addr + BRIDGE_OFFSET;
	case ROUTE_IOVA:
		return iommu_iova_to_phys(iommu_get_domain_for_dev(&edu->dev),
					  addr);
	default:
		return addr;
	}
}

static void expect_places(struct buffer *b, struct sg_table *sgt, size_t step)
{
	size_t size = b->exp->dmabuf->size, offset, left;

	for (offset = 0; offset < size; offset += step) {
		dma_addr_t addr = table_addr(sgt, offset, &left);

		KUNIT_EXPECT_EQ(b->test, to_phys(b, addr),
				test_list_paddr(b->exp->list, offset));
	}
	table_addr(sgt, size - 1, &left);
	KUNIT_EXPECT_EQ(b->test, left, 1);
}

/* Else a test of bounce buffers would test none */
static void expect_bounced(struct buffer *b, struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i)
		KUNIT_EXPECT_TRUE(b->test,
				  sg_dma_address(sg) + sg_dma_len(sg) <= b->start ||
				  sg_dma_address(sg) >= b->start + b->size);
}

static void expect_addresses(struct buffer *b, struct sg_table *sgt)
{
	KUNIT_EXPECT_EQ(b->test, sgt->nents,
			b->route == ROUTE_IOVA ? 1 : BUFFER_EXTENTS);
	if (b->bounced)
		expect_bounced(b, sgt);
	else
		expect_places(b, sgt, PAGE_SIZE);
}

static void edu_run(struct kunit *test, u64 src, u64 dst, size_t len, u64 cmd)
{
	u64 state;
	int ret;

	writeq(src, edu_regs + EDU_SRC);
	writeq(dst, edu_regs + EDU_DST);
	writeq(len, edu_regs + EDU_COUNT);
	writeq(cmd | EDU_START, edu_regs + EDU_CMD);
	ret = readq_poll_timeout(edu_regs + EDU_CMD, state,
				 !(state & EDU_START), USEC_PER_MSEC,
				 10 * USEC_PER_SEC);
	KUNIT_ASSERT_EQ(test, ret, 0);
}

static void edu_move(struct buffer *b, struct sg_table *sgt, size_t offset,
		     size_t len, u64 cmd)
{
	size_t done, part;

	for (done = 0; done < len; done += part) {
		dma_addr_t addr = table_addr(sgt, offset + done, &part);
		u64 own = EDU_BUFFER + done;

		part = min(part, len - done);
		KUNIT_ASSERT_NE(b->test, part, 0);
		if (cmd & EDU_TO_MEMORY)
			edu_run(b->test, own, addr, part, cmd);
		else
			edu_run(b->test, addr, own, part, cmd);
	}
}

static size_t place(struct buffer *b, size_t offset)
{
	return test_list_paddr(b->exp->list, offset) - b->start;
}

/* By edu in the buffer, and by the CPU in what is expected of it */
static void copy(struct buffer *b, struct sg_table *sgt, size_t from, size_t to)
{
	size_t i;

	edu_move(b, sgt, from, EDU_MAX, 0);
	edu_move(b, sgt, to, EDU_MAX, EDU_TO_MEMORY);
	for (i = 0; i < EDU_MAX; i++)
		b->expected[place(b, to + i)] = b->expected[place(b, from + i)];
}

static void begin_access(struct buffer *b, enum dma_data_direction dir)
{
	int ret = dma_buf_begin_cpu_access(b->exp->dmabuf, dir);

	KUNIT_ASSERT_EQ(b->test, ret, 0);
}

static void end_access(struct buffer *b, enum dma_data_direction dir)
{
	int ret = dma_buf_end_cpu_access(b->exp->dmabuf, dir);

	KUNIT_EXPECT_EQ(b->test, ret, 0);
}

static void expect_bytes(struct buffer *b)
{
	size_t i = 0;

	begin_access(b, DMA_FROM_DEVICE);
	while (i < b->size && b->bytes[i] == b->expected[i])
		i++;
	end_access(b, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(b->test, i, b->size);
}

/* What is around each border of pages goes to the border before it */
static void expect_dma(struct buffer *b, struct sg_table *sgt)
{
	size_t page;

	for (page = 2; page < BUFFER_PAGES; page++)
		copy(b, sgt, PAGES(page) - EDU_MAX / 2,
		     PAGES(page - 1) - EDU_MAX / 2);
	expect_bytes(b);
}

static void expect_unmapped(struct buffer *b, dma_addr_t iova)
{
	size_t offset;

	for (offset = 0; offset < PAGES(BUFFER_PAGES); offset += PAGE_SIZE)
		KUNIT_EXPECT_EQ(b->test, to_phys(b, iova + offset), 0);
}

static void attach_goes_by_the_route(struct kunit *test)
{
	struct buffer *b = bar_buffer(test);

	if (p2p_route != ROUTE_NONE) {
		attach_edu(b);
		return;
	}
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EOPNOTSUPP),
			    test_attach_sgt(b->exp, &edu->dev,
					    &test_p2p_importer));
	KUNIT_EXPECT_EQ(test, b->exp->calls.attach, 0);
}

static void no_route_without_p2p_importer(struct kunit *test)
{
	struct buffer *b = bar_buffer(test);

	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EOPNOTSUPP),
			    test_attach_sgt(b->exp, &edu->dev,
					    &test_nop2p_importer));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EOPNOTSUPP),
			    test_attach_sgt(b->exp, &edu->dev, NULL));
}

static void addresses_are_of_the_route(struct kunit *test)
{
	struct buffer *b = mappable_bar(test);
	struct sg_table *sgt = map_good(b);

	expect_addresses(b, sgt);
	unmap(b, sgt);
}

static void dma_reaches_the_bar(struct kunit *test)
{
	struct buffer *b = mappable_bar(test);
	struct sg_table *sgt = map_good(b);

	expect_dma(b, sgt);
	unmap(b, sgt);
}

/* Takes no p2p: as good where there is no way to the BAR */
static void dma_reaches_ordinary_memory(struct kunit *test)
{
	struct buffer *b = memory_buffer(test);
	struct sg_table *sgt;

	attach_edu(b);
	sgt = map_good(b);
	expect_addresses(b, sgt);
	expect_dma(b, sgt);
	unmap(b, sgt);
}

static void cpu_writes_between_dma(struct kunit *test)
{
	struct buffer *b = memory_buffer(test);
	struct sg_table *sgt;
	size_t page, i;

	attach_edu(b);
	sgt = map_good(b);
	for (page = 0; page < BUFFER_PAGES - 1; page++) {
		begin_access(b, DMA_TO_DEVICE);
		for (i = 0; i < EDU_MAX; i++) {
			size_t at = place(b, PAGES(page) + i);

			b->bytes[at] = ~b->expected[at];
			b->expected[at] = b->bytes[at];
		}
		end_access(b, DMA_TO_DEVICE);
		copy(b, sgt, PAGES(page), PAGES(page + 1));
	}
	expect_bytes(b);
	unmap(b, sgt);
}

/* Of a buffer of which the device goes on to write another part */
static void cpu_reads_during_dma(struct kunit *test)
{
	struct buffer *b = memory_buffer(test);
	struct sg_table *sgt;

	attach_edu(b);
	sgt = map_good(b);
	begin_access(b, DMA_FROM_DEVICE);
	copy(b, sgt, 0, PAGES(3));
	end_access(b, DMA_FROM_DEVICE);
	expect_bytes(b);
	unmap(b, sgt);
}

static void sync_ioctl(struct buffer *b, void __user *arg, u64 flags)
{
	struct file *file = b->exp->dmabuf->file;
	struct dma_buf_sync sync = { .flags = flags };
	long ret;

	KUNIT_ASSERT_EQ(b->test, copy_to_user(arg, &sync, sizeof(sync)), 0);
	ret = file->f_op->unlocked_ioctl(file, DMA_BUF_IOCTL_SYNC,
					 (unsigned long)arg);
	KUNIT_EXPECT_EQ(b->test, ret, 0);
}

/* As cpu_writes_between_dma(), by what a program calls that has mapped it */
static void userspace_syncs(struct kunit *test)
{
	struct buffer *b = memory_buffer(test);
	size_t at = place(b, 0);
	struct sg_table *sgt;
	void __user *arg;

	arg = (void __user *)kunit_vm_mmap(test, NULL, 0, PAGE_SIZE,
					   PROT_READ | PROT_WRITE,
					   MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NOT_NULL(test, (__force void *)arg);

	attach_edu(b);
	sgt = map_good(b);
	copy(b, sgt, PAGES(2), 0);
	sync_ioctl(b, arg, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	KUNIT_EXPECT_EQ(test, memcmp(b->bytes, b->expected, b->size), 0);
	b->expected[at]++;
	b->bytes[at]++;
	sync_ioctl(b, arg, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);

	copy(b, sgt, 0, PAGES(1));
	sync_ioctl(b, arg, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	KUNIT_EXPECT_EQ(test, memcmp(b->bytes, b->expected, b->size), 0);
	sync_ioctl(b, arg, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	unmap(b, sgt);
}

static void device_memory_is_not_synced(struct kunit *test)
{
	struct buffer *b = mappable_bar(test);
	struct sg_table *sgt = map_good(b);

	KUNIT_EXPECT_EQ(test, b->exp->dmabuf->cpu_synced, 0);
	unmap(b, sgt);
}

static void one_range_above_a_bounce_buffer(struct kunit *test)
{
	struct buffer *b = ordinary_memory(test, LARGE_SIZE);
	const struct phys_vec range = { b->start, b->size };
	struct sg_table *sgt;
	size_t border;

	b->exp = test_pal_exporter(test, test_list(test, &range, 1));
	attach_edu(b);
	sgt = map_good(b);
	if (b->bounced) {
		KUNIT_EXPECT_GE(test, sgt->nents, LARGE_SIZE / BOUNCE_MAX);
		expect_bounced(b, sgt);
	} else {
		KUNIT_EXPECT_EQ(test, sgt->nents, 1);
		expect_places(b, sgt, PAGE_SIZE);
	}
	for (border = BOUNCE_MAX; border < b->size; border += BOUNCE_MAX)
		copy(b, sgt, border - EDU_MAX / 2, border + EDU_MAX);
	expect_bytes(b);
	unmap(b, sgt);
}

/**
 * struct limits - what edu's driver says that an entry has to keep to
 * @what: it is about
 * @max: bytes of an entry
 * @boundary: mask of the addresses that it may not cross the end of
 */
struct limits {
	const char *what;
	unsigned int max;
	unsigned long boundary;
};

static const struct limits limits[] = {
	{ "a page", SZ_4K, ULONG_MAX },
	{ "two pages and a bit", 2 * SZ_4K + 1, ULONG_MAX },
	{ "a boundary at each page", UINT_MAX, SZ_4K - 1 },
	{ "a boundary at every other page", UINT_MAX, 2 * SZ_4K - 1 },
	{ "three pages, and a boundary at every fourth", 3 * SZ_4K,
	  4 * SZ_4K - 1 },
};

KUNIT_ARRAY_PARAM_DESC(limits, limits, what);

static void no_limits(void *unused)
{
	dma_set_max_seg_size(&edu->dev, UINT_MAX);
	dma_set_seg_boundary(&edu->dev, U32_MAX);
}

static void limit(struct kunit *test, const struct limits *l)
{
	int ret = kunit_add_action(test, no_limits, NULL);

	KUNIT_ASSERT_EQ(test, ret, 0);
	dma_set_max_seg_size(&edu->dev, l->max);
	dma_set_seg_boundary(&edu->dev, l->boundary);
}

static void expect_within(struct buffer *b, struct sg_table *sgt,
			  const struct limits *l)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		dma_addr_t last = sg_dma_address(sg) + sg_dma_len(sg) - 1;

		KUNIT_EXPECT_LE(b->test, sg_dma_len(sg), l->max);
		KUNIT_EXPECT_EQ(b->test, sg_dma_address(sg) | l->boundary,
				last | l->boundary);
	}
}

static void map_within(struct buffer *b, const struct limits *l)
{
	struct sg_table *sgt = map_good(b);

	expect_within(b, sgt, l);
	if (b->bounced)
		expect_bounced(b, sgt);
	else
		expect_places(b, sgt, PAGE_SIZE);
	expect_dma(b, sgt);
	unmap(b, sgt);
}

static void entries_of_the_bar_within_limits(struct kunit *test)
{
	const struct limits *l = test->param_value;

	limit(test, l);
	map_within(mappable_bar(test), l);
}

static void entries_of_memory_within_limits(struct kunit *test)
{
	const struct limits *l = test->param_value;
	struct buffer *b = memory_buffer(test);

	limit(test, l);
	attach_edu(b);
	map_within(b, l);
}

/* One IOVA range, but an entry cannot say its length */
static void iova_range_above_4g(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ 8ULL * SZ_1G, 3ULL * SZ_1G }, { 16ULL * SZ_1G, SZ_2G },
	};
	struct buffer *b = new_buffer(test);
	struct sg_table *sgt;

	if (p2p_route != ROUTE_IOVA)
		kunit_skip(test, "no IOVA ranges in this machine");

	/* Nobody does DMA to it, so it need not be there */
	b->exp = test_pal_exporter(test, test_list(test, ranges, 2));
	b->route = ROUTE_IOVA;
	attach_edu(b);
	sgt = map_good(b);
	/* Up to 4 GiB it is a page more than an entry can say */
	KUNIT_EXPECT_EQ(test, sgt->nents, 3);
	expect_places(b, sgt, SZ_256M);
	unmap(b, sgt);
}

static void unmap_leaves_no_translation(struct kunit *test)
{
	struct buffer *b = mappable_bar(test);
	struct sg_table *sgt;
	dma_addr_t iova;

	if (b->route != ROUTE_IOVA)
		kunit_skip(test, "no IOMMU to stop DMA in this machine");

	sgt = map_good(b);
	iova = sg_dma_address(sgt->sgl);
	/* So that the IOMMU has had reason to remember the translation */
	copy(b, sgt, 0, PAGES(1));
	unmap(b, sgt);

	expect_unmapped(b, iova);
	edu_run(test, EDU_BUFFER, iova + PAGES(1), EDU_MAX, EDU_TO_MEMORY);
	expect_bytes(b);
}

/* Room for any of the pieces, and for the parts of all that is free no more */
#define HOG_MASK	DMA_BIT_MASK(24)
#define HOG_SIZE	PAGES(4)
#define NR_HOGS		(SZ_16M / HOG_SIZE)

/* As long as the DMA API keeps entries in its queue, and some more */
#define FLUSH_MSECS	100

/**
 * struct hogs - IOVA ranges that nothing is linked to
 * @nr: how many have been allocated
 * @iova: they themselves; the DMA API has every other one back
 */
struct hogs {
	unsigned int nr;
	struct dma_iova_state iova[NR_HOGS];
};

static void free_hogs(void *data)
{
	struct hogs *hogs = data;
	unsigned int i;

	for (i = 0; i < hogs->nr; i += 2)
		dma_iova_free(&edu->dev, &hogs->iova[i]);
	dma_set_mask(&edu->dev, DMA_BIT_MASK(64));
}

static void fragment_iovas(struct kunit *test)
{
	struct hogs *hogs = kunit_kzalloc(test, sizeof(*hogs), GFP_KERNEL);
	unsigned int i;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, hogs);
	ret = kunit_add_action(test, free_hogs, hogs);
	KUNIT_ASSERT_EQ(test, ret, 0);
	ret = dma_set_mask(&edu->dev, HOG_MASK);
	KUNIT_ASSERT_EQ(test, ret, 0);

	while (hogs->nr < NR_HOGS &&
	       dma_iova_try_alloc(&edu->dev, &hogs->iova[hogs->nr], 0, HOG_SIZE))
		hogs->nr++;
	KUNIT_EXPECT_LT(test, hogs->nr, NR_HOGS);
	for (i = 1; i < hogs->nr; i += 2)
		dma_iova_free(&edu->dev, &hogs->iova[i]);
}

static void no_iova_range_for_all_of_it(struct kunit *test)
{
	struct buffer *b = mappable_bar(test);
	struct sg_table *sgt;
	dma_addr_t iova;
	size_t left;

	if (b->route != ROUTE_IOVA)
		kunit_skip(test, "no IOVA ranges in this machine");

	fragment_iovas(test);
	sgt = map_good(b);
	KUNIT_EXPECT_EQ(test, sgt->nents, BUFFER_EXTENTS);
	expect_places(b, sgt, PAGE_SIZE);
	expect_dma(b, sgt);
	iova = table_addr(sgt, PAGES(1), &left);
	unmap(b, sgt);

	/* An IOMMU that is lazy may remember for as long, but the table is gone */
	KUNIT_EXPECT_EQ(test, to_phys(b, iova), 0);
	msleep(FLUSH_MSECS);
	edu_run(test, EDU_BUFFER, iova, EDU_MAX, EDU_TO_MEMORY);
	expect_bytes(b);
}

static void failed_map_leaves_no_translation(struct kunit *test)
{
	struct buffer *b = mappable_bar(test);
	const struct dma_buf_phys_list *good = b->exp->list;
	struct dma_buf_phys_list *bad;
	struct sg_table *sgt;
	dma_addr_t iova;

	if (b->route != ROUTE_IOVA)
		kunit_skip(test, "no IOMMU that has a limit in this machine");

	sgt = map_good(b);
	iova = sg_dma_address(sgt->sgl);
	unmap(b, sgt);

	/* The last one is more than an IOMMU can translate to */
	bad = list_pieces(b);
	bad->attrs = good->attrs;
	bad->provider = good->provider;
	bad->ranges[ARRAY_SIZE(pieces) - 1].paddr = BIT_ULL(62);
	b->exp->list = bad;
	KUNIT_EXPECT_TRUE(test, IS_ERR(map(b)));
	expect_unmapped(b, iova);

	/* Most likely gets the same IOVA range, which has to be empty */
	b->exp->list = good;
	sgt = map_good(b);
	expect_addresses(b, sgt);
	unmap(b, sgt);
}

static void mmio_is_not_bounced(struct kunit *test)
{
	struct buffer *b = attached_bar(test);
	struct sg_table *sgt = NULL;
	int ret;

	if (b->route != ROUTE_PHYS)
		kunit_skip(test, "no DMA that may be bounced in this machine");

	KUNIT_ASSERT_TRUE(test, is_swiotlb_active(&edu->dev));
	KUNIT_ASSERT_GT(test, b->start, DMA_BIT_MASK(31));
	ret = dma_set_mask(&edu->dev, DMA_BIT_MASK(31));
	KUNIT_EXPECT_EQ(test, ret, 0);
	/* The DMA API warns, once in the life of a kernel */
	kunit_warning_suppress(test)
		sgt = map(b);
	dma_set_mask(&edu->dev, DMA_BIT_MASK(64));

	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EIO));
	if (!IS_ERR_OR_NULL(sgt))
		unmap(b, sgt);
}

/* What was mapped stays so until unmap, revoked or not */
static void table_outlives_a_revoke(struct kunit *test)
{
	struct buffer *b = mappable_bar(test);
	struct sg_table *sgt = map_good(b);
	unsigned int calls = 0;

	b->attach->importer_priv = &calls;
	test_revoke(b->exp);
	KUNIT_EXPECT_EQ(test, calls, 1);
	KUNIT_EXPECT_PTR_EQ(test, map(b), ERR_PTR(-ENODEV));
	expect_addresses(b, sgt);
	expect_dma(b, sgt);
	unmap(b, sgt);

	b->exp->err.map_phys = 0;
	sgt = map_good(b);
	expect_addresses(b, sgt);
	expect_dma(b, sgt);
	unmap(b, sgt);
}

static int probe_edu(struct pci_dev *pdev)
{
	int ret;

	edu_regs = pcim_iomap_region(pdev, 0, KBUILD_MODNAME);
	if (IS_ERR(edu_regs))
		return PTR_ERR(edu_regs);
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	/* The boundary is that of PCI, at 4 GiB */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	pci_set_master(pdev);
	edu = pdev;
	return 0;
}

static int probe_ivshmem(struct pci_dev *pdev)
{
	resource_size_t start = pci_resource_start(pdev, IVSHMEM_BAR);
	int ret;

	if (pci_resource_len(pdev, IVSHMEM_BAR) < MEMORY_SIZE)
		return -ENODEV;
	ret = pcim_request_region(pdev, IVSHMEM_BAR, KBUILD_MODNAME);
	if (ret)
		return ret;
	bar = devm_memremap(&pdev->dev, start, MEMORY_SIZE, MEMREMAP_WC);
	if (IS_ERR(bar))
		return PTR_ERR(bar);
	ret = pcim_p2pdma_init(pdev);
	if (ret)
		return ret;
	ivshmem = pdev;
	return 0;
}

static int pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	bool is_edu = pdev->device == DEVICE_EDU;
	int ret;

	/* The first of each */
	if (is_edu ? edu : ivshmem)
		return -EBUSY;
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	return is_edu ? probe_edu(pdev) : probe_ivshmem(pdev);
}

static void pci_remove(struct pci_dev *pdev)
{
	if (pdev == edu)
		edu = NULL;
	else
		ivshmem = NULL;
}

static const struct pci_device_id pci_ids[] = {
	{ PCI_DEVICE(VENDOR_QEMU, DEVICE_EDU) },
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, DEVICE_IVSHMEM) },
	{}
};

static struct pci_driver pci_test_driver = {
	.name = "dma-buf-mapping-pci",
	.id_table = pci_ids,
	.probe = pci_probe,
	.remove = pci_remove,
};

/* Takes no device from anybody unless it was asked to */
static int pci_suite_init(struct kunit_suite *suite)
{
	int ret;

	if (!route_param)
		return 0;
	ret = match_string(routes, ARRAY_SIZE(routes), route_param);
	if (ret < 0)
		return ret;
	p2p_route = ret;
	return pci_register_driver(&pci_test_driver);
}

static void pci_suite_exit(struct kunit_suite *suite)
{
	if (route_param && !suite->suite_init_err)
		pci_unregister_driver(&pci_test_driver);
}

static int pci_test_init(struct kunit *test)
{
	if (!route_param)
		kunit_skip(test, "dma_buf_mapping_pci.route= is not given");
	if (!edu || !ivshmem) {
		kunit_err(test, "this machine has no edu or no ivshmem device");
		return -ENODEV;
	}
	return 0;
}

static struct kunit_case pci_cases[] = {
	KUNIT_CASE(attach_goes_by_the_route),
	KUNIT_CASE(no_route_without_p2p_importer),
	KUNIT_CASE(addresses_are_of_the_route),
	KUNIT_CASE(dma_reaches_the_bar),
	KUNIT_CASE(dma_reaches_ordinary_memory),
	KUNIT_CASE(cpu_writes_between_dma),
	KUNIT_CASE(cpu_reads_during_dma),
	KUNIT_CASE(userspace_syncs),
	KUNIT_CASE(device_memory_is_not_synced),
	KUNIT_CASE(one_range_above_a_bounce_buffer),
	KUNIT_CASE_PARAM(entries_of_the_bar_within_limits, limits_gen_params),
	KUNIT_CASE_PARAM(entries_of_memory_within_limits, limits_gen_params),
	KUNIT_CASE(iova_range_above_4g),
	KUNIT_CASE(unmap_leaves_no_translation),
	KUNIT_CASE(no_iova_range_for_all_of_it),
	KUNIT_CASE(failed_map_leaves_no_translation),
	KUNIT_CASE(mmio_is_not_bounced),
	KUNIT_CASE(table_outlives_a_revoke),
	{}
};

static struct kunit_suite pci_suite = {
	.name = "dma-buf-mapping-pci",
	.suite_init = pci_suite_init,
	.suite_exit = pci_suite_exit,
	.init = pci_test_init,
	.test_cases = pci_cases,
};

kunit_test_suite(pci_suite);

MODULE_DESCRIPTION("KUnit tests of DMA-buf's tables between PCI devices");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
