// SPDX-License-Identifier: GPL-2.0-only
/*
 * What scripts/coccinelle/dma-buf-mapping/domain.cocci has to catch. Only ever
 * parsed; a line that is not marked must not be reported.
 */
#include <linux/dma-buf-mapping.h>
#include <linux/iommu.h>

static const struct dma_buf_phys_list *my_map_phys(struct dma_buf_attachment *attach)
{
	struct iommu_domain *domain = attach->priv;	/* caught */

	iommu_map(domain, 0, 0, PAGE_SIZE, IOMMU_READ, GFP_KERNEL);	/* caught */
	return attach->dmabuf->priv;
}

static void my_unmap_phys(struct dma_buf_attachment *attach,
			  const struct dma_buf_phys_list *list)
{
	iommu_unmap(attach->priv, 0, PAGE_SIZE);	/* caught */
}

static int my_match_mapping(struct dma_buf_match_args *args)
{
	struct iommu_domain *domain;	/* caught */

	domain = iommu_get_domain_for_dev(args->attach->dev);	/* caught */
	return domain ? dma_buf_match_mapping(args, entries, 1) : -EOPNOTSUPP;
}

static int my_pin(struct dma_buf_attachment *attach)
{
	return iommu_iova_to_phys(attach->priv, 0) ? 0 : -EINVAL;	/* caught */
}

static void my_release(struct dma_buf *dmabuf)
{
	kfree(dmabuf->priv);
}

static const struct dma_buf_pal_exp_ops my_pal_ops = {
	.map_phys = my_map_phys,
	.unmap_phys = my_unmap_phys,
};

static const struct dma_buf_ops my_ops = {
	.match_mapping = my_match_mapping,
	.pin = my_pin,
	.release = my_release,
};

/* A driver may have domains of its own */
static int my_probe(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return iommu_map(domain, 0, 0, PAGE_SIZE, IOMMU_READ, GFP_KERNEL);
}

static int my_import(struct dma_buf *dmabuf, struct iommu_domain *domain)
{
	struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_IOMMU();	/* caught */
	struct dma_buf_attachment *attach;

	imp.type = &dma_buf_mapping_iommu;	/* caught */
	attach = dma_buf_mapping_attach(dmabuf, &imp, 1, NULL, NULL);
	dma_buf_iommu_map(attach, domain, 0, 0, PAGE_SIZE, IOMMU_READ, 0);	/* caught */
	if (dma_buf_iommu_walk_begin(attach))	/* caught */
		dma_buf_iommu_walk_end(attach);	/* caught */
	dma_buf_iommu_iova_align(attach, 0, PAGE_SIZE, &offset);	/* caught */
	return dma_buf_iommu_unmap(attach, domain, 0, PAGE_SIZE);	/* caught */
}
