// SPDX-License-Identifier: GPL-2.0-only
/*
 * PAL to iommu_domain, next to what the IOMMU API takes for the same extents
 * when it is called without dma-buf: by iommu_map() and iommu_unmap() for each
 * extent, and by iommu_map_nosync() with one flush for all of them.
 */
#include <linux/array_size.h>
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "bench.h"
#include "domains.h"

#define SLICE SZ_64K

struct target {
	struct bench_buffer *buf;
	struct dma_buf_attachment *attach;
	struct iommu_domain *domain;
};

/* A way to map and to unmap all of a buffer */
struct way {
	const char *name;
	int (*map)(const struct target *t);
	int (*unmap)(const struct target *t);
};

static int core_map(const struct target *t)
{
	return dma_buf_iommu_map(t->attach, t->domain, BENCH_BASE, 0,
				 t->buf->size, BENCH_PROT, 0);
}

static int core_unmap(const struct target *t)
{
	return dma_buf_iommu_unmap(t->attach, t->domain, BENCH_BASE,
				   t->buf->size);
}

static int each_map(const struct target *t)
{
	const struct bench_buffer *buf = t->buf;
	size_t i, done = 0;
	int ret;

	for (i = 0; i < buf->nr_extents; i++) {
		ret = iommu_map(t->domain, BENCH_BASE + done,
				buf->extents[i].paddr, buf->extents[i].len,
				BENCH_PROT, GFP_KERNEL);
		if (ret)
			return ret;
		done += buf->extents[i].len;
	}
	return 0;
}

static int each_unmap(const struct target *t)
{
	const struct bench_buffer *buf = t->buf;
	size_t i, done = 0;

	for (i = 0; i < buf->nr_extents; i++)
		done += iommu_unmap(t->domain, BENCH_BASE + done,
				    buf->extents[i].len);
	return done == buf->size ? 0 : -EIO;
}

static int once_map(const struct target *t)
{
	return bench_map_extents(t->buf, t->domain, BENCH_BASE);
}

static int once_unmap(const struct target *t)
{
	return bench_unmap_extents(t->buf, t->domain, BENCH_BASE);
}

static const struct way ways[] = {
	{ "each", each_map, each_unmap },
	{ "once", once_map, once_unmap },
	{ "core", core_map, core_unmap },
};

static int measure_way(struct seq_file *s, const struct bench_case *c,
		       const struct target *t, const struct way *way)
{
	struct bench_min map = BENCH_MIN, unmap = BENCH_MIN;
	unsigned int i;
	int ret;

	for (i = 0; i < bench_repeats(c->shape.ranges); i++) {
		bench_start(&map);
		ret = way->map(t);
		bench_stop(&map);
		if (ret)
			return ret;

		bench_start(&unmap);
		ret = way->unmap(t);
		bench_stop(&unmap);
		if (ret)
			return ret;
	}
	bench_report(s, c, "map", way->name, map.best);
	bench_report(s, c, "unmap", way->name, unmap.best);
	bench_report(s, c, "map+unmap", way->name, map.best + unmap.best);
	return 0;
}

static int measure_ways(struct seq_file *s, const struct bench_case *c,
			const struct target *t)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(ways) && !ret; i++)
		ret = measure_way(s, c, t, &ways[i]);
	return ret;
}

/* The same slice by the IOMMU API alone */
static int measure_slice_floor(const struct target *t, size_t offset,
			       size_t length, struct bench_min *map,
			       struct bench_min *unmap)
{
	size_t done;
	unsigned int i;
	int ret;

	for (i = 0; i < 5; i++) {
		bench_start(map);
		ret = bench_map_slice(t->buf, t->domain, BENCH_BASE + offset,
				      offset, length);
		bench_stop(map);
		if (ret)
			return ret;

		bench_start(unmap);
		done = iommu_unmap(t->domain, BENCH_BASE + offset, length);
		bench_stop(unmap);
		if (done != length)
			return -EIO;
	}
	return 0;
}

static int measure_slice(struct seq_file *s, const struct bench_case *c,
			 const struct target *t, const char *name,
			 size_t offset)
{
	struct bench_min map = BENCH_MIN, unmap = BENCH_MIN;
	unsigned int i;
	int ret;

	for (i = 0; i < 5; i++) {
		bench_start(&map);
		ret = dma_buf_iommu_map(t->attach, t->domain, BENCH_BASE,
					offset, SLICE, BENCH_PROT, 0);
		bench_stop(&map);
		if (ret)
			return ret;

		bench_start(&unmap);
		ret = dma_buf_iommu_unmap(t->attach, t->domain, BENCH_BASE,
					  SLICE);
		bench_stop(&unmap);
		if (ret)
			return ret;
	}
	bench_report(s, c, name, "core", map.best + unmap.best);

	map = BENCH_MIN;
	unmap = BENCH_MIN;
	ret = measure_slice_floor(t, offset, SLICE, &map, &unmap);
	if (!ret)
		bench_report(s, c, name, BENCH_FLOOR, map.best + unmap.best);
	return ret;
}

static int measure_slices(struct seq_file *s, const struct bench_case *c,
			  const struct target *t)
{
	size_t last = t->buf->size - SLICE;
	int ret;

	ret = measure_slice(s, c, t, "front", 0);
	if (!ret)
		ret = measure_slice(s, c, t, "middle",
				    ALIGN_DOWN(last / 2, SLICE));
	return ret ?: measure_slice(s, c, t, "end", last);
}

/* Of the BAR that the program maps by iommufd; its slices, by the IOMMU API */
static int measure_bar(struct seq_file *s, const struct bench_case *c,
		       const struct target *t)
{
	static const struct {
		const char *name;
		size_t offset, length;
	} slices[] = {
		{ "whole BAR", 0, SZ_1G },
		{ "at 0", 0, SZ_64M },
		{ "at 4 KiB", SZ_4K, SZ_64M },
		{ "at 2 MiB + 4 KiB", SZ_2M + SZ_4K, SZ_64M },
		{ "one page", 0, SZ_4K },
	};
	struct bench_case slice = { .kind = "map_file", .shape.ranges = 1 };
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(slices); i++) {
		struct bench_min map = BENCH_MIN, unmap = BENCH_MIN;

		ret = measure_slice_floor(t, slices[i].offset, slices[i].length,
					  &map, &unmap);
		if (ret)
			return ret;
		slice.place = slices[i].name;
		slice.shape.bytes = slices[i].length;
		bench_report(s, &slice, "map", BENCH_FLOOR, map.best);
		bench_report(s, &slice, "unmap", BENCH_FLOOR, unmap.best);
		bench_report(s, &slice, "map+unmap", BENCH_FLOOR,
			     map.best + unmap.best);
	}
	return 0;
}

typedef int (*measure_fn)(struct seq_file *s, const struct bench_case *c,
			  const struct target *t);

static int one_shape(struct seq_file *s, const struct bench_case *c,
		     struct iommu_domain *domain, measure_fn measure)
{
	struct dma_buf_mapping_match entry = DMA_BUF_IMAPPING_IOMMU();
	struct target t = { .domain = domain };
	int ret;

	t.buf = bench_buffer(&c->shape, NULL);
	if (IS_ERR(t.buf))
		return PTR_ERR(t.buf);
	t.attach = dma_buf_mapping_attach(t.buf->dmabuf, &entry, 1, NULL, NULL);
	ret = PTR_ERR_OR_ZERO(t.attach);
	if (!ret) {
		ret = measure(s, c, &t);
		dma_buf_detach(t.buf->dmabuf, t.attach);
	}
	bench_buffer_free(t.buf);
	return ret;
}

static int one_domain(struct seq_file *s, const char *kind,
		      const struct bench_domains *kinds, measure_fn measure)
{
	struct bench_case c = { .kind = kind, .place = kinds->name };
	struct iommu_domain *domain;
	int ret = 0;

	domain = kinds->alloc();
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	while (bench_next_shape(&c.shape) && !ret) {
		/* A slice has to fit, and to be of as many ranges in all lists */
		if (measure == measure_slices && c.shape.ranges < 16)
			continue;
		ret = one_shape(s, &c, domain, measure);
	}
	if (!ret && measure == measure_ways) {
		c.shape = (struct bench_shape) { .bytes = SZ_1G, .ranges = 1 };
		ret = one_shape(s, &c, domain, measure);
		if (!ret && !strcmp(kinds->name, "intel"))
			ret = one_shape(s, &c, domain, measure_bar);
	}
	kinds->free(domain);
	return ret;
}

static int all_domains(struct seq_file *s, const char *kind, measure_fn measure)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(bench_domains) && !ret; i++)
		ret = one_domain(s, kind, &bench_domains[i], measure);
	return ret;
}

/*
 * What no mapping that is restored can do without: memory for a record of it,
 * and a lock while it is made and while it is removed.
 */
static int measure_record(struct seq_file *s)
{
	const struct bench_case c = { .kind = "record", .place = "-",
				      .shape.ranges = 1 };
	struct bench_min memory = BENCH_MIN, lock = BENCH_MIN;
	static DEFINE_MUTEX(mutex);
	unsigned int i;
	void *record;

	for (i = 0; i < 5; i++) {
		bench_start(&memory);
		record = kmalloc(72, GFP_KERNEL_ACCOUNT);
		kfree(record);
		bench_stop(&memory);

		bench_start(&lock);
		mutex_lock(&mutex);
		mutex_unlock(&mutex);
		mutex_lock(&mutex);
		mutex_unlock(&mutex);
		bench_stop(&lock);
	}
	bench_report(s, &c, "kmalloc+kfree", "core", memory.best);
	bench_report(s, &c, "lock twice", "core", lock.best);
	return 0;
}

/**
 * bench_iommu - measure PAL to iommu_domain
 * @s: where to report
 * @unused: not used
 */
int bench_iommu(struct seq_file *s, void *unused)
{
	return all_domains(s, "iommu", measure_ways) ?: measure_record(s);
}

/**
 * bench_slice - measure a small slice of a long list
 * @s: where to report
 * @unused: not used
 */
int bench_slice(struct seq_file *s, void *unused)
{
	return all_domains(s, "slice", measure_slices);
}
