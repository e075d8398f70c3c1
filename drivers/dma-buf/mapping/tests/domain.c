// SPDX-License-Identifier: GPL-2.0-only
/*
 * A domain for the tests: the page table of AMD's IOMMU, in memory, which no
 * device walks. Its operations are counted and can be made to fail.
 */
#include <linux/align.h>
#include <linux/err.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/numa.h>

#include "../../../iommu/iommu-pages.h"
#include "domain.h"

PT_IOMMU_CHECK_DOMAIN(struct test_domain, amdv1.iommu, domain);

/* Counts what happens to all domains, so that it can be put in order */
static unsigned int now;

static struct test_domain *to_test_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct test_domain, domain);
}

static bool fails_now(struct test_domain *d)
{
	return d->fail_map && !--d->fail_map;
}

static bool charged_by_name(void)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg = get_mem_cgroup_from_current();
	bool same = memcg && current->active_memcg == memcg;

	mem_cgroup_put(memcg);
	return same;
#else
	return false;
#endif
}

static int domain_map_range(struct pt_iommu *iommu_table, dma_addr_t iova,
			    phys_addr_t paddr, dma_addr_t len,
			    unsigned int prot, gfp_t gfp, size_t *mapped)
{
	struct test_domain *d = to_test_domain(&iommu_table->domain);
	dma_addr_t half = ALIGN_DOWN(len / 2, PAGE_SIZE);

	d->maps++;
	d->longest = max_t(size_t, d->longest, len);
	d->last_prot = prot;
	d->last_gfp = gfp;
	d->charges_owner = charged_by_name();
	if (d->on_nth_map && !--d->on_nth_map)
		d->on_map(d);
	if (!fails_now(d))
		return d->real->map_range(iommu_table, iova, paddr, len, prot,
					  gfp, mapped);

	/* As if there was no memory for the table of the second half */
	if (half)
		d->real->map_range(iommu_table, iova, paddr, half, prot, gfp,
				   mapped);
	return -ENOMEM;
}

static size_t domain_unmap_range(struct pt_iommu *iommu_table, dma_addr_t iova,
				 dma_addr_t len,
				 struct iommu_iotlb_gather *gather)
{
	struct test_domain *d = to_test_domain(&iommu_table->domain);

	size_t unmapped = d->real->unmap_range(iommu_table, iova, len, gather);

	d->unmaps++;
	d->missed += unmapped != len;
	d->last_unmap = ++now;
	return unmapped;
}

static int domain_sync_map(struct iommu_domain *domain, unsigned long iova,
			   size_t size)
{
	struct test_domain *d = to_test_domain(domain);

	d->syncs++;
	return d->fail_sync;
}

static void domain_iotlb_sync(struct iommu_domain *domain,
			      struct iommu_iotlb_gather *gather)
{
	struct test_domain *d = to_test_domain(domain);

	d->flushes++;
	d->last_flush = ++now;
	iommu_put_pages_list(&gather->freelist);
}

static const struct iommu_domain_ops domain_ops = {
	IOMMU_PT_DOMAIN_OPS(amdv1),
	.iotlb_sync_map = domain_sync_map,
	.iotlb_sync = domain_iotlb_sync,
};

static void domain_change_top(struct pt_iommu *iommu_table,
			      phys_addr_t top_paddr, unsigned int top_level)
{
}

static spinlock_t *domain_get_top_lock(struct pt_iommu *iommu_table)
{
	return &to_test_domain(&iommu_table->domain)->top_lock;
}

static const struct pt_iommu_driver_ops driver_ops = {
	.change_top = domain_change_top,
	.get_top_lock = domain_get_top_lock,
};

static void domain_free(void *data)
{
	struct test_domain *d = data;

	/* Nobody has unmapped anything twice, or what somebody else mapped */
	KUNIT_EXPECT_EQ(d->test, d->missed, 0);
	pt_iommu_deinit(&d->amdv1.iommu);
}

/**
 * test_domain - make a domain
 * @test: test that it lives as long as, if not freed by test_domain_free()
 *
 * Return: The domain. The test ends if there is none.
 */
struct test_domain *test_domain(struct kunit *test)
{
	struct pt_iommu_amdv1_cfg cfg = {
		/* The format does not do without them */
		.common.features = BIT(PT_FEAT_DYNAMIC_TOP) |
				   BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) |
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE),
		.common.hw_max_vasz_lg2 = 48,
		.common.hw_max_oasz_lg2 = 51,
		.starting_level = 2,
	};
	struct test_domain *d;
	int ret;

	d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, d);
	d->test = test;
	d->domain.type = IOMMU_DOMAIN_UNMANAGED;
	d->domain.ops = &domain_ops;
	d->amdv1.iommu.nid = NUMA_NO_NODE;
	d->amdv1.iommu.driver_ops = &driver_ops;
	spin_lock_init(&d->top_lock);
	ret = pt_iommu_amdv1_init(&d->amdv1, &cfg, GFP_KERNEL);
	KUNIT_ASSERT_EQ(test, ret, 0);

	d->real = d->amdv1.iommu.ops;
	d->ops = *d->real;
	d->ops.map_range = domain_map_range;
	d->ops.unmap_range = domain_unmap_range;
	d->amdv1.iommu.ops = &d->ops;
	ret = kunit_add_action_or_reset(test, domain_free, d);
	KUNIT_ASSERT_EQ(test, ret, 0);
	return d;
}

void test_domain_free(struct kunit *test, struct test_domain *d)
{
	kunit_release_action(test, domain_free, d);
	kunit_kfree(test, d);
}

/* Does the domain translate a page, from its first to its last byte? */
bool test_translates(struct test_domain *d, unsigned long iova,
		     phys_addr_t paddr)
{
	return iommu_iova_to_phys(&d->domain, iova) == paddr &&
	       iommu_iova_to_phys(&d->domain, iova + PAGE_SIZE - 1) ==
		       paddr + PAGE_SIZE - 1;
}

/* Pages of a slice that the domain does not translate to what the list says */
size_t test_wrong_pages(struct test_domain *d, unsigned long iova,
			const struct dma_buf_phys_list *list, size_t offset,
			size_t length)
{
	size_t at = 0, wrong = 0, i, j;

	for (i = 0; i < list->nr_ranges; i++) {
		const struct phys_vec *range = &list->ranges[i];

		for (j = 0; j < range->len; j += PAGE_SIZE, at += PAGE_SIZE) {
			if (at < offset || at >= offset + length)
				continue;
			wrong += !test_translates(d, iova + (at - offset),
						  range->paddr + j);
		}
	}
	return wrong;
}

/* Pages from @iova on that the domain translates to anything */
size_t test_mapped_pages(struct test_domain *d, unsigned long iova,
			 size_t length)
{
	size_t mapped = 0, i;

	for (i = 0; i < length; i += PAGE_SIZE)
		mapped += iommu_iova_to_phys(&d->domain, iova + i) != 0;
	return mapped;
}

MODULE_IMPORT_NS("GENERIC_PT_IOMMU");
