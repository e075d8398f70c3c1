/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI devices in the hands of vfio-pci, for the tests of dma-bufs: one that has
 * a BAR to export, and QEMU's edu device, which can be told to do DMA.
 *
 * Calls return 0 or what is useful, and -errno if they fail.
 */
#ifndef __SELFTEST_IOMMU_PCI_VDEV_H
#define __SELFTEST_IOMMU_PCI_VDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/pci_regs.h>
#include <linux/types.h>
#include <linux/vfio.h>

#define PCI_DEVICES		"/sys/bus/pci/devices/"

/* edu: a DMA engine with 28 address bits between memory and its own buffer */
#define EDU_BUFFER		0x40000
/* Its buffer has 4096 bytes, of which some versions of QEMU refuse the last */
#define EDU_MAX			2048
#define EDU_IOVA_LAST		0xfffffffUL
#define EDU_TO_BUFFER		0
#define EDU_TO_MEMORY		2

struct pci_vdev {
	/* PCI address such as 0000:00:03.0, empty if there is none */
	char bdf[32];
	/* Character device, -1 while closed */
	int fd;
	/* What iommufd calls the device */
	__u32 devid;
	/* Where the config space is in @fd */
	__u64 config;
};

bool pci_vdev_find(struct pci_vdev *dev, unsigned int vendor,
		   unsigned int device);

/* The memory device and the DMA engine that QEMU has */
static inline bool pci_vdev_find_ivshmem(struct pci_vdev *dev)
{
	return pci_vdev_find(dev, 0x1af4, 0x1110);
}

static inline bool pci_vdev_find_edu(struct pci_vdev *dev)
{
	return pci_vdev_find(dev, 0x1234, 0x11e8);
}

bool pci_vdev_has_iommu(const struct pci_vdev *dev);

/*
 * These two give what failed, with the reason in errno, or NULL. A device that
 * is opened can do DMA, and its memory can be reached.
 */
const char *pci_vdev_bind_driver(const struct pci_vdev *dev);
const char *pci_vdev_open(struct pci_vdev *dev, int iommufd);
void pci_vdev_close(struct pci_vdev *dev);

int pci_vdev_attach(struct pci_vdev *dev, __u32 pt_id);
int pci_vdev_detach(struct pci_vdev *dev);

/* The largest BAR is where a device has its memory: its index, 0 bytes if none */
unsigned int pci_vdev_largest_bar(struct pci_vdev *dev, size_t *size);
/* NULL with errno if it fails */
void *pci_vdev_map_bar(struct pci_vdev *dev, unsigned int bar, size_t *size);
int pci_vdev_bar_phys(const struct pci_vdev *dev, unsigned int bar,
		      __u64 *phys);
int pci_vdev_export(struct pci_vdev *dev, unsigned int bar,
		    const struct vfio_region_dma_range *ranges,
		    unsigned int nr_ranges);

int pci_vdev_change_command(struct pci_vdev *dev, __u16 clear, __u16 set);
int pci_vdev_set_decode(struct pci_vdev *dev, bool on);
bool pci_vdev_can_reset(struct pci_vdev *dev);
int pci_vdev_reset(struct pci_vdev *dev);

/* @edu is its BAR 0; one of @src and @dst is EDU_BUFFER. Waits for the end. */
int edu_run(__u8 *edu, __u32 src, __u32 dst, __u32 count, __u32 direction);

#endif
