// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dma-buf of several ranges in the IOAS of mock domains: each page has to
 * translate to what the exporter says, whatever happens to the slice, to the
 * domain or to the buffer, and to nothing while the buffer is revoked.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/udmabuf.h>

#include "iommufd_utils.h"

#define MAX_DOMAINS 8
#define MAPPED true
#define GONE false

/* What one mapping needs with the unmapped space around it */
#define STRIDE 0x1000000UL
#define IOVA(n) (MOCK_APERTURE_START + STRIDE * ((n) + 1UL))

/* In pages: one out of order, one with holes around it, some adjacent */
static const struct iommu_test_dmabuf_range layout[] = {
	/* Adjacent to each other, thus one extent */
	{ 40, 3 },
	{ 43, 5 },
	{ 0, 1 },
	{ 10, 7 },
	/* Adjacent in memory, but the other way round in the buffer */
	{ 2, 1 },
	{ 1, 1 },
	/* Large and aligned */
	{ 16, 16 },
	/* The end of the memory */
	{ 60, 4 },
	/* The same memory twice */
	{ 40, 8 },
};

#define NR_RANGES ARRAY_SIZE(layout)
#define MEMORY_PAGES 64

static __attribute__((constructor)) void setup_sizes(void)
{
	PAGE_SIZE = sysconf(_SC_PAGE_SIZE);

	BUFFER_SIZE = 16 * PAGE_SIZE;
	buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(buffer != MAP_FAILED);
	mfd_buffer = memfd_mmap(BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
				&mfd);
	assert(mfd_buffer != MAP_FAILED);
}

static void scale(struct iommu_test_dmabuf_range *ranges,
		  const struct iommu_test_dmabuf_range *pages, size_t nr)
{
	size_t i;

	for (i = 0; i != nr; i++) {
		ranges[i].offset = pages[i].offset * PAGE_SIZE;
		ranges[i].length = pages[i].length * PAGE_SIZE;
	}
}

static size_t total(const struct iommu_test_dmabuf_range *ranges, size_t nr)
{
	size_t sum = 0;
	size_t i;

	for (i = 0; i != nr; i++)
		sum += ranges[i].length;
	return sum;
}

FIXTURE(dmabuf)
{
	int fd;
	__u32 ioas_id;
	__u32 stdev_id;
	__u32 idev_id;
	__u32 hwpt_ids[MAX_DOMAINS];
	unsigned int domains;
	size_t step;
	struct iommu_test_dmabuf_range ranges[NR_RANGES];
	int dfd;
	size_t size;
};

FIXTURE_VARIANT(dmabuf)
{
	unsigned int domains;
	bool small_pages;
};

FIXTURE_VARIANT_ADD(dmabuf, one_domain)
{
	.domains = 1,
};

FIXTURE_VARIANT_ADD(dmabuf, three_domains)
{
	.domains = 3,
};

FIXTURE_VARIANT_ADD(dmabuf, small_pages)
{
	.domains = 2,
	.small_pages = true,
};

FIXTURE_SETUP(dmabuf)
{
	unsigned int i;

	self->fd = open("/dev/iommu", O_RDWR);
	ASSERT_NE(-1, self->fd);
	test_ioctl_ioas_alloc(&self->ioas_id);
	self->step = MOCK_PAGE_SIZE;
	if (variant->small_pages) {
		self->step = PAGE_SIZE;
		test_ioctl_ioas_set_huge_pages(self->ioas_id, false);
	}

	test_cmd_mock_domain(self->ioas_id, &self->stdev_id,
			     &self->hwpt_ids[0], &self->idev_id);
	for (i = 1; i != variant->domains; i++)
		test_cmd_hwpt_alloc(self->idev_id, self->ioas_id, 0,
				    &self->hwpt_ids[i]);
	self->domains = variant->domains;

	scale(self->ranges, layout, NR_RANGES);
	self->size = total(self->ranges, NR_RANGES);
	test_cmd_get_dmabuf_ranges(MEMORY_PAGES * PAGE_SIZE, self->ranges,
				   NR_RANGES, &self->dfd);
}

FIXTURE_TEARDOWN(dmabuf)
{
	teardown_iommufd(self->fd, _metadata);
	/* Nobody may be left to be told */
	self->fd = open("/dev/iommu", O_RDWR);
	ASSERT_NE(-1, self->fd);
	test_cmd_revoke_dmabuf(self->dfd, true);
	test_cmd_revoke_dmabuf(self->dfd, false);
	EXPECT_EQ(0, close(self->dfd));
	EXPECT_EQ(0, close(self->fd));
}

static int check_slice(int fd, const __u32 *hwpt_ids, unsigned int domains,
		       int dfd, __u64 iova, size_t length, size_t offset,
		       bool mapped)
{
	unsigned int i;

	for (i = 0; i != domains; i++)
		if (_test_cmd_check_dmabuf(fd, hwpt_ids[i], dfd, iova, length,
					   offset, mapped))
			return -1;
	return 0;
}

/* The same of a slice that nothing is mapped next to, or else it spills over */
static int check_in(int fd, const __u32 *hwpt_ids, unsigned int domains,
		    int dfd, __u64 iova, size_t length, size_t offset,
		    bool mapped)
{
	return check_slice(fd, hwpt_ids, domains, dfd, iova, length, offset,
			   mapped) ||
	       check_slice(fd, hwpt_ids, domains, dfd, iova - PAGE_SIZE,
			   PAGE_SIZE, 0, GONE) ||
	       check_slice(fd, hwpt_ids, domains, dfd, iova + length,
			   PAGE_SIZE, 0, GONE);
}

/* In all domains of the fixture's IOAS */
#define check_buffer(_dfd, iova, length, offset, mapped)                       \
	ASSERT_EQ(0, check_in(self->fd, self->hwpt_ids, self->domains, _dfd,   \
			      iova, length, offset, mapped))
#define check_beside(_dfd, iova, length, offset, mapped)                       \
	ASSERT_EQ(0, check_slice(self->fd, self->hwpt_ids, self->domains,      \
				 _dfd, iova, length, offset, mapped))
#define check(iova, length, offset, mapped) \
	check_buffer(self->dfd, iova, length, offset, mapped)
#define check_whole(iova, mapped) check(iova, self->size, 0, mapped)
#define map(offset, length, iova) \
	test_ioctl_ioas_map_fixed_file(self->dfd, offset, length, iova)
#define map_whole(iova) map(0, self->size, iova)

static int copy(int fd, __u32 dst_ioas_id, __u32 src_ioas_id, __u64 dst_iova,
		__u64 src_iova, size_t length)
{
	return _test_ioctl_ioas_copy(fd, dst_ioas_id, src_ioas_id, &dst_iova,
				     src_iova, length, IOAS_MAP_RW_FIXED);
}

static int map_file_at(int fd, __u32 ioas_id, int dfd, size_t start,
		       size_t length, __u64 iova)
{
	return _test_ioctl_ioas_map_file(fd, ioas_id, dfd, start, length, &iova,
					 IOAS_MAP_RW_FIXED);
}

/*
 * Where slices begin and end: each start of a range and the end of the buffer,
 * and around each of them up to a page before and behind it.
 */
struct cuts {
	size_t at[(NR_RANGES + 1) * 5];
	unsigned int nr;
};

static void find_cuts(struct cuts *cuts,
		      const struct iommu_test_dmabuf_range *ranges, size_t size,
		      size_t step)
{
	size_t boundary = 0;
	size_t at, from, to;
	unsigned int i;

	cuts->nr = 0;
	for (i = 0; i <= NR_RANGES; i++) {
		from = boundary < PAGE_SIZE ? 0 : boundary - PAGE_SIZE;
		to = boundary + PAGE_SIZE > size ? size : boundary + PAGE_SIZE;
		/* Ranges of one page have their cuts in common */
		if (cuts->nr && from <= cuts->at[cuts->nr - 1])
			from = cuts->at[cuts->nr - 1] + step;
		for (at = from; at <= to; at += step)
			cuts->at[cuts->nr++] = at;
		if (i != NR_RANGES)
			boundary += ranges[i].length;
	}
}

TEST_F(dmabuf, whole)
{
	uint64_t unmapped;

	check_whole(IOVA(0), GONE);
	map_whole(IOVA(0));
	check_whole(IOVA(0), MAPPED);

	/* A second time, where nothing of the buffer is aligned */
	map_whole(IOVA(1) + 3 * PAGE_SIZE);
	check_whole(IOVA(1) + 3 * PAGE_SIZE, MAPPED);
	check_whole(IOVA(0), MAPPED);

	ASSERT_EQ(0, _test_ioctl_ioas_unmap(self->fd, self->ioas_id, IOVA(0),
					    self->size, &unmapped));
	ASSERT_EQ(self->size, unmapped);
	check_whole(IOVA(0), GONE);
	check_whole(IOVA(1) + 3 * PAGE_SIZE, MAPPED);

	map_whole(IOVA(0));
	check_whole(IOVA(0), MAPPED);
	ASSERT_EQ(0, _test_ioctl_ioas_unmap(self->fd, self->ioas_id, 0,
					    UINT64_MAX, &unmapped));
	ASSERT_EQ(2 * self->size, unmapped);
	check_whole(IOVA(0), GONE);
	check_whole(IOVA(1) + 3 * PAGE_SIZE, GONE);
}

/* The test of the test: what is somewhere else is not taken for right */
TEST_F(dmabuf, check_finds_differences)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MD_CHECK_DMABUF,
		.id = self->hwpt_ids[0],
		.check_dmabuf = { .length = PAGE_SIZE,
				  .dmabuf_fd = self->dfd },
	};
	size_t page;

	map_whole(IOVA(0));
	for (page = 0; page != self->size; page += PAGE_SIZE) {
		/* There is something */
		cmd.check_dmabuf.iova = IOVA(0) + page;
		cmd.check_dmabuf.offset = page;
		cmd.check_dmabuf.mapped = GONE;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_TEST_CMD, &cmd));

		/* There is something else */
		cmd.check_dmabuf.offset = (page + PAGE_SIZE) % self->size;
		cmd.check_dmabuf.mapped = MAPPED;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_TEST_CMD, &cmd));

		/* There is nothing */
		cmd.check_dmabuf.iova = IOVA(1) + page;
		cmd.check_dmabuf.offset = page;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_TEST_CMD, &cmd));
	}

	/* A single page too much */
	cmd.check_dmabuf.iova = IOVA(1);
	cmd.check_dmabuf.offset = PAGE_SIZE;
	cmd.check_dmabuf.length = self->size - PAGE_SIZE;
	map(PAGE_SIZE, self->size - 2 * PAGE_SIZE, IOVA(1));
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_TEST_CMD, &cmd));
	cmd.check_dmabuf.length -= PAGE_SIZE;
	EXPECT_EQ(0, ioctl(self->fd, IOMMU_TEST_CMD, &cmd));

	/* Nothing may be more than the buffer, with a page at its end or not */
	cmd.check_dmabuf.mapped = GONE;
	cmd.check_dmabuf.iova = IOVA(0) + self->size;
	cmd.check_dmabuf.length = IOVA(1) - cmd.check_dmabuf.iova;
	EXPECT_EQ(0, ioctl(self->fd, IOMMU_TEST_CMD, &cmd));
	cmd.check_dmabuf.length += MOCK_PAGE_SIZE;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_TEST_CMD, &cmd));
}

TEST_F_TIMEOUT(dmabuf, every_slice, 300)
{
	struct cuts cuts;
	unsigned int from, to;

	find_cuts(&cuts, self->ranges, self->size, PAGE_SIZE);
	for (from = 0; from != cuts.nr; from++) {
		for (to = from + 1; to != cuts.nr; to++) {
			size_t offset = cuts.at[from];
			size_t length = cuts.at[to] - offset;

			map(offset, length, IOVA(0));
			check(IOVA(0), length, offset, MAPPED);
			test_ioctl_ioas_unmap(IOVA(0), length);
			check(IOVA(0), length, offset, GONE);
		}
	}
}

TEST_F_TIMEOUT(dmabuf, every_slice_below_a_page, 600)
{
	struct cuts cuts;
	unsigned int from, to;

	find_cuts(&cuts, self->ranges, self->size, MOCK_PAGE_SIZE);
	for (from = 0; from != cuts.nr; from++) {
		for (to = from + 1; to != cuts.nr; to++) {
			size_t offset = cuts.at[from];
			size_t length = cuts.at[to] - offset;
			/* Congruent to the offset or not */
			__u64 iova = IOVA(0) + (to & 1) * MOCK_PAGE_SIZE;

			/* Where only whole pages are mapped */
			if ((iova | offset | length) % self->step) {
				EXPECT_ERRNO(EINVAL,
					     map_file_at(self->fd, self->ioas_id,
							 self->dfd, offset,
							 length, iova));
				check(iova, length, offset, GONE);
				continue;
			}
			map(offset, length, iova);
			check(iova, length, offset, MAPPED);
			test_ioctl_ioas_unmap(iova, length);
			check(iova, length, offset, GONE);
		}
	}
}

/* Slices side by side, which do not get in each other's way */
TEST_F(dmabuf, neighbours)
{
	size_t offset = 0;
	unsigned int i;

	/* The buffer backwards, one slice for each range */
	for (i = 0; i != NR_RANGES; i++) {
		offset += self->ranges[i].length;
		map(offset - self->ranges[i].length, self->ranges[i].length,
		    IOVA(0) + self->size - offset);
	}
	for (; i--; offset -= self->ranges[i].length)
		check_beside(self->dfd, IOVA(0) + self->size - offset,
			     self->ranges[i].length,
			     offset - self->ranges[i].length, MAPPED);

	/* Only whole areas can be unmapped */
	test_err_ioctl_ioas_unmap(ENOENT,
				  IOVA(0) + self->size - PAGE_SIZE, PAGE_SIZE);
	test_ioctl_ioas_unmap(IOVA(0), self->size);
	check_whole(IOVA(0), GONE);
}

TEST_F(dmabuf, refused_slices)
{
	size_t size = self->size;
	__u64 iova = IOVA(0);

	test_err_ioctl_ioas_map_file(EINVAL, self->dfd, 0, 0, &iova);
	test_err_ioctl_ioas_map_file(EINVAL, self->dfd, size, PAGE_SIZE, &iova);
	test_err_ioctl_ioas_map_file(EINVAL, self->dfd, 0, size + self->step,
				     &iova);
	test_err_ioctl_ioas_map_file(EINVAL, self->dfd, size - PAGE_SIZE,
				     PAGE_SIZE + self->step, &iova);
	test_err_ioctl_ioas_map_file(EINVAL, self->dfd, 0, size - 1, &iova);
	test_err_ioctl_ioas_map_file(EINVAL, self->dfd, 1, PAGE_SIZE, &iova);
	test_err_ioctl_ioas_map_file(EINVAL, self->dfd, self->step / 2,
				     self->step / 2, &iova);
	test_err_ioctl_ioas_map_file(EOVERFLOW, self->dfd, -PAGE_SIZE,
				     2 * PAGE_SIZE, &iova);

	map_whole(IOVA(0));
	EXPECT_ERRNO(EEXIST, map_file_at(self->fd, self->ioas_id, self->dfd, 0,
					 PAGE_SIZE, IOVA(0) + PAGE_SIZE));
	EXPECT_ERRNO(EINVAL, map_file_at(self->fd, self->ioas_id, self->dfd, 0,
					 PAGE_SIZE, IOVA(1) + 1));
	EXPECT_ERRNO(EINVAL, map_file_at(self->fd, self->ioas_id, self->dfd, 0,
					 PAGE_SIZE, MOCK_APERTURE_LAST + 1UL));
	check_whole(IOVA(0), MAPPED);
}

TEST_F(dmabuf, domains_come_and_go)
{
	__u32 stdev_id;
	unsigned int i;

	map_whole(IOVA(0));
	map(PAGE_SIZE, 4 * PAGE_SIZE, IOVA(1));
	while (self->domains != MAX_DOMAINS) {
		test_cmd_hwpt_alloc(self->idev_id, self->ioas_id, 0,
				    &self->hwpt_ids[self->domains]);
		self->domains++;
		check_whole(IOVA(0), MAPPED);
		check(IOVA(1), 4 * PAGE_SIZE, PAGE_SIZE, MAPPED);
	}

	/* What is mapped now goes into all of them */
	map(2 * PAGE_SIZE, 9 * PAGE_SIZE, IOVA(2));
	check(IOVA(2), 9 * PAGE_SIZE, 2 * PAGE_SIZE, MAPPED);

	/* One goes after the other, the automatic one stays */
	while (self->domains > 2) {
		test_ioctl_destroy(self->hwpt_ids[1]);
		self->domains--;
		for (i = 1; i < self->domains; i++)
			self->hwpt_ids[i] = self->hwpt_ids[i + 1];
		check_whole(IOVA(0), MAPPED);
		check(IOVA(2), 9 * PAGE_SIZE, 2 * PAGE_SIZE, MAPPED);
	}

	/* The automatic domain goes away with its device and comes back */
	test_ioctl_destroy(self->hwpt_ids[1]);
	test_ioctl_destroy(self->stdev_id);
	test_ioctl_ioas_unmap(IOVA(1), 4 * PAGE_SIZE);
	test_cmd_mock_domain(self->ioas_id, &stdev_id,
			     &self->hwpt_ids[0], NULL);
	self->domains = 1;
	check_whole(IOVA(0), MAPPED);
	check(IOVA(1), 4 * PAGE_SIZE, PAGE_SIZE, GONE);
	check(IOVA(2), 9 * PAGE_SIZE, 2 * PAGE_SIZE, MAPPED);
}

/* Mapped while there is no domain at all */
TEST_F(dmabuf, no_domain_at_first)
{
	__u32 ioas_id, stdev_id, hwpt_id;

	test_ioctl_ioas_alloc(&ioas_id);
	ASSERT_EQ(0, map_file_at(self->fd, ioas_id, self->dfd, 0, self->size,
				 IOVA(0)));
	test_cmd_mock_domain(ioas_id, &stdev_id, &hwpt_id, NULL);
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size, 0, MAPPED));
	test_cmd_mock_domain_replace(stdev_id, self->ioas_id);
	check_whole(IOVA(0), GONE);
	test_cmd_mock_domain_replace(self->stdev_id, ioas_id);
	test_cmd_mock_domain_replace(stdev_id, ioas_id);
}

TEST_F(dmabuf, huge_pages_option)
{
	__u32 ioas_id, stdev_id, hwpt_id;

	/* Not while a domain has something mapped, but to what it is already */
	map_whole(IOVA(0));
	if (!variant->small_pages)
		test_err_ioctl_ioas_set_huge_pages(EINVAL, self->ioas_id, false);
	test_ioctl_ioas_set_huge_pages(self->ioas_id, !variant->small_pages);
	check_whole(IOVA(0), MAPPED);

	/* Without a domain it takes effect on what is mapped into the next */
	test_ioctl_ioas_alloc(&ioas_id);
	ASSERT_EQ(0, map_file_at(self->fd, ioas_id, self->dfd, 0, self->size,
				 IOVA(0)));
	test_ioctl_ioas_set_huge_pages(ioas_id, false);
	test_cmd_mock_domain(ioas_id, &stdev_id, &hwpt_id, NULL);
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size, 0, MAPPED));
	EXPECT_ERRNO(EINVAL, map_file_at(self->fd, ioas_id, self->dfd,
					 MOCK_PAGE_SIZE, PAGE_SIZE, IOVA(1)));
	test_cmd_revoke_dmabuf(self->dfd, true);
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size, 0, GONE));
	test_cmd_revoke_dmabuf(self->dfd, false);
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size, 0, MAPPED));

	/* Slices below a page, mapped before, keep it from being set */
	test_ioctl_ioas_alloc(&ioas_id);
	ASSERT_EQ(0, map_file_at(self->fd, ioas_id, self->dfd, MOCK_PAGE_SIZE,
				 PAGE_SIZE, IOVA(0)));
	test_err_ioctl_ioas_set_huge_pages(EADDRINUSE, ioas_id, false);
}

TEST_F_TIMEOUT(dmabuf, copy_in_ioas, 300)
{
	struct cuts cuts;
	unsigned int from, to;

	map_whole(IOVA(0));
	find_cuts(&cuts, self->ranges, self->size, self->step);
	/* From each cut to the next few, or it takes long for nothing */
	for (from = 0; from != cuts.nr; from++) {
		for (to = from + 1; to != cuts.nr && to < from + 8; to++) {
			size_t offset = cuts.at[from];
			size_t length = cuts.at[to] - offset;

			ASSERT_EQ(0, copy(self->fd, self->ioas_id,
					  self->ioas_id, IOVA(1),
					  IOVA(0) + offset, length));
			check(IOVA(1), length, offset, MAPPED);
			test_ioctl_ioas_unmap(IOVA(1), length);
			check(IOVA(1), length, offset, GONE);
		}
	}
	check_whole(IOVA(0), MAPPED);

	/* A copy of a copy of a slice outlives both */
	ASSERT_EQ(0, copy(self->fd, self->ioas_id, self->ioas_id, IOVA(1),
			  IOVA(0) + 2 * PAGE_SIZE, 20 * PAGE_SIZE));
	ASSERT_EQ(0, copy(self->fd, self->ioas_id, self->ioas_id, IOVA(2),
			  IOVA(1) + 5 * PAGE_SIZE, 11 * PAGE_SIZE));
	test_ioctl_ioas_unmap(IOVA(0), self->size);
	test_ioctl_ioas_unmap(IOVA(1), 20 * PAGE_SIZE);
	check_whole(IOVA(0), GONE);
	check(IOVA(1), 20 * PAGE_SIZE, 0, GONE);
	check(IOVA(2), 11 * PAGE_SIZE, 7 * PAGE_SIZE, MAPPED);
	test_cmd_revoke_dmabuf(self->dfd, true);
	check(IOVA(2), 11 * PAGE_SIZE, 0, GONE);
	test_cmd_revoke_dmabuf(self->dfd, false);
	check(IOVA(2), 11 * PAGE_SIZE, 7 * PAGE_SIZE, MAPPED);
}

TEST_F(dmabuf, copy_to_other_ioas)
{
	__u32 ioas_id, hwpt_id, stdev_id;

	test_ioctl_ioas_alloc(&ioas_id);
	test_cmd_mock_domain(ioas_id, &stdev_id, &hwpt_id, NULL);
	map_whole(IOVA(0));
	ASSERT_EQ(0, copy(self->fd, ioas_id, self->ioas_id, IOVA(0), IOVA(0),
			  self->size));
	ASSERT_EQ(0, copy(self->fd, ioas_id, self->ioas_id, IOVA(1),
			  IOVA(0) + 7 * PAGE_SIZE, 13 * PAGE_SIZE));
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size, 0, MAPPED));
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(1),
			      13 * PAGE_SIZE, 7 * PAGE_SIZE, MAPPED));

	/* One revoke is for both of them, and so is one restore */
	test_cmd_revoke_dmabuf(self->dfd, true);
	check_whole(IOVA(0), GONE);
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size, 0, GONE));
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(1),
			      13 * PAGE_SIZE, 0, GONE));
	test_ioctl_ioas_unmap(IOVA(0), self->size);
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), GONE);
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size, 0, MAPPED));
	ASSERT_EQ(0, check_in(self->fd, &hwpt_id, 1, self->dfd, IOVA(1),
			      13 * PAGE_SIZE, 7 * PAGE_SIZE, MAPPED));
}

TEST_F(dmabuf, read_only)
{
	const __u32 flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
	__u64 iova = IOVA(0);

	ASSERT_EQ(0, _test_ioctl_ioas_map_file(self->fd, self->ioas_id,
					       self->dfd, 0, self->size, &iova,
					       flags));
	check_whole(IOVA(0), MAPPED);
	EXPECT_ERRNO(EPERM, copy(self->fd, self->ioas_id, self->ioas_id,
				 IOVA(1), IOVA(0), self->size));
	check_whole(IOVA(1), GONE);
}

TEST_F(dmabuf, two_importers)
{
	__u32 ioas_id, stdev_id, hwpt_id;
	int other;

	other = open("/dev/iommu", O_RDWR);
	ASSERT_NE(-1, other);
	ASSERT_EQ(0, _test_ioctl_ioas_alloc(other, &ioas_id));
	ASSERT_EQ(0, _test_cmd_mock_domain(other, ioas_id, &stdev_id, &hwpt_id,
					   NULL));

	map_whole(IOVA(0));
	map_whole(IOVA(1));
	ASSERT_EQ(0, map_file_at(other, ioas_id, self->dfd, PAGE_SIZE,
				 self->size - PAGE_SIZE, IOVA(0)));

	test_cmd_revoke_dmabuf(self->dfd, true);
	check_whole(IOVA(0), GONE);
	check_whole(IOVA(1), GONE);
	ASSERT_EQ(0, check_in(other, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size, 0, GONE));
	EXPECT_ERRNO(ENODEV, map_file_at(other, ioas_id, self->dfd, 0,
					 PAGE_SIZE, IOVA(1)));

	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), MAPPED);
	check_whole(IOVA(1), MAPPED);
	ASSERT_EQ(0, check_in(other, &hwpt_id, 1, self->dfd, IOVA(0),
			      self->size - PAGE_SIZE, PAGE_SIZE, MAPPED));

	/* One that goes away while revoked does not come back */
	test_cmd_revoke_dmabuf(self->dfd, true);
	ASSERT_EQ(0, close(other));
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), MAPPED);
	check_whole(IOVA(1), MAPPED);
}

TEST_F(dmabuf, two_buffers)
{
	const struct iommu_test_dmabuf_range ranges[] = {
		{ 4 * PAGE_SIZE, 4 * PAGE_SIZE },
		{ 0, 2 * PAGE_SIZE },
	};
	size_t size = 6 * PAGE_SIZE;
	int dfd;

	test_cmd_get_dmabuf_ranges(8 * PAGE_SIZE, ranges, 2, &dfd);
	map_whole(IOVA(0));
	test_ioctl_ioas_map_fixed_file(dfd, 0, size, IOVA(1));

	test_cmd_revoke_dmabuf(dfd, true);
	check_whole(IOVA(0), MAPPED);
	check_buffer(dfd, IOVA(1), size, 0, GONE);
	test_cmd_revoke_dmabuf(self->dfd, true);
	test_cmd_revoke_dmabuf(dfd, false);
	check_whole(IOVA(0), GONE);
	check_buffer(dfd, IOVA(1), size, 0, MAPPED);
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), MAPPED);

	/* The IOVA of a revoked mapping is not free, after its unmap it is */
	test_cmd_revoke_dmabuf(self->dfd, true);
	EXPECT_ERRNO(EEXIST, map_file_at(self->fd, self->ioas_id, dfd, 0, size,
					 IOVA(0)));
	test_ioctl_ioas_unmap(IOVA(0), self->size);
	test_ioctl_ioas_map_fixed_file(dfd, 0, size, IOVA(0));
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_buffer(dfd, IOVA(0), size, 0, MAPPED);
	ASSERT_EQ(0, close(dfd));
}

/* The IOAS keeps the buffer that it maps */
TEST_F(dmabuf, close_before_unmap)
{
	int dfd = dup(self->dfd);

	ASSERT_NE(-1, dfd);
	map_whole(IOVA(0));
	ASSERT_EQ(0, close(self->dfd));
	self->dfd = dfd;
	check_whole(IOVA(0), MAPPED);

	test_cmd_get_dmabuf_ranges(MEMORY_PAGES * PAGE_SIZE, self->ranges,
				   NR_RANGES, &dfd);
	test_ioctl_ioas_map_fixed_file(dfd, 0, self->size, IOVA(1));
	test_ioctl_ioas_map_fixed_file(dfd, 0, self->size, IOVA(2));
	test_cmd_revoke_dmabuf(dfd, true);
	ASSERT_EQ(0, close(dfd));
	test_ioctl_ioas_unmap(IOVA(2), self->size);
	check_whole(IOVA(0), MAPPED);
}

static int check_memory(int fd, const __u32 *hwpt_ids, unsigned int domains,
			__u64 iova, void *memory)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.check_map = { .iova = iova,
			       .length = BUFFER_SIZE,
			       .uptr = (uintptr_t)memory },
	};
	unsigned int i;

	for (i = 0; i != domains; i++) {
		cmd.id = hwpt_ids[i];
		if (ioctl(fd, IOMMU_TEST_CMD, &cmd))
			return -1;
	}
	return 0;
}

/* A buffer between pinned memory, which is there whatever happens to it */
TEST_F(dmabuf, memory_beside)
{
	__u64 before = IOVA(0) - BUFFER_SIZE;
	__u64 after = IOVA(0) + self->size;

	map_whole(IOVA(0));
	test_ioctl_ioas_map_fixed(buffer, BUFFER_SIZE, before);
	test_ioctl_ioas_map_fixed_file(mfd, 0, BUFFER_SIZE, after);
	check_beside(self->dfd, IOVA(0), self->size, 0, MAPPED);

	test_cmd_revoke_dmabuf(self->dfd, true);
	check_beside(self->dfd, IOVA(0), self->size, 0, GONE);
	ASSERT_EQ(0, check_memory(self->fd, self->hwpt_ids, self->domains,
				  before, buffer));
	ASSERT_EQ(0, check_memory(self->fd, self->hwpt_ids, self->domains,
				  after, mfd_buffer));

	test_cmd_revoke_dmabuf(self->dfd, false);
	check_beside(self->dfd, IOVA(0), self->size, 0, MAPPED);

	test_ioctl_ioas_unmap(IOVA(0), self->size);
	check_beside(self->dfd, IOVA(0), self->size, 0, GONE);
	ASSERT_EQ(0, check_memory(self->fd, self->hwpt_ids, self->domains,
				  before, buffer));
	ASSERT_EQ(0, check_memory(self->fd, self->hwpt_ids, self->domains,
				  after, mfd_buffer));
}

/* The process that mapped it is gone, the next one has the IOAS now */
TEST_F(dmabuf, outlives_its_process)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };
	pid_t child;
	int status;

	child = fork();
	ASSERT_NE(-1, child);
	if (!child)
		_exit(map_file_at(self->fd, self->ioas_id, self->dfd, 0,
				  self->size, IOVA(0)) ? 1 : 0);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, ioctl(self->fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	check_whole(IOVA(0), MAPPED);

	ASSERT_EQ(0, copy(self->fd, self->ioas_id, self->ioas_id, IOVA(1),
			  IOVA(0), self->size));
	test_ioctl_ioas_unmap(IOVA(0), self->size);
	check_whole(IOVA(0), GONE);
	check_whole(IOVA(1), MAPPED);

	test_cmd_revoke_dmabuf(self->dfd, true);
	ASSERT_EQ(0, ioctl(self->fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	check_whole(IOVA(1), GONE);
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(1), MAPPED);
}

TEST_F(dmabuf, revoke)
{
	unsigned int i;

	map_whole(IOVA(0));
	map(5 * PAGE_SIZE, 17 * PAGE_SIZE, IOVA(1) + PAGE_SIZE);
	ASSERT_EQ(0, copy(self->fd, self->ioas_id, self->ioas_id, IOVA(2),
			  IOVA(0) + PAGE_SIZE, self->size - 2 * PAGE_SIZE));

	for (i = 0; i != 8; i++) {
		test_cmd_revoke_dmabuf(self->dfd, true);
		/* Once more does nothing more */
		if (i & 1)
			test_cmd_revoke_dmabuf(self->dfd, true);
		check_whole(IOVA(0), GONE);
		check(IOVA(1) + PAGE_SIZE, 17 * PAGE_SIZE, 0, GONE);
		check(IOVA(2), self->size - 2 * PAGE_SIZE, 0, GONE);
		EXPECT_ERRNO(ENODEV, map_file_at(self->fd, self->ioas_id,
						 self->dfd, 0, self->size,
						 IOVA(3)));

		test_cmd_revoke_dmabuf(self->dfd, false);
		if (i & 2)
			test_cmd_revoke_dmabuf(self->dfd, false);
		check_whole(IOVA(0), MAPPED);
		check(IOVA(1) + PAGE_SIZE, 17 * PAGE_SIZE, 5 * PAGE_SIZE,
		      MAPPED);
		check(IOVA(2), self->size - 2 * PAGE_SIZE, PAGE_SIZE, MAPPED);
	}
	map_whole(IOVA(3));
	check_whole(IOVA(3), MAPPED);
}

TEST_F(dmabuf, revoke_without_mappings)
{
	test_cmd_revoke_dmabuf(self->dfd, true);
	EXPECT_ERRNO(ENODEV, map_file_at(self->fd, self->ioas_id, self->dfd, 0,
					 PAGE_SIZE, IOVA(0)));
	test_cmd_revoke_dmabuf(self->dfd, false);
	map_whole(IOVA(0));
	check_whole(IOVA(0), MAPPED);
	test_ioctl_ioas_unmap(IOVA(0), self->size);
	test_cmd_revoke_dmabuf(self->dfd, true);
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), GONE);
}

TEST_F(dmabuf, domains_while_revoked)
{
	__u32 stdev_id, ioas_id;

	map_whole(IOVA(0));
	map(PAGE_SIZE, 12 * PAGE_SIZE, IOVA(1));
	test_cmd_revoke_dmabuf(self->dfd, true);

	/* One comes, which is whole afterwards like the others */
	test_cmd_hwpt_alloc(self->idev_id, self->ioas_id, 0,
			    &self->hwpt_ids[self->domains]);
	self->domains++;
	check_whole(IOVA(0), GONE);
	check(IOVA(1), 12 * PAGE_SIZE, 0, GONE);
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), MAPPED);
	check(IOVA(1), 12 * PAGE_SIZE, PAGE_SIZE, MAPPED);

	/* One goes that had it mapped, one comes and goes */
	test_cmd_revoke_dmabuf(self->dfd, true);
	self->domains--;
	test_ioctl_destroy(self->hwpt_ids[self->domains]);
	test_cmd_hwpt_alloc(self->idev_id, self->ioas_id, 0,
			    &self->hwpt_ids[self->domains]);
	test_ioctl_destroy(self->hwpt_ids[self->domains]);
	check_whole(IOVA(0), GONE);
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), MAPPED);

	/* Two devices change places, and one comes back: domains as well */
	test_ioctl_ioas_alloc(&ioas_id);
	test_cmd_mock_domain(ioas_id, &stdev_id, NULL, NULL);
	test_cmd_revoke_dmabuf(self->dfd, true);
	test_cmd_mock_domain_replace(self->stdev_id, ioas_id);
	test_cmd_mock_domain_replace(stdev_id, self->ioas_id);
	ASSERT_EQ(0, _test_cmd_mock_domain_replace(self->fd, self->stdev_id,
						   self->ioas_id,
						   &self->hwpt_ids[0]));
	self->domains = 1;
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), MAPPED);
	check(IOVA(1), 12 * PAGE_SIZE, PAGE_SIZE, MAPPED);
}

TEST_F(dmabuf, unmap_while_revoked)
{
	size_t half = 20 * PAGE_SIZE;
	uint64_t unmapped;

	map_whole(IOVA(0));
	map(0, half, IOVA(1));
	map(half, self->size - half, IOVA(1) + half);
	test_cmd_revoke_dmabuf(self->dfd, true);

	test_ioctl_ioas_unmap(IOVA(0), self->size);
	test_err_ioctl_ioas_unmap(ENOENT, IOVA(0), self->size);
	ASSERT_EQ(0, _test_ioctl_ioas_unmap(self->fd, self->ioas_id, IOVA(1),
					    half, &unmapped));
	ASSERT_EQ(half, unmapped);

	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), GONE);
	check(IOVA(1) + half, self->size - half, half, MAPPED);
	check_beside(self->dfd, IOVA(1), half, 0, GONE);

	/* The last one: nothing comes back */
	test_cmd_revoke_dmabuf(self->dfd, true);
	test_ioctl_ioas_unmap(IOVA(1) + half, self->size - half);
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(1), GONE);
	map_whole(IOVA(1));
	check_whole(IOVA(1), MAPPED);
}

TEST_F(dmabuf, copy_while_revoked)
{
	map_whole(IOVA(0));
	test_cmd_revoke_dmabuf(self->dfd, true);

	/* No new import, but more of one that there is */
	ASSERT_EQ(0, copy(self->fd, self->ioas_id, self->ioas_id, IOVA(1),
			  IOVA(0) + 3 * PAGE_SIZE, 14 * PAGE_SIZE));
	ASSERT_EQ(0, copy(self->fd, self->ioas_id, self->ioas_id, IOVA(2),
			  IOVA(0), self->size));
	test_ioctl_ioas_unmap(IOVA(2), self->size);
	check_whole(IOVA(0), GONE);
	check(IOVA(1), 14 * PAGE_SIZE, 0, GONE);

	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), MAPPED);
	check(IOVA(1), 14 * PAGE_SIZE, 3 * PAGE_SIZE, MAPPED);
	check_whole(IOVA(2), GONE);
}

#define NR_SCATTERED 512

/* As many ranges as the mock has pages, no two of which are adjacent */
TEST_F(dmabuf, many_ranges)
{
	struct iommu_test_dmabuf_range ranges[NR_SCATTERED];
	size_t size = NR_SCATTERED * PAGE_SIZE;
	unsigned int i;
	int dfd;

	for (i = 0; i != NR_SCATTERED; i++) {
		/* Each page once, as 211 and 512 have no common factor */
		ranges[i].offset = (i * 211 % NR_SCATTERED) * PAGE_SIZE;
		ranges[i].length = PAGE_SIZE;
	}
	test_cmd_get_dmabuf_ranges(size, ranges, NR_SCATTERED, &dfd);
	test_ioctl_ioas_map_fixed_file(dfd, 0, size, IOVA(0));
	check_buffer(dfd, IOVA(0), size, 0, MAPPED);
	for (i = 1; i < NR_SCATTERED; i += 37) {
		test_ioctl_ioas_map_fixed_file(dfd, i * PAGE_SIZE,
					       size - i * PAGE_SIZE, IOVA(1));
		check_buffer(dfd, IOVA(1), size - i * PAGE_SIZE, i * PAGE_SIZE,
			     MAPPED);
		test_ioctl_ioas_unmap(IOVA(1), size - i * PAGE_SIZE);
	}
	test_cmd_revoke_dmabuf(dfd, true);
	check_buffer(dfd, IOVA(0), size, 0, GONE);
	test_cmd_revoke_dmabuf(dfd, false);
	check_buffer(dfd, IOVA(0), size, 0, MAPPED);

	/* Backwards */
	for (i = 0; i != NR_SCATTERED; i++)
		ranges[i].offset = (NR_SCATTERED - 1 - i) * PAGE_SIZE;
	ASSERT_EQ(0, close(dfd));
	test_cmd_get_dmabuf_ranges(size, ranges, NR_SCATTERED, &dfd);
	test_ioctl_ioas_map_fixed_file(dfd, 0, size, IOVA(2));
	check_buffer(dfd, IOVA(2), size, 0, MAPPED);

	/* In order: each adjacent to the next, thus one large extent */
	for (i = 0; i != NR_SCATTERED; i++)
		ranges[i].offset = i * PAGE_SIZE;
	ASSERT_EQ(0, close(dfd));
	test_cmd_get_dmabuf_ranges(size, ranges, NR_SCATTERED, &dfd);
	test_ioctl_ioas_map_fixed_file(dfd, 0, size, IOVA(3));
	check_buffer(dfd, IOVA(3), size, 0, MAPPED);
	test_cmd_revoke_dmabuf(dfd, true);
	check_buffer(dfd, IOVA(3), size, 0, GONE);
	test_cmd_revoke_dmabuf(dfd, false);
	check_buffer(dfd, IOVA(3), size, 0, MAPPED);
	ASSERT_EQ(0, close(dfd));
}

TEST_F(dmabuf, bad_ranges)
{
	/* In bytes, and such that a page can be asked for, but for the first */
	const struct {
		struct iommu_test_dmabuf_range ranges[3];
		unsigned int nr;
	} bad[] = {
		/* Empty */
		{ { { 0, 0 } }, 1 },
		{ { { 0, 0 }, { PAGE_SIZE, 0 } }, 2 },
		/* One of no length: first, in the middle, last */
		{ { { 0, 0 }, { 0, 4 * PAGE_SIZE } }, 2 },
		{ { { 0, PAGE_SIZE }, { PAGE_SIZE, 0 },
		    { PAGE_SIZE, PAGE_SIZE } }, 3 },
		{ { { 0, 4 * PAGE_SIZE }, { 4 * PAGE_SIZE, 0 } }, 2 },
		/* Start or end within a page */
		{ { { 1, PAGE_SIZE } }, 1 },
		{ { { MOCK_PAGE_SIZE, PAGE_SIZE } }, 1 },
		{ { { 0, PAGE_SIZE + 1 } }, 1 },
		{ { { 0, 2 * PAGE_SIZE - 1 } }, 1 },
		{ { { 0, PAGE_SIZE }, { PAGE_SIZE, MOCK_PAGE_SIZE } }, 2 },
		/* The sum is right, and the two are even adjacent */
		{ { { 0, MOCK_PAGE_SIZE },
		    { MOCK_PAGE_SIZE, 2 * PAGE_SIZE - MOCK_PAGE_SIZE } }, 2 },
		{ { { PAGE_SIZE, PAGE_SIZE },
		    { 4 * PAGE_SIZE - MOCK_PAGE_SIZE, MOCK_PAGE_SIZE },
		    { 4 * PAGE_SIZE, MOCK_PAGE_SIZE } }, 3 },
	};
	unsigned int i;
	int dfd;

	for (i = 0; i != ARRAY_SIZE(bad); i++) {
		test_cmd_get_dmabuf_ranges(8 * PAGE_SIZE, bad[i].ranges,
					   bad[i].nr, &dfd);
		EXPECT_EQ(-1, map_file_at(self->fd, self->ioas_id, dfd, 0,
					  PAGE_SIZE, IOVA(0))) {
			TH_LOG("list %u", i);
		}
		EXPECT_EQ(EINVAL, errno) TH_LOG("list %u", i);
		check(IOVA(0), PAGE_SIZE, 0, GONE);
		test_cmd_revoke_dmabuf(dfd, true);
		test_cmd_revoke_dmabuf(dfd, false);
		ASSERT_EQ(0, close(dfd));
	}
}

/* A dma-buf of which the exporter knows no mapping types */
TEST_F(dmabuf, legacy_exporter)
{
	struct udmabuf_create create = { .size = PAGE_SIZE };
	int dev, dfd;

	dev = open("/dev/udmabuf", O_RDWR);
	if (dev == -1 && errno == ENOENT)
		SKIP(return, "no /dev/udmabuf");
	ASSERT_NE(-1, dev);
	create.memfd = memfd_create("udmabuf", MFD_ALLOW_SEALING);
	ASSERT_EQ(0, ftruncate(create.memfd, PAGE_SIZE));
	ASSERT_EQ(0, fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	dfd = ioctl(dev, UDMABUF_CREATE, &create);
	ASSERT_LE(0, dfd);
	ASSERT_EQ(0, close(create.memfd));
	ASSERT_EQ(0, close(dev));

	EXPECT_ERRNO(EOPNOTSUPP, map_file_at(self->fd, self->ioas_id, dfd, 0,
					     PAGE_SIZE, IOVA(0)));
	check(IOVA(0), PAGE_SIZE, 0, GONE);
	ASSERT_EQ(0, close(dfd));
}

TEST_F(dmabuf, access)
{
	struct iommu_test_cmd rw = {
		.size = sizeof(rw),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.access_rw = { .iova = IOVA(0),
			       .length = 16,
			       .uptr = (uintptr_t)buffer },
	};
	struct iommu_test_cmd pin = {
		.size = sizeof(pin),
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.access_pages = { .iova = IOVA(0),
				  .length = PAGE_SIZE,
				  .uptr = (uintptr_t)buffer },
	};
	const __u32 rw_flags[] = {
		0,
		MOCK_ACCESS_RW_WRITE,
		MOCK_ACCESS_RW_SLOW_PATH,
		MOCK_ACCESS_RW_SLOW_PATH | MOCK_ACCESS_RW_WRITE,
	};
	__u32 access_id;
	unsigned int i;
	bool revoked;

	map_whole(IOVA(0));
	test_cmd_create_access(self->ioas_id, &access_id,
			       MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	rw.id = access_id;
	pin.id = access_id;
	for (i = 0; i != 2 * ARRAY_SIZE(rw_flags); i++) {
		revoked = i >= ARRAY_SIZE(rw_flags);
		if (revoked)
			test_cmd_revoke_dmabuf(self->dfd, true);
		rw.access_rw.flags = rw_flags[i % ARRAY_SIZE(rw_flags)];
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_TEST_CMD, &rw));
		pin.access_pages.flags = i & 1 ? MOCK_FLAGS_ACCESS_WRITE : 0;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_TEST_CMD, &pin));
		check_whole(IOVA(0), !revoked);
	}
	test_cmd_revoke_dmabuf(self->dfd, false);
	check_whole(IOVA(0), MAPPED);
	test_cmd_destroy_access(access_id);
}

/* In pages of memory: where a page of the buffer is */
static size_t memory_page(const struct iommu_test_dmabuf_range *ranges,
			  size_t page)
{
	for (; page >= ranges->length; ranges++)
		page -= ranges->length;
	return ranges->offset + page;
}

/*
 * The largest naturally aligned block that a slice has all of, in pages, and
 * the page of the slice where the first such block starts.
 */
static size_t best_block(const struct iommu_test_dmabuf_range *ranges,
			 size_t start, size_t pages, size_t *at)
{
	size_t block = 512;
	size_t i;

	for (; block > 1; block /= 2) {
		for (*at = 0; *at + block <= pages; ++*at) {
			size_t first = memory_page(ranges, start + *at);

			for (i = 0; i != block; i++)
				if (memory_page(ranges, start + *at + i) !=
				    first + i)
					break;
			if (i == block && first % block == 0)
				return block;
		}
	}
	*at = 0;
	return 1;
}

/* An IOAS without a domain, in which any page size may turn out to be of use */
static __u32 ioas_of_no_domain(struct __test_metadata *_metadata,
			       FIXTURE_DATA(dmabuf) *self)
{
	__u32 ioas_id;

	test_ioctl_ioas_alloc(&ioas_id);
	return ioas_id;
}

static void check_alignment(struct __test_metadata *_metadata,
			    FIXTURE_DATA(dmabuf) *self, __u32 ioas_id, int dfd,
			    size_t start, size_t length, size_t align,
			    size_t align_offset)
{
	__u64 iova, second;

	test_ioctl_ioas_map_id_file(ioas_id, dfd, start, length, &iova);
	EXPECT_EQ(align_offset, iova % align) {
		TH_LOG("%zx at %zx: %llx, %zx", length, start, iova, align);
	}
	/* A second one has to find another place like it */
	test_ioctl_ioas_map_id_file(ioas_id, dfd, start, length, &second);
	EXPECT_EQ(align_offset, second % align);
	EXPECT_TRUE(second >= iova + length || iova >= second + length);
	test_ioctl_ioas_unmap_id(ioas_id, iova, length);
	test_ioctl_ioas_unmap_id(ioas_id, second, length);
}

TEST_F(dmabuf, chosen_iova)
{
	/* In pages of 512, all of which are one aligned block of memory */
	const struct iommu_test_dmabuf_range lists[][4] = {
		{ { 0, 512 } },
		{ { 1, 511 } },
		{ { 256, 256 }, { 0, 256 } },
		/* The large block is neither first nor at an aligned offset */
		{ { 3, 5 }, { 128, 128 }, { 300, 100 } },
		{ { 511, 1 }, { 15, 50 }, { 0, 9 } },
		/* Only as one extent they have a block of 64 */
		{ { 500, 3 }, { 60, 20 }, { 80, 50 }, { 9, 1 } },
		{ { 7, 1 }, { 3, 1 }, { 9, 1 }, { 1, 1 } },
	};
	const struct {
		size_t start;
		/* Less than the whole by so much */
		size_t less;
	} slices[] = { { 0, 0 }, { 1, 1 }, { 0, 1 }, { 2, 3 } };
	__u32 ioas_id = ioas_of_no_domain(_metadata, self);
	struct iommu_test_dmabuf_range ranges[4];
	size_t i, j, nr, size, start, length, align, at;
	__u64 iova, second;
	int dfd;

	if (variant->small_pages)
		_test_ioctl_ioas_set_huge_pages(self->fd, ioas_id, false);
	for (i = 0; i != ARRAY_SIZE(lists); i++) {
		for (nr = 0; nr != 4 && lists[i][nr].length;)
			nr++;
		scale(ranges, lists[i], nr);
		size = total(ranges, nr);
		ASSERT_EQ(0, _test_cmd_get_dmabuf_ranges(self->fd,
							 512 * PAGE_SIZE, ranges,
							 nr, MOCK_DMABUF_MMIO,
							 &dfd));
		for (j = 0; j != ARRAY_SIZE(slices); j++) {
			start = slices[j].start * PAGE_SIZE;
			length = size - slices[j].less * PAGE_SIZE;
			align = PAGE_SIZE * best_block(lists[i],
						       slices[j].start,
						       length / PAGE_SIZE, &at);
			if (variant->small_pages)
				align = PAGE_SIZE;
			check_alignment(_metadata, self, ioas_id, dfd, start,
					length, align, -at * PAGE_SIZE % align);

			check_alignment(_metadata, self, self->ioas_id, dfd,
					start, length, align,
					-at * PAGE_SIZE % align);

			test_ioctl_ioas_map_file(dfd, start, length, &iova);
			test_ioctl_ioas_map_file(dfd, start, length, &second);
			check_beside(dfd, iova, length, start, MAPPED);
			check_beside(dfd, second, length, start, MAPPED);
			test_ioctl_ioas_unmap(iova, length);
			test_ioctl_ioas_unmap(second, length);
		}
		ASSERT_EQ(0, close(dfd));
	}
}

/* More than the largest page of the domains is of no use, and does not fit here */
TEST_F(dmabuf, chosen_iova_is_bounded)
{
	const __u64 start = 5 * MOCK_HUGE_PAGE_SIZE + MOCK_APERTURE_START;
	const size_t size = 512 * PAGE_SIZE;
	__u32 ioas_id, stdev_id, idev_id, hwpt_id;
	__u64 iova;
	int dfd;

	ASSERT_EQ(0, size % (2 * MOCK_HUGE_PAGE_SIZE));
	test_ioctl_ioas_alloc(&ioas_id);
	test_cmd_mock_domain(ioas_id, &stdev_id, NULL, &idev_id);
	test_cmd_hwpt_alloc_iommupt(idev_id, ioas_id, 0, MOCK_IOMMUPT_HUGE,
				    &hwpt_id);
	test_cmd_mock_domain_replace(stdev_id, hwpt_id);
	ASSERT_EQ(0, _test_ioctl_ioas_allow_iovas(self->fd, ioas_id, start,
						  start + 2 * size - 1));
	test_cmd_get_dmabuf_attrs(size, MOCK_DMABUF_MMIO, &dfd);
	test_ioctl_ioas_map_id_file(ioas_id, dfd, 0, size, &iova);
	ASSERT_EQ(start, iova);
	test_ioctl_ioas_unmap_id(ioas_id, iova, size);
	ASSERT_EQ(0, close(dfd));
}

/* Which must not tell where ordinary memory is, but by its offset is known anyway */
TEST_F(dmabuf, chosen_iova_of_ordinary_memory)
{
	const struct iommu_test_dmabuf_range lists[][2] = {
		{ { 0, 511 }, { 511, 1 } },
		{ { 1, 510 }, { 0, 2 } },
		{ { 511, 1 }, { 0, 511 } },
	};
	__u32 ioas_id = ioas_of_no_domain(_metadata, self);
	struct iommu_test_dmabuf_range ranges[2];
	size_t i, start, pages, align;
	int dfd;

	if (variant->small_pages)
		_test_ioctl_ioas_set_huge_pages(self->fd, ioas_id, false);
	for (i = 0; i != ARRAY_SIZE(lists); i++) {
		scale(ranges, lists[i], 2);
		test_cmd_get_dmabuf_ranges(512 * PAGE_SIZE, ranges, 2, &dfd);
		for (start = 0; start < 300; start += 33) {
			for (pages = 1; pages < 200; pages += pages / 2 + 1) {
				align = PAGE_SIZE;
				while (!variant->small_pages &&
				       align <= pages * PAGE_SIZE / 2)
					align *= 2;
				check_alignment(_metadata, self, ioas_id, dfd,
						start * PAGE_SIZE,
						pages * PAGE_SIZE, align,
						start * PAGE_SIZE % align);
			}
		}
		ASSERT_EQ(0, close(dfd));
	}
}

TEST_F(dmabuf, read_only_memory)
{
	__u32 empty_ioas_id = ioas_of_no_domain(_metadata, self);
	__u64 iova = IOVA(0), copied = IOVA(1);
	const size_t size = 16 * PAGE_SIZE;
	int dfd;

	test_cmd_get_dmabuf_attrs(size, MOCK_DMABUF_READ_ONLY, &dfd);
	EXPECT_ERRNO(EACCES, _test_ioctl_ioas_map_file(self->fd, self->ioas_id,
						       dfd, 0, size, &iova,
						       IOAS_MAP_RW_FIXED));
	check_buffer(dfd, iova, size, 0, GONE);
	EXPECT_ERRNO(EACCES, _test_ioctl_ioas_map_file(self->fd, empty_ioas_id,
						       dfd, 0, size, &iova,
						       IOAS_MAP_RW_FIXED));
	/* Nothing has stayed there */
	ASSERT_EQ(0, _test_ioctl_ioas_map_file(self->fd, self->ioas_id, dfd, 0,
					       size, &iova,
					       IOMMU_IOAS_MAP_FIXED_IOVA |
					       IOMMU_IOAS_MAP_READABLE));
	check_buffer(dfd, iova, size, 0, MAPPED);

	EXPECT_ERRNO(EACCES, _test_ioctl_ioas_copy(self->fd, self->ioas_id,
						   self->ioas_id, &copied, iova,
						   size, IOAS_MAP_RW_FIXED));
	EXPECT_ERRNO(EACCES, _test_ioctl_ioas_copy(self->fd, empty_ioas_id,
						   self->ioas_id, &copied, iova,
						   size, IOAS_MAP_RW_FIXED));
	check_buffer(dfd, copied, size, 0, GONE);
	ASSERT_EQ(0, _test_ioctl_ioas_copy(self->fd, self->ioas_id,
					   self->ioas_id, &copied, iova, size,
					   IOMMU_IOAS_MAP_FIXED_IOVA |
					   IOMMU_IOAS_MAP_READABLE));
	check_buffer(dfd, copied, size, 0, MAPPED);

	/* Also while it is revoked */
	test_cmd_revoke_dmabuf(dfd, true);
	EXPECT_ERRNO(EACCES, _test_ioctl_ioas_copy(self->fd, empty_ioas_id,
						   self->ioas_id, &copied, iova,
						   size, IOAS_MAP_RW_FIXED));
	test_cmd_revoke_dmabuf(dfd, false);
	check_buffer(dfd, iova, size, 0, MAPPED);
	check_buffer(dfd, copied, size, 0, MAPPED);

	/* What is mapped for reading only has the errno that it always had */
	test_ioctl_ioas_unmap(copied, size);
	test_ioctl_ioas_unmap(iova, size);
	ASSERT_EQ(0, close(dfd));
	test_cmd_get_dmabuf(size, &dfd);
	ASSERT_EQ(0, _test_ioctl_ioas_map_file(self->fd, self->ioas_id, dfd, 0,
					       size, &iova,
					       IOMMU_IOAS_MAP_FIXED_IOVA |
					       IOMMU_IOAS_MAP_READABLE));
	EXPECT_ERRNO(EPERM, _test_ioctl_ioas_copy(self->fd, self->ioas_id,
						  self->ioas_id, &copied, iova,
						  size, IOAS_MAP_RW_FIXED));
	ASSERT_EQ(0, close(dfd));
}

/* A hole that is not aligned is taken before there is no space */
TEST_F(dmabuf, chosen_iova_in_a_hole)
{
	__u64 start = IOVA(0) + PAGE_SIZE;
	__u64 iova;
	int dfd;

	test_ioctl_ioas_allow_iovas(start, start + 512 * PAGE_SIZE - 1);
	test_cmd_get_dmabuf(512 * PAGE_SIZE, &dfd);
	test_ioctl_ioas_map_file(dfd, 0, 512 * PAGE_SIZE, &iova);
	ASSERT_EQ(start, iova);
	check_buffer(dfd, iova, 512 * PAGE_SIZE, 0, MAPPED);
	test_err_ioctl_ioas_map_file(ENOSPC, dfd, 0, PAGE_SIZE, &iova);
	ASSERT_EQ(0, close(dfd));
}

TEST_HARNESS_MAIN
