// SPDX-License-Identifier: GPL-2.0-only
/*
 * Example: an exporter of ordinary memory that stays where it is. It states its
 * physical ranges and nothing else.
 */
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "examples.h"

static const struct dma_buf_phys_list *
memory_map_phys(struct dma_buf_attachment *attach)
{
	return attach->dmabuf->priv;
}

static void memory_unmap_phys(struct dma_buf_attachment *attach,
			      const struct dma_buf_phys_list *phys)
{
	/* Nothing to do: the memory is there until memory_release() */
}

static const struct dma_buf_pal_exp_ops memory_pal_ops = {
	.map_phys = memory_map_phys,
	.unmap_phys = memory_unmap_phys,
};

static int memory_match_mapping(struct dma_buf_match_args *args)
{
	const struct dma_buf_mapping_match pal =
		DMA_BUF_EMAPPING_PAL(&memory_pal_ops, 0, NULL);

	return dma_buf_match_mapping(args, &pal, 1);
}

static void memory_free(struct dma_buf_phys_list *phys)
{
	size_t i;

	for (i = 0; i < phys->nr_ranges && phys->ranges[i].len; i++)
		free_pages_exact(phys_to_virt(phys->ranges[i].paddr),
				 phys->ranges[i].len);
	kvfree(phys);
}

static struct dma_buf_phys_list *memory_alloc(size_t nr_ranges)
{
	struct dma_buf_phys_list *phys;
	size_t i;

	phys = kvzalloc_flex(*phys, ranges, nr_ranges);
	if (!phys)
		return NULL;
	phys->nr_ranges = nr_ranges;

	for (i = 0; i < nr_ranges; i++) {
		void *chunk = alloc_pages_exact(SZ_64K, GFP_KERNEL | __GFP_ZERO);

		if (!chunk) {
			memory_free(phys);
			return NULL;
		}
		phys->ranges[i].paddr = virt_to_phys(chunk);
		phys->ranges[i].len = SZ_64K;
	}
	return phys;
}

static void memory_release(struct dma_buf *dmabuf)
{
	memory_free(dmabuf->priv);
}

static const struct dma_buf_ops memory_ops = {
	.match_mapping = memory_match_mapping,
	.release = memory_release,
};

struct dma_buf *memory_export(size_t nr_ranges)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf_phys_list *phys;
	struct dma_buf *dmabuf;

	phys = memory_alloc(nr_ranges);
	if (!phys)
		return ERR_PTR(-ENOMEM);

	info.ops = &memory_ops;
	info.size = nr_ranges * SZ_64K;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = phys;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		memory_free(phys);
	return dmabuf;
}
