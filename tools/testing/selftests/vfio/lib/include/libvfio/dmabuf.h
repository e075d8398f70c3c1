/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_DMABUF_H
#define SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_DMABUF_H

#include <linux/iommufd.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio/assert.h>
#include <libvfio/iommu.h>
#include <libvfio/vfio_pci_device.h>

/*
 * Tell the devices on the command line apart: the first one that the library
 * has a driver for does the DMA, the first other one that can export a BAR of
 * at least that size is the exporter. Exits with KSFT_SKIP if there are no two.
 */
void vfio_selftests_get_dmabuf_bdfs(int *argc, char *argv[], u64 bar_size,
				    const char **exporter, const char **dma);

bool vfio_pci_dmabuf_supported(struct vfio_pci_device *device);

/*
 * Export ranges of a BAR as a dma-buf. Returns its file descriptor, which is
 * closed with close().
 */
int __vfio_pci_dmabuf_export(struct vfio_pci_device *device, u32 bar,
			     const struct vfio_region_dma_range *ranges,
			     u32 nr_ranges);

static inline int vfio_pci_dmabuf_export(struct vfio_pci_device *device, u32 bar,
					 const struct vfio_region_dma_range *ranges,
					 u32 nr_ranges)
{
	int fd = __vfio_pci_dmabuf_export(device, bar, ranges, nr_ranges);

	VFIO_ASSERT_GE(fd, 0, "Failed to export BAR %u as a dma-buf\n", bar);
	return fd;
}

/*
 * Map a slice of a dma-buf to where devices are attached: to an IOVA, or to
 * one that the kernel picks. Other IOASs and permissions are for
 * __iommu_ioas_map_file().
 */
#define DMABUF_MAP_FLAGS (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

static inline int __dmabuf_map_fixed(struct iommu *iommu, int fd, u64 start,
				     u64 length, iova_t iova)
{
	u32 flags = DMABUF_MAP_FLAGS | IOMMU_IOAS_MAP_FIXED_IOVA;

	return __iommu_ioas_map_file(iommu, iommu->ioas_id, flags, fd, start,
				     length, &iova);
}

static inline void dmabuf_map_fixed(struct iommu *iommu, int fd, u64 start,
				    u64 length, iova_t iova)
{
	VFIO_ASSERT_EQ(__dmabuf_map_fixed(iommu, fd, start, length, iova), 0);
}

static inline int __dmabuf_map(struct iommu *iommu, int fd, u64 start,
			       u64 length, iova_t *iova)
{
	*iova = 0;
	return __iommu_ioas_map_file(iommu, iommu->ioas_id, DMABUF_MAP_FLAGS,
				     fd, start, length, iova);
}

static inline iova_t dmabuf_map(struct iommu *iommu, int fd, u64 start,
				u64 length)
{
	iova_t iova;

	VFIO_ASSERT_EQ(__dmabuf_map(iommu, fd, start, length, &iova), 0);
	return iova;
}

static inline int __dmabuf_unmap(struct iommu *iommu, iova_t iova, u64 length)
{
	return __iommu_ioas_unmap(iommu, iommu->ioas_id, iova, length, NULL);
}

static inline void dmabuf_unmap(struct iommu *iommu, iova_t iova, u64 length)
{
	VFIO_ASSERT_EQ(__dmabuf_unmap(iommu, iova, length), 0);
}

/*
 * Make a dma-buf of ordinary memory, by /dev/udmabuf. Returns its file
 * descriptor.
 */
int __udmabuf_create(u64 size);

#endif /* SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_DMABUF_H */
