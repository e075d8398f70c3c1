// SPDX-License-Identifier: GPL-2.0-only
/*
 * Revoke and restore: what happens to attachments when the memory of a buffer
 * goes away for a while.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/printk.h>

#include "hooks.h"
#include "internal.h"

/**
 * DOC: locking
 *
 * From the outermost, locks are taken in this order:
 *
 * 1. the exporter's own, such as vfio's ``memory_lock``;
 * 2. the reservation lock of the buffer;
 * 3. core's lock of one attachment, under which page tables are allocated.
 *
 * The exporter's &dma_buf_pal_exp_ops.map_phys and
 * &dma_buf_pal_exp_ops.unmap_phys are called with the second held, also from
 * within its own calls of dma_buf_invalidate_mappings() and
 * dma_buf_restore_mappings().
 *
 * An importer's lock may be held around dma_buf_iommu_map() and
 * dma_buf_iommu_unmap(), which take the third of these only. It may not be held
 * around attach and detach, unless it is never taken inside of the reservation
 * lock. The lock of core's registry is taken with no reservation lock held, and
 * none is taken inside of it.
 */

/**
 * DOC: revoke and restore
 *
 * The exporter calls dma_buf_invalidate_mappings() before the memory of a buffer
 * goes away, and dma_buf_restore_mappings() once it is usable again. An
 * attachment for which core maps is in one of two states, and what the importer
 * has mapped and not unmapped is on record in both:
 *
 * ========  ===============  =============  ===================
 * state     exporter's list  translations   map and unmap
 * ========  ===============  =============  ===================
 * in place  held             of all slices  change translations
 * revoked   given back       none           change the record
 * ========  ===============  =============  ===================
 *
 * It begins in place, or the attach fails with what the exporter says of a
 * revoked buffer. A revoke takes it from either state to revoked. A restore
 * installs what is on record, so that what the importer changed meanwhile
 * counts. Where that fails, for want of memory say, the attachment stays
 * revoked as a whole: the kernel log says so once, and the next restore tries
 * again.
 *
 * An importer that maps by itself, as one of SGT does, removes its mappings when
 * its &dma_buf_attach_ops.invalidate_mappings is called, at each revoke. It is
 * not told of a restore, and asks for a new mapping when it needs one.
 */

/**
 * dma_buf_mapping_invalidate - remove what core mapped for an attachment
 * @attach: the attachment, shown as revoked from here on
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_mapping_invalidate(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping_attachment *ma = to_mapping_attachment(attach);

	dma_resv_assert_held(attach->dmabuf->resv);

	ma->revoked = true;
	if (ma->converter && ma->converter->invalidate)
		ma->converter->invalidate(ma);
}

/**
 * dma_buf_mapping_core_revokes - tell whether core removes the mappings itself
 * @attach: the attachment
 *
 * Context: Any.
 * Return: true if dma_buf_mapping_invalidate() is all that a revoke needs.
 */
bool dma_buf_mapping_core_revokes(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping_attachment *ma = to_mapping_attachment(attach);

	return ma->converter && ma->converter->core_revokes;
}

static void restore(struct dma_buf_mapping_attachment *ma)
{
	int ret = 0;

	if (!ma->revoked)
		return;
	if (ma->converter && ma->converter->restore)
		ret = ma->converter->restore(ma);
	if (ret && !ma->restore_failed)
		pr_warn("dma-buf of %s: a mapping cannot be restored and stays revoked: %pe\n",
			ma->attach.dmabuf->exp_name, ERR_PTR(ret));
	ma->restore_failed = ret;
	ma->revoked = ret;
}

/**
 * dma_buf_restore_mappings - make again what a revoke removed
 * @dmabuf: buffer whose memory is usable again
 *
 * For the exporter to call once what made it call dma_buf_invalidate_mappings()
 * is over. Where core made the mappings it takes the exporter's list again, and
 * that may be another one now, and installs all that the importer has mapped,
 * before or since the revoke, and has not unmapped. An attachment for which that
 * fails stays wholly revoked, which the kernel log says once, and is tried again
 * by the next call. Attachments that are not revoked are not touched, and
 * an importer that makes its own mappings has to ask for them itself.
 *
 * Context: May sleep, and allocates memory with GFP_KERNEL_ACCOUNT, so that page
 * tables are charged to the caller's memory cgroup, whoever has mapped. The
 * reservation lock is held. &dma_buf_pal_exp_ops.map_phys is called and must not
 * refuse any more.
 */
void dma_buf_restore_mappings(struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach;

	dma_resv_assert_held(dmabuf->resv);

	list_for_each_entry(attach, &dmabuf->attachments, node)
		restore(to_mapping_attachment(attach));
}
EXPORT_SYMBOL_NS_GPL(dma_buf_restore_mappings, "DMA_BUF");
