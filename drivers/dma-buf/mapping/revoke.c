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
#include <linux/sched/mm.h>

#include <trace/events/dma_buf.h>

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
 *                            but those that
 *                            a restore left
 *                            out
 * revoked   given back       none           change the record
 * ========  ===============  =============  ===================
 *
 * It begins in place, or the attach fails with what the exporter says of a
 * revoked buffer. A revoke takes it from either state to revoked. A restore
 * takes it back, and installs what is on record, so that what the importer
 * changed meanwhile counts. A mapping for which that fails, for want of memory
 * say, stays out by itself, and the others come back. It is on record as well,
 * the next restore tries it again, and so does the importer if it unmaps and
 * maps it.
 *
 * What a restore allocates is charged to the memory cgroup of the task that
 * attached, as what a map allocates is, whoever is behind the exporter's call.
 *
 * An importer that maps by itself, as one of SGT does, removes its mappings when
 * its &dma_buf_attach_ops.invalidate_mappings is called, at each revoke. It is
 * not told of a restore, and asks for a new mapping when it needs one.
 */

/**
 * dma_buf_mapping_count - count what core has mapped for an attachment
 * @ma: the attachment
 *
 * Context: May sleep. The reservation lock is held.
 * Return: The numbers of mappings, 0 where the importer makes its own.
 */
struct dma_buf_mapping_count
dma_buf_mapping_count(struct dma_buf_mapping_attachment *ma)
{
	struct dma_buf_mapping_count count = {};

	if (ma->converter && ma->converter->count)
		ma->converter->count(ma, &count);
	return count;
}

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

	if (trace_dma_buf_mapping_revoke_enabled())
		trace_dma_buf_mapping_revoke(attach,
					     dma_buf_mapping_count(ma).recorded);
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

static void tell_of_restore(struct dma_buf_mapping_attachment *ma, int err)
{
	const struct dma_buf_mapping_owner *owner = ma->owner;
	struct dma_buf_mapping_count count = dma_buf_mapping_count(ma);

	trace_dma_buf_mapping_restore(&ma->attach, count.recorded, count.out,
				      err);
	if (err && owner)
		pr_warn_ratelimited("dma-buf of %s: %zu of %zu mappings of %s[%d] are not restored: %pe\n",
				    ma->attach.dmabuf->exp_name, count.out,
				    count.recorded, owner->comm, owner->pid,
				    ERR_PTR(err));
}

static int restore(struct dma_buf_mapping_attachment *ma)
{
	struct mem_cgroup *memcg;
	int ret;

	if (!ma->revoked && !ma->incomplete)
		return 0;
	if (!ma->converter || !ma->converter->restore) {
		ma->revoked = false;
		return 0;
	}

	memcg = set_active_memcg(ma->owner ? ma->owner->memcg : NULL);
	ret = ma->converter->restore(ma);
	set_active_memcg(memcg);
	if (!ret)
		ma->revoked = false;
	ma->incomplete = ret;
	if (ret || trace_dma_buf_mapping_restore_enabled())
		tell_of_restore(ma, ret);
	return ret;
}

/**
 * dma_buf_restore_mappings - make again what a revoke removed
 * @dmabuf: buffer whose memory is usable again
 *
 * For the exporter to call once what made it call dma_buf_invalidate_mappings()
 * is over. Where core made the mappings it takes the exporter's list again, and
 * that may be another one now, and installs all that the importer has mapped,
 * before or since the revoke, and has not unmapped. When this returns they are
 * in place.
 *
 * Each mapping is restored or stays out by itself. What stays out is tried again
 * by the next call, for which the exporter has to remember an error: the buffer
 * is usable, and not revoked, all the same. A trace event and the kernel log
 * tell whose mappings they are. Attachments with nothing to restore are not
 * touched, and an importer that makes its own mappings has to ask for them
 * itself.
 *
 * Page tables are charged to the memory cgroup of the task that attached. If it
 * is at its limit the allocation fails, and nobody is killed.
 *
 * Context: May sleep, and allocates memory with GFP_KERNEL_ACCOUNT. The
 * reservation lock is held. Waits for the fences of the kernel that the buffer
 * has. &dma_buf_pal_exp_ops.map_phys is called and must not refuse any more.
 * Return: 0 if all mappings are in place, else the first errno: -EINTR if a
 * fatal signal of the caller ended it before all were tried; -ENOMEM; -EACCES
 * for a writable mapping of a list that is DMA_BUF_PHYS_READ_ONLY now; what
 * map_phys or the domain refused with.
 */
int dma_buf_restore_mappings(struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach;
	int ret = 0, err;

	dma_resv_assert_held(dmabuf->resv);

	/* The exporter may still be filling or clearing the memory */
	dma_resv_wait_timeout(dmabuf->resv, DMA_RESV_USAGE_KERNEL, false,
			      MAX_SCHEDULE_TIMEOUT);
	list_for_each_entry(attach, &dmabuf->attachments, node) {
		err = restore(to_mapping_attachment(attach));
		ret = ret ?: err;
		if (err == -EINTR)
			break;
	}
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_restore_mappings, "DMA_BUF");
