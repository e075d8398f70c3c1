// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the type iommu_domain: what of an importer is refused before a
 * converter is asked. The converter is a test's, and so needs no page table.
 */
#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/string.h>

#include "helpers.h"
#include "types.h"

#define IOVA SZ_256M
#define RW (IOMMU_READ | IOMMU_WRITE)

/* What the converter was asked last, and what it is to answer */
static struct asked {
	unsigned int maps;
	unsigned int unmaps;
	unsigned int begins;
	unsigned int ends;
	unsigned int aligns;
	struct iommu_slice slice;
	unsigned int flags;
	int ret;
} asked;

static int fake_map(struct dma_buf_mapping_attachment *ma,
		    const struct iommu_slice *slice)
{
	asked.maps++;
	asked.slice = *slice;
	return asked.ret;
}

static int fake_unmap(struct dma_buf_mapping_attachment *ma,
		      struct iommu_domain *domain, unsigned long iova,
		      size_t length)
{
	asked.unmaps++;
	asked.slice = (struct iommu_slice){
		.domain = domain,
		.iova = iova,
		.length = length,
	};
	return asked.ret;
}

static int fake_check_prot(struct dma_buf_mapping_attachment *ma, int prot)
{
	return prot & IOMMU_WRITE ? -EACCES : 0;
}

static bool fake_walk_begin(struct dma_buf_mapping_attachment *ma,
			    struct iommu_domain *domain, unsigned long iova,
			    unsigned int flags)
{
	asked.begins++;
	asked.slice.domain = domain;
	asked.slice.iova = iova;
	asked.flags = flags;
	return !asked.ret;
}

static void fake_walk_end(struct dma_buf_mapping_attachment *ma)
{
	asked.ends++;
}

static unsigned long fake_iova_align(struct dma_buf_mapping_attachment *ma,
				     size_t offset, size_t length,
				     unsigned long *align_offset)
{
	asked.aligns++;
	asked.slice.offset = offset;
	asked.slice.length = length;
	*align_offset = SZ_4K;
	return SZ_2M;
}

static const struct dma_buf_iommu_ops fake_ops = {
	.map = fake_map,
	.unmap = fake_unmap,
	.check_prot = fake_check_prot,
	.walk_begin = fake_walk_begin,
	.walk_end = fake_walk_end,
	.iova_align = fake_iova_align,
};

static int fake_match(struct dma_buf_attachment *attach,
		      const struct dma_buf_mapping_match *exp,
		      const struct dma_buf_mapping_match *imp)
{
	return 0;
}

/* The second one that serves importers of iommu_domain, beside core's own */
static struct dma_buf_mapping_converter a_to_iommu = {
	.name = "kunit A -> iommu_domain",
	.exp_type = &test_type_a,
	.imp_type = &dma_buf_mapping_iommu,
	.imp_ops = &fake_ops,
	.core_revokes = true,
	.match = fake_match,
};

static int iommu_init(struct kunit *test)
{
	asked = (struct asked){};
	return test_types_init(test) ?:
	       dma_buf_mapping_converter_register(&a_to_iommu);
}

static void iommu_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_converter_unregister(&a_to_iommu),
			0);
	test_types_exit(test);
}

static struct iommu_domain domain_4k = {
	.pgsize_bitmap = SZ_4K | SZ_2M | SZ_1G,
	.geometry = {
		.aperture_start = SZ_1M,
		.aperture_end = SZ_4G - 1,
		.force_aperture = true,
	},
};

static struct iommu_domain domain_2m = {
	.pgsize_bitmap = SZ_2M,
};

static struct dma_buf_attachment *attach_iommu(struct test_exporter *exp)
{
	const struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_IOMMU();

	return test_attach(exp, &imp, 1, NULL);
}

/* To a buffer of 8 MiB that the converter above serves */
static struct dma_buf_attachment *attach_fake(struct kunit *test)
{
	struct test_exporter *exp = test_exporter(test, &test_stated_ops, SZ_8M);
	const struct dma_buf_mapping_match e = { .type = &test_type_a };
	struct dma_buf_attachment *attach;

	exp->entries[0] = e;
	exp->num_entries = 1;
	attach = attach_iommu(exp);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(attach),
			   "kunit A -> iommu_domain");
	return attach;
}

static void done(struct dma_buf_attachment *attach)
{
	test_detach(attach->dmabuf->priv, attach);
}

static void importer_maps_by_the_converters_ops(struct kunit *test)
{
	struct dma_buf_attachment *attach = attach_fake(test);

	KUNIT_EXPECT_PTR_EQ(test, to_mapping_attachment(attach)->imp_ops,
			    (const void *)&fake_ops);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(attach, &domain_4k, IOVA, SZ_1M,
						SZ_2M, RW,
						DMA_BUF_IOMMU_SMALL_PAGES), 0);
	KUNIT_EXPECT_EQ(test, asked.maps, 1);
	KUNIT_EXPECT_PTR_EQ(test, asked.slice.domain, &domain_4k);
	KUNIT_EXPECT_EQ(test, asked.slice.iova, IOVA);
	KUNIT_EXPECT_EQ(test, asked.slice.offset, SZ_1M);
	KUNIT_EXPECT_EQ(test, asked.slice.length, SZ_2M);
	KUNIT_EXPECT_EQ(test, asked.slice.prot, RW);
	KUNIT_EXPECT_EQ(test, asked.slice.flags, DMA_BUF_IOMMU_SMALL_PAGES);

	KUNIT_EXPECT_EQ(test, dma_buf_iommu_unmap(attach, &domain_2m, SZ_1G,
						  SZ_4M), 0);
	KUNIT_EXPECT_EQ(test, asked.unmaps, 1);
	KUNIT_EXPECT_PTR_EQ(test, asked.slice.domain, &domain_2m);
	KUNIT_EXPECT_EQ(test, asked.slice.iova, SZ_1G);
	KUNIT_EXPECT_EQ(test, asked.slice.length, SZ_4M);

	KUNIT_EXPECT_TRUE(test,
			  dma_buf_iommu_walk_begin(attach, &domain_4k, IOVA,
						   DMA_BUF_IOMMU_WALK_DIRTY));
	dma_buf_iommu_walk_end(attach);
	KUNIT_EXPECT_EQ(test, asked.begins, 1);
	KUNIT_EXPECT_EQ(test, asked.ends, 1);
	KUNIT_EXPECT_PTR_EQ(test, asked.slice.domain, &domain_4k);
	KUNIT_EXPECT_EQ(test, asked.slice.iova, IOVA);
	KUNIT_EXPECT_EQ(test, asked.flags, DMA_BUF_IOMMU_WALK_DIRTY);

	KUNIT_EXPECT_EQ(test, dma_buf_iommu_check_prot(attach, IOMMU_READ), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_check_prot(attach, RW), -EACCES);

	/* Its word counts */
	asked.ret = -EDOM;
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(attach, &domain_4k, IOVA, SZ_1M,
						SZ_2M, RW, 0), -EDOM);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_unmap(attach, &domain_4k, IOVA,
						  SZ_2M), -EDOM);
	KUNIT_EXPECT_FALSE(test, dma_buf_iommu_walk_begin(attach, &domain_4k,
							  IOVA, 0));
	done(attach);
}

/**
 * struct slice_case - a slice and what becomes of it
 * @what: is wrong or just right with it
 * @domain: that it is for
 * @iova: in @domain
 * @offset: in a buffer of 8 MiB
 * @length: of the slice
 * @ret: of the call, 0 if the converter gets it
 */
struct slice_case {
	const char *what;
	struct iommu_domain *domain;
	unsigned long iova;
	size_t offset;
	size_t length;
	int ret;
};

static const struct slice_case slice_cases[] = {
	{ "all", &domain_4k, IOVA, 0, SZ_8M, 0 },
	{ "the last page", &domain_4k, IOVA, SZ_8M - SZ_4K, SZ_4K, 0 },
	{ "empty", &domain_4k, IOVA, 0, 0, -EINVAL },
	{ "empty, at the end", &domain_4k, IOVA, SZ_8M, 0, -EINVAL },
	{ "IOVA at a byte", &domain_4k, IOVA + 1, 0, SZ_4K, -EINVAL },
	{ "IOVA within a page", &domain_4k, IOVA + SZ_2K, 0, SZ_4K, -EINVAL },
	{ "offset at a byte", &domain_4k, IOVA, 1, SZ_4K, -EINVAL },
	{ "offset within a page", &domain_4k, IOVA, SZ_2K, SZ_4K, -EINVAL },
	{ "length of a byte", &domain_4k, IOVA, 0, 1, -EINVAL },
	{ "a byte less than two pages", &domain_4k, IOVA, 0, SZ_8K - 1,
	  -EINVAL },
	{ "longer than the buffer", &domain_4k, IOVA, 0, SZ_8M + SZ_4K,
	  -EINVAL },
	{ "ends a page behind the buffer", &domain_4k, IOVA, SZ_4K, SZ_8M,
	  -EINVAL },
	{ "begins behind the buffer", &domain_4k, IOVA, SZ_8M, SZ_4K, -EINVAL },
	{ "far behind the buffer", &domain_4k, IOVA, SZ_1G, SZ_4K, -EINVAL },
	{ "offset at the end of all numbers", &domain_4k, IOVA, -(size_t)SZ_4K,
	  SZ_4K, -EINVAL },
	{ "offset and length wrap around", &domain_4k, IOVA, -(size_t)SZ_4K,
	  SZ_8K, -EINVAL },
	{ "length wraps around to 0", &domain_4k, IOVA, SZ_4K, -(size_t)SZ_4K,
	  -EINVAL },
	{ "length wraps around into the buffer", &domain_4k, IOVA, SZ_16K,
	  -(size_t)SZ_8K, -EINVAL },
	{ "IOVA wraps around", &domain_4k, -(unsigned long)SZ_4K, 0, SZ_8K,
	  -EINVAL },
	{ "up to the end of the domain", &domain_4k, SZ_4G - SZ_8M, 0, SZ_8M,
	  0 },
	{ "a page beyond the end of the domain", &domain_4k,
	  SZ_4G - SZ_8M + SZ_4K, 0, SZ_8M, -ERANGE },
	{ "behind the domain", &domain_4k, SZ_4G, 0, SZ_4K, -ERANGE },
	{ "at the end of all numbers", &domain_4k, -(unsigned long)SZ_8M, 0,
	  SZ_8M, -ERANGE },
	{ "from the start of the domain", &domain_4k, SZ_1M, 0, SZ_8M, 0 },
	{ "a page before the domain", &domain_4k, SZ_1M - SZ_4K, 0, SZ_8M,
	  -ERANGE },
	{ "large pages", &domain_2m, SZ_4M, SZ_2M, SZ_4M, 0 },
	{ "half a large page", &domain_2m, SZ_4M, 0, SZ_1M, -EINVAL },
	{ "offset of half a large page", &domain_2m, SZ_4M, SZ_1M, SZ_2M,
	  -EINVAL },
	{ "IOVA of half a large page", &domain_2m, SZ_1M, 0, SZ_2M, -EINVAL },
	{ "any IOVA, if the domain does not say", &domain_2m, 0, 0, SZ_2M, 0 },
	{ "the last IOVA of all", &domain_2m, -(unsigned long)SZ_2M, 0, SZ_2M,
	  0 },
};

KUNIT_ARRAY_PARAM_DESC(slices, slice_cases, what);

static void slice_is_checked(struct kunit *test)
{
	const struct slice_case *c = test->param_value;
	struct dma_buf_attachment *attach = attach_fake(test);

	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(attach, c->domain, c->iova,
						c->offset, c->length, RW, 0),
			c->ret);
	KUNIT_EXPECT_EQ(test, asked.maps, !c->ret);
	/* No less so while there is nothing to map: a restore would fail */
	test_revoke(attach->dmabuf->priv);
	KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(attach, c->domain, c->iova,
						c->offset, c->length, RW, 0),
			c->ret);
	KUNIT_EXPECT_EQ(test, asked.maps, 2 * !c->ret);
	done(attach);
}

static void unmap_of_nothing_is_enoent(struct kunit *test)
{
	struct dma_buf_attachment *attach = attach_fake(test);

	KUNIT_EXPECT_EQ(test, dma_buf_iommu_unmap(attach, &domain_4k, IOVA, 0),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, asked.unmaps, 0);
	done(attach);
}

static void unknown_flags_are_einval(struct kunit *test)
{
	struct dma_buf_attachment *attach = attach_fake(test);
	unsigned int bit;

	for (bit = 0; bit < 32; bit++)
		KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(attach, &domain_4k,
							IOVA, 0, SZ_4K, RW,
							BIT(bit)),
				BIT(bit) == DMA_BUF_IOMMU_SMALL_PAGES ?
					0 : -EINVAL);
	KUNIT_EXPECT_EQ(test, asked.maps, 1);
	done(attach);
}

static void calls_with_another_attachment_are_refused(struct kunit *test)
{
	struct test_exporter *exp = test_exporter(test, &test_legacy_ops, SZ_8M);
	struct dma_buf_attachment *attach;
	unsigned long align_offset = 1;

	attach = test_attach_sgt(exp, test_device(test, ~0ULL), NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, dma_buf_iommu_map(attach, &domain_4k,
							IOVA, 0, SZ_4K, RW, 0),
				-EINVAL);
		KUNIT_EXPECT_EQ(test, dma_buf_iommu_unmap(attach, &domain_4k,
							  IOVA, SZ_4K),
				-ENOENT);
		KUNIT_EXPECT_EQ(test, dma_buf_iommu_check_prot(attach,
							       IOMMU_READ),
				-EINVAL);
		KUNIT_EXPECT_FALSE(test,
				   dma_buf_iommu_walk_begin(attach, &domain_4k,
							    IOVA, 0));
		KUNIT_EXPECT_EQ(test, dma_buf_iommu_iova_align(attach, 0, SZ_4K,
							       &align_offset),
				PAGE_SIZE);
	}
	KUNIT_EXPECT_EQ(test, align_offset, 0);
	test_detach(exp, attach);
}

static void scatterlist_of_such_an_attachment_is_refused(struct kunit *test)
{
	struct dma_buf_attachment *attach = attach_fake(test);
	struct sg_table *sgt = NULL;

	kunit_warning_suppress(test)
		sgt = dma_buf_map_attachment_unlocked(attach, DMA_TO_DEVICE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EINVAL));
	done(attach);
}

static const struct no_pal {
	const char *what;
	const struct dma_buf_ops *ops;
} no_pals[] = {
	{ "legacy exporter", &test_legacy_ops },
	{ "native exporter of SGT", &test_stated_ops },
	{ "exporter of SGT that states nothing else", &test_both_ops },
};

KUNIT_ARRAY_PARAM_DESC(no_pals, no_pals, what);

static void exporter_of_sgt_is_eopnotsupp(struct kunit *test)
{
	const struct no_pal *no = test->param_value;
	struct test_exporter *exp = test_exporter(test, no->ops, SZ_64K);

	exp->entries[0] = DMA_BUF_EMAPPING_SGT(&test_sgt_ops);
	exp->num_entries = no->ops == &test_stated_ops;
	KUNIT_EXPECT_PTR_EQ(test, attach_iommu(exp), ERR_PTR(-EOPNOTSUPP));
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 0);
}

/* Alone, and even behind an entry that would do */
static void iommu_from_exporter_is_refused(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_1G, SZ_64K } };
	struct test_exporter *exp;

	exp = test_pal_exporter(test, test_list(test, range, 1));
	exp->entries[1] = DMA_BUF_IMAPPING_IOMMU();
	exp->num_entries = 2;
	KUNIT_EXPECT_PTR_EQ(test, attach_iommu(exp), ERR_PTR(-EINVAL));
	exp->entries[0] = exp->entries[1];
	exp->num_entries = 1;
	KUNIT_EXPECT_PTR_EQ(test, attach_iommu(exp), ERR_PTR(-EINVAL));
	KUNIT_EXPECT_EQ(test, exp->calls.attach, 0);
}

static const struct align_case {
	const char *what;
	size_t offset;
	size_t length;
	bool within;
} align_cases[] = {
	{ "all", 0, SZ_8M, true },
	{ "a slice", SZ_1M, SZ_4M, true },
	{ "part of a page", SZ_2K, SZ_1K, true },
	{ "empty", 0, 0, false },
	{ "longer than the buffer", 0, SZ_8M + SZ_4K, false },
	{ "behind the buffer", SZ_8M, SZ_4K, false },
	{ "offset and length wrap around", -(size_t)SZ_4K, SZ_8K, false },
	{ "length wraps around", SZ_4K, -(size_t)SZ_4K, false },
	{ "within a page, behind the buffer", SZ_8M + 5, SZ_4K, false },
};

KUNIT_ARRAY_PARAM_DESC(aligns, align_cases, what);

static void align_of_nonsense_is_a_page(struct kunit *test)
{
	struct dma_buf_attachment *attach = attach_fake(test);
	const struct align_case *c = test->param_value;
	unsigned long align, align_offset = 1;

	align = dma_buf_iommu_iova_align(attach, c->offset, c->length,
					 &align_offset);
	KUNIT_EXPECT_EQ(test, align, c->within ? SZ_2M : PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, align_offset,
			c->within ? SZ_4K : offset_in_page(c->offset));
	KUNIT_EXPECT_EQ(test, asked.aligns, c->within);
	if (c->within) {
		KUNIT_EXPECT_EQ(test, asked.slice.offset, c->offset);
		KUNIT_EXPECT_EQ(test, asked.slice.length, c->length);
	}
	done(attach);
}

static struct kunit_case iommu_cases[] = {
	KUNIT_CASE(importer_maps_by_the_converters_ops),
	KUNIT_CASE_PARAM(slice_is_checked, slices_gen_params),
	KUNIT_CASE(unmap_of_nothing_is_enoent),
	KUNIT_CASE(unknown_flags_are_einval),
	KUNIT_CASE(calls_with_another_attachment_are_refused),
	KUNIT_CASE(scatterlist_of_such_an_attachment_is_refused),
	KUNIT_CASE_PARAM(exporter_of_sgt_is_eopnotsupp, no_pals_gen_params),
	KUNIT_CASE(iommu_from_exporter_is_refused),
	KUNIT_CASE_PARAM(align_of_nonsense_is_a_page, aligns_gen_params),
	{}
};

static struct kunit_suite iommu_suite = {
	.name = "dma-buf-mapping-iommu",
	.init = iommu_init,
	.exit = iommu_exit,
	.test_cases = iommu_cases,
};

kunit_test_suite(iommu_suite);

MODULE_DESCRIPTION("KUnit tests of the iommu_domain type of DMA-buf");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
