// SPDX-License-Identifier: GPL-2.0-only
/*
 * What every converter from PAL has to do, whatever it converts to: an importer
 * that uses the buffer reaches what the exporter's list says and nothing else,
 * each list is given back once, and a failure leaves nothing.
 *
 * A converter takes part by its entry in the table of adapters.
 */
#include <kunit/test.h>
#include <linux/bug.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>

#include <asm/sections.h>

#include "domain.h"
#include "examples/examples.h"
#include "faults.h"
#include "helpers.h"

#define DOMAINS 3

struct adapter;

/**
 * struct importer - who uses one buffer
 * @exp: the exporter
 * @a: how the importer uses the buffer
 * @attach: its attachment, NULL if there is none
 * @dev: what it does DMA with, if that is what it does
 * @sgt: its table, if that is how it maps
 * @d: its domains, made anew for each user so that all of a table is allocated
 */
struct importer {
	struct test_exporter *exp;
	const struct adapter *a;
	struct dma_buf_attachment *attach;
	struct device *dev;
	struct sg_table *sgt;
	struct test_domain *d[DOMAINS];
};

/**
 * struct adapter - a converter, as its importers use it
 * @name: of the converter
 * @variant: of its use, for the name of the test, may be NULL
 * @core_revokes: its mappings go without the importer's help
 * @maps_at_attach: all is mapped from attach to detach, for lack of another way
 * @warns_if_left: how often it warns if it is detached with mappings left
 * @allocations: at least this many does an attach need with all that is mapped
 * @records: and this many to record all that while revoked
 * @restore_allocations: and this many to restore it, with the index that is kept
 * @prepare: makes what the importer needs besides the buffer, may be NULL
 * @release: undoes @prepare, may be NULL
 * @attach: dma_buf_mapping_attach() with the importer's entry and callbacks
 * @map: maps all there is to map, or nothing if it returns an errno
 * @unmap: undoes @map; works for what is revoked as well
 * @is_right: is all mapped, and to what the list says?
 * @is_mapped: is anything mapped?
 */
struct adapter {
	const char *name;
	const char *variant;
	bool core_revokes;
	bool maps_at_attach;
	unsigned int warns_if_left;
	unsigned int allocations;
	unsigned int records;
	unsigned int restore_allocations;
	void (*prepare)(struct importer *u);
	void (*release)(struct importer *u);
	struct dma_buf_attachment *(*attach)(struct importer *u);
	int (*map)(struct importer *u);
	void (*unmap)(struct importer *u);
	bool (*is_right)(struct importer *u);
	bool (*is_mapped)(struct importer *u);
};

/* PAL to SGT: an importer with a device, which unmaps when it is told to */
static void sgt_prepare(struct importer *u)
{
	u->dev = test_device(u->exp->test, DMA_BIT_MASK(64));
}

static void sgt_let_go(struct importer *u)
{
	struct sg_table *sgt = u->sgt;

	if (!sgt)
		return;
	u->sgt = NULL;
	dma_buf_unmap_attachment(u->attach, sgt, DMA_TO_DEVICE);
}

static void sgt_invalidate(struct dma_buf_attachment *attach)
{
	sgt_let_go(attach->importer_priv);
}

static const struct dma_buf_attach_ops sgt_importer = {
	.allow_peer2peer = true,
	.invalidate_mappings = sgt_invalidate,
};

static struct dma_buf_attachment *sgt_attach(struct importer *u)
{
	const struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_SGT(u->dev);

	return dma_buf_mapping_attach(u->exp->dmabuf, &imp, 1, &sgt_importer,
				      u);
}

static int sgt_map(struct importer *u)
{
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(u->attach, DMA_TO_DEVICE);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	u->sgt = sgt;
	return 0;
}

static void sgt_unmap(struct importer *u)
{
	dma_resv_lock(u->exp->dmabuf->resv, NULL);
	sgt_let_go(u);
	dma_resv_unlock(u->exp->dmabuf->resv);
}

static bool sgt_is_right(struct importer *u)
{
	return u->sgt && test_sgt_difference(u->sgt, u->exp->list) ==
			 test_list_size(u->exp->list);
}

static bool sgt_is_mapped(struct importer *u)
{
	return u->sgt;
}

/* PAL to iommu_domain: a slice in each of several domains, which cross ranges */
static void iommu_prepare(struct importer *u)
{
	size_t i;

	for (i = 0; i < DOMAINS; i++)
		u->d[i] = test_domain(u->exp->test);
}

static void iommu_release(struct importer *u)
{
	size_t i;

	for (i = 0; i < DOMAINS; i++)
		test_domain_free(u->exp->test, u->d[i]);
}

static struct dma_buf_attachment *iommu_attach(struct importer *u)
{
	const struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_IOMMU();

	return dma_buf_mapping_attach(u->exp->dmabuf, &imp, 1, NULL, NULL);
}

static size_t slice_offset(size_t i)
{
	return PAGES(i);
}

static size_t slice_length(struct importer *u, size_t i)
{
	return u->exp->dmabuf->size - PAGES(2 * i);
}

static void iommu_unmap_slices(struct importer *u, size_t num)
{
	size_t i;

	for (i = 0; i < num; i++)
		KUNIT_EXPECT_EQ(u->exp->test,
				dma_buf_iommu_unmap(u->attach, &u->d[i]->domain,
						    IOVA, slice_length(u, i)),
				0);
}

static int iommu_map_slices(struct importer *u, unsigned int flags)
{
	size_t i;
	int ret;

	for (i = 0; i < DOMAINS; i++) {
		ret = dma_buf_iommu_map(u->attach, &u->d[i]->domain, IOVA,
					slice_offset(i), slice_length(u, i), RW,
					flags);
		if (ret) {
			iommu_unmap_slices(u, i);
			/* Nor is the one that failed recorded */
			KUNIT_EXPECT_EQ(u->exp->test,
					dma_buf_iommu_unmap(u->attach,
							    &u->d[i]->domain, IOVA,
							    slice_length(u, i)),
					-ENOENT);
			return ret;
		}
	}
	return 0;
}

static int iommu_map_large(struct importer *u)
{
	return iommu_map_slices(u, 0);
}

static int iommu_map_small(struct importer *u)
{
	return iommu_map_slices(u, DMA_BUF_IOMMU_SMALL_PAGES);
}

static void iommu_unmap_all(struct importer *u)
{
	iommu_unmap_slices(u, DOMAINS);
}

static bool iommu_is_right(struct importer *u)
{
	size_t wrong = 0, i;

	for (i = 0; i < DOMAINS; i++)
		wrong += test_wrong_pages(u->d[i], IOVA, u->exp->list,
					  slice_offset(i), slice_length(u, i));
	return !wrong;
}

static bool iommu_is_mapped(struct importer *u)
{
	size_t mapped = 0, i;

	for (i = 0; i < DOMAINS; i++)
		mapped += test_mapped_pages(u->d[i], IOVA - PAGES(4),
					    u->exp->dmabuf->size + PAGES(8));
	return mapped;
}

/* The example: all windows are open from attach to detach */
static struct dma_buf_attachment *windows_attach(struct importer *u)
{
	return window_attach(u->exp->dmabuf);
}

static int windows_map(struct importer *u)
{
	return 0;
}

static void windows_unmap(struct importer *u)
{
}

static bool windows_is_right(struct importer *u)
{
	size_t size = u->exp->dmabuf->size, offset;
	phys_addr_t paddr;

	for (offset = 0; offset < size; offset += PAGE_SIZE)
		if (!window_translates(u->attach, offset, &paddr) ||
		    paddr != test_list_paddr(u->exp->list, offset))
			return false;
	return !window_translates(u->attach, size, &paddr);
}

static bool windows_is_mapped(struct importer *u)
{
	phys_addr_t paddr;

	return window_translates(u->attach, 0, &paddr);
}

static const struct adapter adapters[] = {
	{
		.name = "PAL -> SGT",
		/* The attachment, the table and its entries */
		.allocations = 3,
		.restore_allocations = 2,
		.prepare = sgt_prepare,
		.attach = sgt_attach,
		.map = sgt_map,
		.unmap = sgt_unmap,
		.is_right = sgt_is_right,
		.is_mapped = sgt_is_mapped,
	},
	{
		.name = "PAL -> iommu_domain",
		.core_revokes = true,
		.warns_if_left = 1,
		/*
		 * The attachment, what it has mapped, the index, and for each
		 * domain a record and at least one page of its table
		 */
		.allocations = 3 + 2 * DOMAINS,
		.records = DOMAINS,
		.restore_allocations = DOMAINS,
		.prepare = iommu_prepare,
		.release = iommu_release,
		.attach = iommu_attach,
		.map = iommu_map_large,
		.unmap = iommu_unmap_all,
		.is_right = iommu_is_right,
		.is_mapped = iommu_is_mapped,
	},
	{
		.name = "PAL -> iommu_domain",
		.variant = ", small pages",
		.core_revokes = true,
		.warns_if_left = 1,
		.allocations = 3 + 2 * DOMAINS,
		.records = DOMAINS,
		.restore_allocations = DOMAINS,
		.prepare = iommu_prepare,
		.release = iommu_release,
		.attach = iommu_attach,
		.map = iommu_map_small,
		.unmap = iommu_unmap_all,
		.is_right = iommu_is_right,
		.is_mapped = iommu_is_mapped,
	},
	{
		.name = "PAL -> example windows",
		.core_revokes = true,
		.maps_at_attach = true,
		/* The attachment, the unit and the index */
		.allocations = 3,
		.attach = windows_attach,
		.map = windows_map,
		.unmap = windows_unmap,
		.is_right = windows_is_right,
		.is_mapped = windows_is_mapped,
	},
};

static void describe(const struct adapter *a, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s%s", a->name, a->variant ?: "");
}

KUNIT_ARRAY_PARAM(adapters, adapters, describe);

/* Those of them whose mappings core removes and restores by itself */
static const void *owning_gen_params(struct kunit *test, const void *prev,
				     char *desc)
{
	const struct adapter *a = prev ? (const struct adapter *)prev + 1 :
					 adapters;

	while (a < adapters + ARRAY_SIZE(adapters) && !a->core_revokes)
		a++;
	if (a == adapters + ARRAY_SIZE(adapters))
		return NULL;
	describe(a, desc);
	return a;
}

/* Few enough extents for every converter */
static const struct phys_vec four_ranges[] = {
	{ SZ_2G, PAGES(7) }, { SZ_1G, PAGES(9) },
	{ SZ_1G + PAGES(9), PAGES(500) }, { SZ_512M + PAGES(3), PAGES(8) },
};

/* Of the same size */
static const struct phys_vec elsewhere[] = {
	{ SZ_1G + PAGES(9), PAGES(20) }, { 4ULL * SZ_1G, PAGES(504) },
};

static struct test_exporter *exporter(struct kunit *test)
{
	return test_pal_exporter(test, test_list(test, four_ranges,
						 ARRAY_SIZE(four_ranges)));
}

static struct importer new_user(struct test_exporter *exp, const struct adapter *a)
{
	return (struct importer){ .exp = exp, .a = a };
}

static void prepare(void *ctx)
{
	struct importer *u = ctx;

	if (u->a->prepare)
		u->a->prepare(u);
}

static void release(struct importer *u)
{
	if (u->a->release)
		u->a->release(u);
}

static int try_attach(struct importer *u)
{
	struct dma_buf_attachment *attach = u->a->attach(u);

	u->attach = IS_ERR(attach) ? NULL : attach;
	return PTR_ERR_OR_ZERO(attach);
}

static void begin(struct importer *u)
{
	prepare(u);
	KUNIT_ASSERT_EQ(u->exp->test, try_attach(u), 0);
	KUNIT_EXPECT_STREQ(u->exp->test, dma_buf_mapping_name(u->attach),
			   u->a->name);
}

static void end(struct importer *u)
{
	dma_buf_detach(u->exp->dmabuf, u->attach);
	u->attach = NULL;
	release(u);
}

static void map(struct importer *u)
{
	KUNIT_ASSERT_EQ(u->exp->test, u->a->map(u), 0);
}

static void expect_right(struct importer *u)
{
	KUNIT_EXPECT_TRUE(u->exp->test, u->a->is_right(u));
	KUNIT_EXPECT_TRUE(u->exp->test, u->a->is_mapped(u));
	KUNIT_EXPECT_GT(u->exp->test, u->exp->calls.map_phys,
			u->exp->calls.unmap_phys);
}

static void expect_nothing_mapped(struct importer *u)
{
	KUNIT_EXPECT_FALSE(u->exp->test, u->a->is_mapped(u));
	KUNIT_EXPECT_FALSE(u->exp->test, u->a->is_right(u));
}

/* Nothing is mapped, and core holds no list */
static void expect_let_go(struct importer *u)
{
	expect_nothing_mapped(u);
	KUNIT_EXPECT_EQ(u->exp->test, u->exp->calls.map_phys,
			u->exp->calls.unmap_phys);
}

static void attach_and_detach(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	begin(&u);
	KUNIT_EXPECT_EQ(test, u.exp->calls.attach, 1);
	KUNIT_EXPECT_EQ(test, u.exp->calls.detach, 0);
	end(&u);
	KUNIT_EXPECT_EQ(test, u.exp->calls.detach, 1);
	test_expect_idle(u.exp);
}

static void mapped_is_what_the_list_says(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	unsigned int round;

	begin(&u);
	for (round = 0; round < 3; round++) {
		map(&u);
		expect_right(&u);
		u.a->unmap(&u);
	}
	end(&u);
	test_expect_idle(u.exp);
}

static void random_lists(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int round;

	prandom_seed_state(&rnd, 9);
	for (round = 0; round < 20; round++) {
		struct dma_buf_phys_list *list =
			test_random_list(test, &rnd, 1 + round % 4, 40);
		struct importer u = new_user(test_pal_exporter(test, list),
					 test->param_value);

		/* Large enough for every slice of it */
		list->ranges[0].len += PAGES(8);
		u.exp->dmabuf->size += PAGES(8);
		begin(&u);
		map(&u);
		expect_right(&u);
		u.a->unmap(&u);
		end(&u);
		test_expect_idle(u.exp);
	}
}

static void exporter_that_refuses_the_attach(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	prepare(&u);
	u.exp->err.attach = -EPERM;
	KUNIT_EXPECT_EQ(test, try_attach(&u), -EPERM);
	KUNIT_EXPECT_EQ(test, u.exp->calls.map_phys, 0);
	KUNIT_EXPECT_EQ(test, u.exp->calls.detach, 0);
	test_expect_idle(u.exp);
	u.exp->err.attach = 0;
	KUNIT_EXPECT_EQ(test, try_attach(&u), 0);
	end(&u);
}

/**
 * struct bad_exporter - an exporter that has no good list to lend
 * @map_phys: its errno
 * @ranges: its list, if it has no errno
 * @nr_ranges: how many there are, 0 for no list at all
 * @attrs: of the list
 * @err: what the importer gets
 * @taken: how many lists core takes, and gives back
 */
struct bad_exporter {
	int map_phys;
	struct phys_vec ranges[2];
	size_t nr_ranges;
	unsigned int attrs;
	int err;
	unsigned int taken;
};

static const struct bad_exporter bad_exporters[] = {
	/* Revoked, which some exporters are from the start */
	{ -ENODEV, {}, 0, 0, -ENODEV, 0 },
	{ -ERESTARTSYS, {}, 0, 0, -ERESTARTSYS, 0 },
	/* No list, too little, an address within a page, an unknown attribute */
	{ 0, {}, 0, 0, -EINVAL, 0 },
	{ 0, { { SZ_2G, PAGES(523) } }, 1, 0, -EINVAL, 1 },
	{ 0, { { SZ_2G + 1, PAGES(524) } }, 1, 0, -EINVAL, 1 },
	{ 0, { { SZ_2G, PAGES(524) } }, 1, BIT(30), -EINVAL, 1 },
};

static void make_bad(struct test_exporter *exp, const struct bad_exporter *bad)
{
	struct dma_buf_phys_list *list = NULL;

	if (bad->nr_ranges) {
		list = test_list(exp->test, bad->ranges, bad->nr_ranges);
		list->attrs = bad->attrs;
	}
	exp->err.map_phys = bad->map_phys;
	exp->list = list;
}

/* Wherever it shows, in the attach or later; there may be a next time */
static int use(struct importer *u)
{
	int ret = try_attach(u);

	if (ret)
		return ret;
	ret = u->a->map(u);
	if (ret) {
		dma_buf_detach(u->exp->dmabuf, u->attach);
		u->attach = NULL;
	}
	return ret;
}

static void stop(struct importer *u)
{
	u->a->unmap(u);
	dma_buf_detach(u->exp->dmabuf, u->attach);
	u->attach = NULL;
}

static void exporter_without_a_good_list(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	const struct dma_buf_phys_list *good = u.exp->list;
	const struct bad_exporter *bad;

	prepare(&u);
	for (bad = bad_exporters;
	     bad < bad_exporters + ARRAY_SIZE(bad_exporters); bad++) {
		unsigned int before = u.exp->calls.map_phys;

		make_bad(u.exp, bad);
		KUNIT_EXPECT_EQ(test, use(&u), bad->err);
		KUNIT_EXPECT_EQ(test, u.exp->calls.map_phys - before,
				bad->taken);
		test_expect_idle(u.exp);

		u.exp->err.map_phys = 0;
		u.exp->list = good;
		KUNIT_ASSERT_EQ(test, use(&u), 0);
		expect_right(&u);
		stop(&u);
	}
	release(&u);
}

static void several_importers(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct importer one = new_user(exp, test->param_value);
	struct importer two = new_user(exp, test->param_value);

	begin(&one);
	begin(&two);
	map(&one);
	map(&two);
	expect_right(&one);
	expect_right(&two);
	one.a->unmap(&one);
	end(&one);
	expect_right(&two);
	test_revoke(exp);
	expect_let_go(&two);
	two.a->unmap(&two);
	end(&two);
	test_expect_idle(exp);
}

static void expect_user_let_go(struct test_exporter *exp)
{
	expect_nothing_mapped(exp->priv);
}

/* By the end of the revoke, as the exporter waits for it; and once only */
static void revoke_gives_the_list_back(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	unsigned int taken;

	begin(&u);
	map(&u);
	taken = u.exp->calls.map_phys;
	KUNIT_EXPECT_EQ(test, taken, 1);
	/* Not before the last translation is gone */
	u.exp->on_unmap_phys = expect_user_let_go;
	u.exp->priv = &u;
	test_revoke(u.exp);
	expect_let_go(&u);
	test_revoke(u.exp);
	test_invalidate(u.exp);
	expect_let_go(&u);
	KUNIT_EXPECT_EQ(test, u.exp->calls.map_phys, taken);
	u.exp->on_unmap_phys = NULL;

	u.a->unmap(&u);
	end(&u);
	KUNIT_EXPECT_EQ(test, u.exp->calls.map_phys, taken);
	test_expect_idle(u.exp);
}

static void revoke_with_nothing_mapped(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	begin(&u);
	test_revoke(u.exp);
	expect_let_go(&u);
	test_revoke(u.exp);
	expect_let_go(&u);
	end(&u);
	test_expect_idle(u.exp);
}

/* It may be refused or recorded; either way nothing is mapped */
static void map_while_revoked(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	int ret;

	begin(&u);
	test_revoke(u.exp);
	ret = u.a->map(&u);
	KUNIT_EXPECT_EQ(test, ret, u.a->core_revokes ? 0 : -ENODEV);
	expect_let_go(&u);
	if (!ret)
		u.a->unmap(&u);
	expect_let_go(&u);
	end(&u);
	test_expect_idle(u.exp);
}

/* An importer that attaches after a revoke is not any better off */
static void attach_while_revoked(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	prepare(&u);
	test_revoke(u.exp);
	KUNIT_EXPECT_EQ(test, use(&u), -ENODEV);
	test_expect_idle(u.exp);
	release(&u);
}

static int run_use(void *ctx)
{
	return use(ctx);
}

static void use_failed(void *ctx)
{
	struct importer *u = ctx;

	test_expect_idle(u->exp);
}

static void use_done(void *ctx)
{
	expect_right(ctx);
}

static void undo_use(void *ctx)
{
	struct importer *u = ctx;

	stop(u);
	use_failed(u);
	release(u);
}

static const struct test_step use_step = {
	.prepare = prepare,
	.run = run_use,
	.failed = use_failed,
	.done = use_done,
	.undo = undo_use,
};

/* Of all page tables of IOMMUs; the counter is exact without SMP only */
static unsigned long table_pages(void)
{
	if (IS_ENABLED(CONFIG_SMP))
		return 0;
	return global_node_page_state(NR_IOMMU_PAGES);
}

static void use_without_memory(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	unsigned long pages = table_pages();

	test_needs_faults(test);
	test_fail_each(test, &use_step, &u, u.a->allocations);
	KUNIT_EXPECT_EQ(test, table_pages(), pages);
}

/* They have nobody to tell of a failure */
static void unmap_revoke_and_detach_do_not_allocate(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	test_needs_faults(test);
	begin(&u);
	map(&u);
	test_no_alloc_begin();
	u.a->unmap(&u);
	test_no_alloc_end(test, "unmap");

	map(&u);
	expect_right(&u);
	test_no_alloc_begin();
	test_revoke(u.exp);
	test_no_alloc_end(test, "revoke");
	expect_let_go(&u);

	u.a->unmap(&u);
	test_no_alloc_begin();
	dma_buf_detach(u.exp->dmabuf, u.attach);
	test_no_alloc_end(test, "detach");
	release(&u);
	test_expect_idle(u.exp);
}

/* Every converter at once, and none knows of the others */
static void all_converters_on_one_buffer(struct kunit *test)
{
	struct importer users[ARRAY_SIZE(adapters)];
	struct test_exporter *exp = exporter(test);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(users); i++) {
		users[i] = new_user(exp, &adapters[i]);
		begin(&users[i]);
		map(&users[i]);
	}
	for (i = 0; i < ARRAY_SIZE(users); i++)
		expect_right(&users[i]);
	test_revoke(exp);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		expect_let_go(&users[i]);
	test_restore(exp);
	for (i = 0; i < ARRAY_SIZE(users); i++) {
		if (!users[i].a->core_revokes)
			map(&users[i]);
		expect_right(&users[i]);
	}
	for (i = 0; i < ARRAY_SIZE(users); i++) {
		users[i].a->unmap(&users[i]);
		end(&users[i]);
	}
	test_expect_idle(exp);
}

static void bufinfo_says_that_it_is_revoked(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	const char *line;

	begin(&u);
	map(&u);
	KUNIT_EXPECT_NULL(test, strstr(test_describe(u.exp, u.attach),
				       "\trevoked"));
	test_revoke(u.exp);
	line = test_describe(u.exp, u.attach);
	test_expect_text(test, line, u.a->name);
	test_expect_text(test, line, "\trevoked\n");
	u.a->unmap(&u);
	end(&u);
}

/* As a write to clear_warn_once does, so that a test can be run again */
static void forget_warnings(void)
{
	generic_bug_clear_once();
	memset(__start_once, 0, __end_once - __start_once);
}

static void detach_with_warning(struct importer *u)
{
	struct kunit *test = u->exp->test;

	forget_warnings();
	kunit_warning_suppress(test) {
		dma_buf_detach(u->exp->dmabuf, u->attach);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test,
						      u->a->warns_if_left);
	}
	/* Windows went with the attachment: there is nothing left to ask */
	if (!u->a->maps_at_attach)
		expect_nothing_mapped(u);
	u->attach = NULL;
	release(u);
	test_expect_idle(u->exp);
}

/* Which is an importer's bug, made here on purpose, where there is an unmap */
static void detach_with_mappings_left(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	begin(&u);
	map(&u);
	detach_with_warning(&u);
	KUNIT_EXPECT_EQ(test, u.exp->calls.unmap_phys, 1);
}

static void detach_with_mappings_left_while_revoked(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	begin(&u);
	map(&u);
	test_revoke(u.exp);
	detach_with_warning(&u);
	KUNIT_EXPECT_EQ(test, u.exp->calls.unmap_phys, 1);
}

/* Restores, and lets an importer that maps by itself do so */
static int restore(struct importer *u)
{
	int ret = test_restore(u->exp);

	return u->a->core_revokes ? ret : u->a->map(u);
}

static void revoke_and_restore(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	unsigned int round;

	begin(&u);
	map(&u);
	for (round = 1; round < 4; round++) {
		test_revoke(u.exp);
		expect_let_go(&u);
		KUNIT_EXPECT_EQ(test, restore(&u), 0);
		expect_right(&u);
		/* Once for each round, and not for a second restore */
		test_restore(u.exp);
		expect_right(&u);
		KUNIT_EXPECT_EQ(test, u.exp->calls.map_phys, 1 + round);
		KUNIT_EXPECT_EQ(test, u.exp->calls.unmap_phys, round);
		KUNIT_EXPECT_NULL(test, strstr(test_describe(u.exp, u.attach),
					       "\trevoked"));
	}
	u.a->unmap(&u);
	end(&u);
	test_expect_idle(u.exp);
}

static void restore_of_what_is_not_revoked(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	begin(&u);
	test_restore(u.exp);
	map(&u);
	test_restore(u.exp);
	expect_right(&u);
	KUNIT_EXPECT_EQ(test, u.exp->calls.map_phys, 1);
	u.a->unmap(&u);
	end(&u);
	test_expect_idle(u.exp);
}

static void restore_with_another_list(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	begin(&u);
	map(&u);
	test_revoke(u.exp);
	u.exp->list = test_list(test, elsewhere, ARRAY_SIZE(elsewhere));
	KUNIT_ASSERT_EQ(test, test_list_size(u.exp->list), u.exp->dmabuf->size);
	KUNIT_EXPECT_EQ(test, restore(&u), 0);
	expect_right(&u);
	u.a->unmap(&u);
	end(&u);
	test_expect_idle(u.exp);
}

/* What stays revoked is wholly so, and the next restore may do better */
static void restore_without_a_good_list(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	const struct dma_buf_phys_list *good = u.exp->list;
	const struct bad_exporter *bad;

	begin(&u);
	map(&u);
	for (bad = bad_exporters;
	     bad < bad_exporters + ARRAY_SIZE(bad_exporters); bad++) {
		test_revoke(u.exp);
		make_bad(u.exp, bad);
		dma_resv_lock(u.exp->dmabuf->resv, NULL);
		dma_buf_restore_mappings(u.exp->dmabuf);
		dma_resv_unlock(u.exp->dmabuf->resv);
		if (!u.a->core_revokes)
			KUNIT_EXPECT_EQ(test, u.a->map(&u), bad->err);
		else
			test_expect_text(test, test_describe(u.exp, u.attach),
					 "\trevoked\n");
		u.exp->list = good;
		expect_let_go(&u);

		KUNIT_EXPECT_EQ(test, restore(&u), 0);
		expect_right(&u);
	}
	u.a->unmap(&u);
	end(&u);
	test_expect_idle(u.exp);
}

static void unmap_while_revoked_is_not_restored(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	begin(&u);
	map(&u);
	test_revoke(u.exp);
	u.a->unmap(&u);
	test_restore(u.exp);
	if (u.a->maps_at_attach)
		expect_right(&u);
	else
		expect_nothing_mapped(&u);
	end(&u);
	test_expect_idle(u.exp);
}

static void map_while_revoked_is_restored(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	begin(&u);
	test_revoke(u.exp);
	map(&u);
	expect_let_go(&u);
	test_restore(u.exp);
	expect_right(&u);
	u.a->unmap(&u);
	end(&u);
	test_expect_idle(u.exp);
}

static void mapped_and_revoked(void *ctx)
{
	struct importer *u = ctx;

	begin(u);
	map(u);
	test_revoke(u->exp);
}

static int run_restore(void *ctx)
{
	return restore(ctx);
}

/* Something is out, and the next restore tries it again */
static void restore_failed(void *ctx)
{
	struct importer *u = ctx;

	KUNIT_EXPECT_FALSE(u->exp->test, u->a->is_right(u));
	KUNIT_EXPECT_EQ(u->exp->test,
			to_mapping_attachment(u->attach)->incomplete,
			u->a->core_revokes);
}

static void undo_restore(void *ctx)
{
	undo_use(ctx);
}

static const struct test_step restore_step = {
	.prepare = mapped_and_revoked,
	.run = run_restore,
	.failed = restore_failed,
	.done = use_done,
	.undo = undo_restore,
};

static void restore_without_memory(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);
	unsigned long pages = table_pages();

	test_needs_faults(test);
	if (u.a->restore_allocations) {
		test_fail_each(test, &restore_step, &u,
			       u.a->restore_allocations);
	} else {
		mapped_and_revoked(&u);
		test_no_alloc_begin();
		KUNIT_EXPECT_EQ(test, run_restore(&u), 0);
		test_no_alloc_end(test, "restore");
		use_done(&u);
		undo_restore(&u);
	}
	KUNIT_EXPECT_EQ(test, table_pages(), pages);
}

static void mapped_while_revoked(void *ctx)
{
	struct importer *u = ctx;

	begin(u);
	test_revoke(u->exp);
}

static int run_map(void *ctx)
{
	struct importer *u = ctx;

	return u->a->map(u);
}

static void map_failed(void *ctx)
{
	expect_let_go(ctx);
}

static void expect_recorded(void *ctx)
{
	struct importer *u = ctx;

	expect_let_go(u);
	test_restore(u->exp);
	expect_right(u);
}

static const struct test_step map_while_revoked_step = {
	.prepare = mapped_while_revoked,
	.run = run_map,
	.failed = map_failed,
	.done = expect_recorded,
	.undo = undo_restore,
};

static void map_while_revoked_without_memory(struct kunit *test)
{
	struct importer u = new_user(exporter(test), test->param_value);

	test_needs_faults(test);
	test_fail_each(test, &map_while_revoked_step, &u, u.a->records);
}

#define MODEL_USERS 3

/* What a user of the random run has done */
struct modelled {
	struct importer user;
	bool attached;
	bool mapped;
};

static void model_step(struct modelled *m, struct rnd_state *rnd, bool revoked)
{
	struct importer *u = &m->user;
	int ret;

	if (!m->attached) {
		prepare(u);
		ret = try_attach(u);
		/* Whoever takes the list here finds it revoked */
		m->attached = !ret;
		if (ret) {
			KUNIT_EXPECT_EQ(u->exp->test, ret, -ENODEV);
			KUNIT_EXPECT_TRUE(u->exp->test, revoked);
			release(u);
		}
	} else if (m->mapped) {
		u->a->unmap(u);
		m->mapped = false;
	} else if (test_random(rnd, 2)) {
		ret = u->a->map(u);
		m->mapped = !ret;
		KUNIT_EXPECT_EQ(u->exp->test, ret,
				revoked && !u->a->core_revokes ? -ENODEV : 0);
	} else {
		end(u);
		m->attached = false;
	}
}

static void model_expect(struct modelled *m, bool revoked)
{
	bool mapped = m->mapped || m->user.a->maps_at_attach;

	if (!m->attached)
		return;
	KUNIT_EXPECT_EQ(m->user.exp->test, m->user.a->is_mapped(&m->user),
			mapped && !revoked);
	KUNIT_EXPECT_EQ(m->user.exp->test, m->user.a->is_right(&m->user),
			mapped && !revoked);
}

static void random_calls(struct kunit *test)
{
	struct modelled m[MODEL_USERS] = {};
	struct test_exporter *exp = exporter(test);
	const struct dma_buf_phys_list *lists[] = {
		exp->list, test_list(test, elsewhere, ARRAY_SIZE(elsewhere)),
	};
	unsigned int step, i;
	bool revoked = false;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 10);
	for (i = 0; i < MODEL_USERS; i++)
		m[i].user = new_user(exp, test->param_value);
	for (step = 0; step < 300; step++) {
		switch (test_random(&rnd, 6)) {
		case 0:
			test_revoke(exp);
			revoked = true;
			/* An importer that unmapped has to map again itself */
			for (i = 0; i < MODEL_USERS; i++)
				m[i].mapped &= m[i].user.a->core_revokes;
			break;
		case 1:
			/* Not another list for one that is held */
			if (revoked)
				exp->list = lists[test_random(&rnd, 2)];
			test_restore(exp);
			revoked = false;
			break;
		default:
			model_step(&m[test_random(&rnd, MODEL_USERS)], &rnd,
				   revoked);
		}
		for (i = 0; i < MODEL_USERS; i++)
			model_expect(&m[i], revoked);
	}
	for (i = 0; i < MODEL_USERS; i++) {
		if (!m[i].attached)
			continue;
		if (m[i].mapped)
			m[i].user.a->unmap(&m[i].user);
		end(&m[i].user);
	}
	test_expect_idle(exp);
}

static int contract_init(struct kunit *test)
{
	return windows_init();
}

/* Fails if an attachment is left */
static void contract_exit(struct kunit *test)
{
	windows_exit();
}

static struct kunit_case contract_cases[] = {
	KUNIT_CASE_PARAM(attach_and_detach, adapters_gen_params),
	KUNIT_CASE_PARAM(mapped_is_what_the_list_says, adapters_gen_params),
	KUNIT_CASE_PARAM(random_lists, adapters_gen_params),
	KUNIT_CASE_PARAM(exporter_that_refuses_the_attach, adapters_gen_params),
	KUNIT_CASE_PARAM(exporter_without_a_good_list, adapters_gen_params),
	KUNIT_CASE_PARAM(several_importers, adapters_gen_params),
	KUNIT_CASE_PARAM(revoke_gives_the_list_back, adapters_gen_params),
	KUNIT_CASE_PARAM(revoke_with_nothing_mapped, adapters_gen_params),
	KUNIT_CASE_PARAM(map_while_revoked, adapters_gen_params),
	KUNIT_CASE_PARAM(attach_while_revoked, adapters_gen_params),
	KUNIT_CASE_PARAM(use_without_memory, adapters_gen_params),
	KUNIT_CASE_PARAM(unmap_revoke_and_detach_do_not_allocate,
			 adapters_gen_params),
	KUNIT_CASE(all_converters_on_one_buffer),
	KUNIT_CASE_PARAM(bufinfo_says_that_it_is_revoked, adapters_gen_params),
	KUNIT_CASE_PARAM(detach_with_mappings_left, owning_gen_params),
	KUNIT_CASE_PARAM(detach_with_mappings_left_while_revoked,
			 owning_gen_params),
	KUNIT_CASE_PARAM(revoke_and_restore, adapters_gen_params),
	KUNIT_CASE_PARAM(restore_of_what_is_not_revoked, adapters_gen_params),
	KUNIT_CASE_PARAM(restore_with_another_list, adapters_gen_params),
	KUNIT_CASE_PARAM(restore_without_a_good_list, adapters_gen_params),
	KUNIT_CASE_PARAM(unmap_while_revoked_is_not_restored,
			 adapters_gen_params),
	KUNIT_CASE_PARAM(map_while_revoked_is_restored, owning_gen_params),
	KUNIT_CASE_PARAM(restore_without_memory, adapters_gen_params),
	KUNIT_CASE_PARAM(map_while_revoked_without_memory, owning_gen_params),
	KUNIT_CASE_PARAM(random_calls, adapters_gen_params),
	{}
};

static struct kunit_suite contract_suite = {
	.name = "dma-buf-mapping-contract",
	.init = contract_init,
	.exit = contract_exit,
	.test_cases = contract_cases,
};

kunit_test_suite(contract_suite);

MODULE_DESCRIPTION("KUnit tests of what DMA-buf's converters have in common");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
