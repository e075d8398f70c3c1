// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping type SGT: a DMA mapped scatterlist, for legacy drivers and others.
 */
#include <linux/bug.h>
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

static bool sgt_ops_valid(const struct dma_buf_mapping_match *exp)
{
	return exp->sgt_ops && exp->sgt_ops->map && exp->sgt_ops->unmap;
}

struct dma_buf_mapping_type dma_buf_mapping_sgt = {
	.name = "SGT",
	.permanent = true,
	.match = sgt_match,
	.exp_ops_valid = sgt_ops_valid,
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

/* For legacy exporters, which have the calls in their dma_buf_ops */
const struct dma_buf_sgt_exp_ops dma_buf_legacy_sgt_ops = {
	.map = legacy_map,
	.unmap = legacy_unmap,
};

static const struct dma_buf_sgt_exp_ops *
sgt_ops(struct dma_buf_attachment *attach)
{
	return dma_buf_mapping_imp_ops(to_mapping_attachment(attach),
				       &dma_buf_mapping_sgt);
}

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
	const struct dma_buf_sgt_exp_ops *ops = sgt_ops(attach);
	struct sg_table *sgt;

	if (WARN_ON_ONCE(!ops))
		return ERR_PTR(-EINVAL);
	sgt = ops->map(attach, dir);
	if (!IS_ERR_OR_NULL(sgt))
		to_mapping_attachment(attach)->revoked = false;
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
	const struct dma_buf_sgt_exp_ops *ops = sgt_ops(attach);

	if (IS_ERR_OR_NULL(sgt) || WARN_ON_ONCE(!ops))
		return;
	ops->unmap(attach, sgt, dir);
}
