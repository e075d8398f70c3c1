// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses by the CPU: what core has mapped for a device is synchronised by
 * core, as neither exporter nor importer could.
 */
#include <linux/compiler.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/list.h>

#include "hooks.h"
#include "internal.h"

/**
 * dma_buf_mapping_begin_cpu_access - let the CPU see what devices have written
 * @dmabuf: buffer that the CPU is going to access
 * @dir: how, as the direction of a DMA: DMA_FROM_DEVICE is to read
 *
 * All DMA to the buffer has to be over. Takes no lock where no mapping of core
 * has to be synchronised.
 *
 * Context: May sleep. Takes the reservation lock.
 */
void dma_buf_mapping_begin_cpu_access(struct dma_buf *dmabuf,
				      enum dma_data_direction dir)
{
	struct dma_buf_mapping_attachment *ma;

	if (!READ_ONCE(dmabuf->cpu_synced))
		return;

	dma_resv_lock(dmabuf->resv, NULL);
	list_for_each_entry(ma, &dmabuf->attachments, attach.node)
		if (ma->converter && ma->converter->sync_for_cpu)
			ma->converter->sync_for_cpu(ma, dir);
	dma_resv_unlock(dmabuf->resv);
}

/**
 * dma_buf_mapping_end_cpu_access - let devices see what the CPU has written
 * @dmabuf: buffer that the CPU has accessed
 * @dir: how, as it was given to dma_buf_mapping_begin_cpu_access()
 *
 * Context: May sleep. Takes the reservation lock.
 */
void dma_buf_mapping_end_cpu_access(struct dma_buf *dmabuf,
				    enum dma_data_direction dir)
{
	struct dma_buf_mapping_attachment *ma;

	if (!READ_ONCE(dmabuf->cpu_synced))
		return;

	dma_resv_lock(dmabuf->resv, NULL);
	list_for_each_entry(ma, &dmabuf->attachments, attach.node)
		if (ma->converter && ma->converter->sync_for_device)
			ma->converter->sync_for_device(ma, dir);
	dma_resv_unlock(dmabuf->resv);
}
