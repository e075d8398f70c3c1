// SPDX-License-Identifier: GPL-2.0-only
/*
 * Converter from PAL to iommu_domain: core translates an exporter's physical
 * ranges in the importer's domains, and owns every mapping that it makes there.
 */
#include <linux/cleanup.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"
#include "pal.h"

/**
 * struct pal_iommu - what an attachment has mapped
 */
struct pal_iommu {
	/**
	 * @lock: innermost lock of an attachment, taken inside of the reservation
	 * lock and of whatever an importer holds around map and unmap. Page
	 * tables are allocated under it, so it may not be taken by reclaim.
	 */
	struct mutex lock;
	/** @attach: the attachment */
	struct dma_buf_attachment *attach;
	/**
	 * @index: of the exporter's list, kept while revoked for the case that
	 * the same list comes back. Written under the reservation lock, and not
	 * used under @lock alone unless @in_place.
	 */
	struct dma_buf_pal_index *index;
	/**
	 * @in_place: the exporter's list is held, and slices are translated.
	 * Written under the reservation lock and @lock, read under either.
	 */
	bool in_place;
	/**
	 * @attrs: of the list, also while revoked. Written under @lock.
	 */
	unsigned int attrs;
	/**
	 * @slices: of &struct slice_record, sorted by domain and IOVA, none of
	 * which overlap. Protected by @lock.
	 */
	struct rb_root slices;
	/** @count: of @slices, protected by @lock */
	struct dma_buf_mapping_count count;
};

/**
 * struct slice_record - a slice that the importer has mapped
 * @node: in &pal_iommu.slices, protected by &pal_iommu.lock
 * @slice: what and where; its flags have SLICE_OUT as well, protected by
 *	&pal_iommu.lock
 */
struct slice_record {
	struct rb_node node;
	struct iommu_slice slice;
};

/* Not translated, as the buffer is revoked or a restore failed */
#define SLICE_OUT BIT(31)

static struct slice_record *node_record(const struct rb_node *node)
{
	return rb_entry(node, struct slice_record, node);
}

static bool is_out(const struct slice_record *record)
{
	return record->slice.flags & SLICE_OUT;
}

/* Of one that is in place */
static void set_out(struct pal_iommu *pi, struct slice_record *record)
{
	record->slice.flags |= SLICE_OUT;
	pi->count.out++;
}

static void set_in_place(struct pal_iommu *pi, struct slice_record *record)
{
	record->slice.flags &= ~SLICE_OUT;
	pi->count.out--;
}

static struct iommu_slice *node_slice(const struct rb_node *node)
{
	return &node_record(node)->slice;
}

/* Equal means that they overlap, for two slices of one domain */
static int cmp_slices(const struct iommu_slice *a, const struct iommu_slice *b)
{
	if (a->domain != b->domain)
		return a->domain < b->domain ? -1 : 1;
	if (a->iova + (a->length - 1) < b->iova)
		return -1;
	return a->iova > b->iova + (b->length - 1);
}

static int cmp_nodes(struct rb_node *a, const struct rb_node *b)
{
	return cmp_slices(node_slice(a), node_slice(b));
}

static int cmp_key(const void *key, const struct rb_node *b)
{
	return cmp_slices(key, node_slice(b));
}

static int map_run(const struct iommu_slice *slice, unsigned long iova,
		   phys_addr_t paddr, size_t len, int prot, gfp_t gfp)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	return iommu_map_nosync(slice->domain, iova, paddr, len, prot, gfp);
}

static int map_extent(const struct iommu_slice *slice, unsigned long iova,
		      phys_addr_t paddr, size_t len, int prot, gfp_t gfp)
{
	size_t done;
	int ret;

	if (!(slice->flags & DMA_BUF_IOMMU_SMALL_PAGES))
		return map_run(slice, iova, paddr, len, prot, gfp);

	for (done = 0; done < len; done += PAGE_SIZE) {
		ret = map_run(slice, iova + done, paddr + done,
			      min(len - done, PAGE_SIZE), prot, gfp);
		if (ret) {
			iommu_unmap(slice->domain, iova, done);
			return ret;
		}
	}
	return 0;
}

static bool is_mmio(const struct pal_iommu *pi)
{
	return pi->attrs & DMA_BUF_PHYS_MMIO;
}

static int check_prot(const struct pal_iommu *pi, int prot)
{
	if ((prot & IOMMU_WRITE) &&
	    (READ_ONCE(pi->attrs) & DMA_BUF_PHYS_READ_ONLY))
		return -EACCES;
	return 0;
}

/* On failure nothing of the slice stays mapped */
static int map_slice(const struct pal_iommu *pi,
		     const struct iommu_slice *slice, gfp_t gfp)
{
	const struct dma_buf_extent *extent =
		dma_buf_pal_find(pi->index, slice->offset);
	size_t skip = slice->offset - extent->offset;
	size_t done = 0, len;
	int prot = slice->prot;
	int ret;

	ret = check_prot(pi, prot);
	if (ret)
		return ret;
	if (is_mmio(pi))
		prot = (prot & ~IOMMU_CACHE) | IOMMU_MMIO;

	for (; done < slice->length; extent++, done += len, skip = 0) {
		len = min(dma_buf_extent_len(extent) - skip,
			  slice->length - done);
		ret = map_extent(slice, slice->iova + done,
				 extent->paddr + skip, len, prot, gfp);
		if (ret)
			goto err_unmap;
	}

	ret = iommu_sync_map(slice->domain, slice->iova, slice->length);
	if (!ret)
		return 0;

err_unmap:
	iommu_unmap(slice->domain, slice->iova, done);
	return ret;
}

static void unmap_slice(const struct iommu_slice *slice,
			struct iommu_iotlb_gather *gather)
{
	size_t unmapped;

	unmapped = iommu_unmap_fast(slice->domain, slice->iova, slice->length,
				    gather);
	/* The exporter relies on it, and no caller is left to get an errno */
	WARN_ON(unmapped != slice->length);
}

/*
 * The tree is sorted by domain, so there is one gather for each. Its driver may
 * flush more than once all the same, where slices are not adjacent.
 */
static void unmap_slices(struct pal_iommu *pi)
{
	struct iommu_iotlb_gather gather;
	struct iommu_domain *domain = NULL;
	struct rb_node *node;

	lockdep_assert_held(&pi->lock);

	for (node = rb_first(&pi->slices); node; node = rb_next(node)) {
		struct slice_record *record = node_record(node);
		struct iommu_slice *slice = &record->slice;

		if (is_out(record))
			continue;
		if (slice->domain != domain) {
			if (domain)
				iommu_iotlb_sync(domain, &gather);
			domain = slice->domain;
			iommu_iotlb_gather_init(&gather);
		}
		unmap_slice(slice, &gather);
		set_out(pi, record);
	}
	if (domain)
		iommu_iotlb_sync(domain, &gather);
}

/* What cannot be mapped stays out, and does not keep the others out */
static int map_slices(struct pal_iommu *pi)
{
	struct rb_node *node;
	int ret = 0, err;

	lockdep_assert_held(&pi->lock);

	for (node = rb_first(&pi->slices); node; node = rb_next(node)) {
		struct slice_record *record = node_record(node);

		if (!is_out(record))
			continue;
		err = map_slice(pi, &record->slice, DMA_BUF_MAPPING_RESTORE_GFP);
		if (!err)
			set_in_place(pi, record);
		ret = ret ?: err;
		if (err == -EINTR)
			return err;
	}
	return ret;
}

static int pal_to_iommu_map(struct dma_buf_mapping_attachment *ma,
			    const struct iommu_slice *slice)
{
	struct slice_record *record __free(kfree) = NULL;
	struct pal_iommu *pi = ma->priv;
	int ret;

	record = kmalloc_obj(*record, GFP_KERNEL_ACCOUNT);
	if (!record)
		return -ENOMEM;
	record->slice = *slice;

	guard(mutex)(&pi->lock);
	ret = check_prot(pi, slice->prot);
	if (ret)
		return ret;
	if (rb_find_add(&record->node, &pi->slices, cmp_nodes))
		return -EEXIST;
	if (!pi->in_place) {
		set_out(pi, record);
	} else {
		ret = map_slice(pi, slice, GFP_KERNEL_ACCOUNT);
		if (ret) {
			rb_erase(&record->node, &pi->slices);
			return ret;
		}
	}
	pi->count.recorded++;
	retain_and_null_ptr(record);
	return 0;
}

static int pal_to_iommu_unmap(struct dma_buf_mapping_attachment *ma,
			      struct iommu_domain *domain, unsigned long iova,
			      size_t length)
{
	const struct iommu_slice key = {
		.domain = domain,
		.iova = iova,
		.length = length,
	};
	struct iommu_iotlb_gather gather;
	struct pal_iommu *pi = ma->priv;
	struct slice_record *record;
	struct iommu_slice *slice;
	struct rb_node *node;

	guard(mutex)(&pi->lock);
	node = rb_find(&key, &pi->slices, cmp_key);
	if (!node)
		return -ENOENT;
	record = node_record(node);
	slice = &record->slice;
	if (slice->iova != iova || slice->length != length)
		return -ENOENT;

	if (!is_out(record)) {
		iommu_iotlb_gather_init(&gather);
		unmap_slice(slice, &gather);
		iommu_iotlb_sync(domain, &gather);
	}
	rb_erase(node, &pi->slices);
	pi->count.recorded--;
	pi->count.out -= is_out(record);
	kfree(record);
	return 0;
}

static int pal_to_iommu_check_prot(struct dma_buf_mapping_attachment *ma,
				   int prot)
{
	/* What is mapped is checked again, under the lock */
	return check_prot(ma->priv, prot);
}

static bool is_translated(struct pal_iommu *pi, struct iommu_domain *domain,
			  unsigned long iova)
{
	const struct iommu_slice key = {
		.domain = domain,
		.iova = iova,
		.length = 1,
	};
	struct rb_node *node;

	if (!domain)
		return pi->in_place;
	node = rb_find(&key, &pi->slices, cmp_key);
	return node && !is_out(node_record(node));
}

static bool pal_to_iommu_walk_begin(struct dma_buf_mapping_attachment *ma,
				    struct iommu_domain *domain,
				    unsigned long iova, unsigned int flags)
{
	struct pal_iommu *pi = ma->priv;

	mutex_lock(&pi->lock);
	if (is_translated(pi, domain, iova) &&
	    !((flags & DMA_BUF_IOMMU_WALK_DIRTY) && is_mmio(pi)))
		return true;
	mutex_unlock(&pi->lock);
	return false;
}

static void pal_to_iommu_walk_end(struct dma_buf_mapping_attachment *ma)
{
	struct pal_iommu *pi = ma->priv;

	mutex_unlock(&pi->lock);
}

static unsigned long
pal_to_iommu_iova_align(struct dma_buf_mapping_attachment *ma, size_t offset,
			size_t length, unsigned long *align_offset)
{
	struct pal_iommu *pi = ma->priv;
	unsigned long align;

	guard(mutex)(&pi->lock);
	if (!pi->in_place)
		return PAGE_SIZE;
	if (is_mmio(pi))
		return dma_buf_pal_slice_align(pi->index, offset, length,
					       align_offset);
	align = rounddown_pow_of_two(max(length, PAGE_SIZE));
	*align_offset = offset & (align - 1);
	return align;
}

static const struct dma_buf_iommu_ops pal_to_iommu_ops = {
	.map = pal_to_iommu_map,
	.unmap = pal_to_iommu_unmap,
	.check_prot = pal_to_iommu_check_prot,
	.walk_begin = pal_to_iommu_walk_begin,
	.walk_end = pal_to_iommu_walk_end,
	.iova_align = pal_to_iommu_iova_align,
};

static int pal_to_iommu_match(struct dma_buf_attachment *attach,
			      const struct dma_buf_mapping_match *exp,
			      const struct dma_buf_mapping_match *imp)
{
	return 0;
}

static int pin(struct dma_buf_attachment *attach)
{
	const struct dma_buf_ops *ops = attach->dmabuf->ops;

	return ops->pin ? ops->pin(attach) : 0;
}

static void unpin(struct dma_buf_attachment *attach)
{
	const struct dma_buf_ops *ops = attach->dmabuf->ops;

	if (ops->unpin)
		ops->unpin(attach);
}

/*
 * The list may be another one than before, with other attributes. The exporter's
 * attach may have said that device memory is not for this importer.
 */
static int take_list(struct pal_iommu *pi)
{
	unsigned int attrs;
	int ret;

	ret = dma_buf_pal_index_get(pi->attach, &pi->index);
	if (ret)
		return ret;
	attrs = pi->index->list->attrs;
	if ((attrs & DMA_BUF_PHYS_MMIO) && !pi->attach->peer2peer) {
		dma_buf_pal_index_unmap(pi->attach, pi->index);
		return -EOPNOTSUPP;
	}

	guard(mutex)(&pi->lock);
	WRITE_ONCE(pi->attrs, attrs);
	pi->in_place = true;
	return 0;
}

static void free_state(struct pal_iommu *pi)
{
	if (pi->index)
		dma_buf_pal_index_put(pi->index);
	mutex_destroy(&pi->lock);
	kfree(pi);
}

static int pal_to_iommu_attach(struct dma_buf_mapping_attachment *ma)
{
	struct dma_resv *resv = ma->attach.dmabuf->resv;
	struct pal_iommu *pi;
	long ret;

	pi = kzalloc_obj(*pi, GFP_KERNEL_ACCOUNT);
	if (!pi)
		return -ENOMEM;
	mutex_init(&pi->lock);
	pi->attach = &ma->attach;
	pi->slices = RB_ROOT;
	ma->priv = pi;

	ret = pin(pi->attach);
	if (ret)
		goto err_free;
	/* What the exporter has begun, such as a clear, has to come first */
	ret = dma_resv_wait_timeout(resv, DMA_RESV_USAGE_KERNEL, true,
				    MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		goto err_unpin;
	ret = take_list(pi);
	if (ret)
		goto err_unpin;
	/* The pin may have moved the buffer, and so invalidated */
	ma->revoked = false;
	return 0;

err_unpin:
	unpin(pi->attach);
err_free:
	ma->priv = NULL;
	free_state(pi);
	return ret;
}

static void pal_to_iommu_invalidate(struct dma_buf_mapping_attachment *ma)
{
	struct pal_iommu *pi = ma->priv;

	if (!pi->in_place)
		return;

	scoped_guard(mutex, &pi->lock) {
		unmap_slices(pi);
		pi->in_place = false;
	}
	dma_buf_pal_index_unmap(pi->attach, pi->index);
}

static void pal_to_iommu_count(struct dma_buf_mapping_attachment *ma,
			       struct dma_buf_mapping_count *count)
{
	struct pal_iommu *pi = ma->priv;

	if (!pi)
		return;
	guard(mutex)(&pi->lock);
	*count = pi->count;
}

static int pal_to_iommu_restore(struct dma_buf_mapping_attachment *ma)
{
	struct pal_iommu *pi = ma->priv;
	int ret;

	if (!pi->in_place) {
		ret = take_list(pi);
		if (ret)
			return ret;
		ma->revoked = false;
	}
	guard(mutex)(&pi->lock);
	return map_slices(pi);
}

static void free_records(struct pal_iommu *pi)
{
	struct slice_record *record, *next;

	rbtree_postorder_for_each_entry_safe(record, next, &pi->slices, node)
		kfree(record);
}

static void pal_to_iommu_detach(struct dma_buf_mapping_attachment *ma)
{
	struct pal_iommu *pi = ma->priv;

	WARN_ONCE(!RB_EMPTY_ROOT(&pi->slices),
		  "importer detaches with mappings left\n");
	pal_to_iommu_invalidate(ma);
	free_records(pi);
	unpin(pi->attach);
	free_state(pi);
}

struct dma_buf_mapping_converter dma_buf_pal_to_iommu = {
	.name = "PAL -> iommu_domain",
	.permanent = true,
	.exp_type = &dma_buf_mapping_pal,
	.imp_type = &dma_buf_mapping_iommu,
	.imp_ops = &pal_to_iommu_ops,
	.core_revokes = true,
	.match = pal_to_iommu_match,
	.attach = pal_to_iommu_attach,
	.detach = pal_to_iommu_detach,
	.invalidate = pal_to_iommu_invalidate,
	.restore = pal_to_iommu_restore,
	.count = pal_to_iommu_count,
};
