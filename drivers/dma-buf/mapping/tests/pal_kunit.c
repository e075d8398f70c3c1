// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of physical address lists: what core accepts of an exporter, and its
 * index.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/module.h>

#include "helpers.h"

#define TOP_PAGE (-(phys_addr_t)PAGE_SIZE)
#define MAX_RANGES 8

/* An attachment that converts, but has mapped nothing so far */
static struct dma_buf_attachment *attach_to(struct test_exporter *exp)
{
	struct device *dev = test_device(exp->test, DMA_BIT_MASK(64));
	struct dma_buf_attachment *attach;

	attach = test_attach_sgt(exp, dev, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	return attach;
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

static const struct dma_buf_phys_list *
map(struct dma_buf_attachment *attach, size_t *extents)
{
	const struct dma_buf_phys_list *list;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	list = dma_buf_pal_map(attach, extents);
	dma_resv_unlock(attach->dmabuf->resv);
	return list;
}

static void unmap(struct dma_buf_attachment *attach,
		  const struct dma_buf_phys_list *list)
{
	dma_resv_lock(attach->dmabuf->resv, NULL);
	dma_buf_pal_unmap(attach, list);
	dma_resv_unlock(attach->dmabuf->resv);
}

static struct dma_buf_pal_index *get(struct dma_buf_attachment *attach)
{
	struct dma_buf_pal_index *index = NULL;
	int ret;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	ret = dma_buf_pal_index_get(attach, &index);
	dma_resv_unlock(attach->dmabuf->resv);
	return ret ? ERR_PTR(ret) : index;
}

static void put(struct dma_buf_attachment *attach,
		struct dma_buf_pal_index *index)
{
	dma_resv_lock(attach->dmabuf->resv, NULL);
	dma_buf_pal_index_unmap(attach, index);
	dma_buf_pal_index_put(index);
	dma_resv_unlock(attach->dmabuf->resv);
}

/* Refused means: the errno, the list given back, and nothing remembered */
static void expect_refusal(struct kunit *test,
			   const struct dma_buf_phys_list *list, size_t size)
{
	struct test_exporter *exp = exporter_of(test, list, size);
	struct dma_buf_attachment *attach = attach_to(exp);
	size_t extents;

	KUNIT_EXPECT_PTR_EQ(test, map(attach, &extents), ERR_PTR(-EINVAL));
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);
	KUNIT_EXPECT_PTR_EQ(test, get(attach), ERR_PTR(-EINVAL));
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 2);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 2);
	KUNIT_EXPECT_TRUE(test, list_empty(&exp->dmabuf->pal_indexes));
	test_detach(exp, attach);
}

static void expect_extents(struct kunit *test,
			   const struct dma_buf_phys_list *list,
			   size_t expected)
{
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	struct dma_buf_pal_index *index;
	size_t extents = 0;

	exp = exporter_of(test, list, test_list_size(list));
	attach = attach_to(exp);
	KUNIT_EXPECT_PTR_EQ(test, map(attach, &extents), list);
	KUNIT_EXPECT_EQ(test, extents, expected);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 0);
	unmap(attach, list);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);

	index = get(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, index);
	KUNIT_EXPECT_PTR_EQ(test, index->list, list);
	KUNIT_EXPECT_EQ(test, index->nr_extents, expected);
	KUNIT_EXPECT_EQ(test, index->extents[expected].offset,
			test_list_size(list));
	put(attach, index);
	test_detach(exp, attach);
	test_expect_idle(exp);
}

/**
 * struct list_case - a list and what core says of it
 * @what: it is about
 * @ranges: of the list
 * @nr_ranges: how many there are
 * @extents: that they merge to, 0 if the list is to be refused
 * @size: of the buffer, where it is not the sum of a good list
 */
struct list_case {
	const char *what;
	struct phys_vec ranges[MAX_RANGES];
	size_t nr_ranges;
	size_t extents;
	size_t size;
};

static const struct list_case good_lists[] = {
	{ "one page", { { SZ_1G, PAGE_SIZE } }, 1, 1 },
	{ "a page at address 0", { { 0, PAGE_SIZE } }, 1, 1 },
	{ "two ranges", { { SZ_1G, PAGES(3) }, { SZ_2G, PAGES(5) } }, 2, 2 },
	{ "adjacent ranges, of which some merge", {
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
	  }, 7, 4 },
	{ "the last page of phys_addr_t", { { TOP_PAGE, PAGE_SIZE } }, 1, 1 },
	{ "the last two pages, as two ranges",
	  { { TOP_PAGE - PAGE_SIZE, PAGE_SIZE }, { TOP_PAGE, PAGE_SIZE } }, 2,
	  1 },
	/* Follows in numbers, yet nothing follows the last byte there is */
	{ "the last page and page 0",
	  { { TOP_PAGE, PAGE_SIZE }, { 0, PAGE_SIZE } }, 2, 2 },
	{ "half of all addresses", { { 0, BIT_ULL(63) } }, 1, 1 },
};

KUNIT_ARRAY_PARAM_DESC(good_lists, good_lists, what);

static void good_list_is_taken(struct kunit *test)
{
	const struct list_case *c = test->param_value;

	expect_extents(test, test_list(test, c->ranges, c->nr_ranges),
		       c->extents);
}

static const struct list_case bad_lists[] = {
	{ "no range", { }, 0, 0, PAGE_SIZE },
	{ "no range, no size", { }, 0, 0, 0 },
	{ "an empty range", { { SZ_1G, 0 } }, 1, 0, 0 },
	{ "the first range is empty",
	  { { SZ_1G, 0 }, { SZ_2G, PAGE_SIZE } }, 2, 0, PAGE_SIZE },
	{ "the last range is empty",
	  { { SZ_1G, PAGE_SIZE }, { SZ_2G, 0 } }, 2, 0, PAGE_SIZE },
	{ "an address within a page",
	  { { SZ_1G + 1, PAGE_SIZE } }, 1, 0, PAGE_SIZE },
	{ "an address in the middle of a page",
	  { { SZ_1G + PAGE_SIZE / 2, PAGE_SIZE } }, 1, 0, PAGE_SIZE },
	{ "a byte less than a page",
	  { { SZ_1G, PAGE_SIZE - 1 } }, 1, 0, PAGE_SIZE - 1 },
	{ "a byte more than a page",
	  { { SZ_1G, PAGE_SIZE + 1 } }, 1, 0, PAGE_SIZE + 1 },
	{ "two halves of a page, the sum of which is aligned",
	  { { SZ_1G, PAGE_SIZE / 2 }, { SZ_2G, PAGE_SIZE / 2 } }, 2, 0,
	  PAGE_SIZE },
	{ "a page beyond phys_addr_t",
	  { { TOP_PAGE, PAGES(2) } }, 1, 0, PAGES(2) },
	{ "far beyond phys_addr_t",
	  { { SZ_1G, TOP_PAGE } }, 1, 0, TOP_PAGE },
	/* What wraps around must not look like the right size */
	{ "a sum that wraps around to the size",
	  { { 0, BIT_ULL(63) }, { 0, BIT_ULL(63) }, { SZ_1G, PAGE_SIZE } }, 3,
	  0, PAGE_SIZE },
	{ "a sum that wraps around to 0",
	  { { 0, BIT_ULL(63) }, { 0, BIT_ULL(63) } }, 2, 0, 0 },
	{ "a page more than the buffer",
	  { { SZ_1G, PAGES(3) }, { SZ_2G, PAGES(5) } }, 2, 0, PAGES(7) },
	{ "a page less than the buffer",
	  { { SZ_1G, PAGES(3) }, { SZ_2G, PAGES(5) } }, 2, 0, PAGES(9) },
	{ "a byte more than the buffer",
	  { { SZ_1G, PAGES(3) }, { SZ_2G, PAGES(5) } }, 2, 0, PAGES(8) - 1 },
	{ "a byte less than the buffer",
	  { { SZ_1G, PAGES(3) }, { SZ_2G, PAGES(5) } }, 2, 0, PAGES(8) + 1 },
};

KUNIT_ARRAY_PARAM_DESC(bad_lists, bad_lists, what);

/* An error and not worth a WARN, as userspace may be behind it */
static void bad_list_is_refused(struct kunit *test)
{
	const struct list_case *c = test->param_value;

	expect_refusal(test, test_list(test, c->ranges, c->nr_ranges), c->size);
}

static void unknown_attributes_are_refused(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_1G, PAGE_SIZE } };
	struct dma_buf_phys_list *list = test_list(test, range, 1);
	unsigned int bit;

	list->attrs = DMA_BUF_PHYS_MMIO | DMA_BUF_PHYS_READ_ONLY;
	expect_extents(test, list, 1);
	for (bit = 0; bit < 32; bit++) {
		list->attrs = BIT(bit);
		if (!(DMA_BUF_PHYS_ATTRS & BIT(bit)))
			expect_refusal(test, list, PAGE_SIZE);
	}
	list->attrs = ~0U;
	expect_refusal(test, list, PAGE_SIZE);
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
	expect_extents(test, list, nr);

	for (i = 0; i < nr; i++)
		list->ranges[i].paddr = SZ_1G + PAGES(i);
	expect_extents(test, list, 1);

	/* The last of them is looked at as well */
	list->ranges[nr - 1].paddr++;
	expect_refusal(test, list, PAGES(nr));
}

/* A revoked buffer is no error of the exporter's: its errno is passed on */
static const struct no_list {
	const char *why;
	int map_phys;
	int err;
} no_lists[] = {
	{ "revoked", -ENODEV, -ENODEV },
	{ "interrupted", -ERESTARTSYS, -ERESTARTSYS },
	{ "no error and no list", 0, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(no_lists, no_lists, why);

static void exporter_without_a_list(struct kunit *test)
{
	const struct no_list *no = test->param_value;
	struct test_exporter *exp = exporter_of(test, NULL, PAGE_SIZE);
	struct dma_buf_attachment *attach = attach_to(exp);
	size_t extents;

	exp->err.map_phys = no->map_phys;
	KUNIT_EXPECT_PTR_EQ(test, map(attach, &extents), ERR_PTR(no->err));
	KUNIT_EXPECT_PTR_EQ(test, get(attach), ERR_PTR(no->err));
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 0);
	test_detach(exp, attach);
}

/* Tells the first offset at which index and reference differ, or the size */
static size_t first_difference(struct dma_buf_pal_index *index,
			       const struct dma_buf_phys_list *list)
{
	size_t size = test_list_size(list);
	size_t offset;

	for (offset = 0; offset < size; offset += PAGE_SIZE / 2) {
		const struct dma_buf_extent *e = dma_buf_pal_find(index, offset);

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
	struct dma_buf_pal_index *index;
	struct rnd_state rnd;
	unsigned int round;

	prandom_seed_state(&rnd, 1);
	for (round = 0; round < 40; round++) {
		list = test_random_list(test, &rnd, 1 + round, 30);
		exp = test_pal_exporter(test, list);
		attach = attach_to(exp);
		index = get(attach);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, index);
		KUNIT_EXPECT_EQ(test, first_difference(index, list),
				test_list_size(list));
		put(attach, index);
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
	struct dma_buf_pal_index *index;
	size_t i, wrong = 0;

	for (i = 0; i < nr; i++) {
		list->ranges[i].paddr = SZ_1G + PAGES(3 * i);
		list->ranges[i].len = PAGES(2);
	}
	exp = test_pal_exporter(test, list);
	attach = attach_to(exp);
	index = get(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, index);
	for (i = 0; i < nr; i++) {
		wrong += dma_buf_pal_find(index, PAGES(2 * i)) != index->extents + i;
		wrong += dma_buf_pal_find(index, PAGES(2 * i + 2) - 1) !=
			 index->extents + i;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	put(attach, index);
	test_detach(exp, attach);
}

static void one_index_is_shared_by_attachments(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_1G, PAGE_SIZE } };
	struct dma_buf_phys_list *list = test_list(test, range, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *a = attach_to(exp);
	struct dma_buf_attachment *b;
	struct dma_buf_pal_index *pa, *pb;

	b = test_attach_sgt(exp, a->dev, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b);
	pa = get(a);
	pb = get(b);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pa);
	KUNIT_EXPECT_PTR_EQ(test, pa, pb);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 2);

	put(a, pa);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);
	KUNIT_EXPECT_FALSE(test, list_empty(&exp->dmabuf->pal_indexes));
	KUNIT_EXPECT_PTR_EQ(test, dma_buf_pal_find(pb, 0), &pb->extents[0]);
	put(b, pb);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 2);
	KUNIT_EXPECT_TRUE(test, list_empty(&exp->dmabuf->pal_indexes));
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
	struct dma_buf_pal_index *before, *after;

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

/* What an attachment does that is revoked and restored with an index that it has */
static struct dma_buf_pal_index *get_again(struct test_exporter *exp,
					   struct dma_buf_attachment *attach,
					   struct dma_buf_pal_index *index,
					   const struct dma_buf_phys_list *list)
{
	dma_resv_lock(attach->dmabuf->resv, NULL);
	dma_buf_pal_index_unmap(attach, index);
	KUNIT_EXPECT_EQ(exp->test, exp->calls.map_phys, exp->calls.unmap_phys);
	exp->list = list;
	KUNIT_EXPECT_EQ(exp->test, 0, dma_buf_pal_index_get(attach, &index));
	dma_resv_unlock(attach->dmabuf->resv);
	return index;
}

static void kept_index_serves_the_same_list(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, PAGE_SIZE }, { SZ_2G, SZ_64K },
	};
	struct dma_buf_phys_list *list = test_list(test, ranges, 2);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct dma_buf_pal_index *index = get(attach);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, index);
	KUNIT_EXPECT_PTR_EQ(test, get_again(exp, attach, index, list), index);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&exp->dmabuf->pal_indexes));
	put(attach, index);
	test_detach(exp, attach);
}

static const struct changed_list {
	const char *how;
	struct phys_vec ranges[2];
	size_t nr_ranges;
} changed_lists[] = {
	{ "a range moved", { { SZ_1G, PAGES(2) }, { SZ_4G, PAGES(2) } }, 2 },
	{ "they changed places",
	  { { SZ_2G, PAGES(2) }, { SZ_1G, PAGES(2) } }, 2 },
	{ "a page went from one to the other",
	  { { SZ_1G, PAGES(1) }, { SZ_2G, PAGES(3) } }, 2 },
	{ "they became one", { { SZ_1G, PAGES(4) } }, 1 },
};

KUNIT_ARRAY_PARAM_DESC(changed_lists, changed_lists, how);

/* At the same address in memory, as an exporter may use it again */
static void kept_index_does_not_serve_another_list(struct kunit *test)
{
	static const struct phys_vec before[] = {
		{ SZ_1G, PAGES(2) }, { SZ_2G, PAGES(2) },
	};
	const struct changed_list *changed = test->param_value;
	struct dma_buf_phys_list *list = test_list(test, before, 2);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *a = attach_to(exp), *b;
	struct dma_buf_pal_index *kept = get(a), *now;

	b = test_attach_sgt(exp, a->dev, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kept);
	KUNIT_EXPECT_PTR_EQ(test, get(b), kept);
	dma_resv_lock(exp->dmabuf->resv, NULL);
	dma_buf_pal_index_unmap(b, kept);
	dma_resv_unlock(exp->dmabuf->resv);

	dma_resv_lock(exp->dmabuf->resv, NULL);
	dma_buf_pal_index_unmap(a, kept);
	memcpy(list->ranges, changed->ranges, sizeof(changed->ranges));
	list->nr_ranges = changed->nr_ranges;
	now = kept;
	KUNIT_EXPECT_EQ(test, 0, dma_buf_pal_index_get(a, &now));
	KUNIT_EXPECT_PTR_NE(test, now, kept);
	KUNIT_EXPECT_EQ(test, now->nr_extents, changed->nr_ranges);
	KUNIT_EXPECT_EQ(test, now->extents[0].paddr, changed->ranges[0].paddr);
	/* The other attachment's finds the new one */
	KUNIT_EXPECT_EQ(test, 0, dma_buf_pal_index_get(b, &kept));
	KUNIT_EXPECT_PTR_EQ(test, now, kept);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&exp->dmabuf->pal_indexes));
	dma_resv_unlock(exp->dmabuf->resv);
	put(b, kept);
	put(a, now);
	test_detach(exp, b);
	test_detach(exp, a);
}

/* It stays with the attachment, which may ask again */
static void kept_index_outlives_an_error(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_1G, PAGE_SIZE } };
	struct dma_buf_phys_list *list = test_list(test, range, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct dma_buf_pal_index *index = get(attach), *kept = index;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, index);
	dma_resv_lock(exp->dmabuf->resv, NULL);
	dma_buf_pal_index_unmap(attach, index);
	exp->err.map_phys = -ENODEV;
	KUNIT_EXPECT_EQ(test, dma_buf_pal_index_get(attach, &index), -ENODEV);
	exp->err.map_phys = 0;
	list->ranges[0].len++;
	KUNIT_EXPECT_EQ(test, dma_buf_pal_index_get(attach, &index), -EINVAL);
	list->ranges[0].len--;
	KUNIT_EXPECT_PTR_EQ(test, index, kept);
	KUNIT_EXPECT_EQ(test, dma_buf_pal_index_get(attach, &index), 0);
	dma_resv_unlock(exp->dmabuf->resv);
	put(attach, index);
	test_detach(exp, attach);
}

#ifdef CONFIG_DMABUF_DEBUG
static void ordinary_memory_has_pages(struct kunit *test)
{
	static const struct phys_vec nowhere[] = {
		{ 0, PAGES(2) }, { BIT_ULL(51), PAGES(2) },
	};
	struct page *page = alloc_pages(GFP_KERNEL, 1);
	struct dma_buf_phys_list *list;

	KUNIT_ASSERT_NOT_NULL(test, page);
	list = test_list(test, nowhere, 2);
	kunit_deactivate_static_stub(test, dma_buf_pal_lacks_pages);
	list->ranges[0].paddr = page_to_phys(page);
	expect_refusal(test, list, PAGES(4));
	list->attrs = DMA_BUF_PHYS_MMIO;
	expect_extents(test, list, 2);
	list->attrs = DMA_BUF_PHYS_READ_ONLY;
	expect_refusal(test, list, PAGES(4));
	list->nr_ranges = 1;
	expect_extents(test, list, 1);
	__free_pages(page, 1);
}
#endif

/* The largest power of two for which there is a block in a run of memory */
static size_t run_block(phys_addr_t paddr, size_t length)
{
	size_t block = BIT_ULL(62);

	while (block > PAGE_SIZE && (length < block ||
				     round_up(paddr, block) - paddr >
				     length - block))
		block /= 2;
	return block;
}

/* Where the contiguous memory that starts at an offset ends, or the slice */
static size_t run_length(const struct dma_buf_phys_list *list, size_t offset,
			 size_t length)
{
	size_t len = 0, i;

	for (i = 0; offset >= list->ranges[i].len; i++)
		offset -= list->ranges[i].len;
	len = list->ranges[i].len - offset;
	for (; len < length && i + 1 < list->nr_ranges; i++) {
		if (list->ranges[i].paddr + list->ranges[i].len !=
		    list->ranges[i + 1].paddr)
			break;
		len += list->ranges[i + 1].len;
	}
	return min(len, length);
}

/*
 * The reference for large slices: the first of the largest blocks, and what of
 * an aligned address it leaves for the start of the slice.
 */
static size_t reference_align(const struct dma_buf_phys_list *list,
			      size_t offset, size_t length,
			      unsigned long *align_offset)
{
	size_t best = PAGE_SIZE, done, len, block;

	*align_offset = offset_in_page(offset);
	for (done = 0; done < length; done += len) {
		phys_addr_t paddr = test_list_paddr(list, offset + done);

		len = run_length(list, offset + done, length - done);
		block = run_block(paddr, len);
		if (block > best) {
			best = block;
			*align_offset = (paddr - done) % block;
		}
	}
	return best;
}

static bool contiguous(const struct dma_buf_phys_list *list, size_t offset,
		       size_t length)
{
	phys_addr_t paddr = test_list_paddr(list, offset);
	size_t i;

	for (i = PAGE_SIZE; i < length; i += PAGE_SIZE)
		if (test_list_paddr(list, offset + i) != paddr + i)
			return false;
	return true;
}

/*
 * Is there a naturally aligned block of the size in the slice? If so, and with
 * an @align_offset, is there one that becomes aligned as well by it?
 */
static bool has_block(const struct dma_buf_phys_list *list, size_t offset,
		      size_t length, size_t block,
		      const unsigned long *align_offset)
{
	size_t i;

	for (i = 0; i + block <= length; i += PAGE_SIZE) {
		if (test_list_paddr(list, offset + i) % block)
			continue;
		if (align_offset && (*align_offset + i) % block)
			continue;
		if (contiguous(list, offset + i, block))
			return true;
	}
	return false;
}

/* The reference for small slices: every power of two on every page */
static size_t largest_block(const struct dma_buf_phys_list *list, size_t offset,
			    size_t length)
{
	size_t block = PAGE_SIZE;
	size_t largest = PAGE_SIZE;

	for (; block <= length; block *= 2)
		if (has_block(list, offset, length, block, NULL))
			largest = block;
	return largest;
}

/**
 * struct slice - a slice of a list and how it has to be aligned
 * @what: it is about
 * @ranges: of the list
 * @nr_ranges: how many there are
 * @offset: of the slice
 * @length: of the slice
 * @align: what the alignment has to be
 * @align_offset: and the offset in it
 */
struct slice {
	const char *what;
	struct phys_vec ranges[3];
	size_t nr_ranges;
	size_t offset;
	size_t length;
	unsigned long align;
	unsigned long align_offset;
};

static const struct slice slices[] = {
	{ "a page", { { SZ_1G, PAGE_SIZE } }, 1, 0, PAGE_SIZE, PAGE_SIZE, 0 },
	{ "part of a page", { { SZ_1G, SZ_4M } }, 1, PAGE_SIZE / 2,
	  PAGE_SIZE / 2, PAGE_SIZE, PAGE_SIZE / 2 },
	{ "a byte of a page in the middle", { { SZ_1G, SZ_4M } }, 1,
	  SZ_1M + 1, 1, PAGE_SIZE, 1 },
	/* The case of users: BAR offset 4 KiB, and a whole BAR */
	{ "a BAR but for its first page", { { SZ_4G, SZ_1G } }, 1, SZ_4K,
	  SZ_64M, SZ_32M, SZ_4K },
	{ "a BAR of 1 GiB", { { SZ_4G, SZ_1G } }, 1, 0, SZ_1G, SZ_1G, 0 },
	{ "a BAR of 1 GiB but for its last page", { { SZ_4G, SZ_1G } }, 1, 0,
	  SZ_1G - PAGE_SIZE, SZ_512M, 0 },
	{ "no cap at 1 GiB", { { 4 * SZ_4G, SZ_4G } }, 1, 0, SZ_4G, SZ_4G, 0 },
	{ "1 GiB within 3 GiB that are not aligned",
	  { { SZ_4G + PAGE_SIZE, 3ULL * SZ_1G } }, 1, 0, 3ULL * SZ_1G, SZ_1G,
	  PAGE_SIZE },
	{ "less than 2 GiB that are not aligned have half of it",
	  { { SZ_4G + PAGE_SIZE, SZ_2G - 2 * PAGE_SIZE } }, 1, 0,
	  SZ_2G - 2 * PAGE_SIZE, SZ_512M, PAGE_SIZE },
	{ "a slice that skips the aligned start",
	  { { SZ_4G, SZ_2G } }, 1, SZ_1M, SZ_1G, SZ_512M, SZ_1M },
	{ "the block is behind a small range",
	  { { SZ_1G + PAGE_SIZE, SZ_1M }, { SZ_4G, SZ_1G } }, 2, 0,
	  SZ_1M + SZ_1G, SZ_1G, SZ_1G - SZ_1M },
	{ "the block is behind the slice",
	  { { SZ_1G, SZ_1M }, { SZ_4G, SZ_1G } }, 2, 0, SZ_1M, SZ_1M, 0 },
	{ "the block is in front of the slice",
	  { { SZ_4G, SZ_1G }, { SZ_1G, SZ_64K } }, 2, SZ_1G - SZ_64K, SZ_128K,
	  SZ_64K, 0 },
	{ "adjacent ranges make one block",
	  { { SZ_4G, SZ_512M }, { SZ_4G + SZ_512M, SZ_512M } }, 2, 0, SZ_1G,
	  SZ_1G, 0 },
	{ "of two blocks of a size the first one counts",
	  { { SZ_4G + SZ_2M + PAGE_SIZE, SZ_4M }, { SZ_2G, SZ_2M } }, 2, 0,
	  SZ_4M + SZ_2M, SZ_2M, PAGE_SIZE },
	{ "of three the largest one counts",
	  { { SZ_4G, SZ_2M }, { SZ_1G, SZ_1G }, { SZ_2G, SZ_512M } }, 3, 0,
	  SZ_2M + SZ_1G + SZ_512M, SZ_1G, SZ_1G - SZ_2M },
};

KUNIT_ARRAY_PARAM_DESC(slices, slices, what);

static void slice_align(struct kunit *test)
{
	const struct slice *s = test->param_value;
	struct dma_buf_phys_list *list =
		test_list(test, s->ranges, s->nr_ranges);
	struct test_exporter *exp = test_pal_exporter(test, list);
	struct dma_buf_attachment *attach = attach_to(exp);
	unsigned long align_offset = 12345;
	struct dma_buf_pal_index *index;

	index = get(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, index);
	KUNIT_EXPECT_EQ(test,
			dma_buf_pal_slice_align(index, s->offset, s->length,
						&align_offset), s->align);
	KUNIT_EXPECT_EQ(test, align_offset, s->align_offset);
	/* Checks the reference, too */
	KUNIT_EXPECT_EQ(test, reference_align(list, s->offset, s->length,
					      &align_offset), s->align);
	KUNIT_EXPECT_EQ(test, align_offset, s->align_offset);
	put(attach, index);
	test_detach(exp, attach);
}

static void expect_block(struct test_exporter *exp,
			 struct dma_buf_pal_index *index, size_t offset,
			 size_t length)
{
	const struct dma_buf_phys_list *list = exp->list;
	unsigned long align, align_offset = 12345;

	align = dma_buf_pal_slice_align(index, offset, length, &align_offset);
	KUNIT_EXPECT_EQ(exp->test, align, largest_block(list, offset, length));
	KUNIT_EXPECT_LT(exp->test, align_offset, align);
	KUNIT_EXPECT_TRUE(exp->test, has_block(list, offset, length, align,
					       &align_offset));
}

static void slice_align_against_brute_force(struct kunit *test)
{
	struct dma_buf_attachment *attach;
	struct dma_buf_pal_index *index;
	struct test_exporter *exp;
	unsigned int round, slice;
	struct rnd_state rnd;
	size_t pages;

	prandom_seed_state(&rnd, 5);
	for (round = 0; round < 30; round++) {
		size_t nr = 1 + test_random(&rnd, 6);

		exp = test_pal_exporter(test, test_random_list(test, &rnd, nr,
							       80));
		attach = attach_to(exp);
		index = get(attach);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, index);
		pages = exp->dmabuf->size / PAGE_SIZE;
		for (slice = 0; slice < 10; slice++) {
			size_t first = test_random(&rnd, pages);
			size_t num = 1 + test_random(&rnd, pages - first);

			expect_block(exp, index, PAGES(first), PAGES(num));
		}
		put(attach, index);
		test_detach(exp, attach);
	}
}

/* Ranges up to 4 GiB, and most of them aligned to something large */
static struct dma_buf_phys_list *large_list(struct kunit *test,
					    struct rnd_state *rnd)
{
	struct dma_buf_phys_list *list;
	size_t i;

	list = test_list_alloc(test, 1 + test_random(rnd, 8));
	for (i = 0; i < list->nr_ranges; i++) {
		size_t unit = PAGE_SIZE << test_random(rnd, 19);

		list->ranges[i].paddr = unit * (1 + test_random(rnd, 1024)) +
					PAGES(test_random(rnd, 3));
		list->ranges[i].len = unit + PAGES(test_random(rnd, 1 << 20));
	}
	return list;
}

static void slice_align_against_arithmetic(struct kunit *test)
{
	unsigned long align, align_offset, ref, ref_offset;
	struct dma_buf_attachment *attach;
	struct dma_buf_pal_index *index;
	struct test_exporter *exp;
	unsigned int round, slice, large = 0;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 8);
	for (round = 0; round < 40; round++) {
		exp = test_pal_exporter(test, large_list(test, &rnd));
		attach = attach_to(exp);
		index = get(attach);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, index);
		for (slice = 0; slice < 40; slice++) {
			size_t pages = exp->dmabuf->size / PAGE_SIZE;
			size_t first = test_random(&rnd, pages);
			size_t num = 1 + test_random(&rnd, pages - first);

			/* And now and then one that starts within a page */
			size_t skip = slice % 4 ? 0 : test_random(&rnd, PAGE_SIZE);

			align = dma_buf_pal_slice_align(index,
							PAGES(first) + skip,
							PAGES(num) - skip,
							&align_offset);
			ref = reference_align(exp->list, PAGES(first) + skip,
					      PAGES(num) - skip, &ref_offset);
			KUNIT_EXPECT_EQ(test, align, ref);
			KUNIT_EXPECT_EQ(test, align_offset, ref_offset);
			large += align >= SZ_1G;
		}
		put(attach, index);
		test_detach(exp, attach);
	}
	/* Else there is little in it that is not in the test above */
	KUNIT_EXPECT_GE(test, large, 100);
}

static struct kunit_case pal_cases[] = {
	KUNIT_CASE_PARAM(good_list_is_taken, good_lists_gen_params),
	KUNIT_CASE_PARAM(bad_list_is_refused, bad_lists_gen_params),
	KUNIT_CASE(unknown_attributes_are_refused),
	KUNIT_CASE(one_million_ranges),
	KUNIT_CASE_PARAM(exporter_without_a_list, no_lists_gen_params),
	KUNIT_CASE(find_against_linear_reference),
	KUNIT_CASE(find_in_one_million_ranges),
	KUNIT_CASE(one_index_is_shared_by_attachments),
	KUNIT_CASE(another_list_has_an_index_of_its_own),
	KUNIT_CASE(kept_index_serves_the_same_list),
	KUNIT_CASE_PARAM(kept_index_does_not_serve_another_list,
			 changed_lists_gen_params),
	KUNIT_CASE(kept_index_outlives_an_error),
#ifdef CONFIG_DMABUF_DEBUG
	KUNIT_CASE(ordinary_memory_has_pages),
#endif
	KUNIT_CASE_PARAM(slice_align, slices_gen_params),
	KUNIT_CASE(slice_align_against_brute_force),
	KUNIT_CASE(slice_align_against_arithmetic),
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
