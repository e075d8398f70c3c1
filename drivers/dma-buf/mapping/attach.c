// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attachments: how the use of a buffer by an importer begins and ends.
 */
#include <linux/bug.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <trace/events/dma_buf.h>

#include "hooks.h"
#include "internal.h"

static struct dma_buf_mapping_owner *get_owner(void)
{
	struct dma_buf_mapping_owner *owner;

	owner = kmalloc_obj(*owner, GFP_KERNEL_ACCOUNT);
	if (!owner)
		return NULL;
	owner->memcg = get_mem_cgroup_from_current();
	owner->pid = task_pid_nr(current);
	get_task_comm(owner->comm, current);
	return owner;
}

static void put_owner(struct dma_buf_mapping_owner *owner)
{
	if (!owner)
		return;
	mem_cgroup_put(owner->memcg);
	kfree(owner);
}

static struct dma_buf_attachment *
attach(struct dma_buf *dmabuf, struct device *dev,
       const struct dma_buf_mapping_match *imp, unsigned int num_imp,
       const struct dma_buf_attach_ops *importer_ops, void *importer_priv)
{
	struct dma_buf_mapping_attachment *ma;
	int ret;

	ma = kmalloc_obj(*ma);
	if (!ma)
		return ERR_PTR(-ENOMEM);
	*ma = (struct dma_buf_mapping_attachment){
		.attach = {
			.dmabuf = dmabuf,
			.dev = dev,
			.importer_ops = importer_ops,
			.importer_priv = importer_priv,
			.peer2peer = importer_ops &&
				     importer_ops->allow_peer2peer,
		},
	};

	ret = dma_buf_mapping_negotiate(ma, imp, num_imp);
	if (ret)
		goto err_free;
	if (dma_buf_mapping_core_revokes(&ma->attach)) {
		ret = -ENOMEM;
		ma->owner = get_owner();
		if (!ma->owner)
			goto err_put;
		ret = 0;
	}

	if (dmabuf->ops->attach) {
		ret = dmabuf->ops->attach(dmabuf, &ma->attach);
		if (ret)
			goto err_put;
	}

	/*
	 * Listed first, as an exporter may look at who is attached when it pins.
	 * One hold of the lock, so that no revoke meets an attachment halfway.
	 */
	dma_resv_lock(dmabuf->resv, NULL);
	list_add(&ma->attach.node, &dmabuf->attachments);
	if (ma->converter && ma->converter->attach)
		ret = ma->converter->attach(ma);
	if (ret)
		list_del(&ma->attach.node);
	dma_resv_unlock(dmabuf->resv);
	if (ret)
		goto err_detach;

	/* Reads no name of the dma-buf, and so needs no name_lock */
	trace_dma_buf_dynamic_attach(dmabuf, &ma->attach, !!importer_ops,
				     ma->attach.dev);
	trace_dma_buf_mapping_agreed(&ma->attach);
	return &ma->attach;

err_detach:
	if (dmabuf->ops->detach)
		dmabuf->ops->detach(dmabuf, &ma->attach);
err_put:
	put_owner(ma->owner);
	dma_buf_mapping_put_agreed(ma);
err_free:
	kfree(ma);
	return ERR_PTR(ret);
}

/**
 * dma_buf_mapping_attach - attach an importer that states its mapping types
 * @dmabuf: buffer to attach to; the caller keeps its reference
 * @imp: what the importer can do, best first; not needed after the call
 * @num_imp: number of entries in @imp
 * @importer_ops: importer's callbacks, NULL if it has none
 * @importer_priv: for &dma_buf_attachment.importer_priv
 *
 * The attachment is freed by dma_buf_detach().
 *
 * Context: May sleep. Takes the reservation lock, and so must be called with
 * none of the importer's locks held that it takes inside of that.
 * Return: The attachment, or an ERR_PTR(): -EINVAL if a list is empty, the
 * importer's has an entry that it cannot state or one of SGT without a device,
 * or the exporter's is wrong; -EOPNOTSUPP if exporter and importer have nothing
 * in common. Where the mapping begins here, as in an iommu_domain, also: -ENODEV
 * if the buffer is revoked; -ERESTARTSYS for a signal while the exporter's own
 * work on the memory goes on; -EOPNOTSUPP for device memory whose exporter does
 * not let the importer have it. -ENOMEM; what the exporter refused with.
 */
struct dma_buf_attachment *
dma_buf_mapping_attach(struct dma_buf *dmabuf,
		       const struct dma_buf_mapping_match *imp,
		       unsigned int num_imp,
		       const struct dma_buf_attach_ops *importer_ops,
		       void *importer_priv)
{
	if (WARN_ON(!dmabuf))
		return ERR_PTR(-EINVAL);
	if (!imp || !num_imp)
		return ERR_PTR(-EINVAL);

	return attach(dmabuf, NULL, imp, num_imp, importer_ops, importer_priv);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_attach, "DMA_BUF");

/**
 * dma_buf_mapping_attach_legacy - attach an importer that states no types
 * @dmabuf: buffer to attach to
 * @dev: device of the importer
 * @importer_ops: importer's callbacks, NULL if it has none
 * @importer_priv: for &dma_buf_attachment.importer_priv
 *
 * Context: May sleep. Takes the reservation lock.
 * Return: As dma_buf_mapping_attach().
 */
struct dma_buf_attachment *
dma_buf_mapping_attach_legacy(struct dma_buf *dmabuf, struct device *dev,
			      const struct dma_buf_attach_ops *importer_ops,
			      void *importer_priv)
{
	return attach(dmabuf, dev, NULL, 0, importer_ops, importer_priv);
}

/**
 * dma_buf_mapping_detach - end the use of the buffer and free the attachment
 * @attach: the attachment
 *
 * Context: May sleep. Takes the reservation lock.
 */
void dma_buf_mapping_detach(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping_attachment *ma = to_mapping_attachment(attach);
	struct dma_buf *dmabuf = attach->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	list_del(&attach->node);
	if (ma->converter && ma->converter->detach)
		ma->converter->detach(ma);
	dma_resv_unlock(dmabuf->resv);

	if (dmabuf->ops->detach)
		dmabuf->ops->detach(dmabuf, attach);

	trace_dma_buf_detach(dmabuf, attach, !!attach->importer_ops,
			     attach->dev);

	put_owner(ma->owner);
	dma_buf_mapping_put_agreed(ma);
	kfree(ma);
}
