// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the converter from PAL to SGT between two PCI devices: QEMU's edu
 * does DMA to the BAR of ivshmem, by the addresses of the table.
 *
 * Only who built the machine knows which way the DMA takes there, and has to
 * say so: dma_buf_mapping_pci.route=bus, iova, phys or none. The IOMMU is on
 * for iova alone; phys needs bounce buffers, thus memory above 4 GiB. Without
 * that parameter, the suite is skipped.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

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
 * @start: address that the exporter gives for @bytes
 * @bytes: the memory, MEMORY_SIZE of it
 * @expected: what each of @bytes has to be
 */
struct buffer {
	struct kunit *test;
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	struct p2pdma_provider provider;
	enum route route;
	phys_addr_t start;
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
static void fill(u8 *bytes)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 4);
	prandom_bytes_state(&rnd, bytes, MEMORY_SIZE);
}

static struct buffer *filled_buffer(struct kunit *test, u8 *bytes)
{
	struct buffer *b = new_buffer(test);

	b->bytes = bytes;
	b->expected = kunit_kmalloc(test, MEMORY_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b->expected);

	fill(b->expected);
	fill(b->bytes);
	return b;
}

/* The offset of the bridge has to count for bus addresses, and for them alone */
static struct buffer *bar_buffer(struct kunit *test)
{
	struct buffer *b = filled_buffer(test, bar);
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

static void free_memory(void *memory)
{
	free_pages_exact(memory, MEMORY_SIZE);
}

static struct buffer *memory_buffer(struct kunit *test)
{
	u8 *bytes = alloc_pages_exact(MEMORY_SIZE, GFP_KERNEL);
	struct buffer *b;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, bytes);
	ret = kunit_add_action_or_reset(test, free_memory, bytes);
	KUNIT_ASSERT_EQ(test, ret, 0);
	b = filled_buffer(test, bytes);
	b->route = p2p_route == ROUTE_IOVA ? ROUTE_IOVA : ROUTE_PHYS;
	b->start = virt_to_phys(bytes);
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

static void expect_addresses(struct buffer *b, struct sg_table *sgt)
{
	KUNIT_EXPECT_EQ(b->test, sgt->nents,
			b->route == ROUTE_IOVA ? 1 : BUFFER_EXTENTS);
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

static void expect_bytes(struct buffer *b)
{
	size_t i = 0;

	while (i < MEMORY_SIZE && b->bytes[i] == b->expected[i])
		i++;
	KUNIT_EXPECT_EQ(b->test, i, MEMORY_SIZE);
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
	struct buffer *b = attached_bar(test);
	struct sg_table *sgt = map_good(b);

	expect_addresses(b, sgt);
	unmap(b, sgt);
}

static void dma_reaches_the_bar(struct kunit *test)
{
	struct buffer *b = attached_bar(test);
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
	KUNIT_EXPECT_EQ(test, sgt->nents, 2);
	expect_places(b, sgt, SZ_256M);
	unmap(b, sgt);
}

static void unmap_leaves_no_translation(struct kunit *test)
{
	struct buffer *b = attached_bar(test);
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
	edu_run(test, EDU_BUFFER, iova + PAGES(2), EDU_MAX, EDU_TO_MEMORY);
	expect_bytes(b);
}

static void failed_map_leaves_no_translation(struct kunit *test)
{
	struct buffer *b = attached_bar(test);
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
	struct buffer *b = attached_bar(test);
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
	KUNIT_CASE(iova_range_above_4g),
	KUNIT_CASE(unmap_leaves_no_translation),
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
