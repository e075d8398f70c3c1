// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/types.h>
#include <linux/udmabuf.h>
#include <linux/vfio.h>

#include "../../kselftest.h"
#include <libvfio.h>

void vfio_selftests_get_dmabuf_bdfs(int *argc, char *argv[], u64 bar_size,
				    const char **exporter, const char **dma)
{
	struct vfio_pci_device *device;
	struct vfio_pci_bar *bar;
	struct iommu *iommu;
	int i, nr_bdfs;
	char **bdfs;

	bdfs = vfio_selftests_get_bdfs(argc, argv, &nr_bdfs);
	*exporter = NULL;
	*dma = NULL;

	iommu = iommu_init(MODE_IOMMUFD);
	for (i = 0; i < nr_bdfs; i++) {
		device = vfio_pci_device_init(bdfs[i], iommu);
		bar = vfio_pci_largest_mapped_bar(device);

		if (!*dma && device->driver.ops)
			*dma = bdfs[i];
		else if (!*exporter && bar && bar->info.size >= bar_size &&
			 vfio_pci_dmabuf_supported(device))
			*exporter = bdfs[i];

		vfio_pci_device_cleanup(device);
	}
	iommu_cleanup(iommu);

	if (!*dma)
		ksft_exit_skip("None of the devices has a driver in the library\n");
	if (!*exporter)
		ksft_exit_skip("No other device exports a BAR of 0x%lx bytes\n",
			       bar_size);
}

bool vfio_pci_dmabuf_supported(struct vfio_pci_device *device)
{
	u32 flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
		    VFIO_DEVICE_FEATURE_DMA_BUF;

	return !__vfio_device_feature(device->fd, flags, NULL, 0);
}

int __vfio_pci_dmabuf_export(struct vfio_pci_device *device, u32 bar,
			     const struct vfio_region_dma_range *ranges,
			     u32 nr_ranges)
{
	u32 flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	struct vfio_device_feature_dma_buf *args;
	size_t size;
	int ret;

	size = sizeof(*args) + nr_ranges * sizeof(*ranges);
	args = calloc_assert(1, size);
	args->region_index = bar;
	args->open_flags = O_RDWR | O_CLOEXEC;
	args->nr_ranges = nr_ranges;
	memcpy(args->dma_ranges, ranges, nr_ranges * sizeof(*ranges));

	ret = __vfio_device_feature(device->fd, flags, args, size);
	free(args);

	return ret;
}

int __udmabuf_create(u64 size)
{
	struct udmabuf_create args = {
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	int memfd, udmabuf, ret;

	udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (udmabuf < 0)
		return -errno;

	memfd = memfd_create("udmabuf", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	VFIO_ASSERT_GE(memfd, 0);
	VFIO_ASSERT_EQ(ftruncate(memfd, size), 0);
	VFIO_ASSERT_EQ(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	args.memfd = memfd;

	ret = ioctl(udmabuf, UDMABUF_CREATE, &args);
	if (ret < 0)
		ret = -errno;

	close(memfd);
	close(udmabuf);

	return ret;
}
