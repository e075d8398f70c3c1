// SPDX-License-Identifier: GPL-2.0-only
/*
 * Example: an exporter of device memory that can go away, and come back. It
 * takes only importers that can be made to let go.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/wait_bit.h>

#include "examples.h"

static int mmio_attach(struct dma_buf *dmabuf,
		       struct dma_buf_attachment *attach)
{
	return dma_buf_attach_revocable(attach) ? 0 : -EOPNOTSUPP;
}

static const struct dma_buf_phys_list *
mmio_map_phys(struct dma_buf_attachment *attach)
{
	struct mmio_buffer *buf = attach->dmabuf->priv;

	if (buf->revoked)
		return ERR_PTR(-ENODEV);
	atomic_inc(&buf->lists);
	return buf->phys;
}

static void mmio_unmap_phys(struct dma_buf_attachment *attach,
			    const struct dma_buf_phys_list *phys)
{
	struct mmio_buffer *buf = attach->dmabuf->priv;

	atomic_dec_and_wake_up(&buf->lists);
}

static const struct dma_buf_pal_exp_ops mmio_pal_ops = {
	.map_phys = mmio_map_phys,
	.unmap_phys = mmio_unmap_phys,
};

/* The provider belongs to a device, so the entry is built for each buffer */
static int mmio_match_mapping(struct dma_buf_match_args *args)
{
	struct mmio_buffer *buf = args->attach->dmabuf->priv;
	const struct dma_buf_mapping_match pal =
		DMA_BUF_EMAPPING_PAL(&mmio_pal_ops, buf->phys->attrs,
				     buf->phys->provider);

	return dma_buf_match_mapping(args, &pal, 1);
}

static void mmio_release(struct dma_buf *dmabuf)
{
	struct mmio_buffer *buf = dmabuf->priv;

	buf->dmabuf = NULL;
}

static const struct dma_buf_ops mmio_ops = {
	.match_mapping = mmio_match_mapping,
	.attach = mmio_attach,
	.release = mmio_release,
};

struct dma_buf *mmio_export(struct mmio_buffer *buf,
			    struct dma_buf_phys_list *phys, size_t size)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	buf->phys = phys;
	buf->revoked = false;
	atomic_set(&buf->lists, 0);

	info.ops = &mmio_ops;
	info.size = size;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = buf;
	buf->dmabuf = dma_buf_export(&info);
	return buf->dmabuf;
}

/* When this returns nobody reaches the memory any more */
void mmio_revoke(struct mmio_buffer *buf)
{
	struct dma_resv *resv = buf->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	buf->revoked = true;
	dma_buf_invalidate_mappings(buf->dmabuf);
	dma_resv_wait_timeout(resv, DMA_RESV_USAGE_BOOKKEEP, false,
			      MAX_SCHEDULE_TIMEOUT);
	dma_resv_unlock(resv);

	/* An importer of SGT may unmap a little later, on its own */
	wait_var_event(&buf->lists, !atomic_read(&buf->lists));
}

void mmio_restore(struct mmio_buffer *buf)
{
	struct dma_resv *resv = buf->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	buf->revoked = false;
	dma_buf_restore_mappings(buf->dmabuf);
	dma_resv_unlock(resv);
}
