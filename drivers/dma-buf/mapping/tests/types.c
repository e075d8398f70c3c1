// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping types for the tests: they say what the labels of the two entries say,
 * and tell the exporter which pairs they were asked about.
 */
#include <linux/dma-resv.h>
#include <linux/string.h>

#include "helpers.h"
#include "types.h"

/* Answers with the importer's errno, or else with the exporter's */
static int match(struct dma_buf_attachment *attach,
		 const struct dma_buf_mapping_match *exp,
		 const struct dma_buf_mapping_match *imp)
{
	struct test_exporter *exporter = attach->dmabuf->priv;
	const struct test_label *exp_label = exp->data;
	const struct test_label *imp_label = imp->data;

	if (exporter->tried[0])
		strlcat(exporter->tried, " ", sizeof(exporter->tried));
	strlcat(exporter->tried, exp_label->name, sizeof(exporter->tried));
	strlcat(exporter->tried, imp_label->name, sizeof(exporter->tried));
	return imp_label->ret ?: exp_label->ret;
}

struct dma_buf_mapping_type test_type_a = {
	.name = "kunit A",
	.match = match,
};

struct dma_buf_mapping_type test_type_b = {
	.name = "kunit B",
	.match = match,
};

struct dma_buf_mapping_type test_type_c = {
	.name = "kunit C",
};

struct dma_buf_mapping_type test_type_exporter = {
	.name = "kunit of exporters",
	.exporter_only = true,
};

struct dma_buf_mapping_type test_type_importer = {
	.name = "kunit of importers",
	.importer_only = true,
};

struct dma_buf_mapping_type test_type_unregistered = {
	.name = "kunit never registered",
};

struct test_converter_state test_a_to_b_state;

static int a_to_b_attach(struct dma_buf_mapping_attachment *ma)
{
	dma_resv_assert_held(ma->attach.dmabuf->resv);
	test_a_to_b_state.attached++;
	return test_a_to_b_state.attach_ret;
}

static void a_to_b_detach(struct dma_buf_mapping_attachment *ma)
{
	dma_resv_assert_held(ma->attach.dmabuf->resv);
	test_a_to_b_state.detached++;
}

static void a_to_b_invalidate(struct dma_buf_mapping_attachment *ma)
{
	dma_resv_assert_held(ma->attach.dmabuf->resv);
	test_a_to_b_state.invalidated++;
}

static int a_to_b_restore(struct dma_buf_mapping_attachment *ma)
{
	int ret = test_a_to_b_state.restore_ret_once;

	dma_resv_assert_held(ma->attach.dmabuf->resv);
	test_a_to_b_state.restored++;
	test_a_to_b_state.restore_ret_once = 0;
	if (test_a_to_b_state.restore_clears)
		ma->revoked = false;
	return ret ?: test_a_to_b_state.restore_ret;
}

static void a_to_b_count(struct dma_buf_mapping_attachment *ma,
			 struct dma_buf_mapping_count *count)
{
	*count = test_a_to_b_state.count;
}

struct dma_buf_mapping_converter test_a_to_b = {
	.name = "kunit A -> B",
	.exp_type = &test_type_a,
	.imp_type = &test_type_b,
	.match = match,
	.attach = a_to_b_attach,
	.detach = a_to_b_detach,
	.invalidate = a_to_b_invalidate,
	.restore = a_to_b_restore,
	.count = a_to_b_count,
};

/* An importer of SGT has no label */
static int match_sgt(struct dma_buf_attachment *attach,
		     const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp)
{
	const struct test_label *label = exp->data;

	return imp->dev ? label->ret : -EINVAL;
}

struct dma_buf_mapping_converter test_a_to_sgt = {
	.name = "kunit A -> SGT",
	.exp_type = &test_type_a,
	.imp_type = &dma_buf_mapping_sgt,
	.imp_ops = &test_sgt_ops,
	.match = match_sgt,
};

static struct dma_buf_mapping_type *const types[] = {
	&test_type_a, &test_type_b, &test_type_c, &test_type_exporter,
	&test_type_importer,
};

int test_types_init(struct kunit *test)
{
	size_t i;
	int ret = 0;

	test_a_to_b_state = (struct test_converter_state){};
	for (i = 0; i < ARRAY_SIZE(types) && !ret; i++)
		ret = dma_buf_mapping_type_register(types[i]);
	return ret ?: dma_buf_mapping_converter_register(&test_a_to_b) ?:
		      dma_buf_mapping_converter_register(&test_a_to_sgt);
}

/*
 * Runs before what the test has registered with KUnit is undone, and so fails if
 * an attachment is left.
 */
void test_types_exit(struct kunit *test)
{
	size_t i;

	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_converter_unregister(&test_a_to_sgt),
			0);
	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_converter_unregister(&test_a_to_b), 0);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    dma_buf_mapping_type_unregister(types[i]),
				    0, "%s", types[i]->name);
}

/* Expects that no attachment uses any of these */
void test_expect_unused(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&types[i]->users), 0,
				    "%s", types[i]->name);
	KUNIT_EXPECT_EQ(test, atomic_read(&test_a_to_b.users), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&test_a_to_sgt.users), 0);
}
