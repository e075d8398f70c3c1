/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What dma-buf.c calls in the mapping types. Nothing here shows a physical
 * address or an iommu_domain.
 */
#ifndef __DMA_BUF_MAPPING_HOOKS_H
#define __DMA_BUF_MAPPING_HOOKS_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct dentry;
struct device;
struct dma_buf;
struct dma_buf_attach_ops;
struct dma_buf_attachment;
struct dma_buf_ops;
struct seq_file;
struct sg_table;

bool dma_buf_mapping_ops_valid(const struct dma_buf_ops *ops);
struct dma_buf_attachment *
dma_buf_mapping_attach_legacy(struct dma_buf *dmabuf, struct device *dev,
			      const struct dma_buf_attach_ops *importer_ops,
			      void *importer_priv);
void dma_buf_mapping_detach(struct dma_buf_attachment *attach);
void dma_buf_mapping_invalidate(struct dma_buf_attachment *attach);
bool dma_buf_mapping_core_revokes(struct dma_buf_attachment *attach);

void dma_buf_mapping_begin_cpu_access(struct dma_buf *dmabuf,
				      enum dma_data_direction dir);
void dma_buf_mapping_end_cpu_access(struct dma_buf *dmabuf,
				    enum dma_data_direction dir);

struct sg_table *dma_buf_sgt_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir);
void dma_buf_sgt_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir);

void dma_buf_mapping_describe(struct dma_buf_attachment *attach,
			      struct seq_file *s);
void dma_buf_mapping_init_debugfs(struct dentry *dir);

#endif /* __DMA_BUF_MAPPING_HOOKS_H */
