/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What core, the types and the converters share. Nothing outside of
 * drivers/dma-buf/mapping/ may include this.
 */
#ifndef __DMA_BUF_MAPPING_INTERNAL_H
#define __DMA_BUF_MAPPING_INTERNAL_H

#include <linux/dma-buf-mapping.h>
#include <linux/log2.h>
#include <linux/seq_file.h>

struct dma_buf_mapping;

/**
 * struct dma_buf_mapping_converter - serves importers of one type from
 * exporters of another
 *
 * One static instance each, registered with
 * dma_buf_mapping_converter_register(). All calls but @match are optional.
 */
struct dma_buf_mapping_converter {
	/** @name: shown in debugfs and by dma_buf_mapping_name() */
	const char *name;
	/** @owner: module that stays loaded while an attachment converts */
	struct module *owner;
	/** @exp_type: what the exporter states */
	struct dma_buf_mapping_type *exp_type;
	/** @imp_type: what the importer gets */
	struct dma_buf_mapping_type *imp_type;
	/** @sgt: how an importer of SGT maps, not used for any other */
	const struct dma_buf_sgt_exp_ops *sgt;
	/**
	 * @core_owned: core makes the mappings and removes them by itself when
	 * the exporter invalidates, MMIO or not. Whatever the importer's
	 * callbacks, the attachment is revocable and accepts p2p.
	 */
	bool core_owned;
	/** @match: as &dma_buf_mapping_type.match */
	int (*match)(struct dma_buf_attachment *attach,
		     const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp);
	/**
	 * @attach: starts the use of the buffer; the attachment is not yet in
	 * &dma_buf.attachments. The reservation lock is held for this call and
	 * those below.
	 */
	int (*attach)(struct dma_buf_mapping *m);
	/** @detach: ends the use; the attachment has left the list */
	void (*detach)(struct dma_buf_mapping *m);
	/** @invalidate: removes all that is mapped, before it returns */
	void (*invalidate)(struct dma_buf_mapping *m);
	/** @restore: maps all of it again, or fails with nothing mapped */
	int (*restore)(struct dma_buf_mapping *m);

	/** @node: in the registry, protected by its lock */
	struct list_head node;
	/** @users: attachments that convert with it */
	atomic_t users;
	/** @registered: protected by the registry's lock */
	bool registered;
};

/**
 * struct dma_buf_mapping - an attachment and what was agreed for it
 *
 * All but @revoked is written when the importer attaches, and does not change
 * until the attachment is freed.
 */
struct dma_buf_mapping {
	/** @attach: the part that drivers see */
	struct dma_buf_attachment attach;
	/** @exp_type: type of the exporter's entry that matched */
	struct dma_buf_mapping_type *exp_type;
	/** @exp_ops: its operations */
	const void *exp_ops;
	/** @converter: to the importer's type, NULL if that is @exp_type */
	struct dma_buf_mapping_converter *converter;
	/** @sgt: how to map it; refuses if the importer's type is not SGT */
	const struct dma_buf_sgt_exp_ops *sgt;
	/** @priv: the converter's */
	void *priv;
	/**
	 * @revoked: invalidated, and neither mapped nor restored since.
	 * Protected by the reservation lock.
	 */
	bool revoked;
	/** @restore_failed: and was said so. Protected likewise. */
	bool restore_failed;
};

static inline struct dma_buf_mapping *
to_mapping(struct dma_buf_attachment *attach)
{
	return container_of(attach, struct dma_buf_mapping, attach);
}

#define DMA_BUF_PHYS_ATTRS DMA_BUF_PHYS_MMIO

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
 * struct dma_buf_pal - a validated list and its index
 * @node: in &dma_buf.pals, protected by the reservation lock
 * @list: the exporter's list
 * @users: attachments that hold it, protected by the reservation lock
 * @nr_extents: number of extents, the end mark not counted
 * @largest_block: log2 of the largest dma_buf_largest_block() of any extent
 * @extents: sorted by offset, with an end mark at the size of the buffer
 */
struct dma_buf_pal {
	struct list_head node;
	const struct dma_buf_phys_list *list;
	unsigned int users;
	size_t nr_extents;
	unsigned int largest_block;
	struct dma_buf_extent extents[];
};

static inline bool dma_buf_ranges_adjacent(const struct phys_vec *a,
					   const struct phys_vec *b)
{
	/* Wraps to 0 after the last byte there is; nothing follows that */
	return a->paddr + a->len == b->paddr && b->paddr;
}

/* Length of an extent in bytes; not for the end mark */
static inline size_t dma_buf_extent_len(const struct dma_buf_extent *extent)
{
	return extent[1].offset - extent->offset;
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

/* log2 of the largest naturally aligned block within a run of memory */
static inline unsigned int dma_buf_largest_block(phys_addr_t paddr, size_t len)
{
	unsigned int lg2 = ilog2(len);
	phys_addr_t skip = -paddr & ((1ULL << lg2) - 1);

	/* Half of the length fits in any case */
	return skip <= len - (1ULL << lg2) ? lg2 : lg2 - 1;
}

const struct dma_buf_phys_list *
dma_buf_pal_take(struct dma_buf_attachment *attach, size_t *extents);
void dma_buf_pal_give(struct dma_buf_attachment *attach,
		      const struct dma_buf_phys_list *list);
struct dma_buf_pal *dma_buf_pal_get(struct dma_buf_attachment *attach);
void dma_buf_pal_put(struct dma_buf_attachment *attach,
		     struct dma_buf_pal *pal);
const struct dma_buf_extent *dma_buf_pal_find(const struct dma_buf_pal *pal,
					      size_t offset);

int dma_buf_mapping_converter_register(struct dma_buf_mapping_converter *conv);
int dma_buf_mapping_converter_unregister(struct dma_buf_mapping_converter *conv);

extern const struct dma_buf_sgt_exp_ops dma_buf_legacy_sgt_ops;
extern const struct dma_buf_sgt_exp_ops dma_buf_no_sgt_ops;
extern struct dma_buf_mapping_converter dma_buf_pal_to_sgt;
extern struct dma_buf_mapping_converter dma_buf_pal_to_iommu;

#endif /* __DMA_BUF_MAPPING_INTERNAL_H */
