/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf mapping types: the contract between exporters, importers and core.
 */
#ifndef __LINUX_DMA_BUF_MAPPING_H
#define __LINUX_DMA_BUF_MAPPING_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/dma-buf.h>
#include <linux/list.h>
#include <linux/types.h>

struct iommu_domain;
struct module;
struct p2pdma_provider;

/**
 * DOC: overview
 *
 * A mapping type names one way in which an importer can use the memory of a
 * dma-buf. Exporter and importer each state a list of match entries, best one
 * first, and the dma-buf core picks the pair that both sides can serve: first a
 * pair of equal types, which the two drivers then use directly, else a pair that
 * core has a converter for. The choice is made when the importer attaches and
 * holds until it detaches.
 *
 * ============  ==================  ==========================================
 * type          who may state it    what it carries
 * ============  ==================  ==========================================
 * SGT           exporter, importer  scatterlist table: addresses for one device
 * PAL           exporter            physical address list, seen by core alone
 * iommu_domain  importer            translations, made by core in a domain
 * a driver's    exporter, importer  whatever the two drivers agreed on
 * ============  ==================  ==========================================
 *
 * Core converts PAL to SGT and PAL to iommu_domain, so that an exporter that
 * states its physical ranges once serves every importer. Only core ever holds a
 * physical address and a domain together: no importer is given an address, no
 * exporter a domain.
 *
 * An exporter that states nothing counts as one that states SGT, and so does
 * an importer that calls dma_buf_attach() or dma_buf_dynamic_attach(). Every
 * attachment thus has a mapping type, whatever the mix of drivers.
 */

/**
 * struct dma_buf_sgt_exp_ops - what an exporter of SGT provides
 *
 * The same two calls as &dma_buf_ops.map_dma_buf and
 * &dma_buf_ops.unmap_dma_buf, for an exporter that states its types itself.
 */
struct dma_buf_sgt_exp_ops {
	/**
	 * @map:
	 *
	 * Maps the whole buffer for &dma_buf_attachment.dev and returns the
	 * table, whose DMA addresses and lengths are page aligned. The importer
	 * may use the table until it is given back by @unmap, and the exporter
	 * frees it then.
	 *
	 * Context: May sleep. The reservation lock is held.
	 * Return: The table, or an ERR_PTR(): -ENODEV when the buffer is
	 * revoked, -ENOMEM, -EINTR, or what the DMA API said.
	 */
	struct sg_table *(*map)(struct dma_buf_attachment *attach,
				enum dma_data_direction dir);
	/**
	 * @unmap:
	 *
	 * Takes back a table of @map, with the same direction, unmaps and
	 * frees it. Nothing uses it any more.
	 *
	 * Context: May sleep. The reservation lock is held.
	 */
	void (*unmap)(struct dma_buf_attachment *attach, struct sg_table *sgt,
		      enum dma_data_direction dir);
};

/**
 * enum dma_buf_phys_attr - attributes of the memory that a PAL describes
 * @DMA_BUF_PHYS_MMIO: the ranges are device memory, which has no pages and is
 *	not cached. Without it they are ordinary, cacheable memory, and every
 *	page of theirs has a &struct page.
 * @DMA_BUF_PHYS_READ_ONLY: the importer may read the memory and not write it.
 *	A mapping by which it could write fails with -EACCES.
 */
enum dma_buf_phys_attr {
	DMA_BUF_PHYS_MMIO = BIT(0),
	DMA_BUF_PHYS_READ_ONLY = BIT(1),
};

/**
 * struct dma_buf_phys_list - physical address list, what a PAL exporter states
 *
 * The ranges make up the buffer in the order of the list. The list belongs to
 * the exporter and must not change while any attachment holds it, so one list
 * for each buffer can serve all of them.
 *
 * Core refuses a list with -EINVAL unless it has at least one range, each range
 * has a length, starts and ends on a page boundary and ends within
 * &phys_addr_t, and the lengths add up to &dma_buf.size. With
 * CONFIG_DMABUF_DEBUG also if ordinary memory has no pages.
 */
struct dma_buf_phys_list {
	/**
	 * @provider: of the p2p routing, the same that the exporter's match
	 * entry has; NULL for ordinary memory
	 */
	struct p2pdma_provider *provider;
	/** @attrs: of all ranges, an OR of &enum dma_buf_phys_attr */
	unsigned int attrs;
	/**
	 * @nr_ranges: number of ranges, at least 1. To be set by the exporter:
	 * kzalloc_flex() does so only with some compilers.
	 */
	size_t nr_ranges;
	/** @ranges: address and length of each range in bytes */
	struct phys_vec ranges[] __counted_by(nr_ranges);
};

/**
 * struct dma_buf_pal_exp_ops - what an exporter of PAL provides
 */
struct dma_buf_pal_exp_ops {
	/**
	 * @map_phys:
	 *
	 * Returns the list of the buffer, which then has to stay usable, and
	 * its addresses valid, until it is given back by @unmap_phys. Every
	 * successful call is followed by one of @unmap_phys, which an exporter
	 * that waits for its buffer to be unused can count on. The list stays
	 * the exporter's: it may return the same one each time, and core never
	 * frees or changes it.
	 *
	 * Context: May sleep. The reservation lock is held.
	 * Return: The list, or an ERR_PTR(): -ENODEV when the buffer is
	 * revoked, or what else the exporter fails with. Whoever wanted to map
	 * gets that errno.
	 */
	const struct dma_buf_phys_list *
		(*map_phys)(struct dma_buf_attachment *attach);
	/**
	 * @unmap_phys:
	 *
	 * Takes back a list of @map_phys. Nothing that core mapped from it for
	 * @attach is left. Cannot fail, and is called for a revoked buffer just
	 * as well.
	 *
	 * With an IOMMU that is lazy (iommu.strict=0, which no untrusted device
	 * gets) the device of an importer of SGT may have one thing left: where
	 * no IOVA range was free for the buffer as a whole, and each entry was
	 * mapped by itself, the IOTLB may remember entries until the queue of
	 * the DMA API is flushed. That is at most 10 ms away, or 1 s where all
	 * processors share a queue. A device that was told to stop, as a revoke
	 * has its importer do, makes no use of that.
	 *
	 * Context: May sleep. The reservation lock is held, and no other lock
	 * of core.
	 */
	void (*unmap_phys)(struct dma_buf_attachment *attach,
			   const struct dma_buf_phys_list *list);
};

/**
 * struct dma_buf_mapping_match - what one side can do, one entry of its list
 *
 * Entries are made by DMA_BUF_EMAPPING_SGT() and its like, never by hand. A list
 * need not outlive the call that it is passed to.
 */
struct dma_buf_mapping_match {
	/** @type: the mapping type, which has to be registered */
	struct dma_buf_mapping_type *type;
	union {
		/** @sgt_ops: exporter's side of SGT */
		const struct dma_buf_sgt_exp_ops *sgt_ops;
		/** @pal_ops: exporter's side of PAL */
		const struct dma_buf_pal_exp_ops *pal_ops;
		/**
		 * @exp_ops: exporter's side of a driver's own type, NULL if
		 * that has none. Of all three, the operations have to live as
		 * long as the dma-buf.
		 */
		const void *exp_ops;
	};
	/**
	 * @dev: importer's side: device that does the DMA, NULL for none. It
	 * becomes &dma_buf_attachment.dev.
	 */
	struct device *dev;
	union {
		/** @pal: exporter's side of PAL */
		struct {
			/**
			 * @pal.provider: routes p2p DMA to the buffer, see
			 * DMA_BUF_EMAPPING_PAL()
			 */
			struct p2pdma_provider *provider;
			/**
			 * @pal.attrs: what every list of this buffer has as
			 * &dma_buf_phys_list.attrs
			 */
			unsigned int attrs;
		} pal;
		/**
		 * @data: for the match callback of a driver's own type. Core
		 * does not look at it.
		 */
		const void *data;
	};
};

/**
 * struct dma_buf_mapping_type - a registered kind of mapping
 *
 * A driver defines its own, one static instance, for memory that none of core's
 * types can describe, such as an interconnect that is no PCI. Such a type is
 * only ever matched directly. Which operations its exporters provide, and what
 * its importers call, is between the two drivers: see
 * dma_buf_mapping_exp_ops().
 */
struct dma_buf_mapping_type {
	/**
	 * @name: unique name, shown in debugfs and by dma_buf_mapping_name()
	 */
	const char *name;
	/**
	 * @owner: module that stays loaded while an attachment uses the type,
	 * THIS_MODULE in nearly every case
	 */
	struct module *owner;
	/**
	 * @match:
	 *
	 * Decides whether the two entries, both of this type, go together.
	 * May be NULL: they do.
	 *
	 * Context: May sleep. Called without the reservation lock and may read
	 * only what does not change while the dma-buf lives. Core's registry
	 * is locked for reading, so it must neither attach to a dma-buf nor
	 * register a type.
	 * Return: 0 if they do, -EOPNOTSUPP to let core go on looking, any
	 * other errno to make the attach fail with it.
	 */
	int (*match)(struct dma_buf_attachment *attach,
		     const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp);

	/* private: core's */
	struct list_head node;
	atomic_t users;
	bool (*exp_ops_valid)(const struct dma_buf_mapping_match *exp);
	bool registered;
	bool permanent;
	bool exporter_only;
	bool importer_only;
};

/**
 * struct dma_buf_match_args - one negotiation, handed through the exporter
 *
 * An exporter passes it on to dma_buf_match_mapping().
 */
struct dma_buf_match_args {
	/**
	 * @attach: the attachment in the making. What the importer passed is
	 * set. &dma_buf_attachment.dev is that of the importer's entry that is
	 * being tried, and not known before the first one, unless the importer
	 * is a legacy one.
	 */
	struct dma_buf_attachment *attach;

	/* private: core's */
	const struct dma_buf_mapping_match *imp;
	unsigned int num_imp;
};

/**
 * var dma_buf_mapping_sgt - the type SGT: a DMA mapped scatterlist
 *
 * To be stated by DMA_BUF_EMAPPING_SGT() and DMA_BUF_IMAPPING_SGT().
 */
extern struct dma_buf_mapping_type dma_buf_mapping_sgt;

/**
 * var dma_buf_mapping_pal - the type PAL: a physical address list
 *
 * To be stated by DMA_BUF_EMAPPING_PAL(). An importer cannot state it.
 */
extern struct dma_buf_mapping_type dma_buf_mapping_pal;

/**
 * var dma_buf_mapping_iommu - the type iommu_domain: translations in a domain
 *
 * To be stated by DMA_BUF_IMAPPING_IOMMU(), for iommufd only. An exporter
 * cannot state it.
 */
extern struct dma_buf_mapping_type dma_buf_mapping_iommu;

/**
 * DMA_BUF_EMAPPING_SGT - exporter's match entry: maps a scatterlist itself
 * @_ops: the exporter's &struct dma_buf_sgt_exp_ops, which live as long as the
 *	dma-buf
 */
#define DMA_BUF_EMAPPING_SGT(_ops)                                       \
	((struct dma_buf_mapping_match) {                                \
		.type = &dma_buf_mapping_sgt, .sgt_ops = (_ops),         \
	})

/**
 * DMA_BUF_IMAPPING_SGT - importer's match entry: wants a scatterlist
 * @_dev: the device that does the DMA. With NULL the attach fails with -EINVAL.
 *
 * Device memory matches only if &dma_buf_attach_ops.allow_peer2peer is set.
 */
#define DMA_BUF_IMAPPING_SGT(_dev)                                       \
	((struct dma_buf_mapping_match) {                                \
		.type = &dma_buf_mapping_sgt, .dev = (_dev),             \
	})

/**
 * DMA_BUF_EMAPPING_PAL - exporter's match entry: states physical ranges
 * @_ops: the exporter's &struct dma_buf_pal_exp_ops, which live as long as the
 *	dma-buf
 * @_attrs: what every list of this buffer will have as its attributes, an OR of
 *	&enum dma_buf_phys_attr
 * @_provider: p2pdma provider, NULL for ordinary memory. Core looks at it
 *	without a lock in order to find a route to the importer's device, so it
 *	has to stay valid for the life of the dma-buf, its device included.
 */
#define DMA_BUF_EMAPPING_PAL(_ops, _attrs, _provider)                    \
	((struct dma_buf_mapping_match) {                                \
		.type = &dma_buf_mapping_pal, .pal_ops = (_ops),         \
		.pal = { .provider = (_provider), .attrs = (_attrs) },   \
	})

/**
 * DMA_BUF_IMAPPING_IOMMU - importer's match entry: has iommu_domains of its own
 *
 * The domain is named when a slice is mapped, see dma_buf_iommu_map(). Core
 * makes and revokes the mappings, so the importer needs no callbacks. For
 * iommufd only, as are the calls that take a domain.
 */
#define DMA_BUF_IMAPPING_IOMMU()                                         \
	((struct dma_buf_mapping_match) {                                \
		.type = &dma_buf_mapping_iommu,                          \
	})

/**
 * DMA_BUF_IOMMU_SMALL_PAGES - for dma_buf_iommu_map(): map with pages of
 * PAGE_SIZE at most
 */
#define DMA_BUF_IOMMU_SMALL_PAGES BIT(0)

/**
 * DMA_BUF_IOMMU_WALK_DIRTY - for dma_buf_iommu_walk_begin(): look for dirty bits
 */
#define DMA_BUF_IOMMU_WALK_DIRTY BIT(0)

int dma_buf_mapping_type_register(struct dma_buf_mapping_type *type);
int dma_buf_mapping_type_unregister(struct dma_buf_mapping_type *type);

int dma_buf_match_mapping(struct dma_buf_match_args *args,
			  const struct dma_buf_mapping_match *exp,
			  unsigned int num_exp);

struct dma_buf_attachment *
dma_buf_mapping_attach(struct dma_buf *dmabuf,
		       const struct dma_buf_mapping_match *imp,
		       unsigned int num_imp,
		       const struct dma_buf_attach_ops *importer_ops,
		       void *importer_priv);

const char *dma_buf_mapping_name(struct dma_buf_attachment *attach);
const void *dma_buf_mapping_exp_ops(struct dma_buf_attachment *attach,
				    const struct dma_buf_mapping_type *type);
bool dma_buf_mapping_agreed_on(struct dma_buf_attachment *attach,
			       const void *exp_ops);

int dma_buf_restore_mappings(struct dma_buf *dmabuf);

int dma_buf_iommu_map(struct dma_buf_attachment *attach,
		      struct iommu_domain *domain, unsigned long iova,
		      size_t offset, size_t length, int prot,
		      unsigned int flags);
int dma_buf_iommu_unmap(struct dma_buf_attachment *attach,
			struct iommu_domain *domain, unsigned long iova,
			size_t length);
int dma_buf_iommu_check_prot(struct dma_buf_attachment *attach, int prot);
unsigned long dma_buf_iommu_iova_align(struct dma_buf_attachment *attach,
				       size_t offset, size_t length,
				       unsigned long *align_offset);

/* Held between the two calls around a walk of a domain */
token_context_lock(dma_buf_iommu_walk);

bool dma_buf_iommu_walk_begin(struct dma_buf_attachment *attach,
			      struct iommu_domain *domain, unsigned long iova,
			      unsigned int flags)
	__cond_acquires(true, dma_buf_iommu_walk);
void dma_buf_iommu_walk_end(struct dma_buf_attachment *attach)
	__releases(dma_buf_iommu_walk);

#endif /* __LINUX_DMA_BUF_MAPPING_H */
