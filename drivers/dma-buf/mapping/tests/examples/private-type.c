// SPDX-License-Identifier: GPL-2.0-only
/*
 * Example: a driver's own mapping type, for an interconnect that joins some
 * devices and that Linux knows nothing of. Where it does not reach, the two
 * drivers fall back on what core has.
 */
#include <linux/bits.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/overflow.h>
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

/* The exporter: the link for those it joins, for others what core converts */
struct link_buffer {
	const struct fabric *fabric;
	u64 address;
	struct dma_buf_phys_list phys;
};

static u64 link_buffer_address(struct dma_buf_attachment *attach)
{
	struct link_buffer *buf = attach->dmabuf->priv;

	return buf->address;
}

static const struct link_exp_ops link_exp_ops = {
	.address = link_buffer_address,
};

static const struct dma_buf_phys_list *
link_map_phys(struct dma_buf_attachment *attach)
{
	struct link_buffer *buf = attach->dmabuf->priv;

	return &buf->phys;
}

static void link_unmap_phys(struct dma_buf_attachment *attach,
			    const struct dma_buf_phys_list *phys)
{
}

static const struct dma_buf_pal_exp_ops link_pal_ops = {
	.map_phys = link_map_phys,
	.unmap_phys = link_unmap_phys,
};

static int link_match_mapping(struct dma_buf_match_args *args)
{
	struct link_buffer *buf = args->attach->dmabuf->priv;
	const struct dma_buf_mapping_match mappings[] = {
		LINK_EMAPPING(&link_exp_ops, buf->fabric),
		DMA_BUF_EMAPPING_PAL(&link_pal_ops, 0, NULL),
	};

	return dma_buf_match_mapping(args, mappings, ARRAY_SIZE(mappings));
}

static void link_release(struct dma_buf *dmabuf)
{
	struct link_buffer *buf = dmabuf->priv;

	free_page((unsigned long)phys_to_virt(buf->phys.ranges[0].paddr));
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
	unsigned long page;

	buf = kzalloc(struct_size(buf, phys.ranges, 1), GFP_KERNEL);
	if (!buf)
		return dmabuf;
	page = get_zeroed_page(GFP_KERNEL);
	if (!page)
		goto err_free;
	buf->fabric = fabric;
	buf->address = BIT_ULL(56);	/* of a real link, its hardware's */
	buf->phys.nr_ranges = 1;
	buf->phys.ranges[0].paddr = virt_to_phys((void *)page);
	buf->phys.ranges[0].len = PAGE_SIZE;

	info.ops = &link_ops;
	info.size = PAGE_SIZE;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = buf;
	dmabuf = dma_buf_export(&info);
	if (!IS_ERR(dmabuf))
		return dmabuf;

	free_page(page);
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
