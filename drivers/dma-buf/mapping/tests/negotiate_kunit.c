// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the negotiation: which pair of entries is agreed on, which are tried
 * on the way there, and what of an importer or exporter is refused.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/string.h>

#include "helpers.h"
#include "types.h"

#define MAX_STATED 3

/**
 * struct negotiation - what two sides state and what comes of it
 * @what: this is about
 * @exp: exporter's entries, labelled by a digit
 * @imp: importer's entries, labelled by a letter
 * @tried: the pairs that are tried, in this order
 * @agreed: name of the result, NULL if there is none
 * @err: what the attach fails with then
 */
struct negotiation {
	const char *what;
	struct dma_buf_mapping_match exp[MAX_STATED];
	struct dma_buf_mapping_match imp[MAX_STATED];
	const char *tried;
	const char *agreed;
	int err;
};

#define A test_type_a
#define B test_type_b
#define C test_type_c

static const struct negotiation negotiations[] = {
	{ "the exporter's order decides",
	  { ENTRY(B, "1"), ENTRY(A, "2") }, { ENTRY(A, "x"), ENTRY(B, "y") },
	  "1y", "kunit B" },
	{ "the importer's order decides within an entry",
	  { ENTRY(A, "1") },
	  { ENTRY_RET(A, "x", -EOPNOTSUPP), ENTRY(A, "y"), ENTRY(A, "z") },
	  "1x 1y", "kunit A" },
	{ "direct comes before converted",
	  { ENTRY(A, "1"), ENTRY(B, "2") }, { ENTRY(B, "x") },
	  "2x", "kunit B" },
	{ "converted if nothing is direct",
	  { ENTRY(A, "1") }, { ENTRY(B, "x") },
	  "1x", "kunit A -> B" },
	{ "the exporter's order decides about conversions",
	  { ENTRY(C, "1"), ENTRY(A, "2"), ENTRY(A, "3") },
	  { ENTRY(B, "x"), ENTRY(B, "y") },
	  "2x", "kunit A -> B" },
	{ "no converter for the way back",
	  { ENTRY(B, "1") }, { ENTRY(A, "x") },
	  "", NULL, -EOPNOTSUPP },
	{ "nothing in common",
	  { ENTRY(A, "1") }, { { .type = &C } },
	  "", NULL, -EOPNOTSUPP },
	{ "a type without a match fits",
	  { { .type = &C } }, { { .type = &C } },
	  "", "kunit C" },
	{ "a soft refusal goes on with the next pair",
	  { ENTRY_RET(A, "1", -EOPNOTSUPP), ENTRY(A, "2") },
	  { ENTRY(A, "x"), ENTRY(A, "y") },
	  "1x 1y 2x", "kunit A" },
	{ "a soft refusal goes on to the converters",
	  { ENTRY(A, "1"), ENTRY_RET(B, "2", -EOPNOTSUPP) }, { ENTRY(B, "x") },
	  "2x 1x", "kunit A -> B" },
	{ "a soft refusal by a converter goes on",
	  { ENTRY_RET(A, "1", -EOPNOTSUPP), ENTRY(A, "2") },
	  { ENTRY(B, "x"), ENTRY(B, "y") },
	  "1x 1y 2x", "kunit A -> B" },
	{ "soft refusals of all",
	  { ENTRY_RET(A, "1", -EOPNOTSUPP), ENTRY_RET(B, "2", -EOPNOTSUPP) },
	  { ENTRY(B, "x"), ENTRY(A, "y") },
	  "1y 2x 1x", NULL, -EOPNOTSUPP },
	{ "a hard refusal ends it",
	  { ENTRY_RET(A, "1", -EACCES), ENTRY(A, "2") },
	  { ENTRY(A, "x"), ENTRY(A, "y") },
	  "1x", NULL, -EACCES },
	{ "a hard refusal of the importer's entry ends it",
	  { ENTRY(A, "1"), ENTRY(A, "2") },
	  { ENTRY_RET(A, "x", -EPERM), ENTRY(A, "y") },
	  "1x", NULL, -EPERM },
	{ "a hard refusal ends it before the converters",
	  { ENTRY_RET(B, "1", -ENODEV), ENTRY(A, "2") },
	  { ENTRY(B, "x"), ENTRY(B, "y") },
	  "1x", NULL, -ENODEV },
	{ "a hard refusal after a soft one ends it",
	  { ENTRY_RET(A, "1", -EOPNOTSUPP), ENTRY_RET(A, "2", -EIO),
	    ENTRY(A, "3") },
	  { ENTRY(A, "x") },
	  "1x 2x", NULL, -EIO },
	{ "a hard refusal by a converter ends it",
	  { ENTRY_RET(A, "1", -ENOMEM), ENTRY(A, "2") },
	  { ENTRY(B, "x"), ENTRY(B, "y") },
	  "1x", NULL, -ENOMEM },
};

KUNIT_ARRAY_PARAM_DESC(negotiations, negotiations, what);

static unsigned int count(const struct dma_buf_mapping_match *entries)
{
	unsigned int num = 0;

	while (num < MAX_STATED && entries[num].type)
		num++;
	return num;
}

static void expect_agreement(struct test_exporter *exp,
			     const struct dma_buf_mapping_match *imp,
			     unsigned int num, const char *tried,
			     const char *name)
{
	struct dma_buf_attachment *attach = test_attach(exp, imp, num, NULL);

	KUNIT_EXPECT_STREQ(exp->test, exp->tried, tried);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	KUNIT_EXPECT_STREQ(exp->test, dma_buf_mapping_name(attach), name);
	test_detach(exp, attach);
	test_expect_idle(exp);
	test_expect_unused(exp->test);
}

static void expect_refusal(struct test_exporter *exp,
			   const struct dma_buf_mapping_match *imp,
			   unsigned int num, const char *tried, int err)
{
	struct dma_buf_attachment *attach = test_attach(exp, imp, num, NULL);

	KUNIT_EXPECT_PTR_EQ(exp->test, attach, ERR_PTR(err));
	KUNIT_EXPECT_STREQ(exp->test, exp->tried, tried);
	/* The exporter's attach comes after the negotiation */
	KUNIT_EXPECT_EQ(exp->test, exp->calls.attach, 0);
	test_expect_idle(exp);
	test_expect_unused(exp->test);
}

static void negotiate(struct kunit *test)
{
	const struct negotiation *n = test->param_value;
	struct test_exporter *exp = test_stating(test, n->exp, count(n->exp));

	if (n->agreed)
		expect_agreement(exp, n->imp, count(n->imp), n->tried,
				 n->agreed);
	else
		expect_refusal(exp, n->imp, count(n->imp), n->tried, n->err);
}

static const struct dma_buf_phys_list *
map_phys(struct dma_buf_attachment *attach)
{
	return NULL;
}

static void unmap_phys(struct dma_buf_attachment *attach,
		       const struct dma_buf_phys_list *list)
{
}

static const struct dma_buf_pal_exp_ops no_map_phys = {
	.unmap_phys = unmap_phys,
};

static const struct dma_buf_pal_exp_ops no_unmap_phys = {
	.map_phys = map_phys,
};

static struct sg_table *map_sgt(struct dma_buf_attachment *attach,
				enum dma_data_direction dir)
{
	return NULL;
}

static void unmap_sgt(struct dma_buf_attachment *attach, struct sg_table *sgt,
		      enum dma_data_direction dir)
{
}

static const struct dma_buf_sgt_exp_ops no_map = { .unmap = unmap_sgt };
static const struct dma_buf_sgt_exp_ops no_unmap = { .map = map_sgt };

/* Wherever in the list it is, and even if something before it would do */
static const struct bad_list {
	const char *why;
	struct dma_buf_mapping_match exp[2];
	unsigned int num_exp;
	struct dma_buf_mapping_match imp[2];
	unsigned int num_imp;
} bad_lists[] = {
	{ "importer's is empty", { ENTRY(A, "1") }, 1, { ENTRY(A, "x") }, 0 },
	{ "exporter's is empty", { ENTRY(A, "1") }, 0, { ENTRY(A, "x") }, 1 },
	{ "importer's has an unregistered type", { ENTRY(A, "1") }, 1,
	  { ENTRY(A, "x"), { .type = &test_type_unregistered } }, 2 },
	{ "exporter's has an unregistered type",
	  { ENTRY(A, "1"), { .type = &test_type_unregistered } }, 2,
	  { ENTRY(A, "x") }, 1 },
	{ "importer's has no type", { ENTRY(A, "1") }, 1, { { .type = NULL } },
	  1 },
	{ "exporter's has no type", { { .type = NULL } }, 1, { ENTRY(A, "x") },
	  1 },
	{ "importer's has a type of exporters",
	  { ENTRY(A, "1"), { .type = &test_type_exporter } }, 2,
	  { ENTRY(A, "x"), { .type = &test_type_exporter } }, 2 },
	{ "importer's has nothing but a type of exporters",
	  { { .type = &test_type_exporter }, ENTRY(A, "1") }, 2,
	  { { .type = &test_type_exporter } }, 1 },
	{ "exporter's has a type of importers",
	  { ENTRY(A, "1"), { .type = &test_type_importer } }, 2,
	  { ENTRY(A, "x") }, 1 },
	{ "exporter's has nothing but a type of importers",
	  { { .type = &test_type_importer } }, 1,
	  { { .type = &test_type_importer } }, 1 },
	{ "importer's has PAL",
	  { DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL) }, 1,
	  { { .type = &dma_buf_mapping_pal } }, 1 },
	{ "importer's has PAL behind what would do",
	  { DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL), ENTRY(A, "1") }, 2,
	  { ENTRY(A, "x"), { .type = &dma_buf_mapping_pal } }, 2 },
	{ "exporter's has PAL without ops",
	  { DMA_BUF_EMAPPING_PAL(NULL, 0, NULL), ENTRY(A, "1") }, 2,
	  { ENTRY(A, "x") }, 1 },
	{ "exporter's has PAL without map_phys",
	  { DMA_BUF_EMAPPING_PAL(&no_map_phys, 0, NULL) }, 1,
	  { ENTRY(A, "x") }, 1 },
	{ "exporter's has PAL without unmap_phys",
	  { DMA_BUF_EMAPPING_PAL(&no_unmap_phys, 0, NULL) }, 1,
	  { ENTRY(A, "x") }, 1 },
	{ "exporter's has SGT without ops",
	  { ENTRY(A, "1"), DMA_BUF_EMAPPING_SGT(NULL) }, 2,
	  { ENTRY(A, "x") }, 1 },
	{ "exporter's has SGT without map",
	  { DMA_BUF_EMAPPING_SGT(&no_map) }, 1, { ENTRY(A, "x") }, 1 },
	{ "exporter's has SGT without unmap",
	  { DMA_BUF_EMAPPING_SGT(&no_unmap) }, 1, { ENTRY(A, "x") }, 1 },
};

KUNIT_ARRAY_PARAM_DESC(bad_lists, bad_lists, why);

static void bad_list_is_einval(struct kunit *test)
{
	const struct bad_list *bad = test->param_value;

	expect_refusal(test_stating(test, bad->exp, bad->num_exp), bad->imp,
		       bad->num_imp, "", -EINVAL);
}

static void no_list_is_einval(struct kunit *test)
{
	const struct dma_buf_mapping_match a = ENTRY(A, "1");
	struct test_exporter *exp;

	expect_refusal(test_stating(test, &a, 1), NULL, 0, "", -EINVAL);
	expect_refusal(test_stating(test, &a, 1), NULL, 1, "", -EINVAL);
	exp = test_exporter(test, &test_legacy_ops, SZ_64K);
	expect_refusal(exp, &a, 0, "", -EINVAL);
}

static struct test_exporter *
stating_both(struct kunit *test, const struct dma_buf_mapping_match *entries,
	     unsigned int num)
{
	struct test_exporter *exp = test_exporter(test, &test_both_ops, SZ_64K);

	memcpy(exp->entries, entries, num * sizeof(*entries));
	exp->num_entries = num;
	return exp;
}

/* Of map_dma_buf, which this exporter has besides */
static void sgt_comes_before_what_is_stated(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match e = ENTRY(A, "1");
	const struct dma_buf_mapping_match i[] = {
		ENTRY(A, "x"), DMA_BUF_IMAPPING_SGT(dev),
	};

	expect_agreement(stating_both(test, &e, 1), i, 2, "", "SGT");
	expect_agreement(stating_both(test, &e, 1), i, 1, "1x", "kunit A");
	expect_agreement(stating_both(test, &e, 0), i, 2, "", "SGT");
	expect_refusal(stating_both(test, &e, 0), i, 1, "", -EOPNOTSUPP);
}

static void exporter_may_say_where_sgt_comes(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match e[] = {
		ENTRY(A, "1"), DMA_BUF_EMAPPING_SGT(&test_sgt_ops),
	};
	const struct dma_buf_mapping_match i[] = {
		DMA_BUF_IMAPPING_SGT(dev), ENTRY(A, "x"),
	};

	expect_agreement(stating_both(test, e, 2), i, 2, "1x", "kunit A");
	expect_agreement(stating_both(test, e, 2), i, 1, "", "SGT");
}

/* Even by an exporter whose match_mapping would refuse */
static void legacy_importer_is_not_negotiated_for(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match e = ENTRY(A, "1");
	struct test_exporter *exp = stating_both(test, &e, 1);
	struct dma_buf_attachment *attach;

	exp->match_calls = 0;
	exp->err.match = -EPERM;
	attach = dma_buf_attach(exp->dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(attach), "SGT");
	KUNIT_EXPECT_STREQ(test, exp->tried, "");
	dma_buf_detach(exp->dmabuf, attach);
}

static void legacy_exporter_has_sgt_only(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match i[] = {
		ENTRY(A, "x"), DMA_BUF_IMAPPING_SGT(dev),
	};
	struct test_exporter *exp;

	exp = test_exporter(test, &test_legacy_ops, SZ_64K);
	expect_refusal(exp, i, 1, "", -EOPNOTSUPP);
	expect_agreement(exp, i, 2, "", "SGT");
}

static void native_sgt_comes_before_pal_converted(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match e[] = {
		DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL),
		DMA_BUF_EMAPPING_SGT(&test_sgt_ops),
	};
	const struct dma_buf_mapping_match i = DMA_BUF_IMAPPING_SGT(dev);

	expect_agreement(test_stating(test, e, 2), &i, 1, "", "SGT");
	expect_agreement(test_stating(test, e, 1), &i, 1, "", "PAL -> SGT");
}

static const int ops_of_c, ops_of_a;

static void exp_ops_of_the_agreed_type_only(struct kunit *test)
{
	const struct dma_buf_mapping_match e = {
		.type = &C, .exp_ops = &ops_of_c,
	};
	const struct dma_buf_mapping_match i = { .type = &C };
	struct test_exporter *exp = test_stating(test, &e, 1);
	struct dma_buf_attachment *attach = test_attach(exp, &i, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test, dma_buf_mapping_exp_ops(attach, &C),
			    (const void *)&ops_of_c);
	KUNIT_EXPECT_NULL(test, dma_buf_mapping_exp_ops(attach, &A));
	/* Where the types are equal the importer maps by them too */
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_mapping_imp_ops(to_mapping_attachment(attach),
						    &C),
			    (const void *)&ops_of_c);
	test_detach(exp, attach);
}

/* What an importer got by conversion has no use for the exporter's calls */
static void exp_ops_of_a_conversion_are_nobodys(struct kunit *test)
{
	struct dma_buf_mapping_match e = ENTRY(A, "1");
	const struct dma_buf_mapping_match i = ENTRY(B, "x");
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;

	e.exp_ops = &ops_of_a;
	exp = test_stating(test, &e, 1);
	attach = test_attach(exp, &i, 1, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_NULL(test, dma_buf_mapping_exp_ops(attach, &A));
	KUNIT_EXPECT_NULL(test, dma_buf_mapping_exp_ops(attach, &B));
	test_detach(exp, attach);
}

/* Maps, and expects that it was the test's converter that did it */
static void expect_map_by_test_ops(struct test_exporter *exp,
				   struct dma_buf_attachment *attach)
{
	struct kunit *test = exp->test;
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(attach, DMA_TO_DEVICE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, sg_dma_address(sgt->sgl), SZ_1G);
	KUNIT_EXPECT_EQ(test, exp->calls.map_sgt, 1);
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_sgt, 1);
}

static void expect_agreed_on(struct test_exporter *exp,
			     const struct dma_buf_mapping_match *i,
			     const void *agreed, const void *not_agreed)
{
	struct dma_buf_attachment *attach = test_attach(exp, i, 1, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	KUNIT_EXPECT_TRUE(exp->test, dma_buf_mapping_agreed_on(attach, agreed));
	KUNIT_EXPECT_FALSE(exp->test,
			   dma_buf_mapping_agreed_on(attach, not_agreed));
	test_detach(exp, attach);
}

/* Where two entries are of one type too, and converted or not */
static void exporter_learns_which_entry_was_agreed_on(struct kunit *test)
{
	struct dma_buf_mapping_match e[] = {
		ENTRY_RET(A, "1", -EOPNOTSUPP), ENTRY(A, "2"),
	};
	const struct dma_buf_mapping_match a = ENTRY(A, "x");
	const struct dma_buf_mapping_match b = ENTRY(B, "y");

	e[0].exp_ops = &ops_of_c;
	e[1].exp_ops = &ops_of_a;
	expect_agreed_on(test_stating(test, e, 2), &a, &ops_of_a, &ops_of_c);
	expect_agreed_on(test_stating(test, e, 2), &b, &ops_of_a, &ops_of_c);
}

static void importer_maps_by_the_converters_ops(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct dma_buf_mapping_match e = ENTRY(A, "1");
	struct dma_buf_mapping_attachment *ma;
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;

	/* To call them as those of SGT would not end well */
	e.exp_ops = &ops_of_a;
	exp = test_stating(test, &e, 1);
	attach = test_attach_sgt(exp, dev, &test_nop2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(attach),
			   "kunit A -> SGT");
	ma = to_mapping_attachment(attach);
	KUNIT_EXPECT_PTR_EQ(test, ma->exp_ops, (const void *)&ops_of_a);
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_mapping_imp_ops(ma, &dma_buf_mapping_sgt),
			    (const void *)&test_sgt_ops);
	KUNIT_EXPECT_NULL(test, dma_buf_mapping_imp_ops(ma, &A));
	expect_map_by_test_ops(exp, attach);
	test_detach(exp, attach);
}

/* For a legacy importer just as well, which need not know */
static void legacy_importer_maps_by_the_converters_ops(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match e = ENTRY(A, "1");
	struct test_exporter *exp = test_stating(test, &e, 1);
	struct dma_buf_attachment *attach;

	attach = dma_buf_attach(exp->dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	expect_map_by_test_ops(exp, attach);
	dma_buf_detach(exp->dmabuf, attach);
}

/* Which one it is depends on nothing but the exporter's entry */
static void two_converters_serve_one_importer_type(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_2G, SZ_64K } };
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct dma_buf_phys_list *list = test_list(test, range, 1);
	struct test_exporter *exp = test_pal_exporter(test, list);
	const struct dma_buf_mapping_match a = ENTRY(A, "1");
	struct dma_buf_attachment *by_core, *by_test;
	struct sg_table *sgt;

	if (!IS_ENABLED(CONFIG_HAS_DMA))
		kunit_skip(test, "no DMA without HAS_DMA");

	by_core = test_attach_sgt(exp, dev, &test_nop2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, by_core);
	/* Another attachment of the same buffer, another converter */
	exp->entries[1] = exp->entries[0];
	exp->entries[0] = a;
	exp->num_entries = 2;
	by_test = test_attach_sgt(exp, dev, &test_nop2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, by_test);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(by_core), "PAL -> SGT");
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(by_test),
			   "kunit A -> SGT");

	sgt = dma_buf_map_attachment_unlocked(by_core, DMA_TO_DEVICE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, test_sgt_difference(sgt, list), SZ_64K);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 1);
	KUNIT_EXPECT_EQ(test, exp->calls.map_sgt, 0);
	expect_map_by_test_ops(exp, by_test);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, 1);
	dma_buf_unmap_attachment_unlocked(by_core, sgt, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, exp->calls.unmap_sgt, 1);
	test_detach(exp, by_test);
	test_detach(exp, by_core);
}

/**
 * struct bad_exporter - an exporter that does not play by the rules
 * @how: it does not
 * @match_calls: how often it asks core
 * @match_err: what it says then
 * @err: what the importer gets
 * @warnings: how many there are
 */
struct bad_exporter {
	const char *how;
	unsigned int match_calls;
	int match_err;
	int err;
	int warnings;
};

static const struct bad_exporter bad_exporters[] = {
	{ "agrees without asking core", 0, 0, -EINVAL, 1 },
	{ "refuses what core agreed on", 1, -EPERM, -EPERM, 1 },
	/* At the second call, and because it then refuses */
	{ "asks core twice", 2, 0, -EINVAL, 2 },
	/* Which is its right */
	{ "refuses without asking core", 0, -EPERM, -EPERM, 0 },
};

KUNIT_ARRAY_PARAM_DESC(bad_exporters, bad_exporters, how);

static void bad_exporter_is_refused(struct kunit *test)
{
	const struct dma_buf_mapping_match c = { .type = &C };
	struct test_exporter *exp = test_stating(test, &c, 1);
	const struct bad_exporter *bad = test->param_value;

	exp->match_calls = bad->match_calls;
	exp->err.match = bad->match_err;
	kunit_warning_suppress(test) {
		expect_refusal(exp, &c, 1, "", bad->err);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, bad->warnings);
	}
}

static void export_needs_a_way_to_map(struct kunit *test)
{
	struct dma_buf_ops ops = {};

	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_ops_valid(&ops));

	ops = (struct dma_buf_ops){ .map_dma_buf = test_sgt_ops.map };
	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_ops_valid(&ops));
	ops.unmap_dma_buf = test_sgt_ops.unmap;
	KUNIT_EXPECT_TRUE(test, dma_buf_mapping_ops_valid(&ops));
	ops.map_dma_buf = NULL;
	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_ops_valid(&ops));

	ops = (struct dma_buf_ops){
		.match_mapping = test_stated_ops.match_mapping,
	};
	KUNIT_EXPECT_TRUE(test, dma_buf_mapping_ops_valid(&ops));
	ops.map_dma_buf = test_sgt_ops.map;
	KUNIT_EXPECT_FALSE(test, dma_buf_mapping_ops_valid(&ops));
	ops.unmap_dma_buf = test_sgt_ops.unmap;
	KUNIT_EXPECT_TRUE(test, dma_buf_mapping_ops_valid(&ops));
}

static struct kunit_case negotiate_cases[] = {
	KUNIT_CASE_PARAM(negotiate, negotiations_gen_params),
	KUNIT_CASE_PARAM(bad_list_is_einval, bad_lists_gen_params),
	KUNIT_CASE(no_list_is_einval),
	KUNIT_CASE(sgt_comes_before_what_is_stated),
	KUNIT_CASE(exporter_may_say_where_sgt_comes),
	KUNIT_CASE(legacy_importer_is_not_negotiated_for),
	KUNIT_CASE(legacy_exporter_has_sgt_only),
	KUNIT_CASE(native_sgt_comes_before_pal_converted),
	KUNIT_CASE(exp_ops_of_the_agreed_type_only),
	KUNIT_CASE(exp_ops_of_a_conversion_are_nobodys),
	KUNIT_CASE(exporter_learns_which_entry_was_agreed_on),
	KUNIT_CASE(importer_maps_by_the_converters_ops),
	KUNIT_CASE(legacy_importer_maps_by_the_converters_ops),
	KUNIT_CASE(two_converters_serve_one_importer_type),
	KUNIT_CASE_PARAM(bad_exporter_is_refused, bad_exporters_gen_params),
	KUNIT_CASE(export_needs_a_way_to_map),
	{}
};

static struct kunit_suite negotiate_suite = {
	.name = "dma-buf-mapping-negotiate",
	.init = test_types_init,
	.exit = test_types_exit,
	.test_cases = negotiate_cases,
};

kunit_test_suite(negotiate_suite);

MODULE_DESCRIPTION("KUnit tests of the negotiation of DMA-buf's mapping types");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
