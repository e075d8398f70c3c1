// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping type SGT: a DMA mapped scatterlist, for drivers old and new.
 */
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/export.h>

#include "hooks.h"
#include "internal.h"

static int sgt_match(struct dma_buf_attachment *attach,
		     const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp)
{
	return imp->dev ? 0 : -EINVAL;
}

struct dma_buf_mapping_type dma_buf_mapping_sgt = {
	.name = "SGT",
	.match = sgt_match,
};
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_sgt, "DMA_BUF");

static struct sg_table *legacy_map(struct dma_buf_attachment *attach,
				   enum dma_data_direction dir)
{
	return attach->dmabuf->ops->map_dma_buf(attach, dir);
}

static void legacy_unmap(struct dma_buf_attachment *attach,
			 struct sg_table *sgt, enum dma_data_direction dir)
{
	attach->dmabuf->ops->unmap_dma_buf(attach, sgt, dir);
}

/* For exporters that have the calls in their dma_buf_ops and state no types */
const struct dma_buf_sgt_exp_ops dma_buf_legacy_sgt_ops = {
	.map = legacy_map,
	.unmap = legacy_unmap,
};

static struct sg_table *no_map(struct dma_buf_attachment *attach,
			       enum dma_data_direction dir)
{
	WARN_ON_ONCE(1);
	return ERR_PTR(-EINVAL);
}

static void no_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		     enum dma_data_direction dir)
{
	WARN_ON_ONCE(1);
}

/* For an importer that has agreed on something else, or an exporter without */
const struct dma_buf_sgt_exp_ops dma_buf_no_sgt_ops = {
	.map = no_map,
	.unmap = no_unmap,
};

/**
 * dma_buf_sgt_map - map an attachment whose importer wants a scatterlist
 * @attach: the attachment
 * @dir: direction of the DMA
 *
 * Context: May sleep. The reservation lock is held.
 * Return: The table, to be given to dma_buf_sgt_unmap(); NULL or an ERR_PTR()
 * from the exporter; -EINVAL if the attachment is not for SGT.
 */
struct sg_table *dma_buf_sgt_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct dma_buf_mapping *m = to_mapping(attach);
	struct sg_table *sgt;

	sgt = m->sgt->map(attach, dir);
	if (!IS_ERR_OR_NULL(sgt))
		m->revoked = false;
	return sgt;
}

/**
 * dma_buf_sgt_unmap - undo dma_buf_sgt_map()
 * @attach: the attachment
 * @sgt: table that was returned, anything that is no table is passed over
 * @dir: direction that it was mapped for
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_sgt_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	struct dma_buf_mapping *m = to_mapping(attach);

	if (!IS_ERR_OR_NULL(sgt))
		m->sgt->unmap(attach, sgt, dir);
}
