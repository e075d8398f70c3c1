// SPDX-License-Identifier: GPL-2.0-only
/*
 * Example: a new type for importers and a converter from PAL to it. The type
 * stands for a unit that translates in a few windows; core opens them, so that
 * the importer learns of no physical address. As it includes internal.h it
 * cannot but live in drivers/dma-buf/mapping/.
 */
#include <linux/dma-resv.h>
#include <linux/slab.h>

#include "../../internal.h"
#include "../../pal.h"
#include "examples.h"

#define NR_WINDOWS 4

struct unit {
	struct dma_buf_pal_index *index;
	unsigned int open;			/* 0 while revoked */
	struct {
		phys_addr_t paddr;
		size_t len;
	} window[NR_WINDOWS];
};

static struct dma_buf_mapping_type window_type = {
	.name = "example windows",
	.importer_only = true,
};

/* May read only what never changes; that the list fits shows when it is there */
static int pal_to_window_match(struct dma_buf_attachment *attach,
			       const struct dma_buf_mapping_match *exp,
			       const struct dma_buf_mapping_match *imp)
{
	return exp->pal.attrs & DMA_BUF_PHYS_MMIO ? -EOPNOTSUPP : 0;
}

/* The reservation lock is held for this one and those below */
static int pal_to_window_open(struct dma_buf_mapping_attachment *ma)
{
	const struct dma_buf_extent *extent;
	struct unit *unit = ma->priv;
	struct dma_buf_pal_index *index;
	unsigned int i;
	int ret;

	/* The one that is kept over a revoke is used again if it can be */
	ret = dma_buf_pal_index_get(&ma->attach, &unit->index);
	if (ret)
		return ret;
	index = unit->index;
	if (index->nr_extents > NR_WINDOWS) {
		dma_buf_pal_index_unmap(&ma->attach, index);
		return -ENOSPC;
	}

	for (i = 0, extent = index->extents; i < index->nr_extents; i++, extent++) {
		unit->window[i].paddr = extent->paddr;
		unit->window[i].len = dma_buf_extent_len(extent);
	}
	unit->open = index->nr_extents;
	return 0;
}

/* May be called for what is revoked already */
static void pal_to_window_invalidate(struct dma_buf_mapping_attachment *ma)
{
	struct unit *unit = ma->priv;

	if (!unit->open)
		return;
	unit->open = 0;
	dma_buf_pal_index_unmap(&ma->attach, unit->index);
}

static void unit_free(struct unit *unit)
{
	if (unit->index)
		dma_buf_pal_index_put(unit->index);
	kfree(unit);
}

static int pal_to_window_attach(struct dma_buf_mapping_attachment *ma)
{
	int ret;

	ma->priv = kzalloc_obj(struct unit);
	if (!ma->priv)
		return -ENOMEM;
	ret = pal_to_window_open(ma);
	if (ret)
		unit_free(ma->priv);
	return ret;
}

static void pal_to_window_detach(struct dma_buf_mapping_attachment *ma)
{
	pal_to_window_invalidate(ma);
	unit_free(ma->priv);
}

static struct dma_buf_mapping_converter pal_to_window = {
	.name = "PAL -> example windows",
	.exp_type = &dma_buf_mapping_pal,
	.imp_type = &window_type,
	.core_revokes = true,
	.match = pal_to_window_match,
	.attach = pal_to_window_attach,
	.detach = pal_to_window_detach,
	.invalidate = pal_to_window_invalidate,
	.restore = pal_to_window_open,
};

/* Core's own are registered by dma_buf_mapping_init() */
int windows_init(void)
{
	int ret;

	ret = dma_buf_mapping_type_register(&window_type);
	if (ret)
		return ret;
	ret = dma_buf_mapping_converter_register(&pal_to_window);
	if (ret)
		dma_buf_mapping_type_unregister(&window_type);
	return ret;
}

void windows_exit(void)
{
	dma_buf_mapping_converter_unregister(&pal_to_window);
	dma_buf_mapping_type_unregister(&window_type);
}

/* What importers get; both would be declared in dma-buf-mapping.h */
struct dma_buf_attachment *window_attach(struct dma_buf *dmabuf)
{
	const struct dma_buf_mapping_match window = { .type = &window_type };

	return dma_buf_mapping_attach(dmabuf, &window, 1, NULL, NULL);
}

unsigned int windows_open(struct dma_buf_attachment *attach)
{
	struct unit *unit = to_mapping_attachment(attach)->priv;
	unsigned int open;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	open = unit->open;
	dma_resv_unlock(attach->dmabuf->resv);
	return open;
}

/* For the tests alone: what the unit's device reaches at a byte */
bool window_translates(struct dma_buf_attachment *attach, size_t offset,
		       phys_addr_t *paddr)
{
	struct unit *unit = to_mapping_attachment(attach)->priv;
	unsigned int i;

	for (i = 0; i < unit->open; i++) {
		if (offset < unit->window[i].len) {
			*paddr = unit->window[i].paddr + offset;
			return true;
		}
		offset -= unit->window[i].len;
	}
	return false;
}
