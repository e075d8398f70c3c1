/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What core, the types and the converters share. It shows no physical address,
 * for which there is pal.h. Nothing outside of drivers/dma-buf/mapping/ may
 * include this.
 */
#ifndef __DMA_BUF_MAPPING_INTERNAL_H
#define __DMA_BUF_MAPPING_INTERNAL_H

#include <linux/dma-buf-mapping.h>
#include <linux/gfp_types.h>
#include <linux/list.h>
#include <linux/sched.h>

struct dma_buf_mapping_attachment;
struct dma_buf_mapping_count;
struct iommu_domain;
struct mem_cgroup;
struct rw_semaphore;

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
	/**
	 * @imp_ops: how the importer maps, as @imp_type prescribes: &struct
	 * dma_buf_sgt_exp_ops for SGT, &struct dma_buf_iommu_ops for
	 * iommu_domain. It becomes &dma_buf_mapping_attachment.imp_ops.
	 */
	const void *imp_ops;
	/**
	 * @core_revokes: core makes the mappings and removes them by itself when
	 * the exporter invalidates, MMIO or not. Whatever the importer's
	 * callbacks, the attachment is revocable and accepts p2p.
	 */
	bool core_revokes;
	/** @match: as &dma_buf_mapping_type.match */
	int (*match)(struct dma_buf_attachment *attach,
		     const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp);
	/**
	 * @attach: starts the use of the buffer; the attachment is in
	 * &dma_buf.attachments already, so that @invalidate may be called from
	 * within. The reservation lock is held for this call and those below.
	 */
	int (*attach)(struct dma_buf_mapping_attachment *ma);
	/** @detach: ends the use; the attachment has left the list */
	void (*detach)(struct dma_buf_mapping_attachment *ma);
	/** @invalidate: removes all that is mapped, before it returns */
	void (*invalidate)(struct dma_buf_mapping_attachment *ma);
	/**
	 * @restore: maps what is not in place, each mapping by itself. Returns
	 * the first errno, with &dma_buf_mapping_attachment.revoked cleared if
	 * it has the exporter's list nevertheless. -EINTR, for a fatal signal,
	 * ends the restore of the buffer.
	 */
	int (*restore)(struct dma_buf_mapping_attachment *ma);
	/** @count: tells how many mappings there are; for @core_revokes */
	void (*count)(struct dma_buf_mapping_attachment *ma,
		      struct dma_buf_mapping_count *count);
	/**
	 * @sync_for_cpu: before the CPU accesses the buffer in the direction
	 * that is given, as that of a DMA. Called if &dma_buf.cpu_synced is not
	 * 0, whichever attachment that is for.
	 */
	void (*sync_for_cpu)(struct dma_buf_mapping_attachment *ma,
			     enum dma_data_direction dir);
	/** @sync_for_device: after it has */
	void (*sync_for_device)(struct dma_buf_mapping_attachment *ma,
				enum dma_data_direction dir);

	/** @node: in the registry, protected by its lock */
	struct list_head node;
	/** @users: attachments that convert with it */
	atomic_t users;
	/** @registered: protected by the registry's lock */
	bool registered;
	/** @permanent: core's own, never unregistered and so not counted */
	bool permanent;
};

/**
 * struct dma_buf_mapping_owner - whose attachment it is, where core maps
 * @memcg: pays for what core allocates to map, NULL without memory cgroups
 * @pid: of the task that attached, in the first PID namespace, for the log
 * @comm: its name
 */
struct dma_buf_mapping_owner {
	struct mem_cgroup *memcg;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

/**
 * struct dma_buf_mapping_count - mappings that core made for an attachment
 * @recorded: what the importer has mapped and not unmapped
 * @out: those of them that are not in place
 */
struct dma_buf_mapping_count {
	size_t recorded;
	size_t out;
};

/**
 * struct dma_buf_mapping_attachment - an attachment and what was agreed for it
 *
 * All but @tables, @revoked and @incomplete is written when the importer
 * attaches, and does not change until the attachment is freed.
 */
struct dma_buf_mapping_attachment {
	/** @attach: the part that drivers see */
	struct dma_buf_attachment attach;
	/** @exp_type: type of the exporter's entry that matched */
	struct dma_buf_mapping_type *exp_type;
	/** @exp_ops: its operations */
	const void *exp_ops;
	/** @imp_type: type of the importer's entry that matched */
	struct dma_buf_mapping_type *imp_type;
	/**
	 * @imp_ops: how the importer maps, as @imp_type prescribes: @exp_ops
	 * where the types are equal, else those of @converter
	 */
	const void *imp_ops;
	/** @converter: from @exp_type to @imp_type, NULL if they are equal */
	struct dma_buf_mapping_converter *converter;
	/** @owner: NULL unless the converter has @core_revokes */
	struct dma_buf_mapping_owner *owner;
	union {
		/** @priv: the converter's */
		void *priv;
		/**
		 * @tables: of the converter from PAL to SGT, the ones that have
		 * to be synchronised when the CPU accesses the buffer.
		 * Protected by the reservation lock.
		 */
		struct hlist_head tables;
	};
	/**
	 * @revoked: invalidated, and neither mapped nor restored since.
	 * Protected by the reservation lock.
	 */
	bool revoked;
	/**
	 * @incomplete: the last restore left something out, and the next one
	 * has to try again. Protected by the reservation lock.
	 */
	bool incomplete;
};

static inline struct dma_buf_mapping_attachment *
to_mapping_attachment(struct dma_buf_attachment *attach)
{
	return container_of(attach, struct dma_buf_mapping_attachment, attach);
}

/**
 * dma_buf_mapping_imp_ops - how the importer of an attachment maps
 * @ma: the attachment
 * @type: the importer's type, which says what the operations are
 *
 * Return: &dma_buf_mapping_attachment.imp_ops; NULL if the importer agreed on
 * another type.
 */
static inline const void *
dma_buf_mapping_imp_ops(const struct dma_buf_mapping_attachment *ma,
			const struct dma_buf_mapping_type *type)
{
	return likely(ma->imp_type == type) ? ma->imp_ops : NULL;
}

/**
 * struct iommu_slice - a slice of the buffer in a domain
 * @domain: the importer's, which stays alive until it unmaps
 * @iova: where the slice starts in @domain
 * @offset: where the slice starts in the buffer, in bytes
 * @length: of the slice in bytes
 * @prot: IOMMU_READ and its like, as the importer gave them
 * @flags: DMA_BUF_IOMMU_SMALL_PAGES
 */
struct iommu_slice {
	struct iommu_domain *domain;
	unsigned long iova;
	size_t offset;
	size_t length;
	int prot;
	unsigned int flags;
};

/**
 * struct dma_buf_iommu_ops - how a converter serves importers of iommu_domain
 *
 * The calls stand behind those of their names in dma-buf-mapping.h, which say
 * what holds for them. A slice is within the buffer and aligned.
 */
struct dma_buf_iommu_ops {
	/** @map: for dma_buf_iommu_map(). @slice is not needed after the call. */
	int (*map)(struct dma_buf_mapping_attachment *ma,
		   const struct iommu_slice *slice);
	/** @unmap: for dma_buf_iommu_unmap(). @length is not 0. */
	int (*unmap)(struct dma_buf_mapping_attachment *ma,
		     struct iommu_domain *domain, unsigned long iova,
		     size_t length);
	/** @check_prot: for dma_buf_iommu_check_prot() */
	int (*check_prot)(struct dma_buf_mapping_attachment *ma, int prot);
	/** @walk_begin: for dma_buf_iommu_walk_begin() */
	bool (*walk_begin)(struct dma_buf_mapping_attachment *ma,
			   struct iommu_domain *domain, unsigned long iova,
			   unsigned int flags);
	/** @walk_end: for dma_buf_iommu_walk_end() */
	void (*walk_end)(struct dma_buf_mapping_attachment *ma);
	/** @iova_align: for dma_buf_iommu_iova_align() */
	unsigned long (*iova_align)(struct dma_buf_mapping_attachment *ma,
				    size_t offset, size_t length,
				    unsigned long *align_offset);
};

/*
 * A restore must not have a task killed for want of memory: it can go without,
 * and may be charging somebody else.
 */
#define DMA_BUF_MAPPING_RESTORE_GFP \
	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* registry.c */

/*
 * Protects both lists, and what is registered against going away while an
 * attachment negotiates.
 */
extern struct rw_semaphore dma_buf_mapping_registry_lock;
extern struct list_head dma_buf_mapping_types;
extern struct list_head dma_buf_mapping_converters;

int dma_buf_mapping_converter_register(struct dma_buf_mapping_converter *conv);
int dma_buf_mapping_converter_unregister(struct dma_buf_mapping_converter *conv);
struct dma_buf_mapping_converter *
dma_buf_mapping_find_converter(const struct dma_buf_mapping_type *exp_type,
			       const struct dma_buf_mapping_type *imp_type);
int dma_buf_mapping_get_agreed(struct dma_buf_mapping_type *exp_type,
			       struct dma_buf_mapping_type *imp_type,
			       struct dma_buf_mapping_converter *conv);
void dma_buf_mapping_put_agreed(struct dma_buf_mapping_attachment *ma);

/* revoke.c */
struct dma_buf_mapping_count
dma_buf_mapping_count(struct dma_buf_mapping_attachment *ma);

/* negotiate.c */
int dma_buf_mapping_negotiate(struct dma_buf_mapping_attachment *ma,
			      const struct dma_buf_mapping_match *imp,
			      unsigned int num_imp);

extern const struct dma_buf_sgt_exp_ops dma_buf_legacy_sgt_ops;
extern struct dma_buf_mapping_converter dma_buf_pal_to_sgt;
extern struct dma_buf_mapping_converter dma_buf_pal_to_iommu;

#endif /* __DMA_BUF_MAPPING_INTERNAL_H */
