/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The examples of Documentation/driver-api/dma-buf-mapping.rst, as the suite
 * that runs them sees them.
 */
#ifndef __DMA_BUF_MAPPING_EXAMPLES_H
#define __DMA_BUF_MAPPING_EXAMPLES_H

#include <linux/atomic.h>
#include <linux/dma-buf-mapping.h>

struct iommu_domain;

/* memory-exporter.c */
struct dma_buf *memory_export(size_t nr_ranges);

/* mmio-exporter.c */
struct mmio_buffer {
	struct dma_buf *dmabuf;
	struct dma_buf_phys_list *phys;
	bool revoked;		/* under the reservation lock */
	atomic_t lists;		/* given to core and not yet back */
};

struct dma_buf *mmio_export(struct mmio_buffer *buf,
			    struct dma_buf_phys_list *phys, size_t size);
void mmio_revoke(struct mmio_buffer *buf);
void mmio_restore(struct mmio_buffer *buf);

/* sgt-importer.c */
struct sgt_importer {
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;	/* under the reservation lock, NULL: not mapped */
};

int sgt_import(struct sgt_importer *imp, struct dma_buf *dmabuf,
	       struct device *dev);
int sgt_start_dma(struct sgt_importer *imp);
int sgt_begin_look(struct sgt_importer *imp);
int sgt_end_look(struct sgt_importer *imp);
void sgt_end_import(struct sgt_importer *imp);

/* iommu-importer.c */
struct iommu_importer {
	struct dma_buf_attachment *attach;
	struct iommu_domain *domain;
	unsigned long iova;
};

int iommu_import(struct iommu_importer *imp, struct dma_buf *dmabuf,
		 struct iommu_domain *domain, unsigned long lowest);
void iommu_end_import(struct iommu_importer *imp);

/* private-type.c */
struct fabric {
	const char *name;
};

extern struct dma_buf_mapping_type link_type;

struct dma_buf *link_export(const struct fabric *fabric);
struct dma_buf_attachment *link_attach(struct dma_buf *dmabuf,
				       struct device *dev,
				       const struct fabric *fabric);
int link_address(struct dma_buf_attachment *attach, u64 *address);

/* converter.c */
int windows_init(void);
void windows_exit(void);
struct dma_buf_attachment *window_attach(struct dma_buf *dmabuf);
unsigned int windows_open(struct dma_buf_attachment *attach);
bool window_translates(struct dma_buf_attachment *attach, size_t offset,
		       phys_addr_t *paddr);

#endif /* __DMA_BUF_MAPPING_EXAMPLES_H */
