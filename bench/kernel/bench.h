/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the measurements share: how instructions are counted, how a result is
 * reported, and the buffers that are measured.
 */
#ifndef __DMA_BUF_BENCH_H
#define __DMA_BUF_BENCH_H

#include <linux/bits.h>
#include <linux/dma-buf-mapping.h>
#include <linux/dma-buf.h>
#include <linux/limits.h>
#include <linux/math.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/seq_file.h>
#include <linux/types.h>
#include <asm/tsc.h>

#ifndef BENCH_SERIES
/* The untouched kernel has no list of this kind: the exporter keeps its own */
struct dma_buf_phys_list {
	struct p2pdma_provider *provider;
	unsigned int attrs;
	size_t nr_ranges;
	struct phys_vec ranges[] __counted_by(nr_ranges);
};

#define DMA_BUF_PHYS_MMIO BIT(0)
#endif

/**
 * struct bench_shape - ranges of a buffer
 * @bytes: length of each range
 * @holes: as long a hole follows each range; without, they are adjacent
 * @ranges: number of ranges
 */
struct bench_shape {
	size_t bytes;
	bool holes;
	size_t ranges;
};

/**
 * struct bench_buffer - a dma-buf and what it is made of
 * @shape: its ranges
 * @dmabuf: the buffer
 * @list: its ranges, as its exporter states them
 * @extents: the same ranges, adjacent ones merged
 * @nr_extents: number of @extents
 * @size: bytes in all
 */
struct bench_buffer {
	struct bench_shape shape;
	struct dma_buf *dmabuf;
	struct dma_buf_phys_list *list;
	struct phys_vec *extents;
	size_t nr_extents;
	size_t size;
};

/* Physical address and IOVA at which buffers start; nothing else is there */
#define BENCH_BASE BIT_ULL(40)

#define BENCH_PROT (IOMMU_READ | IOMMU_WRITE | IOMMU_MMIO)

/* QEMU counts an instruction as a tick where it is told to: -icount shift=0 */
static __always_inline u64 bench_count(void)
{
	return rdtsc_ordered();
}

/**
 * struct bench_min - the least of several counts
 *
 * The first one finds caches empty, and any may have a timer interrupt in it.
 */
struct bench_min {
	u64 start;
	u64 best;
};

#define BENCH_MIN ((struct bench_min) { .best = U64_MAX })

extern u64 bench_overhead;

static __always_inline void bench_start(struct bench_min *m)
{
	m->start = bench_count();
}

static __always_inline void bench_stop(struct bench_min *m)
{
	u64 count = bench_count() - m->start - bench_overhead;

	if (count < m->best)
		m->best = count;
}

/* How often something of a number of ranges is measured */
static inline unsigned int bench_repeats(size_t ranges)
{
	return ranges > 1000 ? 2 : 5;
}

/**
 * struct bench_case - what a result is of
 * @kind: the thing that is measured
 * @place: where it is mapped to
 * @shape: of the buffer
 */
struct bench_case {
	const char *kind;
	const char *place;
	struct bench_shape shape;
};

/* Who did it, where it is what nobody who does the same can do without */
#define BENCH_FLOOR "floor"

void bench_report(struct seq_file *s, const struct bench_case *c,
		  const char *operation, const char *by, u64 value);

bool bench_next_shape(struct bench_shape *shape);

struct bench_buffer *bench_buffer(const struct bench_shape *shape,
				  struct p2pdma_provider *provider);
void bench_buffer_free(struct bench_buffer *buf);
bool bench_look_at_ranges(const struct bench_buffer *buf);

extern struct pci_dev *bench_client;
extern struct pci_dev *bench_provider;
extern const struct dma_buf_attach_ops bench_p2p_importer;
const char *bench_place(struct device *dev);

/* How many of a thing are made to say how many bytes one of them uses */
#define BENCH_MANY 32768

/* Pages that are full in part make a little difference: to the nearest 8 bytes */
static inline size_t bench_bytes_of_one(size_t bytes, size_t many)
{
	return DIV_ROUND_CLOSEST(bytes, many * 8) * 8;
}

int bench_sgt(struct seq_file *s, void *unused);
int bench_legacy(struct seq_file *s, void *unused);
int bench_iommu(struct seq_file *s, void *unused);
int bench_slice(struct seq_file *s, void *unused);
int bench_attach(struct seq_file *s, void *unused);
int bench_revoke(struct seq_file *s, void *unused);

size_t bench_memory(void);

#endif /* __DMA_BUF_BENCH_H */
