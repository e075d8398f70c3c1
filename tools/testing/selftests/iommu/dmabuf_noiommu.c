// SPDX-License-Identifier: GPL-2.0-only
/*
 * The BAR of a PCI device as a dma-buf of several ranges in an IOAS without an
 * IOMMU: what iommufd says of each page's physical address has to be what the
 * BAR of the device says, and nothing while the buffer is revoked.
 *
 * Needs QEMU's ivshmem device, a kernel that drives no IOMMU, and the parameter
 * vfio.enable_unsafe_noiommu_mode=1. The device is bound to vfio-pci, and stays
 * bound to it.
 */
#include <stdio.h>
#include <string.h>

#include "../kselftest_harness.h"
#include "dmabuf_ioctls.h"
#include "pci_vdev.h"

#define PAGE		0x1000UL
#define NOIOMMU_MODE	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

#define IOVA_WHOLE	0x1000000UL
#define IOVA_SLICE	0x2000000UL
#define IOVA_COPY	0x3000000UL

/* Out of order, with holes between, but for two that are one in memory */
static const struct vfio_region_dma_range ranges[] = {
	{ .offset = 0x80000, .length = 2 * PAGE },
	{ .offset = 0x10000, .length = PAGE },
	{ .offset = 0x10000 + PAGE, .length = 2 * PAGE },
	{ .offset = 0x40000, .length = PAGE },
};

#define BUF_SIZE	(6 * PAGE)
/* Offset in the BAR of each page of the buffer, and where the run ends */
static const struct {
	__u64 offset;
	__u64 end;
} pages[] = {
	{ 0x80000, 0x80000 + 2 * PAGE },
	{ 0x80000 + PAGE, 0x80000 + 2 * PAGE },
	{ 0x10000, 0x10000 + 3 * PAGE },
	{ 0x10000 + PAGE, 0x10000 + 3 * PAGE },
	{ 0x10000 + 2 * PAGE, 0x10000 + 3 * PAGE },
	{ 0x40000, 0x40000 + PAGE },
};

/* Begins within a range, ends within another */
#define SLICE_START	PAGE
#define SLICE_LENGTH	(3 * PAGE)

FIXTURE(noiommu)
{
	struct pci_vdev dev;
	__u64 phys;
	int iommufd;
	__u32 ioas;
	int dfd;
};

static bool noiommu_mode(void)
{
	FILE *file = fopen(NOIOMMU_MODE, "r");
	bool on = file && fgetc(file) == 'Y';

	if (file)
		fclose(file);
	return on;
}

FIXTURE_SETUP(noiommu)
{
	unsigned int bar;
	size_t size;

	self->dev.fd = -1;
	self->iommufd = -1;
	self->dfd = -1;
	if (!pci_vdev_find_ivshmem(&self->dev))
		SKIP(return, "no ivshmem device in " PCI_DEVICES);
	if (pci_vdev_has_iommu(&self->dev))
		SKIP(return, "%s is behind an IOMMU", self->dev.bdf);
	if (!noiommu_mode())
		SKIP(return, NOIOMMU_MODE " is not Y");
	ASSERT_EQ(NULL, pci_vdev_bind_driver(&self->dev));

	self->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->iommufd);
	ASSERT_STREQ("", pci_vdev_open(&self->dev, self->iommufd) ?: "");
	bar = pci_vdev_largest_bar(&self->dev, &size);
	ASSERT_LE(0x100000, size);
	ASSERT_EQ(0, pci_vdev_bar_phys(&self->dev, bar, &self->phys));
	ASSERT_NE(0, self->phys);

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->dfd = pci_vdev_export(&self->dev, bar, ranges,
				    ARRAY_SIZE(ranges));
	ASSERT_LE(0, self->dfd);
}

FIXTURE_TEARDOWN(noiommu)
{
	if (self->dfd >= 0)
		close(self->dfd);
	if (self->dev.fd >= 0)
		pci_vdev_close(&self->dev);
	if (self->iommufd >= 0)
		close(self->iommufd);
}

#define attach() ASSERT_EQ(0, pci_vdev_attach(&self->dev, self->ioas))
#define map_at(_start, _length, _iova)                                         \
	ioas_map_file(self->iommufd, self->ioas, IOVA_RW | IOVA_AT, self->dfd, \
		      _start, _length, &(__u64){ _iova })
#define copy_slice(_iova)                                                      \
	ioas_copy(self->iommufd, IOVA_RW | IOVA_AT, self->ioas, IOVA_SLICE,    \
		  SLICE_LENGTH, self->ioas, &(__u64){ _iova })
#define unmap(_iova, _length) \
	ioas_unmap(self->iommufd, self->ioas, _iova, &(__u64){ _length })

static void map_both(struct __test_metadata *_metadata,
		     FIXTURE_DATA(noiommu) * self)
{
	ASSERT_EQ(0, map_at(0, BUF_SIZE, IOVA_WHOLE));
	ASSERT_EQ(0, map_at(SLICE_START, SLICE_LENGTH, IOVA_SLICE));
}

static void expect_phys(struct __test_metadata *_metadata,
			FIXTURE_DATA(noiommu) * self, __u64 iova, size_t start,
			size_t length)
{
	size_t done, page, run;
	__u64 phys, found;

	for (done = 0; done < length; done += PAGE) {
		page = (start + done) / PAGE;
		run = pages[page].end - pages[page].offset;
		if (run > length - done)
			run = length - done;
		found = BUF_SIZE;
		ASSERT_EQ(0, ioas_get_pa(self->iommufd, self->ioas, iova + done,
					 &found, &phys));
		EXPECT_EQ(self->phys + pages[page].offset, phys);
		EXPECT_EQ(run, found);
	}
}

static void expect_errno(struct __test_metadata *_metadata,
			 FIXTURE_DATA(noiommu) * self, int wanted, __u64 iova,
			 size_t length)
{
	__u64 phys, found;
	size_t done;

	for (done = 0; done < length; done += PAGE) {
		found = PAGE;
		EXPECT_EQ(wanted, ioas_get_pa(self->iommufd, self->ioas,
					      iova + done, &found, &phys));
	}
}

#define is_whole(_iova) expect_phys(_metadata, self, _iova, 0, BUF_SIZE)
#define is_slice(_iova) \
	expect_phys(_metadata, self, _iova, SLICE_START, SLICE_LENGTH)
#define fails(_errno, _iova, _length) \
	expect_errno(_metadata, self, _errno, _iova, _length)

TEST_F(noiommu, addresses)
{
	attach();
	map_both(_metadata, self);
	is_whole(IOVA_WHOLE);
	is_slice(IOVA_SLICE);
	fails(-ENOENT, IOVA_WHOLE - PAGE, PAGE);
	fails(-ENOENT, IOVA_WHOLE + BUF_SIZE, PAGE);

	ASSERT_EQ(0, unmap(IOVA_WHOLE, BUF_SIZE));
	fails(-ENOENT, IOVA_WHOLE, BUF_SIZE);
	is_slice(IOVA_SLICE);
}

TEST_F(noiommu, every_slice)
{
	size_t from, to;

	attach();
	for (from = 0; from < BUF_SIZE; from += PAGE) {
		for (to = from + PAGE; to <= BUF_SIZE; to += PAGE) {
			ASSERT_EQ(0, map_at(from, to - from, IOVA_WHOLE));
			expect_phys(_metadata, self, IOVA_WHOLE, from,
				    to - from);
			ASSERT_EQ(0, unmap(IOVA_WHOLE, to - from));
		}
	}
}

/* The domain that stores the addresses comes and goes with the device */
TEST_F(noiommu, attach_late)
{
	map_both(_metadata, self);
	fails(-EOPNOTSUPP, IOVA_WHOLE, BUF_SIZE);
	attach();
	is_whole(IOVA_WHOLE);
	is_slice(IOVA_SLICE);
	ASSERT_EQ(0, pci_vdev_detach(&self->dev));
	fails(-EOPNOTSUPP, IOVA_WHOLE, BUF_SIZE);
}

TEST_F(noiommu, revoke)
{
	unsigned int i;

	attach();
	map_both(_metadata, self);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pci_vdev_set_decode(&self->dev, false));
		fails(-EINVAL, IOVA_WHOLE, BUF_SIZE);
		fails(-EINVAL, IOVA_SLICE, SLICE_LENGTH);
		ASSERT_EQ(0, pci_vdev_set_decode(&self->dev, true));
		is_whole(IOVA_WHOLE);
		is_slice(IOVA_SLICE);
	}
}

TEST_F(noiommu, change_while_revoked)
{
	attach();
	map_both(_metadata, self);
	ASSERT_EQ(0, pci_vdev_set_decode(&self->dev, false));
	EXPECT_EQ(-ENODEV, map_at(0, BUF_SIZE, IOVA_COPY));
	ASSERT_EQ(0, copy_slice(IOVA_COPY));
	fails(-EINVAL, IOVA_COPY, SLICE_LENGTH);
	ASSERT_EQ(0, unmap(IOVA_WHOLE, BUF_SIZE));
	fails(-ENOENT, IOVA_WHOLE, BUF_SIZE);

	ASSERT_EQ(0, pci_vdev_set_decode(&self->dev, true));
	is_slice(IOVA_SLICE);
	is_slice(IOVA_COPY);
	fails(-ENOENT, IOVA_WHOLE, BUF_SIZE);
	/* Nothing of it was left behind */
	ASSERT_EQ(0, map_at(0, BUF_SIZE, IOVA_WHOLE));
	is_whole(IOVA_WHOLE);
}

TEST_F(noiommu, attach_while_revoked)
{
	map_both(_metadata, self);
	ASSERT_EQ(0, pci_vdev_set_decode(&self->dev, false));
	attach();
	fails(-EINVAL, IOVA_WHOLE, BUF_SIZE);
	ASSERT_EQ(0, pci_vdev_set_decode(&self->dev, true));
	is_whole(IOVA_WHOLE);
	is_slice(IOVA_SLICE);
}

/* What a device that is gone had stays away, and can be unmapped */
TEST_F(noiommu, close_exporter)
{
	attach();
	map_both(_metadata, self);
	pci_vdev_close(&self->dev);
	fails(-EINVAL, IOVA_WHOLE, BUF_SIZE);
	ASSERT_STREQ("", pci_vdev_open(&self->dev, self->iommufd) ?: "");
	attach();
	fails(-EINVAL, IOVA_WHOLE, BUF_SIZE);
	ASSERT_EQ(0, unmap(IOVA_WHOLE, BUF_SIZE));
	fails(-ENOENT, IOVA_WHOLE, BUF_SIZE);
}

TEST_HARNESS_MAIN
