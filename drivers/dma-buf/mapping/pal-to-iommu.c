// SPDX-License-Identifier: GPL-2.0-only
/*
 * Converter from PAL to iommu_domain: core translates an exporter's physical
 * ranges in the importer's domains, and owns every mapping that it makes there.
 */
#include <linux/cleanup.h>
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
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
	 * @index: of the exporter's list, NULL while revoked. Written under the
	 * reservation lock and @lock, read under either.
	 */
	struct dma_buf_pal_index *index;
	/**
	 * @slices: of &struct slice_record, sorted by domain and IOVA, none of
	 * which overlap. Protected by @lock.
	 */
	struct rb_root slices;
};

/**
 * struct slice_record - a slice that the importer has mapped
 * @node: in &pal_iommu.slices, protected by &pal_iommu.lock
 * @slice: what and where
 */
struct slice_record {
	struct rb_node node;
	struct iommu_slice slice;
};

static struct iommu_slice *node_slice(const struct rb_node *node)
{
	return &rb_entry(node, struct slice_record, node)->slice;
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

static int map_small(const struct iommu_slice *slice, unsigned long iova,
		     phys_addr_t paddr, size_t len, int prot)
{
	size_t done;
	int ret;

	for (done = 0; done < len; done += PAGE_SIZE) {
		ret = iommu_map_nosync(slice->domain, iova + done, paddr + done,
				       min(len - done, PAGE_SIZE), prot,
				       GFP_KERNEL_ACCOUNT);
		if (ret) {
			iommu_unmap(slice->domain, iova, done);
			return ret;
		}
	}
	return 0;
}

static int map_extent(const struct iommu_slice *slice, unsigned long iova,
		      phys_addr_t paddr, size_t len, int prot)
{
	if (slice->flags & DMA_BUF_IOMMU_SMALL_PAGES)
		return map_small(slice, iova, paddr, len, prot);
	return iommu_map_nosync(slice->domain, iova, paddr, len, prot,
				GFP_KERNEL_ACCOUNT);
}

static int map_prot(const struct dma_buf_pal_index *index, int prot)
{
	if (index->list->attrs & DMA_BUF_PHYS_MMIO)
		return (prot & ~IOMMU_CACHE) | IOMMU_MMIO;
	return prot;
}

/* On failure nothing of the slice stays mapped */
static int map_slice(const struct dma_buf_pal_index *index,
		     const struct iommu_slice *slice)
{
	const struct dma_buf_extent *extent =
		dma_buf_pal_find(index, slice->offset);
	int prot = map_prot(index, slice->prot);
	size_t skip = slice->offset - extent->offset;
	size_t done = 0, len;
	int ret;

	for (; done < slice->length; extent++, done += len, skip = 0) {
		len = min(dma_buf_extent_len(extent) - skip,
			  slice->length - done);
		ret = map_extent(slice, slice->iova + done,
				 extent->paddr + skip, len, prot);
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
 * Unmaps all slices before @end, or all there are if it is NULL. The tree is
 * sorted by domain, so there is one gather for each. Its driver may flush more
 * than once all the same, where slices are not adjacent.
 */
static void unmap_slices(struct pal_iommu *pi, const struct rb_node *end)
{
	struct iommu_iotlb_gather gather;
	struct iommu_domain *domain = NULL;
	struct rb_node *node;

	lockdep_assert_held(&pi->lock);

	for (node = rb_first(&pi->slices); node != end; node = rb_next(node)) {
		struct iommu_slice *slice = node_slice(node);

		if (slice->domain != domain) {
			if (domain)
				iommu_iotlb_sync(domain, &gather);
			domain = slice->domain;
			iommu_iotlb_gather_init(&gather);
		}
		unmap_slice(slice, &gather);
	}
	if (domain)
		iommu_iotlb_sync(domain, &gather);
}

static int map_slices(struct pal_iommu *pi)
{
	struct rb_node *node;
	int ret;

	lockdep_assert_held(&pi->lock);

	for (node = rb_first(&pi->slices); node; node = rb_next(node)) {
		ret = map_slice(pi->index, node_slice(node));
		if (ret) {
			unmap_slices(pi, node);
			return ret;
		}
	}
	return 0;
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
	if (rb_find_add(&record->node, &pi->slices, cmp_nodes))
		return -EEXIST;
	if (pi->index) {
		ret = map_slice(pi->index, slice);
		if (ret) {
			rb_erase(&record->node, &pi->slices);
			return ret;
		}
	}
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
	struct iommu_slice *slice;
	struct rb_node *node;

	guard(mutex)(&pi->lock);
	node = rb_find(&key, &pi->slices, cmp_key);
	slice = node ? node_slice(node) : NULL;
	if (!slice || slice->iova != iova || slice->length != length)
		return -ENOENT;

	if (pi->index) {
		iommu_iotlb_gather_init(&gather);
		unmap_slice(slice, &gather);
		iommu_iotlb_sync(domain, &gather);
	}
	rb_erase(node, &pi->slices);
	kfree(rb_entry(node, struct slice_record, node));
	return 0;
}

static bool pal_to_iommu_walk_begin(struct dma_buf_mapping_attachment *ma)
{
	struct pal_iommu *pi = ma->priv;

	mutex_lock(&pi->lock);
	if (!pi->index) {
		mutex_unlock(&pi->lock);
		return false;
	}
	return true;
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

	guard(mutex)(&pi->lock);
	if (!pi->index)
		return PAGE_SIZE;
	return dma_buf_pal_slice_align(pi->index, offset, length, align_offset);
}

static const struct dma_buf_iommu_ops pal_to_iommu_ops = {
	.map = pal_to_iommu_map,
	.unmap = pal_to_iommu_unmap,
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

static int pal_to_iommu_attach(struct dma_buf_mapping_attachment *ma)
{
	struct pal_iommu *pi;
	int ret;

	pi = kzalloc_obj(*pi, GFP_KERNEL_ACCOUNT);
	if (!pi)
		return -ENOMEM;
	mutex_init(&pi->lock);
	pi->attach = &ma->attach;
	pi->slices = RB_ROOT;

	ret = pin(pi->attach);
	if (ret)
		goto err_free;
	pi->index = dma_buf_pal_index_get(pi->attach);
	if (IS_ERR(pi->index)) {
		ret = PTR_ERR(pi->index);
		goto err_unpin;
	}
	ma->priv = pi;
	return 0;

err_unpin:
	unpin(pi->attach);
err_free:
	mutex_destroy(&pi->lock);
	kfree(pi);
	return ret;
}

static void pal_to_iommu_invalidate(struct dma_buf_mapping_attachment *ma)
{
	struct pal_iommu *pi = ma->priv;
	struct dma_buf_pal_index *index = pi->index;

	if (!index)
		return;

	scoped_guard(mutex, &pi->lock) {
		unmap_slices(pi, NULL);
		pi->index = NULL;
	}
	dma_buf_pal_index_put(pi->attach, index);
}

static int pal_to_iommu_restore(struct dma_buf_mapping_attachment *ma)
{
	struct pal_iommu *pi = ma->priv;
	struct dma_buf_pal_index *index;
	int ret;

	index = dma_buf_pal_index_get(pi->attach);
	if (IS_ERR(index))
		return PTR_ERR(index);

	scoped_guard(mutex, &pi->lock) {
		pi->index = index;
		ret = map_slices(pi);
		if (ret)
			pi->index = NULL;
	}
	if (ret)
		dma_buf_pal_index_put(pi->attach, index);
	return ret;
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
	mutex_destroy(&pi->lock);
	kfree(pi);
}

struct dma_buf_mapping_converter dma_buf_pal_to_iommu = {
	.name = "PAL -> iommu_domain",
	.exp_type = &dma_buf_mapping_pal,
	.imp_type = &dma_buf_mapping_iommu,
	.imp_ops = &pal_to_iommu_ops,
	.core_revokes = true,
	.match = pal_to_iommu_match,
	.attach = pal_to_iommu_attach,
	.detach = pal_to_iommu_detach,
	.invalidate = pal_to_iommu_invalidate,
	.restore = pal_to_iommu_restore,
};
