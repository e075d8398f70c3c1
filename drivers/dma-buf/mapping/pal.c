// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping type PAL: physical address lists, stated by exporters, validated
 * when they are taken, and indexed for the converters that need it.
 */
#include <kunit/static_stub.h>
#include <linux/bsearch.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "internal.h"
#include "pal.h"

static bool pal_ops_valid(const struct dma_buf_mapping_match *exp)
{
	return exp->pal_ops && exp->pal_ops->map_phys &&
	       exp->pal_ops->unmap_phys;
}

struct dma_buf_mapping_type dma_buf_mapping_pal = {
	.name = "PAL",
	.permanent = true,
	.exp_ops_valid = pal_ops_valid,
	.exporter_only = true,
};
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_pal, "DMA_BUF");

static const struct dma_buf_pal_exp_ops *
pal_ops(struct dma_buf_attachment *attach)
{
	return to_mapping_attachment(attach)->exp_ops;
}

/**
 * dma_buf_pal_lacks_pages - check that memory is what its exporter says
 * @range: a range of a list without DMA_BUF_PHYS_MMIO
 *
 * Looks at every page, and so is for those who debug an exporter.
 *
 * Context: Any.
 * Return: true if a page has no &struct page.
 */
bool dma_buf_pal_lacks_pages(const struct phys_vec *range)
{
	phys_addr_t offset;

	/* The tests have lists of memory that no machine has */
	KUNIT_STATIC_STUB_REDIRECT(dma_buf_pal_lacks_pages, range);

	for (offset = 0; offset < range->len; offset += PAGE_SIZE)
		if (!pfn_valid(PHYS_PFN(range->paddr + offset)))
			return true;
	return false;
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
		/* Not adjacent to the one before; 0 does not follow the last byte */
		extents += last + 1 != range->paddr || !range->paddr;

		if (!range->len || !PAGE_ALIGNED(range->paddr | range->len) ||
		    check_add_overflow(range->paddr, range->len - 1, &last) ||
		    check_add_overflow(sum, range->len, &sum))
			return 0;
		if (IS_ENABLED(CONFIG_DMABUF_DEBUG) &&
		    !(list->attrs & DMA_BUF_PHYS_MMIO) &&
		    dma_buf_pal_lacks_pages(range))
			return 0;
	}
	return sum == size ? extents : 0;
}

static void fill_extents(struct dma_buf_pal_index *index)
{
	const struct phys_vec *range = index->list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(index->list);
	struct dma_buf_extent *extent = index->extents;
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

/* log2 of the largest naturally aligned block within a run of memory */
static unsigned int largest_block(phys_addr_t paddr, size_t len)
{
	unsigned int lg2 = ilog2(len);
	phys_addr_t skip = -paddr & ((1ULL << lg2) - 1);

	/* Half of the length fits in any case */
	return skip <= len - (1ULL << lg2) ? lg2 : lg2 - 1;
}

static unsigned int find_largest_block(const struct dma_buf_pal_index *index)
{
	const struct dma_buf_extent *extent = index->extents;
	const struct dma_buf_extent *end = extent + index->nr_extents;
	unsigned int largest = 0;

	for (; extent != end; extent++)
		largest = max(largest,
			      largest_block(extent->paddr,
					    dma_buf_extent_len(extent)));
	return largest;
}

static struct dma_buf_pal_index *
index_new(struct dma_buf *dmabuf, const struct dma_buf_phys_list *list)
{
	struct dma_buf_pal_index *index;
	size_t extents;

	extents = validate(list, dmabuf->size);
	if (!extents)
		return ERR_PTR(-EINVAL);

	/* A restore comes here too, if it is given another list */
	index = kvzalloc(struct_size(index, extents, extents + 1),
			 DMA_BUF_MAPPING_RESTORE_GFP);
	if (!index)
		return ERR_PTR(-ENOMEM);
	index->list = list;
	index->nr_extents = extents;
	fill_extents(index);
	index->largest_block = find_largest_block(index);
	list_add(&index->node, &dmabuf->pal_indexes);
	return index;
}

/* Nobody held the list for a while, so it may be another one at its address */
static bool still_describes(const struct dma_buf_pal_index *index,
			    const struct dma_buf_phys_list *list, size_t size)
{
	const struct dma_buf_extent *extent = index->extents;
	const struct phys_vec *range = list->ranges;
	const struct phys_vec *end = dma_buf_pal_end(list);
	size_t offset = 0;

	if (validate(list, size) != index->nr_extents)
		return false;
	for (; range != end; extent++) {
		if (extent->offset != offset || extent->paddr != range->paddr)
			return false;
		offset += dma_buf_pal_run(&range, end);
	}
	return true;
}

/* One index serves every attachment that was given the same list */
static struct dma_buf_pal_index *
index_of_list(struct dma_buf *dmabuf, const struct dma_buf_phys_list *list)
{
	struct dma_buf_pal_index *index;

	list_for_each_entry(index, &dmabuf->pal_indexes, node) {
		if (index->list != list)
			continue;
		if (index->lent || still_describes(index, list, dmabuf->size))
			return index;
		index->list = NULL;
	}
	return index_new(dmabuf, list);
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
 * dma_buf_pal_map - take the exporter's PAL for one pass over it
 * @attach: attachment whose exporter states PAL
 * @extents: set to the number of extents that the ranges merge to
 *
 * Context: May sleep. The reservation lock is held.
 * Return: The valid list, to be given back by dma_buf_pal_unmap(), or an
 * ERR_PTR(): -ENODEV if the buffer is revoked, -EINVAL if the list is not
 * valid, or what else the exporter failed with.
 */
const struct dma_buf_phys_list *
dma_buf_pal_map(struct dma_buf_attachment *attach, size_t *extents)
{
	const struct dma_buf_phys_list *list = map_phys(attach);

	if (IS_ERR(list))
		return list;
	*extents = validate(list, attach->dmabuf->size);
	if (*extents)
		return list;
	dma_buf_pal_unmap(attach, list);
	return ERR_PTR(-EINVAL);
}

/**
 * dma_buf_pal_unmap - give a PAL back to the exporter
 * @attach: attachment that it was taken for
 * @list: what dma_buf_pal_map() returned; not to be used any more
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_pal_unmap(struct dma_buf_attachment *attach,
		       const struct dma_buf_phys_list *list)
{
	dma_resv_assert_held(attach->dmabuf->resv);
	pal_ops(attach)->unmap_phys(attach, list);
}

/**
 * dma_buf_pal_index_get - take the exporter's PAL and get its index
 * @attach: attachment whose exporter states PAL
 * @index: NULL, or what the attachment got before and has kept over
 *	dma_buf_pal_index_unmap(), which saves making it again if the exporter
 *	lends the same list. Set to the index of the list, unless the call fails.
 *
 * Context: May sleep. The reservation lock is held.
 * Return: 0, with the list to be given back by dma_buf_pal_index_unmap() and the
 * index by dma_buf_pal_index_put(); an errno as of dma_buf_pal_map(), or
 * -ENOMEM.
 */
int dma_buf_pal_index_get(struct dma_buf_attachment *attach,
			  struct dma_buf_pal_index **index)
{
	const struct dma_buf_phys_list *list = map_phys(attach);
	struct dma_buf_pal_index *kept = *index, *now;

	if (IS_ERR(list))
		return PTR_ERR(list);
	now = index_of_list(attach->dmabuf, list);
	if (IS_ERR(now)) {
		dma_buf_pal_unmap(attach, list);
		return PTR_ERR(now);
	}

	now->lent++;
	if (now == kept)
		return 0;
	now->users++;
	*index = now;
	if (kept)
		dma_buf_pal_index_put(kept);
	return 0;
}

/**
 * dma_buf_pal_index_unmap - give the PAL of an index back to the exporter
 * @attach: attachment that it was taken for
 * @index: what dma_buf_pal_index_get() got, which @attach keeps
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_pal_index_unmap(struct dma_buf_attachment *attach,
			     struct dma_buf_pal_index *index)
{
	index->lent--;
	dma_buf_pal_unmap(attach, index->list);
}

/**
 * dma_buf_pal_index_put - give back an index
 * @index: what dma_buf_pal_index_get() got, with its list given back; not to be
 *	used any more
 *
 * Context: Any. The reservation lock is held.
 */
void dma_buf_pal_index_put(struct dma_buf_pal_index *index)
{
	if (--index->users)
		return;
	list_del(&index->node);
	kvfree(index);
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
 * @index: of the list
 * @offset: bytes into the buffer, less than its size
 *
 * Takes O(log n) steps for a list of n ranges.
 *
 * Context: Any, while @index is held.
 * Return: The extent. The one after it follows it in memory, and the last one
 * is followed by an end mark that holds nothing but the size of the buffer.
 */
const struct dma_buf_extent *
dma_buf_pal_find(const struct dma_buf_pal_index *index, size_t offset)
{
	return __inline_bsearch(&offset, index->extents, index->nr_extents,
				sizeof(*index->extents), cmp_extent);
}

/**
 * dma_buf_pal_slice_align - find the alignment with which a slice gets large pages
 * @index: of the list
 * @offset: where the slice starts in the buffer, in bytes
 * @length: of the slice in bytes, at least 1; the slice is within the buffer
 * @align_offset: set to the offset that an address should have within the
 *	alignment
 *
 * The alignment is that of the largest naturally aligned block in the slice that
 * is physically contiguous. The offset is that of this block; other extents may
 * need another one, and get smaller pages.
 *
 * Context: Any, while @index is held.
 * Return: The alignment in bytes, a power of two and at least PAGE_SIZE.
 */
unsigned long dma_buf_pal_slice_align(const struct dma_buf_pal_index *index,
				      size_t offset, size_t length,
				      unsigned long *align_offset)
{
	const struct dma_buf_extent *extent = dma_buf_pal_find(index, offset);
	size_t skip = offset - extent->offset;
	unsigned int best = PAGE_SHIFT;
	size_t done = 0, len;

	*align_offset = offset_in_page(offset);
	for (; done < length && best < index->largest_block;
	     extent++, done += len, skip = 0) {
		phys_addr_t paddr = extent->paddr + skip;
		unsigned int lg2;

		len = min(dma_buf_extent_len(extent) - skip, length - done);
		lg2 = largest_block(paddr, len);
		if (lg2 > best) {
			best = lg2;
			*align_offset = (paddr - done) & ((1UL << lg2) - 1);
		}
	}
	return 1UL << best;
}
