// SPDX-License-Identifier: GPL-2.0-only
/*
 * Converter from PAL to SGT: maps an exporter's physical ranges for the DMA of
 * one device.
 */
#include <linux/align.h>
#include <linux/dma-buf.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "internal.h"
#include "pal.h"

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
 * @dir: direction of the DMA
 * @route: how the device reaches the memory
 * @mmio: every part is device memory
 * @node: in &dma_buf_mapping_attachment.tables, not hashed if the DMA API has
 *	nothing to synchronise
 */
struct pal_sgt {
	struct sg_table sgt;
	unsigned int allocated;
	enum dma_data_direction dir : 8;
	enum pal_sgt_route route : 8;
	bool mmio;
	const struct dma_buf_phys_list *list;
	struct dma_iova_state iova;
	struct hlist_node node;
};

static unsigned long dma_attrs(const struct pal_sgt *ps)
{
	return ps->mmio ? DMA_ATTR_MMIO : 0;
}

/**
 * struct entry_limits - what an entry of the table has to keep to
 * @max: bytes that it has at most, a multiple of a page
 * @boundary: mask of the addresses between two boundaries, none of which it
 *	crosses; a page at least
 */
struct entry_limits {
	size_t max;
	unsigned long boundary;
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
	enum pal_sgt_route route;
	int ret;

	if ((list->attrs & DMA_BUF_PHYS_READ_ONLY) && ps->dir != DMA_TO_DEVICE)
		return -EACCES;

	ret = find_route(attach, list->attrs, list->provider, &route);
	if (ret)
		return ret;
	ps->route = route;
	ps->mmio = list->attrs & DMA_BUF_PHYS_MMIO;

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

static struct entry_limits find_limits(struct device *dev,
				       struct pal_sgt *ps)
{
	size_t max = dma_get_max_seg_size(dev);

	if (ps->route == PAL_SGT_MAPPED && !dma_use_iova(&ps->iova))
		max = min(max, dma_max_mapping_size(dev));
	return (struct entry_limits){
		.max = max(ALIGN_DOWN(max, PAGE_SIZE), PAGE_SIZE),
		.boundary = dma_get_seg_boundary(dev) | ~PAGE_MASK,
	};
}

/* How long an entry can be that begins at @addr, with @left bytes to go */
static size_t entry_len(const struct entry_limits *limits, dma_addr_t addr,
			size_t left)
{
	/* One less each, as a boundary may be as far away as the sizes go */
	size_t room = limits->boundary - (addr & limits->boundary);

	return min3(left - 1, limits->max - 1, room) + 1;
}

/* As nearly all do, which need not be computed then */
static bool entry_fits(const struct entry_limits *limits, dma_addr_t addr,
		       size_t len)
{
	dma_addr_t crossed = addr ^ (addr + (len - 1));

	return len <= limits->max && !(crossed & ~(dma_addr_t)limits->boundary);
}

static size_t count_pieces(const struct entry_limits *limits, dma_addr_t addr,
			   size_t left)
{
	size_t pieces = 0, len;

	for (; left; left -= len, addr += len, pieces++)
		len = entry_len(limits, addr, left);
	return pieces;
}

static int link_iova(struct dma_buf_attachment *attach, struct pal_sgt *ps)
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
				    ps->dir, dma_attrs(ps));
		if (ret)
			goto err_destroy;
		offset += len;
	}

	ret = dma_iova_sync(attach->dev, &ps->iova, 0, offset);
	if (!ret)
		return 0;

err_destroy:
	dma_iova_destroy(attach->dev, &ps->iova, offset, ps->dir, dma_attrs(ps));
	return ret;
}

static int map_iova(struct dma_buf_attachment *attach, struct pal_sgt *ps,
		    const struct entry_limits *limits)
{
	size_t left = attach->dmabuf->size, len;
	struct scatterlist *sg = ps->sgt.sgl;
	dma_addr_t addr = ps->iova.addr;
	unsigned int nents = 1;
	int ret;

	ret = link_iova(attach, ps);
	if (ret)
		return ret;

	for (;; addr += len, nents++) {
		len = entry_len(limits, addr, left);
		set_entry(sg, addr, len);
		left -= len;
		if (!left)
			break;
		sg = next_entry(sg);
	}
	end_table(ps, sg, nents);
	return 0;
}

static void unmap_entries(struct dma_buf_attachment *attach,
			  struct pal_sgt *ps, unsigned int nents)
{
	enum dma_data_direction dir = ps->dir;
	struct device *dev = attach->dev;
	unsigned long attrs = dma_attrs(ps);
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

/* What is known of the DMA address of a place before that is mapped */
static dma_addr_t expected_addr(const struct pal_sgt *ps, phys_addr_t paddr)
{
	/* The devices are below one PCIe switch, which UML has none of */
	if (ps->route == PAL_SGT_BUS)
		return pci_p2pdma_bus_addr_map(ps->list->provider, paddr);
	return paddr;
}

/* Returns -E2BIG where the table has too few entries */
static int map_entries(struct dma_buf_attachment *attach, struct pal_sgt *ps,
		       struct entry_limits limits, size_t extents)
{
	const struct phys_vec *range = ps->list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(ps->list);
	unsigned int spare = ps->sgt.orig_nents - extents;
	const bool bus = ps->route == PAL_SGT_BUS;
	enum dma_data_direction dir = ps->dir;
	unsigned long attrs = dma_attrs(ps);
	struct scatterlist *sg = ps->sgt.sgl;
	struct device *dev = attach->dev;
	unsigned int nents = 0;
	size_t left = 0, len;
	phys_addr_t paddr;
	dma_addr_t addr;
	int ret;

	for (;;) {
		if (!left) {
			paddr = range->paddr;
			left = dma_buf_pal_run(&range, end);
		}
		len = left;
		addr = bus ? expected_addr(ps, paddr) : paddr;
		if (!entry_fits(&limits, addr, len)) {
			len = entry_len(&limits, addr, left);
			ret = -E2BIG;
			if (!spare--)
				break;
		}
		if (!bus) {
			ret = -EIO;
			addr = dma_map_phys(dev, paddr, len, dir, attrs);
			if (dma_mapping_error(dev, addr))
				break;
			/* Elsewhere than expected the boundaries may be too */
			if (addr != paddr && !entry_fits(&limits, addr, len)) {
				dma_unmap_phys(dev, addr, len, dir, attrs);
				break;
			}
		}
		set_entry(sg, addr, len);
		nents++;
		left -= len;
		if (!left && range == end) {
			end_table(ps, sg, nents);
			return 0;
		}
		paddr += len;
		sg = next_entry(sg);
	}
	unmap_entries(attach, ps, nents);
	return ret;
}

static size_t count_entries(const struct pal_sgt *ps,
			    const struct entry_limits *limits)
{
	const struct phys_vec *range = ps->list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(ps->list);
	size_t entries = 0;
	dma_addr_t addr;

	while (range != end) {
		addr = expected_addr(ps, range->paddr);
		entries += count_pieces(limits, addr,
					dma_buf_pal_run(&range, end));
	}
	return entries;
}

static int make_table(struct dma_buf_attachment *attach, struct pal_sgt *ps,
		      const struct entry_limits *limits, size_t extents,
		      size_t nents)
{
	int ret = -EINVAL;

	if (nents <= UINT_MAX)
		ret = sg_alloc_table(&ps->sgt, nents, GFP_KERNEL);
	if (ret) {
		if (dma_use_iova(&ps->iova))
			dma_iova_free(attach->dev, &ps->iova);
		return ret;
	}

	if (dma_use_iova(&ps->iova))
		ret = map_iova(attach, ps, limits);
	else
		ret = map_entries(attach, ps, *limits, extents);
	if (ret)
		sg_free_table(&ps->sgt);
	return ret;
}

static int map_table(struct dma_buf_attachment *attach, struct pal_sgt *ps,
		     size_t extents)
{
	struct entry_limits limits = find_limits(attach->dev, ps);
	size_t size = attach->dmabuf->size;
	size_t more;
	int ret;

	if (dma_use_iova(&ps->iova))
		return make_table(attach, ps, &limits, extents,
				  count_pieces(&limits, ps->iova.addr, size));

	/*
	 * An extent makes an entry, and one more for each time that it is too
	 * long, but none is shorter than a page. Hardly any crosses a boundary,
	 * so they are not counted for that, unless there is no room for it.
	 */
	more = min(size / limits.max, (size >> PAGE_SHIFT) - extents);
	ret = make_table(attach, ps, &limits, extents, extents + more);
	if (ret == -E2BIG)
		ret = make_table(attach, ps, &limits, extents,
				 count_entries(ps, &limits));
	return ret;
}

static bool needs_sync(struct device *dev, struct pal_sgt *ps)
{
	if (ps->mmio)
		return false;
	/*
	 * Whole pages of an IOVA range are never bounced. The debug code of the
	 * DMA API, for which every device needs it, knows of none.
	 */
	if (dma_use_iova(&ps->iova))
		return !dev_is_dma_coherent(dev);
	return dma_dev_need_sync(dev);
}

static void sync_later(struct dma_buf_attachment *attach, struct pal_sgt *ps)
{
	struct dma_buf *dmabuf = attach->dmabuf;

	/* Asked when all is mapped, as the first bounce buffer changes it */
	if (!needs_sync(attach->dev, ps))
		return;
	hlist_add_head(&ps->node, &to_mapping_attachment(attach)->tables);
	WRITE_ONCE(dmabuf->cpu_synced, dmabuf->cpu_synced + 1);
}

static void sync_no_more(struct dma_buf *dmabuf, struct pal_sgt *ps)
{
	if (hlist_unhashed(&ps->node))
		return;
	hlist_del(&ps->node);
	WRITE_ONCE(dmabuf->cpu_synced, dmabuf->cpu_synced - 1);
}

typedef void (*sync_fn)(struct device *dev, dma_addr_t addr, size_t len,
			enum dma_data_direction dir);

/* A call is for what is contiguous in memory */
static void sync_table(struct device *dev, struct pal_sgt *ps,
		       enum dma_data_direction dir, sync_fn sync)
{
	const struct phys_vec *range = ps->list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(ps->list);
	dma_addr_t addr = ps->iova.addr;
	struct scatterlist *sg;
	unsigned int i;
	size_t len;

	if (!dma_use_iova(&ps->iova)) {
		for_each_sgtable_dma_sg(&ps->sgt, sg, i)
			sync(dev, sg_dma_address(sg), sg_dma_len(sg), dir);
		return;
	}
	for (; range != end; addr += len) {
		len = dma_buf_pal_run(&range, end);
		sync(dev, addr, len, dir);
	}
}

static void pal_to_sgt_sync_for_cpu(struct dma_buf_mapping_attachment *ma,
				    enum dma_data_direction dir)
{
	struct pal_sgt *ps;

	/* Also to write, or what is not written would go back as it was before */
	hlist_for_each_entry(ps, &ma->tables, node)
		sync_table(ma->attach.dev, ps, ps->dir,
			   dma_sync_single_for_cpu);
}

static void pal_to_sgt_sync_for_device(struct dma_buf_mapping_attachment *ma,
				       enum dma_data_direction dir)
{
	bool read_only = dir == DMA_FROM_DEVICE;
	struct pal_sgt *ps;

	hlist_for_each_entry(ps, &ma->tables, node) {
		dir = ps->dir;
		/* What was not written may not undo what the device writes */
		if (dir == DMA_BIDIRECTIONAL && read_only)
			dir = DMA_FROM_DEVICE;
		sync_table(ma->attach.dev, ps, dir, dma_sync_single_for_device);
	}
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
	ps->dir = dir;

	ps->list = dma_buf_pal_map(attach, &extents);
	if (IS_ERR(ps->list)) {
		ret = PTR_ERR(ps->list);
		goto err_free;
	}

	ret = init_route(attach, ps);
	if (ret)
		goto err_list;
	ret = map_table(attach, ps, extents);
	if (ret)
		goto err_list;

	/* Says that there is no CPU side; sg_free_table() goes by it too */
	ps->allocated = ps->sgt.orig_nents;
	ps->sgt.orig_nents = 0;
	sync_later(attach, ps);
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

	sync_no_more(attach->dmabuf, ps);
	if (dma_use_iova(&ps->iova))
		dma_iova_destroy(attach->dev, &ps->iova, attach->dmabuf->size,
				 ps->dir, dma_attrs(ps));
	else
		unmap_entries(attach, ps, ps->sgt.nents);

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
	.permanent = true,
	.exp_type = &dma_buf_mapping_pal,
	.imp_type = &dma_buf_mapping_sgt,
	.match = pal_to_sgt_match,
	.imp_ops = &pal_to_sgt_ops,
	.sync_for_cpu = pal_to_sgt_sync_for_cpu,
	.sync_for_device = pal_to_sgt_sync_for_device,
};
