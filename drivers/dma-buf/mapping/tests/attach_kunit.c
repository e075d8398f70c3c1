// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of attach and detach: who is told in which order, and what is left of
 * an attach that fails.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>

#include "faults.h"
#include "helpers.h"
#include "types.h"

static const struct dma_buf_mapping_match state_a = ENTRY(test_type_a, "1");
static const struct dma_buf_mapping_match state_b = ENTRY(test_type_b, "x");
static const struct dma_buf_mapping_match state_c = { .type = &test_type_c };

static void attachment_is_what_the_importer_said(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, &state_c, 1);
	struct dma_buf_mapping_match imp = state_c;
	struct dma_buf_attachment *attach;
	unsigned int priv;

	imp.dev = test_device(test, DMA_BIT_MASK(64));
	attach = dma_buf_mapping_attach(exp->dmabuf, &imp, 1,
					&test_nop2p_importer, &priv);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test, attach->dmabuf, exp->dmabuf);
	KUNIT_EXPECT_PTR_EQ(test, attach->dev, imp.dev);
	KUNIT_EXPECT_PTR_EQ(test, attach->importer_ops, &test_nop2p_importer);
	KUNIT_EXPECT_PTR_EQ(test, attach->importer_priv, (void *)&priv);
	KUNIT_EXPECT_NULL(test, attach->priv);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&exp->dmabuf->attachments));
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.detach, 0);
	dma_buf_detach(exp->dmabuf, attach);
	test_expect_idle(exp);
	test_expect_unused(test);
}

/* The device of a pair that was tried and did not fit is not the importer's */
static void device_is_that_of_the_agreed_entry(struct kunit *test)
{
	struct dma_buf_mapping_match imp[] = {
		ENTRY_RET(test_type_a, "x", -EOPNOTSUPP),
		ENTRY(test_type_a, "y"), ENTRY(test_type_a, "z"),
	};
	struct test_exporter *exp = test_stating(test, &state_a, 1);
	struct dma_buf_attachment *attach;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(imp); i++)
		imp[i].dev = test_device(test, DMA_BIT_MASK(64));
	attach = test_attach(exp, imp, ARRAY_SIZE(imp), NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test, attach->dev, imp[1].dev);
	test_detach(exp, attach);
}

static void no_buffer_is_einval(struct kunit *test)
{
	struct dma_buf_attachment *attach = NULL;

	kunit_warning_suppress(test) {
		attach = dma_buf_mapping_attach(NULL, &state_c, 1, NULL, NULL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_PTR_EQ(test, attach, ERR_PTR(-EINVAL));
}

static void exporter_that_refuses_leaves_nothing(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, &state_a, 1);

	exp->err.attach = -EPERM;
	KUNIT_EXPECT_PTR_EQ(test, test_attach(exp, &state_b, 1, NULL),
			    ERR_PTR(-EPERM));
	/* After the negotiation, and without an undoing: nothing was done */
	KUNIT_EXPECT_STREQ(test, exp->tried, "1x");
	KUNIT_EXPECT_EQ(test, exp->calls.detach, 0);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.attached, 0);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.detached, 0);
	test_expect_idle(exp);
	test_expect_unused(test);

	exp = test_exporter(test, &test_legacy_ops, SZ_64K);
	exp->err.attach = -EPERM;
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_attach(exp->dmabuf, test_device(test, ~0ULL)),
			    ERR_PTR(-EPERM));
	KUNIT_EXPECT_EQ(test, exp->calls.detach, 0);
}

static void importer_callbacks_decide_about_p2p(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, &state_c, 1);
	struct dma_buf_attachment *attach;

	attach = test_attach(exp, &state_c, 1, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_TRUE(test, exp->saw_p2p);
	KUNIT_EXPECT_TRUE(test, exp->saw_revocable);
	test_detach(exp, attach);

	attach = test_attach(exp, &state_c, 1, &test_nop2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_FALSE(test, exp->saw_p2p);
	KUNIT_EXPECT_TRUE(test, exp->saw_revocable);
	test_detach(exp, attach);

	attach = test_attach(exp, &state_c, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_FALSE(test, exp->saw_p2p);
	KUNIT_EXPECT_FALSE(test, exp->saw_revocable);
	test_detach(exp, attach);
}

/**
 * struct attaching - what a step of fault injection works on
 * @exp: the exporter
 * @dev: the importer's device
 * @attach: the attachment
 */
struct attaching {
	struct test_exporter *exp;
	struct device *dev;
	struct dma_buf_attachment *attach;
};

static int keep(struct attaching *a, struct dma_buf_attachment *attach)
{
	a->attach = IS_ERR(attach) ? NULL : attach;
	return PTR_ERR_OR_ZERO(attach);
}

static int run_attach(void *ctx)
{
	struct attaching *a = ctx;

	return keep(a, dma_buf_mapping_attach(a->exp->dmabuf, &state_b, 1, NULL,
					      NULL));
}

static int run_legacy_attach(void *ctx)
{
	struct attaching *a = ctx;

	return keep(a, dma_buf_attach(a->exp->dmabuf, a->dev));
}

static void attach_failed(void *ctx)
{
	struct attaching *a = ctx;

	test_expect_idle(a->exp);
	test_expect_unused(a->exp->test);
}

static void attach_done(void *ctx)
{
	struct attaching *a = ctx;

	KUNIT_EXPECT_TRUE(a->exp->test,
			  list_is_singular(&a->exp->dmabuf->attachments));
}

static void undo_attach(void *ctx)
{
	struct attaching *a = ctx;

	dma_buf_detach(a->exp->dmabuf, a->attach);
	attach_failed(a);
}

static const struct test_step attach_step = {
	.run = run_attach,
	.failed = attach_failed,
	.done = attach_done,
	.undo = undo_attach,
};

static const struct test_step legacy_attach_step = {
	.run = run_legacy_attach,
	.failed = attach_failed,
	.done = attach_done,
	.undo = undo_attach,
};

/* Memory for the attachment is all that core needs */
static void attach_without_memory(struct kunit *test)
{
	struct attaching a = { .exp = test_stating(test, &state_a, 1) };

	test_needs_faults(test);
	test_fail_each(test, &attach_step, &a, 1);
}

static void legacy_attach_without_memory(struct kunit *test)
{
	struct attaching a = {
		.exp = test_exporter(test, &test_legacy_ops, SZ_64K),
		.dev = test_device(test, DMA_BIT_MASK(64)),
	};

	test_needs_faults(test);
	test_fail_each(test, &legacy_attach_step, &a, 1);
}

static void converter_is_told_within_the_exporters_calls(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, &state_a, 1);
	struct dma_buf_attachment *attach;

	attach = test_attach(exp, &state_b, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.attached, 1);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.detached, 0);
	test_detach(exp, attach);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.attached, 1);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.detached, 1);
	test_expect_idle(exp);
}

static void converter_that_refuses_leaves_nothing(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, &state_a, 1);

	test_a_to_b_state.attach_ret = -ENODEV;
	KUNIT_EXPECT_PTR_EQ(test, test_attach(exp, &state_b, 1, NULL),
			    ERR_PTR(-ENODEV));
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.detach, 1);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.detached, 0);
	test_expect_idle(exp);
	test_expect_unused(test);
}

static struct kunit_case attach_cases[] = {
	KUNIT_CASE(attachment_is_what_the_importer_said),
	KUNIT_CASE(device_is_that_of_the_agreed_entry),
	KUNIT_CASE(no_buffer_is_einval),
	KUNIT_CASE(exporter_that_refuses_leaves_nothing),
	KUNIT_CASE(importer_callbacks_decide_about_p2p),
	KUNIT_CASE(attach_without_memory),
	KUNIT_CASE(legacy_attach_without_memory),
	KUNIT_CASE(converter_is_told_within_the_exporters_calls),
	KUNIT_CASE(converter_that_refuses_leaves_nothing),
	{}
};

static struct kunit_suite attach_suite = {
	.name = "dma-buf-mapping-attach",
	.init = test_types_init,
	.exit = test_types_exit,
	.test_cases = attach_cases,
};

kunit_test_suite(attach_suite);

MODULE_DESCRIPTION("KUnit tests of attaching to DMA-buf's mapping types");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
