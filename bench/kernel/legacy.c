// SPDX-License-Identifier: GPL-2.0-only
/*
 * A legacy exporter and a legacy importer, which state no mapping type: the
 * whole life of an attachment, and what one of them costs in memory. Then the
 * same for an exporter that states SGT, where there is such a thing.
 */
#include <linux/array_size.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "bench.h"

static struct sg_table *map_dma_buf(struct dma_buf_attachment *attach,
				    enum dma_data_direction dir)
{
	unsigned int i, pages = attach->dmabuf->size / PAGE_SIZE;
	struct page *page = attach->dmabuf->priv;
	struct scatterlist *sg;
	struct sg_table *sgt;
	int ret;

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table(sgt, pages, GFP_KERNEL);
	if (ret)
		goto err_free;
	for_each_sgtable_sg(sgt, sg, i)
		sg_set_page(sg, page, PAGE_SIZE, 0);
	ret = dma_map_sgtable(attach->dev, sgt, dir, 0);
	if (!ret)
		return sgt;

	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ERR_PTR(ret);
}

static void unmap_dma_buf(struct dma_buf_attachment *attach,
			  struct sg_table *sgt, enum dma_data_direction dir)
{
	dma_unmap_sgtable(attach->dev, sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

static void release(struct dma_buf *dmabuf)
{
	__free_page(dmabuf->priv);
}

static const struct dma_buf_ops legacy_ops = {
	.map_dma_buf = map_dma_buf,
	.unmap_dma_buf = unmap_dma_buf,
	.release = release,
};

#ifdef BENCH_SERIES
static const struct dma_buf_sgt_exp_ops sgt_ops = {
	.map = map_dma_buf,
	.unmap = unmap_dma_buf,
};

static int match_mapping(struct dma_buf_match_args *args)
{
	const struct dma_buf_mapping_match sgt = DMA_BUF_EMAPPING_SGT(&sgt_ops);

	return dma_buf_match_mapping(args, &sgt, 1);
}

static const struct dma_buf_ops stated_ops = {
	.match_mapping = match_mapping,
	.release = release,
};
#endif

/* As many pages as are wanted, all of them the same */
static struct dma_buf *export(const struct dma_buf_ops *ops, size_t pages)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	struct page *page;

	page = alloc_page(GFP_KERNEL);
	if (!page)
		return ERR_PTR(-ENOMEM);
	info.ops = ops;
	info.size = pages * PAGE_SIZE;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = page;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		__free_page(page);
	return dmabuf;
}

struct counts {
	struct bench_min attach, map, unmap, detach;
};

static int cycle(struct dma_buf *dmabuf, struct counts *n)
{
	struct device *dev = &bench_client->dev;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	bench_start(&n->attach);
	attach = dma_buf_attach(dmabuf, dev);
	bench_stop(&n->attach);
	if (IS_ERR(attach))
		return PTR_ERR(attach);

	bench_start(&n->map);
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	bench_stop(&n->map);
	if (!IS_ERR(sgt)) {
		bench_start(&n->unmap);
		dma_buf_unmap_attachment_unlocked(attach, sgt,
						  DMA_BIDIRECTIONAL);
		bench_stop(&n->unmap);
	}

	bench_start(&n->detach);
	dma_buf_detach(dmabuf, attach);
	bench_stop(&n->detach);
	return PTR_ERR_OR_ZERO(sgt);
}

/* What the exporter does by itself, and memory, lock and list for an attachment */
static int cycle_floor(struct dma_buf *dmabuf, struct counts *n)
{
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	LIST_HEAD(list);

	bench_start(&n->attach);
	attach = kzalloc_obj(*attach);
	if (!attach)
		return -ENOMEM;
	attach->dmabuf = dmabuf;
	attach->dev = &bench_client->dev;
	dma_resv_lock(dmabuf->resv, NULL);
	list_add(&attach->node, &list);
	dma_resv_unlock(dmabuf->resv);
	bench_stop(&n->attach);

	bench_start(&n->map);
	dma_resv_lock(dmabuf->resv, NULL);
	sgt = map_dma_buf(attach, DMA_BIDIRECTIONAL);
	dma_resv_unlock(dmabuf->resv);
	bench_stop(&n->map);
	if (!IS_ERR(sgt)) {
		bench_start(&n->unmap);
		dma_resv_lock(dmabuf->resv, NULL);
		unmap_dma_buf(attach, sgt, DMA_BIDIRECTIONAL);
		dma_resv_unlock(dmabuf->resv);
		bench_stop(&n->unmap);
	}

	bench_start(&n->detach);
	dma_resv_lock(dmabuf->resv, NULL);
	list_del(&attach->node);
	dma_resv_unlock(dmabuf->resv);
	kfree(attach);
	bench_stop(&n->detach);
	return PTR_ERR_OR_ZERO(sgt);
}

static int measure_cycle(struct seq_file *s, const struct bench_case *c,
			 const struct dma_buf_ops *ops, const char *by,
			 int (*cycle)(struct dma_buf *, struct counts *))
{
	struct counts n = { BENCH_MIN, BENCH_MIN, BENCH_MIN, BENCH_MIN };
	struct dma_buf *dmabuf;
	unsigned int i;
	int ret = 0;

	dmabuf = export(ops, c->shape.ranges);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	for (i = 0; i < bench_repeats(c->shape.ranges) && !ret; i++)
		ret = cycle(dmabuf, &n);
	dma_buf_put(dmabuf);
	if (ret)
		return ret;

	bench_report(s, c, "attach", by, n.attach.best);
	bench_report(s, c, "map", by, n.map.best);
	bench_report(s, c, "unmap", by, n.unmap.best);
	bench_report(s, c, "detach", by, n.detach.best);
	bench_report(s, c, "cycle", by, n.attach.best + n.map.best +
		     n.unmap.best + n.detach.best);
	return 0;
}

static int measure_memory(struct seq_file *s, const struct bench_case *c,
			  const struct dma_buf_ops *ops)
{
	struct dma_buf_attachment **attach;
	struct dma_buf *dmabuf;
	unsigned int done;
	size_t before;

	dmabuf = export(ops, 1);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	attach = kvzalloc_objs(*attach, BENCH_MANY);
	if (!attach) {
		dma_buf_put(dmabuf);
		return -ENOMEM;
	}

	before = bench_memory();
	for (done = 0; done < BENCH_MANY; done++) {
		attach[done] = dma_buf_attach(dmabuf, &bench_client->dev);
		if (IS_ERR(attach[done]))
			break;
	}
	if (done == BENCH_MANY)
		bench_report(s, c, "attachment bytes", "core",
			     bench_bytes_of_one(bench_memory() - before, BENCH_MANY));
	while (done--)
		dma_buf_detach(dmabuf, attach[done]);
	kvfree(attach);
	dma_buf_put(dmabuf);
	return 0;
}

static int one_exporter(struct seq_file *s, const char *kind,
			const struct dma_buf_ops *ops)
{
	static const size_t pages[] = { 1, 16, 1000 };
	struct bench_case c = {
		.kind = kind,
		.place = bench_place(&bench_client->dev),
		.shape = { .bytes = PAGE_SIZE, .holes = true },
	};
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(pages) && !ret; i++) {
		c.shape.ranges = pages[i];
		ret = measure_cycle(s, &c, ops, "core", cycle) ?:
		      measure_cycle(s, &c, ops, BENCH_FLOOR, cycle_floor);
	}
	c.shape.ranges = 1;
	return ret ?: measure_memory(s, &c, ops);
}

/**
 * bench_legacy - measure attach, map, unmap and detach of legacy drivers
 * @s: where to report
 * @unused: not used
 */
int bench_legacy(struct seq_file *s, void *unused)
{
	int ret = one_exporter(s, "legacy", &legacy_ops);

#ifdef BENCH_SERIES
	if (!ret)
		ret = one_exporter(s, "stated", &stated_ops);
#endif
	return ret;
}
