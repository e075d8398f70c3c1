// SPDX-License-Identifier: GPL-2.0-only
/*
 * Example: a driver's own mapping type, for an interconnect that joins some
 * devices and that Linux knows nothing of. Where it does not reach, the two
 * drivers fall back on what core has.
 */
#include <linux/bits.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "examples.h"

/* The type, which both drivers know: its match, its operations, its entries */
static int link_match(struct dma_buf_attachment *attach,
		      const struct dma_buf_mapping_match *exp,
		      const struct dma_buf_mapping_match *imp)
{
	return exp->data == imp->data ? 0 : -EOPNOTSUPP;
}

struct dma_buf_mapping_type link_type = {
	.name = "example link",
	.owner = THIS_MODULE,
	.match = link_match,
};

struct link_exp_ops {
	/* The reservation lock is held. Valid until the exporter invalidates */
	u64 (*address)(struct dma_buf_attachment *attach);
};

#define LINK_EMAPPING(_ops, _fabric)                             \
	((struct dma_buf_mapping_match) {                        \
		.type = &link_type, .exp_ops = (_ops),           \
		.data = (_fabric),                               \
	})
#define LINK_IMAPPING(_fabric)                                   \
	((struct dma_buf_mapping_match) {                        \
		.type = &link_type, .data = (_fabric),           \
	})

/* The exporter: the link for those it joins, for others a scatterlist */
struct link_buffer {
	const struct fabric *fabric;
	u64 address;
	unsigned long page;
};

static u64 link_buffer_address(struct dma_buf_attachment *attach)
{
	struct link_buffer *buf = attach->dmabuf->priv;

	return buf->address;
}

static const struct link_exp_ops link_exp_ops = {
	.address = link_buffer_address,
};

static struct sg_table *link_map_sgt(struct dma_buf_attachment *attach,
				     enum dma_data_direction dir)
{
	struct link_buffer *buf = attach->dmabuf->priv;
	struct sg_table *sgt;
	int ret;

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table(sgt, 1, GFP_KERNEL);
	if (ret)
		goto err_free;
	sg_set_page(sgt->sgl, virt_to_page((void *)buf->page), PAGE_SIZE, 0);
	ret = dma_map_sgtable(attach->dev, sgt, dir, 0);
	if (ret)
		goto err_table;
	return sgt;

err_table:
	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ERR_PTR(ret);
}

static void link_unmap_sgt(struct dma_buf_attachment *attach,
			   struct sg_table *sgt, enum dma_data_direction dir)
{
	dma_unmap_sgtable(attach->dev, sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

static const struct dma_buf_sgt_exp_ops link_sgt_ops = {
	.map = link_map_sgt,
	.unmap = link_unmap_sgt,
};

static int link_match_mapping(struct dma_buf_match_args *args)
{
	struct link_buffer *buf = args->attach->dmabuf->priv;
	const struct dma_buf_mapping_match mappings[] = {
		LINK_EMAPPING(&link_exp_ops, buf->fabric),
		DMA_BUF_EMAPPING_SGT(&link_sgt_ops),
	};

	return dma_buf_match_mapping(args, mappings, ARRAY_SIZE(mappings));
}

static void link_release(struct dma_buf *dmabuf)
{
	struct link_buffer *buf = dmabuf->priv;

	free_page(buf->page);
	kfree(buf);
}

static const struct dma_buf_ops link_ops = {
	.match_mapping = link_match_mapping,
	.release = link_release,
};

struct dma_buf *link_export(const struct fabric *fabric)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf = ERR_PTR(-ENOMEM);
	struct link_buffer *buf;

	buf = kzalloc_obj(*buf);
	if (!buf)
		return dmabuf;
	buf->page = get_zeroed_page(GFP_KERNEL);
	if (!buf->page)
		goto err_free;
	buf->fabric = fabric;
	buf->address = BIT_ULL(56);	/* of a real link, its hardware's */

	info.ops = &link_ops;
	info.size = PAGE_SIZE;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = buf;
	dmabuf = dma_buf_export(&info);
	if (!IS_ERR(dmabuf))
		return dmabuf;

	free_page(buf->page);
err_free:
	kfree(buf);
	return dmabuf;
}

/* The importer: no callbacks, as nothing in this example is ever revoked */
struct dma_buf_attachment *link_attach(struct dma_buf *dmabuf,
				       struct device *dev,
				       const struct fabric *fabric)
{
	const struct dma_buf_mapping_match mappings[] = {
		LINK_IMAPPING(fabric),
		DMA_BUF_IMAPPING_SGT(dev),
	};

	return dma_buf_mapping_attach(dmabuf, mappings, ARRAY_SIZE(mappings),
				      NULL, NULL);
}

/* -EOPNOTSUPP: SGT was agreed, so dma_buf_map_attachment() is to be used */
int link_address(struct dma_buf_attachment *attach, u64 *address)
{
	const struct link_exp_ops *ops =
		dma_buf_mapping_exp_ops(attach, &link_type);

	if (!ops)
		return -EOPNOTSUPP;
	dma_resv_lock(attach->dmabuf->resv, NULL);
	*address = ops->address(attach);
	dma_resv_unlock(attach->dmabuf->resv);
	return 0;
}
