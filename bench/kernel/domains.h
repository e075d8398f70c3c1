/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The domains that are mapped into.
 */
#ifndef __DMA_BUF_BENCH_DOMAINS_H
#define __DMA_BUF_BENCH_DOMAINS_H

#include <linux/iommu.h>

struct bench_buffer;

/**
 * struct bench_domains - a kind of domain
 * @name: how results call it
 * @alloc: makes one, nothing is mapped in it
 * @free: undoes @alloc
 */
struct bench_domains {
	const char *name;
	struct iommu_domain *(*alloc)(void);
	void (*free)(struct iommu_domain *domain);
};

extern const struct bench_domains bench_domains[2];

int bench_map_extents(const struct bench_buffer *buf,
		      struct iommu_domain *domain, unsigned long iova);
int bench_map_slice(const struct bench_buffer *buf, struct iommu_domain *domain,
		    unsigned long iova, size_t offset, size_t length);
int bench_unmap_extents(const struct bench_buffer *buf,
			struct iommu_domain *domain, unsigned long iova);

#endif /* __DMA_BUF_BENCH_DOMAINS_H */
