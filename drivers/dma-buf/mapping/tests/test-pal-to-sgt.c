// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the converter from PAL to SGT, for devices without an IOMMU. Bus
 * addresses and IOVA ranges need PCI devices and are tested in a machine.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/math.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>

#include "helpers.h"

#define PAGES(_n) ((size_t)(_n) * PAGE_SIZE)
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

/*
 * Goes along table and list side by side, range by range. Tells the first
 * offset at which they differ, or the size.
 */
static size_t first_difference(struct sg_table *sgt,
			       const struct dma_buf_phys_list *list)
{
	const struct phys_vec *range = list->ranges;
	size_t offset = 0, used = 0;
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		dma_addr_t addr = sg_dma_address(sg);
		size_t left = sg_dma_len(sg);

		while (left) {
			size_t len = min(left, range->len - used);

			if (addr != range->paddr + used)
				return offset;
			addr += len;
			left -= len;
			offset += len;
			used += len;
			if (used == range->len) {
				range++;
				used = 0;
			}
		}
	}
	return offset;
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
	KUNIT_EXPECT_EQ(test, first_difference(sgt, list),
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

static void map_ranges(struct kunit *test, const struct phys_vec *ranges,
		       size_t nr, size_t entries)
{
	struct dma_buf_phys_list *list = test_list(test, ranges, nr);

	/* Checks the reference, which map_list() compares with */
	KUNIT_EXPECT_EQ(test, fewest_entries(list), entries);
	map_list(test, list);
}

static void expect_map_error(struct test_exporter *exp,
			     struct dma_buf_attachment *attach, int err)
{
	KUNIT_EXPECT_PTR_EQ(exp->test, map(attach), ERR_PTR(err));
	KUNIT_EXPECT_EQ(exp->test, exp->calls.map_phys, exp->calls.unmap_phys);
	KUNIT_EXPECT_EQ(exp->test, exp->calls.pin, exp->calls.unpin);
	KUNIT_EXPECT_TRUE(exp->test, list_empty(&exp->dmabuf->pals));
}

static void one_entry_for_one_range(struct kunit *test)
{
	static const struct phys_vec page[] = { { SZ_1G, PAGE_SIZE } };
	static const struct phys_vec more[] = { { SZ_1G, SZ_256M } };

	map_ranges(test, page, 1, 1);
	map_ranges(test, more, 1, 1);
}

static void ranges_with_holes_and_out_of_order(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_2G, PAGES(3) }, { SZ_1G, PAGES(1) },
		{ SZ_1G + PAGES(2), PAGES(1) }, { SZ_1G + PAGES(1), PAGES(1) },
	};

	map_ranges(test, ranges, ARRAY_SIZE(ranges), 4);
}

static void adjacent_ranges_are_merged(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, PAGES(1) }, { SZ_1G + PAGES(1), PAGES(7) },
		{ SZ_2G, PAGES(1) }, { SZ_2G + PAGES(1), PAGES(1) },
	};

	map_ranges(test, ranges, ARRAY_SIZE(ranges), 2);
}

static void split_at_page_aligned_size_below_4g(struct kunit *test)
{
	static const struct phys_vec fits[] = { { SZ_1G, LONGEST_ENTRY } };
	static const struct phys_vec splits[] = {
		{ SZ_1G, LONGEST_ENTRY + PAGE_SIZE },
	};
	/* Two ranges that are one entry too long once they are merged */
	static const struct phys_vec merged[] = {
		{ SZ_1G, LONGEST_ENTRY },
		{ SZ_1G + LONGEST_ENTRY, LONGEST_ENTRY + PAGE_SIZE },
	};

	map_ranges(test, fits, 1, 1);
	map_ranges(test, splits, 1, 2);
	map_ranges(test, merged, 2, 3);
}

/* Note 34: the length that was mapped was cut to 32 bits */
static void notes34_one_range_above_4g(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ 16ULL * SZ_1G, 5ULL * SZ_1G },
	};

	map_ranges(test, ranges, 1, 2);
}

static void notes34_many_ranges_above_4g(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list_alloc(test, 6);
	size_t i;

	for (i = 0; i < 6; i++) {
		list->ranges[i].paddr = (100ULL - 10 * i) * SZ_1G;
		list->ranges[i].len = SZ_1G + PAGE_SIZE;
	}
	map_list(test, list);
}

/* Note 33: the offset of an entry was computed in 32 bits */
static void notes33_one_range_above_8g(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ 16ULL * SZ_1G, 13ULL * SZ_1G + PAGE_SIZE },
		{ SZ_1G, PAGE_SIZE },
	};

	map_ranges(test, ranges, 2, 5);
}

/* Note 35: split at UINT_MAX, entries began and ended within a page */
static void notes35_split_entries_are_page_aligned(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G + PAGE_SIZE, 9ULL * SZ_1G },
		{ 64ULL * SZ_1G + PAGES(3), 4ULL * SZ_1G },
	};

	map_ranges(test, ranges, 2, 5);
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

/* Note 37: an address stays valid until unmap, revoked or not */
static void notes37_table_outlives_a_revoke(struct kunit *test)
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

	test_restore(exp);
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

static void revoked_buffer_gives_enodev(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;

	exp = test_pal_exporter(test, test_list(test, ranges, 1));
	exp->err.map_phys = -ENODEV;
	/* An importer of SGT may well attach, and map later */
	attach = attach_to(exp, DMA_BIT_MASK(64));
	expect_map_error(exp, attach, -ENODEV);
	test_detach(exp, attach);
}

static void bad_list_gives_einval(struct kunit *test)
{
	static const struct phys_vec good[] = { { SZ_1G, SZ_16M } };
	static const struct phys_vec bad[] = { { SZ_1G + 1, SZ_16M } };
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;

	exp = test_pal_exporter(test, test_list(test, good, 1));
	exp->list = test_list(test, bad, 1);
	attach = attach_to(exp, DMA_BIT_MASK(64));
	expect_map_error(exp, attach, -EINVAL);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);
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

	exp = test_pal_exporter(test, test_list(test, ranges, 3));
	attach = attach_to(exp, DMA_BIT_MASK(32));
	forbid_bouncing(attach->dev);
	/* The DMA API says so, once in the life of a kernel */
	kunit_warning_suppress(test)
		expect_map_error(exp, attach, -EIO);
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

static void expect_no_match(struct test_exporter *exp,
			    const struct dma_buf_attach_ops *ops)
{
	struct device *dev = test_device(exp->test, DMA_BIT_MASK(64));

	KUNIT_EXPECT_PTR_EQ(exp->test, test_attach_sgt(exp, dev, ops),
			    ERR_PTR(-EOPNOTSUPP));
	KUNIT_EXPECT_EQ(exp->test, exp->calls.attach, 0);
	KUNIT_EXPECT_EQ(exp->test, exp->calls.map_phys, 0);
}

static void mmio_needs_an_importer_with_p2p(struct kunit *test)
{
	struct p2pdma_provider *provider = provider_without_route(test);

	expect_no_match(mmio_exporter(test, provider), &test_nop2p_importer);
}

static void mmio_and_a_static_importer(struct kunit *test)
{
	struct p2pdma_provider *provider = provider_without_route(test);

	expect_no_match(mmio_exporter(test, provider), NULL);
	expect_no_match(mmio_exporter(test, NULL), NULL);
}

static void mmio_without_provider(struct kunit *test)
{
	expect_no_match(mmio_exporter(test, NULL), &test_p2p_importer);
}

static void mmio_without_a_route(struct kunit *test)
{
	struct p2pdma_provider *provider = provider_without_route(test);

	expect_no_match(mmio_exporter(test, provider), &test_p2p_importer);
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

static void importer_without_device_is_refused(struct kunit *test)
{
	static const struct phys_vec ranges[] = { { SZ_1G, SZ_16M } };
	struct test_exporter *exp;

	exp = test_pal_exporter(test, test_list(test, ranges, 1));
	KUNIT_EXPECT_PTR_EQ(test, test_attach_sgt(exp, NULL, NULL),
			    ERR_PTR(-EINVAL));
}

static struct kunit_case pal_to_sgt_cases[] = {
	KUNIT_CASE(one_entry_for_one_range),
	KUNIT_CASE(ranges_with_holes_and_out_of_order),
	KUNIT_CASE(adjacent_ranges_are_merged),
	KUNIT_CASE(split_at_page_aligned_size_below_4g),
	KUNIT_CASE(notes34_one_range_above_4g),
	KUNIT_CASE(notes34_many_ranges_above_4g),
	KUNIT_CASE(notes33_one_range_above_8g),
	KUNIT_CASE(notes35_split_entries_are_page_aligned),
	KUNIT_CASE(random_lists_against_reference),
	KUNIT_CASE(long_list_needs_a_chained_table),
	KUNIT_CASE(table_has_no_cpu_side),
	KUNIT_CASE(several_tables_at_a_time),
	KUNIT_CASE(notes37_table_outlives_a_revoke),
	KUNIT_CASE(static_importer_pins),
	KUNIT_CASE(revoked_buffer_gives_enodev),
	KUNIT_CASE(bad_list_gives_einval),
	KUNIT_CASE(half_of_all_memory_gives_einval),
	KUNIT_CASE(memory_out_of_the_devices_reach),
	KUNIT_CASE(mmio_needs_an_importer_with_p2p),
	KUNIT_CASE(mmio_and_a_static_importer),
	KUNIT_CASE(mmio_without_provider),
	KUNIT_CASE(mmio_without_a_route),
	KUNIT_CASE(list_is_mmio_but_the_entry_was_not),
	KUNIT_CASE(importer_without_device_is_refused),
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
