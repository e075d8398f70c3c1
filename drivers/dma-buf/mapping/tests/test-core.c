// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of core: the registry, the negotiation between exporter and importer,
 * and what is left of an attach that fails.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/string.h>

#include "helpers.h"

/* Whose entry it is, for &struct test_exporter.tried, and whether it fits */
struct label {
	const char *name;
	int ret;
};

/* Answers with the importer's errno, or else with the exporter's */
static int private_match(struct dma_buf_attachment *attach,
			 const struct dma_buf_mapping_match *exp,
			 const struct dma_buf_mapping_match *imp)
{
	struct test_exporter *exporter = attach->dmabuf->priv;
	const struct label *exp_label = exp->data;
	const struct label *imp_label = imp->data;

	if (exporter->tried[0])
		strlcat(exporter->tried, " ", sizeof(exporter->tried));
	strlcat(exporter->tried, exp_label->name, sizeof(exporter->tried));
	strlcat(exporter->tried, imp_label->name, sizeof(exporter->tried));
	return imp_label->ret ?: exp_label->ret;
}

static struct dma_buf_mapping_type type_a = {
	.name = "kunit A",
	.match = private_match,
};

static struct dma_buf_mapping_type type_b = {
	.name = "kunit B",
	.match = private_match,
};

/* Has no match callback */
static struct dma_buf_mapping_type type_c = {
	.name = "kunit C",
};

static struct dma_buf_mapping_type type_unregistered = {
	.name = "kunit never registered",
};

static int conv_attach_ret;
static unsigned int conv_detached;

static int conv_attach(struct dma_buf_mapping *m)
{
	dma_resv_assert_held(m->attach.dmabuf->resv);
	return conv_attach_ret;
}

static void conv_detach(struct dma_buf_mapping *m)
{
	dma_resv_assert_held(m->attach.dmabuf->resv);
	conv_detached++;
}

static struct dma_buf_mapping_converter a_to_b = {
	.name = "kunit A -> B",
	.exp_type = &type_a,
	.imp_type = &type_b,
	.match = private_match,
	.attach = conv_attach,
	.detach = conv_detach,
};

static const int ops_of_a, ops_of_b;

#define ENTRY(_type, _label) \
	{ .type = &(_type), .data = &(const struct label){ .name = (_label) } }
#define ENTRY_RET(_type, _label, _ret)                                     \
	{ .type = &(_type), .data = &(const struct label){ .name = (_label), \
							    .ret = (_ret) } }

static int core_init(struct kunit *test)
{
	conv_attach_ret = 0;
	conv_detached = 0;
	return dma_buf_mapping_type_register(&type_a) ?:
	       dma_buf_mapping_type_register(&type_b) ?:
	       dma_buf_mapping_type_register(&type_c) ?:
	       dma_buf_mapping_converter_register(&a_to_b);
}

/* Runs before what the test has registered with KUnit is undone */
static void core_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_unregister(&a_to_b), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_a), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_b), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_c), 0);
}

static struct test_exporter *
stating(struct kunit *test, const struct dma_buf_mapping_match *entries,
	unsigned int num)
{
	struct test_exporter *exp = test_exporter(test, &test_stated_ops, SZ_64K);

	KUNIT_ASSERT_LE(test, num, TEST_MAX_ENTRIES);
	memcpy(exp->entries, entries, num * sizeof(*entries));
	exp->num_entries = num;
	return exp;
}

/* Expects what was agreed, by what pairs were tried and the name of the result */
static void agree(struct test_exporter *exp,
		  const struct dma_buf_mapping_match *imp, unsigned int num,
		  const char *tried, const char *name)
{
	struct dma_buf_attachment *attach = test_attach(exp, imp, num, NULL);

	KUNIT_EXPECT_STREQ(exp->test, exp->tried, tried);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	KUNIT_EXPECT_STREQ(exp->test, dma_buf_mapping_name(attach), name);
	test_detach(exp, attach);
	test_expect_idle(exp);
}

static void disagree(struct test_exporter *exp,
		     const struct dma_buf_mapping_match *imp, unsigned int num,
		     const char *tried, int err)
{
	struct dma_buf_attachment *attach = test_attach(exp, imp, num, NULL);

	KUNIT_EXPECT_PTR_EQ(exp->test, attach, ERR_PTR(err));
	KUNIT_EXPECT_STREQ(exp->test, exp->tried, tried);
	/* The exporter's attach comes after the negotiation */
	KUNIT_EXPECT_EQ(exp->test, exp->calls.attach, 0);
	test_expect_idle(exp);
	KUNIT_EXPECT_EQ(exp->test, atomic_read(&type_a.users), 0);
	KUNIT_EXPECT_EQ(exp->test, atomic_read(&type_b.users), 0);
	KUNIT_EXPECT_EQ(exp->test, atomic_read(&a_to_b.users), 0);
}

static void exporter_order_decides(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		ENTRY(type_b, "1"), ENTRY(type_a, "2"),
	};
	const struct dma_buf_mapping_match i[] = {
		ENTRY(type_a, "x"), ENTRY(type_b, "y"),
	};

	agree(stating(test, e, 2), i, 2, "1y", "kunit B");
}

static void importer_order_decides_within_an_entry(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = {
		ENTRY_RET(type_a, "x", -EOPNOTSUPP), ENTRY(type_a, "y"),
		ENTRY(type_a, "z"),
	};
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;

	exp = stating(test, e, 1);
	attach = test_attach(exp, i, 3, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_STREQ(test, exp->tried, "1x 1y");
	test_detach(exp, attach);
}

static void direct_comes_before_converted(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		ENTRY(type_a, "1"), ENTRY(type_b, "2"),
	};
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };

	agree(stating(test, e, 2), i, 1, "2x", "kunit B");
}

static void native_sgt_comes_before_pal_converted(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match e[] = {
		DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL),
		DMA_BUF_EMAPPING_SGT(&test_sgt_ops),
	};
	const struct dma_buf_mapping_match i[] = { DMA_BUF_IMAPPING_SGT(dev) };

	agree(stating(test, e, 2), i, 1, "", "SGT");
	agree(stating(test, e, 1), i, 1, "", "PAL -> SGT");
}

static void converted_if_nothing_is_direct(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };
	struct test_exporter *exp = stating(test, e, 1);

	agree(exp, i, 1, "1x", "kunit A -> B");
	KUNIT_EXPECT_EQ(test, conv_detached, 1);
}

static void no_converter_for_the_way_back(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { ENTRY(type_b, "1") };
	const struct dma_buf_mapping_match i[] = { ENTRY(type_a, "x") };

	disagree(stating(test, e, 1), i, 1, "", -EOPNOTSUPP);
}

static void soft_refusal_goes_on_with_the_next_pair(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		ENTRY_RET(type_a, "1", -EOPNOTSUPP), ENTRY(type_a, "2"),
	};
	const struct dma_buf_mapping_match i[] = {
		ENTRY(type_a, "x"), ENTRY(type_a, "y"),
	};

	agree(stating(test, e, 2), i, 2, "1x 1y 2x", "kunit A");
}

static void soft_refusal_goes_on_to_the_converters(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		ENTRY(type_a, "1"), ENTRY_RET(type_b, "2", -EOPNOTSUPP),
	};
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };

	agree(stating(test, e, 2), i, 1, "2x 1x", "kunit A -> B");
}

static void soft_refusal_of_all_is_eopnotsupp(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		ENTRY_RET(type_a, "1", -EOPNOTSUPP),
		ENTRY_RET(type_b, "2", -EOPNOTSUPP),
	};
	const struct dma_buf_mapping_match i[] = {
		ENTRY(type_b, "x"), ENTRY(type_a, "y"),
	};

	disagree(stating(test, e, 2), i, 2, "1y 2x 1x", -EOPNOTSUPP);
}

static void hard_refusal_ends_the_attach(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		ENTRY_RET(type_a, "1", -EACCES), ENTRY(type_a, "2"),
	};
	const struct dma_buf_mapping_match i[] = {
		ENTRY(type_a, "x"), ENTRY(type_a, "y"),
	};

	disagree(stating(test, e, 2), i, 2, "1x", -EACCES);
}

static void hard_refusal_by_a_converter_ends_the_attach(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		ENTRY_RET(type_a, "1", -ENOMEM), ENTRY(type_a, "2"),
	};
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };

	disagree(stating(test, e, 2), i, 1, "1x", -ENOMEM);
}

static void nothing_in_common_is_eopnotsupp(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = { { .type = &type_c } };

	disagree(stating(test, e, 1), i, 1, "", -EOPNOTSUPP);
}

static void private_type_without_match_fits(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { { .type = &type_c } };
	const struct dma_buf_mapping_match i[] = { { .type = &type_c } };

	agree(stating(test, e, 1), i, 1, "", "kunit C");
}

static void exp_ops_of_the_agreed_type_only(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		{ .type = &type_c, .exp_ops = &ops_of_a },
	};
	const struct dma_buf_mapping_match i[] = { { .type = &type_c } };
	struct test_exporter *exp = stating(test, e, 1);
	struct dma_buf_attachment *attach = test_attach(exp, i, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test, dma_buf_mapping_exp_ops(attach, &type_c),
			    (const void *)&ops_of_a);
	KUNIT_EXPECT_NULL(test, dma_buf_mapping_exp_ops(attach, &type_a));
	test_detach(exp, attach);
}

/* What an importer got by conversion has no use for the exporter's calls */
static void exp_ops_of_a_conversion_are_nobodys(struct kunit *test)
{
	struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;

	e[0].exp_ops = &ops_of_b;
	exp = stating(test, e, 1);
	attach = test_attach(exp, i, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_NULL(test, dma_buf_mapping_exp_ops(attach, &type_a));
	KUNIT_EXPECT_NULL(test, dma_buf_mapping_exp_ops(attach, &type_b));
	test_detach(exp, attach);
}

static void static_table_is_used(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match sgt = DMA_BUF_IMAPPING_SGT(dev);
	const struct dma_buf_mapping_match a = ENTRY(type_a, "x");
	struct test_exporter *exp;

	exp = test_exporter(test, &test_table_ops, SZ_64K);
	agree(exp, &sgt, 1, "", "SGT");
	exp = test_exporter(test, &test_table_ops, SZ_64K);
	disagree(exp, &a, 1, "", -EOPNOTSUPP);
}

static void match_mapping_goes_before_the_table(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match sgt = DMA_BUF_IMAPPING_SGT(dev);
	struct test_exporter *exp;

	exp = test_exporter(test, &test_table_and_match_ops, SZ_64K);
	exp->entries[0].type = &type_c;
	exp->num_entries = 1;
	disagree(exp, &sgt, 1, "", -EOPNOTSUPP);
}

static void legacy_exporter_has_sgt_only(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match i[] = {
		ENTRY(type_a, "x"), DMA_BUF_IMAPPING_SGT(dev),
	};
	struct test_exporter *exp;

	exp = test_exporter(test, &test_legacy_ops, SZ_64K);
	disagree(exp, i, 1, "", -EOPNOTSUPP);
	agree(exp, i, 2, "", "SGT");
}

static void empty_lists_are_refused(struct kunit *test)
{
	const struct dma_buf_mapping_match a[] = { ENTRY(type_a, "1") };
	struct test_exporter *exp;

	disagree(stating(test, a, 1), a, 0, "", -EINVAL);
	disagree(stating(test, a, 1), NULL, 0, "", -EINVAL);
	disagree(stating(test, a, 0), a, 1, "", -EINVAL);
	exp = test_exporter(test, &test_legacy_ops, SZ_64K);
	disagree(exp, a, 0, "", -EINVAL);
}

/* Wherever in the list it is, and even if something before it would do */
static void unregistered_type_is_refused(struct kunit *test)
{
	const struct dma_buf_mapping_match good[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match bad[] = {
		ENTRY(type_a, "1"), { .type = &type_unregistered },
	};
	const struct dma_buf_mapping_match none[] = { { .type = NULL } };

	disagree(stating(test, good, 1), bad, 2, "", -EINVAL);
	disagree(stating(test, bad, 2), good, 1, "", -EINVAL);
	disagree(stating(test, good, 1), none, 1, "", -EINVAL);
	disagree(stating(test, none, 1), good, 1, "", -EINVAL);
}

static void pal_from_importer_is_refused(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL),
		ENTRY(type_a, "1"),
	};
	const struct dma_buf_mapping_match i[] = {
		ENTRY(type_a, "x"), { .type = &dma_buf_mapping_pal },
	};

	disagree(stating(test, e, 2), i, 2, "", -EINVAL);
	disagree(stating(test, e, 2), i + 1, 1, "", -EINVAL);
}

static void duplicates_are_refused(struct kunit *test)
{
	struct dma_buf_mapping_type same_name = { .name = "kunit A" };
	struct dma_buf_mapping_type sgt = { .name = "SGT" };
	struct dma_buf_mapping_type no_name = {};
	struct dma_buf_mapping_converter same_pair = {
		.exp_type = &type_a,
		.imp_type = &type_b,
	};

	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&type_a), -EEXIST);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&same_name),
			-EEXIST);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&sgt), -EEXIST);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&no_name), -EINVAL);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_register(&a_to_b),
			-EEXIST);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_register(&same_pair),
			-EEXIST);
}

static void converter_needs_two_registered_types(struct kunit *test)
{
	struct dma_buf_mapping_converter conv = {
		.exp_type = &type_a,
		.imp_type = &type_unregistered,
	};

	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_register(&conv),
			-EINVAL);
	conv.exp_type = &type_unregistered;
	conv.imp_type = &type_a;
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_register(&conv),
			-EINVAL);
	conv.exp_type = &type_a;
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_register(&conv),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_unregister(&conv),
			-ENOENT);
}

static void unregister_what_is_not_registered(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_type_unregister(&type_unregistered),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_c), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_c),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&type_c), 0);
}

static void unregister_while_in_use_is_ebusy(struct kunit *test)
{
	const struct dma_buf_mapping_match c[] = { { .type = &type_c } };
	struct test_exporter *exp = stating(test, c, 1);
	struct dma_buf_attachment *attach = test_attach(exp, c, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_c), -EBUSY);
	test_detach(exp, attach);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_c), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&type_c), 0);
}

static void unregister_while_converting_is_ebusy(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };
	struct test_exporter *exp = stating(test, e, 1);
	struct dma_buf_attachment *attach = test_attach(exp, i, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_unregister(&a_to_b),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_a), -EBUSY);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_b), -EBUSY);
	test_detach(exp, attach);
	KUNIT_EXPECT_EQ(test, atomic_read(&a_to_b.users), 0);
	/* A converter uses its types even if nobody uses the converter */
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_a), -EBUSY);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type_b), -EBUSY);
}

static void types_of_core_cannot_be_unregistered(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_type_unregister(&dma_buf_mapping_sgt),
			-EBUSY);
	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_type_unregister(&dma_buf_mapping_pal),
			-EBUSY);
	if (!IS_ENABLED(CONFIG_IOMMU_API))
		return;
	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_type_unregister(&dma_buf_mapping_iommu),
			-EBUSY);
}

static void expect_text(struct kunit *test, const char *text, const char *part)
{
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, part),
				  "no '%s' in '%s'", part, text);
}

#ifdef CONFIG_MODULE_UNLOAD
static struct module *fake_module(struct kunit *test)
{
	struct module *mod = kunit_kzalloc(test, sizeof(*mod), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mod);
	mod->state = MODULE_STATE_LIVE;
	strscpy(mod->name, "kunit_owner");
	atomic_set(&mod->refcnt, 1);
	return mod;
}

static void module_of_a_type_in_use_cannot_be_unloaded(struct kunit *test)
{
	const struct dma_buf_mapping_match c[] = { { .type = &type_c } };
	struct test_exporter *exp = stating(test, c, 1);
	struct dma_buf_attachment *attach;
	struct module *mod;

	mod = fake_module(test);
	type_c.owner = mod;

	attach = test_attach(exp, c, 1, NULL);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, atomic_read(&mod->refcnt), 2);
	if (IS_ENABLED(CONFIG_DEBUG_FS))
		expect_text(test,
			    test_read_debugfs(test, "dma_buf/mapping_types"),
			    "\n\tkunit C\texporter, importer\tkunit_owner\t1 uses\n");
	if (!IS_ERR_OR_NULL(attach))
		test_detach(exp, attach);
	KUNIT_EXPECT_EQ(test, atomic_read(&mod->refcnt), 1);

	mod->state = MODULE_STATE_GOING;
	disagree(stating(test, c, 1), c, 1, "", -EOPNOTSUPP);
	type_c.owner = NULL;
}

/* Whichever of the three it is, the others' counts are put back */
static void modules_of_a_conversion_cannot_be_unloaded(struct kunit *test)
{
	struct module **owners[] = {
		&type_a.owner, &type_b.owner, &a_to_b.owner,
	};
	const struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };
	struct module *mods[ARRAY_SIZE(owners)];
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	size_t going, n;

	for (n = 0; n < ARRAY_SIZE(owners); n++)
		mods[n] = fake_module(test);
	for (n = 0; n < ARRAY_SIZE(owners); n++)
		*owners[n] = mods[n];

	exp = stating(test, e, 1);
	attach = test_attach(exp, i, 1, NULL);
	for (n = 0; n < ARRAY_SIZE(owners); n++)
		KUNIT_EXPECT_EQ(test, atomic_read(&mods[n]->refcnt), 2);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, attach);
	if (!IS_ERR_OR_NULL(attach))
		test_detach(exp, attach);

	for (going = 0; going < ARRAY_SIZE(owners); going++) {
		mods[going]->state = MODULE_STATE_GOING;
		disagree(stating(test, e, 1), i, 1, "1x", -EOPNOTSUPP);
		mods[going]->state = MODULE_STATE_LIVE;
		for (n = 0; n < ARRAY_SIZE(owners); n++)
			KUNIT_EXPECT_EQ(test, atomic_read(&mods[n]->refcnt), 1);
	}
	for (n = 0; n < ARRAY_SIZE(owners); n++)
		*owners[n] = NULL;
}
#else
static void module_of_a_type_in_use_cannot_be_unloaded(struct kunit *test)
{
	kunit_skip(test, "no module is ever unloaded without MODULE_UNLOAD");
}

static void modules_of_a_conversion_cannot_be_unloaded(struct kunit *test)
{
	kunit_skip(test, "no module is ever unloaded without MODULE_UNLOAD");
}
#endif

static void exporter_that_refuses_attach_leaves_nothing(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };
	struct test_exporter *exp = stating(test, e, 1);

	exp->err.attach = -EPERM;
	disagree(exp, i, 1, "1x", -EPERM);
	/* Neither side's undoing: nothing was done */
	KUNIT_EXPECT_EQ(test, exp->calls.detach, 0);
	KUNIT_EXPECT_EQ(test, conv_detached, 0);
}

static void converter_that_refuses_attach_leaves_nothing(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };
	struct test_exporter *exp = stating(test, e, 1);

	conv_attach_ret = -ENODEV;
	KUNIT_EXPECT_PTR_EQ(test, test_attach(exp, i, 1, NULL),
			    ERR_PTR(-ENODEV));
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.detach, 1);
	KUNIT_EXPECT_EQ(test, conv_detached, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&type_a.users), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&type_b.users), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&a_to_b.users), 0);
}

static void exporter_that_does_not_ask_core(struct kunit *test)
{
	const struct dma_buf_mapping_match c[] = { { .type = &type_c } };
	struct test_exporter *exp = stating(test, c, 1);

	exp->match_calls = 0;
	kunit_warning_suppress(test) {
		disagree(exp, c, 1, "", -EINVAL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	/* To refuse without asking is its right, however */
	exp->err.match = -EPERM;
	disagree(exp, c, 1, "", -EPERM);
}

static void exporter_that_refuses_what_core_agreed_on(struct kunit *test)
{
	const struct dma_buf_mapping_match c[] = { { .type = &type_c } };
	struct test_exporter *exp = stating(test, c, 1);

	exp->err.match = -EPERM;
	kunit_warning_suppress(test) {
		disagree(exp, c, 1, "", -EPERM);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&type_c.users), 0);
}

static void exporter_that_asks_core_twice(struct kunit *test)
{
	const struct dma_buf_mapping_match c[] = { { .type = &type_c } };
	struct test_exporter *exp = stating(test, c, 1);

	exp->match_calls = 2;
	kunit_warning_suppress(test)
		disagree(exp, c, 1, "", -EINVAL);
	KUNIT_EXPECT_EQ(test, atomic_read(&type_c.users), 0);
}

static void importer_callbacks_decide_about_p2p(struct kunit *test)
{
	const struct dma_buf_mapping_match c[] = { { .type = &type_c } };
	struct test_exporter *exp = stating(test, c, 1);
	struct dma_buf_attachment *attach;

	attach = test_attach(exp, c, 1, &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_TRUE(test, exp->saw_p2p);
	KUNIT_EXPECT_TRUE(test, exp->saw_revocable);
	test_detach(exp, attach);

	attach = test_attach(exp, c, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_FALSE(test, exp->saw_p2p);
	KUNIT_EXPECT_FALSE(test, exp->saw_revocable);
	test_detach(exp, attach);
}

static void invalidate_and_restore_pass_over_private_types(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = {
		{ .type = &type_c }, ENTRY(type_a, "1"),
	};
	const struct dma_buf_mapping_match b = ENTRY(type_b, "x");
	struct dma_buf_attachment *direct, *converted;
	struct test_exporter *exp = stating(test, e, 2);

	direct = test_attach(exp, e, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, direct);
	/* By a converter that has nothing to do here either */
	converted = test_attach(exp, &b, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, converted);
	test_invalidate(exp);
	test_restore(exp);
	test_detach(exp, converted);
	test_detach(exp, direct);
}

static void bufinfo_names_the_mapping(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match c[] = { { .type = &type_c } };
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	char line[64];

	exp = stating(test, c, 1);
	attach = test_attach(exp, c, 1, NULL);
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

static void debugfs_has_the_line_of_bufinfo(struct kunit *test)
{
	const struct dma_buf_mapping_match c[] = { { .type = &type_c } };
	struct test_exporter *exp = stating(test, c, 1);
	struct dma_buf_attachment *attach = test_attach(exp, c, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	expect_text(test, test_read_debugfs(test, "dma_buf/bufinfo"),
		    test_describe(exp, attach));
	test_detach(exp, attach);
}

static void debugfs_lists_types_and_converters(struct kunit *test)
{
	const struct dma_buf_mapping_match e[] = { ENTRY(type_a, "1") };
	const struct dma_buf_mapping_match i[] = { ENTRY(type_b, "x") };
	struct test_exporter *exp = stating(test, e, 1);
	struct dma_buf_attachment *attach;
	const char *text;

	attach = test_attach(exp, i, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	text = test_read_debugfs(test, "dma_buf/mapping_types");
	test_detach(exp, attach);

	expect_text(test, text,
		    "Types:\n\tSGT\texporter, importer\tbuilt-in\t0 uses\n");
	expect_text(test, text, "\n\tPAL\texporter\tbuilt-in\t0 uses\n");
	expect_text(test, text, "\n\tkunit A\texporter, importer\tbuilt-in\t1 uses\n");
	expect_text(test, text, "\n\tkunit C\texporter, importer\tbuilt-in\t0 uses\n");
	expect_text(test, text, "\nConverters:\n\tPAL -> SGT\tbuilt-in\t0 uses\n");
	expect_text(test, text, "\n\tkunit A -> B\tbuilt-in\t1 uses\n");
	if (!IS_ENABLED(CONFIG_IOMMU_API))
		return;
	expect_text(test, text, "\n\tiommu_domain\timporter\tbuilt-in\t0 uses\n");
	expect_text(test, text, "\n\tPAL -> iommu_domain\tbuilt-in\t0 uses\n");
}

static void export_needs_a_way_to_map(struct kunit *test)
{
	struct dma_buf_ops ops = {};

	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_ops_valid(&ops));
	ops.mappings = test_table_ops.mappings;
	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_ops_valid(&ops));
	ops.num_mappings = 1;
	KUNIT_EXPECT_TRUE(test, dma_buf_mapping_ops_valid(&ops));

	ops = (struct dma_buf_ops){ .map_dma_buf = test_sgt_ops.map };
	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_ops_valid(&ops));
	ops.unmap_dma_buf = test_sgt_ops.unmap;
	KUNIT_EXPECT_TRUE(test, dma_buf_mapping_ops_valid(&ops));

	ops = (struct dma_buf_ops){
		.match_mapping = test_stated_ops.match_mapping,
	};
	KUNIT_EXPECT_TRUE(test, dma_buf_mapping_ops_valid(&ops));
}

static struct kunit_case core_cases[] = {
	KUNIT_CASE(exporter_order_decides),
	KUNIT_CASE(importer_order_decides_within_an_entry),
	KUNIT_CASE(direct_comes_before_converted),
	KUNIT_CASE(native_sgt_comes_before_pal_converted),
	KUNIT_CASE(converted_if_nothing_is_direct),
	KUNIT_CASE(no_converter_for_the_way_back),
	KUNIT_CASE(soft_refusal_goes_on_with_the_next_pair),
	KUNIT_CASE(soft_refusal_goes_on_to_the_converters),
	KUNIT_CASE(soft_refusal_of_all_is_eopnotsupp),
	KUNIT_CASE(hard_refusal_ends_the_attach),
	KUNIT_CASE(hard_refusal_by_a_converter_ends_the_attach),
	KUNIT_CASE(nothing_in_common_is_eopnotsupp),
	KUNIT_CASE(private_type_without_match_fits),
	KUNIT_CASE(exp_ops_of_the_agreed_type_only),
	KUNIT_CASE(exp_ops_of_a_conversion_are_nobodys),
	KUNIT_CASE(static_table_is_used),
	KUNIT_CASE(match_mapping_goes_before_the_table),
	KUNIT_CASE(legacy_exporter_has_sgt_only),
	KUNIT_CASE(empty_lists_are_refused),
	KUNIT_CASE(unregistered_type_is_refused),
	KUNIT_CASE(pal_from_importer_is_refused),
	KUNIT_CASE(duplicates_are_refused),
	KUNIT_CASE(converter_needs_two_registered_types),
	KUNIT_CASE(unregister_what_is_not_registered),
	KUNIT_CASE(unregister_while_in_use_is_ebusy),
	KUNIT_CASE(unregister_while_converting_is_ebusy),
	KUNIT_CASE(types_of_core_cannot_be_unregistered),
	KUNIT_CASE(module_of_a_type_in_use_cannot_be_unloaded),
	KUNIT_CASE(modules_of_a_conversion_cannot_be_unloaded),
	KUNIT_CASE(exporter_that_refuses_attach_leaves_nothing),
	KUNIT_CASE(converter_that_refuses_attach_leaves_nothing),
	KUNIT_CASE(exporter_that_does_not_ask_core),
	KUNIT_CASE(exporter_that_refuses_what_core_agreed_on),
	KUNIT_CASE(exporter_that_asks_core_twice),
	KUNIT_CASE(importer_callbacks_decide_about_p2p),
	KUNIT_CASE(invalidate_and_restore_pass_over_private_types),
	KUNIT_CASE(bufinfo_names_the_mapping),
	KUNIT_CASE(debugfs_has_the_line_of_bufinfo),
	KUNIT_CASE(debugfs_lists_types_and_converters),
	KUNIT_CASE(export_needs_a_way_to_map),
	{}
};

static struct kunit_suite core_suite = {
	.name = "dma-buf-mapping-core",
	.init = core_init,
	.exit = core_exit,
	.test_cases = core_cases,
};

kunit_test_suite(core_suite);

MODULE_DESCRIPTION("KUnit tests of the DMA-buf mapping types' core");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
