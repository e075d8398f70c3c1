// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include <linux/iommufd.h>
#include <linux/limits.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "kselftest_harness.h"

static const char *device_bdf;

FIXTURE(vfio_pci_dmabuf_test) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	int bar;
	int dmabuf;
};

static int device_feature(struct vfio_pci_device *device, u32 flags,
			  const void *data, size_t size)
{
	struct vfio_device_feature *feature;
	int ret;

	feature = calloc(1, sizeof(*feature) + size);
	VFIO_ASSERT_NOT_NULL(feature);
	feature->argsz = sizeof(*feature) + size;
	feature->flags = flags;
	if (size)
		memcpy(feature->data, data, size);
	ret = ioctl(device->fd, VFIO_DEVICE_FEATURE, feature);
	if (ret < 0)
		ret = -errno;
	free(feature);

	return ret;
}

static int dmabuf_export(struct vfio_pci_device *device, int bar)
{
	struct {
		struct vfio_device_feature_dma_buf header;
		struct vfio_region_dma_range range;
	} arg = {
		.header = {
			.region_index = bar,
			.open_flags = O_RDWR | O_CLOEXEC,
			.nr_ranges = 1,
		},
		.range.length = getpagesize(),
	};

	return device_feature(device, VFIO_DEVICE_FEATURE_GET |
			      VFIO_DEVICE_FEATURE_DMA_BUF, &arg, sizeof(arg));
}

/* Whether an importer gets the memory: 0, or the errno */
static int dmabuf_import(struct iommu *iommu, int dmabuf)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = iommu->ioas_id,
		.fd = dmabuf,
		.length = getpagesize(),
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = iommu->ioas_id,
		.length = getpagesize(),
	};

	if (ioctl(iommu->iommufd, IOMMU_IOAS_MAP_FILE, &map))
		return errno;

	unmap.iova = map.iova;
	ioctl_assert(iommu->iommufd, IOMMU_IOAS_UNMAP, &unmap);
	return 0;
}

static int low_power_entry(struct vfio_pci_device *device)
{
	return device_feature(device, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

static int low_power_entry_with_wakeup(struct vfio_pci_device *device,
				       int eventfd)
{
	struct vfio_device_low_power_entry_with_wakeup entry = {
		.wakeup_eventfd = eventfd,
	};

	return device_feature(device, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
			      &entry, sizeof(entry));
}

static int low_power_exit(struct vfio_pci_device *device)
{
	return device_feature(device, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0);
}

/* Within five seconds; without CONFIG_PM never */
static bool device_suspends(void)
{
	char path[PATH_MAX], status[32];
	int fd, i;

	snprintf_assert(path, sizeof(path),
			"/sys/bus/pci/devices/%s/power/runtime_status",
			device_bdf);
	for (i = 0; i < 500; i++) {
		memset(status, 0, sizeof(status));
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return false;
		VFIO_ASSERT_GT(read(fd, status, sizeof(status) - 1), 0);
		close(fd);
		if (!strcmp(status, "suspended\n"))
			return true;
		usleep(10000);
	}
	return false;
}

FIXTURE_SETUP(vfio_pci_dmabuf_test)
{
	self->iommu = iommu_init(MODE_IOMMUFD);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);

	for (self->bar = 0; self->bar < PCI_STD_NUM_BARS; self->bar++)
		if (self->device->bars[self->bar].vaddr &&
		    self->device->bars[self->bar].info.size >= getpagesize())
			break;
	ASSERT_NE(PCI_STD_NUM_BARS, self->bar)
		TH_LOG("The device has no BAR that can be exported");

	self->dmabuf = dmabuf_export(self->device, self->bar);
	ASSERT_LE(0, self->dmabuf) {
		TH_LOG("Needs CONFIG_VFIO_PCI_DMABUF: %s",
		       strerror(-self->dmabuf));
	}
	ASSERT_EQ(0, dmabuf_import(self->iommu, self->dmabuf));
}

FIXTURE_TEARDOWN(vfio_pci_dmabuf_test)
{
	close(self->dmabuf);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

TEST_F(vfio_pci_dmabuf_test, low_power)
{
	ASSERT_EQ(0, low_power_entry(self->device));
	ASSERT_EQ(ENODEV, dmabuf_import(self->iommu, self->dmabuf));
	ASSERT_EQ(0, low_power_exit(self->device));
	ASSERT_EQ(0, dmabuf_import(self->iommu, self->dmabuf));
}

/* None of these ends low power */
TEST_F(vfio_pci_dmabuf_test, low_power_reset)
{
	if (!(self->device->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "the device cannot be reset");

	ASSERT_EQ(0, low_power_entry(self->device));
	vfio_pci_device_reset(self->device);
	ASSERT_EQ(ENODEV, dmabuf_import(self->iommu, self->dmabuf));
	ASSERT_EQ(0, low_power_exit(self->device));
	ASSERT_EQ(0, dmabuf_import(self->iommu, self->dmabuf));
}

TEST_F(vfio_pci_dmabuf_test, low_power_command)
{
	ASSERT_EQ(0, low_power_entry(self->device));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	ASSERT_EQ(ENODEV, dmabuf_import(self->iommu, self->dmabuf));

	/* And its end alone is not enough */
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	ASSERT_EQ(0, low_power_exit(self->device));
	ASSERT_EQ(ENODEV, dmabuf_import(self->iommu, self->dmabuf));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	ASSERT_EQ(0, dmabuf_import(self->iommu, self->dmabuf));
}

TEST_F(vfio_pci_dmabuf_test, low_power_export)
{
	int dmabuf;

	ASSERT_EQ(0, low_power_entry(self->device));
	dmabuf = dmabuf_export(self->device, self->bar);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(ENODEV, dmabuf_import(self->iommu, dmabuf));
	ASSERT_EQ(0, low_power_exit(self->device));
	ASSERT_EQ(0, dmabuf_import(self->iommu, dmabuf));
	close(dmabuf);
}

/* A device that is woken up is out of low power without an ioctl */
TEST_F(vfio_pci_dmabuf_test, low_power_wakeup)
{
	struct pollfd woken = { .events = POLLIN };

	woken.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, woken.fd);
	ASSERT_EQ(0, low_power_entry_with_wakeup(self->device, woken.fd));
	if (!device_suspends())
		SKIP(return, "the device does not suspend, is CONFIG_PM set?");
	ASSERT_EQ(0, poll(&woken, 1, 0));
	ASSERT_EQ(ENODEV, dmabuf_import(self->iommu, self->dmabuf));

	vfio_pci_config_readw(self->device, PCI_VENDOR_ID);
	ASSERT_EQ(1, poll(&woken, 1, 0));
	ASSERT_EQ(0, dmabuf_import(self->iommu, self->dmabuf));
	close(woken.fd);
}

int main(int argc, char *argv[])
{
	device_bdf = vfio_selftests_get_bdf(&argc, argv);
	return test_harness_run(argc, argv);
}
