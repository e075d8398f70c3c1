// SPDX-License-Identifier: GPL-2.0-only
/*
 * Example: an importer whose device does DMA. It neither knows nor cares
 * whether the exporter maps the table itself, or core makes it from a physical
 * address list.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>

#include "examples.h"

/* The reservation lock is held */
static void sgt_unmap(struct sgt_importer *imp,
		      struct dma_buf_attachment *attach)
{
	if (!imp->sgt)
		return;
	/* Here a real driver makes its device stop */
	dma_buf_unmap_attachment(attach, imp->sgt, DMA_BIDIRECTIONAL);
	imp->sgt = NULL;
}

/* May be called before sgt_import() knows the attachment */
static void sgt_invalidate(struct dma_buf_attachment *attach)
{
	sgt_unmap(attach->importer_priv, attach);
}

static const struct dma_buf_attach_ops sgt_importer_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = sgt_invalidate,
};

int sgt_import(struct sgt_importer *imp, struct dma_buf *dmabuf,
	       struct device *dev)
{
	const struct dma_buf_mapping_match sgt = DMA_BUF_IMAPPING_SGT(dev);
	struct dma_buf_attachment *attach;

	imp->sgt = NULL;
	attach = dma_buf_mapping_attach(dmabuf, &sgt, 1, &sgt_importer_ops,
					imp);
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	imp->attach = attach;
	return 0;
}

/* To be called again after a revoke; -ENODEV while that lasts */
int sgt_start_dma(struct sgt_importer *imp)
{
	struct dma_resv *resv = imp->attach->dmabuf->resv;
	struct sg_table *sgt;
	int ret = 0;

	dma_resv_lock(resv, NULL);
	if (!imp->sgt) {
		sgt = dma_buf_map_attachment(imp->attach, DMA_BIDIRECTIONAL);
		if (IS_ERR(sgt))
			ret = PTR_ERR(sgt);
		else
			imp->sgt = sgt;
	}
	/* Here a real driver gives its device the addresses of imp->sgt */
	dma_resv_unlock(resv);
	return ret;
}

/*
 * The CPU's turn, between DMA and DMA. It is the buffer that is synchronised and
 * not the table: dma_sync_sgtable_for_cpu() does nothing without pages.
 */
int sgt_begin_look(struct sgt_importer *imp)
{
	return dma_buf_begin_cpu_access(imp->attach->dmabuf, DMA_FROM_DEVICE);
}

int sgt_end_look(struct sgt_importer *imp)
{
	return dma_buf_end_cpu_access(imp->attach->dmabuf, DMA_FROM_DEVICE);
}

void sgt_end_import(struct sgt_importer *imp)
{
	struct dma_buf *dmabuf = imp->attach->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	sgt_unmap(imp, imp->attach);
	dma_resv_unlock(dmabuf->resv);
	dma_buf_detach(dmabuf, imp->attach);
}
