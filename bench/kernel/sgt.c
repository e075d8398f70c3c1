// SPDX-License-Identifier: GPL-2.0-only
/*
 * Physical ranges to a scatterlist of DMA addresses, as an importer sees it:
 * by the converter where there is one, else by dma_buf_phys_vec_to_sgt().
 */
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "bench.h"

static int map_and_unmap(struct dma_buf_attachment *attach,
			 struct bench_min *map, struct bench_min *unmap,
			 u64 *entries)
{
	struct sg_table *sgt;

	bench_start(map);
	sgt = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	bench_stop(map);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);

	*entries = sgt->nents;
	bench_start(unmap);
	dma_buf_unmap_attachment(attach, sgt, DMA_BIDIRECTIONAL);
	bench_stop(unmap);
	return 0;
}

#define MANY_TABLES	4096
#define MANY_ENTRIES	65536
#define FEW_RANGES	16

/* Returns how many of them are mapped: less than @many if one fails */
static size_t map_many(struct dma_buf_attachment *attach,
		       struct sg_table **sgt, size_t many)
{
	size_t done;

	for (done = 0; done < many; done++) {
		sgt[done] = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
		if (IS_ERR(sgt[done]))
			break;
	}
	return done;
}

static bool bytes_can_be_told(const struct bench_case *c, u64 entries)
{
	/* The DMA API keeps IOVAs of the tables before */
	if (!strcmp(c->place, "iova"))
		return false;
	return entries == c->shape.ranges || c->shape.ranges <= FEW_RANGES;
}

/*
 * As pages are what can be counted, a table of few entries has to be made many
 * times, and that takes too long for many ranges. The first half of the tables
 * fills the pages that are used in part; the second half counts.
 */
static int measure_bytes(struct seq_file *s, const struct bench_case *c,
			 struct dma_buf_attachment *attach, u64 entries)
{
	size_t half = clamp(MANY_ENTRIES / entries, 1, MANY_TABLES);
	size_t before, done;
	struct sg_table **sgt;
	bool all;

	if (!bytes_can_be_told(c, entries))
		return 0;
	sgt = kvzalloc_objs(*sgt, 2 * half);
	if (!sgt)
		return -ENOMEM;

	done = map_many(attach, sgt, half);
	before = bench_memory();
	done += map_many(attach, sgt + done, 2 * half - done);
	all = done == 2 * half;
	if (all)
		bench_report(s, c, "mapping bytes", "core",
			     bench_bytes_of_one(bench_memory() - before, half));
	while (done--)
		dma_buf_unmap_attachment(attach, sgt[done], DMA_BIDIRECTIONAL);
	kvfree(sgt);
	return all ? 0 : -ENOMEM;
}

static int measure(struct seq_file *s, const struct bench_case *c,
		   struct dma_buf_attachment *attach)
{
	struct bench_min map = BENCH_MIN, unmap = BENCH_MIN;
	struct dma_buf *dmabuf = attach->dmabuf;
	unsigned int i;
	u64 entries;
	int ret = 0;

	dma_resv_lock(dmabuf->resv, NULL);
	for (i = 0; i < bench_repeats(c->shape.ranges) && !ret; i++)
		ret = map_and_unmap(attach, &map, &unmap, &entries);
	if (!ret)
		ret = measure_bytes(s, c, attach, entries);
	dma_resv_unlock(dmabuf->resv);
	if (ret) {
		seq_printf(s, "# %s,%s,%zu,%zu: fails with %d\n", c->kind,
			   c->place, c->shape.bytes, c->shape.ranges, ret);
		return 0;
	}

	bench_report(s, c, "map", "core", map.best);
	bench_report(s, c, "unmap", "core", unmap.best);
	bench_report(s, c, "map+unmap", "core", map.best + unmap.best);
	bench_report(s, c, "entries", "core", entries);
	return 0;
}

/* A table of DMA addresses as the DMA API makes it, for what it is given */
struct plain {
	struct sg_table sgt;
	struct dma_iova_state iova;
};

static int map_plain_iova(struct device *dev, struct plain *p,
			  const struct bench_buffer *buf)
{
	size_t i, offset = 0;
	int ret;

	for (i = 0; i < buf->nr_extents; i++) {
		ret = dma_iova_link(dev, &p->iova, buf->extents[i].paddr, offset,
				    buf->extents[i].len, DMA_BIDIRECTIONAL,
				    DMA_ATTR_MMIO);
		if (ret)
			return ret;
		offset += buf->extents[i].len;
	}
	sg_dma_address(p->sgt.sgl) = p->iova.addr;
	sg_dma_len(p->sgt.sgl) = buf->size;
	return dma_iova_sync(dev, &p->iova, 0, buf->size);
}

static int map_plain_entries(struct device *dev, struct plain *p,
			     const struct bench_buffer *buf)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(&p->sgt, sg, i) {
		sg_dma_address(sg) = dma_map_phys(dev, buf->extents[i].paddr,
						  buf->extents[i].len,
						  DMA_BIDIRECTIONAL,
						  DMA_ATTR_MMIO);
		sg_dma_len(sg) = buf->extents[i].len;
		if (dma_mapping_error(dev, sg_dma_address(sg)))
			return -EIO;
	}
	return 0;
}

static struct plain *map_plain(struct device *dev, const struct bench_buffer *buf)
{
	struct plain *p = kzalloc_obj(*p);
	int ret = -EINVAL;

	if (!p || !bench_look_at_ranges(buf))
		goto err_free;
	if (dma_iova_try_alloc(dev, &p->iova, 0, buf->size)) {
		ret = sg_alloc_table(&p->sgt, 1, GFP_KERNEL) ?:
		      map_plain_iova(dev, p, buf);
	} else {
		ret = sg_alloc_table(&p->sgt, buf->nr_extents, GFP_KERNEL) ?:
		      map_plain_entries(dev, p, buf);
	}
	if (!ret)
		return p;
err_free:
	kfree(p);
	return NULL;
}

static void unmap_plain(struct device *dev, struct plain *p,
			const struct bench_buffer *buf)
{
	struct scatterlist *sg;
	unsigned int i;

	if (dma_use_iova(&p->iova))
		dma_iova_destroy(dev, &p->iova, buf->size, DMA_BIDIRECTIONAL,
				 DMA_ATTR_MMIO);
	else
		for_each_sgtable_dma_sg(&p->sgt, sg, i)
			dma_unmap_phys(dev, sg_dma_address(sg), sg_dma_len(sg),
				       DMA_BIDIRECTIONAL, DMA_ATTR_MMIO);
	sg_free_table(&p->sgt);
	kfree(p);
}

/* Without dma-buf: a look at each range, and the calls of the DMA API */
static int measure_floor(struct seq_file *s, const struct bench_case *c,
			 const struct bench_buffer *buf)
{
	struct bench_min map = BENCH_MIN, unmap = BENCH_MIN;
	struct device *dev = &bench_client->dev;
	struct plain *p;
	unsigned int i;

	for (i = 0; i < bench_repeats(c->shape.ranges); i++) {
		bench_start(&map);
		p = map_plain(dev, buf);
		bench_stop(&map);
		/* Nothing is undone: whoever reads the result stops here */
		if (!p)
			return -EIO;

		bench_start(&unmap);
		unmap_plain(dev, p, buf);
		bench_stop(&unmap);
	}
	bench_report(s, c, "map", BENCH_FLOOR, map.best);
	bench_report(s, c, "unmap", BENCH_FLOOR, unmap.best);
	bench_report(s, c, "map+unmap", BENCH_FLOOR, map.best + unmap.best);
	return 0;
}

static int one_shape(struct seq_file *s, const struct bench_case *c,
		     struct p2pdma_provider *provider)
{
	struct dma_buf_attachment *attach;
	struct bench_buffer *buf;
	int ret;

	buf = bench_buffer(&c->shape, provider);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	attach = dma_buf_dynamic_attach(buf->dmabuf, &bench_client->dev,
					&bench_p2p_importer, NULL);
	ret = PTR_ERR_OR_ZERO(attach);
	if (!ret) {
		ret = measure(s, c, attach) ?: measure_floor(s, c, buf);
		dma_buf_detach(buf->dmabuf, attach);
	}
	bench_buffer_free(buf);
	return ret;
}

/**
 * bench_sgt - measure PAL to SGT
 * @s: where to report
 * @unused: not used
 */
int bench_sgt(struct seq_file *s, void *unused)
{
	struct bench_case c = {
		.kind = "sgt",
		.place = bench_place(&bench_client->dev),
	};
	struct p2pdma_provider *provider;
	int ret = 0;

	provider = pcim_p2pdma_provider(bench_provider, 0);
	if (!provider)
		return -ENODEV;
	while (bench_next_shape(&c.shape) && !ret)
		ret = one_shape(s, &c, provider);
	return ret;
}
