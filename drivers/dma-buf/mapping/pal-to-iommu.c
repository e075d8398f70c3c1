// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping type iommu_domain and the converter from PAL to it: core translates
 * an exporter's physical ranges in the importer's domains, and owns every
 * mapping that it makes there.
 */
#include <linux/cleanup.h>
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/rbtree.h>
#include <linux/slab.h>

#include "internal.h"

struct dma_buf_mapping_type dma_buf_mapping_iommu = {
	.name = "iommu_domain",
	.importer_only = true,
};
EXPORT_SYMBOL_FOR_MODULES(dma_buf_mapping_iommu, "iommufd");

/**
 * struct pal_iommu - what an attachment has mapped
 */
struct pal_iommu {
	/**
	 * @lock: innermost lock of a mapping, taken inside of the reservation
	 * lock and of whatever an importer holds around map and unmap. Page
	 * tables are allocated under it, so it may not be taken by reclaim.
	 */
	struct mutex lock;
	/** @attach: the attachment */
	struct dma_buf_attachment *attach;
	/**
	 * @pal: the exporter's list, NULL while revoked. Written under the
	 * reservation lock and @lock, read under either.
	 */
	struct dma_buf_pal *pal;
	/**
	 * @mappings: of &struct iommu_mapping, sorted by domain and IOVA, none
	 * of which overlap. Protected by @lock.
	 */
	struct rb_root mappings;
};

/**
 * struct iommu_mapping - a slice of the buffer in a domain
 * @node: in &pal_iommu.mappings
 * @domain: the importer's, which stays alive until it unmaps
 * @iova: where the slice starts in @domain
 * @offset: where the slice starts in the buffer, in bytes
 * @length: of the slice in bytes
 * @prot: IOMMU_READ and its like, as the importer gave them
 * @flags: DMA_BUF_IOMMU_SMALL_PAGES
 */
struct iommu_mapping {
	struct rb_node node;
	struct iommu_domain *domain;
	unsigned long iova;
	size_t offset;
	size_t length;
	int prot;
	unsigned int flags;
};

#define to_iommu_mapping(_node) rb_entry(_node, struct iommu_mapping, node)

static struct pal_iommu *to_pal_iommu(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping *m = to_mapping(attach);

	if (WARN_ON_ONCE(m->converter != &dma_buf_pal_to_iommu))
		return NULL;
	return m->priv;
}

/* Equal means that they overlap, for two slices of one domain */
static int cmp_mappings(const struct iommu_mapping *a,
			const struct iommu_mapping *b)
{
	if (a->domain != b->domain)
		return a->domain < b->domain ? -1 : 1;
	if (a->iova + (a->length - 1) < b->iova)
		return -1;
	return a->iova > b->iova + (b->length - 1);
}

static int cmp_nodes(struct rb_node *a, const struct rb_node *b)
{
	return cmp_mappings(to_iommu_mapping(a), to_iommu_mapping(b));
}

static int cmp_key(const void *key, const struct rb_node *b)
{
	return cmp_mappings(key, to_iommu_mapping(b));
}

static int map_small(const struct iommu_mapping *im, unsigned long iova,
		     phys_addr_t paddr, size_t len, int prot)
{
	size_t done;
	int ret;

	for (done = 0; done < len; done += PAGE_SIZE) {
		ret = iommu_map_nosync(im->domain, iova + done, paddr + done,
				       min(len - done, PAGE_SIZE), prot,
				       GFP_KERNEL_ACCOUNT);
		if (ret) {
			iommu_unmap(im->domain, iova, done);
			return ret;
		}
	}
	return 0;
}

static int map_extent(const struct iommu_mapping *im, unsigned long iova,
		      phys_addr_t paddr, size_t len, int prot)
{
	if (im->flags & DMA_BUF_IOMMU_SMALL_PAGES)
		return map_small(im, iova, paddr, len, prot);
	return iommu_map_nosync(im->domain, iova, paddr, len, prot,
				GFP_KERNEL_ACCOUNT);
}

static int map_prot(const struct dma_buf_pal *pal, int prot)
{
	if (pal->list->attrs & DMA_BUF_PHYS_MMIO)
		return (prot & ~IOMMU_CACHE) | IOMMU_MMIO;
	return prot;
}

/* Installs a slice; on failure nothing of it stays mapped */
static int install(const struct dma_buf_pal *pal,
		   const struct iommu_mapping *im)
{
	const struct dma_buf_extent *extent = dma_buf_pal_find(pal, im->offset);
	int prot = map_prot(pal, im->prot);
	size_t skip = im->offset - extent->offset;
	size_t done = 0, len;
	int ret;

	for (; done < im->length; extent++, done += len, skip = 0) {
		len = min(dma_buf_extent_len(extent) - skip, im->length - done);
		ret = map_extent(im, im->iova + done, extent->paddr + skip, len,
				 prot);
		if (ret)
			goto err_unmap;
	}

	ret = iommu_sync_map(im->domain, im->iova, im->length);
	if (!ret)
		return 0;

err_unmap:
	iommu_unmap(im->domain, im->iova, done);
	return ret;
}

static void remove_mapping(const struct iommu_mapping *im,
			   struct iommu_iotlb_gather *gather)
{
	size_t unmapped;

	unmapped = iommu_unmap_fast(im->domain, im->iova, im->length, gather);
	/* The exporter relies on it, and nobody is left to be told */
	WARN_ON(unmapped != im->length);
}

/*
 * Removes all that comes before @end, NULL for everything, from its domains.
 * The order of the tree makes it one gather for each domain; whether there are
 * more flushes than one, for the gaps, is up to its driver.
 */
static void remove_mappings(struct pal_iommu *pi, const struct rb_node *end)
{
	struct iommu_iotlb_gather gather;
	struct iommu_domain *domain = NULL;
	struct rb_node *node;

	lockdep_assert_held(&pi->lock);

	for (node = rb_first(&pi->mappings); node != end;
	     node = rb_next(node)) {
		struct iommu_mapping *im = to_iommu_mapping(node);

		if (im->domain != domain) {
			if (domain)
				iommu_iotlb_sync(domain, &gather);
			domain = im->domain;
			iommu_iotlb_gather_init(&gather);
		}
		remove_mapping(im, &gather);
	}
	if (domain)
		iommu_iotlb_sync(domain, &gather);
}

static int install_mappings(struct pal_iommu *pi)
{
	struct rb_node *node;
	int ret;

	lockdep_assert_held(&pi->lock);

	for (node = rb_first(&pi->mappings); node; node = rb_next(node)) {
		ret = install(pi->pal, to_iommu_mapping(node));
		if (ret) {
			remove_mappings(pi, node);
			return ret;
		}
	}
	return 0;
}

/* Of what a restore would fail for, as much as can be known beforehand */
static int check_slice(struct dma_buf_attachment *attach,
		       const struct iommu_mapping *im)
{
	const struct iommu_domain_geometry *geometry = &im->domain->geometry;
	size_t align = 1UL << __ffs(im->domain->pgsize_bitmap);
	unsigned long last;
	size_t end;

	if (!im->length || !IS_ALIGNED(im->iova, align) ||
	    !IS_ALIGNED(im->offset | im->length, align) ||
	    check_add_overflow(im->iova, im->length - 1, &last) ||
	    check_add_overflow(im->offset, im->length, &end) ||
	    end > attach->dmabuf->size)
		return -EINVAL;
	if (geometry->force_aperture && (im->iova < geometry->aperture_start ||
					 last > geometry->aperture_end))
		return -ERANGE;
	return 0;
}

/**
 * dma_buf_iommu_map - map a slice of the buffer into a domain
 * @attach: attachment that agreed on iommu_domain
 * @domain: a paging domain, which has to live until the slice is unmapped
 * @iova: where to map to, aligned to the domain's smallest page
 * @offset: bytes into the buffer, aligned likewise
 * @length: bytes to map, aligned likewise
 * @prot: IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE and so on; core puts IOMMU_MMIO
 *	for IOMMU_CACHE where the memory asks for it
 * @flags: DMA_BUF_IOMMU_SMALL_PAGES or 0
 *
 * Adjacent ranges are mapped as one, with the largest pages that the domain has
 * for them. Core owns the mapping: a revoke removes it without the importer's
 * help. While the buffer is revoked, or could not be restored, a mapping is
 * recorded only, to be made with all others when a restore succeeds.
 *
 * Context: May sleep. Takes the attachment's lock and nothing else: any lock may
 * be held, the reservation lock included, that is not taken by reclaim.
 * Return: 0, or an errno with nothing mapped: -EINVAL if the slice is empty,
 * not aligned or not within the buffer, a flag is unknown, or something else
 * than iommu_domain was agreed on; -EEXIST if this attachment maps to some of
 * the IOVA already; -ERANGE for an IOVA that the domain does not have; -ENOMEM,
 * and what else the domain refuses with, such as -EADDRINUSE, or -EEXIST of some
 * IOMMU drivers, for an IOVA that is mapped.
 */
int dma_buf_iommu_map(struct dma_buf_attachment *attach,
		      struct iommu_domain *domain, unsigned long iova,
		      size_t offset, size_t length, int prot,
		      unsigned int flags)
{
	struct iommu_mapping *im __free(kfree) = NULL;
	struct pal_iommu *pi = to_pal_iommu(attach);
	int ret;

	if (!pi || (flags & ~DMA_BUF_IOMMU_SMALL_PAGES))
		return -EINVAL;

	im = kmalloc_obj(*im, GFP_KERNEL_ACCOUNT);
	if (!im)
		return -ENOMEM;
	im->domain = domain;
	im->iova = iova;
	im->offset = offset;
	im->length = length;
	im->prot = prot;
	im->flags = flags;
	ret = check_slice(attach, im);
	if (ret)
		return ret;

	guard(mutex)(&pi->lock);
	if (rb_find_add(&im->node, &pi->mappings, cmp_nodes))
		return -EEXIST;
	if (pi->pal) {
		ret = install(pi->pal, im);
		if (ret) {
			rb_erase(&im->node, &pi->mappings);
			return ret;
		}
	}
	retain_and_null_ptr(im);
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_map, "iommufd");

/**
 * dma_buf_iommu_unmap - undo dma_buf_iommu_map()
 * @attach: attachment that it was mapped for
 * @domain: domain that it was mapped into
 * @iova: where it was mapped to
 * @length: bytes that were mapped
 *
 * When this returns the domain does not translate the slice any more, and core
 * does not touch @domain again on its behalf. It works on a revoked buffer just
 * as well.
 *
 * Context: May sleep. Takes the attachment's lock and nothing else: any lock may
 * be held, the reservation lock included, that is not taken by reclaim.
 * Return: 0; -ENOENT if exactly this is not mapped by @attach, or something else
 * than iommu_domain was agreed on.
 */
int dma_buf_iommu_unmap(struct dma_buf_attachment *attach,
			struct iommu_domain *domain, unsigned long iova,
			size_t length)
{
	const struct iommu_mapping key = {
		.domain = domain,
		.iova = iova,
		.length = length,
	};
	struct pal_iommu *pi = to_pal_iommu(attach);
	struct iommu_iotlb_gather gather;
	struct iommu_mapping *im;
	struct rb_node *node;

	if (!pi || !length)
		return -ENOENT;

	guard(mutex)(&pi->lock);
	node = rb_find(&key, &pi->mappings, cmp_key);
	im = node ? to_iommu_mapping(node) : NULL;
	if (!im || im->iova != iova || im->length != length)
		return -ENOENT;

	if (pi->pal) {
		iommu_iotlb_gather_init(&gather);
		remove_mapping(im, &gather);
		iommu_iotlb_sync(domain, &gather);
	}
	rb_erase(&im->node, &pi->mappings);
	kfree(im);
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_unmap, "iommufd");

/**
 * dma_buf_iommu_try_hold - keep translations from being revoked for a moment
 * @attach: attachment that agreed on iommu_domain
 *
 * For an importer that has to walk one of its domains where the buffer is
 * mapped: page tables go away under such a walk when the exporter revokes. To
 * be followed by dma_buf_iommu_release() soon, as the exporter waits. No other
 * call may be made for the attachment in between: it takes the same lock.
 *
 * Context: May sleep. Returns with the attachment's lock held, if true.
 * Return: true if the translations are there and stay there, false if the
 * buffer is revoked.
 */
bool dma_buf_iommu_try_hold(struct dma_buf_attachment *attach)
{
	struct pal_iommu *pi = to_pal_iommu(attach);

	if (!pi)
		return false;
	mutex_lock(&pi->lock);
	if (!pi->pal) {
		mutex_unlock(&pi->lock);
		return false;
	}
	return true;
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_try_hold, "iommufd");

/**
 * dma_buf_iommu_release - end dma_buf_iommu_try_hold()
 * @attach: the attachment
 *
 * Context: Any that may unlock a mutex. Drops the attachment's lock.
 */
void dma_buf_iommu_release(struct dma_buf_attachment *attach)
{
	mutex_unlock(&to_pal_iommu(attach)->lock);
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_release, "iommufd");

/**
 * dma_buf_iommu_iova_align - choose an IOVA that lets a slice use large pages
 * @attach: attachment that agreed on iommu_domain
 * @offset: where the slice starts in the buffer, in bytes
 * @length: of the slice in bytes
 * @phase: set to the offset that the IOVA should have within the alignment
 *
 * The alignment is that of the largest naturally aligned block in the slice that
 * is physically contiguous, whatever page sizes a domain may have. The phase is
 * that of this block: extents of another one may get smaller pages. With a
 * smaller power of two and the same phase the block gets pages of that size.
 *
 * Context: May sleep. Takes the attachment's lock and nothing else: any lock may
 * be held, the reservation lock included, that is not taken by reclaim.
 * Return: The alignment in bytes, a power of two and at least PAGE_SIZE, which
 * is also what a revoked buffer gets, and a slice that is not within it.
 */
unsigned long dma_buf_iommu_iova_align(struct dma_buf_attachment *attach,
				       size_t offset, size_t length,
				       unsigned long *phase)
{
	struct pal_iommu *pi = to_pal_iommu(attach);
	const struct dma_buf_extent *extent;
	unsigned int best = PAGE_SHIFT;
	size_t done = 0, len, skip, end;

	*phase = offset_in_page(offset);
	if (!pi || !length || check_add_overflow(offset, length, &end) ||
	    end > attach->dmabuf->size)
		return PAGE_SIZE;

	guard(mutex)(&pi->lock);
	if (!pi->pal)
		return PAGE_SIZE;

	extent = dma_buf_pal_find(pi->pal, offset);
	skip = offset - extent->offset;
	for (; done < length && best < pi->pal->largest_block;
	     extent++, done += len, skip = 0) {
		phys_addr_t paddr = extent->paddr + skip;
		unsigned int lg2;

		len = min(dma_buf_extent_len(extent) - skip, length - done);
		lg2 = dma_buf_largest_block(paddr, len);
		if (lg2 > best) {
			best = lg2;
			*phase = (paddr - done) & ((1UL << lg2) - 1);
		}
	}
	return 1UL << best;
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_iova_align, "iommufd");

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

static int pal_to_iommu_attach(struct dma_buf_mapping *m)
{
	struct pal_iommu *pi;
	int ret;

	pi = kzalloc_obj(*pi, GFP_KERNEL_ACCOUNT);
	if (!pi)
		return -ENOMEM;
	mutex_init(&pi->lock);
	pi->attach = &m->attach;
	pi->mappings = RB_ROOT;

	ret = pin(pi->attach);
	if (ret)
		goto err_free;
	pi->pal = dma_buf_pal_get(pi->attach);
	if (IS_ERR(pi->pal)) {
		ret = PTR_ERR(pi->pal);
		goto err_unpin;
	}
	m->priv = pi;
	return 0;

err_unpin:
	unpin(pi->attach);
err_free:
	kfree(pi);
	return ret;
}

static void pal_to_iommu_invalidate(struct dma_buf_mapping *m)
{
	struct pal_iommu *pi = m->priv;
	struct dma_buf_pal *pal = pi->pal;

	if (!pal)
		return;

	scoped_guard(mutex, &pi->lock) {
		remove_mappings(pi, NULL);
		pi->pal = NULL;
	}
	dma_buf_pal_put(pi->attach, pal);
}

static int pal_to_iommu_restore(struct dma_buf_mapping *m)
{
	struct pal_iommu *pi = m->priv;
	struct dma_buf_pal *pal;
	int ret;

	pal = dma_buf_pal_get(pi->attach);
	if (IS_ERR(pal))
		return PTR_ERR(pal);

	scoped_guard(mutex, &pi->lock) {
		pi->pal = pal;
		ret = install_mappings(pi);
		if (ret)
			pi->pal = NULL;
	}
	if (ret)
		dma_buf_pal_put(pi->attach, pal);
	return ret;
}

static void free_mappings(struct pal_iommu *pi)
{
	struct iommu_mapping *im, *next;

	rbtree_postorder_for_each_entry_safe(im, next, &pi->mappings, node)
		kfree(im);
}

static void pal_to_iommu_detach(struct dma_buf_mapping *m)
{
	struct pal_iommu *pi = m->priv;

	WARN_ONCE(!RB_EMPTY_ROOT(&pi->mappings),
		  "importer detaches with mappings left\n");
	pal_to_iommu_invalidate(m);
	free_mappings(pi);
	unpin(pi->attach);
	mutex_destroy(&pi->lock);
	kfree(pi);
}

struct dma_buf_mapping_converter dma_buf_pal_to_iommu = {
	.name = "PAL -> iommu_domain",
	.exp_type = &dma_buf_mapping_pal,
	.imp_type = &dma_buf_mapping_iommu,
	.core_owned = true,
	.match = pal_to_iommu_match,
	.attach = pal_to_iommu_attach,
	.detach = pal_to_iommu_detach,
	.invalidate = pal_to_iommu_invalidate,
	.restore = pal_to_iommu_restore,
};
