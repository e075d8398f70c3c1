// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the converter from PAL to iommu_domain, on a real page table. What
 * the domain translates is compared, byte range by byte range, with what the
 * exporter's ranges say. What every converter has to do is in contract_kunit.c.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-resv.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "domain.h"
#include "helpers.h"

static const struct phys_vec two_ranges[] = {
	{ SZ_2G, PAGES(4) }, { SZ_1G, PAGES(4) },
};

static struct dma_buf_attachment *attach_iommu(struct test_exporter *exp)
{
	const struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_IOMMU();

	return test_attach(exp, &imp, 1, NULL);
}

/**
 * struct ctx - one importer of one buffer
 * @test: the test
 * @list: exporter's ranges
 * @exp: the exporter
 * @d: the importer's domain
 * @attach: the importer's attachment
 */
struct ctx {
	struct kunit *test;
	struct dma_buf_phys_list *list;
	struct test_exporter *exp;
	struct test_domain *d;
	struct dma_buf_attachment *attach;
};

static struct ctx ctx_of(struct kunit *test, struct dma_buf_phys_list *list)
{
	struct ctx c = { .test = test, .list = list };

	c.d = test_domain(test);
	c.exp = test_pal_exporter(test, list);
	c.attach = attach_iommu(c.exp);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.attach);
	return c;
}

static struct ctx two_range_ctx(struct kunit *test)
{
	return ctx_of(test, test_list(test, two_ranges, 2));
}

static int map(struct ctx *c, unsigned long iova, size_t offset, size_t length)
{
	return dma_buf_iommu_map(c->attach, &c->d->domain, iova, offset, length,
				 RW, 0);
}

static int unmap(struct ctx *c, unsigned long iova, size_t length)
{
	return dma_buf_iommu_unmap(c->attach, &c->d->domain, iova, length);
}

/* The slice is there, and what is around it is not */
static void expect_mapped(struct ctx *c, unsigned long iova, size_t offset,
			  size_t length)
{
	KUNIT_EXPECT_EQ(c->test,
			test_wrong_pages(c->d, iova, c->list, offset, length),
			0);
	KUNIT_EXPECT_EQ(c->test,
			test_mapped_pages(c->d, iova - PAGES(16), PAGES(16)),
			0);
	KUNIT_EXPECT_EQ(c->test,
			test_mapped_pages(c->d, iova + length, PAGES(16)), 0);
}

static void expect_unmapped(struct ctx *c, unsigned long iova, size_t length)
{
	KUNIT_EXPECT_EQ(c->test,
			test_mapped_pages(c->d, iova - PAGES(16),
					  length + PAGES(32)), 0);
}

static bool can_walk(struct ctx *c, unsigned long iova, unsigned int flags)
{
	if (!dma_buf_iommu_walk_begin(c->attach, &c->d->domain, iova, flags))
		return false;
	dma_buf_iommu_walk_end(c->attach);
	return true;
}

static void finish(struct ctx *c)
{
	test_detach(c->exp, c->attach);
	test_expect_idle(c->exp);
}

static void attach_takes_list_and_pin(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(c.attach),
			   "PAL -> iommu_domain");
	KUNIT_EXPECT_EQ(test, c.exp->calls.map_phys, 1);
	KUNIT_EXPECT_EQ(test, c.exp->calls.pin, 1);
	/* What exporters of MMIO ask for, though the importer has no callback */
	KUNIT_EXPECT_TRUE(test, c.exp->saw_p2p);
	KUNIT_EXPECT_TRUE(test, c.exp->saw_revocable);
	KUNIT_EXPECT_NULL(test, c.attach->dev);
	finish(&c);
	KUNIT_EXPECT_EQ(test, c.exp->calls.unmap_phys, 1);
	KUNIT_EXPECT_EQ(test, c.exp->calls.unpin, 1);
}

static void attach_to_exporter_that_cannot_pin(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list(test, two_ranges, 2);
	struct test_domain *d = test_domain(test);
	struct ctx c = { .test = test, .list = list, .d = d };

	c.exp = test_exporter(test, &test_stated_nopin_ops,
			      test_list_size(list));
	c.exp->list = list;
	c.exp->entries[0] = DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL);
	c.exp->num_entries = 1;
	c.attach = attach_iommu(c.exp);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.attach);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

/* Whatever fails, and the pin goes with it if there was one */
static const struct bad_attach {
	const char *what;
	int pin;
	int map_phys;
	unsigned int pinned;
} bad_attaches[] = {
	{ "cannot be pinned", -ENOSPC, 0, 0 },
	/* An exporter may well start revoked */
	{ "revoked", 0, -ENODEV, 1 },
};

KUNIT_ARRAY_PARAM_DESC(bad_attaches, bad_attaches, what);

static void attach_that_fails_is_not_pinned(struct kunit *test)
{
	const struct bad_attach *bad = test->param_value;
	struct test_exporter *exp;

	exp = test_pal_exporter(test, test_list(test, two_ranges, 2));
	exp->err.pin = bad->pin;
	exp->err.map_phys = bad->map_phys;
	KUNIT_EXPECT_PTR_EQ(test, attach_iommu(exp),
			    ERR_PTR(bad->pin ?: bad->map_phys));
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.pin, bad->pinned);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 0);
	test_expect_idle(exp);
}

/* An exporter may decide by who is attached where it pins */
static void pin_finds_the_attachment_listed(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_TRUE(test, c.exp->saw_itself);
	finish(&c);

	c.exp->err.pin = -ENOSPC;
	KUNIT_EXPECT_PTR_EQ(test, attach_iommu(c.exp), ERR_PTR(-ENOSPC));
	KUNIT_EXPECT_TRUE(test, list_empty(&c.exp->dmabuf->attachments));
}

static void move_buffer(struct test_exporter *exp)
{
	dma_buf_invalidate_mappings(exp->dmabuf);
}

/* And may have to move the buffer for that */
static void pin_that_invalidates(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list(test, two_ranges, 2);
	struct ctx c = { .test = test, .list = list, .d = test_domain(test) };

	c.exp = test_pal_exporter(test, list);
	c.exp->on_pin = move_buffer;
	c.attach = attach_iommu(c.exp);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.attach);
	KUNIT_EXPECT_STREQ(test, test_describe(c.exp, c.attach),
			   "\t-\tPAL -> iommu_domain\t0 of 0 mappings in place\n");
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

static const struct p2p {
	const char *what;
	unsigned int attrs;
	int err;
} p2ps[] = {
	{ "device memory", DMA_BUF_PHYS_MMIO, -EOPNOTSUPP },
	{ "ordinary memory", 0, 0 },
};

KUNIT_ARRAY_PARAM_DESC(p2ps, p2ps, what);

/* What the exporter says when it is attached to counts for core as well */
static void exporter_that_denies_p2p(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list(test, two_ranges, 2);
	const struct p2p *p2p = test->param_value;
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;

	list->attrs = p2p->attrs;
	exp = test_pal_exporter(test, list);
	exp->deny_p2p = true;
	attach = attach_iommu(exp);
	if (p2p->err) {
		KUNIT_EXPECT_PTR_EQ(test, attach, ERR_PTR(p2p->err));
		KUNIT_EXPECT_EQ(test, exp->calls.unmap_phys, 1);
		KUNIT_EXPECT_EQ(test, exp->calls.unpin, 1);
	} else {
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
		test_detach(exp, attach);
	}
}

/* The list that comes back after a move, too */
static void denied_p2p_holds_for_a_restore(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	c.attach->peer2peer = false;
	test_revoke(c.exp);
	c.list->attrs = DMA_BUF_PHYS_MMIO;
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), -EOPNOTSUPP);
	expect_unmapped(&c, IOVA, PAGES(8));
	KUNIT_EXPECT_EQ(test, c.exp->calls.map_phys, c.exp->calls.unmap_phys);
	c.list->attrs = 0;
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

/**
 * struct caller - a thread that attaches or restores
 * @exp: exporter of the buffer
 * @attach: what it attached, to begin with that of the restore
 * @ret: what it got
 * @done: it has returned
 */
struct caller {
	struct test_exporter *exp;
	struct dma_buf_attachment *attach;
	int ret;
	struct completion done;
};

static int attach_thread(void *data)
{
	const struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_IOMMU();
	struct caller *caller = data;

	caller->attach = dma_buf_mapping_attach(caller->exp->dmabuf, &imp, 1,
						NULL, NULL);
	complete(&caller->done);
	return 0;
}

static int restore_thread(void *data)
{
	struct caller *caller = data;

	caller->ret = test_restore(caller->exp);
	complete(&caller->done);
	return 0;
}

/* With a fence it waits and holds no list yet, and when that is signalled goes on */
static void expect_wait(struct kunit *test, struct caller *caller,
			int (*fn)(void *data), struct dma_fence *fence)
{
	unsigned int lists = caller->exp->calls.map_phys;
	struct task_struct *thread;

	init_completion(&caller->done);
	thread = kthread_run(fn, caller, "dma-buf-fence");
	if (!IS_ERR(thread))
		KUNIT_EXPECT_EQ(test, 0,
				wait_for_completion_timeout(&caller->done,
							    HZ / 5));
	KUNIT_EXPECT_EQ(test, caller->exp->calls.map_phys, lists);
	dma_fence_signal(fence);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread);
	KUNIT_EXPECT_NE(test, 0,
			wait_for_completion_timeout(&caller->done, 10 * HZ));
	KUNIT_EXPECT_EQ(test, caller->exp->calls.map_phys, lists + 1);
}

/* A pin may begin to copy, or a clear may go on since the buffer was made */
static void attach_waits_for_the_kernels_fences(struct kunit *test)
{
	struct dma_fence *fence = test_fence(test);
	struct caller caller = {};

	caller.exp = test_pal_exporter(test, test_list(test, two_ranges, 2));
	/* The thread has no stub of this test */
	((struct dma_buf_phys_list *)caller.exp->list)->attrs = DMA_BUF_PHYS_MMIO;
	dma_resv_lock(caller.exp->dmabuf->resv, NULL);
	test_add_fence(caller.exp, fence, DMA_RESV_USAGE_KERNEL);
	dma_resv_unlock(caller.exp->dmabuf->resv);
	expect_wait(test, &caller, attach_thread, fence);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, caller.attach);
	dma_buf_detach(caller.exp->dmabuf, caller.attach);
}

/* Those of other users of the buffer are none of its business */
static void attach_waits_for_no_other_fences(struct kunit *test)
{
	struct dma_fence *fence = test_fence(test);
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;

	exp = test_pal_exporter(test, test_list(test, two_ranges, 2));
	dma_resv_lock(exp->dmabuf->resv, NULL);
	test_add_fence(exp, fence, DMA_RESV_USAGE_WRITE);
	dma_resv_unlock(exp->dmabuf->resv);
	attach = attach_iommu(exp);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_FALSE(test, dma_fence_is_signaled(fence));
	dma_fence_signal(fence);
	if (!IS_ERR_OR_NULL(attach))
		test_detach(exp, attach);
}

static void wait_of_an_attach_can_be_interrupted(struct kunit *test)
{
	struct dma_fence *fence = test_fence(test);
	struct test_exporter *exp;

	exp = test_pal_exporter(test, test_list(test, two_ranges, 2));
	dma_resv_lock(exp->dmabuf->resv, NULL);
	test_add_fence(exp, fence, DMA_RESV_USAGE_KERNEL);
	dma_resv_unlock(exp->dmabuf->resv);
	test_be_killed_begin();
	KUNIT_EXPECT_PTR_EQ(test, attach_iommu(exp), ERR_PTR(-ERESTARTSYS));
	test_be_killed_end();
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 0);
	KUNIT_EXPECT_EQ(test, exp->calls.unpin, 1);
	dma_fence_signal(fence);
}

static void restore_waits_for_the_kernels_fences(struct kunit *test)
{
	struct dma_fence *fence = test_fence(test);
	struct ctx c = two_range_ctx(test);
	struct caller caller = { .exp = c.exp };

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	test_revoke(c.exp);
	c.list->attrs = DMA_BUF_PHYS_MMIO;
	dma_resv_lock(c.exp->dmabuf->resv, NULL);
	test_add_fence(c.exp, fence, DMA_RESV_USAGE_KERNEL);
	dma_resv_unlock(c.exp->dmabuf->resv);
	expect_wait(test, &caller, restore_thread, fence);
	KUNIT_EXPECT_EQ(test, caller.ret, 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

static void map_and_unmap(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, c.d->last_prot, RW);
	/* One flush for the call, not one for each range */
	KUNIT_EXPECT_EQ(test, c.d->maps, 2);
	KUNIT_EXPECT_EQ(test, c.d->syncs, 1);

	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	expect_unmapped(&c, IOVA, PAGES(8));
	KUNIT_EXPECT_EQ(test, c.d->unmaps, 1);
	KUNIT_EXPECT_EQ(test, c.d->flushes, 1);
	KUNIT_EXPECT_EQ(test, c.exp->calls.unmap_phys, 0);
	finish(&c);
}

/* Every first and every last page that a slice of two ranges can have */
static void every_slice_of_two_ranges(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	size_t first, end;

	for (first = 0; first < 8; first++) {
		for (end = first + 1; end <= 8; end++) {
			size_t offset = PAGES(first);
			size_t length = PAGES(end - first);

			KUNIT_EXPECT_EQ(test, map(&c, IOVA, offset, length), 0);
			expect_mapped(&c, IOVA, offset, length);
			KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, length), 0);
			expect_unmapped(&c, IOVA, length);
		}
	}
	finish(&c);
}

static void random_slices_of_random_lists(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int round, slice;

	prandom_seed_state(&rnd, 4);
	for (round = 0; round < 25; round++) {
		size_t nr = 1 + test_random(&rnd, 24);
		struct ctx c = ctx_of(test, test_random_list(test, &rnd, nr,
							     600));
		size_t pages = c.exp->dmabuf->size / PAGE_SIZE;

		for (slice = 0; slice < 8; slice++) {
			size_t first = test_random(&rnd, pages);
			size_t num = 1 + test_random(&rnd, pages - first);
			unsigned long iova;

			iova = IOVA + PAGES(test_random(&rnd, 1 << 20));
			KUNIT_EXPECT_EQ(test, map(&c, iova, PAGES(first),
						  PAGES(num)), 0);
			expect_mapped(&c, iova, PAGES(first), PAGES(num));
			KUNIT_EXPECT_EQ(test, unmap(&c, iova, PAGES(num)), 0);
			expect_unmapped(&c, iova, PAGES(num));
		}
		finish(&c);
	}
}

static void slice_of_one_million_ranges(struct kunit *test)
{
	const size_t nr = 1000000;
	struct dma_buf_phys_list *list = test_list_alloc(test, nr);
	struct ctx c;
	size_t i;

	for (i = 0; i < nr; i++) {
		list->ranges[i].paddr = SZ_1G + PAGES(2 * (nr - i));
		list->ranges[i].len = PAGE_SIZE;
	}
	c = ctx_of(test, list);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, PAGES(nr - 1000), PAGES(1000)), 0);
	expect_mapped(&c, IOVA, PAGES(nr - 1000), PAGES(1000));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(1000)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, SZ_4G, 0, PAGES(nr)), 0);
	KUNIT_EXPECT_EQ(test, test_wrong_pages(c.d, SZ_4G, list, 0, PAGES(nr)),
			0);
	KUNIT_EXPECT_EQ(test, unmap(&c, SZ_4G, PAGES(nr)), 0);
	expect_unmapped(&c, SZ_4G, PAGES(1000));
	finish(&c);
}

/* Neither an offset nor a length may be computed in 32 bits */
static void range_above_8g(struct kunit *test)
{
	const unsigned long iova = 64ULL * SZ_1G;
	static const struct phys_vec ranges[] = {
		{ 16ULL * SZ_1G, 9ULL * SZ_1G }, { SZ_1G, SZ_1G },
	};
	struct ctx c = ctx_of(test, test_list(test, ranges, 2));

	KUNIT_EXPECT_EQ(test, map(&c, iova, 0, 10ULL * SZ_1G), 0);
	KUNIT_EXPECT_TRUE(test, test_translates(c.d, iova, 16ULL * SZ_1G));
	KUNIT_EXPECT_TRUE(test, test_translates(c.d, iova + 4ULL * SZ_1G,
						20ULL * SZ_1G));
	KUNIT_EXPECT_TRUE(test,
			  test_translates(c.d, iova + 9ULL * SZ_1G - PAGE_SIZE,
					  25ULL * SZ_1G - PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test,
			  test_translates(c.d, iova + 9ULL * SZ_1G, SZ_1G));
	KUNIT_EXPECT_EQ(test, unmap(&c, iova, 10ULL * SZ_1G), 0);
	KUNIT_EXPECT_EQ(test,
			test_mapped_pages(c.d, iova + 9ULL * SZ_1G - PAGES(8),
					  PAGES(16)), 0);

	/* A slice that starts beyond 8 GiB */
	KUNIT_EXPECT_EQ(test, map(&c, iova, 9ULL * SZ_1G - PAGES(4),
				  PAGES(8)), 0);
	expect_mapped(&c, iova, 9ULL * SZ_1G - PAGES(4), PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, iova, PAGES(8)), 0);
	finish(&c);
}

static void adjacent_ranges_are_mapped_as_one(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, SZ_1M }, { SZ_1G + SZ_1M, SZ_1M },
		{ SZ_1G + SZ_2M, SZ_2M }, { SZ_1G, SZ_1M },
	};
	struct ctx c = ctx_of(test, test_list(test, ranges, 4));

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, 5 * SZ_1M), 0);
	expect_mapped(&c, IOVA, 0, 5 * SZ_1M);
	KUNIT_EXPECT_EQ(test, c.d->maps, 2);
	KUNIT_EXPECT_EQ(test, c.d->longest, SZ_4M);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, 5 * SZ_1M), 0);
	finish(&c);
}

static void small_pages_that_fail_half_way(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	unsigned int nth;

	for (nth = 1; nth <= 8; nth++) {
		c.d->fail_map = nth;
		KUNIT_EXPECT_EQ(test,
				dma_buf_iommu_map(c.attach, &c.d->domain, IOVA,
						  0, PAGES(8), RW,
						  DMA_BUF_IOMMU_SMALL_PAGES),
				-ENOMEM);
		expect_unmapped(&c, IOVA, PAGES(8));
	}
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), -ENOENT);
	finish(&c);
}

static void put_in_the_way(struct ctx *c, unsigned long iova)
{
	KUNIT_EXPECT_EQ(c->test,
			iommu_map(&c->d->domain, iova, SZ_512M, PAGE_SIZE,
				  IOMMU_READ, GFP_KERNEL), 0);
}

static void take_out_of_the_way(struct ctx *c, unsigned long iova)
{
	KUNIT_EXPECT_TRUE(c->test, test_translates(c->d, iova, SZ_512M));
	KUNIT_EXPECT_EQ(c->test, iommu_unmap(&c->d->domain, iova, PAGE_SIZE),
			PAGE_SIZE);
}

static void iova_mapped_behind_cores_back(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	size_t page;

	/* Wherever in the slice it is, in the first range or in the second */
	for (page = 0; page < 8; page++) {
		unsigned long taken = IOVA + PAGES(page);

		put_in_the_way(&c, taken);
		KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), -EADDRINUSE);
		KUNIT_EXPECT_EQ(test, test_mapped_pages(c.d, IOVA, PAGES(8)),
				1);
		KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), -ENOENT);
		take_out_of_the_way(&c, taken);
	}
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

static void failure_half_way_leaves_nothing(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, PAGES(8) }, { SZ_2G, PAGES(8) }, { SZ_1G, PAGES(8) },
	};
	struct ctx c = ctx_of(test, test_list(test, ranges, 3));
	unsigned int nth;

	KUNIT_EXPECT_EQ(test, map(&c, IOVA + PAGES(24), 0, PAGES(8)), 0);
	for (nth = 1; nth <= 3; nth++) {
		c.d->fail_map = nth;
		KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(24)), -ENOMEM);
		KUNIT_EXPECT_EQ(test, test_mapped_pages(c.d, IOVA, PAGES(24)),
				0);
		KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(24)), -ENOENT);
	}
	/* What was there before is there still */
	KUNIT_EXPECT_EQ(test, test_wrong_pages(c.d, IOVA + PAGES(24), c.list, 0,
					       PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(24)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(24)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA + PAGES(24), PAGES(8)), 0);
	finish(&c);
}

static void sync_that_fails_leaves_nothing(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	c.d->fail_sync = -EIO;
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), -EIO);
	expect_unmapped(&c, IOVA, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), -ENOENT);
	finish(&c);
}

/* Of the second range, when the first is mapped */
static void address_beyond_the_page_table_is_refused(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, PAGES(4) }, { BIT_ULL(51), PAGES(4) },
	};
	struct ctx c = ctx_of(test, test_list(test, ranges, 2));

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), -ERANGE);
	expect_unmapped(&c, IOVA, PAGES(8));
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(4)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(4)), 0);
	finish(&c);
}

static void range_that_is_not_aligned_for_the_domain(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, SZ_4M }, { SZ_2G + SZ_1M, SZ_4M },
	};
	struct ctx c = ctx_of(test, test_list(test, ranges, 2));

	c.d->domain.pgsize_bitmap = SZ_2M;
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, SZ_2M, SZ_2M), 0);
	expect_mapped(&c, IOVA, SZ_2M, SZ_2M);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, SZ_2M), 0);

	/* The second range does not lie as the domain needs it */
	KUNIT_EXPECT_NE(test, map(&c, IOVA, SZ_2M, SZ_4M), 0);
	expect_unmapped(&c, IOVA, SZ_4M);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, SZ_4M), -ENOENT);
	finish(&c);
}

static void unmap_wants_exactly_what_was_mapped(struct kunit *test)
{
	struct test_domain *other = test_domain(test);
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), -ENOENT);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(4)), -ENOENT);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(9)), -ENOENT);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, 0), -ENOENT);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA + PAGES(1), PAGES(7)), -ENOENT);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA - PAGES(1), PAGES(9)), -ENOENT);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_unmap(c.attach, &other->domain,
						  IOVA, PAGES(8)), -ENOENT);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), -ENOENT);
	finish(&c);
}

/* In every domain, whatever the importer asks for */
static void mmio_is_mapped_as_mmio(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list(test, two_ranges, 2);
	struct test_domain *second = test_domain(test);
	struct ctx c;

	list->attrs = DMA_BUF_PHYS_MMIO;
	c = ctx_of(test, list);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(c.attach, &second->domain, IOVA,
						0, PAGES(8), RW, 0), 0);
	KUNIT_EXPECT_EQ(test, c.d->last_prot,
			IOMMU_READ | IOMMU_WRITE | IOMMU_MMIO);
	KUNIT_EXPECT_EQ(test, second->last_prot,
			IOMMU_READ | IOMMU_WRITE | IOMMU_MMIO);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_unmap(c.attach, &second->domain,
						  IOVA, PAGES(8)), 0);
	finish(&c);
}

static void read_only_memory_is_mapped_for_reading(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list(test, two_ranges, 2);
	struct ctx c;

	list->attrs = DMA_BUF_PHYS_READ_ONLY;
	c = ctx_of(test, list);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_check_prot(c.attach, RW), -EACCES);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), -EACCES);
	KUNIT_EXPECT_EQ(test, c.d->maps, 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), -ENOENT);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_check_prot(c.attach, IOMMU_READ),
			0);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(c.attach, &c.d->domain, IOVA, 0,
						PAGES(8), IOMMU_READ, 0), 0);
	KUNIT_EXPECT_EQ(test, c.d->last_prot, IOMMU_READ);
	expect_mapped(&c, IOVA, 0, PAGES(8));

	/* Also where it would only be recorded */
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_check_prot(c.attach, RW), -EACCES);
	KUNIT_EXPECT_EQ(test, map(&c, SZ_1G, 0, PAGES(8)), -EACCES);
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

static void memory_that_becomes_read_only(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(c.attach, &c.d->domain, SZ_1G,
						0, PAGES(8), IOMMU_READ, 0), 0);
	test_revoke(c.exp);
	c.list->attrs = DMA_BUF_PHYS_READ_ONLY;
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), -EACCES);
	expect_unmapped(&c, IOVA, PAGES(8));
	expect_mapped(&c, SZ_1G, 0, PAGES(8));
	test_revoke(c.exp);
	c.list->attrs = 0;
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, SZ_1G, PAGES(8)), 0);
	finish(&c);
}

static void small_pages_only(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, SZ_4M }, { SZ_2G, PAGES(3) },
	};
	struct ctx c = ctx_of(test, test_list(test, ranges, 2));
	size_t size = SZ_4M + PAGES(3);

	KUNIT_EXPECT_EQ(test,
			dma_buf_iommu_map(c.attach, &c.d->domain, IOVA, 0, size,
					  RW, DMA_BUF_IOMMU_SMALL_PAGES), 0);
	expect_mapped(&c, IOVA, 0, size);
	KUNIT_EXPECT_EQ(test, c.d->longest, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, c.d->syncs, 1);

	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, size), 0);
	expect_unmapped(&c, IOVA, size);
	finish(&c);
}

static const struct overlap {
	const char *what;
	long first;
	size_t num;
	int ret;
} overlaps[] = {
	{ "the same", 0, 4, -EEXIST },
	{ "the first page", 0, 1, -EEXIST },
	{ "the last page", 3, 1, -EEXIST },
	{ "within", 1, 2, -EEXIST },
	{ "into the first page", -1, 2, -EEXIST },
	{ "from the last page on", 3, 4, -EEXIST },
	{ "around it", -2, 8, -EEXIST },
	{ "right before it", -4, 4, 0 },
	{ "right behind it", 4, 4, 0 },
};

KUNIT_ARRAY_PARAM_DESC(overlaps, overlaps, what);

/* As much while revoked, when the domain cannot tell */
static void overlap_is_eexist(struct kunit *test)
{
	const struct overlap *o = test->param_value;
	unsigned long at = IOVA + PAGE_SIZE * o->first;
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, PAGES(2), PAGES(4)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, at, 0, PAGES(o->num)), o->ret);
	KUNIT_EXPECT_EQ(test, test_wrong_pages(c.d, IOVA, c.list, PAGES(2),
					       PAGES(4)), 0);
	KUNIT_EXPECT_EQ(test, test_mapped_pages(c.d, IOVA - PAGES(16),
						PAGES(32)),
			o->ret ? 4 : 4 + o->num);
	if (!o->ret)
		KUNIT_EXPECT_EQ(test, unmap(&c, at, PAGES(o->num)), 0);
	expect_mapped(&c, IOVA, PAGES(2), PAGES(4));

	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, map(&c, at, 0, PAGES(o->num)), o->ret);
	if (!o->ret)
		KUNIT_EXPECT_EQ(test, unmap(&c, at, PAGES(o->num)), 0);
	test_restore(c.exp);
	expect_mapped(&c, IOVA, PAGES(2), PAGES(4));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(4)), 0);
	finish(&c);
}

static void iova_beyond_the_domain_is_refused(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, TEST_APERTURE, 0, PAGES(8)), -ERANGE);
	KUNIT_EXPECT_EQ(test, map(&c, TEST_APERTURE - PAGES(7), 0, PAGES(8)),
			-ERANGE);
	KUNIT_EXPECT_EQ(test, map(&c, -PAGES(8), 0, PAGES(8)), -ERANGE);
	KUNIT_EXPECT_EQ(test, test_mapped_pages(c.d, TEST_APERTURE - PAGES(8),
						PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, TEST_APERTURE - PAGES(8), 0, PAGES(8)),
			0);
	KUNIT_EXPECT_EQ(test, test_wrong_pages(c.d, TEST_APERTURE - PAGES(8),
					       c.list, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, TEST_APERTURE - PAGES(8), PAGES(8)), 0);
	finish(&c);
}

static void several_domains(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	struct test_domain *ds[] = { c.d, test_domain(test), test_domain(test) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ds); i++) {
		c.d = ds[i];
		KUNIT_EXPECT_EQ(test, map(&c, IOVA, PAGES(i), PAGES(3)), 0);
		/* Elsewhere in it, the same slice again */
		KUNIT_EXPECT_EQ(test, map(&c, SZ_1G, PAGES(i), PAGES(3)), 0);
	}
	c.d = ds[1];
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(3)), 0);
	expect_unmapped(&c, IOVA, PAGES(3));
	c.d = ds[0];
	expect_mapped(&c, IOVA, 0, PAGES(3));
	c.d = ds[2];
	expect_mapped(&c, IOVA, PAGES(2), PAGES(3));

	test_revoke(c.exp);
	for (i = 0; i < ARRAY_SIZE(ds); i++) {
		c.d = ds[i];
		expect_unmapped(&c, IOVA, PAGES(3));
		expect_unmapped(&c, SZ_1G, PAGES(3));
		KUNIT_EXPECT_EQ(test, unmap(&c, SZ_1G, PAGES(3)), 0);
	}
	test_restore(c.exp);
	c.d = ds[0];
	expect_mapped(&c, IOVA, 0, PAGES(3));
	expect_unmapped(&c, SZ_1G, PAGES(3));
	c.d = ds[2];
	expect_mapped(&c, IOVA, PAGES(2), PAGES(3));
	c.d = ds[0];
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(3)), 0);
	c.d = ds[2];
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(3)), 0);
	finish(&c);
}

static void two_importers_of_one_buffer(struct kunit *test)
{
	struct ctx a = two_range_ctx(test);
	struct ctx b = a;

	b.attach = attach_iommu(a.exp);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b.attach);
	KUNIT_EXPECT_EQ(test, map(&a, IOVA, 0, PAGES(8)), 0);
	/* Of core's records that is none, but the domain knows */
	KUNIT_EXPECT_EQ(test, map(&b, IOVA, 0, PAGES(8)), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, map(&b, SZ_1G, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&b, IOVA, PAGES(8)), -ENOENT);
	expect_mapped(&a, IOVA, 0, PAGES(8));

	test_revoke(a.exp);
	KUNIT_EXPECT_EQ(test, a.exp->calls.unmap_phys, 2);
	expect_unmapped(&a, IOVA, PAGES(8));
	expect_unmapped(&b, SZ_1G, PAGES(8));
	test_restore(a.exp);
	expect_mapped(&a, IOVA, 0, PAGES(8));
	expect_mapped(&b, SZ_1G, 0, PAGES(8));

	KUNIT_EXPECT_EQ(test, unmap(&a, IOVA, PAGES(8)), 0);
	test_detach(a.exp, a.attach);
	expect_mapped(&b, SZ_1G, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&b, SZ_1G, PAGES(8)), 0);
	finish(&b);
}

/* Who lets go when it likes, and not when core revokes for the other */
static void beside_an_importer_of_sgt(struct kunit *test)
{
	struct device *dev = test_device(test, ~0ULL);
	struct ctx c = two_range_ctx(test);
	struct dma_buf_attachment *sgt_attach;
	struct sg_table *sgt;

	if (!IS_ENABLED(CONFIG_HAS_DMA))
		kunit_skip(test, "no DMA without HAS_DMA");

	sgt_attach = test_attach_sgt(c.exp, dev, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt_attach);
	sgt = dma_buf_map_attachment_unlocked(sgt_attach, DMA_TO_DEVICE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	test_revoke(c.exp);
	expect_unmapped(&c, IOVA, PAGES(8));
	KUNIT_EXPECT_EQ(test, c.exp->calls.unmap_phys, 1);
	KUNIT_EXPECT_EQ(test, test_sgt_difference(sgt, c.list), PAGES(8));
	dma_buf_unmap_attachment_unlocked(sgt_attach, sgt, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, c.exp->calls.unmap_phys, 2);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	test_detach(c.exp, sgt_attach);
	finish(&c);
}

/* The list is given back when nothing translates to it, in no cache either */
static void expect_gone(struct test_exporter *exp)
{
	struct test_domain **d = exp->priv;
	size_t i;

	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(exp->test,
				test_mapped_pages(d[i], IOVA, PAGES(64)), 0);
		KUNIT_EXPECT_NE(exp->test, d[i]->last_unmap, 0);
		KUNIT_EXPECT_GT(exp->test, d[i]->last_flush, d[i]->last_unmap);
	}
}

static void flush_comes_before_the_list_is_given_back(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	struct test_domain *d[] = { c.d, test_domain(test), test_domain(test) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(d); i++) {
		c.d = d[i];
		KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
		KUNIT_EXPECT_EQ(test, map(&c, IOVA + PAGES(20), PAGES(3),
					  PAGES(2)), 0);
	}
	c.exp->on_unmap_phys = expect_gone;
	c.exp->priv = d;
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, c.exp->calls.unmap_phys, 1);
	c.exp->on_unmap_phys = NULL;
	/* One flush for all that a domain has */
	for (i = 0; i < ARRAY_SIZE(d); i++)
		KUNIT_EXPECT_EQ(test, d[i]->flushes, 1);
	KUNIT_EXPECT_STREQ(test, test_describe(c.exp, c.attach),
			   "\t-\tPAL -> iommu_domain\t0 of 6 mappings in place\trevoked\n");
	for (i = 0; i < ARRAY_SIZE(d); i++) {
		c.d = d[i];
		KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
		KUNIT_EXPECT_EQ(test, unmap(&c, IOVA + PAGES(20), PAGES(2)), 0);
	}
	finish(&c);
}

static void unmap_flushes(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_GT(test, c.d->last_flush, c.d->last_unmap);
	finish(&c);
}

static void expect_nothing_mapped(struct dma_buf_attachment *attach)
{
	struct ctx *c = attach->importer_priv;

	expect_unmapped(c, IOVA, PAGES(8));
	KUNIT_EXPECT_EQ(c->test, c->exp->calls.unmap_phys, 1);
	c->exp->priv = NULL;
}

static const struct dma_buf_attach_ops looking_importer = {
	.invalidate_mappings = expect_nothing_mapped,
};

static void importer_that_is_told_finds_nothing_mapped(struct kunit *test)
{
	const struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_IOMMU();
	struct ctx c = { .test = test, .list = test_list(test, two_ranges, 2) };

	c.d = test_domain(test);
	c.exp = test_pal_exporter(test, c.list);
	c.attach = dma_buf_mapping_attach(c.exp->dmabuf, &imp, 1,
					  &looking_importer, &c);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.attach);
	KUNIT_EXPECT_TRUE(test, c.attach->peer2peer);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	/* Until it has been told */
	c.exp->priv = &c;
	test_revoke(c.exp);
	KUNIT_EXPECT_NULL(test, c.exp->priv);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	dma_buf_detach(c.exp->dmabuf, c.attach);
}

/* What is not there must not be unmapped once more: see test_domain.missed */
static void unmap_while_revoked_unmaps_once(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, SZ_1G, 0, PAGES(8)), 0);
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, c.d->unmaps, 2);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), -ENOENT);
	KUNIT_EXPECT_EQ(test, c.d->unmaps, 2);

	test_restore(c.exp);
	expect_unmapped(&c, IOVA, PAGES(8));
	expect_mapped(&c, SZ_1G, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, SZ_1G, PAGES(8)), 0);
	finish(&c);
}

static void map_while_revoked_touches_no_domain(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, SZ_1G, 0, PAGES(2)), 0);
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, PAGES(1), PAGES(6)), 0);
	expect_unmapped(&c, IOVA, PAGES(6));
	KUNIT_EXPECT_EQ(test, c.d->maps, 1);
	test_restore(c.exp);
	expect_mapped(&c, IOVA, PAGES(1), PAGES(6));
	expect_mapped(&c, SZ_1G, 0, PAGES(2));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(6)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, SZ_1G, PAGES(2)), 0);
	finish(&c);
}

/* iommufd does, and page tables are allocated inside of it */
static void calls_under_the_reservation_lock(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	dma_resv_lock(c.exp->dmabuf->resv, NULL);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_TRUE(test, can_walk(&c, IOVA, 0));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	dma_resv_unlock(c.exp->dmabuf->resv);
	expect_unmapped(&c, IOVA, PAGES(8));
	finish(&c);
}

/* Were the attachment's lock held, this would not come back */
static void map_and_unmap_within(struct test_exporter *exp)
{
	struct ctx *c = exp->priv;

	KUNIT_EXPECT_FALSE(c->test, can_walk(c, IOVA, 0));
	KUNIT_EXPECT_EQ(c->test, map(c, SZ_1G, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(c->test, unmap(c, SZ_1G, PAGES(8)), 0);
}

static void exporter_is_called_without_the_attachments_lock(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	c.exp->on_unmap_phys = map_and_unmap_within;
	c.exp->priv = &c;
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, c.exp->calls.unmap_phys, 1);
	KUNIT_EXPECT_EQ(test, c.d->maps, 2);
	c.exp->on_unmap_phys = NULL;
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

#define MODEL_SLOTS 32
#define MODEL_DOMAINS 3
#define MODEL_PAGES 512

/* What a random run has done, and so what the domains must translate */
struct model {
	struct ctx *c;
	struct test_domain *d[MODEL_DOMAINS];
	const struct dma_buf_phys_list *lists[2];
	bool revoked;
	struct {
		size_t domain;
		size_t iova_page;
		size_t offset;
		size_t length;
	} slots[MODEL_SLOTS];
	/* Physical address of each page of each domain, 0 for none */
	phys_addr_t paddr[MODEL_DOMAINS][MODEL_PAGES];
};

static bool model_free(struct model *m, size_t domain, size_t page, size_t num)
{
	size_t i;

	for (i = 0; i < MODEL_SLOTS; i++)
		if (m->slots[i].length && m->slots[i].domain == domain &&
		    page < m->slots[i].iova_page +
			   m->slots[i].length / PAGE_SIZE &&
		    m->slots[i].iova_page < page + num)
			return false;
	return true;
}

static void model_map(struct model *m, struct rnd_state *rnd)
{
	size_t pages = m->c->exp->dmabuf->size / PAGE_SIZE;
	size_t slot = test_random(rnd, MODEL_SLOTS);
	size_t domain = test_random(rnd, MODEL_DOMAINS);
	size_t first = test_random(rnd, pages);
	size_t num = 1 + test_random(rnd, min_t(size_t, pages - first, 100));
	size_t at = test_random(rnd, MODEL_PAGES - num);
	bool fits = model_free(m, domain, at, num);

	if (m->slots[slot].length)
		return;
	KUNIT_EXPECT_EQ(m->c->test,
			dma_buf_iommu_map(m->c->attach, &m->d[domain]->domain,
					  IOVA + PAGES(at), PAGES(first),
					  PAGES(num), RW, test_random(rnd, 2)),
			fits ? 0 : -EEXIST);
	if (!fits)
		return;
	m->slots[slot].domain = domain;
	m->slots[slot].iova_page = at;
	m->slots[slot].offset = PAGES(first);
	m->slots[slot].length = PAGES(num);
}

static void model_unmap(struct model *m, size_t slot)
{
	struct test_domain *d = m->d[m->slots[slot].domain];

	if (!m->slots[slot].length)
		return;
	KUNIT_EXPECT_EQ(m->c->test,
			dma_buf_iommu_unmap(m->c->attach, &d->domain,
					    IOVA +
					    PAGES(m->slots[slot].iova_page),
					    m->slots[slot].length), 0);
	m->slots[slot].length = 0;
}

static void model_fill(struct model *m)
{
	size_t i, j;

	memset(m->paddr, 0, sizeof(m->paddr));
	if (m->revoked)
		return;
	for (i = 0; i < MODEL_SLOTS; i++)
		for (j = 0; j < m->slots[i].length; j += PAGE_SIZE)
			m->paddr[m->slots[i].domain]
				[m->slots[i].iova_page + j / PAGE_SIZE] =
				test_list_paddr(m->c->exp->list,
						m->slots[i].offset + j);
}

static size_t model_differences(struct model *m)
{
	size_t differences = 0, d, i;

	model_fill(m);
	for (d = 0; d < MODEL_DOMAINS; d++)
		for (i = 0; i < MODEL_PAGES; i++)
			differences +=
				iommu_iova_to_phys(&m->d[d]->domain,
						   IOVA + PAGES(i)) !=
				m->paddr[d][i];
	return differences;
}

static void model_step(struct model *m, struct rnd_state *rnd)
{
	switch (test_random(rnd, 10)) {
	case 0:
		test_revoke(m->c->exp);
		m->revoked = true;
		break;
	case 1:
		/* Not another list for one that is held */
		if (m->revoked)
			m->c->exp->list = m->lists[test_random(rnd, 2)];
		test_restore(m->c->exp);
		m->revoked = false;
		break;
	case 2 ... 5:
		model_unmap(m, test_random(rnd, MODEL_SLOTS));
		break;
	default:
		model_map(m, rnd);
	}
}

/* Another list of the same size: moved, and the last range first */
static struct dma_buf_phys_list *move_list(struct kunit *test,
					   const struct dma_buf_phys_list *list)
{
	struct dma_buf_phys_list *moved;
	size_t i;

	moved = test_list_alloc(test, list->nr_ranges);
	for (i = 0; i < list->nr_ranges; i++) {
		moved->ranges[i] = list->ranges[list->nr_ranges - 1 - i];
		moved->ranges[i].paddr += SZ_256M;
	}
	return moved;
}

static void random_calls_against_a_model(struct kunit *test)
{
	struct rnd_state rnd;
	struct model *m;
	struct ctx c;
	size_t i;

	prandom_seed_state(&rnd, 6);
	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	c = ctx_of(test, test_random_list(test, &rnd, 12, 60));
	m->c = &c;
	m->lists[0] = c.list;
	m->lists[1] = move_list(test, c.list);
	for (i = 0; i < MODEL_DOMAINS; i++)
		m->d[i] = test_domain(test);

	for (i = 0; i < 3000; i++) {
		model_step(m, &rnd);
		KUNIT_ASSERT_EQ_MSG(test, model_differences(m), 0, "step %zu",
				    i);
	}
	for (i = 0; i < MODEL_SLOTS; i++)
		model_unmap(m, i);
	KUNIT_EXPECT_EQ(test, model_differences(m), 0);
	finish(&c);
}

/* After all that went wrong in between, as many as before */
static void page_tables_do_not_leak(struct kunit *test)
{
	unsigned long pages = global_node_page_state(NR_IOMMU_PAGES);
	struct ctx c = two_range_ctx(test);
	unsigned int nth;

	if (IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "page counters are exact without SMP only");

	KUNIT_EXPECT_GT(test, global_node_page_state(NR_IOMMU_PAGES), pages);
	for (nth = 1; nth <= 2; nth++) {
		c.d->fail_map = nth;
		KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), -ENOMEM);
	}
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	test_revoke(c.exp);
	for (nth = 1; nth <= 2; nth++) {
		c.d->fail_map = nth;
		test_restore(c.exp);
	}
	test_restore(c.exp);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
	test_domain_free(test, c.d);
	KUNIT_EXPECT_EQ(test, global_node_page_state(NR_IOMMU_PAGES), pages);
}

static void expect_in_place(struct ctx *c, unsigned int in_place,
			    unsigned int recorded)
{
	char text[64];

	scnprintf(text, sizeof(text),
		  "\t-\tPAL -> iommu_domain\t%u of %u mappings in place\n",
		  in_place, recorded);
	KUNIT_EXPECT_STREQ(c->test, test_describe(c->exp, c->attach), text);
}

/* The index stays over the revoke, so that page tables are all that it needs */
static void restore_uses_the_index_that_is_there(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	struct dma_buf_pal_index *index;

	index = list_first_entry(&c.exp->dmabuf->pal_indexes,
				 struct dma_buf_pal_index, node);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, c.exp->calls.map_phys, c.exp->calls.unmap_phys);
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
	KUNIT_EXPECT_PTR_EQ(test, index,
			    list_first_entry(&c.exp->dmabuf->pal_indexes,
					     struct dma_buf_pal_index, node));
	KUNIT_EXPECT_TRUE(test, list_is_singular(&c.exp->dmabuf->pal_indexes));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

/* Whoever maps and whoever restores */
static void who_attached_is_charged(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	if (!IS_ENABLED(CONFIG_MEMCG))
		kunit_skip(test, "needs CONFIG_MEMCG");

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_TRUE(test, c.d->charges_owner);
	KUNIT_EXPECT_TRUE(test, c.d->last_gfp & __GFP_ACCOUNT);
	test_revoke(c.exp);
	c.d->charges_owner = false;
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
	KUNIT_EXPECT_TRUE(test, c.d->charges_owner);
	KUNIT_EXPECT_TRUE(test, c.d->last_gfp & __GFP_ACCOUNT);
	/* And is not killed for it */
	KUNIT_EXPECT_TRUE(test, c.d->last_gfp & __GFP_RETRY_MAYFAIL);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

static void fatal_signal_ends_a_map(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	test_be_killed_begin();
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), -EINTR);
	test_be_killed_end();
	expect_unmapped(&c, IOVA, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), -ENOENT);
	finish(&c);
}

static void be_killed(struct test_domain *d)
{
	test_be_killed_begin();
}

/* Between two extents: what is in place stays, the rest is for the next restore */
static void fatal_signal_ends_a_restore(struct kunit *test)
{
	struct ctx a = two_range_ctx(test);
	struct ctx b = a;
	unsigned int nth;

	b.attach = attach_iommu(a.exp);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b.attach);
	b.d = test_domain(test);
	/* The last that attached comes first */
	KUNIT_EXPECT_EQ(test, map(&b, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&b, SZ_1G, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&a, IOVA, 0, PAGES(8)), 0);
	for (nth = 1; nth <= 3; nth++) {
		test_revoke(a.exp);
		b.d->on_map = be_killed;
		b.d->on_nth_map = nth;
		KUNIT_EXPECT_EQ(test, test_restore(a.exp), -EINTR);
		test_be_killed_end();
		if (nth == 1)
			expect_unmapped(&b, IOVA, PAGES(8));
		else
			expect_mapped(&b, IOVA, 0, PAGES(8));
		expect_unmapped(&b, SZ_1G, PAGES(8));
		expect_unmapped(&a, IOVA, PAGES(8));

		KUNIT_EXPECT_EQ(test, test_restore(a.exp), 0);
		expect_mapped(&b, IOVA, 0, PAGES(8));
		expect_mapped(&b, SZ_1G, 0, PAGES(8));
		expect_mapped(&a, IOVA, 0, PAGES(8));
	}
	KUNIT_EXPECT_EQ(test, unmap(&a, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&b, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&b, SZ_1G, PAGES(8)), 0);
	test_detach(b.exp, b.attach);
	finish(&a);
}

static void restore_maps_once(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, c.d->maps, 2);
	test_revoke(c.exp);
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, c.d->unmaps, 1);
	test_restore(c.exp);
	test_restore(c.exp);
	KUNIT_EXPECT_EQ(test, c.d->maps, 4);
	KUNIT_EXPECT_EQ(test, c.d->syncs, 2);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

/* Protection and size of pages are properties of the mapping */
static void restore_keeps_how_it_was_mapped(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, SZ_4M }, { SZ_2G, PAGES(3) },
	};
	struct dma_buf_phys_list *list = test_list(test, ranges, 2);
	struct test_domain *second = test_domain(test);
	size_t size = SZ_4M + PAGES(3);
	struct ctx c;

	list->attrs = DMA_BUF_PHYS_MMIO;
	c = ctx_of(test, list);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(c.attach, &c.d->domain, IOVA, 0,
						size, RW, 0), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(c.attach, &second->domain, IOVA,
						0, size, IOMMU_READ,
						DMA_BUF_IOMMU_SMALL_PAGES), 0);
	test_revoke(c.exp);
	c.d->last_prot = 0;
	c.d->longest = 0;
	second->last_prot = 0;
	second->longest = 0;
	test_restore(c.exp);
	KUNIT_EXPECT_EQ(test, c.d->last_prot,
			IOMMU_READ | IOMMU_WRITE | IOMMU_MMIO);
	KUNIT_EXPECT_EQ(test, c.d->longest, SZ_4M);
	expect_mapped(&c, IOVA, 0, size);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, size), 0);
	c.d = second;
	KUNIT_EXPECT_EQ(test, c.d->last_prot, IOMMU_READ | IOMMU_MMIO);
	KUNIT_EXPECT_EQ(test, c.d->longest, PAGE_SIZE);
	expect_mapped(&c, IOVA, 0, size);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, size), 0);
	finish(&c);
}

static void expect_in(struct ctx *c, unsigned long iova, bool in)
{
	if (in)
		expect_mapped(c, iova, 0, PAGES(8));
	else
		expect_unmapped(c, iova, PAGES(8));
	KUNIT_EXPECT_EQ(c->test, can_walk(c, iova, 0), in);
	KUNIT_EXPECT_EQ(c->test, can_walk(c, iova + PAGES(8) - 1, 0), in);
	KUNIT_EXPECT_FALSE(c->test, can_walk(c, iova + PAGES(8), 0));
}

/* In two domains, each with two mappings, whichever of them it is */
static void restore_that_finds_the_iova_taken(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	struct ctx other = c;
	unsigned int i;

	other.d = test_domain(test);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, SZ_1G, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&other, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&other, SZ_1G, 0, PAGES(8)), 0);
	for (i = 0; i < 4; i++) {
		struct ctx *hit = i & 1 ? &other : &c;
		unsigned long taken = (i & 2 ? SZ_1G : IOVA) + PAGES(5);

		test_revoke(c.exp);
		put_in_the_way(hit, taken);
		KUNIT_EXPECT_EQ(test, test_restore(c.exp), -EADDRINUSE);
		expect_in_place(&c, 3, 4);
		take_out_of_the_way(hit, taken);
		/* It alone is out */
		expect_in(&c, IOVA, i != 0);
		expect_in(&other, IOVA, i != 1);
		expect_in(&c, SZ_1G, i != 2);
		expect_in(&other, SZ_1G, i != 3);

		KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
		expect_in_place(&c, 4, 4);
		expect_mapped(&c, IOVA, 0, PAGES(8));
		expect_mapped(&c, SZ_1G, 0, PAGES(8));
		expect_mapped(&other, IOVA, 0, PAGES(8));
		expect_mapped(&other, SZ_1G, 0, PAGES(8));
	}
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, SZ_1G, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&other, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&other, SZ_1G, PAGES(8)), 0);
	finish(&c);
}

static void restore_that_fails_half_way(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	unsigned int nth;

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, SZ_1G, 0, PAGES(8)), 0);
	for (nth = 1; nth <= 4; nth++) {
		test_revoke(c.exp);
		c.d->fail_map = nth;
		KUNIT_EXPECT_EQ(test, test_restore(c.exp), -ENOMEM);
		expect_in_place(&c, 1, 2);
		expect_in(&c, IOVA, nth > 2);
		expect_in(&c, SZ_1G, nth <= 2);
		KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
		expect_mapped(&c, IOVA, 0, PAGES(8));
		expect_mapped(&c, SZ_1G, 0, PAGES(8));
	}
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, SZ_1G, PAGES(8)), 0);
	finish(&c);
}

/* One importer's trouble is not that of another */
static void restore_that_fails_for_one_of_two(struct kunit *test)
{
	struct ctx a = two_range_ctx(test);
	struct ctx b = a;

	b.attach = attach_iommu(a.exp);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b.attach);
	b.d = test_domain(test);
	KUNIT_EXPECT_EQ(test, map(&a, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&b, IOVA, 0, PAGES(8)), 0);
	test_revoke(a.exp);
	put_in_the_way(&a, IOVA);
	KUNIT_EXPECT_EQ(test, test_restore(a.exp), -EADDRINUSE);
	KUNIT_EXPECT_FALSE(test, can_walk(&a, IOVA, 0));
	expect_mapped(&b, IOVA, 0, PAGES(8));
	take_out_of_the_way(&a, IOVA);
	KUNIT_EXPECT_EQ(test, test_restore(a.exp), 0);
	expect_mapped(&a, IOVA, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&a, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&b, IOVA, PAGES(8)), 0);
	test_detach(b.exp, b.attach);
	finish(&a);
}

/* The importer need not wait for a restore: what is out can be mapped anew */
static void what_is_out_can_be_unmapped_and_mapped(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, SZ_1G, 0, PAGES(8)), 0);
	test_revoke(c.exp);
	c.d->fail_map = 1;
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), -ENOMEM);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), -EEXIST);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	expect_in_place(&c, 1, 1);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	expect_in_place(&c, 2, 2);
	/* Of which the exporter need not know */
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));

	/* A revoke takes what is in place, and only that */
	test_revoke(c.exp);
	c.d->fail_map = 1;
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), -ENOMEM);
	test_revoke(c.exp);
	expect_unmapped(&c, SZ_1G, PAGES(8));
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
	expect_mapped(&c, IOVA, 0, PAGES(8));
	expect_mapped(&c, SZ_1G, 0, PAGES(8));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, SZ_1G, PAGES(8)), 0);
	finish(&c);
}

/* The reader of the log has to find whose memory, or whose limit, it is */
static void restore_that_fails_names_who_attached(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	u64 since = test_log_end();
	unsigned int tries;
	char said[128];

	if (!IS_ENABLED(CONFIG_PRINTK))
		kunit_skip(test, "needs PRINTK");
	snprintf(said, sizeof(said),
		 "dma-buf of %s: 1 of 2 mappings of %s[%d] are not restored: %pe",
		 c.exp->dmabuf->exp_name, current->comm, task_pid_nr(current),
		 ERR_PTR(-ENOMEM));

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, map(&c, SZ_1G, 0, PAGES(8)), 0);
	/* The tests before this one may have used up what the log takes */
	for (tries = 0; tries < 80 && !test_log_lines(since, said); tries++) {
		if (tries)
			msleep(100);
		test_revoke(c.exp);
		c.d->fail_map = 1;
		KUNIT_EXPECT_EQ(test, test_restore(c.exp), -ENOMEM);
	}
	KUNIT_EXPECT_EQ(test, test_log_lines(since, said), 1);
	/* Whoever resets a device as often as he can does not fill it */
	for (tries = 0; tries < 100; tries++) {
		test_revoke(c.exp);
		c.d->fail_map = 1;
		KUNIT_EXPECT_EQ(test, test_restore(c.exp), -ENOMEM);
	}
	KUNIT_EXPECT_LT(test, test_log_lines(since, said), 40);
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	KUNIT_EXPECT_EQ(test, unmap(&c, SZ_1G, PAGES(8)), 0);
	finish(&c);
}

static void device_memory_has_no_dirty_bits(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);

	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_EXPECT_TRUE(test, can_walk(&c, IOVA, 0));
	KUNIT_EXPECT_TRUE(test, can_walk(&c, IOVA, DMA_BUF_IOMMU_WALK_DIRTY));
	test_revoke(c.exp);
	c.list->attrs = DMA_BUF_PHYS_MMIO;
	KUNIT_EXPECT_EQ(test, test_restore(c.exp), 0);
	KUNIT_EXPECT_TRUE(test, can_walk(&c, IOVA, 0));
	KUNIT_EXPECT_FALSE(test, can_walk(&c, IOVA, DMA_BUF_IOMMU_WALK_DIRTY));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

/* Two buffers at different addresses are told apart by nothing that it says */
static void iova_align_does_not_tell_where_memory_is(struct kunit *test)
{
	static const struct phys_vec here[] = { { SZ_2G, SZ_64M } };
	static const struct phys_vec there[] = { { SZ_1G + SZ_4K, SZ_64M } };
	struct ctx a = ctx_of(test, test_list(test, here, 1));
	struct ctx b = ctx_of(test, test_list(test, there, 1));
	unsigned long of_a, of_b;
	size_t offset, length;

	for (length = PAGE_SIZE; length <= SZ_32M; length *= 2) {
		for (offset = 0; offset <= SZ_32M; offset += SZ_1M + PAGE_SIZE) {
			unsigned long align;

			align = dma_buf_iommu_iova_align(a.attach, offset,
							 length, &of_a);
			KUNIT_EXPECT_EQ(test, align, length);
			KUNIT_EXPECT_EQ(test, of_a, offset % length);
			align = dma_buf_iommu_iova_align(b.attach, offset,
							 length, &of_b);
			KUNIT_EXPECT_EQ(test, align, length);
			KUNIT_EXPECT_EQ(test, of_b, of_a);
		}
	}
	finish(&a);
	finish(&b);
}

static void iova_align_is_that_of_the_list(struct kunit *test)
{
	static const struct phys_vec bar[] = { { 4ULL * SZ_1G, SZ_1G } };
	struct dma_buf_phys_list *list = test_list(test, bar, 1);
	unsigned long align_offset;
	struct ctx c;

	list->attrs = DMA_BUF_PHYS_MMIO;
	c = ctx_of(test, list);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_iova_align(c.attach, SZ_4K, SZ_64M,
						       &align_offset), SZ_32M);
	KUNIT_EXPECT_EQ(test, align_offset, SZ_4K);
	/* Of which it gives no hint while it is revoked */
	test_revoke(c.exp);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_iova_align(c.attach, 0, SZ_64M,
						       &align_offset), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, align_offset, 0);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_iova_align(c.attach, 2048, SZ_64M,
						       &align_offset), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, align_offset, 2048);
	finish(&c);
}

/**
 * struct revoker - a thread that revokes
 * @exp: what it revokes
 * @started: it is about to
 * @done: it has
 */
struct revoker {
	struct test_exporter *exp;
	struct completion started;
	struct completion done;
};

static int revoke_thread(void *data)
{
	struct revoker *r = data;

	complete(&r->started);
	test_revoke(r->exp);
	complete(&r->done);
	return 0;
}

/*
 * Waits until the thread is asleep, and not for the reservation lock, which it
 * then holds itself; false if it got through instead.
 */
static bool waits_for_the_walk(struct revoker *r, struct task_struct *thread)
{
	wait_for_completion(&r->started);
	while (!completion_done(&r->done)) {
		if (READ_ONCE(thread->__state) == TASK_UNINTERRUPTIBLE &&
		    dma_resv_is_locked(r->exp->dmabuf->resv))
			return true;
		schedule_timeout_uninterruptible(1);
	}
	return false;
}

static void walk_keeps_a_revoke_waiting(struct kunit *test)
{
	struct ctx c = two_range_ctx(test);
	struct revoker r = { .exp = c.exp };
	struct task_struct *thread;

	init_completion(&r.started);
	init_completion(&r.done);
	KUNIT_EXPECT_EQ(test, map(&c, IOVA, 0, PAGES(8)), 0);
	KUNIT_ASSERT_TRUE(test, dma_buf_iommu_walk_begin(c.attach, &c.d->domain,
							 IOVA, 0));
	thread = kthread_run(revoke_thread, &r, "dma-buf-revoke");
	if (!IS_ERR(thread)) {
		KUNIT_EXPECT_TRUE(test, waits_for_the_walk(&r, thread));
		expect_mapped(&c, IOVA, 0, PAGES(8));
	}
	dma_buf_iommu_walk_end(c.attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread);

	wait_for_completion(&r.done);
	expect_unmapped(&c, IOVA, PAGES(8));
	KUNIT_EXPECT_FALSE(test, can_walk(&c, IOVA, 0));
	KUNIT_EXPECT_FALSE(test,
			   dma_buf_iommu_walk_begin(c.attach, NULL, 0, 0));
	KUNIT_EXPECT_EQ(test, unmap(&c, IOVA, PAGES(8)), 0);
	finish(&c);
}

/* Only a kernel with lockdep sees a lock that is missing */
static void this_kernel_checks_locks(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_PROVE_LOCKING) ||
	    !IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP))
		kunit_skip(test, "run with PROVE_LOCKING, DEBUG_ATOMIC_SLEEP");
	KUNIT_EXPECT_TRUE(test, debug_locks);
}

static struct kunit_case pal_to_iommu_cases[] = {
	KUNIT_CASE(attach_takes_list_and_pin),
	KUNIT_CASE(attach_to_exporter_that_cannot_pin),
	KUNIT_CASE_PARAM(attach_that_fails_is_not_pinned,
			 bad_attaches_gen_params),
	KUNIT_CASE(pin_finds_the_attachment_listed),
	KUNIT_CASE(pin_that_invalidates),
	KUNIT_CASE_PARAM(exporter_that_denies_p2p, p2ps_gen_params),
	KUNIT_CASE(denied_p2p_holds_for_a_restore),
	KUNIT_CASE(attach_waits_for_the_kernels_fences),
	KUNIT_CASE(attach_waits_for_no_other_fences),
	KUNIT_CASE(wait_of_an_attach_can_be_interrupted),
	KUNIT_CASE(restore_waits_for_the_kernels_fences),
	KUNIT_CASE(map_and_unmap),
	KUNIT_CASE(every_slice_of_two_ranges),
	KUNIT_CASE(random_slices_of_random_lists),
	KUNIT_CASE(slice_of_one_million_ranges),
	KUNIT_CASE(range_above_8g),
	KUNIT_CASE(adjacent_ranges_are_mapped_as_one),
	KUNIT_CASE(small_pages_that_fail_half_way),
	KUNIT_CASE(iova_mapped_behind_cores_back),
	KUNIT_CASE(failure_half_way_leaves_nothing),
	KUNIT_CASE(sync_that_fails_leaves_nothing),
	KUNIT_CASE(address_beyond_the_page_table_is_refused),
	KUNIT_CASE(range_that_is_not_aligned_for_the_domain),
	KUNIT_CASE(unmap_wants_exactly_what_was_mapped),
	KUNIT_CASE(mmio_is_mapped_as_mmio),
	KUNIT_CASE(read_only_memory_is_mapped_for_reading),
	KUNIT_CASE(memory_that_becomes_read_only),
	KUNIT_CASE(small_pages_only),
	KUNIT_CASE_PARAM(overlap_is_eexist, overlaps_gen_params),
	KUNIT_CASE(iova_beyond_the_domain_is_refused),
	KUNIT_CASE(several_domains),
	KUNIT_CASE(two_importers_of_one_buffer),
	KUNIT_CASE(beside_an_importer_of_sgt),
	KUNIT_CASE(flush_comes_before_the_list_is_given_back),
	KUNIT_CASE(unmap_flushes),
	KUNIT_CASE(importer_that_is_told_finds_nothing_mapped),
	KUNIT_CASE(unmap_while_revoked_unmaps_once),
	KUNIT_CASE(map_while_revoked_touches_no_domain),
	KUNIT_CASE(calls_under_the_reservation_lock),
	KUNIT_CASE(exporter_is_called_without_the_attachments_lock),
	KUNIT_CASE(random_calls_against_a_model),
	KUNIT_CASE(page_tables_do_not_leak),
	KUNIT_CASE(restore_uses_the_index_that_is_there),
	KUNIT_CASE(who_attached_is_charged),
	KUNIT_CASE(fatal_signal_ends_a_map),
	KUNIT_CASE(fatal_signal_ends_a_restore),
	KUNIT_CASE(restore_maps_once),
	KUNIT_CASE(restore_keeps_how_it_was_mapped),
	KUNIT_CASE(restore_that_finds_the_iova_taken),
	KUNIT_CASE(restore_that_fails_half_way),
	KUNIT_CASE(restore_that_fails_for_one_of_two),
	KUNIT_CASE(what_is_out_can_be_unmapped_and_mapped),
	KUNIT_CASE(restore_that_fails_names_who_attached),
	KUNIT_CASE(device_memory_has_no_dirty_bits),
	KUNIT_CASE(iova_align_is_that_of_the_list),
	KUNIT_CASE(iova_align_does_not_tell_where_memory_is),
	KUNIT_CASE(walk_keeps_a_revoke_waiting),
	/* The last one: what the others made lockdep find, it sees */
	KUNIT_CASE(this_kernel_checks_locks),
	{}
};

static struct kunit_suite pal_to_iommu_suite = {
	.name = "dma-buf-mapping-pal-to-iommu",
	.test_cases = pal_to_iommu_cases,
};

kunit_test_suite(pal_to_iommu_suite);

MODULE_DESCRIPTION("KUnit tests of DMA-buf's converter from PAL to iommu_domain");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
