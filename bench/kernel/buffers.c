// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers to be measured: ranges of device memory that nobody ever touches,
 * and the exporter of them, in the way of the kernel that it is built into.
 */
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "bench.h"

#ifdef BENCH_SERIES
static const struct dma_buf_phys_list *
map_phys(struct dma_buf_attachment *attach)
{
	struct bench_buffer *buf = attach->dmabuf->priv;

	return buf->list;
}

static void unmap_phys(struct dma_buf_attachment *attach,
		       const struct dma_buf_phys_list *list)
{
}

static const struct dma_buf_pal_exp_ops pal_ops = {
	.map_phys = map_phys,
	.unmap_phys = unmap_phys,
};

static int match_mapping(struct dma_buf_match_args *args)
{
	struct bench_buffer *buf = args->attach->dmabuf->priv;
	struct dma_buf_mapping_match entry =
		DMA_BUF_EMAPPING_PAL(&pal_ops, buf->list->attrs,
				     buf->list->provider);

	return dma_buf_match_mapping(args, &entry, 1);
}
#else
static struct sg_table *map_dma_buf(struct dma_buf_attachment *attach,
				    enum dma_data_direction dir)
{
	struct bench_buffer *buf = attach->dmabuf->priv;

	return dma_buf_phys_vec_to_sgt(attach, buf->list->provider,
				       buf->list->ranges, buf->list->nr_ranges,
				       buf->size, dir);
}

/* The helper leaks the table, by having said that it has no entries */
static void unmap_dma_buf(struct dma_buf_attachment *attach,
			  struct sg_table *sgt, enum dma_data_direction dir)
{
	sgt->orig_nents = sgt->nents;
	dma_buf_free_sgt(attach, sgt, dir);
}
#endif

/* The file goes later, the buffer at once: nothing may need it here */
static void release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops ops = {
#ifdef BENCH_SERIES
	.match_mapping = match_mapping,
#else
	.map_dma_buf = map_dma_buf,
	.unmap_dma_buf = unmap_dma_buf,
#endif
	.release = release,
};

const struct dma_buf_attach_ops bench_p2p_importer = {
	.allow_peer2peer = true,
};

static int fill(struct bench_buffer *buf)
{
	const struct bench_shape *shape = &buf->shape;
	size_t stride = shape->bytes * (shape->holes ? 2 : 1);
	size_t i;

	buf->size = shape->bytes * shape->ranges;
	buf->nr_extents = shape->holes ? shape->ranges : 1;
	buf->list = kvzalloc(struct_size(buf->list, ranges, shape->ranges),
			     GFP_KERNEL);
	buf->extents = kvmalloc_array(buf->nr_extents, sizeof(*buf->extents),
				      GFP_KERNEL);
	if (!buf->list || !buf->extents)
		return -ENOMEM;

	buf->list->nr_ranges = shape->ranges;
	for (i = 0; i < shape->ranges; i++) {
		buf->list->ranges[i].paddr = BENCH_BASE + i * stride;
		buf->list->ranges[i].len = shape->bytes;
	}
	if (shape->holes)
		memcpy(buf->extents, buf->list->ranges,
		       shape->ranges * sizeof(*buf->extents));
	else
		*buf->extents = (struct phys_vec) { BENCH_BASE, buf->size };
	return 0;
}

static int export(struct bench_buffer *buf)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &ops;
	info.size = buf->size;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = buf;
	buf->dmabuf = dma_buf_export(&info);
	return PTR_ERR_OR_ZERO(buf->dmabuf);
}

static void free_parts(struct bench_buffer *buf)
{
	kvfree(buf->extents);
	kvfree(buf->list);
	kfree(buf);
}

/**
 * bench_buffer - make a buffer of device memory
 * @shape: its ranges
 * @provider: who routes DMA to it, NULL if no device is to
 */
struct bench_buffer *bench_buffer(const struct bench_shape *shape,
				  struct p2pdma_provider *provider)
{
	struct bench_buffer *buf;
	int ret;

	buf = kzalloc_obj(*buf);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->shape = *shape;
	ret = fill(buf);
	if (!ret) {
		buf->list->attrs = DMA_BUF_PHYS_MMIO;
		buf->list->provider = provider;
		ret = export(buf);
	}
	if (ret) {
		free_parts(buf);
		return ERR_PTR(ret);
	}
	return buf;
}

/**
 * bench_look_at_ranges - find out whether each range of a buffer can be mapped
 * @buf: the buffer
 *
 * That is the floor of whoever takes a list from an exporter.
 */
bool bench_look_at_ranges(const struct bench_buffer *buf)
{
	const struct dma_buf_phys_list *list = buf->list;
	size_t i, sum = 0;
	phys_addr_t end;

	for (i = 0; i < list->nr_ranges; i++) {
		const struct phys_vec *range = &list->ranges[i];

		if (!range->len || !PAGE_ALIGNED(range->paddr) ||
		    !PAGE_ALIGNED(range->len) ||
		    check_add_overflow(range->paddr, range->len, &end))
			return false;
		sum += range->len;
	}
	return sum == buf->size;
}

/**
 * bench_buffer_free - undo bench_buffer()
 * @buf: the buffer, nothing is attached to it any more
 */
void bench_buffer_free(struct bench_buffer *buf)
{
	dma_buf_put(buf->dmabuf);
	free_parts(buf);
}
