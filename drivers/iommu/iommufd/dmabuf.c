// SPDX-License-Identifier: GPL-2.0-only
/*
 * Import of a dma-buf into an IOAS. The dma-buf core has the addresses and owns
 * what is mapped; this only says which slice goes where in which domain.
 */
#include <linux/dma-buf.h>
#include <linux/dma-buf-mapping.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "io_pagetable.h"

/**
 * iopt_alloc_dmabuf_pages() - Attach to a dma-buf to map a slice of it
 * @dmabuf: The buffer, whose reference passes to the pages on success
 * @start_byte: Bytes into the first page that the slice starts
 * @start: Byte offset of the slice in the buffer
 * @length: Number of bytes
 * @writable: Whether the slice may be mapped with IOMMU_WRITE
 *
 * Takes the reservation lock, so no pages mutex may be held.
 *
 * Return: The pages, or an ERR_PTR(): -EINVAL if the slice is not within the
 * buffer, -EOPNOTSUPP if the exporter has no PAL to state, -ENODEV if the
 * buffer is revoked, -ENOMEM.
 */
struct iopt_pages *iopt_alloc_dmabuf_pages(struct dma_buf *dmabuf,
					   unsigned long start_byte,
					   unsigned long start,
					   unsigned long length, bool writable)
{
	const struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_IOMMU();
	struct dma_buf_attachment *attach;
	struct iopt_pages *pages;

	if (dmabuf->size <= (start + length - 1))
		return ERR_PTR(-EINVAL);

	pages = iopt_alloc_pages(start_byte, length, writable);
	if (IS_ERR(pages))
		return pages;

	/* dmabuf does not use pinned page accounting. */
	pages->account_mode = IOPT_PAGES_ACCOUNT_NONE;
	pages->type = IOPT_ADDRESS_DMABUF;
	pages->dmabuf.start = start - start_byte;

	attach = dma_buf_mapping_attach(dmabuf, &imp, 1, NULL, NULL);
	if (IS_ERR(attach)) {
		iopt_put_pages(pages);
		return ERR_CAST(attach);
	}
	pages->dmabuf.attach = attach;
	return pages;
}

/**
 * iopt_release_dmabuf() - Undo iopt_alloc_dmabuf_pages()
 * @pages: The pages, which no area maps any more
 *
 * Takes the reservation lock, so no pages mutex may be held.
 */
void iopt_release_dmabuf(struct iopt_pages *pages)
{
	struct dma_buf_attachment *attach = pages->dmabuf.attach;
	struct dma_buf *dmabuf;

	if (!attach)
		return;
	dmabuf = attach->dmabuf;
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
}

/**
 * iopt_dmabuf_fill_domain() - Map an area's slice of a dma-buf into a domain
 * @area: The area to map
 * @pages: The pages of the area
 * @domain: Domain to map into
 *
 * If the buffer is revoked nothing is mapped until the exporter restores it.
 *
 * Return: 0, or what dma_buf_iommu_map() failed with.
 */
int iopt_dmabuf_fill_domain(struct iopt_area *area, struct iopt_pages *pages,
			    struct iommu_domain *domain)
{
	unsigned long iova = iopt_area_iova(area);
	unsigned int flags = 0;

	lockdep_assert_held(&pages->mutex);

	if (area->iopt->disable_large_pages)
		flags |= DMA_BUF_IOMMU_SMALL_PAGES;
	return dma_buf_iommu_map(pages->dmabuf.attach, domain, iova,
				 pages->dmabuf.start +
					 iopt_area_start_byte(area, iova),
				 iopt_area_length(area), area->iommu_prot,
				 flags);
}

/**
 * iopt_dmabuf_unfill_domain() - Undo iopt_dmabuf_fill_domain()
 * @area: The area to unmap
 * @pages: The pages of the area
 * @domain: Domain to unmap from
 */
void iopt_dmabuf_unfill_domain(struct iopt_area *area, struct iopt_pages *pages,
			       struct iommu_domain *domain)
{
	lockdep_assert_held(&pages->mutex);

	WARN_ON(dma_buf_iommu_unmap(pages->dmabuf.attach, domain,
				    iopt_area_iova(area),
				    iopt_area_length(area)));
}

/**
 * iopt_dmabuf_fill_domains() - Map an area into all domains of its IOAS
 * @area: The area to map
 * @pages: The pages of the area (area->pages is NULL)
 *
 * On failure all domains are left unchanged.
 *
 * Return: 0, or what iopt_dmabuf_fill_domain() failed with.
 */
int iopt_dmabuf_fill_domains(struct iopt_area *area, struct iopt_pages *pages)
{
	struct iommu_domain *domain;
	unsigned long index, undo;
	int rc;

	xa_for_each(&area->iopt->domains, index, domain) {
		rc = iopt_dmabuf_fill_domain(area, pages, domain);
		if (rc)
			goto err_unfill;
	}
	return 0;

err_unfill:
	xa_for_each(&area->iopt->domains, undo, domain) {
		if (undo == index)
			break;
		iopt_dmabuf_unfill_domain(area, pages, domain);
	}
	return rc;
}

/**
 * iopt_dmabuf_iova_align() - Find the IOVA alignment that allows large pages
 * @pages: The pages to map
 * @start_byte: Bytes into the pages to start at
 * @length: Number of bytes
 * @align_offset: Set to the offset that the IOVA should have within the
 *	alignment
 *
 * Return: The alignment in bytes, a power of two.
 */
unsigned long iopt_dmabuf_iova_align(struct iopt_pages *pages,
				     unsigned long start_byte,
				     unsigned long length,
				     unsigned long *align_offset)
{
	return dma_buf_iommu_iova_align(pages->dmabuf.attach,
					pages->dmabuf.start + start_byte,
					length, align_offset);
}

/**
 * iopt_dmabuf_check_prot() - Find out whether an area may have its protection
 * @pages: The pages of a dma-buf
 * @iommu_prot: IOMMU_READ and its like
 *
 * For an IOAS that has no domain yet. With one the map says the same.
 *
 * Return: 0, or -EACCES if the exporter lends the buffer for reading only.
 */
int iopt_dmabuf_check_prot(struct iopt_pages *pages, int iommu_prot)
{
	return dma_buf_iommu_check_prot(pages->dmabuf.attach, iommu_prot);
}

/**
 * iopt_dmabuf_walk_begin() - Keep the translations of an area in a domain
 * @area: Any area
 * @domain: The domain that is to be walked, NULL if there is none
 * @flags: DMA_BUF_IOMMU_WALK_DIRTY or 0
 *
 * Those of a dma-buf go away as soon as the exporter revokes it. The mmap_lock
 * must not be taken until iopt_dmabuf_walk_end().
 *
 * Return: false if @area is of a dma-buf and has no translations in @domain, or
 * none that can be dirty if that is what @flags ask for; true otherwise.
 */
bool iopt_dmabuf_walk_begin(struct iopt_area *area, struct iommu_domain *domain,
			    unsigned int flags)
{
	return !iopt_is_dmabuf(area->pages) ||
	       dma_buf_iommu_walk_begin(area->pages->dmabuf.attach, domain,
					iopt_area_iova(area), flags);
}

/**
 * iopt_dmabuf_walk_end() - Undo iopt_dmabuf_walk_begin()
 * @area: The area that is held
 */
void iopt_dmabuf_walk_end(struct iopt_area *area)
{
	if (iopt_is_dmabuf(area->pages))
		dma_buf_iommu_walk_end(area->pages->dmabuf.attach);
}
