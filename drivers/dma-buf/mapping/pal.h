/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Physical address lists, as converters see them. This is the only header here
 * that shows a physical address. Nothing outside of drivers/dma-buf/mapping/ may
 * include it.
 */
#ifndef __DMA_BUF_MAPPING_PAL_H
#define __DMA_BUF_MAPPING_PAL_H

#include <linux/dma-buf-mapping.h>
#include <linux/types.h>

/* All attributes that a list may have */
#define DMA_BUF_PHYS_ATTRS (DMA_BUF_PHYS_MMIO | DMA_BUF_PHYS_READ_ONLY)

/**
 * struct dma_buf_extent - a run of adjacent ranges
 * @offset: bytes into the buffer at which it starts
 * @paddr: physical address that it starts at
 */
struct dma_buf_extent {
	size_t offset;
	phys_addr_t paddr;
};

/**
 * struct dma_buf_pal_index - finds the place of an offset in a valid list
 * @node: in &dma_buf.pal_indexes, protected by the reservation lock
 * @list: the exporter's list, not to be looked at unless it is lent; NULL once
 *	that is known to describe something else. Written under the reservation
 *	lock.
 * @users: attachments that have it, protected by the reservation lock
 * @lent: those of them that hold @list as well, protected likewise
 * @nr_extents: number of extents, the end mark not counted
 * @largest_block: log2 of the largest naturally aligned block of any extent
 * @extents: sorted by offset, with an end mark at the size of the buffer
 */
struct dma_buf_pal_index {
	struct list_head node;
	const struct dma_buf_phys_list *list;
	unsigned int users;
	unsigned int lent;
	size_t nr_extents;
	unsigned int largest_block;
	struct dma_buf_extent extents[];
};

/* Length of an extent in bytes; not for the end mark */
static inline size_t dma_buf_extent_len(const struct dma_buf_extent *extent)
{
	return extent[1].offset - extent->offset;
}

static inline bool dma_buf_ranges_adjacent(const struct phys_vec *a,
					   const struct phys_vec *b)
{
	/* The sum is 0 behind the last byte, which nothing is adjacent to */
	return a->paddr + a->len == b->paddr && b->paddr;
}

/**
 * dma_buf_pal_run - find out how far an extent goes
 * @range: the range that it starts with, set to the first one after it
 * @end: end of the list's ranges
 *
 * For one pass over a valid list, which needs no index.
 *
 * Return: Length of the extent in bytes.
 */
static inline size_t dma_buf_pal_run(const struct phys_vec **range,
				     const struct phys_vec *end)
{
	const struct phys_vec *last = *range;
	size_t len = last->len;

	while (++*range != end && dma_buf_ranges_adjacent(last, *range)) {
		last = *range;
		len += last->len;
	}
	return len;
}

static inline const struct phys_vec *
dma_buf_pal_end(const struct dma_buf_phys_list *list)
{
	return list->ranges + list->nr_ranges;
}

bool dma_buf_pal_lacks_pages(const struct phys_vec *range);
const struct dma_buf_phys_list *
dma_buf_pal_map(struct dma_buf_attachment *attach, size_t *extents);
void dma_buf_pal_unmap(struct dma_buf_attachment *attach,
		       const struct dma_buf_phys_list *list);

int dma_buf_pal_index_get(struct dma_buf_attachment *attach,
			  struct dma_buf_pal_index **index);
void dma_buf_pal_index_unmap(struct dma_buf_attachment *attach,
			     struct dma_buf_pal_index *index);
void dma_buf_pal_index_put(struct dma_buf_pal_index *index);
const struct dma_buf_extent *
dma_buf_pal_find(const struct dma_buf_pal_index *index, size_t offset);
unsigned long dma_buf_pal_slice_align(const struct dma_buf_pal_index *index,
				      size_t offset, size_t length,
				      unsigned long *align_offset);

#endif /* __DMA_BUF_MAPPING_PAL_H */
