// SPDX-License-Identifier: GPL-2.0-only
/*
 * Example: an importer that has an iommu_domain of its own, as iommufd does. A
 * revoke and a restore happen without it.
 */
#include <linux/align.h>
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/iommu.h>

#include "examples.h"

int iommu_import(struct iommu_importer *imp, struct dma_buf *dmabuf,
		 struct iommu_domain *domain, unsigned long lowest)
{
	const struct dma_buf_mapping_match match = DMA_BUF_IMAPPING_IOMMU();
	struct dma_buf_attachment *attach;
	unsigned long align, align_offset;
	int ret;

	attach = dma_buf_mapping_attach(dmabuf, &match, 1, NULL, NULL);
	if (IS_ERR(attach))
		return PTR_ERR(attach);

	/* A place above @lowest where the domain can use large pages */
	align = dma_buf_iommu_iova_align(attach, 0, dmabuf->size, &align_offset);
	imp->iova = ALIGN(lowest, align) + align_offset;

	ret = dma_buf_iommu_map(attach, domain, imp->iova, 0, dmabuf->size,
				IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, 0);
	if (ret) {
		dma_buf_detach(dmabuf, attach);
		return ret;
	}
	imp->attach = attach;
	imp->domain = domain;
	return 0;
}

/* Works the same for a buffer that is revoked */
void iommu_end_import(struct iommu_importer *imp)
{
	struct dma_buf *dmabuf = imp->attach->dmabuf;

	WARN_ON(dma_buf_iommu_unmap(imp->attach, imp->domain, imp->iova,
				    dmabuf->size));
	dma_buf_detach(dmabuf, imp->attach);
}
