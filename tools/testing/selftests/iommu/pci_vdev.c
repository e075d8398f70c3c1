// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI devices in the hands of vfio-pci, for the tests of dma-bufs.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dmabuf_ioctls.h"
#include "pci_vdev.h"

#define EDU_SRC			0x80
#define EDU_DST			0x88
#define EDU_COUNT		0x90
#define EDU_CMD			0x98
#define EDU_CMD_START		0x1
#define EDU_TIMEOUT_MS		5000

static void sysfs_path(char *path, const char *bdf, const char *name)
{
	snprintf(path, PATH_MAX, PCI_DEVICES "%s/%s", bdf, name);
}

static unsigned int read_id(const char *bdf, const char *name)
{
	char path[PATH_MAX];
	unsigned int id = 0;
	FILE *file;

	sysfs_path(path, bdf, name);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%x", &id) != 1)
		id = 0;
	fclose(file);
	return id;
}

bool pci_vdev_find(struct pci_vdev *dev, unsigned int vendor,
		   unsigned int device)
{
	DIR *dir = opendir(PCI_DEVICES);
	struct dirent *entry;

	while (dir && !dev->bdf[0] && (entry = readdir(dir)))
		if (read_id(entry->d_name, "vendor") == vendor &&
		    read_id(entry->d_name, "device") == device)
			snprintf(dev->bdf, sizeof(dev->bdf), "%.31s",
				 entry->d_name);
	if (dir)
		closedir(dir);
	return dev->bdf[0];
}

bool pci_vdev_has_iommu(const struct pci_vdev *dev)
{
	char path[PATH_MAX];

	sysfs_path(path, dev->bdf, "iommu");
	return !access(path, F_OK);
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

const char *pci_vdev_bind_driver(const struct pci_vdev *dev)
{
	char path[PATH_MAX], driver[PATH_MAX] = "";

	sysfs_path(path, dev->bdf, "driver");
	if (readlink(path, driver, sizeof(driver) - 1) > 0 &&
	    strstr(driver, "/vfio-pci"))
		return NULL;
	sysfs_path(path, dev->bdf, "driver_override");
	if (!write_file(path, "vfio-pci"))
		return "write of driver_override";
	sysfs_path(path, dev->bdf, "driver/unbind");
	if (driver[0] && !write_file(path, dev->bdf))
		return "write of driver/unbind";
	if (!write_file("/sys/bus/pci/drivers_probe", dev->bdf))
		return "write of drivers_probe for vfio-pci";
	return NULL;
}

static int open_cdev(const char *bdf)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	sysfs_path(path, bdf, "vfio-dev");
	dir = opendir(path);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.64s",
			 entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static int region_info(struct pci_vdev *dev, unsigned int index,
		       struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return call(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

const char *pci_vdev_open(struct pci_vdev *dev, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	struct vfio_region_info info;

	dev->fd = open_cdev(dev->bdf);
	if (dev->fd < 0)
		return "open of its /dev/vfio/devices file";
	if (call(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return "VFIO_DEVICE_BIND_IOMMUFD";
	dev->devid = bind.out_devid;
	if (region_info(dev, VFIO_PCI_CONFIG_REGION_INDEX, &info))
		return "VFIO_DEVICE_GET_REGION_INFO";
	dev->config = info.offset;
	if (pci_vdev_change_command(dev, 0,
				    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER))
		return "write of COMMAND";
	return NULL;
}

void pci_vdev_close(struct pci_vdev *dev)
{
	close(dev->fd);
	dev->fd = -1;
}

int pci_vdev_attach(struct pci_vdev *dev, __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = pt_id,
	};

	return call(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

int pci_vdev_detach(struct pci_vdev *dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return call(dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

unsigned int pci_vdev_largest_bar(struct pci_vdev *dev, size_t *size)
{
	struct vfio_region_info info;
	unsigned int index, best = 0;

	*size = 0;
	for (index = 0; index < VFIO_PCI_ROM_REGION_INDEX; index++) {
		if (region_info(dev, index, &info) ||
		    !(info.flags & VFIO_REGION_INFO_FLAG_MMAP) ||
		    info.size <= *size)
			continue;
		best = index;
		*size = info.size;
	}
	return best;
}

void *pci_vdev_map_bar(struct pci_vdev *dev, unsigned int bar, size_t *size)
{
	struct vfio_region_info info;
	void *memory;

	if (region_info(dev, bar, &info))
		return NULL;
	*size = info.size;
	memory = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      dev->fd, info.offset);
	return memory == MAP_FAILED ? NULL : memory;
}

int pci_vdev_bar_phys(const struct pci_vdev *dev, unsigned int bar,
		      __u64 *phys)
{
	unsigned long long start;
	char path[PATH_MAX];
	int ret = -EIO;
	FILE *file;

	sysfs_path(path, dev->bdf, "resource");
	file = fopen(path, "r");
	if (!file)
		return -errno;
	/* A line for each BAR: start, end and flags */
	while (fscanf(file, "%llx %*x %*x", &start) == 1) {
		if (bar--)
			continue;
		*phys = start;
		ret = 0;
		break;
	}
	fclose(file);
	return ret;
}

int pci_vdev_export(struct pci_vdev *dev, unsigned int bar,
		    const struct vfio_region_dma_range *ranges,
		    unsigned int nr_ranges)
{
	size_t length = nr_ranges * sizeof(*ranges);
	size_t size = sizeof(struct vfio_device_feature) +
		      sizeof(struct vfio_device_feature_dma_buf) + length;
	struct vfio_device_feature_dma_buf *arg;
	struct vfio_device_feature *feature;
	int ret;

	feature = calloc(1, size);
	if (!feature)
		return -ENOMEM;
	feature->argsz = size;
	feature->flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	arg = (void *)feature->data;
	arg->region_index = bar;
	arg->open_flags = O_RDWR | O_CLOEXEC;
	arg->nr_ranges = nr_ranges;
	memcpy(arg->dma_ranges, ranges, length);

	ret = call(dev->fd, VFIO_DEVICE_FEATURE, feature);
	free(feature);
	return ret;
}

int pci_vdev_change_command(struct pci_vdev *dev, __u16 clear, __u16 set)
{
	off_t at = dev->config + PCI_COMMAND;
	__u16 command;

	if (pread(dev->fd, &command, sizeof(command), at) != sizeof(command))
		return -EIO;
	command = (command & ~clear) | set;
	if (pwrite(dev->fd, &command, sizeof(command), at) != sizeof(command))
		return -EIO;
	return 0;
}

int pci_vdev_set_decode(struct pci_vdev *dev, bool on)
{
	if (on)
		return pci_vdev_change_command(dev, 0, PCI_COMMAND_MEMORY);
	return pci_vdev_change_command(dev, PCI_COMMAND_MEMORY, 0);
}

bool pci_vdev_can_reset(struct pci_vdev *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return !call(dev->fd, VFIO_DEVICE_GET_INFO, &info) &&
	       (info.flags & VFIO_DEVICE_FLAGS_RESET);
}

int pci_vdev_reset(struct pci_vdev *dev)
{
	return call(dev->fd, VFIO_DEVICE_RESET, NULL);
}

static void edu_write(__u8 *edu, unsigned int reg, __u32 value)
{
	__atomic_store_n((__u32 *)(edu + reg), value, __ATOMIC_RELEASE);
}

static __u32 edu_read(__u8 *edu, unsigned int reg)
{
	return __atomic_load_n((__u32 *)(edu + reg), __ATOMIC_ACQUIRE);
}

int edu_run(__u8 *edu, __u32 src, __u32 dst, __u32 count, __u32 direction)
{
	unsigned int ms;

	edu_write(edu, EDU_SRC, src);
	edu_write(edu, EDU_DST, dst);
	edu_write(edu, EDU_COUNT, count);
	edu_write(edu, EDU_CMD, direction | EDU_CMD_START);
	for (ms = 0; ms < EDU_TIMEOUT_MS; ms++) {
		if (!(edu_read(edu, EDU_CMD) & EDU_CMD_START))
			return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}
