/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls of iommufd as plain functions, for the tests of dma-bufs: each
 * returns what the kernel does, that is 0 or a file descriptor, or -errno.
 *
 * An IOVA that is passed by a pointer is where to map with IOVA_AT, and set to
 * where it was mapped in any case.
 */
#ifndef __SELFTEST_IOMMU_DMABUF_IOCTLS_H
#define __SELFTEST_IOMMU_DMABUF_IOCTLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/udmabuf.h>

#define IOVA_RW	(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define IOVA_AT	IOMMU_IOAS_MAP_FIXED_IOVA

static inline int call(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static inline int ioas_alloc(int iommufd, __u32 *ioas)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int ret = call(iommufd, IOMMU_IOAS_ALLOC, &cmd);

	*ioas = cmd.out_ioas_id;
	return ret;
}

static inline int ioas_map(int iommufd, __u32 ioas, __u32 flags, void *memory,
			   __u64 length, __u64 *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = *iova,
	};
	int ret = call(iommufd, IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;
	return ret;
}

static inline int ioas_map_file(int iommufd, __u32 ioas, __u32 flags, int fd,
				__u64 start, __u64 length, __u64 *iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = *iova,
	};
	int ret = call(iommufd, IOMMU_IOAS_MAP_FILE, &cmd);

	*iova = cmd.iova;
	return ret;
}

static inline int ioas_copy(int iommufd, __u32 flags, __u32 src_ioas,
			    __u64 src_iova, __u64 length, __u32 dst_ioas,
			    __u64 *dst_iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst_ioas,
		.src_ioas_id = src_ioas,
		.length = length,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	int ret = call(iommufd, IOMMU_IOAS_COPY, &cmd);

	*dst_iova = cmd.dst_iova;
	return ret;
}

/* @length is set to how much was unmapped */
static inline int ioas_unmap(int iommufd, __u32 ioas, __u64 iova,
			     __u64 *length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = *length,
	};
	int ret = call(iommufd, IOMMU_IOAS_UNMAP, &cmd);

	*length = cmd.length;
	return ret;
}

static inline int ioas_allow_iovas(int iommufd, __u32 ioas, __u64 start,
				   __u64 last)
{
	struct iommu_iova_range range = { .start = start, .last = last };
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = 1,
		.allowed_iovas = (uintptr_t)&range,
	};

	return call(iommufd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static inline int ioas_set_huge_pages(int iommufd, __u32 ioas, bool on)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
		.val64 = on,
	};

	return call(iommufd, IOMMU_OPTION, &cmd);
}

static inline int ioas_change_process(int iommufd)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return call(iommufd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

/* @length is set to how much of it is contiguous from @phys on */
static inline int ioas_get_pa(int iommufd, __u32 ioas, __u64 iova,
			      __u64 *length, __u64 *phys)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = *length,
	};
	int ret = call(iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd);

	*length = cmd.length;
	*phys = cmd.out_phys;
	return ret;
}

static inline int hwpt_alloc(int iommufd, __u32 device, __u32 ioas,
			     __u32 flags, __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = device,
		.pt_id = ioas,
	};
	int ret = call(iommufd, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return ret;
}

static inline int iommufd_destroy(int iommufd, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return call(iommufd, IOMMU_DESTROY, &cmd);
}

/* A dma-buf whose exporter knows no mapping types */
static inline int udmabuf_create(size_t size)
{
	struct udmabuf_create create = { .size = size };
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int ret;

	if (device < 0)
		return -errno;
	create.memfd = memfd_create("udmabuf", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	ret = (int)create.memfd < 0 || ftruncate(create.memfd, size) ||
	      fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK) ? -errno : 0;
	if (!ret)
		ret = call(device, UDMABUF_CREATE, &create);
	close(create.memfd);
	close(device);
	return ret;
}

#endif
