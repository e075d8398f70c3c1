// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the SGT type: every mix of drivers, legacy and native.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "faults.h"
#include "helpers.h"

static struct test_exporter *native_exporter(struct kunit *test)
{
	struct test_exporter *exp = test_exporter(test, &test_stated_ops, SZ_64K);

	exp->entries[0] = DMA_BUF_EMAPPING_SGT(&test_sgt_ops);
	exp->num_entries = 1;
	return exp;
}

/* The table is told by its one entry: the pointer may be that of a copy */
static void expect_table(struct test_exporter *exp, struct sg_table *sgt)
{
	struct kunit *test = exp->test;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, sgt->nents, 1);
	KUNIT_EXPECT_EQ(test, sg_dma_address(sgt->sgl), SZ_1G);
	KUNIT_EXPECT_EQ(test, sg_dma_len(sgt->sgl), exp->dmabuf->size);
	KUNIT_EXPECT_EQ(test, exp->calls.map_sgt, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_sgt, 0);
}

static void map_and_unmap(struct test_exporter *exp,
			  struct dma_buf_attachment *attach)
{
	struct sg_table *sgt;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	KUNIT_EXPECT_STREQ(exp->test, dma_buf_mapping_name(attach), "SGT");
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	expect_table(exp, sgt);
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(exp->test, exp->calls.unmap_sgt, 1);
}

static struct test_exporter *legacy_exporter(struct kunit *test)
{
	return test_exporter(test, &test_legacy_ops, SZ_64K);
}

/* States another type besides */
static struct test_exporter *both_exporter(struct kunit *test)
{
	struct test_exporter *exp = test_exporter(test, &test_both_ops, SZ_64K);

	exp->entries[0] = DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL);
	exp->num_entries = 1;
	return exp;
}

static struct dma_buf_attachment *legacy_attach(struct test_exporter *exp,
						struct device *dev)
{
	return dma_buf_attach(exp->dmabuf, dev);
}

static struct dma_buf_attachment *dynamic_attach(struct test_exporter *exp,
						 struct device *dev)
{
	return dma_buf_dynamic_attach(exp->dmabuf, dev, &test_p2p_importer,
				      NULL);
}

static struct dma_buf_attachment *native_attach(struct test_exporter *exp,
						struct device *dev)
{
	const struct dma_buf_mapping_match sgt = DMA_BUF_IMAPPING_SGT(dev);

	return dma_buf_mapping_attach(exp->dmabuf, &sgt, 1,
				      &test_nop2p_importer, NULL);
}

#define MIX(_exporter, _attach)                               \
	{ #_exporter ", " #_attach, _exporter, _attach }

static const struct mix {
	const char *drivers;
	struct test_exporter *(*exporter)(struct kunit *test);
	struct dma_buf_attachment *(*attach)(struct test_exporter *exp,
					     struct device *dev);
} mixes[] = {
	MIX(legacy_exporter, legacy_attach),
	MIX(legacy_exporter, dynamic_attach),
	MIX(legacy_exporter, native_attach),
	MIX(native_exporter, legacy_attach),
	MIX(native_exporter, dynamic_attach),
	MIX(native_exporter, native_attach),
	MIX(both_exporter, legacy_attach),
	MIX(both_exporter, dynamic_attach),
	MIX(both_exporter, native_attach),
};

KUNIT_ARRAY_PARAM_DESC(mixes, mixes, drivers);

static void every_mix_maps(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct mix *mix = test->param_value;
	struct test_exporter *exp = mix->exporter(test);
	struct dma_buf_attachment *attach = mix->attach(exp, dev);

	map_and_unmap(exp, attach);
	KUNIT_EXPECT_PTR_EQ(test, attach->dev, dev);
	dma_buf_detach(exp->dmabuf, attach);
	test_expect_idle(exp);
}

static void legacy_dynamic_importer_keeps_its_callbacks(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	unsigned int invalidated = 0;

	exp = legacy_exporter(test);
	attach = dma_buf_dynamic_attach(exp->dmabuf, dev, &test_p2p_importer,
					&invalidated);
	map_and_unmap(exp, attach);
	KUNIT_EXPECT_TRUE(test, exp->saw_p2p);
	KUNIT_EXPECT_TRUE(test, exp->saw_revocable);
	KUNIT_EXPECT_EQ(test, exp->calls.pin, 0);

	test_invalidate(exp);
	KUNIT_EXPECT_EQ(test, invalidated, 1);
	/* Asks for a new mapping by itself, so restore is nothing to it */
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, invalidated, 1);
	dma_buf_detach(exp->dmabuf, attach);
}

static const struct pinner {
	const char *whose;
	struct test_exporter *(*exporter)(struct kunit *test);
} pinners[] = {
	{ "legacy exporter", legacy_exporter },
	{ "native exporter", native_exporter },
	{ "exporter with both", both_exporter },
};

KUNIT_ARRAY_PARAM_DESC(pinners, pinners, whose);

static void static_importer_pins_while_mapped(struct kunit *test)
{
	const struct pinner *pinner = test->param_value;
	struct test_exporter *exp = pinner->exporter(test);
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	attach = dma_buf_attach(exp->dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_FALSE(test, exp->saw_p2p);
	KUNIT_EXPECT_FALSE(test, exp->saw_revocable);
	KUNIT_EXPECT_EQ(test, exp->calls.pin, 0);

	sgt = dma_buf_map_attachment_unlocked(attach, DMA_TO_DEVICE);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, exp->calls.pin, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.unpin, 0);
	if (!IS_ERR_OR_NULL(sgt))
		dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, exp->calls.unpin, 1);
	dma_buf_detach(exp->dmabuf, attach);
}

static void pin_that_fails_maps_nothing(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct test_exporter *exp = native_exporter(test);
	struct dma_buf_attachment *attach;

	exp->err.pin = -ENOSPC;
	attach = test_attach_sgt(exp, dev, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_map_attachment_unlocked(attach,
							    DMA_TO_DEVICE),
			    ERR_PTR(-ENOSPC));
	KUNIT_EXPECT_EQ(test, exp->calls.map_sgt, 0);
	test_detach(exp, attach);
}

static void map_that_fails_is_unpinned(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct test_exporter *exp = native_exporter(test);
	struct dma_buf_attachment *attach;

	attach = test_attach_sgt(exp, dev, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	exp->err.map_sgt = -EINTR;
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_map_attachment_unlocked(attach,
							    DMA_TO_DEVICE),
			    ERR_PTR(-EINTR));
	exp->null_table = true;
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_map_attachment_unlocked(attach,
							    DMA_TO_DEVICE),
			    ERR_PTR(-ENOMEM));
	KUNIT_EXPECT_EQ(test, exp->calls.pin, 2);
	KUNIT_EXPECT_EQ(test, exp->calls.unpin, 2);
	test_detach(exp, attach);
}

/* Harmless; there was a time when it was not */
static void unmap_of_error_or_null(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct test_exporter *exp = native_exporter(test);
	struct dma_buf_attachment *attach;

	attach = test_attach_sgt(exp, dev, &test_nop2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	dma_resv_lock(exp->dmabuf->resv, NULL);
	dma_buf_sgt_unmap(attach, NULL, DMA_TO_DEVICE);
	dma_buf_sgt_unmap(attach, ERR_PTR(-ENODEV), DMA_TO_DEVICE);
	dma_resv_unlock(exp->dmabuf->resv);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_sgt, 0);
	test_detach(exp, attach);
}

static void importer_without_device_is_refused(struct kunit *test)
{
	struct test_exporter *exp = native_exporter(test);

	KUNIT_EXPECT_PTR_EQ(test, test_attach_sgt(exp, NULL, NULL),
			    ERR_PTR(-EINVAL));
	exp = legacy_exporter(test);
	KUNIT_EXPECT_PTR_EQ(test, test_attach_sgt(exp, NULL, NULL),
			    ERR_PTR(-EINVAL));
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 0);
}

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

	m->sgt = dma_buf_map_attachment_unlocked(m->attach, DMA_TO_DEVICE);
	return PTR_ERR_OR_ZERO(m->sgt);
}

static void expect_unmapped(void *ctx)
{
	struct mapping *m = ctx;
	struct kunit *test = m->exp->test;

	KUNIT_EXPECT_EQ(test, m->exp->calls.map_sgt, m->exp->calls.unmap_sgt);
	KUNIT_EXPECT_EQ(test, m->exp->calls.pin, m->exp->calls.unpin);
}

static void expect_mapped(void *ctx)
{
	struct mapping *m = ctx;
	struct kunit *test = m->exp->test;

	KUNIT_EXPECT_EQ(test, sg_dma_address(m->sgt->sgl), SZ_1G);
	KUNIT_EXPECT_EQ(test, sg_dma_len(m->sgt->sgl), m->exp->dmabuf->size);
}

static void undo_map(void *ctx)
{
	struct mapping *m = ctx;

	dma_buf_unmap_attachment_unlocked(m->attach, m->sgt, DMA_TO_DEVICE);
	expect_unmapped(m);
	dma_buf_detach(m->exp->dmabuf, m->attach);
}

static const struct test_step map_step = {
	.prepare = attached,
	.run = run_map,
	.failed = expect_unmapped,
	.done = expect_mapped,
	.undo = undo_map,
};

/* The exporter's memory, as core needs none: it has to pass on the errno */
static void map_without_memory(struct kunit *test)
{
	const struct pinner *pinner = test->param_value;
	struct mapping m = {
		.exp = pinner->exporter(test),
		.dev = test_device(test, DMA_BIT_MASK(64)),
	};

	test_needs_faults(test);
	test_fail_each(test, &map_step, &m, 2);
}

static struct kunit_case sgt_cases[] = {
	KUNIT_CASE_PARAM(every_mix_maps, mixes_gen_params),
	KUNIT_CASE(legacy_dynamic_importer_keeps_its_callbacks),
	KUNIT_CASE_PARAM(static_importer_pins_while_mapped, pinners_gen_params),
	KUNIT_CASE(pin_that_fails_maps_nothing),
	KUNIT_CASE(map_that_fails_is_unpinned),
	KUNIT_CASE(unmap_of_error_or_null),
	KUNIT_CASE(importer_without_device_is_refused),
	KUNIT_CASE_PARAM(map_without_memory, pinners_gen_params),
	{}
};

static struct kunit_suite sgt_suite = {
	.name = "dma-buf-mapping-sgt",
	.test_cases = sgt_cases,
};

kunit_test_suite(sgt_suite);

MODULE_DESCRIPTION("KUnit tests of the SGT mapping type of DMA-buf");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
