// SPDX-License-Identifier: GPL-2.0-only
/*
 * Revoke and restore of many mappings, next to what the IOMMU API takes to
 * unmap and to map them when it is called without dma-buf.
 */
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/sizes.h>

#include "bench.h"
#include "domains.h"

#define MAX_DOMAINS 8
/* Room for a buffer, and then some */
#define STRIDE SZ_1M

struct target {
	struct bench_buffer *buf;
	struct dma_buf_attachment *attach;
	struct iommu_domain *domains[MAX_DOMAINS];
	unsigned int nr_domains;
	unsigned int nr_mappings;
};

static struct iommu_domain *domain_of(const struct target *t, unsigned int i)
{
	return t->domains[i % t->nr_domains];
}

static unsigned long iova_of(const struct target *t, unsigned int i)
{
	return BENCH_BASE + (unsigned long)i * STRIDE;
}

static int map_all(const struct target *t)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < t->nr_mappings && !ret; i++)
		ret = dma_buf_iommu_map(t->attach, domain_of(t, i),
					iova_of(t, i), 0, t->buf->size,
					BENCH_PROT, 0);
	return ret;
}

static void unmap_all(const struct target *t)
{
	unsigned int i;

	for (i = 0; i < t->nr_mappings; i++)
		dma_buf_iommu_unmap(t->attach, domain_of(t, i), iova_of(t, i),
				    t->buf->size);
}

static void revoke_and_restore(const struct target *t,
			       struct bench_min *revoke,
			       struct bench_min *restore)
{
	struct dma_buf *dmabuf = t->buf->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	bench_start(revoke);
	dma_buf_invalidate_mappings(dmabuf);
	bench_stop(revoke);

	bench_start(restore);
	dma_buf_restore_mappings(dmabuf);
	bench_stop(restore);
	dma_resv_unlock(dmabuf->resv);
}

static int unmap_and_map(const struct target *t, struct bench_min *unmap,
			 struct bench_min *map)
{
	unsigned int i;
	int ret = 0;

	bench_start(map);
	for (i = 0; i < t->nr_mappings && !ret; i++)
		ret = bench_map_extents(t->buf, domain_of(t, i), iova_of(t, i));
	bench_stop(map);
	if (ret)
		return ret;

	bench_start(unmap);
	for (i = 0; i < t->nr_mappings && !ret; i++)
		ret = bench_unmap_extents(t->buf, domain_of(t, i),
					  iova_of(t, i));
	bench_stop(unmap);
	return ret;
}

static int measure(struct seq_file *s, const struct bench_case *c,
		   const struct target *t)
{
	struct bench_min revoke = BENCH_MIN, restore = BENCH_MIN;
	struct bench_min unmap = BENCH_MIN, map = BENCH_MIN;
	char name[32];
	unsigned int i;
	int ret = 0;

	for (i = 0; i < 3 && !ret; i++)
		ret = unmap_and_map(t, &unmap, &map);
	if (!ret)
		ret = map_all(t);
	if (ret)
		return ret;
	for (i = 0; i < 3; i++)
		revoke_and_restore(t, &revoke, &restore);
	unmap_all(t);

	snprintf(name, sizeof(name), "revoke %u of %u", t->nr_mappings,
		 t->nr_domains);
	bench_report(s, c, name, "once", unmap.best);
	bench_report(s, c, name, "core", revoke.best);
	snprintf(name, sizeof(name), "restore %u of %u", t->nr_mappings,
		 t->nr_domains);
	bench_report(s, c, name, "once", map.best);
	bench_report(s, c, name, "core", restore.best);
	return 0;
}

static void free_domains(struct target *t, const struct bench_domains *kinds,
			 unsigned int done)
{
	while (done--)
		kinds->free(t->domains[done]);
}

static int alloc_domains(struct target *t, const struct bench_domains *kinds)
{
	unsigned int i;

	for (i = 0; i < MAX_DOMAINS; i++) {
		t->domains[i] = kinds->alloc();
		if (IS_ERR(t->domains[i])) {
			free_domains(t, kinds, i);
			return PTR_ERR(t->domains[i]);
		}
	}
	return 0;
}

static int measure_numbers(struct seq_file *s, const struct bench_case *c,
			   struct target *t)
{
	static const unsigned int mappings[] = { 1, 10, 1000 };
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(mappings) && !ret; i++) {
		t->nr_mappings = mappings[i];
		t->nr_domains = 1;
		ret = measure(s, c, t);
		if (ret || t->nr_mappings < MAX_DOMAINS)
			continue;
		t->nr_domains = MAX_DOMAINS;
		ret = measure(s, c, t);
	}
	return ret;
}

static int one_kind(struct seq_file *s, const struct bench_domains *kinds)
{
	struct dma_buf_mapping_match entry = DMA_BUF_IMAPPING_IOMMU();
	struct bench_case c = {
		.kind = "revoke",
		.place = kinds->name,
		.shape = { .bytes = SZ_4K, .holes = true, .ranges = 16 },
	};
	struct target t = {};
	int ret;

	ret = alloc_domains(&t, kinds);
	if (ret)
		return ret;
	t.buf = bench_buffer(&c.shape, NULL);
	ret = PTR_ERR_OR_ZERO(t.buf);
	if (ret)
		goto out_domains;
	t.attach = dma_buf_mapping_attach(t.buf->dmabuf, &entry, 1, NULL, NULL);
	ret = PTR_ERR_OR_ZERO(t.attach);
	if (!ret) {
		ret = measure_numbers(s, &c, &t);
		dma_buf_detach(t.buf->dmabuf, t.attach);
	}
	bench_buffer_free(t.buf);
out_domains:
	free_domains(&t, kinds, MAX_DOMAINS);
	return ret;
}

/**
 * bench_revoke - measure revoke and restore
 * @s: where to report
 * @unused: not used
 */
int bench_revoke(struct seq_file *s, void *unused)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(bench_domains) && !ret; i++)
		ret = one_kind(s, &bench_domains[i]);
	return ret;
}
