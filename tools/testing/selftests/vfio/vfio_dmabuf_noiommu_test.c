// SPDX-License-Identifier: GPL-2.0-only
/*
 * The BAR of a PCI device as a dma-buf of several ranges in an IOAS without an
 * IOMMU: what iommufd says of each page's physical address has to be what the
 * BAR of the device says, and nothing while the buffer is revoked.
 *
 * Usage: vfio_dmabuf_noiommu_test [options] BDF
 *
 * Needs a device with a BAR of at least 1 MiB, such as QEMU's ivshmem, a kernel
 * that drives no IOMMU, and the parameter vfio.enable_unsafe_noiommu_mode=1.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "kselftest_harness.h"

#define PAGE		SZ_4K
#define NOIOMMU_MODE	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

#define IOVA_WHOLE	0x1000000UL
#define IOVA_SLICE	0x2000000UL
#define IOVA_COPY	0x3000000UL

static const char *device_bdf;

/* Out of order, with holes between, but for two that are one in memory. */
static const struct vfio_region_dma_range ranges[] = {
	{ .offset = 0x80000, .length = 2 * PAGE },
	{ .offset = 0x10000, .length = PAGE },
	{ .offset = 0x10000 + PAGE, .length = 2 * PAGE },
	{ .offset = 0x40000, .length = PAGE },
};

#define BUF_SIZE	(6 * PAGE)

/* Offset in the BAR of each page of the buffer, and where the run ends. */
static const struct {
	u64 offset;
	u64 end;
} pages[] = {
	{ 0x80000, 0x80000 + 2 * PAGE },
	{ 0x80000 + PAGE, 0x80000 + 2 * PAGE },
	{ 0x10000, 0x10000 + 3 * PAGE },
	{ 0x10000 + PAGE, 0x10000 + 3 * PAGE },
	{ 0x10000 + 2 * PAGE, 0x10000 + 3 * PAGE },
	{ 0x40000, 0x40000 + PAGE },
};

/* Begins within a range, ends within another. */
#define SLICE_START	PAGE
#define SLICE_LENGTH	(3 * PAGE)

FIXTURE(noiommu) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u64 phys;
	/* No device has been in it at the start of a test. */
	u32 ioas_id;
	int fd;
};

static struct vfio_pci_device *open_device(struct iommu *iommu)
{
	struct vfio_pci_device *device;

	device = vfio_pci_device_init(device_bdf, iommu);
	vfio_device_detach_iommufd_pt(device->fd);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);

	return device;
}

FIXTURE_SETUP(noiommu)
{
	struct vfio_pci_bar *bar;
	u32 index;

	self->iommu = iommu_init(MODE_IOMMUFD);
	self->device = open_device(self->iommu);
	self->ioas_id = iommu_ioas_alloc(self->iommu);

	bar = vfio_pci_largest_mapped_bar(self->device);
	ASSERT_NE(NULL, bar);
	ASSERT_LE(SZ_1M, bar->info.size);
	index = bar - self->device->bars;
	self->phys = sysfs_bar_start_get(device_bdf, index);
	ASSERT_NE(0, self->phys);

	self->fd = vfio_pci_dmabuf_export(self->device, index, ranges,
					  ARRAY_SIZE(ranges));
}

FIXTURE_TEARDOWN(noiommu)
{
	close(self->fd);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

static void attach(FIXTURE_DATA(noiommu) * self)
{
	vfio_device_attach_iommufd_pt(self->device->fd, self->ioas_id);
}

static int map_at(FIXTURE_DATA(noiommu) * self, u64 start, u64 length,
		  iova_t iova)
{
	u32 flags = DMABUF_MAP_FLAGS | IOMMU_IOAS_MAP_FIXED_IOVA;

	return __iommu_ioas_map_file(self->iommu, self->ioas_id, flags,
				     self->fd, start, length, &iova);
}

static int unmap(FIXTURE_DATA(noiommu) * self, iova_t iova, u64 length)
{
	return __iommu_ioas_unmap(self->iommu, self->ioas_id, iova, length,
				  NULL);
}

static int copy_slice(FIXTURE_DATA(noiommu) * self, iova_t iova)
{
	u32 flags = DMABUF_MAP_FLAGS | IOMMU_IOAS_MAP_FIXED_IOVA;

	return __iommu_ioas_copy(self->iommu, flags, self->ioas_id, IOVA_SLICE,
				 SLICE_LENGTH, self->ioas_id, &iova);
}

static void set_decode(FIXTURE_DATA(noiommu) * self, bool on)
{
	if (on)
		vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	else
		vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
}

/* @length is set to how much of it is contiguous from @phys on. */
static int get_pa(FIXTURE_DATA(noiommu) * self, iova_t iova, u64 *length,
		  u64 *phys)
{
	struct iommu_ioas_noiommu_get_pa args = {
		.size = sizeof(args),
		.ioas_id = self->ioas_id,
		.iova = iova,
		.length = *length,
	};

	if (ioctl(self->iommu->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &args))
		return -errno;

	*length = args.length;
	*phys = args.out_phys;

	return 0;
}

static void map_both(struct __test_metadata *_metadata,
		     FIXTURE_DATA(noiommu) * self)
{
	ASSERT_EQ(0, map_at(self, 0, BUF_SIZE, IOVA_WHOLE));
	ASSERT_EQ(0, map_at(self, SLICE_START, SLICE_LENGTH, IOVA_SLICE));
}

static void expect_phys(struct __test_metadata *_metadata,
			FIXTURE_DATA(noiommu) * self, iova_t iova, size_t start,
			size_t length)
{
	size_t done, page, run;
	u64 phys, found;

	for (done = 0; done < length; done += PAGE) {
		page = (start + done) / PAGE;
		run = min(pages[page].end - pages[page].offset, length - done);
		found = BUF_SIZE;
		ASSERT_EQ(0, get_pa(self, iova + done, &found, &phys));
		EXPECT_EQ(self->phys + pages[page].offset, phys);
		EXPECT_EQ(run, found);
	}
}

static void expect_errno(struct __test_metadata *_metadata,
			 FIXTURE_DATA(noiommu) * self, int wanted, iova_t iova,
			 size_t length)
{
	u64 phys, found;
	size_t done;

	for (done = 0; done < length; done += PAGE) {
		found = PAGE;
		EXPECT_EQ(wanted, get_pa(self, iova + done, &found, &phys));
	}
}

#define is_whole(_iova) expect_phys(_metadata, self, _iova, 0, BUF_SIZE)
#define is_slice(_iova) \
	expect_phys(_metadata, self, _iova, SLICE_START, SLICE_LENGTH)
#define fails(_errno, _iova, _length) \
	expect_errno(_metadata, self, _errno, _iova, _length)

TEST_F(noiommu, addresses)
{
	attach(self);
	map_both(_metadata, self);
	is_whole(IOVA_WHOLE);
	is_slice(IOVA_SLICE);
	fails(-ENOENT, IOVA_WHOLE - PAGE, PAGE);
	fails(-ENOENT, IOVA_WHOLE + BUF_SIZE, PAGE);

	ASSERT_EQ(0, unmap(self, IOVA_WHOLE, BUF_SIZE));
	fails(-ENOENT, IOVA_WHOLE, BUF_SIZE);
	is_slice(IOVA_SLICE);
}

TEST_F(noiommu, every_slice)
{
	size_t from, to;

	attach(self);
	for (from = 0; from < BUF_SIZE; from += PAGE) {
		for (to = from + PAGE; to <= BUF_SIZE; to += PAGE) {
			ASSERT_EQ(0, map_at(self, from, to - from, IOVA_WHOLE));
			expect_phys(_metadata, self, IOVA_WHOLE, from,
				    to - from);
			ASSERT_EQ(0, unmap(self, IOVA_WHOLE, to - from));
		}
	}
}

/* The domain that stores the addresses comes and goes with the device. */
TEST_F(noiommu, attach_late)
{
	map_both(_metadata, self);
	fails(-EOPNOTSUPP, IOVA_WHOLE, BUF_SIZE);
	attach(self);
	is_whole(IOVA_WHOLE);
	is_slice(IOVA_SLICE);
	vfio_device_detach_iommufd_pt(self->device->fd);
	fails(-EOPNOTSUPP, IOVA_WHOLE, BUF_SIZE);
}

TEST_F(noiommu, revoke)
{
	int i;

	attach(self);
	map_both(_metadata, self);
	for (i = 0; i < 3; i++) {
		set_decode(self, false);
		fails(-EINVAL, IOVA_WHOLE, BUF_SIZE);
		fails(-EINVAL, IOVA_SLICE, SLICE_LENGTH);
		set_decode(self, true);
		is_whole(IOVA_WHOLE);
		is_slice(IOVA_SLICE);
	}
}

TEST_F(noiommu, change_while_revoked)
{
	attach(self);
	map_both(_metadata, self);
	set_decode(self, false);
	EXPECT_EQ(-ENODEV, map_at(self, 0, BUF_SIZE, IOVA_COPY));
	ASSERT_EQ(0, copy_slice(self, IOVA_COPY));
	fails(-EINVAL, IOVA_COPY, SLICE_LENGTH);
	ASSERT_EQ(0, unmap(self, IOVA_WHOLE, BUF_SIZE));
	fails(-ENOENT, IOVA_WHOLE, BUF_SIZE);

	set_decode(self, true);
	is_slice(IOVA_SLICE);
	is_slice(IOVA_COPY);
	fails(-ENOENT, IOVA_WHOLE, BUF_SIZE);
	/* Nothing of it was left behind. */
	ASSERT_EQ(0, map_at(self, 0, BUF_SIZE, IOVA_WHOLE));
	is_whole(IOVA_WHOLE);
}

TEST_F(noiommu, attach_while_revoked)
{
	map_both(_metadata, self);
	set_decode(self, false);
	attach(self);
	fails(-EINVAL, IOVA_WHOLE, BUF_SIZE);
	set_decode(self, true);
	is_whole(IOVA_WHOLE);
	is_slice(IOVA_SLICE);
}

/* What a device that is gone had stays away, and can be unmapped. */
TEST_F(noiommu, close_exporter)
{
	attach(self);
	map_both(_metadata, self);
	vfio_pci_device_cleanup(self->device);
	fails(-EINVAL, IOVA_WHOLE, BUF_SIZE);
	self->device = open_device(self->iommu);
	attach(self);
	fails(-EINVAL, IOVA_WHOLE, BUF_SIZE);
	ASSERT_EQ(0, unmap(self, IOVA_WHOLE, BUF_SIZE));
	fails(-ENOENT, IOVA_WHOLE, BUF_SIZE);
}

static bool noiommu_mode(void)
{
	FILE *file = fopen(NOIOMMU_MODE, "r");
	bool on = file && fgetc(file) == 'Y';

	if (file)
		fclose(file);
	return on;
}

int main(int argc, char *argv[])
{
	device_bdf = vfio_selftests_get_bdf(&argc, argv);
	if (getpagesize() != PAGE)
		ksft_exit_skip("needs pages of 4 KiB\n");
	if (sysfs_iommu_present(device_bdf))
		ksft_exit_skip("%s is behind an IOMMU\n", device_bdf);
	if (!noiommu_mode())
		ksft_exit_skip(NOIOMMU_MODE " is not Y\n");

	return test_harness_run(argc, argv);
}
