// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the PAL type: what core accepts of an exporter, and its index.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/module.h>

#include "helpers.h"

#define PAGES(_n) ((size_t)(_n) * PAGE_SIZE)
#define TOP_PAGE (-(phys_addr_t)PAGE_SIZE)

/* An attachment that converts, but has mapped nothing so far */
static struct dma_buf_attachment *attach_to(struct test_exporter *exp)
{
	struct device *dev = test_device(exp->test, DMA_BIT_MASK(64));
	struct dma_buf_attachment *attach;

	attach = test_attach_sgt(exp, dev, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	return attach;
}

static struct dma_buf_pal *get(struct dma_buf_attachment *attach)
{
	struct dma_buf_pal *pal;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	pal = dma_buf_pal_get(attach);
	dma_resv_unlock(attach->dmabuf->resv);
	return pal;
}

static void put(struct dma_buf_attachment *attach, struct dma_buf_pal *pal)
{
	dma_resv_lock(attach->dmabuf->resv, NULL);
	dma_buf_pal_put(attach, pal);
	dma_resv_unlock(attach->dmabuf->resv);
}

static struct test_exporter *exporter_of(struct kunit *test,
					 const struct dma_buf_phys_list *list,
					 size_t size)
{
	struct test_exporter *exp = test_exporter(test, &test_stated_ops, size);

	exp->list = list;
	exp->entries[0] = DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL);
	exp->num_entries = 1;
	return exp;
}

/* Refused means: the errno, the list given back, and nothing remembered */
static void refuse(struct kunit *test, const struct dma_buf_phys_list *list,
		   size_t size)
{
	struct test_exporter *exp = exporter_of(test, list, size);
	struct dma_buf_attachment *attach = attach_to(exp);

	KUNIT_EXPECT_PTR_EQ(test, get(attach), ERR_PTR(-EINVAL));
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);
	KUNIT_EXPECT_TRUE(test, list_empty(&exp->dmabuf->pals));
	test_detach(exp, attach);
}

static void refuse_ranges(struct kunit *test, const struct phys_vec *ranges,
			  size_t nr, size_t size)
{
	refuse(test, test_list(test, ranges, nr), size);
}

/* Returns the number of extents of a list that has to be good */
static size_t accept(struct kunit *test, const struct dma_buf_phys_list *list)
{
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	struct dma_buf_pal *pal;
	size_t extents;

	exp = exporter_of(test, list, test_list_size(list));
	attach = attach_to(exp);
	pal = get(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pal);
	KUNIT_EXPECT_PTR_EQ(test, pal->list, list);
	extents = pal->nr_extents;
	KUNIT_EXPECT_EQ(test, pal->extents[extents].offset,
			test_list_size(list));
	put(attach, pal);
	test_detach(exp, attach);
	test_expect_idle(exp);
	return extents;
}

static size_t accept_ranges(struct kunit *test, const struct phys_vec *ranges,
			    size_t nr)
{
	return accept(test, test_list(test, ranges, nr));
}

static void one_range(struct kunit *test)
{
	static const struct phys_vec page[] = { { SZ_1G, PAGE_SIZE } };
	static const struct phys_vec zero[] = { { 0, PAGE_SIZE } };

	KUNIT_EXPECT_EQ(test, accept_ranges(test, page, 1), 1);
	KUNIT_EXPECT_EQ(test, accept_ranges(test, zero, 1), 1);
}

/* Note 34: no range is an error, and not worth a WARN */
static void notes34_zero_ranges_are_refused(struct kunit *test)
{
	static const struct phys_vec none[] = { { SZ_1G, PAGE_SIZE } };

	refuse_ranges(test, none, 0, PAGE_SIZE);
	refuse_ranges(test, none, 0, 0);
}

static void no_list_is_refused(struct kunit *test)
{
	struct test_exporter *exp = exporter_of(test, NULL, PAGE_SIZE);
	struct dma_buf_attachment *attach = attach_to(exp);

	KUNIT_EXPECT_PTR_EQ(test, get(attach), ERR_PTR(-EINVAL));
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 0);
	test_detach(exp, attach);
}

static void empty_range_is_refused(struct kunit *test)
{
	static const struct phys_vec only[] = { { SZ_1G, 0 } };
	static const struct phys_vec first[] = {
		{ SZ_1G, 0 }, { SZ_2G, PAGE_SIZE },
	};
	static const struct phys_vec last[] = {
		{ SZ_1G, PAGE_SIZE }, { SZ_2G, 0 },
	};

	refuse_ranges(test, only, 1, 0);
	refuse_ranges(test, first, 2, PAGE_SIZE);
	refuse_ranges(test, last, 2, PAGE_SIZE);
}

static void unaligned_range_is_refused(struct kunit *test)
{
	static const struct phys_vec addr[] = { { SZ_1G + 1, PAGE_SIZE } };
	static const struct phys_vec half[] = {
		{ SZ_1G + PAGE_SIZE / 2, PAGE_SIZE },
	};
	static const struct phys_vec len[] = { { SZ_1G, PAGE_SIZE - 1 } };
	static const struct phys_vec more[] = { { SZ_1G, PAGE_SIZE + 1 } };
	/* Their sum is aligned, they are not */
	static const struct phys_vec two[] = {
		{ SZ_1G, PAGE_SIZE / 2 }, { SZ_2G, PAGE_SIZE / 2 },
	};

	refuse_ranges(test, addr, 1, PAGE_SIZE);
	refuse_ranges(test, half, 1, PAGE_SIZE);
	refuse_ranges(test, len, 1, PAGE_SIZE - 1);
	refuse_ranges(test, more, 1, PAGE_SIZE + 1);
	refuse_ranges(test, two, 2, PAGE_SIZE);
}

static void range_ends_at_top_of_phys_addr_t(struct kunit *test)
{
	static const struct phys_vec last_page[] = { { TOP_PAGE, PAGE_SIZE } };
	static const struct phys_vec two_pages[] = {
		{ TOP_PAGE - PAGE_SIZE, PAGE_SIZE }, { TOP_PAGE, PAGE_SIZE },
	};
	/* Follows in numbers, yet nothing follows the last byte there is */
	static const struct phys_vec around[] = {
		{ TOP_PAGE, PAGE_SIZE }, { 0, PAGE_SIZE },
	};

	KUNIT_EXPECT_EQ(test, accept_ranges(test, last_page, 1), 1);
	KUNIT_EXPECT_EQ(test, accept_ranges(test, two_pages, 2), 1);
	KUNIT_EXPECT_EQ(test, accept_ranges(test, around, 2), 2);
}

static void range_beyond_phys_addr_t_is_refused(struct kunit *test)
{
	static const struct phys_vec by_a_page[] = { { TOP_PAGE, PAGES(2) } };
	static const struct phys_vec by_far[] = { { SZ_1G, TOP_PAGE } };

	refuse_ranges(test, by_a_page, 1, PAGES(2));
	refuse_ranges(test, by_far, 1, TOP_PAGE);
}

/* Note 34: what wraps around must not look like the right size */
static void notes34_sum_overflow_is_refused(struct kunit *test)
{
	static const struct phys_vec wraps[] = {
		{ 0, BIT_ULL(63) }, { 0, BIT_ULL(63) }, { SZ_1G, PAGE_SIZE },
	};
	static const struct phys_vec to_zero[] = {
		{ 0, BIT_ULL(63) }, { 0, BIT_ULL(63) },
	};

	refuse_ranges(test, wraps, 3, PAGE_SIZE);
	refuse_ranges(test, to_zero, 2, 0);
}

static void sum_has_to_be_the_size(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, PAGES(3) }, { SZ_2G, PAGES(5) },
	};

	KUNIT_EXPECT_EQ(test, accept_ranges(test, ranges, 2), 2);
	refuse_ranges(test, ranges, 2, PAGES(7));
	refuse_ranges(test, ranges, 2, PAGES(9));
	refuse_ranges(test, ranges, 2, PAGES(8) - 1);
	refuse_ranges(test, ranges, 2, PAGES(8) + 1);
}

static void unknown_attributes_are_refused(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_1G, PAGE_SIZE } };
	struct dma_buf_phys_list *list = test_list(test, range, 1);
	unsigned int bit;

	list->attrs = DMA_BUF_PHYS_MMIO;
	KUNIT_EXPECT_EQ(test, accept(test, list), 1);
	for (bit = 1; bit < 32; bit++) {
		list->attrs = BIT(bit);
		refuse(test, list, PAGE_SIZE);
	}
	list->attrs = ~0U;
	refuse(test, list, PAGE_SIZE);
}

static void adjacent_ranges_are_merged(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		/* One extent of three */
		{ SZ_1G, PAGES(1) },
		{ SZ_1G + PAGES(1), PAGES(2) },
		{ SZ_1G + PAGES(3), PAGES(1) },
		/* A hole */
		{ SZ_1G + PAGES(5), PAGES(1) },
		/* In front of the one before it: not in the buffer's order */
		{ SZ_1G + PAGES(4), PAGES(1) },
		/* The same memory again */
		{ SZ_1G + PAGES(4), PAGES(1) },
		{ SZ_1G + PAGES(5), PAGES(1) },
	};

	KUNIT_EXPECT_EQ(test, accept_ranges(test, ranges, ARRAY_SIZE(ranges)),
			4);
}

static void one_million_ranges(struct kunit *test)
{
	const size_t nr = 1000000;
	struct dma_buf_phys_list *list = test_list_alloc(test, nr);
	size_t i;

	for (i = 0; i < nr; i++) {
		list->ranges[i].paddr = SZ_1G + PAGES(2 * (nr - i));
		list->ranges[i].len = PAGE_SIZE;
	}
	KUNIT_EXPECT_EQ(test, accept(test, list), nr);

	for (i = 0; i < nr; i++)
		list->ranges[i].paddr = SZ_1G + PAGES(i);
	KUNIT_EXPECT_EQ(test, accept(test, list), 1);

	/* The last of them is looked at as well */
	list->ranges[nr - 1].paddr++;
	refuse(test, list, PAGES(nr));
}

/* Note 42: a revoked buffer is no error of the exporter's */
static void notes42_revoked_buffer_gives_enodev(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_1G, PAGE_SIZE } };
	struct dma_buf_phys_list *list = test_list(test, range, 1);
	struct test_exporter *exp = exporter_of(test, list, PAGE_SIZE);
	struct dma_buf_attachment *attach = attach_to(exp);

	exp->err.map_phys = -ENODEV;
	KUNIT_EXPECT_PTR_EQ(test, get(attach), ERR_PTR(-ENODEV));
	exp->err.map_phys = -ERESTARTSYS;
	KUNIT_EXPECT_PTR_EQ(test, get(attach), ERR_PTR(-ERESTARTSYS));
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 0);
	test_detach(exp, attach);
}

/* Tells the first offset at which index and reference differ, or the size */
static size_t first_difference(struct dma_buf_pal *pal,
			       const struct dma_buf_phys_list *list)
{
	size_t size = test_list_size(list);
	size_t offset;

	for (offset = 0; offset < size; offset += PAGE_SIZE / 2) {
		const struct dma_buf_extent *e = dma_buf_pal_find(pal, offset);

		if (!e || offset < e->offset ||
		    offset - e->offset >= dma_buf_extent_len(e) ||
		    e->paddr + (offset - e->offset) !=
		    test_list_paddr(list, offset))
			break;
	}
	return offset;
}

static void find_against_linear_reference(struct kunit *test)
{
	struct dma_buf_phys_list *list;
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	struct dma_buf_pal *pal;
	struct rnd_state rnd;
	unsigned int round;

	prandom_seed_state(&rnd, 1);
	for (round = 0; round < 40; round++) {
		list = test_random_list(test, &rnd, 1 + round, 30);
		exp = test_pal_exporter(test, list);
		attach = attach_to(exp);
		pal = get(attach);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pal);
		KUNIT_EXPECT_EQ(test, first_difference(pal, list),
				test_list_size(list));
		put(attach, pal);
		test_detach(exp, attach);
	}
}

/* Both ends of every extent, where a search is wrong if it is wrong */
static void find_in_one_million_ranges(struct kunit *test)
{
	const size_t nr = 1000000;
	struct dma_buf_phys_list *list = test_list_alloc(test, nr);
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	struct dma_buf_pal *pal;
	size_t i, wrong = 0;

	for (i = 0; i < nr; i++) {
		list->ranges[i].paddr = SZ_1G + PAGES(3 * i);
		list->ranges[i].len = PAGES(2);
	}
	exp = test_pal_exporter(test, list);
	attach = attach_to(exp);
	pal = get(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pal);
	for (i = 0; i < nr; i++) {
		wrong += dma_buf_pal_find(pal, PAGES(2 * i)) != pal->extents + i;
		wrong += dma_buf_pal_find(pal, PAGES(2 * i + 2) - 1) !=
			 pal->extents + i;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	put(attach, pal);
	test_detach(exp, attach);
}

static void one_index_is_shared_by_attachments(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_1G, PAGE_SIZE } };
	struct dma_buf_phys_list *list = test_list(test, range, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *a = attach_to(exp);
	struct dma_buf_attachment *b;
	struct dma_buf_pal *pa, *pb;

	b = test_attach_sgt(exp, a->dev, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b);
	pa = get(a);
	pb = get(b);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pa);
	KUNIT_EXPECT_PTR_EQ(test, pa, pb);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 2);

	put(a, pa);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);
	KUNIT_EXPECT_FALSE(test, list_empty(&exp->dmabuf->pals));
	KUNIT_EXPECT_PTR_EQ(test, dma_buf_pal_find(pb, 0), &pb->extents[0]);
	put(b, pb);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 2);
	KUNIT_EXPECT_TRUE(test, list_empty(&exp->dmabuf->pals));
	test_detach(exp, b);
	test_detach(exp, a);
}

static void another_list_has_an_index_of_its_own(struct kunit *test)
{
	static const struct phys_vec here[] = { { SZ_1G, PAGE_SIZE } };
	static const struct phys_vec there[] = { { SZ_2G, PAGE_SIZE } };
	struct dma_buf_phys_list *list = test_list(test, here, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct dma_buf_pal *before, *after;

	before = get(attach);
	exp->list = test_list(test, there, 1);
	after = get(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, before);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, after);
	KUNIT_EXPECT_EQ(test, before->extents[0].paddr, SZ_1G);
	KUNIT_EXPECT_EQ(test, after->extents[0].paddr, SZ_2G);
	put(attach, before);
	put(attach, after);
	test_detach(exp, attach);
}

static struct kunit_case pal_cases[] = {
	KUNIT_CASE(one_range),
	KUNIT_CASE(notes34_zero_ranges_are_refused),
	KUNIT_CASE(no_list_is_refused),
	KUNIT_CASE(empty_range_is_refused),
	KUNIT_CASE(unaligned_range_is_refused),
	KUNIT_CASE(range_ends_at_top_of_phys_addr_t),
	KUNIT_CASE(range_beyond_phys_addr_t_is_refused),
	KUNIT_CASE(notes34_sum_overflow_is_refused),
	KUNIT_CASE(sum_has_to_be_the_size),
	KUNIT_CASE(unknown_attributes_are_refused),
	KUNIT_CASE(adjacent_ranges_are_merged),
	KUNIT_CASE(one_million_ranges),
	KUNIT_CASE(notes42_revoked_buffer_gives_enodev),
	KUNIT_CASE(find_against_linear_reference),
	KUNIT_CASE(find_in_one_million_ranges),
	KUNIT_CASE(one_index_is_shared_by_attachments),
	KUNIT_CASE(another_list_has_an_index_of_its_own),
	{}
};

static struct kunit_suite pal_suite = {
	.name = "dma-buf-mapping-pal",
	.test_cases = pal_cases,
};

kunit_test_suite(pal_suite);

MODULE_DESCRIPTION("KUnit tests of physical address lists of DMA-buf");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
