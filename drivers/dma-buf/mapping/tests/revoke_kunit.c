// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of revoke and restore as core does them, whatever the type: who is told,
 * in which order, and which attachments count as revoked. What becomes of
 * mappings is in contract_kunit.c.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/string.h>

#include <trace/events/dma_buf.h>

#include "helpers.h"
#include "types.h"

static const struct dma_buf_mapping_match stated[] = {
	ENTRY(test_type_a, "1"), { .type = &test_type_c },
};

static const struct dma_buf_mapping_match want_b = ENTRY(test_type_b, "x");
static const struct dma_buf_mapping_match want_c = { .type = &test_type_c };

static struct dma_buf_attachment *
attach_as(struct test_exporter *exp, const struct dma_buf_mapping_match *imp)
{
	struct dma_buf_attachment *attach = test_attach(exp, imp, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	return attach;
}

static bool is_revoked(struct dma_buf_attachment *attach)
{
	return to_mapping_attachment(attach)->revoked;
}

static void every_attachment_counts_as_revoked(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *direct = attach_as(exp, &want_c);
	struct dma_buf_attachment *converted = attach_as(exp, &want_b);

	KUNIT_EXPECT_FALSE(test, is_revoked(direct));
	KUNIT_EXPECT_FALSE(test, is_revoked(converted));
	test_invalidate(exp);
	KUNIT_EXPECT_TRUE(test, is_revoked(direct));
	KUNIT_EXPECT_TRUE(test, is_revoked(converted));
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.invalidated, 1);
	test_detach(exp, converted);
	test_detach(exp, direct);
}

/* As exporters may invalidate for reasons of their own, each time anew */
static void each_revoke_calls_converter_and_importer(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *attach;
	unsigned int told = 0, i;

	attach = dma_buf_mapping_attach(exp->dmabuf, &want_b, 1,
					&test_nop2p_importer, &told);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	for (i = 1; i <= 3; i++) {
		test_invalidate(exp);
		KUNIT_EXPECT_EQ(test, told, i);
		KUNIT_EXPECT_EQ(test, test_a_to_b_state.invalidated, i);
		KUNIT_EXPECT_TRUE(test, is_revoked(attach));
	}
	dma_buf_detach(exp->dmabuf, attach);
}

static void expect_converter_was_told(struct dma_buf_attachment *attach)
{
	unsigned int *seen = attach->importer_priv;

	*seen = test_a_to_b_state.invalidated;
}

static const struct dma_buf_attach_ops looking_importer = {
	.invalidate_mappings = expect_converter_was_told,
};

/* So that an importer finds core's mappings gone */
static void converter_comes_before_the_importer(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *attach;
	unsigned int seen = 0;

	attach = dma_buf_mapping_attach(exp->dmabuf, &want_b, 1,
					&looking_importer, &seen);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	test_invalidate(exp);
	KUNIT_EXPECT_EQ(test, seen, 1);
	dma_buf_detach(exp->dmabuf, attach);
}

static void importer_of_sgt_that_maps_again(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct test_exporter *exp = test_exporter(test, &test_legacy_ops, SZ_64K);
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	attach = test_attach_sgt(exp, dev, &test_nop2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	test_invalidate(exp);
	KUNIT_EXPECT_TRUE(test, is_revoked(attach));

	/* Only if it gets a mapping, that is */
	exp->err.map_sgt = -EINTR;
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_TO_DEVICE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EINTR));
	KUNIT_EXPECT_TRUE(test, is_revoked(attach));
	exp->err.map_sgt = 0;
	exp->null_table = true;
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_TO_DEVICE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-ENOMEM));
	KUNIT_EXPECT_TRUE(test, is_revoked(attach));

	exp->null_table = false;
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_TO_DEVICE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_FALSE(test, is_revoked(attach));
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_TO_DEVICE);
	KUNIT_EXPECT_FALSE(test, is_revoked(attach));
	test_detach(exp, attach);
}

/* Which makes an attachment revocable whatever the importer's callbacks */
static void only_core_revokes_without_the_importer(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *attach;

	attach = attach_as(exp, &want_c);
	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_core_revokes(attach));
	test_detach(exp, attach);

	attach = attach_as(exp, &want_b);
	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_core_revokes(attach));
	KUNIT_EXPECT_FALSE(test, dma_buf_attach_revocable(attach));
	KUNIT_EXPECT_FALSE(test, exp->saw_p2p);
	test_detach(exp, attach);

	test_a_to_b.core_revokes = true;
	attach = attach_as(exp, &want_b);
	KUNIT_EXPECT_TRUE(test, dma_buf_mapping_core_revokes(attach));
	KUNIT_EXPECT_TRUE(test, dma_buf_attach_revocable(attach));
	/* In time for the exporter to see */
	KUNIT_EXPECT_TRUE(test, exp->saw_p2p);
	KUNIT_EXPECT_TRUE(test, exp->saw_revocable);
	test_detach(exp, attach);
	test_a_to_b.core_revokes = false;
}

static void converter_that_keeps_nothing_is_passed_over(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct dma_buf_attachment *attach;

	/* One without any of the calls */
	attach = test_attach_sgt(exp, dev, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	test_invalidate(exp);
	KUNIT_EXPECT_TRUE(test, is_revoked(attach));
	test_restore(exp);
	KUNIT_EXPECT_FALSE(test, is_revoked(attach));
	test_detach(exp, attach);
}

static void restore_is_for_what_is_revoked(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *attach = attach_as(exp, &want_b);
	struct dma_buf_attachment *later;

	test_restore(exp);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, 0);
	test_invalidate(exp);
	test_invalidate(exp);
	later = attach_as(exp, &want_b);
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, 1);
	KUNIT_EXPECT_FALSE(test, is_revoked(attach));
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, 1);
	test_detach(exp, later);
	test_detach(exp, attach);
}

static void restore_passes_over_private_types(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *attach = attach_as(exp, &want_c);

	test_invalidate(exp);
	test_restore(exp);
	KUNIT_EXPECT_FALSE(test, is_revoked(attach));
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.invalidated, 0);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, 0);
	test_detach(exp, attach);
}

/* Importers ask for a mapping by themselves, so it is nothing to them */
static void restore_does_not_call_the_importer(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *attach;
	unsigned int told = 0;

	attach = dma_buf_mapping_attach(exp->dmabuf, &want_b, 1,
					&test_nop2p_importer, &told);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	test_invalidate(exp);
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, told, 1);
	dma_buf_detach(exp->dmabuf, attach);
}

static void restore_that_fails_is_tried_again(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *direct = attach_as(exp, &want_c);
	struct dma_buf_attachment *converted = attach_as(exp, &want_b);
	struct dma_buf_attachment *other = attach_as(exp, &want_c);

	test_invalidate(exp);
	test_a_to_b_state.restore_ret = -ENOMEM;
	test_restore(exp);
	KUNIT_EXPECT_TRUE(test, is_revoked(converted));
	/* One's trouble is not that of the others, before it or behind */
	KUNIT_EXPECT_FALSE(test, is_revoked(direct));
	KUNIT_EXPECT_FALSE(test, is_revoked(other));

	test_restore(exp);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, 2);
	KUNIT_EXPECT_TRUE(test, is_revoked(converted));
	test_a_to_b_state.restore_ret = 0;
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, 3);
	KUNIT_EXPECT_FALSE(test, is_revoked(converted));
	test_detach(exp, other);
	test_detach(exp, converted);
	test_detach(exp, direct);
}

/* As one that has the exporter's list, but not room for all that is mapped */
static void restore_that_leaves_something_out(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *attach = attach_as(exp, &want_b);

	test_invalidate(exp);
	test_a_to_b_state.restore_ret = -ENOMEM;
	test_a_to_b_state.restore_clears = true;
	KUNIT_EXPECT_EQ(test, test_restore(exp), -ENOMEM);
	KUNIT_EXPECT_FALSE(test, is_revoked(attach));
	/* Not revoked, and tried again all the same */
	KUNIT_EXPECT_EQ(test, test_restore(exp), -ENOMEM);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, 2);
	test_a_to_b_state.restore_ret = 0;
	KUNIT_EXPECT_EQ(test, test_restore(exp), 0);
	KUNIT_EXPECT_EQ(test, test_restore(exp), 0);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, 3);
	test_detach(exp, attach);
}

static const struct restore_error {
	const char *what;
	int first;
	unsigned int restored;
} restore_errors[] = {
	{ "others are restored", -ENOMEM, 2 },
	{ "a fatal signal ends it", -EINTR, 1 },
};

KUNIT_ARRAY_PARAM_DESC(restore_errors, restore_errors, what);

static void first_errno_is_returned(struct kunit *test)
{
	const struct restore_error *error = test->param_value;
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *a = attach_as(exp, &want_b);
	struct dma_buf_attachment *b = attach_as(exp, &want_b);

	test_invalidate(exp);
	test_a_to_b_state.restore_ret = -EADDRINUSE;
	test_a_to_b_state.restore_ret_once = error->first;
	KUNIT_EXPECT_EQ(test, test_restore(exp), error->first);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, error->restored);
	test_a_to_b_state.restore_ret = 0;
	KUNIT_EXPECT_EQ(test, test_restore(exp), 0);
	KUNIT_EXPECT_EQ(test, test_a_to_b_state.restored, error->restored + 2);
	test_detach(exp, b);
	test_detach(exp, a);
}

#ifdef CONFIG_TRACEPOINTS
/**
 * struct traced - what the trace events said
 * @agreed: name of what was agreed on last
 * @revokes: events of a revoke
 * @restores: events of a restore
 * @mappings: of the last of either
 * @failed: of the last restore
 * @err: of the last restore
 */
struct traced {
	const char *agreed;
	unsigned int revokes;
	unsigned int restores;
	size_t mappings;
	size_t failed;
	int err;
};

static void on_agreed(void *data, struct dma_buf_attachment *attach)
{
	struct traced *traced = data;

	traced->agreed = dma_buf_mapping_name(attach);
}

static void on_revoke(void *data, struct dma_buf_attachment *attach,
		      size_t mappings)
{
	struct traced *traced = data;

	traced->revokes++;
	traced->mappings = mappings;
}

static void on_restore(void *data, struct dma_buf_attachment *attach,
		       size_t mappings, size_t failed, int err)
{
	struct traced *traced = data;

	traced->restores++;
	traced->mappings = mappings;
	traced->failed = failed;
	traced->err = err;
}

static void trace_events_tell(struct kunit *test)
{
	struct test_exporter *exp = test_stating(test, stated, 2);
	struct dma_buf_attachment *attach;
	struct traced traced = {};

	KUNIT_ASSERT_EQ(test, 0,
			register_trace_dma_buf_mapping_agreed(on_agreed, &traced));
	KUNIT_EXPECT_EQ(test, 0,
			register_trace_dma_buf_mapping_revoke(on_revoke, &traced));
	KUNIT_EXPECT_EQ(test, 0,
			register_trace_dma_buf_mapping_restore(on_restore,
							       &traced));
	attach = attach_as(exp, &want_b);
	KUNIT_EXPECT_STREQ(test, traced.agreed, "kunit A -> B");

	test_a_to_b_state.count = (struct dma_buf_mapping_count){ 5, 0 };
	test_invalidate(exp);
	KUNIT_EXPECT_EQ(test, traced.revokes, 1);
	KUNIT_EXPECT_EQ(test, traced.mappings, 5);

	test_a_to_b_state.count = (struct dma_buf_mapping_count){ 6, 2 };
	test_a_to_b_state.restore_ret = -ENOSPC;
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, traced.restores, 1);
	KUNIT_EXPECT_EQ(test, traced.mappings, 6);
	KUNIT_EXPECT_EQ(test, traced.failed, 2);
	KUNIT_EXPECT_EQ(test, traced.err, -ENOSPC);

	test_a_to_b_state.count.out = 0;
	test_a_to_b_state.restore_ret = 0;
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, traced.restores, 2);
	KUNIT_EXPECT_EQ(test, traced.failed, 0);
	KUNIT_EXPECT_EQ(test, traced.err, 0);
	/* There was nothing to restore */
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, traced.restores, 2);

	unregister_trace_dma_buf_mapping_agreed(on_agreed, &traced);
	unregister_trace_dma_buf_mapping_revoke(on_revoke, &traced);
	unregister_trace_dma_buf_mapping_restore(on_restore, &traced);
	tracepoint_synchronize_unregister();
	test_detach(exp, attach);
}
#endif

static struct kunit_case revoke_cases[] = {
	KUNIT_CASE(every_attachment_counts_as_revoked),
	KUNIT_CASE(each_revoke_calls_converter_and_importer),
	KUNIT_CASE(converter_comes_before_the_importer),
	KUNIT_CASE(importer_of_sgt_that_maps_again),
	KUNIT_CASE(only_core_revokes_without_the_importer),
	KUNIT_CASE(converter_that_keeps_nothing_is_passed_over),
	KUNIT_CASE(restore_is_for_what_is_revoked),
	KUNIT_CASE(restore_passes_over_private_types),
	KUNIT_CASE(restore_does_not_call_the_importer),
	KUNIT_CASE(restore_that_fails_is_tried_again),
	KUNIT_CASE(restore_that_leaves_something_out),
	KUNIT_CASE_PARAM(first_errno_is_returned, restore_errors_gen_params),
#ifdef CONFIG_TRACEPOINTS
	KUNIT_CASE(trace_events_tell),
#endif
	{}
};

static struct kunit_suite revoke_suite = {
	.name = "dma-buf-mapping-revoke",
	.init = test_types_init,
	.exit = test_types_exit,
	.test_cases = revoke_cases,
};

kunit_test_suite(revoke_suite);

MODULE_DESCRIPTION("KUnit tests of revoking DMA-buf's mapping types");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
