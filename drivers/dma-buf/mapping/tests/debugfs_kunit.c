// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what debugfs says of the mapping types, read as userspace does.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/string.h>

#include "helpers.h"
#include "types.h"

static void bufinfo_names_the_mapping(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match c = { .type = &test_type_c };
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	char line[64];

	exp = test_stating(test, &c, 1);
	attach = test_attach(exp, &c, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_STREQ(test, test_describe(exp, attach),
			   "\t-\tkunit C\n");
	test_detach(exp, attach);

	exp = test_exporter(test, &test_legacy_ops, SZ_64K);
	attach = test_attach_sgt(exp, dev, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	snprintf(line, sizeof(line), "\t%s\tSGT\n", dev_name(dev));
	KUNIT_EXPECT_STREQ(test, test_describe(exp, attach), line);
	test_detach(exp, attach);
}

static void bufinfo_has_that_line(struct kunit *test)
{
	const struct dma_buf_mapping_match c = { .type = &test_type_c };
	struct test_exporter *exp = test_stating(test, &c, 1);
	struct dma_buf_attachment *attach = test_attach(exp, &c, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	test_expect_text(test, test_read_debugfs(test, "dma_buf/bufinfo"),
			 test_describe(exp, attach));
	test_detach(exp, attach);
}

static void mapping_types_has_types_and_converters(struct kunit *test)
{
	const struct dma_buf_mapping_match e = ENTRY(test_type_a, "1");
	const struct dma_buf_mapping_match i = ENTRY(test_type_b, "x");
	struct test_exporter *exp = test_stating(test, &e, 1);
	struct dma_buf_attachment *attach;
	const char *text;

	attach = test_attach(exp, &i, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	text = test_read_debugfs(test, "dma_buf/mapping_types");
	test_detach(exp, attach);

	test_expect_text(test, text,
			 "Types:\n\tSGT\texporter, importer\tbuilt-in\n");
	test_expect_text(test, text,
			 "\n\tkunit A\texporter, importer\tbuilt-in\t1 uses\n");
	test_expect_text(test, text,
			 "\n\tkunit C\texporter, importer\tbuilt-in\t0 uses\n");
	test_expect_text(test, text,
			 "\n\tkunit of exporters\texporter\tbuilt-in\t0 uses\n");
	test_expect_text(test, text,
			 "\n\tkunit of importers\timporter\tbuilt-in\t0 uses\n");
	test_expect_text(test, text, "\nConverters:\n\t");
	test_expect_text(test, text, "\n\tkunit A -> B\tbuilt-in\t1 uses\n");
	test_expect_text(test, text, "\n\tkunit A -> SGT\tbuilt-in\t0 uses\n");
	test_expect_text(test, text, "\n\tPAL\texporter\tbuilt-in\n");
	test_expect_text(test, text,
			 "\nConverters:\n\tPAL -> SGT\tbuilt-in\n");
	if (!IS_ENABLED(CONFIG_IOMMU_API))
		return;
	test_expect_text(test, text,
			 "\n\tiommu_domain\timporter\tbuilt-in\n");
	test_expect_text(test, text,
			 "\n\tPAL -> iommu_domain\tbuilt-in\n");
}

static void bufinfo_says_what_is_revoked(struct kunit *test)
{
	const struct dma_buf_mapping_match c = { .type = &test_type_c };
	struct test_exporter *exp = test_stating(test, &c, 1);
	struct dma_buf_attachment *before, *after;

	before = test_attach(exp, &c, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, before);
	test_invalidate(exp);
	after = test_attach(exp, &c, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, after);
	KUNIT_EXPECT_STREQ(test, test_describe(exp, before),
			   "\t-\tkunit C\trevoked\n");
	KUNIT_EXPECT_STREQ(test, test_describe(exp, after), "\t-\tkunit C\n");
	test_detach(exp, after);
	test_detach(exp, before);
}

static struct kunit_case debugfs_cases[] = {
	KUNIT_CASE(bufinfo_names_the_mapping),
	KUNIT_CASE(bufinfo_has_that_line),
	KUNIT_CASE(mapping_types_has_types_and_converters),
	KUNIT_CASE(bufinfo_says_what_is_revoked),
	{}
};

static struct kunit_suite debugfs_suite = {
	.name = "dma-buf-mapping-debugfs",
	.init = test_types_init,
	.exit = test_types_exit,
	.test_cases = debugfs_cases,
};

kunit_test_suite(debugfs_suite);

MODULE_DESCRIPTION("KUnit tests of what debugfs says of DMA-buf's mapping types");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
