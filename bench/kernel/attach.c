// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it takes to attach where exporter or importer states a mapping type,
 * and what an attachment and a mapping cost in memory.
 */
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "bench.h"
#include "domains.h"

/* A pair of types; which of them the exporter states is up to its buffer */
struct pair {
	const char *name;
	struct dma_buf_mapping_match entry;
	const struct dma_buf_attach_ops *importer;
};

static struct dma_buf_attachment *attach_pair(struct bench_buffer *buf,
					      const struct pair *pair)
{
	return dma_buf_mapping_attach(buf->dmabuf, &pair->entry, 1,
				      pair->importer, NULL);
}

static int measure_cycle(struct bench_buffer *buf, const struct pair *pair,
			 struct bench_min *in, struct bench_min *out)
{
	struct dma_buf_attachment *attach;
	unsigned int i;

	for (i = 0; i < bench_repeats(buf->shape.ranges); i++) {
		bench_start(in);
		attach = attach_pair(buf, pair);
		bench_stop(in);
		if (IS_ERR(attach))
			return PTR_ERR(attach);

		bench_start(out);
		dma_buf_detach(buf->dmabuf, attach);
		bench_stop(out);
	}
	return 0;
}

/* A thing in memory and in a list, as an attachment is to its buffer */
struct thing {
	struct list_head node;
	u8 rest[104];
};

/*
 * Memory, a place in the list of the buffer, and for a domain a look at each
 * range: no attachment can do without.
 */
static int measure_floor(struct seq_file *s, const struct bench_case *c,
			 struct bench_buffer *buf, const struct pair *pair)
{
	bool look = pair->entry.type == &dma_buf_mapping_iommu;
	struct bench_min in = BENCH_MIN, out = BENCH_MIN, in2 = BENCH_MIN;
	struct dma_resv *resv = buf->dmabuf->resv;
	struct bench_min *least[] = { &in, &in2 };
	LIST_HEAD(list);
	struct thing *thing;
	unsigned int i, second;

	for (second = 0; second < 2; second++)
		for (i = 0; i < bench_repeats(buf->shape.ranges); i++) {
			bench_start(least[second]);
			thing = kzalloc_obj(*thing);
			if (!thing)
				return -ENOMEM;
			dma_resv_lock(resv, NULL);
			if (look && !second && !bench_look_at_ranges(buf)) {
				dma_resv_unlock(resv);
				kfree(thing);
				return -EINVAL;
			}
			list_add(&thing->node, &list);
			dma_resv_unlock(resv);
			bench_stop(least[second]);

			bench_start(&out);
			dma_resv_lock(resv, NULL);
			list_del(&thing->node);
			dma_resv_unlock(resv);
			kfree(thing);
			bench_stop(&out);
		}

	bench_report(s, c, "attach", BENCH_FLOOR, in.best);
	bench_report(s, c, "detach", BENCH_FLOOR, out.best);
	bench_report(s, c, "second attach", BENCH_FLOOR, in2.best);
	bench_report(s, c, "second detach", BENCH_FLOOR, out.best);
	return 0;
}

/* The first attachment may have to do what all others of a buffer share */
static int measure_pair(struct seq_file *s, const struct bench_case *c,
			struct bench_buffer *buf, const struct pair *pair)
{
	struct bench_min in = BENCH_MIN, out = BENCH_MIN;
	struct bench_min in2 = BENCH_MIN, out2 = BENCH_MIN;
	struct dma_buf_attachment *first;
	int ret;

	ret = measure_cycle(buf, pair, &in, &out);
	if (ret)
		return ret;
	first = attach_pair(buf, pair);
	if (IS_ERR(first))
		return PTR_ERR(first);
	ret = measure_cycle(buf, pair, &in2, &out2);
	dma_buf_detach(buf->dmabuf, first);
	if (ret)
		return ret;

	bench_report(s, c, "attach", "core", in.best);
	bench_report(s, c, "detach", "core", out.best);
	bench_report(s, c, "second attach", "core", in2.best);
	bench_report(s, c, "second detach", "core", out2.best);
	return 0;
}

static int attach_many(struct bench_buffer *buf, const struct pair *pair,
		       struct dma_buf_attachment **attach, unsigned int *done)
{
	for (*done = 0; *done < BENCH_MANY; (*done)++) {
		attach[*done] = attach_pair(buf, pair);
		if (IS_ERR(attach[*done]))
			return PTR_ERR(attach[*done]);
	}
	return 0;
}

static int measure_attachment_bytes(struct seq_file *s,
				    const struct bench_case *c,
				    struct bench_buffer *buf,
				    const struct pair *pair)
{
	struct dma_buf_attachment **attach, *first;
	size_t before, shared;
	unsigned int done;
	int ret;

	attach = kvzalloc_objs(*attach, BENCH_MANY);
	if (!attach)
		return -ENOMEM;

	before = bench_memory();
	first = attach_pair(buf, pair);
	ret = PTR_ERR_OR_ZERO(first);
	if (ret)
		goto out_free;
	shared = bench_memory();
	ret = attach_many(buf, pair, attach, &done);
	if (!ret) {
		bench_report(s, c, "shared bytes", "core", shared - before);
		bench_report(s, c, "attachment bytes", "core",
			     bench_bytes_of_one(bench_memory() - shared, BENCH_MANY));
	}

	while (done--)
		dma_buf_detach(buf->dmabuf, attach[done]);
	dma_buf_detach(buf->dmabuf, first);
out_free:
	kvfree(attach);
	return ret;
}

static int measure_mapping_bytes(struct seq_file *s, const struct bench_case *c,
				 struct dma_buf_attachment *attach,
				 struct iommu_domain *domain)
{
	size_t before = bench_memory();
	unsigned int done;
	int ret = 0;

	for (done = 0; done < BENCH_MANY && !ret; done++)
		ret = dma_buf_iommu_map(attach, domain,
					BENCH_BASE + done * SZ_4K, 0, SZ_4K,
					BENCH_PROT, 0);
	if (!ret)
		bench_report(s, c, "mapping bytes", "core",
			     bench_bytes_of_one(bench_memory() - before, BENCH_MANY));
	else
		done--;
	while (done--)
		dma_buf_iommu_unmap(attach, domain, BENCH_BASE + done * SZ_4K,
				    SZ_4K);
	return ret;
}

static int measure_mappings(struct seq_file *s, const struct bench_case *c,
			    struct bench_buffer *buf, const struct pair *pair)
{
	struct dma_buf_attachment *attach;
	struct iommu_domain *domain;
	int ret;

	domain = bench_domains[0].alloc();
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	attach = attach_pair(buf, pair);
	ret = PTR_ERR_OR_ZERO(attach);
	if (!ret) {
		ret = measure_mapping_bytes(s, c, attach, domain);
		dma_buf_detach(buf->dmabuf, attach);
	}
	bench_domains[0].free(domain);
	return ret;
}

static int one_shape(struct seq_file *s, struct bench_case *c,
		     const struct pair *pair, struct p2pdma_provider *provider)
{
	struct bench_buffer *buf;
	int ret;

	buf = bench_buffer(&c->shape, provider);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	c->place = pair->name;
	ret = measure_pair(s, c, buf, pair);
	if (!ret)
		ret = measure_floor(s, c, buf, pair);
	if (!ret)
		ret = measure_attachment_bytes(s, c, buf, pair);
	if (!ret && pair->entry.type == &dma_buf_mapping_iommu)
		ret = measure_mappings(s, c, buf, pair);
	bench_buffer_free(buf);
	return ret;
}

/**
 * bench_attach - measure attachments of stated types
 * @s: where to report
 * @unused: not used
 */
int bench_attach(struct seq_file *s, void *unused)
{
	const struct pair pairs[] = {
		{ "PAL-SGT", DMA_BUF_IMAPPING_SGT(&bench_client->dev),
		  &bench_p2p_importer },
		{ "PAL-iommu", DMA_BUF_IMAPPING_IOMMU() },
	};
	struct bench_case c = { .kind = "attach" };
	struct p2pdma_provider *provider;
	unsigned int i;
	int ret = 0;

	provider = pcim_p2pdma_provider(bench_provider, 0);
	if (!provider)
		return -ENODEV;
	while (bench_next_shape(&c.shape)) {
		/* Nothing here depends on how long a range is */
		if (c.shape.bytes != SZ_4K)
			break;
		for (i = 0; i < ARRAY_SIZE(pairs) && !ret; i++)
			ret = one_shape(s, &c, &pairs[i], provider);
		if (ret)
			break;
	}
	return ret;
}
