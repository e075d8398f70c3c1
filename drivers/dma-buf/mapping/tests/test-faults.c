// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests with allocations that fail: each one of attach, map and restore in turn,
 * by the kernel's own fault injection. What fails has to leave nothing, and has
 * to succeed when it is tried again. Unmap, revoke and detach have nobody to
 * tell of a failure, and so may not allocate at all.
 */
#include <kunit/test.h>
#include <linux/debugfs.h>
#include <linux/dcache.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/mmzone.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmstat.h>

#include "domain.h"
#include "helpers.h"

#define PAGES(_n) ((size_t)(_n) * PAGE_SIZE)
#define RW (IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE)
#define IOVA SZ_256M
#define DOMAINS 3
/* More than one scatterlist chunk has room for */
#define LIST_RANGES 300

#if IS_ENABLED(CONFIG_FAULT_INJECTION)
static void fail_nth(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

/* Ends the injection; has the allocation that was to fail been reached? */
static bool has_failed(void)
{
	bool failed = !READ_ONCE(current->fail_nth);

	fail_nth(0);
	return failed;
}
#else
static void fail_nth(unsigned int nth)
{
}

static bool has_failed(void)
{
	return false;
}
#endif

/*
 * By default the kernel spares allocations that may sleep and single pages, and
 * prints a stack for each that it makes fail. All of these are off at zero.
 */
static struct knob {
	const char *dir;
	const char *name;
	size_t size;
	void *value;
	u64 saved;
} knobs[] = {
	{ "failslab", "ignore-gfp-wait", sizeof(bool) },
	{ "failslab", "verbose", sizeof(unsigned long) },
	{ "fail_page_alloc", "ignore-gfp-wait", sizeof(bool) },
	{ "fail_page_alloc", "ignore-gfp-highmem", sizeof(bool) },
	{ "fail_page_alloc", "min-order", sizeof(u32) },
	{ "fail_page_alloc", "verbose", sizeof(unsigned long) },
};

/* The variable behind a file of debugfs */
static void *debugfs_value(const char *dir_name, const char *name)
{
	struct dentry *dir = debugfs_lookup(dir_name, NULL);
	struct dentry *file = dir ? debugfs_lookup(name, dir) : NULL;
	void *value = file ? d_inode(file)->i_private : NULL;

	dput(file);
	dput(dir);
	return value;
}

static int faults_init(struct kunit *test)
{
	struct knob *knob;

	if (!IS_ENABLED(CONFIG_FAULT_INJECTION_DEBUG_FS) ||
	    !IS_ENABLED(CONFIG_FAILSLAB) || !IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC))
		kunit_skip(test, "needs FAULT_INJECTION_DEBUG_FS, FAILSLAB and FAIL_PAGE_ALLOC");

	for (knob = knobs; knob < knobs + ARRAY_SIZE(knobs); knob++) {
		knob->value = debugfs_value(knob->dir, knob->name);
		KUNIT_ASSERT_NOT_NULL_MSG(test, knob->value, "%s/%s", knob->dir,
					  knob->name);
		memcpy(&knob->saved, knob->value, knob->size);
		memset(knob->value, 0, knob->size);
	}
	return 0;
}

static void faults_exit(struct kunit *test)
{
	struct knob *knob;

	for (knob = knobs; knob < knobs + ARRAY_SIZE(knobs); knob++) {
		if (knob->value)
			memcpy(knob->value, &knob->saved, knob->size);
		knob->value = NULL;
	}
}

/**
 * struct ctx - what a step works on
 * @test: the test
 * @exp: the exporter
 * @list: its ranges
 * @dev: importer of scatterlists
 * @imp: importer's entry
 * @flags: of dma_buf_iommu_map()
 * @attach: the attachment
 * @sgt: its table
 * @d: domains, made anew for each try so that all of a table is allocated
 */
struct ctx {
	struct kunit *test;
	struct test_exporter *exp;
	struct dma_buf_phys_list *list;
	struct device *dev;
	struct dma_buf_mapping_match imp;
	unsigned int flags;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	struct test_domain *d[DOMAINS];
};

/**
 * struct step - something that allocates
 * @prepare: done before each try, may be NULL
 * @run: the step, returns 0 or an errno
 * @failed: expects that a try that failed has left nothing
 * @done: expects what it is to do
 * @undo: undoes @run and @prepare
 */
struct step {
	void (*prepare)(struct ctx *c);
	int (*run)(struct ctx *c);
	void (*failed)(struct ctx *c);
	void (*done)(struct ctx *c);
	void (*undo)(struct ctx *c);
};

/* More allocations than any step has */
#define NEVER 5000

/* One try; says whether there was an nth allocation to fail */
static bool try_step(struct ctx *c, const struct step *step, unsigned int nth,
		     int *ret)
{
	bool reached;

	if (step->prepare)
		step->prepare(c);
	fail_nth(nth);
	*ret = step->run(c);
	reached = has_failed();

	if (*ret) {
		KUNIT_EXPECT_EQ(c->test, *ret, -ENOMEM);
		KUNIT_EXPECT_TRUE(c->test, reached);
		step->failed(c);
		KUNIT_ASSERT_EQ_MSG(c->test, step->run(c), 0,
				    "tried again after allocation %u", nth);
	}
	step->done(c);
	step->undo(c);
	return reached;
}

/*
 * Makes one allocation after the other fail, until there are no more. Returns
 * how many have made the step fail: some, like that of a larger slab, have a
 * second best.
 */
static unsigned int sweep(struct ctx *c, const struct step *step,
			  unsigned int *tried)
{
	unsigned int failures = 0;
	bool reached;
	int ret;

	*tried = 0;
	do {
		reached = try_step(c, step, *tried + 1, &ret);
		*tried += reached;
		failures += !!ret;
		KUNIT_ASSERT_LT(c->test, *tried, NEVER);
	} while (reached);
	return failures;
}

/*
 * Fails each allocation of a step, @least of which it needs. A slab that gets
 * a new page at one try and not at the next makes the count skip an allocation,
 * so a sweep that found too few is not the last one. A try without a failure in
 * between keeps it from meeting the slab just as the one before did.
 */
static void fail_each(struct ctx *c, const struct step *step,
		      unsigned int least)
{
	unsigned int tried, failures, sweeps;
	int ret;

	failures = sweep(c, step, &tried);
	for (sweeps = 1; failures < least && sweeps < 5; sweeps++) {
		try_step(c, step, NEVER, &ret);
		failures = sweep(c, step, &tried);
	}

	KUNIT_EXPECT_GE(c->test, failures, least);
	test_expect_idle(c->exp);
	kunit_info(c->test, "%u allocations, %u of them needed", tried,
		   failures);
}

static struct ctx ctx_of(struct kunit *test, size_t ranges, size_t max_pages)
{
	struct ctx c = { .test = test };
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 7);
	c.list = test_random_list(test, &rnd, ranges, max_pages);
	c.exp = test_pal_exporter(test, c.list);
	return c;
}

static struct ctx iommu_ctx(struct kunit *test)
{
	struct ctx c = ctx_of(test, 5, 700);

	c.imp = DMA_BUF_IMAPPING_IOMMU();
	return c;
}

static struct ctx sgt_ctx(struct kunit *test)
{
	struct ctx c = ctx_of(test, LIST_RANGES, 4);

	c.dev = test_device(test, DMA_BIT_MASK(64));
	c.imp = DMA_BUF_IMAPPING_SGT(c.dev);
	return c;
}

static struct ctx legacy_ctx(struct kunit *test)
{
	struct ctx c = { .test = test };

	c.exp = test_exporter(test, &test_legacy_ops, SZ_64K);
	c.dev = test_device(test, DMA_BIT_MASK(64));
	return c;
}

static int set_attach(struct ctx *c, struct dma_buf_attachment *attach)
{
	c->attach = IS_ERR(attach) ? NULL : attach;
	return PTR_ERR_OR_ZERO(attach);
}

static int run_attach(struct ctx *c)
{
	return set_attach(c, dma_buf_mapping_attach(c->exp->dmabuf, &c->imp, 1,
						    &test_p2p_importer, NULL));
}

static int run_attach_of_old(struct ctx *c)
{
	return set_attach(c, dma_buf_attach(c->exp->dmabuf, c->dev));
}

static void attach_failed(struct ctx *c)
{
	test_expect_idle(c->exp);
	KUNIT_EXPECT_EQ(c->test, atomic_read(&dma_buf_mapping_sgt.users), 0);
	KUNIT_EXPECT_EQ(c->test, atomic_read(&dma_buf_mapping_pal.users), 0);
	KUNIT_EXPECT_EQ(c->test, atomic_read(&dma_buf_mapping_iommu.users), 0);
}

static void attach_done(struct ctx *c)
{
	KUNIT_EXPECT_TRUE(c->test,
			  list_is_singular(&c->exp->dmabuf->attachments));
}

static void undo_attach(struct ctx *c)
{
	dma_buf_detach(c->exp->dmabuf, c->attach);
	attach_failed(c);
}

static const struct step attach_step = {
	.run = run_attach,
	.failed = attach_failed,
	.done = attach_done,
	.undo = undo_attach,
};

static const struct step attach_of_old_step = {
	.run = run_attach_of_old,
	.failed = attach_failed,
	.done = attach_done,
	.undo = undo_attach,
};

static void attach_for_iommu(struct kunit *test)
{
	struct ctx c = iommu_ctx(test);

	/* The attachment, its records and the index of the list */
	fail_each(&c, &attach_step, 3);
}

static void attach_for_sgt(struct kunit *test)
{
	struct ctx c = sgt_ctx(test);

	fail_each(&c, &attach_step, 1);
}

static void attach_of_legacy_drivers(struct kunit *test)
{
	struct ctx c = legacy_ctx(test);

	fail_each(&c, &attach_of_old_step, 1);
}

static void attached(struct ctx *c)
{
	KUNIT_ASSERT_EQ(c->test, run_attach(c), 0);
}

static void with_domains(struct ctx *c)
{
	size_t i;

	attached(c);
	for (i = 0; i < DOMAINS; i++)
		c->d[i] = test_domain(c->test);
}

/* Each domain has a slice of its own, which crosses ranges */
static size_t slice_offset(size_t i)
{
	return PAGES(3 * i);
}

static size_t slice_length(struct ctx *c, size_t i)
{
	return c->exp->dmabuf->size - PAGES(5 * i);
}

static int unmap_slices(struct ctx *c, size_t num)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < num; i++)
		ret = dma_buf_iommu_unmap(c->attach, &c->d[i]->domain, IOVA,
					  slice_length(c, i)) ?: ret;
	return ret;
}

static int map_slices(struct ctx *c)
{
	size_t i;
	int ret;

	for (i = 0; i < DOMAINS; i++) {
		ret = dma_buf_iommu_map(c->attach, &c->d[i]->domain, IOVA,
					slice_offset(i), slice_length(c, i), RW,
					c->flags);
		if (ret) {
			unmap_slices(c, i);
			return ret;
		}
	}
	return 0;
}

static void expect_mapped(struct ctx *c)
{
	size_t i;

	for (i = 0; i < DOMAINS; i++)
		KUNIT_EXPECT_EQ(c->test,
				test_wrong_pages(c->d[i], IOVA, c->list,
						 slice_offset(i),
						 slice_length(c, i)), 0);
}

static void expect_unmapped(struct ctx *c)
{
	size_t i;

	for (i = 0; i < DOMAINS; i++)
		KUNIT_EXPECT_EQ(c->test,
				test_mapped_pages(c->d[i], IOVA - PAGES(4),
						  c->exp->dmabuf->size +
						  PAGES(8)), 0);
}

static void map_failed(struct ctx *c)
{
	size_t i;

	expect_unmapped(c);
	/* Nor is it recorded */
	for (i = 0; i < DOMAINS; i++)
		KUNIT_EXPECT_EQ(c->test,
				dma_buf_iommu_unmap(c->attach, &c->d[i]->domain,
						    IOVA, slice_length(c, i)),
				-ENOENT);
}

static void free_domains(struct ctx *c)
{
	size_t i;

	undo_attach(c);
	for (i = 0; i < DOMAINS; i++)
		test_domain_free(c->test, c->d[i]);
}

static void undo_map(struct ctx *c)
{
	KUNIT_EXPECT_EQ(c->test, unmap_slices(c, DOMAINS), 0);
	expect_unmapped(c);
	free_domains(c);
}

static const struct step map_step = {
	.prepare = with_domains,
	.run = map_slices,
	.failed = map_failed,
	.done = expect_mapped,
	.undo = undo_map,
};

static void map_in_several_domains(struct kunit *test)
{
	struct ctx c = iommu_ctx(test);

	/* For each domain the record and at least one page of its table */
	fail_each(&c, &map_step, 2 * DOMAINS);
}

static void map_with_small_pages(struct kunit *test)
{
	struct ctx c = iommu_ctx(test);

	c.flags = DMA_BUF_IOMMU_SMALL_PAGES;
	fail_each(&c, &map_step, 2 * DOMAINS);
}

static void revoked(struct ctx *c)
{
	with_domains(c);
	test_revoke(c->exp);
}

static void expect_recorded(struct ctx *c)
{
	expect_unmapped(c);
	test_restore(c->exp);
	expect_mapped(c);
}

static const struct step map_while_revoked_step = {
	.prepare = revoked,
	.run = map_slices,
	.failed = map_failed,
	.done = expect_recorded,
	.undo = undo_map,
};

static void map_while_revoked(struct kunit *test)
{
	struct ctx c = iommu_ctx(test);

	/* The records: no table is there to be filled */
	fail_each(&c, &map_while_revoked_step, DOMAINS);
}

static void revoked_with_records(struct ctx *c)
{
	revoked(c);
	KUNIT_ASSERT_EQ(c->test, map_slices(c), 0);
}

/* An exporter is not told how it went; what an importer can see tells */
static int run_restore(struct ctx *c)
{
	test_restore(c->exp);
	if (!dma_buf_iommu_try_hold(c->attach))
		return -ENOMEM;
	dma_buf_iommu_release(c->attach);
	return 0;
}

static void restore_failed(struct ctx *c)
{
	expect_unmapped(c);
	KUNIT_EXPECT_EQ(c->test, c->exp->calls.map_phys,
			c->exp->calls.unmap_phys);
	KUNIT_EXPECT_TRUE(c->test, list_empty(&c->exp->dmabuf->pals));
	KUNIT_EXPECT_TRUE(c->test, to_mapping(c->attach)->revoked);
}

static const struct step restore_step = {
	.prepare = revoked_with_records,
	.run = run_restore,
	.failed = restore_failed,
	.done = expect_mapped,
	.undo = undo_map,
};

static void restore_of_several_domains(struct kunit *test)
{
	struct ctx c = iommu_ctx(test);

	/* The index, and at least one page of the table of each domain */
	fail_each(&c, &restore_step, 1 + DOMAINS);
}

static int run_sgt_map(struct ctx *c)
{
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(c->attach, DMA_TO_DEVICE);
	c->sgt = IS_ERR(sgt) ? NULL : sgt;
	return PTR_ERR_OR_ZERO(sgt);
}

static void sgt_map_failed(struct ctx *c)
{
	KUNIT_EXPECT_EQ(c->test, c->exp->calls.map_phys,
			c->exp->calls.unmap_phys);
	KUNIT_EXPECT_EQ(c->test, c->exp->calls.map_sgt,
			c->exp->calls.unmap_sgt);
	KUNIT_EXPECT_EQ(c->test, c->exp->calls.pin, c->exp->calls.unpin);
	KUNIT_EXPECT_TRUE(c->test, list_empty(&c->exp->dmabuf->pals));
}

static void sgt_map_done(struct ctx *c)
{
	struct scatterlist *sg;
	size_t sum = 0;
	int i;

	for_each_sgtable_dma_sg(c->sgt, sg, i) {
		if (c->list)
			KUNIT_EXPECT_EQ(c->test, sg_dma_address(sg),
					test_list_paddr(c->list, sum));
		sum += sg_dma_len(sg);
	}
	KUNIT_EXPECT_EQ(c->test, sum, c->exp->dmabuf->size);
}

static void undo_sgt_map(struct ctx *c)
{
	dma_buf_unmap_attachment_unlocked(c->attach, c->sgt, DMA_TO_DEVICE);
	sgt_map_failed(c);
	undo_attach(c);
}

static const struct step sgt_map_step = {
	.prepare = attached,
	.run = run_sgt_map,
	.failed = sgt_map_failed,
	.done = sgt_map_done,
	.undo = undo_sgt_map,
};

static void attached_of_old(struct ctx *c)
{
	KUNIT_ASSERT_EQ(c->test, run_attach_of_old(c), 0);
}

/* An importer without callbacks, for which core pins */
static const struct step sgt_map_of_old_step = {
	.prepare = attached_of_old,
	.run = run_sgt_map,
	.failed = sgt_map_failed,
	.done = sgt_map_done,
	.undo = undo_sgt_map,
};

static void skip_without_dma(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		kunit_skip(test, "no DMA without HAS_DMA");
}

static void map_for_sgt(struct kunit *test)
{
	struct ctx c;

	skip_without_dma(test);
	c = sgt_ctx(test);
	/* What undoes the table, and each chunk of its entries */
	fail_each(&c, &sgt_map_step,
		  1 + LIST_RANGES / 2 / SG_MAX_SINGLE_ALLOC);
}

static void map_for_sgt_of_old(struct kunit *test)
{
	struct ctx c;

	skip_without_dma(test);
	c = sgt_ctx(test);
	fail_each(&c, &sgt_map_of_old_step,
		  1 + LIST_RANGES / 2 / SG_MAX_SINGLE_ALLOC);
}

static void map_of_legacy_drivers(struct kunit *test)
{
	struct ctx c = legacy_ctx(test);

	/* Those of the exporter, which core has to pass on */
	fail_each(&c, &sgt_map_of_old_step, 2);
}

static void nothing_may_fail(struct kunit *test, const char *what)
{
	KUNIT_EXPECT_FALSE_MSG(test, has_failed(), "%s allocates", what);
}

static void unmap_revoke_and_detach_do_not_allocate(struct kunit *test)
{
	struct ctx c = iommu_ctx(test);
	int ret;

	with_domains(&c);
	KUNIT_ASSERT_EQ(test, map_slices(&c), 0);
	fail_nth(1);
	test_revoke(c.exp);
	nothing_may_fail(test, "revoke");
	expect_unmapped(&c);

	test_restore(c.exp);
	expect_mapped(&c);
	fail_nth(1);
	ret = unmap_slices(&c, DOMAINS);
	nothing_may_fail(test, "unmap");
	KUNIT_EXPECT_EQ(test, ret, 0);
	expect_unmapped(&c);

	fail_nth(1);
	dma_buf_detach(c.exp->dmabuf, c.attach);
	nothing_may_fail(test, "detach");
	test_expect_idle(c.exp);
}

static void unmap_for_sgt_does_not_allocate(struct kunit *test)
{
	struct ctx c;

	skip_without_dma(test);
	c = sgt_ctx(test);
	attached(&c);
	KUNIT_ASSERT_EQ(test, run_sgt_map(&c), 0);
	fail_nth(1);
	dma_buf_unmap_attachment_unlocked(c.attach, c.sgt, DMA_TO_DEVICE);
	nothing_may_fail(test, "unmap");

	fail_nth(1);
	dma_buf_detach(c.exp->dmabuf, c.attach);
	nothing_may_fail(test, "detach");
	test_expect_idle(c.exp);
}

/* After all that went wrong in between, as many as before */
static void page_tables_do_not_leak(struct kunit *test)
{
	unsigned long pages = global_node_page_state(NR_IOMMU_PAGES);
	struct ctx c;

	if (IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "page counters are exact without SMP only");

	c = iommu_ctx(test);
	with_domains(&c);
	KUNIT_EXPECT_GE(test, global_node_page_state(NR_IOMMU_PAGES),
			pages + DOMAINS);
	free_domains(&c);
	fail_each(&c, &map_step, 1);
	fail_each(&c, &restore_step, 1);
	KUNIT_EXPECT_EQ(test, global_node_page_state(NR_IOMMU_PAGES), pages);
}

static struct kunit_case faults_cases[] = {
	KUNIT_CASE(attach_for_iommu),
	KUNIT_CASE(attach_for_sgt),
	KUNIT_CASE(attach_of_legacy_drivers),
	KUNIT_CASE(map_in_several_domains),
	KUNIT_CASE(map_with_small_pages),
	KUNIT_CASE(map_while_revoked),
	KUNIT_CASE(restore_of_several_domains),
	KUNIT_CASE(map_for_sgt),
	KUNIT_CASE(map_for_sgt_of_old),
	KUNIT_CASE(map_of_legacy_drivers),
	KUNIT_CASE(unmap_revoke_and_detach_do_not_allocate),
	KUNIT_CASE(unmap_for_sgt_does_not_allocate),
	KUNIT_CASE(page_tables_do_not_leak),
	{}
};

static struct kunit_suite faults_suite = {
	.name = "dma-buf-mapping-faults",
	.init = faults_init,
	.exit = faults_exit,
	.test_cases = faults_cases,
};

kunit_test_suite(faults_suite);

MODULE_DESCRIPTION("KUnit tests of DMA-buf mapping types with failing allocations");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
