// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the converter from PAL to SGT, for devices without an IOMMU. Bus
 * addresses and IOVA ranges need PCI devices and are tested in a machine.
 */
#include <kunit/test.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/limits.h>
#include <linux/math.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>

#include "faults.h"
#include "helpers.h"

/* An entry's length is an unsigned int, and has to be page aligned */
#define LONGEST_ENTRY (BIT_ULL(32) - PAGE_SIZE)

static bool follows(const struct phys_vec *range)
{
	return range[-1].paddr + range[-1].len == range->paddr;
}

/* The fewest entries that a list can be told in */
static size_t fewest_entries(const struct dma_buf_phys_list *list)
{
	size_t entries = 0, run = 0, i;

	for (i = 0; i < list->nr_ranges; i++) {
		if (i && !follows(&list->ranges[i])) {
			entries += DIV_ROUND_UP(run, LONGEST_ENTRY);
			run = 0;
		}
		run += list->ranges[i].len;
	}
	return entries + DIV_ROUND_UP(run, LONGEST_ENTRY);
}

static size_t unaligned_entries(struct sg_table *sgt)
{
	struct scatterlist *sg;
	size_t unaligned = 0;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i)
		unaligned += !PAGE_ALIGNED(sg_dma_address(sg) | sg_dma_len(sg));
	return unaligned;
}

static void expect_table(struct kunit *test, struct sg_table *sgt,
			 const struct dma_buf_phys_list *list)
{
	KUNIT_EXPECT_EQ(test, test_sgt_difference(sgt, list),
			test_list_size(list));
	KUNIT_EXPECT_EQ(test, sgt->nents, fewest_entries(list));
	KUNIT_EXPECT_EQ(test, unaligned_entries(sgt), 0);
}

static struct dma_buf_attachment *attach_to(struct test_exporter *exp, u64 mask)
{
	struct dma_buf_attachment *attach;

	attach = test_attach_sgt(exp, test_device(exp->test, mask),
				 &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	KUNIT_EXPECT_STREQ(exp->test, dma_buf_mapping_name(attach),
			   "PAL -> SGT");
	return attach;
}

/* DMA to a device, as the debug code of the DMA API lets that overlap */
static struct sg_table *map(struct dma_buf_attachment *attach)
{
	return dma_buf_map_attachment_unlocked(attach, DMA_TO_DEVICE);
}

static void unmap(struct dma_buf_attachment *attach, struct sg_table *sgt)
{
	if (!IS_ERR_OR_NULL(sgt))
		dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_TO_DEVICE);
}

static void map_list(struct kunit *test, const struct dma_buf_phys_list *list)
{
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp, DMA_BIT_MASK(64));
	struct sg_table *sgt = map(attach);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	expect_table(test, sgt, list);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 0);
	unmap(attach, sgt);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);
	test_detach(exp, attach);
}

static void expect_map_error(struct test_exporter *exp,
			     struct dma_buf_attachment *attach, int err)
{
	KUNIT_EXPECT_PTR_EQ(exp->test, map(attach), ERR_PTR(err));
	KUNIT_EXPECT_EQ(exp->test, exp->calls.map_phys, exp->calls.unmap_phys);
	KUNIT_EXPECT_EQ(exp->test, exp->calls.pin, exp->calls.unpin);
}

/* What the debug code of the DMA API has room for, if it is there */
static u32 free_dma_entries(void)
{
	u32 *entries = test_debugfs_value("dma-api", "num_free_entries");

	return entries ? *entries : 0;
}

/**
 * struct table_case - ranges and how many entries they make
 * @what: it is about
 * @ranges: of the list
 * @nr_ranges: how many there are
 * @entries: the table has
 */
struct table_case {
	const char *what;
	struct phys_vec ranges[4];
	size_t nr_ranges;
	size_t entries;
};

static const struct table_case tables[] = {
	{ "a page", { { SZ_1G, PAGE_SIZE } }, 1, 1 },
	{ "one range", { { SZ_1G, SZ_256M } }, 1, 1 },
	{ "holes, and out of order",
	  { { SZ_2G, PAGES(3) }, { SZ_1G, PAGES(1) },
	    { SZ_1G + PAGES(2), PAGES(1) }, { SZ_1G + PAGES(1), PAGES(1) } },
	  4, 4 },
	{ "adjacent ranges are merged",
	  { { SZ_1G, PAGES(1) }, { SZ_1G + PAGES(1), PAGES(7) },
	    { SZ_2G, PAGES(1) }, { SZ_2G + PAGES(1), PAGES(1) } }, 4, 2 },
	{ "the longest entry", { { SZ_1G, LONGEST_ENTRY } }, 1, 1 },
	{ "a page more than the longest entry",
	  { { SZ_1G, LONGEST_ENTRY + PAGE_SIZE } }, 1, 2 },
	{ "two ranges that are too long once they are merged",
	  { { SZ_1G, LONGEST_ENTRY },
	    { SZ_1G + LONGEST_ENTRY, LONGEST_ENTRY + PAGE_SIZE } }, 2, 3 },
	/* A length in 32 bits would be cut */
	{ "above 4 GiB", { { 16ULL * SZ_1G, 5ULL * SZ_1G } }, 1, 2 },
	/* An offset in 32 bits would wrap */
	{ "above 8 GiB",
	  { { 16ULL * SZ_1G, 13ULL * SZ_1G + PAGE_SIZE },
	    { SZ_1G, PAGE_SIZE } }, 2, 5 },
	/* Split at UINT_MAX, entries would begin and end within a page */
	{ "split entries are page aligned",
	  { { SZ_1G + PAGE_SIZE, 9ULL * SZ_1G },
	    { 64ULL * SZ_1G + PAGES(3), 4ULL * SZ_1G } }, 2, 5 },
};

KUNIT_ARRAY_PARAM_DESC(tables, tables, what);

static void table_of_ranges(struct kunit *test)
{
	const struct table_case *c = test->param_value;
	struct dma_buf_phys_list *list =
		test_list(test, c->ranges, c->nr_ranges);

	/* Checks the reference, which map_list() compares with */
	KUNIT_EXPECT_EQ(test, fewest_entries(list), c->entries);
	map_list(test, list);
}

static void many_ranges_above_4g(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list_alloc(test, 6);
	size_t i;

	for (i = 0; i < 6; i++) {
		list->ranges[i].paddr = (100ULL - 10 * i) * SZ_1G;
		list->ranges[i].len = SZ_1G + PAGE_SIZE;
	}
	map_list(test, list);
}

static void random_lists_against_reference(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int round;

	prandom_seed_state(&rnd, 2);
	for (round = 0; round < 30; round++)
		map_list(test, test_random_list(test, &rnd,
						1 + test_random(&rnd, 40),
						5000));
}

/* More entries than one page of a scatterlist holds */
static void long_list_needs_a_chained_table(struct kunit *test)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 3);
	map_list(test, test_random_list(test, &rnd, 20000, 8));
}

/**
 * struct limits_case - what a device says of entries, and what that makes
 * @what: it is about
 * @max: longest segment that the device takes, in bytes
 * @boundary: mask of the addresses that a segment may not cross the end of
 * @ranges: of the list
 * @nr_ranges: how many there are
 * @entries: the table has
 */
struct limits_case {
	const char *what;
	unsigned int max;
	unsigned long boundary;
	struct phys_vec ranges[3];
	size_t nr_ranges;
	size_t entries;
};

static const struct limits_case limits[] = {
	{ "segments of 64 KiB", SZ_64K, ULONG_MAX,
	  { { SZ_1G, SZ_1M } }, 1, 16 },
	{ "a page more than segments of 64 KiB", SZ_64K, ULONG_MAX,
	  { { SZ_1G, SZ_64K }, { SZ_1G + SZ_64K, PAGES(1) },
	    { SZ_2G, SZ_64K } }, 3, 3 },
	{ "segments that do not end with a page", SZ_64K - 1, ULONG_MAX,
	  { { SZ_1G, SZ_64K } }, 1, 2 },
	{ "segments of less than a page", SZ_512, ULONG_MAX,
	  { { SZ_1G, PAGES(3) } }, 1, 3 },
	{ "up to a boundary", UINT_MAX, SZ_64K - 1,
	  { { SZ_1G + SZ_32K, SZ_32K }, { SZ_2G, SZ_32K } }, 2, 2 },
	{ "over a boundary", UINT_MAX, SZ_64K - 1,
	  { { SZ_1G + SZ_32K, SZ_32K + PAGES(1) } }, 1, 2 },
	{ "over some boundaries", UINT_MAX, SZ_64K - 1,
	  { { SZ_1G - PAGES(1), SZ_128K + PAGES(2) } }, 1, 4 },
	{ "boundaries within a page", UINT_MAX, SZ_512 - 1,
	  { { SZ_1G, PAGES(3) } }, 1, 3 },
	{ "over the boundary of a PCI device", UINT_MAX, U32_MAX,
	  { { 4ULL * SZ_1G - PAGES(1), PAGES(2) },
	    { 8ULL * SZ_1G, 4ULL * SZ_1G } }, 2, 4 },
	{ "segments and boundaries", SZ_64K - SZ_16K, SZ_64K - 1,
	  { { SZ_1G + SZ_32K, SZ_128K } }, 1, 4 },
	{ "only the longest entry", UINT_MAX, ULONG_MAX,
	  { { SZ_1G, 8ULL * SZ_1G } }, 1, 3 },
};

KUNIT_ARRAY_PARAM_DESC(limits, limits, what);

static bool crosses(dma_addr_t addr, size_t len, unsigned long boundary)
{
	return (addr | boundary) != ((addr + len - 1) | boundary);
}

/* The reference: a page goes to the entry before it, if that may have it */
static size_t fewest_entries_within(const struct dma_buf_phys_list *list,
				    size_t max, unsigned long boundary)
{
	size_t size = test_list_size(list), entries = 0, len = 0, offset;
	phys_addr_t start = 0, paddr;

	for (offset = 0; offset < size; offset += PAGE_SIZE) {
		paddr = test_list_paddr(list, offset);
		len += PAGE_SIZE;
		if (offset && start + len == paddr + PAGE_SIZE && len <= max &&
		    !crosses(start, len, boundary | ~PAGE_MASK))
			continue;
		start = paddr;
		len = PAGE_SIZE;
		entries++;
	}
	return entries;
}

static size_t entries_beyond_limits(struct sg_table *sgt, unsigned int max,
				    unsigned long boundary)
{
	struct scatterlist *sg;
	size_t bad = 0;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		size_t len = sg_dma_len(sg);

		bad += !PAGE_ALIGNED(sg_dma_address(sg) | len) ||
		       (len > PAGE_SIZE &&
			(len > max ||
			 crosses(sg_dma_address(sg), len, boundary)));
	}
	return bad;
}

static void map_within(struct kunit *test, const struct dma_buf_phys_list *list,
		       unsigned int max, unsigned long boundary, size_t entries)
{
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp, DMA_BIT_MASK(64));
	u32 free = free_dma_entries();
	struct sg_table *sgt;

	dma_set_max_seg_size(attach->dev, max);
	dma_set_seg_boundary(attach->dev, boundary);
	sgt = map(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, test_sgt_difference(sgt, list),
			test_list_size(list));
	KUNIT_EXPECT_EQ(test, sgt->nents, entries);
	KUNIT_EXPECT_EQ(test, entries_beyond_limits(sgt, max, boundary), 0);
	unmap(attach, sgt);
	KUNIT_EXPECT_EQ(test, free_dma_entries(), free);
	test_detach(exp, attach);
}

static void entries_within_limits(struct kunit *test)
{
	const struct limits_case *c = test->param_value;

	map_within(test, test_list(test, c->ranges, c->nr_ranges), c->max,
		   c->boundary, c->entries);
}

static void random_limits_against_reference(struct kunit *test)
{
	struct dma_buf_phys_list *list;
	struct rnd_state rnd;
	unsigned int round;

	prandom_seed_state(&rnd, 5);
	for (round = 0; round < 60; round++) {
		unsigned int max = PAGES(1 + test_random(&rnd, 20)) +
				   test_random(&rnd, 2);
		unsigned long boundary = PAGES(BIT(test_random(&rnd, 8))) - 1;

		list = test_random_list(test, &rnd, 1 + test_random(&rnd, 40),
					60);
		map_within(test, list, max, boundary,
			   fewest_entries_within(list,
						 ALIGN_DOWN(max, PAGE_SIZE),
						 boundary));
	}
}

/* Where nothing but boundaries splits, there is no guess that suffices */
static void each_range_crosses_a_boundary(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list_alloc(test, 1000);
	size_t i;

	for (i = 0; i < 1000; i++)
		list->ranges[i] = (struct phys_vec){
			SZ_1G + i * SZ_128K - PAGES(1), PAGES(2)
		};
	map_within(test, list, UINT_MAX, SZ_64K - 1, 2000);
}

/* A bus that counts differently, so that a boundary is where none was expected */
static void boundary_within_what_was_mapped(struct kunit *test)
{
	static const struct bus_dma_region bus[] = {
		{ 0, SZ_16K, BIT_ULL(40) }, {},
	};
	static const struct phys_vec ranges[] = {
		{ SZ_1G, PAGES(1) }, { SZ_2G, SZ_64K },
	};
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	u32 free;

	exp = test_pal_exporter(test, test_list(test, ranges, 2));
	attach = attach_to(exp, DMA_BIT_MASK(64));
	dma_set_seg_boundary(attach->dev, SZ_64K - 1);
	attach->dev->dma_range_map = bus;
	free = free_dma_entries();
	expect_map_error(exp, attach, -EIO);
	KUNIT_EXPECT_EQ(test, free_dma_entries(), free);
	attach->dev->dma_range_map = NULL;
	test_detach(exp, attach);
}

static void table_has_no_cpu_side(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, PAGE_SIZE }, { SZ_2G, PAGE_SIZE },
	};
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	exp = test_pal_exporter(test, test_list(test, ranges, 2));
	attach = attach_to(exp, DMA_BIT_MASK(64));
	/* Not by way of the copy that DMABUF_DEBUG makes */
	dma_resv_lock(exp->dmabuf->resv, NULL);
	sgt = dma_buf_sgt_map(attach, DMA_TO_DEVICE);
	if (!IS_ERR_OR_NULL(sgt)) {
		KUNIT_EXPECT_EQ(test, sgt->orig_nents, 0);
		KUNIT_EXPECT_EQ(test, sgt->nents, 2);
		KUNIT_EXPECT_NULL(test, sg_page(sgt->sgl));
		/* Else it is where the DMA length is */
		if (IS_ENABLED(CONFIG_NEED_SG_DMA_LENGTH))
			KUNIT_EXPECT_EQ(test, sgt->sgl->length, 0);
	}
	dma_buf_sgt_unmap(attach, sgt, DMA_TO_DEVICE);
	dma_resv_unlock(exp->dmabuf->resv);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, sgt);
	test_detach(exp, attach);
}

static void several_tables_at_a_time(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct dma_buf_phys_list *list = test_list(test, ranges, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *a = attach_to(exp, DMA_BIT_MASK(64));
	struct dma_buf_attachment *b = attach_to(exp, DMA_BIT_MASK(64));
	struct sg_table *one = map(a), *two = map(a), *three = map(b);

	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, one);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, two);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, three);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 3);
	unmap(a, one);
	unmap(b, three);
	if (!IS_ERR_OR_NULL(two))
		expect_table(test, two, list);
	unmap(a, two);
	test_detach(exp, b);
	test_detach(exp, a);
}

/* An address stays valid until unmap, revoked or not */
static void table_outlives_a_revoke(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct dma_buf_phys_list *list = test_list(test, ranges, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp, DMA_BIT_MASK(64));
	struct sg_table *sgt = map(attach);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	test_revoke(exp);
	/* The exporter waits for this one, and core must not be ahead of it */
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 0);
	KUNIT_EXPECT_PTR_EQ(test, map(attach), ERR_PTR(-ENODEV));
	expect_table(test, sgt, list);
	unmap(attach, sgt);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);

	exp->err.map_phys = 0;
	sgt = map(attach);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, sgt);
	unmap(attach, sgt);
	test_detach(exp, attach);
}

static void static_importer_pins(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	exp = test_pal_exporter(test, test_list(test, ranges, 1));
	attach = test_attach_sgt(exp, test_device(test, DMA_BIT_MASK(64)),
				 NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	sgt = map(attach);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, exp->calls.pin, 1);
	unmap(attach, sgt);
	KUNIT_EXPECT_EQ(test, exp->calls.unpin, 1);
	test_detach(exp, attach);
}

/* The DMA API has no way to say it, which must not become another size */
static void half_of_all_memory_gives_einval(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { 0, BIT_ULL(63) } };
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;

	exp = test_pal_exporter(test, test_list(test, ranges, 1));
	attach = attach_to(exp, DMA_BIT_MASK(64));
	expect_map_error(exp, attach, -EINVAL);
	test_detach(exp, attach);
}

/* Which would have the CPU read memory that is not there */
static void forbid_bouncing(struct device *dev)
{
#ifdef CONFIG_SWIOTLB
	dev->dma_io_tlb_mem = NULL;
#endif
}

static void memory_out_of_the_devices_reach(struct kunit *test)
{
	/* The last of them is, so that there is something to undo */
	static const struct phys_vec ranges[] = {
		{ SZ_1G, PAGES(1) }, { SZ_2G, PAGES(2) },
		{ 8ULL * SZ_1G, PAGES(1) },
	};
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	u32 entries;

	exp = test_pal_exporter(test, test_list(test, ranges, 3));
	attach = attach_to(exp, DMA_BIT_MASK(32));
	forbid_bouncing(attach->dev);
	entries = free_dma_entries();
	if (IS_ENABLED(CONFIG_DMA_API_DEBUG))
		KUNIT_EXPECT_NE(test, entries, 0);
	/* The DMA API says so, once in the life of a kernel */
	kunit_warning_suppress(test)
		expect_map_error(exp, attach, -EIO);
	/* Those before the one that failed are not mapped any more */
	KUNIT_EXPECT_EQ(test, free_dma_entries(), entries);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 1);
	test_detach(exp, attach);
}

static struct test_exporter *mmio_exporter(struct kunit *test,
					   struct p2pdma_provider *provider)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct dma_buf_phys_list *list = test_list(test, ranges, 1);

	list->attrs = DMA_BUF_PHYS_MMIO;
	list->provider = provider;
	return test_pal_exporter(test, list);
}

/* Of a PCI device that has not set up p2p: nothing reaches it */
static struct p2pdma_provider *provider_without_route(struct kunit *test)
{
	struct p2pdma_provider *provider;
	struct pci_dev *pdev;

	provider = kunit_kzalloc(test, sizeof(*provider), GFP_KERNEL);
	pdev = kunit_kzalloc(test, sizeof(*pdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, provider);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	provider->owner = &pdev->dev;
	return provider;
}

static const struct no_route {
	const char *why;
	bool provider;
	const struct dma_buf_attach_ops *importer;
} no_routes[] = {
	{ "importer without p2p", true, &test_nop2p_importer },
	{ "importer without p2p, no provider", false, &test_nop2p_importer },
	{ "importer without callbacks", true, NULL },
	{ "importer without callbacks, no provider", false, NULL },
	{ "no provider", false, &test_p2p_importer },
	{ "no route from the device to that of the provider", true,
	  &test_p2p_importer },
};

KUNIT_ARRAY_PARAM_DESC(no_routes, no_routes, why);

static void mmio_without_a_route(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct no_route *no = test->param_value;
	struct p2pdma_provider *provider = NULL;
	struct test_exporter *exp;

	if (no->provider)
		provider = provider_without_route(test);
	exp = mmio_exporter(test, provider);
	KUNIT_EXPECT_PTR_EQ(test, test_attach_sgt(exp, dev, no->importer),
			    ERR_PTR(-EOPNOTSUPP));
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 0);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 0);
}

/* An exporter that breaks its word gets an error, its device no DMA address */
static void list_is_mmio_but_the_entry_was_not(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct dma_buf_phys_list *list = test_list(test, ranges, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp, DMA_BIT_MASK(64));

	list->attrs = DMA_BUF_PHYS_MMIO;
	expect_map_error(exp, attach, -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 1);
	test_detach(exp, attach);
}

static const struct {
	const char *name;
	enum dma_data_direction dir;
	int err;
} directions[] = {
	{ "to the device", DMA_TO_DEVICE, 0 },
	{ "from the device", DMA_FROM_DEVICE, -EACCES },
	{ "both ways", DMA_BIDIRECTIONAL, -EACCES },
};

KUNIT_ARRAY_PARAM_DESC(directions, directions, name);

static void read_only_memory(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct dma_buf_phys_list *list = test_list(test, ranges, 1);
	const typeof(directions[0]) *d = test->param_value;
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	struct sg_table *sgt;

	list->attrs = DMA_BUF_PHYS_READ_ONLY;
	exp = test_pal_exporter(test, list);
	attach = attach_to(exp, DMA_BIT_MASK(64));
	sgt = dma_buf_map_attachment_unlocked(attach, d->dir);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(sgt), d->err);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 1);
	if (!IS_ERR_OR_NULL(sgt)) {
		expect_table(test, sgt, list);
		dma_buf_unmap_attachment_unlocked(attach, sgt, d->dir);
	}
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);
	test_detach(exp, attach);
}

/* Only the list counts, which the exporter may change from one to the next */
static void memory_becomes_read_only(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct dma_buf_phys_list *list = test_list(test, ranges, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp, DMA_BIT_MASK(64));
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);

	list->attrs = DMA_BUF_PHYS_READ_ONLY;
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EACCES));
	if (!IS_ERR_OR_NULL(sgt))
		dma_buf_unmap_attachment_unlocked(attach, sgt,
						  DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 2);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 2);
	test_detach(exp, attach);
}

static void importer_without_device_is_refused(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct test_exporter *exp;

	exp = test_pal_exporter(test, test_list(test, ranges, 1));
	KUNIT_EXPECT_PTR_EQ(test, test_attach_sgt(exp, NULL, NULL),
			    ERR_PTR(-EINVAL));
}

/* More than one scatterlist chunk has room for */
#define LIST_RANGES 300

/**
 * struct mapping - what a step of fault injection works on
 * @exp: the exporter
 * @dev: the importer's device
 * @attach: the attachment
 * @sgt: its table
 */
struct mapping {
	struct test_exporter *exp;
	struct device *dev;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
};

static struct mapping long_mapping(struct kunit *test)
{
	struct mapping m = { .dev = test_device(test, DMA_BIT_MASK(64)) };
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 7);
	m.exp = test_pal_exporter(test, test_random_list(test, &rnd,
							 LIST_RANGES, 4));
	return m;
}

/* An importer without callbacks, for which core pins */
static void attached(void *ctx)
{
	struct mapping *m = ctx;

	m->attach = dma_buf_attach(m->exp->dmabuf, m->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(m->exp->test, m->attach);
}

static int run_map(void *ctx)
{
	struct mapping *m = ctx;

	m->sgt = map(m->attach);
	return PTR_ERR_OR_ZERO(m->sgt);
}

static void expect_unmapped(void *ctx)
{
	struct mapping *m = ctx;
	struct kunit *test = m->exp->test;

	KUNIT_EXPECT_EQ(test, m->exp->calls.map_phys, m->exp->calls.unmap_phys);
	KUNIT_EXPECT_EQ(test, m->exp->calls.pin, m->exp->calls.unpin);
}

static void expect_mapped(void *ctx)
{
	struct mapping *m = ctx;

	expect_table(m->exp->test, m->sgt, m->exp->list);
}

static void undo_map(void *ctx)
{
	struct mapping *m = ctx;

	unmap(m->attach, m->sgt);
	expect_unmapped(m);
	dma_buf_detach(m->exp->dmabuf, m->attach);
	test_expect_idle(m->exp);
}

static const struct test_step map_step = {
	.prepare = attached,
	.run = run_map,
	.failed = expect_unmapped,
	.done = expect_mapped,
	.undo = undo_map,
};

static void long_list_without_memory(struct kunit *test)
{
	struct mapping m = long_mapping(test);
	u32 entries = free_dma_entries();

	test_needs_faults(test);
	/* What undoes the table, and each chunk of its entries */
	test_fail_each(test, &map_step, &m,
		       1 + LIST_RANGES / 2 / SG_MAX_SINGLE_ALLOC);
	KUNIT_EXPECT_EQ(test, free_dma_entries(), entries);
}

static void unmap_of_a_long_list_does_not_allocate(struct kunit *test)
{
	struct mapping m = long_mapping(test);

	test_needs_faults(test);
	attached(&m);
	KUNIT_ASSERT_EQ(test, run_map(&m), 0);
	test_no_alloc_begin();
	unmap(m.attach, m.sgt);
	test_no_alloc_end(test, "unmap");
	test_no_alloc_begin();
	dma_buf_detach(m.exp->dmabuf, m.attach);
	test_no_alloc_end(test, "detach");
	test_expect_idle(m.exp);
}

static struct kunit_case pal_to_sgt_cases[] = {
	KUNIT_CASE_PARAM(table_of_ranges, tables_gen_params),
	KUNIT_CASE(many_ranges_above_4g),
	KUNIT_CASE(random_lists_against_reference),
	KUNIT_CASE(long_list_needs_a_chained_table),
	KUNIT_CASE_PARAM(entries_within_limits, limits_gen_params),
	KUNIT_CASE(random_limits_against_reference),
	KUNIT_CASE(each_range_crosses_a_boundary),
	KUNIT_CASE(boundary_within_what_was_mapped),
	KUNIT_CASE(table_has_no_cpu_side),
	KUNIT_CASE(several_tables_at_a_time),
	KUNIT_CASE(table_outlives_a_revoke),
	KUNIT_CASE(static_importer_pins),
	KUNIT_CASE(half_of_all_memory_gives_einval),
	KUNIT_CASE(memory_out_of_the_devices_reach),
	KUNIT_CASE_PARAM(mmio_without_a_route, no_routes_gen_params),
	KUNIT_CASE(list_is_mmio_but_the_entry_was_not),
	KUNIT_CASE_PARAM(read_only_memory, directions_gen_params),
	KUNIT_CASE(memory_becomes_read_only),
	KUNIT_CASE(importer_without_device_is_refused),
	KUNIT_CASE(long_list_without_memory),
	KUNIT_CASE(unmap_of_a_long_list_does_not_allocate),
	{}
};

static struct kunit_suite pal_to_sgt_suite = {
	.name = "dma-buf-mapping-pal-to-sgt",
	.test_cases = pal_to_sgt_cases,
};

kunit_test_suite(pal_to_sgt_suite);

MODULE_DESCRIPTION("KUnit tests of DMA-buf's converter from PAL to SGT");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
