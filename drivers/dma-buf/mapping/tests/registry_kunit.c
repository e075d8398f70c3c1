// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the registry: what can be registered, and what keeps it there.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/string.h>

#include "helpers.h"
#include "types.h"

static const struct bad_type {
	const char *why;
	const char *name;
	int ret;
} bad_types[] = {
	{ "no name", NULL, -EINVAL },
	{ "name of a type of a driver", "kunit A", -EEXIST },
	{ "name of a type of core", "SGT", -EEXIST },
};

KUNIT_ARRAY_PARAM_DESC(bad_types, bad_types, why);

static void type_is_refused(struct kunit *test)
{
	const struct bad_type *bad = test->param_value;
	struct dma_buf_mapping_type type = { .name = bad->name };

	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&type), bad->ret);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&type), -ENOENT);
}

static const struct bad_converter {
	const char *why;
	struct dma_buf_mapping_type *exp_type;
	struct dma_buf_mapping_type *imp_type;
	int ret;
} bad_converters[] = {
	{ "exporter's type is not registered", &test_type_unregistered,
	  &test_type_a, -EINVAL },
	{ "importer's type is not registered", &test_type_a,
	  &test_type_unregistered, -EINVAL },
	{ "both are the same type", &test_type_a, &test_type_a, -EINVAL },
	{ "there is one for the pair", &test_type_a, &test_type_b, -EEXIST },
};

KUNIT_ARRAY_PARAM_DESC(bad_converters, bad_converters, why);

static void converter_is_refused(struct kunit *test)
{
	const struct bad_converter *bad = test->param_value;
	struct dma_buf_mapping_converter conv = {
		.exp_type = bad->exp_type,
		.imp_type = bad->imp_type,
	};

	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_register(&conv),
			bad->ret);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_unregister(&conv),
			-ENOENT);
}

static void register_a_second_time(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&test_type_a),
			-EEXIST);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_register(&test_a_to_b),
			-EEXIST);
}

static void unregister_what_is_not_registered(struct kunit *test)
{
	struct dma_buf_mapping_type *type = &test_type_unregistered;

	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(type), -ENOENT);
	type = &test_type_c;
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(type), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(type), -ENOENT);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(type), 0);

	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_converter_unregister(&test_a_to_b), 0);
	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_converter_unregister(&test_a_to_b),
			-ENOENT);
	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_converter_register(&test_a_to_b), 0);
}

static struct dma_buf_mapping_converter *
find_converter(const struct dma_buf_mapping_type *exp_type,
	       const struct dma_buf_mapping_type *imp_type)
{
	struct dma_buf_mapping_converter *conv;

	down_read(&dma_buf_mapping_registry_lock);
	conv = dma_buf_mapping_find_converter(exp_type, imp_type);
	up_read(&dma_buf_mapping_registry_lock);
	return conv;
}

static void converter_is_found_by_both_types(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, find_converter(&test_type_a, &test_type_b),
			    &test_a_to_b);
	KUNIT_EXPECT_PTR_EQ(test,
			    find_converter(&test_type_a, &dma_buf_mapping_sgt),
			    &test_a_to_sgt);
	KUNIT_EXPECT_NULL(test, find_converter(&test_type_b, &test_type_a));
	KUNIT_EXPECT_NULL(test, find_converter(&test_type_a, &test_type_c));
	KUNIT_EXPECT_NULL(test, find_converter(&test_type_c, &test_type_b));
	KUNIT_EXPECT_PTR_EQ(test,
			    find_converter(&dma_buf_mapping_pal,
					   &dma_buf_mapping_sgt),
			    &dma_buf_pal_to_sgt);
}

static void unregister_while_in_use_is_ebusy(struct kunit *test)
{
	const struct dma_buf_mapping_match c = { .type = &test_type_c };
	struct test_exporter *exp = test_stating(test, &c, 1);
	struct dma_buf_attachment *attach = test_attach(exp, &c, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&test_type_c),
			-EBUSY);
	test_detach(exp, attach);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&test_type_c), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_register(&test_type_c), 0);
}

static void unregister_while_converting_is_ebusy(struct kunit *test)
{
	const struct dma_buf_mapping_match e = ENTRY(test_type_a, "1");
	const struct dma_buf_mapping_match i = ENTRY(test_type_b, "x");
	struct test_exporter *exp = test_stating(test, &e, 1);
	struct dma_buf_attachment *attach = test_attach(exp, &i, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test,
			dma_buf_mapping_converter_unregister(&test_a_to_b),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&test_type_a),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&test_type_b),
			-EBUSY);
	test_detach(exp, attach);
	test_expect_unused(test);
	/* A converter uses its types even if nobody uses the converter */
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&test_type_a),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&test_type_b),
			-EBUSY);
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

static void refuse(struct kunit *test, const struct dma_buf_mapping_match *e,
		   const struct dma_buf_mapping_match *i, const char *tried)
{
	struct test_exporter *exp = test_stating(test, e, 1);

	KUNIT_EXPECT_PTR_EQ(test, test_attach(exp, i, 1, NULL),
			    ERR_PTR(-EOPNOTSUPP));
	KUNIT_EXPECT_STREQ(test, exp->tried, tried);
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 0);
	test_expect_idle(exp);
	test_expect_unused(test);
}

static void module_of_a_type_in_use_cannot_be_unloaded(struct kunit *test)
{
	const struct dma_buf_mapping_match c = { .type = &test_type_c };
	struct test_exporter *exp = test_stating(test, &c, 1);
	struct dma_buf_attachment *attach;
	struct module *mod;

	mod = fake_module(test);
	test_type_c.owner = mod;

	attach = test_attach(exp, &c, 1, NULL);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, atomic_read(&mod->refcnt), 2);
	if (IS_ENABLED(CONFIG_DEBUG_FS))
		test_expect_text(test,
				 test_read_debugfs(test, "dma_buf/mapping_types"),
				 "\n\tkunit C\texporter, importer\tkunit_owner\t1 uses\n");
	if (!IS_ERR_OR_NULL(attach))
		test_detach(exp, attach);
	KUNIT_EXPECT_EQ(test, atomic_read(&mod->refcnt), 1);

	/* On its way out it counts as one that never stated its type */
	mod->state = MODULE_STATE_GOING;
	refuse(test, &c, &c, "");
	test_type_c.owner = NULL;
}

/* Whichever of the three it is, the others' counts are put back */
static void modules_of_a_conversion_cannot_be_unloaded(struct kunit *test)
{
	struct module **owners[] = {
		&test_type_a.owner, &test_type_b.owner, &test_a_to_b.owner,
	};
	const struct dma_buf_mapping_match e = ENTRY(test_type_a, "1");
	const struct dma_buf_mapping_match i = ENTRY(test_type_b, "x");
	struct module *mods[ARRAY_SIZE(owners)];
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	size_t going, n;

	for (n = 0; n < ARRAY_SIZE(owners); n++)
		mods[n] = fake_module(test);
	for (n = 0; n < ARRAY_SIZE(owners); n++)
		*owners[n] = mods[n];

	exp = test_stating(test, &e, 1);
	attach = test_attach(exp, &i, 1, NULL);
	for (n = 0; n < ARRAY_SIZE(owners); n++)
		KUNIT_EXPECT_EQ(test, atomic_read(&mods[n]->refcnt), 2);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, attach);
	if (!IS_ERR_OR_NULL(attach))
		test_detach(exp, attach);

	for (going = 0; going < ARRAY_SIZE(owners); going++) {
		mods[going]->state = MODULE_STATE_GOING;
		refuse(test, &e, &i, "1x");
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

static struct kunit_case registry_cases[] = {
	KUNIT_CASE_PARAM(type_is_refused, bad_types_gen_params),
	KUNIT_CASE_PARAM(converter_is_refused, bad_converters_gen_params),
	KUNIT_CASE(register_a_second_time),
	KUNIT_CASE(unregister_what_is_not_registered),
	KUNIT_CASE(converter_is_found_by_both_types),
	KUNIT_CASE(unregister_while_in_use_is_ebusy),
	KUNIT_CASE(unregister_while_converting_is_ebusy),
	KUNIT_CASE(types_of_core_cannot_be_unregistered),
	KUNIT_CASE(module_of_a_type_in_use_cannot_be_unloaded),
	KUNIT_CASE(modules_of_a_conversion_cannot_be_unloaded),
	{}
};

static struct kunit_suite registry_suite = {
	.name = "dma-buf-mapping-registry",
	.init = test_types_init,
	.exit = test_types_exit,
	.test_cases = registry_cases,
};

kunit_test_suite(registry_suite);

MODULE_DESCRIPTION("KUnit tests of the registry of DMA-buf's mapping types");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
