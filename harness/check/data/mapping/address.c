// SPDX-License-Identifier: GPL-2.0-only
/*
 * What scripts/coccinelle/dma-buf-mapping/address.cocci has to catch. Only ever
 * parsed; a line that is not marked must not be reported.
 */
#include <linux/dma-buf-mapping.h>

struct importer {
	struct dma_buf_attachment *attach;
	struct sg_table *kept;
	struct sg_table *kept_later;
	struct sg_table *own;
};

static int look_at_pages(struct importer *i)
{
	struct sg_table *sgt = dma_buf_map_attachment(i->attach, DMA_TO_DEVICE);

	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	return use(sg_page(sgt->sgl));	/* caught */
}

static int walk(struct importer *i)
{
	struct scatterlist *sg;
	struct sg_table *sgt;
	int n;

	sgt = dma_buf_map_attachment_unlocked(i->attach, DMA_TO_DEVICE);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	use(sg_phys(sgt->sgl));		/* caught */
	for_each_sgtable_sg(sgt, sg, n)	/* caught */
		use(sg->length);
	for_each_sgtable_dma_sg(sgt, sg, n) {
		use(sg_dma_address(sg));
		use(sg_virt(sg));	/* caught */
	}
	for_each_sg(sgt->sgl, sg, sgt->nents, n) {
		use(sg_page(sg));	/* caught */
	}
	i->kept_later = sgt;
	return 0;
}

static void walk_own(struct importer *i)
{
	struct scatterlist *sg;
	int n;

	for_each_sgtable_sg(i->own, sg, n)
		use(sg_page(sg));
}

static void keep(struct importer *i)
{
	i->kept = dma_buf_map_attachment(i->attach, DMA_TO_DEVICE);
}

static void walk_kept(struct importer *i)
{
	struct sg_page_iter iter;
	struct scatterlist *sg;
	int n;

	use(sg_page(i->kept->sgl));		/* caught */
	for_each_sgtable_page(i->kept_later, &iter, 0)	/* caught */
		use(sg_page_iter_page(&iter));
	for_each_sgtable_dma_sg(i->kept, sg, n) {
		use(sg_dma_len(sg));
		use(sg_phys(sg));		/* caught */
	}
}

static const struct dma_buf_mapping_match table[] = {
	DMA_BUF_IMAPPING_SGT(NULL),
	DMA_BUF_EMAPPING_PAL(&pal_ops, 0, NULL),
};

static const struct dma_buf_mapping_match exported[] = {
	DMA_BUF_EMAPPING_PAL(&pal_ops, 0, NULL),
};

static int state_pal(struct dma_buf *dmabuf, struct importer *i)
{
	const struct dma_buf_mapping_match good = DMA_BUF_IMAPPING_SGT(i->dev);
	const struct dma_buf_mapping_match pal = DMA_BUF_EMAPPING_PAL(&pal_ops, 0, NULL);
	const struct dma_buf_mapping_match by_hand = {
		.type = &dma_buf_mapping_pal,	/* caught */
	};

	i->attach = dma_buf_mapping_attach(dmabuf, &good, 1, NULL, NULL);
	i->attach = dma_buf_mapping_attach(dmabuf, &pal, 1, NULL, NULL);	/* caught */
	i->attach = dma_buf_mapping_attach(dmabuf, table, 2, NULL, NULL);	/* caught */
	i->attach = dma_buf_mapping_attach(dmabuf, &by_hand, 1, NULL, NULL);
	return 0;
}

static phys_addr_t call_exporter(struct importer *i)
{
	const struct dma_buf_pal_exp_ops *ops;
	const struct dma_buf_phys_list *list;

	ops = dma_buf_mapping_exp_ops(i->attach, &dma_buf_mapping_pal);	/* caught */
	list = ops->map_phys(i->attach);	/* caught */
	ops->unmap_phys(i->attach, list);	/* caught */
	return list->ranges[0].paddr;
}

static phys_addr_t read_back(struct importer *i, struct iommu_domain *domain)
{
	dma_buf_iommu_map(i->attach, domain, 0, 0, PAGE_SIZE, IOMMU_READ, 0);	/* caught */
	return iommu_iova_to_phys(domain, 0);	/* caught */
}
