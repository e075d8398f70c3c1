// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping type PAL: physical address lists, stated by exporters, validated
 * when they are taken, and indexed for the converters that need it.
 */
#include <linux/bsearch.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "internal.h"

struct dma_buf_mapping_type dma_buf_mapping_pal = {
	.name = "PAL",
	.exporter_only = true,
};
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_pal, "DMA_BUF");

static const struct dma_buf_pal_exp_ops *
pal_ops(struct dma_buf_attachment *attach)
{
	return to_mapping(attach)->exp_ops;
}

/* Returns the number of extents that the ranges merge to, 0 if invalid */
static size_t validate(const struct dma_buf_phys_list *list, size_t size)
{
	const struct phys_vec *range = list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(list);
	size_t extents = 0, sum = 0;
	phys_addr_t last = 0;

	if (list->attrs & ~DMA_BUF_PHYS_ATTRS)
		return 0;

	for (; range != end; range++) {
		/* Begins another one; 0 does not follow the last byte there is */
		extents += last + 1 != range->paddr || !range->paddr;

		if (!range->len || !PAGE_ALIGNED(range->paddr | range->len) ||
		    check_add_overflow(range->paddr, range->len - 1, &last) ||
		    check_add_overflow(sum, range->len, &sum))
			return 0;
	}
	return sum == size ? extents : 0;
}

static void fill_extents(struct dma_buf_pal *pal)
{
	const struct phys_vec *range = pal->list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(pal->list);
	struct dma_buf_extent *extent = pal->extents;
	size_t offset = 0;

	while (range != end) {
		extent->offset = offset;
		extent->paddr = range->paddr;
		extent++;
		offset += dma_buf_pal_run(&range, end);
	}
	/* Ends the last extent, so that none of them is a special case */
	extent->offset = offset;
	extent->paddr = 0;
}

static unsigned int find_largest_block(const struct dma_buf_pal *pal)
{
	const struct dma_buf_extent *extent = pal->extents;
	const struct dma_buf_extent *end = extent + pal->nr_extents;
	unsigned int largest = 0;

	for (; extent != end; extent++)
		largest = max(largest,
			      dma_buf_largest_block(extent->paddr,
						    dma_buf_extent_len(extent)));
	return largest;
}

static struct dma_buf_pal *pal_new(struct dma_buf *dmabuf,
				   const struct dma_buf_phys_list *list)
{
	struct dma_buf_pal *pal;
	size_t extents;

	extents = validate(list, dmabuf->size);
	if (!extents)
		return ERR_PTR(-EINVAL);

	pal = kvzalloc(struct_size(pal, extents, extents + 1),
		       GFP_KERNEL_ACCOUNT);
	if (!pal)
		return ERR_PTR(-ENOMEM);
	pal->list = list;
	pal->nr_extents = extents;
	fill_extents(pal);
	pal->largest_block = find_largest_block(pal);
	list_add(&pal->node, &dmabuf->pals);
	return pal;
}

/* One index serves every attachment that was given the same list */
static struct dma_buf_pal *pal_of_list(struct dma_buf *dmabuf,
				       const struct dma_buf_phys_list *list)
{
	struct dma_buf_pal *pal;

	list_for_each_entry(pal, &dmabuf->pals, node)
		if (pal->list == list)
			return pal;
	return pal_new(dmabuf, list);
}

static const struct dma_buf_phys_list *
map_phys(struct dma_buf_attachment *attach)
{
	const struct dma_buf_phys_list *list;

	dma_resv_assert_held(attach->dmabuf->resv);

	list = pal_ops(attach)->map_phys(attach);
	return list ?: ERR_PTR(-EINVAL);
}

/**
 * dma_buf_pal_take - take the exporter's PAL for one pass over it
 * @attach: attachment whose exporter states PAL
 * @extents: set to the number of extents that the ranges merge to
 *
 * Context: May sleep. The reservation lock is held.
 * Return: The valid list, to be given back by dma_buf_pal_give(), or an
 * ERR_PTR(): -ENODEV if the buffer is revoked, -EINVAL if the list is not
 * valid, or what else the exporter failed with.
 */
const struct dma_buf_phys_list *
dma_buf_pal_take(struct dma_buf_attachment *attach, size_t *extents)
{
	const struct dma_buf_phys_list *list = map_phys(attach);

	if (IS_ERR(list))
		return list;
	*extents = validate(list, attach->dmabuf->size);
	if (*extents)
		return list;
	dma_buf_pal_give(attach, list);
	return ERR_PTR(-EINVAL);
}

/**
 * dma_buf_pal_give - give a PAL back to the exporter
 * @attach: attachment that it was taken for
 * @list: what dma_buf_pal_take() returned; not to be used any more
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_pal_give(struct dma_buf_attachment *attach,
		      const struct dma_buf_phys_list *list)
{
	dma_resv_assert_held(attach->dmabuf->resv);
	pal_ops(attach)->unmap_phys(attach, list);
}

/**
 * dma_buf_pal_get - take the exporter's PAL and its index for an attachment
 * @attach: attachment whose exporter states PAL
 *
 * Context: May sleep. The reservation lock is held.
 * Return: The index of the valid list, to be given back by dma_buf_pal_put(),
 * or an ERR_PTR(): as of dma_buf_pal_take(), or -ENOMEM.
 */
struct dma_buf_pal *dma_buf_pal_get(struct dma_buf_attachment *attach)
{
	const struct dma_buf_phys_list *list = map_phys(attach);
	struct dma_buf_pal *pal;

	if (IS_ERR(list))
		return ERR_CAST(list);
	pal = pal_of_list(attach->dmabuf, list);
	if (IS_ERR(pal))
		dma_buf_pal_give(attach, list);
	else
		pal->users++;
	return pal;
}

/**
 * dma_buf_pal_put - give a PAL back to the exporter
 * @attach: attachment that it was taken for
 * @pal: what dma_buf_pal_get() returned; not to be used any more
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_pal_put(struct dma_buf_attachment *attach, struct dma_buf_pal *pal)
{
	const struct dma_buf_phys_list *list = pal->list;

	if (!--pal->users) {
		list_del(&pal->node);
		kvfree(pal);
	}
	dma_buf_pal_give(attach, list);
}

static int cmp_extent(const void *key, const void *elt)
{
	const struct dma_buf_extent *extent = elt;
	size_t offset = *(const size_t *)key;

	if (offset < extent->offset)
		return -1;
	return offset >= extent[1].offset;
}

/**
 * dma_buf_pal_find - find the extent that holds an offset
 * @pal: the list
 * @offset: bytes into the buffer, less than its size
 *
 * Takes O(log n) steps for a list of n ranges.
 *
 * Context: Any, while @pal is held.
 * Return: The extent. The one after it follows it in memory, and the last one
 * is followed by an end mark that holds nothing but the size of the buffer.
 */
const struct dma_buf_extent *dma_buf_pal_find(const struct dma_buf_pal *pal,
					      size_t offset)
{
	return __inline_bsearch(&offset, pal->extents, pal->nr_extents,
				sizeof(*pal->extents), cmp_extent);
}
