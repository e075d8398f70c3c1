// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the instructions that dma-buf takes to map. A folder of debugfs has a
 * file for each group of measurements; to read it is to measure.
 */
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/vmstat.h>

#include "bench.h"

static unsigned long max_ranges = 1000000;
module_param_named(max, max_ranges, ulong, 0444);
MODULE_PARM_DESC(max, "number of ranges of the largest buffer");

u64 bench_overhead;
struct pci_dev *bench_client;
struct pci_dev *bench_provider;

static const size_t counts[] = { 1, 16, 1000, 100000, 1000000 };

static bool next_count(size_t *count)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++)
		if (counts[i] > *count && counts[i] <= max_ranges) {
			*count = counts[i];
			return true;
		}
	return false;
}

/**
 * bench_next_shape - the shapes that everything is measured for, in order
 * @shape: the one before, zeroed at first
 */
bool bench_next_shape(struct bench_shape *shape)
{
	if (!shape->bytes)
		shape->bytes = SZ_4K;
	if (next_count(&shape->ranges))
		return true;

	shape->ranges = counts[0];
	shape->holes = !shape->holes;
	if (shape->holes) {
		/* A range alone is the same with and without a hole */
		next_count(&shape->ranges);
		return true;
	}
	if (shape->bytes == SZ_2M)
		return false;
	shape->bytes = SZ_2M;
	return true;
}

/**
 * bench_report - a line of the result
 * @s: where to
 * @c: what was measured
 * @operation: which part of it
 * @by: what did it
 * @value: how much it was
 */
void bench_report(struct seq_file *s, const struct bench_case *c,
		  const char *operation, const char *by, u64 value)
{
	seq_printf(s, "bench,%s,%s,%zu,%s,%zu,%s,%s,%llu\n", c->kind, c->place,
		   c->shape.bytes,
		   c->shape.ranges < 2 ? "-" :
		   c->shape.holes ? "holes" : "adjacent",
		   c->shape.ranges, operation, by, value);
}

/**
 * bench_place - how a device reaches memory
 * @dev: the device
 */
const char *bench_place(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && domain->type != IOMMU_DOMAIN_IDENTITY ? "iova" :
		"direct";
}

/* One processor: what it has not yet added up is all that is missing */
static size_t iommu_pages(void)
{
	pg_data_t *node = NODE_DATA(0);

	return node_page_state_pages(node, NR_IOMMU_PAGES) +
	       this_cpu_ptr(node->per_cpu_nodestats)->vm_node_stat_diff[NR_IOMMU_PAGES];
}

/**
 * bench_memory - bytes of memory in use, page tables of IOMMUs left out
 *
 * To the page, so it takes many of a thing to say how much one of them uses.
 */
size_t bench_memory(void)
{
	size_t pages = totalram_pages() - iommu_pages();
	struct zone *zone;

	drain_local_pages(NULL);
	for_each_populated_zone(zone)
		pages -= zone_page_state_snapshot(zone, NR_FREE_PAGES);
	return pages * PAGE_SIZE;
}

static void measure_overhead(void)
{
	struct bench_min none = BENCH_MIN;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		bench_start(&none);
		bench_stop(&none);
	}
	bench_overhead = none.best;
}

/* Two of QEMU's edu devices: one that does DMA, and one whose BAR it reaches */
static int find_devices(void)
{
	int ret;

	bench_client = pci_get_device(0x1234, 0x11e8, NULL);
	if (!bench_client)
		return -ENODEV;
	pci_dev_get(bench_client);
	bench_provider = pci_get_device(0x1234, 0x11e8, bench_client);
	if (!bench_provider)
		return -ENODEV;

	/* As of a GPU: else no entry would be longer than 64 KiB */
	dma_set_max_seg_size(&bench_client->dev, UINT_MAX);
	ret = dma_set_mask_and_coherent(&bench_client->dev, DMA_BIT_MASK(64));
	return ret ?: pcim_p2pdma_init(bench_provider);
}

/* For the program that measures, which takes it from behind the IOMMU */
static void link_client(struct dentry *dir)
{
	char *path;

	path = kasprintf(GFP_KERNEL, "/sys/bus/pci/devices/%s",
			 pci_name(bench_client));
	if (path)
		debugfs_create_symlink("client", dir, path);
	kfree(path);
}

static int open_group(struct inode *inode, struct file *file)
{
	/* All of it, or a larger buffer would be had by measuring again */
	return single_open_size(file, inode->i_private, NULL, SZ_256K);
}

static const struct file_operations group_fops = {
	.owner = THIS_MODULE,
	.open = open_group,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static int __init bench_init(void)
{
	struct dentry *dir;
	int ret;

	ret = find_devices();
	if (ret) {
		pr_err("dma-buf-bench: needs two edu devices: %d\n", ret);
		return ret;
	}
	measure_overhead();

	dir = debugfs_create_dir("dma-buf-bench", NULL);
	link_client(dir);
	debugfs_create_file("sgt", 0400, dir, bench_sgt, &group_fops);
	debugfs_create_file("legacy", 0400, dir, bench_legacy, &group_fops);
#ifdef BENCH_SERIES
	debugfs_create_file("iommu", 0400, dir, bench_iommu, &group_fops);
	debugfs_create_file("slice", 0400, dir, bench_slice, &group_fops);
	debugfs_create_file("attach", 0400, dir, bench_attach, &group_fops);
	debugfs_create_file("revoke", 0400, dir, bench_revoke, &group_fops);
#endif
	return 0;
}
late_initcall(bench_init);

MODULE_IMPORT_NS("DMA_BUF");
