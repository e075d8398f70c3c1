// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that the examples of Documentation/driver-api/dma-buf-mapping.rst work.
 */
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "domain.h"
#include "examples/examples.h"
#include "helpers.h"

static const struct fabric fabric_a = { "A" }, fabric_b = { "B" };

static int examples_init(struct kunit *test)
{
	int ret;

	ret = dma_buf_mapping_type_register(&link_type);
	if (ret)
		return ret;
	ret = windows_init();
	if (ret)
		dma_buf_mapping_type_unregister(&link_type);
	return ret;
}

/* Fails if an example left an attachment behind */
static void examples_exit(struct kunit *test)
{
	windows_exit();
	KUNIT_EXPECT_EQ(test, dma_buf_mapping_type_unregister(&link_type), 0);
}

/* Not by a worker, who would come after the exporter's memory is gone */
static void put_dmabuf(void *dmabuf)
{
	__fput_sync(((struct dma_buf *)dmabuf)->file);
}

static struct dma_buf *managed(struct kunit *test, struct dma_buf *dmabuf)
{
	int ret;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	ret = kunit_add_action_or_reset(test, put_dmabuf, dmabuf);
	KUNIT_ASSERT_EQ(test, ret, 0);
	return dmabuf;
}

static size_t table_size(const struct sg_table *sgt)
{
	struct scatterlist *sg;
	size_t sum = 0;
	int i;

	for_each_sgtable_dma_sg((struct sg_table *)sgt, sg, i)
		sum += sg_dma_len(sg);
	return sum;
}

static void link_within_and_beyond_its_fabric(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct dma_buf *dmabuf = managed(test, link_export(&fabric_a));
	struct dma_buf_attachment *near, *far;
	struct sg_table *sgt;
	u64 address = 0;

	near = link_attach(dmabuf, dev, &fabric_a);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, near);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(near), "example link");
	KUNIT_EXPECT_EQ(test, link_address(near, &address), 0);
	KUNIT_EXPECT_EQ(test, address, BIT_ULL(56));
	dma_buf_detach(dmabuf, near);

	far = link_attach(dmabuf, dev, &fabric_b);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, far);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(far), "SGT");
	KUNIT_EXPECT_EQ(test, link_address(far, &address), -EOPNOTSUPP);
	sgt = dma_buf_map_attachment_unlocked(far, DMA_TO_DEVICE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, table_size(sgt), PAGE_SIZE);
	dma_buf_unmap_attachment_unlocked(far, sgt, DMA_TO_DEVICE);
	dma_buf_detach(dmabuf, far);
}

static void sgt_importer_of_the_links_exporter(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct dma_buf *dmabuf = managed(test, link_export(&fabric_a));
	struct sgt_importer imp;

	KUNIT_ASSERT_EQ(test, sgt_import(&imp, dmabuf, dev), 0);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(imp.attach), "SGT");
	KUNIT_ASSERT_EQ(test, sgt_start_dma(&imp), 0);
	KUNIT_EXPECT_EQ(test, table_size(imp.sgt), dmabuf->size);
	/* A second start finds the table that is there */
	KUNIT_EXPECT_EQ(test, sgt_start_dma(&imp), 0);
	sgt_end_import(&imp);
	KUNIT_EXPECT_NULL(test, imp.sgt);
}

static void memory_to_sgt(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct dma_buf *dmabuf = managed(test, memory_export(3));
	struct sgt_importer imp;

	KUNIT_ASSERT_EQ(test, sgt_import(&imp, dmabuf, dev), 0);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(imp.attach), "PAL -> SGT");
	KUNIT_ASSERT_EQ(test, sgt_start_dma(&imp), 0);
	KUNIT_EXPECT_EQ(test, table_size(imp.sgt), dmabuf->size);
	KUNIT_EXPECT_EQ(test, sgt_begin_look(&imp), 0);
	KUNIT_EXPECT_EQ(test, sgt_end_look(&imp), 0);
	sgt_end_import(&imp);
	KUNIT_EXPECT_NULL(test, imp.sgt);
}

static const struct phys_vec device_memory[] = {
	{ SZ_1G, SZ_64K }, { SZ_2G, SZ_64K },
};

static struct mmio_buffer *export_mmio(struct kunit *test, unsigned int attrs)
{
	struct dma_buf_phys_list *phys = test_list(test, device_memory, 2);
	struct mmio_buffer *buf;

	buf = kunit_kzalloc(test, sizeof(*buf), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	phys->attrs = attrs;
	managed(test, mmio_export(buf, phys, test_list_size(phys)));
	return buf;
}

/* As ordinary memory, which needs no route to the device */
static void revoke_makes_the_sgt_importer_let_go(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	struct mmio_buffer *buf = export_mmio(test, 0);
	struct sgt_importer imp;

	KUNIT_ASSERT_EQ(test, sgt_import(&imp, buf->dmabuf, dev), 0);
	KUNIT_ASSERT_EQ(test, sgt_start_dma(&imp), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&buf->lists), 1);
	mmio_revoke(buf);
	KUNIT_EXPECT_NULL(test, imp.sgt);
	KUNIT_EXPECT_EQ(test, sgt_start_dma(&imp), -ENODEV);
	mmio_restore(buf);
	KUNIT_EXPECT_EQ(test, sgt_start_dma(&imp), 0);
	KUNIT_EXPECT_NOT_NULL(test, imp.sgt);
	sgt_end_import(&imp);
	KUNIT_EXPECT_EQ(test, atomic_read(&buf->lists), 0);
}

static void mmio_refuses_who_cannot_let_go(struct kunit *test)
{
	struct device *dev = test_device(test, DMA_BIT_MASK(64));
	const struct dma_buf_mapping_match sgt = DMA_BUF_IMAPPING_SGT(dev);
	struct mmio_buffer *buf = export_mmio(test, 0);

	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_mapping_attach(buf->dmabuf, &sgt, 1, NULL,
						   NULL),
			    ERR_PTR(-EOPNOTSUPP));
}

static phys_addr_t translated(struct test_domain *d, unsigned long iova)
{
	return iommu_iova_to_phys(&d->domain, iova);
}

static void mmio_to_iommu(struct kunit *test)
{
	struct mmio_buffer *buf = export_mmio(test, DMA_BUF_PHYS_MMIO);
	struct test_domain *d = test_domain(test);
	struct iommu_importer imp;
	int round;
	int ret;

	ret = iommu_import(&imp, buf->dmabuf, &d->domain, SZ_1M + PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(imp.attach),
			   "PAL -> iommu_domain");
	KUNIT_EXPECT_GT(test, imp.iova, SZ_1M);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(imp.iova, SZ_64K));

	for (round = 0; round < 2; round++) {
		KUNIT_EXPECT_EQ(test, translated(d, imp.iova), SZ_1G);
		KUNIT_EXPECT_EQ(test, translated(d, imp.iova + SZ_64K), SZ_2G);
		mmio_revoke(buf);
		KUNIT_EXPECT_EQ(test, translated(d, imp.iova), 0);
		KUNIT_EXPECT_EQ(test, translated(d, imp.iova + SZ_64K), 0);
		mmio_restore(buf);
	}
	iommu_end_import(&imp);
	KUNIT_EXPECT_EQ(test, translated(d, imp.iova), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&buf->lists), 0);
}

static void windows_open_and_close(struct kunit *test)
{
	static const struct phys_vec ranges[] = {
		{ SZ_1G, SZ_64K }, { SZ_2G, SZ_64K }, { SZ_512M, SZ_64K },
	};
	struct test_exporter *exp =
		test_pal_exporter(test, test_list(test, ranges, 3));
	struct dma_buf_attachment *attach;

	attach = window_attach(exp->dmabuf);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_STREQ(test, dma_buf_mapping_name(attach),
			   "PAL -> example windows");
	KUNIT_EXPECT_EQ(test, windows_open(attach), 3);
	test_revoke(exp);
	KUNIT_EXPECT_EQ(test, windows_open(attach), 0);
	test_restore(exp);
	KUNIT_EXPECT_EQ(test, windows_open(attach), 3);
	dma_buf_detach(exp->dmabuf, attach);
}

/* The match says so, before there is a list */
static void windows_are_not_for_mmio(struct kunit *test)
{
	static const struct phys_vec range[] = { { SZ_1G, SZ_64K } };
	struct dma_buf_phys_list *list = test_list(test, range, 1);

	list->attrs = DMA_BUF_PHYS_MMIO;
	KUNIT_EXPECT_PTR_EQ(test,
			    window_attach(test_pal_exporter(test, list)->dmabuf),
			    ERR_PTR(-EOPNOTSUPP));
}

static void too_many_ranges_for_the_windows(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list_alloc(test, 5);
	struct test_exporter *exp;
	int i;

	for (i = 0; i < 5; i++)
		list->ranges[i] = (struct phys_vec){ SZ_1G + i * SZ_128K,
						     SZ_64K };
	exp = test_pal_exporter(test, list);
	KUNIT_EXPECT_PTR_EQ(test, window_attach(exp->dmabuf), ERR_PTR(-ENOSPC));
}

static struct kunit_case examples_cases[] = {
	KUNIT_CASE(link_within_and_beyond_its_fabric),
	KUNIT_CASE(sgt_importer_of_the_links_exporter),
	KUNIT_CASE(memory_to_sgt),
	KUNIT_CASE(revoke_makes_the_sgt_importer_let_go),
	KUNIT_CASE(mmio_refuses_who_cannot_let_go),
	KUNIT_CASE(mmio_to_iommu),
	KUNIT_CASE(windows_open_and_close),
	KUNIT_CASE(windows_are_not_for_mmio),
	KUNIT_CASE(too_many_ranges_for_the_windows),
	{}
};

static struct kunit_suite examples_suite = {
	.name = "dma-buf-mapping-examples",
	.init = examples_init,
	.exit = examples_exit,
	.test_cases = examples_cases,
};

kunit_test_suite(examples_suite);

MODULE_DESCRIPTION("KUnit tests of the examples of DMA-buf's mapping types");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
