// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping type iommu_domain: the importer says which slice of the buffer goes
 * where in which of its domains, and a converter translates it there.
 */
#include <linux/align.h>
#include <linux/bug.h>
#include <linux/dma-buf.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>

#include "internal.h"

struct dma_buf_mapping_type dma_buf_mapping_iommu = {
	.name = "iommu_domain",
	.permanent = true,
	.importer_only = true,
};
EXPORT_SYMBOL_FOR_MODULES(dma_buf_mapping_iommu, "iommufd");

static const struct dma_buf_iommu_ops *
iommu_ops(struct dma_buf_attachment *attach)
{
	const struct dma_buf_iommu_ops *ops;

	ops = dma_buf_mapping_imp_ops(to_mapping_attachment(attach),
				      &dma_buf_mapping_iommu);
	WARN_ON_ONCE(!ops);
	return ops;
}

/* Refuse now what a restore could only fail for, as far as that is known */
static int check_slice(struct dma_buf_attachment *attach,
		       const struct iommu_slice *slice)
{
	const struct iommu_domain_geometry *geometry = &slice->domain->geometry;
	size_t align = 1UL << __ffs(slice->domain->pgsize_bitmap);
	unsigned long last;
	size_t end;

	if (!slice->length || !IS_ALIGNED(slice->iova, align) ||
	    !IS_ALIGNED(slice->offset | slice->length, align) ||
	    check_add_overflow(slice->iova, slice->length - 1, &last) ||
	    check_add_overflow(slice->offset, slice->length, &end) ||
	    end > attach->dmabuf->size)
		return -EINVAL;
	if (geometry->force_aperture && (slice->iova < geometry->aperture_start ||
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
 * help. While the buffer is revoked a mapping is recorded only, to be made by the
 * restore. What is allocated is charged to the memory cgroup of the task that
 * attached.
 *
 * Context: May sleep. Takes the attachment's lock and nothing else: any lock may
 * be held, the reservation lock included, that is not taken by reclaim.
 * Return: 0, or an errno with nothing mapped: -EINVAL if the slice is empty,
 * not aligned or not within the buffer, a flag is unknown, or something else
 * than iommu_domain was agreed on; -EACCES for IOMMU_WRITE to memory that is
 * DMA_BUF_PHYS_READ_ONLY; -EINTR for a fatal signal; -EEXIST if this attachment
 * maps to some of the IOVA already; -ERANGE for an IOVA that the domain does not
 * have; -ENOMEM, and what else the domain refuses with, such as -EADDRINUSE, or
 * -EEXIST of some IOMMU drivers, for an IOVA that is mapped.
 */
int dma_buf_iommu_map(struct dma_buf_attachment *attach,
		      struct iommu_domain *domain, unsigned long iova,
		      size_t offset, size_t length, int prot,
		      unsigned int flags)
{
	struct dma_buf_mapping_attachment *ma = to_mapping_attachment(attach);
	const struct dma_buf_iommu_ops *ops = iommu_ops(attach);
	const struct iommu_slice slice = {
		.domain = domain,
		.iova = iova,
		.offset = offset,
		.length = length,
		.prot = prot,
		.flags = flags,
	};
	struct mem_cgroup *memcg;
	int ret;

	if (!ops || (flags & ~DMA_BUF_IOMMU_SMALL_PAGES))
		return -EINVAL;
	ret = check_slice(attach, &slice);
	if (ret)
		return ret;

	memcg = set_active_memcg(ma->owner->memcg);
	ret = ops->map(ma, &slice);
	set_active_memcg(memcg);
	return ret;
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
	const struct dma_buf_iommu_ops *ops = iommu_ops(attach);

	if (!ops || !length)
		return -ENOENT;
	return ops->unmap(to_mapping_attachment(attach), domain, iova, length);
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_unmap, "iommufd");

/**
 * dma_buf_iommu_check_prot - ask whether the memory may be mapped like this
 * @attach: attachment that agreed on iommu_domain
 * @prot: IOMMU_READ, IOMMU_WRITE and so on
 *
 * For an importer that has no domain to map into yet. dma_buf_iommu_map() checks
 * the same. Of a revoked buffer it goes by what it was before.
 *
 * Context: Any.
 * Return: 0; -EACCES for IOMMU_WRITE to memory that is DMA_BUF_PHYS_READ_ONLY;
 * -EINVAL if something else than iommu_domain was agreed on.
 */
int dma_buf_iommu_check_prot(struct dma_buf_attachment *attach, int prot)
{
	const struct dma_buf_iommu_ops *ops = iommu_ops(attach);

	if (!ops)
		return -EINVAL;
	return ops->check_prot(to_mapping_attachment(attach), prot);
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_check_prot, "iommufd");

/**
 * dma_buf_iommu_walk_begin - keep translations from being revoked for a moment
 * @attach: attachment that agreed on iommu_domain
 * @domain: the domain that will be walked, or NULL to ask for nothing but that
 *	the buffer is not revoked
 * @iova: where in @domain, up to the end of the slice that is mapped there
 * @flags: DMA_BUF_IOMMU_WALK_DIRTY for a walk that looks for dirty bits, which
 *	device memory has none of, or 0
 *
 * For an importer that has to walk one of its domains where the buffer is
 * mapped: page tables go away under such a walk when the exporter revokes. To
 * be followed by dma_buf_iommu_walk_end() soon, as the exporter waits with its
 * reservation lock held, so that the mmap_lock must not be taken in between. No
 * other call may be made for the attachment: it takes the same lock.
 *
 * Context: May sleep. Returns with the attachment's lock held, if true.
 * Return: true if the slice is translated and stays so; false if it is not, as
 * the buffer is revoked or a restore left it out, or has nothing that @flags
 * ask for.
 */
bool dma_buf_iommu_walk_begin(struct dma_buf_attachment *attach,
			      struct iommu_domain *domain, unsigned long iova,
			      unsigned int flags)
{
	const struct dma_buf_iommu_ops *ops = iommu_ops(attach);

	return ops && ops->walk_begin(to_mapping_attachment(attach), domain,
				      iova, flags);
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_walk_begin, "iommufd");

/**
 * dma_buf_iommu_walk_end - end dma_buf_iommu_walk_begin()
 * @attach: the attachment
 *
 * Context: Any that may unlock a mutex. Drops the attachment's lock.
 */
void dma_buf_iommu_walk_end(struct dma_buf_attachment *attach)
{
	iommu_ops(attach)->walk_end(to_mapping_attachment(attach));
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_walk_end, "iommufd");

/**
 * dma_buf_iommu_iova_align - choose an IOVA that lets a slice use large pages
 * @attach: attachment that agreed on iommu_domain
 * @offset: where the slice starts in the buffer, in bytes
 * @length: of the slice in bytes
 * @align_offset: set to the offset that the IOVA should have within the
 *	alignment
 *
 * For device memory the alignment is that of the largest naturally aligned block
 * in the slice that is physically contiguous, whatever page sizes a domain may
 * have. With a smaller power of two and the same offset the block gets pages of
 * that size. An IOVA that is chosen so tells bits of the physical address, which
 * sysfs shows anyway. For ordinary memory it must not, and the alignment goes by
 * the offset in the buffer.
 *
 * Context: May sleep. Takes the attachment's lock and nothing else: any lock may
 * be held, the reservation lock included, that is not taken by reclaim.
 * Return: The alignment in bytes, a power of two and at least PAGE_SIZE, which
 * is also what a revoked buffer gets, and a slice that is not within it.
 */
unsigned long dma_buf_iommu_iova_align(struct dma_buf_attachment *attach,
				       size_t offset, size_t length,
				       unsigned long *align_offset)
{
	const struct dma_buf_iommu_ops *ops = iommu_ops(attach);
	size_t end;

	*align_offset = offset_in_page(offset);
	if (!ops || !length || check_add_overflow(offset, length, &end) ||
	    end > attach->dmabuf->size)
		return PAGE_SIZE;
	return ops->iova_align(to_mapping_attachment(attach), offset, length,
			       align_offset);
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_iommu_iova_align, "iommufd");
