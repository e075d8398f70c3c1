// SPDX-License-Identifier: GPL-2.0-only
/*
 * The domains that are mapped into: the page table of AMD's IOMMU, in memory,
 * which no device walks, and that of the Intel IOMMU of the machine.
 */
#include <linux/array_size.h>
#include <linux/err.h>
#include <linux/generic_pt/iommu.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/slab.h>

#include "bench.h"
#include "domains.h"
#include "iommu-pages.h"

struct amdv1_domain {
	union {
		struct iommu_domain domain;
		struct pt_iommu_amdv1 amdv1;
	};
	/* protects the top of @amdv1 */
	spinlock_t top_lock;
};

PT_IOMMU_CHECK_DOMAIN(struct amdv1_domain, amdv1.iommu, domain);

static void amdv1_sync(struct iommu_domain *domain,
		       struct iommu_iotlb_gather *gather)
{
	iommu_put_pages_list(&gather->freelist);
}

static const struct iommu_domain_ops amdv1_ops = {
	IOMMU_PT_DOMAIN_OPS(amdv1),
	.iotlb_sync = amdv1_sync,
};

static void amdv1_change_top(struct pt_iommu *table, phys_addr_t paddr,
			     unsigned int level)
{
}

static spinlock_t *amdv1_top_lock(struct pt_iommu *table)
{
	return &container_of(table, struct amdv1_domain, amdv1.iommu)->top_lock;
}

static const struct pt_iommu_driver_ops amdv1_driver_ops = {
	.change_top = amdv1_change_top,
	.get_top_lock = amdv1_top_lock,
};

static struct iommu_domain *amdv1_alloc(void)
{
	struct pt_iommu_amdv1_cfg cfg = {
		.common.features = BIT(PT_FEAT_DYNAMIC_TOP) |
				   BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) |
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE),
		.common.hw_max_vasz_lg2 = 48,
		.common.hw_max_oasz_lg2 = 51,
		.starting_level = 2,
	};
	struct amdv1_domain *d;
	int ret;

	d = kzalloc_obj(*d);
	if (!d)
		return ERR_PTR(-ENOMEM);
	d->domain.type = IOMMU_DOMAIN_UNMANAGED;
	d->domain.ops = &amdv1_ops;
	d->amdv1.iommu.nid = NUMA_NO_NODE;
	d->amdv1.iommu.driver_ops = &amdv1_driver_ops;
	spin_lock_init(&d->top_lock);
	ret = pt_iommu_amdv1_init(&d->amdv1, &cfg, GFP_KERNEL);
	if (ret) {
		kfree(d);
		return ERR_PTR(ret);
	}
	return &d->domain;
}

static void amdv1_free(struct iommu_domain *domain)
{
	struct amdv1_domain *d = container_of(domain, typeof(*d), domain);

	pt_iommu_deinit(&d->amdv1.iommu);
	kfree(d);
}

/* The device uses it, so that there is an IOTLB to be flushed */
static struct iommu_domain *intel_alloc(void)
{
	struct iommu_domain *domain;
	int ret;

	domain = iommu_paging_domain_alloc(&bench_client->dev);
	if (IS_ERR(domain))
		return domain;
	/* Only the first one can have it */
	ret = iommu_attach_device(domain, &bench_client->dev);
	if (ret && ret != -EBUSY) {
		iommu_domain_free(domain);
		return ERR_PTR(ret);
	}
	return domain;
}

static void intel_free(struct iommu_domain *domain)
{
	if (iommu_get_domain_for_dev(&bench_client->dev) == domain)
		iommu_detach_device(domain, &bench_client->dev);
	iommu_domain_free(domain);
}

const struct bench_domains bench_domains[] = {
	{ .name = "amdv1", .alloc = amdv1_alloc, .free = amdv1_free },
	{ .name = "intel", .alloc = intel_alloc, .free = intel_free },
};

/**
 * bench_map_extents - map a buffer without dma-buf, with one flush
 * @buf: the buffer
 * @domain: to map into
 * @iova: where to
 */
int bench_map_extents(const struct bench_buffer *buf,
		      struct iommu_domain *domain, unsigned long iova)
{
	size_t i, done = 0;
	int ret;

	for (i = 0; i < buf->nr_extents; i++) {
		ret = iommu_map_nosync(domain, iova + done,
				       buf->extents[i].paddr,
				       buf->extents[i].len, BENCH_PROT,
				       GFP_KERNEL);
		if (ret)
			return ret;
		done += buf->extents[i].len;
	}
	return iommu_sync_map(domain, iova, buf->size);
}

/**
 * bench_map_slice - map a part of a buffer without dma-buf, with one flush
 * @buf: the buffer
 * @domain: to map into
 * @iova: where to
 * @offset: where in the buffer the part begins
 * @length: of the part
 */
int bench_map_slice(const struct bench_buffer *buf, struct iommu_domain *domain,
		    unsigned long iova, size_t offset, size_t length)
{
	const struct phys_vec *extent = buf->extents + offset / buf->extents->len;
	size_t skip = offset % buf->extents->len;
	size_t done = 0, len;
	int ret;

	for (; done < length; done += len, skip = 0, extent++) {
		len = min(extent->len - skip, length - done);
		ret = iommu_map_nosync(domain, iova + done, extent->paddr + skip,
				       len, BENCH_PROT, GFP_KERNEL);
		if (ret)
			return ret;
	}
	return iommu_sync_map(domain, iova, length);
}

/**
 * bench_unmap_extents - undo bench_map_extents(), with one flush
 * @buf: the buffer
 * @domain: that it is mapped into
 * @iova: where
 */
int bench_unmap_extents(const struct bench_buffer *buf,
			struct iommu_domain *domain, unsigned long iova)
{
	return iommu_unmap(domain, iova, buf->size) == buf->size ? 0 : -EIO;
}

MODULE_IMPORT_NS("GENERIC_PT_IOMMU");
