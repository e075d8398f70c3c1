/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A domain with a page table in memory.
 */
#ifndef __DMA_BUF_MAPPING_TESTS_DOMAIN_H
#define __DMA_BUF_MAPPING_TESTS_DOMAIN_H

#include <kunit/test.h>
#include <linux/dma-buf-mapping.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>

#define RW (IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE)
#define IOVA SZ_256M

/* Domain ends below this IOVA, and its tables hold addresses below 2^51 */
#define TEST_APERTURE BIT_ULL(48)

/**
 * struct test_domain - a domain with an AMDv1 page table that no device uses
 * @domain: to be mapped into
 * @amdv1: its page table
 * @test: the test that it belongs to
 * @top_lock: protects the top of @amdv1
 * @real: operations of @amdv1
 * @ops: what core sees of them: counted, and made to fail
 * @maps: calls that map
 * @longest: bytes of the longest of those
 * @last_prot: protection of the last of those
 * @last_gfp: how the last of those allocates
 * @charges_owner: the last of those charged the memory cgroup of this task, and
 *	not by being called by it
 * @fail_map: the how manieth call that maps fails half way, 0 for none
 * @on_nth_map: the how manieth call that maps calls @on_map at its end, 0 for
 *	none
 * @on_map: called by that
 * @syncs: calls of iotlb_sync_map
 * @fail_sync: errno of iotlb_sync_map, 0 for none
 * @unmaps: calls that unmap
 * @missed: those of them that found less than they were to unmap
 * @flushes: calls of iotlb_sync
 * @last_unmap: when the last of @unmaps was, as a number that all domains share
 * @last_flush: when the last of @flushes was
 */
struct test_domain {
	union {
		struct iommu_domain domain;
		struct pt_iommu_amdv1 amdv1;
	};
	struct kunit *test;
	/* protects the top of @amdv1 */
	spinlock_t top_lock;
	const struct pt_iommu_ops *real;
	struct pt_iommu_ops ops;
	unsigned int maps;
	size_t longest;
	unsigned int last_prot;
	gfp_t last_gfp;
	bool charges_owner;
	unsigned int fail_map;
	unsigned int on_nth_map;
	void (*on_map)(struct test_domain *d);
	unsigned int syncs;
	int fail_sync;
	unsigned int unmaps;
	unsigned int missed;
	unsigned int flushes;
	unsigned int last_unmap;
	unsigned int last_flush;
};

struct test_domain *test_domain(struct kunit *test);
void test_domain_free(struct kunit *test, struct test_domain *d);

bool test_translates(struct test_domain *d, unsigned long iova,
		     phys_addr_t paddr);
size_t test_wrong_pages(struct test_domain *d, unsigned long iova,
			const struct dma_buf_phys_list *list, size_t offset,
			size_t length);
size_t test_mapped_pages(struct test_domain *d, unsigned long iova,
			 size_t length);

#endif /* __DMA_BUF_MAPPING_TESTS_DOMAIN_H */
