// SPDX-License-Identifier: GPL-2.0-only
/*
 * Converter from PAL to SGT: maps an exporter's physical ranges for the DMA of
 * one device.
 */
#include <linux/align.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "internal.h"
#include "pal.h"

/* The longest that an entry can be with a page aligned end */
#define MAX_ENTRY ALIGN_DOWN(UINT_MAX, PAGE_SIZE)

enum pal_sgt_route {
	/* Bus addresses: the DMA stays below one PCI switch, nothing to map */
	PAL_SGT_BUS,
	/* By the DMA API: one IOVA range if it can be, or each entry by itself */
	PAL_SGT_MAPPED,
};

/**
 * struct pal_sgt - a table and what has to be undone with it
 * @sgt: the part that the importer sees; it has no CPU side
 * @allocated: number of entries that the table has memory for
 * @list: held for as long as the table is mapped
 * @iova: of PAL_SGT_MAPPED, the range that holds the buffer as a whole
 * @attrs: DMA attributes of every part
 * @route: how the device reaches the memory
 */
struct pal_sgt {
	struct sg_table sgt;
	unsigned int allocated;
	const struct dma_buf_phys_list *list;
	struct dma_iova_state iova;
	unsigned long attrs;
	enum pal_sgt_route route;
};

static int p2p_route(struct p2pdma_provider *provider, struct device *dev,
		     enum pal_sgt_route *route)
{
	if (!provider)
		return -EOPNOTSUPP;

	switch (pci_p2pdma_map_type(provider, dev)) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		*route = PAL_SGT_BUS;
		return 0;
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		*route = PAL_SGT_MAPPED;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int find_route(struct dma_buf_attachment *attach, unsigned int attrs,
		      struct p2pdma_provider *provider,
		      enum pal_sgt_route *route)
{
	if (!(attrs & DMA_BUF_PHYS_MMIO)) {
		*route = PAL_SGT_MAPPED;
		return 0;
	}
	if (!attach->peer2peer)
		return -EOPNOTSUPP;
	return p2p_route(provider, attach->dev, route);
}

static int pal_to_sgt_match(struct dma_buf_attachment *attach,
			    const struct dma_buf_mapping_match *exp,
			    const struct dma_buf_mapping_match *imp)
{
	enum pal_sgt_route route;

	if (!imp->dev)
		return -EINVAL;
	return find_route(attach, exp->pal.attrs, exp->pal.provider, &route);
}

static int init_route(struct dma_buf_attachment *attach, struct pal_sgt *ps)
{
	const struct dma_buf_phys_list *list = ps->list;
	size_t size = attach->dmabuf->size;
	int ret;

	ret = find_route(attach, list->attrs, list->provider, &ps->route);
	if (ret)
		return ret;
	/* PCI devices alone have a route to MMIO, so UML never gets here */
	if (list->attrs & DMA_BUF_PHYS_MMIO)
		ps->attrs = DMA_ATTR_MMIO;

	/* The DMA API keeps a flag of its own in the top bit of the size */
	if ((u64)size & DMA_IOVA_USE_SWIOTLB)
		return -EINVAL;
	/*
	 * An IOMMU that dma_iova_try_alloc() knows has no page larger than the
	 * CPU's as its smallest, so that extents always fit behind each other.
	 */
	if (ps->route == PAL_SGT_MAPPED)
		dma_iova_try_alloc(attach->dev, &ps->iova, 0, size);
	return 0;
}

/* sg_next() without its check for the last entry, which this never is */
static struct scatterlist *next_entry(struct scatterlist *sg)
{
	sg++;
	return unlikely(sg_is_chain(sg)) ? sg_chain_ptr(sg) : sg;
}

static void set_entry(struct scatterlist *sg, dma_addr_t addr, size_t len)
{
	sg_dma_address(sg) = addr;
	sg_dma_len(sg) = len;
}

/* The table may have more entries than the mapping came to need */
static void end_table(struct pal_sgt *ps, struct scatterlist *last,
		      unsigned int nents)
{
	sg_mark_end(last);
	ps->sgt.nents = nents;
}

static int link_iova(struct dma_buf_attachment *attach, struct pal_sgt *ps,
		     enum dma_data_direction dir)
{
	const struct phys_vec *range = ps->list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(ps->list);
	size_t offset = 0, len;
	phys_addr_t paddr;
	int ret;

	while (range != end) {
		paddr = range->paddr;
		len = dma_buf_pal_run(&range, end);
		ret = dma_iova_link(attach->dev, &ps->iova, paddr, offset, len,
				    dir, ps->attrs);
		if (ret)
			goto err_destroy;
		offset += len;
	}

	ret = dma_iova_sync(attach->dev, &ps->iova, 0, offset);
	if (!ret)
		return 0;

err_destroy:
	dma_iova_destroy(attach->dev, &ps->iova, offset, dir, ps->attrs);
	return ret;
}

static int map_iova(struct dma_buf_attachment *attach, struct pal_sgt *ps,
		    enum dma_data_direction dir)
{
	size_t left = attach->dmabuf->size;
	struct scatterlist *sg = ps->sgt.sgl;
	dma_addr_t addr = ps->iova.addr;
	unsigned int nents = 1;
	int ret;

	ret = link_iova(attach, ps, dir);
	if (ret)
		return ret;

	for (; left > MAX_ENTRY; left -= MAX_ENTRY, addr += MAX_ENTRY) {
		set_entry(sg, addr, MAX_ENTRY);
		sg = next_entry(sg);
		nents++;
	}
	set_entry(sg, addr, left);
	end_table(ps, sg, nents);
	return 0;
}

static void unmap_entries(struct dma_buf_attachment *attach,
			  struct pal_sgt *ps, unsigned int nents,
			  enum dma_data_direction dir)
{
	struct device *dev = attach->dev;
	unsigned long attrs = ps->attrs;
	struct scatterlist *sg;

	if (ps->route == PAL_SGT_BUS)
		return;
	for (sg = ps->sgt.sgl; nents; nents--) {
		dma_unmap_phys(dev, sg_dma_address(sg), sg_dma_len(sg), dir,
			       attrs);
		if (nents > 1)
			sg = next_entry(sg);
	}
}

static dma_addr_t map_part(struct dma_buf_attachment *attach,
			   const struct pal_sgt *ps, phys_addr_t paddr,
			   size_t len, enum dma_data_direction dir)
{
	/* The devices are below one PCIe switch, which UML has none of */
	if (ps->route == PAL_SGT_BUS)
		return pci_p2pdma_bus_addr_map(ps->list->provider, paddr);
	return dma_map_phys(attach->dev, paddr, len, dir, ps->attrs);
}

static int map_entries(struct dma_buf_attachment *attach, struct pal_sgt *ps,
		       enum dma_data_direction dir)
{
	const struct phys_vec *range = ps->list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(ps->list);
	struct scatterlist *sg = ps->sgt.sgl;
	unsigned int nents = 0;
	size_t left = 0, len;
	phys_addr_t paddr;
	dma_addr_t addr;

	for (;;) {
		if (!left) {
			paddr = range->paddr;
			left = dma_buf_pal_run(&range, end);
		}
		len = min(left, MAX_ENTRY);
		addr = map_part(attach, ps, paddr, len, dir);
		if (dma_mapping_error(attach->dev, addr)) {
			unmap_entries(attach, ps, nents, dir);
			return -EIO;
		}
		set_entry(sg, addr, len);
		nents++;
		left -= len;
		if (!left && range == end)
			break;
		paddr += len;
		sg = next_entry(sg);
	}
	end_table(ps, sg, nents);
	return 0;
}

static int map_table(struct dma_buf_attachment *attach, struct pal_sgt *ps,
		     size_t extents, enum dma_data_direction dir)
{
	int ret = -EINVAL;
	size_t nents;

	if (dma_use_iova(&ps->iova))
		extents = 1;
	/* At most: an extent makes one, and one more for each MAX_ENTRY in it */
	nents = extents + attach->dmabuf->size / MAX_ENTRY;
	if (nents <= UINT_MAX)
		ret = sg_alloc_table(&ps->sgt, nents, GFP_KERNEL);
	if (ret) {
		if (dma_use_iova(&ps->iova))
			dma_iova_free(attach->dev, &ps->iova);
		return ret;
	}

	if (dma_use_iova(&ps->iova))
		ret = map_iova(attach, ps, dir);
	else
		ret = map_entries(attach, ps, dir);
	if (ret)
		sg_free_table(&ps->sgt);
	return ret;
}

static struct sg_table *pal_to_sgt_map(struct dma_buf_attachment *attach,
				       enum dma_data_direction dir)
{
	struct pal_sgt *ps;
	size_t extents;
	int ret;

	ps = kzalloc_obj(*ps);
	if (!ps)
		return ERR_PTR(-ENOMEM);

	ps->list = dma_buf_pal_map(attach, &extents);
	if (IS_ERR(ps->list)) {
		ret = PTR_ERR(ps->list);
		goto err_free;
	}

	ret = init_route(attach, ps);
	if (ret)
		goto err_list;
	ret = map_table(attach, ps, extents, dir);
	if (ret)
		goto err_list;

	/* Says that there is no CPU side; sg_free_table() goes by it too */
	ps->allocated = ps->sgt.orig_nents;
	ps->sgt.orig_nents = 0;
	return &ps->sgt;

err_list:
	dma_buf_pal_unmap(attach, ps->list);
err_free:
	kfree(ps);
	return ERR_PTR(ret);
}

static void pal_to_sgt_unmap(struct dma_buf_attachment *attach,
			     struct sg_table *sgt, enum dma_data_direction dir)
{
	struct pal_sgt *ps = container_of(sgt, struct pal_sgt, sgt);

	if (dma_use_iova(&ps->iova))
		dma_iova_destroy(attach->dev, &ps->iova, attach->dmabuf->size,
				 dir, ps->attrs);
	else
		unmap_entries(attach, ps, ps->sgt.nents, dir);

	ps->sgt.orig_nents = ps->allocated;
	sg_free_table(&ps->sgt);
	dma_buf_pal_unmap(attach, ps->list);
	kfree(ps);
}

static const struct dma_buf_sgt_exp_ops pal_to_sgt_ops = {
	.map = pal_to_sgt_map,
	.unmap = pal_to_sgt_unmap,
};

struct dma_buf_mapping_converter dma_buf_pal_to_sgt = {
	.name = "PAL -> SGT",
	.exp_type = &dma_buf_mapping_pal,
	.imp_type = &dma_buf_mapping_sgt,
	.match = pal_to_sgt_match,
	.imp_ops = &pal_to_sgt_ops,
};
