// SPDX-License-Identifier: GPL-2.0-only
/*
 * The BAR of one PCI device as a dma-buf of one or several ranges in an IOAS,
 * where another PCI device reads and writes through it: while it is mapped,
 * while it is revoked and after it is restored.
 *
 * Usage: vfio_dmabuf_test [options] BDF BDF
 *
 * One of the devices is moved by a driver of the library and does the DMA, the
 * other one has a BAR of at least 1 MiB that behaves as memory, such as QEMU's
 * edu and ivshmem.
 *
 * Whether a DMA arrived is decided by the bytes: a copy in memory says what
 * each byte of the BAR has to be. That a translation is gone is decided by the
 * fault that the IOMMU reports, as a BAR may be out of reach for other reasons.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <linux/limits.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "kselftest_harness.h"

#define BUFINFO			"/sys/kernel/debug/dma_buf/bufinfo"
#define MAPPING_NAME		"PAL -> iommu_domain"

#define PAGE			SZ_4K
#define BUF_SIZE		(4 * PAGE)

/* Crosses the borders of ranges, if there are some. */
#define SLICE_START		PAGE
#define SLICE_LENGTH		(3 * PAGE)

/* Where things are mapped, all within the 28 bits that edu has. */
#define IOVA_WHOLE		0x1000000UL
#define IOVA_SLICE		0x2000000UL
#define IOVA_READ_ONLY		0x2800000UL
#define IOVA_COPY		0x3000000UL
#define IOVA_LATE		0x3800000UL
#define IOVA_SCRATCH		0x4000000UL
#define IOVA_FREE		0x5000000UL
#define IOVA_ALLOWED		0x8000000UL
#define IOVA_ALLOWED_LAST	0x80fffffUL

/* More than one DMA of edu for a page, so that borders are within a DMA. */
#define MAX_DMA			2048

static const char *exporter_bdf;
static const char *dma_bdf;

FIXTURE(dmabuf) {
	struct iommu *iommu;

	/* Has the BAR. */
	struct vfio_pci_device *exporter;
	struct vfio_pci_bar *bar;
	u32 bar_index;
	/* What the bytes of the BAR have to be. */
	u8 *expected;
	size_t bar_size;

	/* Does the DMA, in the IOAS of @iommu unless it is moved. */
	struct vfio_pci_device *dma;
	struct dma_region scratch;
	u32 second_ioas;

	const struct vfio_region_dma_range *ranges;
	u32 nr_ranges;
	int fd;
	u64 ino;
	int kmsg;
};

FIXTURE_VARIANT(dmabuf) {
	struct vfio_region_dma_range ranges[3];
	u32 nr_ranges;
};

FIXTURE_VARIANT_ADD(dmabuf, one_range) {
	.ranges = {
		{ .offset = 0x40000, .length = 4 * PAGE },
	},
	.nr_ranges = 1,
};

/* Out of order, with holes between. */
FIXTURE_VARIANT_ADD(dmabuf, three_ranges) {
	.ranges = {
		{ .offset = 0x80000, .length = 2 * PAGE },
		{ .offset = 0x10000, .length = PAGE },
		{ .offset = 0x40000, .length = PAGE },
	},
	.nr_ranges = 3,
};

/* Bytes: where they are in the BAR, and what they should be there. */

static void fresh_bytes(u8 *bytes, size_t count)
{
	static u64 state = 0x9e3779b97f4a7c15UL;

	for (; count; count--) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		*bytes++ = state >> 32;
	}
}

/* Offset in the BAR of a byte of the buffer. */
static size_t in_bar(FIXTURE_DATA(dmabuf) * self, size_t offset)
{
	u32 i;

	for (i = 0; offset >= self->ranges[i].length; i++)
		offset -= self->ranges[i].length;
	return self->ranges[i].offset + offset;
}

static void expect_bytes(FIXTURE_DATA(dmabuf) * self, size_t start,
			 const u8 *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		self->expected[in_bar(self, start + i)] = bytes[i];
}

static void get_expected(FIXTURE_DATA(dmabuf) * self, size_t start, u8 *bytes,
			 size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		bytes[i] = self->expected[in_bar(self, start + i)];
}

static void write_by_cpu(FIXTURE_DATA(dmabuf) * self, size_t start,
			 const u8 *bytes, size_t count)
{
	u8 *bar = self->bar->vaddr;
	size_t i;

	for (i = 0; i < count; i++)
		bar[in_bar(self, start + i)] = bytes[i];
	expect_bytes(self, start, bytes, count);
}

/* All of the BAR is compared, so that a stray write anywhere is seen. */
static bool bar_is_right(FIXTURE_DATA(dmabuf) * self)
{
	size_t i, first = 0, wrong = 0;
	u8 *bar = self->bar->vaddr;

	if (!memcmp(bar, self->expected, self->bar_size))
		return true;

	for (i = 0; i < self->bar_size; i++)
		if (bar[i] != self->expected[i] && !wrong++)
			first = i;
	ksft_print_msg("%zu bytes of the BAR are wrong; at 0x%zx expected 0x%02x, found 0x%02x\n",
		       wrong, first, self->expected[first], bar[first]);
	return false;
}

static bool same_bytes(iova_t iova, const u8 *found, const u8 *wanted,
		       size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (found[i] == wanted[i])
			continue;
		ksft_print_msg("DMA read of IOVA 0x%lx: expected 0x%02x, found 0x%02x\n",
			       iova + i, wanted[i], found[i]);
		return false;
	}
	return true;
}

/* DMA */

static void dma_write(FIXTURE_DATA(dmabuf) * self, iova_t iova,
		      const u8 *bytes, size_t count)
{
	memcpy(self->scratch.vaddr, bytes, count);
	VFIO_ASSERT_EQ(vfio_pci_driver_memcpy(self->dma, IOVA_SCRATCH, iova,
					      count), 0);
}

static void dma_read(FIXTURE_DATA(dmabuf) * self, iova_t iova, u8 *bytes,
		     size_t count)
{
	memset(self->scratch.vaddr, 0, count);
	VFIO_ASSERT_EQ(vfio_pci_driver_memcpy(self->dma, iova, IOVA_SCRATCH,
					      count), 0);
	memcpy(bytes, self->scratch.vaddr, count);
}

/* Pieces of half a DMA and then whole ones put page borders inside of a DMA. */
static size_t next_piece(size_t done, size_t length)
{
	size_t piece = done ? MAX_DMA : MAX_DMA / 2;

	return min(length - done, piece);
}

static bool writes_arrive(FIXTURE_DATA(dmabuf) * self, iova_t iova,
			  size_t start, size_t length)
{
	u8 bytes[MAX_DMA];
	size_t done, piece;

	for (done = 0; done < length; done += piece) {
		piece = next_piece(done, length);
		fresh_bytes(bytes, piece);
		dma_write(self, iova + done, bytes, piece);
		expect_bytes(self, start + done, bytes, piece);
	}
	return bar_is_right(self);
}

static bool reads_arrive(FIXTURE_DATA(dmabuf) * self, iova_t iova,
			 size_t start, size_t length)
{
	u8 bytes[MAX_DMA], found[MAX_DMA];
	size_t done, piece;

	for (done = 0; done < length; done += piece) {
		piece = next_piece(done, length);
		fresh_bytes(bytes, piece);
		write_by_cpu(self, start + done, bytes, piece);
		dma_read(self, iova + done, found, piece);
		if (!same_bytes(iova + done, found, bytes, piece))
			return false;
	}
	return bar_is_right(self);
}

/*
 * A shorter look at a mapping: beyond its first page, where the next range
 * may begin, and back from its first bytes.
 */
static bool dma_arrives(FIXTURE_DATA(dmabuf) * self, iova_t iova, size_t start,
			size_t length)
{
	size_t probe = min_t(size_t, length, PAGE + MAX_DMA / 2);

	ksft_print_msg("DMA to and from IOVA 0x%lx\n", iova);
	return writes_arrive(self, iova, start, probe) &&
	       reads_arrive(self, iova, start, MAX_DMA / 2);
}

static bool whole_arrives(FIXTURE_DATA(dmabuf) * self)
{
	return dma_arrives(self, IOVA_WHOLE + PAGE, PAGE, 3 * PAGE);
}

static bool slice_arrives(FIXTURE_DATA(dmabuf) * self)
{
	return dma_arrives(self, IOVA_SLICE, SLICE_START, SLICE_LENGTH);
}

/* With the DMA device moved to another domain and back. */
static bool arrives_in(FIXTURE_DATA(dmabuf) * self, u32 pt_id, iova_t iova,
		       size_t start, size_t length)
{
	bool ok;

	vfio_device_attach_iommufd_pt(self->dma->fd, pt_id);
	ok = dma_arrives(self, iova, start, length);
	vfio_device_attach_iommufd_pt(self->dma->fd, self->iommu->ioas_id);
	return ok;
}

/* What the kernel says of DMA that has no translation. */

static void forget_faults(FIXTURE_DATA(dmabuf) * self)
{
	lseek(self->kmsg, 0, SEEK_END);
}

static bool fault_logged(FIXTURE_DATA(dmabuf) * self, iova_t iova)
{
	char record[1024], address[32];
	ssize_t len;

	snprintf_assert(address, sizeof(address), "%lx", iova);
	/* EPIPE says that records were lost, not that there is none. */
	while ((len = read(self->kmsg, record, sizeof(record) - 1)) > 0 ||
	       errno == EPIPE) {
		record[max_t(ssize_t, len, 0)] = 0;
		if (!strcasestr(record, "fault") ||
		    !strcasestr(record, address))
			continue;
		record[strcspn(record, "\n")] = 0;
		ksft_print_msg("kernel log: %s\n", strchr(record, ';') + 1);
		return true;
	}
	return false;
}

/* Drivers log a few faults in some seconds, and say nothing of others. */
static bool iommu_faults(FIXTURE_DATA(dmabuf) * self, iova_t iova)
{
	time_t end = time(NULL) + 15;
	u8 bytes[MAX_DMA];

	do {
		if (fault_logged(self, iova))
			return true;
		dma_read(self, iova, bytes, MAX_DMA);
	} while (time(NULL) < end);

	ksft_print_msg("expected a fault at IOVA 0x%lx in the kernel log, found none\n",
		       iova);
	return false;
}

/*
 * What is written is not seen here if memory decode is off: bar_is_right()
 * tells when it is on again.
 */
static bool dma_is_lost(FIXTURE_DATA(dmabuf) * self, iova_t iova, size_t start)
{
	u8 bytes[MAX_DMA], found[MAX_DMA], kept[MAX_DMA];

	ksft_print_msg("DMA to and from IOVA 0x%lx, which should be lost\n",
		       iova);
	forget_faults(self);
	get_expected(self, start, kept, MAX_DMA);
	fresh_bytes(bytes, MAX_DMA);
	dma_write(self, iova, bytes, MAX_DMA);
	dma_read(self, iova, found, MAX_DMA);
	if (memcmp(found, kept, MAX_DMA))
		return iommu_faults(self, iova);

	ksft_print_msg("DMA read of IOVA 0x%lx: expected nothing, found bytes of the BAR\n",
		       iova);
	return false;
}

/*
 * The second page is one that whole_arrives() has had in the IOTLB, where a
 * translation may outlive the one in the page tables. The first page is not.
 */
static bool whole_is_lost(FIXTURE_DATA(dmabuf) * self)
{
	return dma_is_lost(self, IOVA_WHOLE + PAGE, PAGE) &&
	       dma_is_lost(self, IOVA_WHOLE, 0);
}

static bool slice_is_lost(FIXTURE_DATA(dmabuf) * self)
{
	return dma_is_lost(self, IOVA_SLICE, SLICE_START);
}

/* What debugfs says of the buffer. */

struct bufinfo {
	u32 attachments;
	u32 to_domain;
	u32 revoked;
};

static bool is_our_entry(FIXTURE_DATA(dmabuf) * self, const char *line)
{
	u64 ino;

	return sscanf(line, "%*s %*s %*s %*s %*s %lu", &ino) == 1 &&
	       ino == self->ino;
}

static void count_line(struct bufinfo *info, const char *line)
{
	if (strncmp(line, "\t-\t", 3))
		return;
	info->attachments++;
	info->to_domain += !!strstr(line, MAPPING_NAME);
	info->revoked += !!strstr(line, "\trevoked");
}

static bool read_bufinfo(FIXTURE_DATA(dmabuf) * self, struct bufinfo *info)
{
	bool ours = false, found = false;
	char line[512];
	FILE *file;

	memset(info, 0, sizeof(*info));
	file = fopen(BUFINFO, "r");
	VFIO_ASSERT_NOT_NULL(file, "Failed to open %s\n", BUFINFO);
	while (fgets(line, sizeof(line), file)) {
		if (is_our_entry(self, line)) {
			found = true;
			ours = true;
		}
		if (!ours)
			continue;
		ksft_print_msg("bufinfo: %s", line);
		count_line(info, line);
		if (!strncmp(line, "Total", 5))
			ours = false;
	}
	VFIO_ASSERT_EQ(fclose(file), 0);
	if (!found)
		ksft_print_msg("expected inode %lu in %s, found it not\n",
			       self->ino, BUFINFO);
	return found;
}

static bool bufinfo_says(FIXTURE_DATA(dmabuf) * self, bool revoked)
{
	struct bufinfo info;

	if (!read_bufinfo(self, &info))
		return false;
	if (info.attachments && info.to_domain == info.attachments &&
	    info.revoked == (revoked ? info.attachments : 0))
		return true;
	ksft_print_msg("expected all to be '%s' and %s, found %u of %u, %u revoked\n",
		       MAPPING_NAME, revoked ? "revoked" : "not revoked",
		       info.to_domain, info.attachments, info.revoked);
	return false;
}

/* Calls */

static void set_decode(FIXTURE_DATA(dmabuf) * self, bool on)
{
	ksft_print_msg("turn memory decode of %s %s\n", exporter_bdf,
		       on ? "on" : "off");
	if (on)
		vfio_pci_cmd_set(self->exporter, PCI_COMMAND_MEMORY);
	else
		vfio_pci_cmd_clear(self->exporter, PCI_COMMAND_MEMORY);
}

static int export_ranges(FIXTURE_DATA(dmabuf) * self)
{
	return vfio_pci_dmabuf_export(self->exporter, self->bar_index,
				      self->ranges, self->nr_ranges);
}

static int copy_to_second(FIXTURE_DATA(dmabuf) * self, iova_t src,
			  size_t length, iova_t dst)
{
	u32 flags = DMABUF_MAP_FLAGS | IOMMU_IOAS_MAP_FIXED_IOVA;

	return __iommu_ioas_copy(self->iommu, flags, self->iommu->ioas_id, src,
				 length, self->second_ioas, &dst);
}

static int unmap_second(FIXTURE_DATA(dmabuf) * self, iova_t iova, size_t length)
{
	return __iommu_ioas_unmap(self->iommu, self->second_ioas, iova, length,
				  NULL);
}

static void map_whole(FIXTURE_DATA(dmabuf) * self)
{
	dmabuf_map_fixed(self->iommu, self->fd, 0, BUF_SIZE, IOVA_WHOLE);
}

static void map_slice(FIXTURE_DATA(dmabuf) * self)
{
	dmabuf_map_fixed(self->iommu, self->fd, SLICE_START, SLICE_LENGTH,
			 IOVA_SLICE);
}

/* Making the devices ours */

static void open_exporter(FIXTURE_DATA(dmabuf) * self)
{
	self->exporter = vfio_pci_device_init(exporter_bdf, self->iommu);
	/* A domain comes and goes with the DMA device alone. */
	vfio_device_detach_iommufd_pt(self->exporter->fd);
	vfio_pci_cmd_set(self->exporter, PCI_COMMAND_MEMORY);

	self->bar = vfio_pci_largest_mapped_bar(self->exporter);
	VFIO_ASSERT_NOT_NULL(self->bar);
	self->bar_index = self->bar - self->exporter->bars;
	self->bar_size = self->bar->info.size;
}

static void *alloc_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	VFIO_ASSERT_NE(memory, MAP_FAILED);
	return memory;
}

static void open_dma_device(FIXTURE_DATA(dmabuf) * self)
{
	struct dma_region *region;

	self->dma = vfio_pci_device_init(dma_bdf, self->iommu);
	region = &self->dma->driver.region;
	region->size = SZ_2M;
	region->vaddr = alloc_memory(region->size);
	region->iova = 0xc000000;
	iommu_map(self->iommu, region);
	vfio_pci_driver_init(self->dma);
}

static void close_dma_device(FIXTURE_DATA(dmabuf) * self)
{
	struct dma_region *region = &self->dma->driver.region;

	iommu_unmap(self->iommu, region);
	VFIO_ASSERT_EQ(munmap(region->vaddr, region->size), 0);
	vfio_pci_device_cleanup(self->dma);
	self->dma = NULL;
}

static void open_dma(FIXTURE_DATA(dmabuf) * self)
{
	u32 flags = DMABUF_MAP_FLAGS | IOMMU_IOAS_MAP_FIXED_IOVA;
	iova_t iova = IOVA_SCRATCH;

	open_dma_device(self);
	self->scratch.size = PAGE;
	self->scratch.vaddr = alloc_memory(PAGE);
	self->scratch.iova = IOVA_SCRATCH;
	iommu_map(self->iommu, &self->scratch);

	/* What drivers have in their region is not needed in the second one. */
	self->second_ioas = iommu_ioas_alloc(self->iommu);
	VFIO_ASSERT_EQ(__iommu_ioas_map(self->iommu, self->second_ioas, flags,
					self->scratch.vaddr, PAGE, &iova), 0);
}

static void take_inode(FIXTURE_DATA(dmabuf) * self)
{
	struct stat st;

	VFIO_ASSERT_EQ(fstat(self->fd, &st), 0);
	self->ino = st.st_ino;
}

FIXTURE_SETUP(dmabuf)
{
	self->fd = -1;
	self->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->kmsg);

	self->iommu = iommu_init(MODE_IOMMUFD);
	open_exporter(self);
	self->expected = malloc_assert(self->bar_size);
	fresh_bytes(self->expected, self->bar_size);
	memcpy(self->bar->vaddr, self->expected, self->bar_size);
	if (!bar_is_right(self))
		SKIP(return, "BAR %u of %s does not behave as memory",
		     self->bar_index, exporter_bdf);
	open_dma(self);

	self->ranges = variant->ranges;
	self->nr_ranges = variant->nr_ranges;
	self->fd = export_ranges(self);
	take_inode(self);
	map_whole(self);
}

FIXTURE_TEARDOWN(dmabuf)
{
	if (self->fd >= 0)
		close(self->fd);
	if (self->dma)
		vfio_pci_device_cleanup(self->dma);
	if (self->exporter)
		vfio_pci_device_cleanup(self->exporter);
	iommu_cleanup(self->iommu);
	free(self->expected);
	close(self->kmsg);
}

TEST_F(dmabuf, writes_arrive)
{
	ASSERT_TRUE(writes_arrive(self, IOVA_WHOLE, 0, BUF_SIZE));
}

TEST_F(dmabuf, reads_arrive)
{
	ASSERT_TRUE(reads_arrive(self, IOVA_WHOLE, 0, BUF_SIZE));
}

TEST_F(dmabuf, bufinfo)
{
	ASSERT_TRUE(bufinfo_says(self, false));
}

TEST_F(dmabuf, slice)
{
	map_slice(self);
	ASSERT_TRUE(writes_arrive(self, IOVA_SLICE, SLICE_START, SLICE_LENGTH));
	ASSERT_TRUE(reads_arrive(self, IOVA_SLICE, SLICE_START, SLICE_LENGTH));
}

TEST_F_TIMEOUT(dmabuf, chosen_iova, 120)
{
	iova_t iova;

	ASSERT_EQ(0, __iommu_ioas_allow_iovas(self->iommu, self->iommu->ioas_id,
					      IOVA_ALLOWED, IOVA_ALLOWED_LAST));
	iova = dmabuf_map(self->iommu, self->fd, 0, BUF_SIZE);
	ksft_print_msg("the kernel chose IOVA 0x%lx\n", iova);
	ASSERT_LE(IOVA_ALLOWED, iova);
	ASSERT_GE(IOVA_ALLOWED_LAST, iova + BUF_SIZE - 1);
	ASSERT_TRUE(dma_arrives(self, iova + PAGE, PAGE, 3 * PAGE));

	/* The page that was just used, and one that was not */
	dmabuf_unmap(self->iommu, iova, BUF_SIZE);
	ASSERT_TRUE(dma_is_lost(self, iova + PAGE, PAGE));
	ASSERT_TRUE(dma_is_lost(self, iova, 0));
	ASSERT_TRUE(bar_is_right(self));
}

TEST_F(dmabuf, read_only)
{
	u32 flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_FIXED_IOVA;
	iova_t iova = IOVA_READ_ONLY;
	u8 bytes[MAX_DMA];

	ASSERT_EQ(0, __iommu_ioas_map_file(self->iommu, self->iommu->ioas_id,
					   flags, self->fd, 0, BUF_SIZE, &iova));
	ASSERT_TRUE(reads_arrive(self, iova, 0, 2 * MAX_DMA));
	fresh_bytes(bytes, sizeof(bytes));
	dma_write(self, iova, bytes, sizeof(bytes));
	ASSERT_TRUE(bar_is_right(self));
	dmabuf_unmap(self->iommu, iova, BUF_SIZE);
}

TEST_F(dmabuf, second_domain)
{
	u32 hwpt;

	hwpt = iommu_hwpt_alloc(self->iommu, self->dma->devid,
				self->iommu->ioas_id);
	ASSERT_TRUE(arrives_in(self, hwpt, IOVA_WHOLE + PAGE, PAGE, 3 * PAGE));
	iommu_destroy(self->iommu, hwpt);
	ASSERT_TRUE(whole_arrives(self));
}

TEST_F(dmabuf, copy)
{
	ASSERT_EQ(0, copy_to_second(self, IOVA_WHOLE, BUF_SIZE, IOVA_COPY));
	ASSERT_TRUE(arrives_in(self, self->second_ioas, IOVA_COPY + PAGE, PAGE,
			       3 * PAGE));
}

/* Without memory decode DMA does not arrive. */
TEST_F_TIMEOUT(dmabuf, decode_off, 120)
{
	map_slice(self);
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));

	set_decode(self, false);
	ASSERT_TRUE(bufinfo_says(self, true));
	ASSERT_TRUE(whole_is_lost(self));
	ASSERT_TRUE(slice_is_lost(self));

	set_decode(self, true);
	ksft_print_msg("no byte that was written meanwhile may be in the BAR\n");
	ASSERT_TRUE(bar_is_right(self));
	ASSERT_TRUE(bufinfo_says(self, false));
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));
}

/* All that can change while the buffer is revoked. */
TEST_F_TIMEOUT(dmabuf, change_while_revoked, 120)
{
	u32 hwpt;

	map_slice(self);
	ASSERT_EQ(0, copy_to_second(self, IOVA_WHOLE, BUF_SIZE, IOVA_COPY));
	ASSERT_TRUE(arrives_in(self, self->second_ioas, IOVA_COPY + PAGE, PAGE,
			       3 * PAGE));

	set_decode(self, false);
	ASSERT_EQ(0, copy_to_second(self, IOVA_SLICE, SLICE_LENGTH, IOVA_LATE));
	hwpt = iommu_hwpt_alloc(self->iommu, self->dma->devid,
				self->iommu->ioas_id);
	ASSERT_EQ(0, unmap_second(self, IOVA_COPY, BUF_SIZE));

	set_decode(self, true);
	ASSERT_TRUE(bar_is_right(self));
	ASSERT_TRUE(bufinfo_says(self, false));
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));

	/* The copy that was added is whole, so is the domain. */
	ASSERT_TRUE(arrives_in(self, self->second_ioas, IOVA_LATE, SLICE_START,
			       SLICE_LENGTH));
	ASSERT_TRUE(arrives_in(self, hwpt, IOVA_WHOLE + PAGE, PAGE, 3 * PAGE));
	ASSERT_TRUE(arrives_in(self, hwpt, IOVA_SLICE, SLICE_START,
			       SLICE_LENGTH));
	iommu_destroy(self->iommu, hwpt);

	/* The mapping that was removed stays away. */
	vfio_device_attach_iommufd_pt(self->dma->fd, self->second_ioas);
	ASSERT_TRUE(dma_is_lost(self, IOVA_COPY + PAGE, PAGE));
	ASSERT_TRUE(dma_is_lost(self, IOVA_COPY, 0));
	ASSERT_TRUE(bar_is_right(self));
	vfio_device_attach_iommufd_pt(self->dma->fd, self->iommu->ioas_id);
}

TEST_F(dmabuf, decode_off_and_on_often)
{
	int i;

	map_slice(self);
	for (i = 0; i < 5; i++) {
		set_decode(self, false);
		set_decode(self, true);
	}
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));
}

/* A revoked buffer is not imported, with or without an import before. */
TEST_F(dmabuf, map_while_revoked)
{
	int fd;

	set_decode(self, false);
	EXPECT_EQ(-ENODEV, __dmabuf_map_fixed(self->iommu, self->fd, 0,
					      BUF_SIZE, IOVA_FREE));
	EXPECT_TRUE(bufinfo_says(self, true));

	fd = export_ranges(self);
	EXPECT_EQ(-ENODEV, __dmabuf_map_fixed(self->iommu, fd, 0, BUF_SIZE,
					      IOVA_FREE));
	set_decode(self, true);
	ASSERT_EQ(0, __dmabuf_map_fixed(self->iommu, fd, 0, BUF_SIZE,
					IOVA_FREE));
	ASSERT_TRUE(dma_arrives(self, IOVA_FREE + PAGE, PAGE, 3 * PAGE));
	ASSERT_EQ(0, close(fd));
}

static bool can_reset(FIXTURE_DATA(dmabuf) * self)
{
	return self->exporter->info.flags & VFIO_DEVICE_FLAGS_RESET;
}

TEST_F_TIMEOUT(dmabuf, reset, 120)
{
	if (!can_reset(self))
		SKIP(return, "%s has no reset of its own", exporter_bdf);

	map_slice(self);
	ASSERT_TRUE(whole_arrives(self));
	vfio_pci_device_reset(self->exporter);
	ASSERT_TRUE(bar_is_right(self));
	ASSERT_TRUE(bufinfo_says(self, false));
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));
}

/*
 * What is restored at the end does not tell that it was revoked before: see a
 * fault in between, at a page that the IOTLB has had. The DMA is started some
 * time before the reset, for how slow both are depends on the devices.
 */
TEST_F_TIMEOUT(dmabuf, reset_revokes, 120)
{
	bool faulted = false;
	int i;

	if (!can_reset(self))
		SKIP(return, "%s has no reset of its own", exporter_bdf);

	forget_faults(self);
	for (i = 0; i < 20 && !faulted; i++) {
		ASSERT_TRUE(whole_arrives(self));
		ASSERT_FALSE(fault_logged(self, IOVA_WHOLE + PAGE));
		vfio_pci_driver_memcpy_start(self->dma, IOVA_WHOLE + PAGE,
					     IOVA_SCRATCH, MAX_DMA, 1);
		usleep((i * 10 + 50) % 100 * 1000);
		vfio_pci_device_reset(self->exporter);
		ASSERT_EQ(0, vfio_pci_driver_memcpy_wait(self->dma));
		/* The log is written by an interrupt's thread. */
		usleep(10000);
		faulted = fault_logged(self, IOVA_WHOLE + PAGE);
	}
	ASSERT_TRUE(faulted);
	ASSERT_TRUE(bar_is_right(self));
	ASSERT_TRUE(whole_arrives(self));
}

/* Resets of the functions of a slot or bus, by what the kernel has for it. */
static int __hot_reset(FIXTURE_DATA(dmabuf) * self)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	return ioctl(self->exporter->fd, VFIO_DEVICE_PCI_HOT_RESET, &reset) ?
	       -errno : 0;
}

static bool can_hot_reset(FIXTURE_DATA(dmabuf) * self)
{
	struct vfio_pci_hot_reset_info info = { .argsz = sizeof(info) };

	/* With one device there is no room for it, which is not looked at. */
	return !ioctl(self->exporter->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		      &info) || errno == ENOSPC;
}

static u8 find_capability(FIXTURE_DATA(dmabuf) * self, u8 id)
{
	u8 pos;

	if (!(vfio_pci_config_readw(self->exporter, PCI_STATUS) &
	      PCI_STATUS_CAP_LIST))
		return 0;
	pos = vfio_pci_config_readb(self->exporter, PCI_CAPABILITY_LIST);
	while (pos && vfio_pci_config_readb(self->exporter, pos) != id)
		pos = vfio_pci_config_readb(self->exporter,
					    pos + PCI_CAP_LIST_NEXT);
	return pos;
}

static bool can_flr(FIXTURE_DATA(dmabuf) * self)
{
	u8 pos = find_capability(self, PCI_CAP_ID_EXP);

	return pos && vfio_pci_config_readl(self->exporter,
					    pos + PCI_EXP_DEVCAP) &
		      PCI_EXP_DEVCAP_FLR;
}

static void reset_by_flr(FIXTURE_DATA(dmabuf) * self)
{
	u8 pos = find_capability(self, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	u16 control = vfio_pci_config_readw(self->exporter, pos);

	ksft_print_msg("function level reset of %s\n", exporter_bdf);
	vfio_pci_config_writew(self->exporter, pos,
			       control | PCI_EXP_DEVCTL_BCR_FLR);
}

static void set_power_state(FIXTURE_DATA(dmabuf) * self, u16 state)
{
	u8 pos = find_capability(self, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	u16 control = vfio_pci_config_readw(self->exporter, pos);

	ksft_print_msg("put %s in D%u\n", exporter_bdf, state);
	vfio_pci_config_writew(self->exporter, pos,
			       (control & ~PCI_PM_CTRL_STATE_MASK) | state);
}

/* Whatever was done in between, all that was mapped is there. */
static bool is_back(FIXTURE_DATA(dmabuf) * self)
{
	return bar_is_right(self) && bufinfo_says(self, false) &&
	       whole_arrives(self);
}

static bool is_away(FIXTURE_DATA(dmabuf) * self)
{
	return bufinfo_says(self, true) && whole_is_lost(self);
}

TEST_F_TIMEOUT(dmabuf, hot_reset, 120)
{
	if (!can_hot_reset(self))
		SKIP(return, "%s has no hot reset", exporter_bdf);

	ASSERT_TRUE(whole_arrives(self));
	ASSERT_EQ(0, __hot_reset(self));
	ASSERT_TRUE(is_back(self));
}

TEST_F_TIMEOUT(dmabuf, flr, 120)
{
	if (!can_flr(self))
		SKIP(return, "%s has no function level reset", exporter_bdf);

	ASSERT_TRUE(whole_arrives(self));
	reset_by_flr(self);
	ASSERT_TRUE(is_back(self));
}

TEST_F_TIMEOUT(dmabuf, power_state, 120)
{
	if (!find_capability(self, PCI_CAP_ID_PM))
		SKIP(return, "%s has no power states", exporter_bdf);

	ASSERT_TRUE(whole_arrives(self));
	set_power_state(self, 3);
	ASSERT_TRUE(is_away(self));
	/* Its end is not enough if memory decode is off */
	set_decode(self, false);
	set_power_state(self, 0);
	ASSERT_TRUE(is_away(self));
	set_decode(self, true);
	ASSERT_TRUE(is_back(self));
}

/*
 * Low power: whatever the user does to the device meanwhile wakes it for the
 * time of a call, and leaves it there. Devices without power states stay in
 * reach for DMA of others, which therefore tells whether mappings are gone.
 */
static int low_power(FIXTURE_DATA(dmabuf) * self, u32 flags, const void *data,
		     size_t size)
{
	return __vfio_device_feature(self->exporter->fd,
				     VFIO_DEVICE_FEATURE_SET | flags, data,
				     size);
}

static bool enter_low_power(FIXTURE_DATA(dmabuf) * self)
{
	ksft_print_msg("put %s in low power\n", exporter_bdf);
	return !low_power(self, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

static bool exit_low_power(FIXTURE_DATA(dmabuf) * self)
{
	ksft_print_msg("take %s out of low power\n", exporter_bdf);
	return !low_power(self, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0);
}

TEST_F_TIMEOUT(dmabuf, low_power, 120)
{
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
}

TEST_F_TIMEOUT(dmabuf, low_power_reset, 120)
{
	if (!can_reset(self))
		SKIP(return, "%s has no reset of its own", exporter_bdf);

	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	vfio_pci_device_reset(self->exporter);
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
}

TEST_F_TIMEOUT(dmabuf, low_power_hot_reset, 120)
{
	if (!can_hot_reset(self))
		SKIP(return, "%s has no hot reset", exporter_bdf);

	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	ASSERT_EQ(0, __hot_reset(self));
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
}

TEST_F_TIMEOUT(dmabuf, low_power_flr, 120)
{
	if (!can_flr(self))
		SKIP(return, "%s has no function level reset", exporter_bdf);

	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	reset_by_flr(self);
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
}

TEST_F_TIMEOUT(dmabuf, low_power_power_state, 120)
{
	if (!find_capability(self, PCI_CAP_ID_PM))
		SKIP(return, "%s has no power states", exporter_bdf);

	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	set_power_state(self, 3);
	set_power_state(self, 0);
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
}

TEST_F_TIMEOUT(dmabuf, low_power_decode, 120)
{
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	set_decode(self, false);
	set_decode(self, true);
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
}

/* Both have to be over, in whichever order. */
TEST_F_TIMEOUT(dmabuf, low_power_and_decode_off, 120)
{
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	set_decode(self, false);
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_away(self));

	ASSERT_TRUE(enter_low_power(self));
	set_decode(self, true);
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
}

TEST_F_TIMEOUT(dmabuf, low_power_export, 120)
{
	int fd;

	ASSERT_TRUE(enter_low_power(self));
	fd = export_ranges(self);
	EXPECT_EQ(-ENODEV, __dmabuf_map_fixed(self->iommu, fd, 0, BUF_SIZE,
					      IOVA_FREE));
	ASSERT_TRUE(dma_is_lost(self, IOVA_FREE, 0));
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_EQ(0, __dmabuf_map_fixed(self->iommu, fd, 0, BUF_SIZE,
					IOVA_FREE));
	ASSERT_TRUE(dma_arrives(self, IOVA_FREE + PAGE, PAGE, 3 * PAGE));
	ASSERT_EQ(0, close(fd));
	ASSERT_TRUE(is_back(self));
}

/* What is mapped and unmapped in low power counts at its end. */
TEST_F_TIMEOUT(dmabuf, low_power_change, 120)
{
	map_slice(self);
	ASSERT_TRUE(slice_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	ASSERT_EQ(0, copy_to_second(self, IOVA_WHOLE, BUF_SIZE, IOVA_COPY));
	dmabuf_unmap(self->iommu, IOVA_SLICE, SLICE_LENGTH);
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
	ASSERT_TRUE(slice_is_lost(self));
	ASSERT_TRUE(arrives_in(self, self->second_ioas, IOVA_COPY + PAGE, PAGE,
			       3 * PAGE));
}

/* Of the buffers of a device in low power none outlives it. */
TEST_F_TIMEOUT(dmabuf, low_power_close, 120)
{
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_low_power(self));
	vfio_pci_device_cleanup(self->exporter);
	self->exporter = NULL;
	ASSERT_TRUE(is_away(self));
	open_exporter(self);
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(bar_is_right(self));
}

/* Within five seconds; without CONFIG_PM never */
static bool suspends(void)
{
	char path[PATH_MAX], status[32];
	int i;

	snprintf_assert(path, sizeof(path),
			"/sys/bus/pci/devices/%s/power/runtime_status",
			exporter_bdf);
	for (i = 0; i < 500; i++) {
		FILE *file = fopen(path, "r");

		if (!file)
			return false;
		if (fscanf(file, "%31s", status) != 1)
			*status = 0;
		fclose(file);
		if (!strcmp(status, "suspended"))
			return true;
		usleep(10000);
	}
	ksft_print_msg("expected %s to suspend, found that it is '%s'\n",
		       exporter_bdf, status);
	return false;
}

static bool enter_until_wakeup(FIXTURE_DATA(dmabuf) * self, int eventfd)
{
	struct vfio_device_low_power_entry_with_wakeup entry = {
		.wakeup_eventfd = eventfd,
	};

	ksft_print_msg("put %s in low power until it wakes up\n",
		       exporter_bdf);
	return !low_power(self,
			  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
			  &entry, sizeof(entry)) && suspends();
}

static bool has_woken(int eventfd)
{
	u64 count;

	return read(eventfd, &count, sizeof(count)) == sizeof(count);
}

/* A device that wakes up is out of low power without another call. */
TEST_F_TIMEOUT(dmabuf, low_power_wakeup, 120)
{
	int woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_LE(0, woken);
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_until_wakeup(self, woken));
	ASSERT_FALSE(has_woken(woken));
	ASSERT_TRUE(is_away(self));

	/* Any access */
	vfio_pci_config_readw(self->exporter, PCI_VENDOR_ID);
	ASSERT_TRUE(has_woken(woken));
	ASSERT_TRUE(is_back(self));

	/* What is left of low power ends nothing that is not there */
	ASSERT_TRUE(exit_low_power(self));
	ASSERT_TRUE(is_back(self));
	ASSERT_EQ(0, close(woken));
}

/* What wakes it is what turns decode off: so it is out of low power, and out of reach. */
TEST_F_TIMEOUT(dmabuf, low_power_wakeup_decode_off, 120)
{
	int woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u16 command = vfio_pci_config_readw(self->exporter, PCI_COMMAND);

	ASSERT_LE(0, woken);
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_until_wakeup(self, woken));
	vfio_pci_config_writew(self->exporter, PCI_COMMAND,
			       command & ~PCI_COMMAND_MEMORY);
	ASSERT_TRUE(has_woken(woken));
	ASSERT_TRUE(is_away(self));
	set_decode(self, true);
	ASSERT_TRUE(is_back(self));
	ASSERT_EQ(0, close(woken));
}

TEST_F_TIMEOUT(dmabuf, low_power_wakeup_reset, 120)
{
	int woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (!can_reset(self))
		SKIP(return, "%s has no reset of its own", exporter_bdf);

	ASSERT_LE(0, woken);
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(enter_until_wakeup(self, woken));
	vfio_pci_device_reset(self->exporter);
	ASSERT_TRUE(has_woken(woken));
	ASSERT_TRUE(is_back(self));
	ASSERT_EQ(0, close(woken));
}

/* What userspace is told of restores */

static int get_restore(FIXTURE_DATA(dmabuf) * self, u32 flags, size_t size,
		       struct vfio_device_feature_dma_buf_restore *restore)
{
	struct {
		struct vfio_device_feature header;
		struct vfio_device_feature_dma_buf_restore restore;
	} args = {
		.header.argsz = sizeof(args.header) + size,
		.header.flags = VFIO_DEVICE_FEATURE_DMA_BUF_RESTORE | flags,
		.restore = { .flags = -1, .nr_incomplete = -1 },
	};

	if (ioctl(self->exporter->fd, VFIO_DEVICE_FEATURE, &args))
		return -errno;
	if (restore)
		*restore = args.restore;
	return 0;
}

static bool incomplete_is(FIXTURE_DATA(dmabuf) * self, u32 wanted)
{
	struct vfio_device_feature_dma_buf_restore restore;

	VFIO_ASSERT_EQ(get_restore(self, VFIO_DEVICE_FEATURE_GET,
				   sizeof(restore), &restore), 0);
	if (!restore.flags && restore.nr_incomplete == wanted)
		return true;
	ksft_print_msg("expected %u incomplete dma-bufs, found %u, flags 0x%x\n",
		       wanted, restore.nr_incomplete, restore.flags);
	return false;
}

TEST_F(dmabuf, restore_feature)
{
	const u32 get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET;
	const u32 probe = VFIO_DEVICE_FEATURE_PROBE;
	const size_t size = sizeof(struct vfio_device_feature_dma_buf_restore);

	EXPECT_EQ(0, get_restore(self, probe, 0, NULL));
	EXPECT_EQ(0, get_restore(self, probe | get, 0, NULL));
	EXPECT_EQ(-EINVAL, get_restore(self, probe | set, 0, NULL));
	EXPECT_EQ(-EINVAL, get_restore(self, probe | get | set, 0, NULL));
	EXPECT_EQ(-EINVAL, get_restore(self, 0, size, NULL));
	EXPECT_EQ(-EINVAL, get_restore(self, set, size, NULL));
	EXPECT_EQ(-EINVAL, get_restore(self, get | set, size, NULL));
	EXPECT_EQ(-EINVAL, get_restore(self, get, 0, NULL));
	EXPECT_EQ(-EINVAL, get_restore(self, get, size - 1, NULL));
	EXPECT_TRUE(incomplete_is(self, 0));

	set_decode(self, false);
	EXPECT_TRUE(incomplete_is(self, 0));
	set_decode(self, true);
	EXPECT_TRUE(incomplete_is(self, 0));
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return false;
	ret = write(fd, text, strlen(text));
	close(fd);
	return ret == strlen(text);
}

/* The @n-th allocation of this thread from here on fails, none if that is 0. */
static bool fail_nth(int n)
{
	char text[16];

	snprintf_assert(text, sizeof(text), "%d", n);
	return write_text("/proc/thread-self/fail-nth", text);
}

/* Whether that allocation was reached. No other fails after it. */
static bool has_failed(void)
{
	FILE *file = NULL;
	int left = 0;

	/* What it takes to read it may be the one that fails */
	while (!file)
		file = fopen("/proc/thread-self/fail-nth", "r");
	if (fscanf(file, "%d", &left) != 1)
		left = 0;
	fclose(file);
	while (!fail_nth(0))
		;
	return !left;
}

static bool set_up_fault_injection(void)
{
	/* There with CONFIG_IOMMUFD_TEST, and counts as an allocation */
	write_text("/sys/kernel/debug/fail_iommufd/verbose", "0");
	return write_text("/sys/kernel/debug/failslab/ignore-gfp-wait", "N") &&
	       write_text("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait",
			  "N") &&
	       write_text("/sys/kernel/debug/fail_page_alloc/min-order", "0") &&
	       write_text("/sys/kernel/debug/failslab/verbose", "0") &&
	       write_text("/sys/kernel/debug/fail_page_alloc/verbose", "0") &&
	       fail_nth(0);
}

static void disable_large_pages(FIXTURE_DATA(dmabuf) * self, u32 ioas_id)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas_id,
	};

	ioctl_assert(self->iommu->iommufd, IOMMU_OPTION, &option);
}

/*
 * All of the BAR where the DMA device is moved to, by pages of 4 KiB: page tables
 * are freed by a revoke and allocated by a restore.
 */
static int map_bar(FIXTURE_DATA(dmabuf) * self,
		   const struct vfio_region_dma_range *whole_bar, iova_t iova)
{
	u32 flags = DMABUF_MAP_FLAGS | IOMMU_IOAS_MAP_FIXED_IOVA;
	int fd;

	fd = vfio_pci_dmabuf_export(self->exporter, self->bar_index, whole_bar,
				    1);
	disable_large_pages(self, self->second_ioas);
	VFIO_ASSERT_EQ(__iommu_ioas_map_file(self->iommu, self->second_ioas,
					     flags, fd, 0, whole_bar->length,
					     &iova), 0);
	vfio_device_attach_iommufd_pt(self->dma->fd, self->second_ioas);
	return fd;
}

/*
 * Allocations of the restore fail: the write that turned decode on does not, and
 * any later one tries again, without a revoke between.
 */
TEST_F_TIMEOUT(dmabuf, incomplete, 180)
{
	const u16 on = vfio_pci_config_readw(self->exporter, PCI_COMMAND);
	const struct vfio_region_dma_range whole_bar = {
		.length = self->bar_size,
	};
	struct vfio_device_feature_dma_buf_restore restore;
	const iova_t iova = 0x100000000;
	int n, nr_incomplete = 0;
	bool failed = true;
	u16 value;

	if (self->bar_size < SZ_2M)
		SKIP(return, "BAR %u of %s is smaller than a page table",
		     self->bar_index, exporter_bdf);
	if (!set_up_fault_injection())
		SKIP(return, "cannot let allocations fail, see config");

	/* Nothing else is to be restored */
	dmabuf_unmap(self->iommu, IOVA_WHOLE, BUF_SIZE);
	ASSERT_EQ(0, close(self->fd));
	self->fd = map_bar(self, &whole_bar, iova);
	take_inode(self);
	self->ranges = &whole_bar;
	ASSERT_TRUE(dma_arrives(self, iova, 0, 3 * PAGE));
	for (n = 1; n < 200 && failed; n++) {
		vfio_pci_cmd_clear(self->exporter, PCI_COMMAND_MEMORY);
		value = on;
		ASSERT_TRUE(fail_nth(n));
		ASSERT_EQ(0, __vfio_pci_config_access(self->exporter, true,
						      PCI_COMMAND, sizeof(value),
						      &value));
		failed = has_failed();
		ASSERT_EQ(0, get_restore(self, VFIO_DEVICE_FEATURE_GET,
					 sizeof(restore), &restore));
		if (!restore.nr_incomplete)
			continue;

		if (!nr_incomplete++) {
			ksft_print_msg("allocation %d left a mapping out\n", n);
			ASSERT_TRUE(incomplete_is(self, 1));
			ASSERT_TRUE(dma_is_lost(self, iova, 0));
			ASSERT_TRUE(bar_is_right(self));
		}
		vfio_pci_cmd_set(self->exporter, PCI_COMMAND_MEMORY);
		ASSERT_TRUE(incomplete_is(self, 0));
		ASSERT_TRUE(bufinfo_says(self, false));
	}
	ksft_print_msg("%d of %d allocations left something out\n",
		       nr_incomplete, n - 2);
	ASSERT_FALSE(failed);
	ASSERT_LT(0, nr_incomplete);
	ASSERT_TRUE(bar_is_right(self));
	ASSERT_TRUE(dma_arrives(self, iova, 0, 3 * PAGE));
}

static double now(void)
{
	struct timespec t;

	VFIO_ASSERT_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double seconds_to_restore(FIXTURE_DATA(dmabuf) * self)
{
	double start;

	set_decode(self, false);
	start = now();
	set_decode(self, true);
	ksft_print_msg("restored in %.2f s\n", now() - start);
	return now() - start;
}

/*
 * A restore that takes long stops if its caller is killed. Who shares the device
 * has what was left out restored by what it does next.
 */
TEST_F_TIMEOUT(dmabuf, killed_restore, 600)
{
	const struct vfio_region_dma_range whole_bar = {
		.length = self->bar_size,
	};
	u32 flags = DMABUF_MAP_FLAGS | IOMMU_IOAS_MAP_FIXED_IOVA;
	const iova_t first = 0x100000000;
	double restore, killed;
	iova_t last = first;
	int fd, status;
	u32 n, i = 1;
	pid_t child;

	fd = map_bar(self, &whole_bar, first);
	for (n = 32, restore = 0; restore < 3 && n <= 4096; n *= 2) {
		for (; i < n; i++) {
			last = first + i * self->bar_size;
			ASSERT_EQ(0, __iommu_ioas_copy(self->iommu, flags,
						       self->second_ioas, first,
						       self->bar_size,
						       self->second_ioas,
						       &last));
		}
		restore = seconds_to_restore(self);
	}

	set_decode(self, false);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		set_decode(self, true);
		_exit(0);
	}
	usleep(restore / 4 * 1e6);
	ASSERT_EQ(0, kill(child, SIGKILL));
	killed = now();
	ASSERT_EQ(child, waitpid(child, &status, 0));
	killed = now() - killed;
	ksft_print_msg("killed after a quarter of that, it was gone in %.2f s\n",
		       killed);
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_GT(restore / 4, killed);

	self->ranges = &whole_bar;
	EXPECT_TRUE(incomplete_is(self, 1));
	ASSERT_TRUE(dma_is_lost(self, last, 0));
	ASSERT_TRUE(bar_is_right(self));
	set_decode(self, true);
	ASSERT_TRUE(incomplete_is(self, 0));
	ASSERT_TRUE(dma_arrives(self, first, 0, 3 * PAGE));
	ASSERT_TRUE(dma_arrives(self, last, 0, 3 * PAGE));
	ASSERT_EQ(0, close(fd));
}

/* Unbind waits until the device is closed, also for dma-bufs that are left. */

static void *unbind_thread(void *bdf)
{
	char path[PATH_MAX];

	snprintf_assert(path, sizeof(path),
			"/sys/bus/pci/devices/%s/driver/unbind",
			(const char *)bdf);
	return (void *)(uintptr_t)write_text(path, bdf);
}

static pthread_t start_unbind(const char *bdf)
{
	pthread_t thread;

	ksft_print_msg("unbind %s\n", bdf);
	VFIO_ASSERT_EQ(pthread_create(&thread, NULL,
				      unbind_thread, (void *)bdf), 0);
	usleep(500000);
	return thread;
}

static bool unbinds(pthread_t thread)
{
	struct timespec end;
	void *done;

	VFIO_ASSERT_EQ(clock_gettime(CLOCK_REALTIME, &end), 0);
	end.tv_sec += 20;
	if (!pthread_timedjoin_np(thread, &done, &end))
		return done;
	ksft_print_msg("expected the unbind to end, it has not\n");
	return false;
}

static bool bind_again(const char *bdf)
{
	ksft_print_msg("bind %s\n", bdf);
	return write_text("/sys/bus/pci/drivers/vfio-pci/bind", bdf);
}

TEST_F_TIMEOUT(dmabuf, unbind_exporter, 180)
{
	pthread_t thread;

	map_slice(self);
	ASSERT_TRUE(whole_arrives(self));
	thread = start_unbind(exporter_bdf);
	ASSERT_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
	ASSERT_TRUE(whole_arrives(self));

	vfio_pci_device_cleanup(self->exporter);
	self->exporter = NULL;
	ASSERT_TRUE(unbinds(thread));
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(slice_is_lost(self));
	EXPECT_EQ(-ENODEV, __dmabuf_map_fixed(self->iommu, self->fd, 0,
					      BUF_SIZE, IOVA_FREE));
	ASSERT_EQ(0, copy_to_second(self, IOVA_SLICE, SLICE_LENGTH, IOVA_COPY));
	ASSERT_EQ(0, __dmabuf_unmap(self->iommu, IOVA_SLICE, SLICE_LENGTH));

	ASSERT_TRUE(bind_again(exporter_bdf));
	open_exporter(self);
	ASSERT_TRUE(bar_is_right(self));
	ASSERT_TRUE(is_away(self));
	ASSERT_EQ(0, __dmabuf_unmap(self->iommu, IOVA_WHOLE, BUF_SIZE));
	ASSERT_EQ(0, unmap_second(self, IOVA_COPY, SLICE_LENGTH));
	ASSERT_EQ(0, close(self->fd));

	self->fd = export_ranges(self);
	take_inode(self);
	map_whole(self);
	ASSERT_TRUE(is_back(self));
}

/* Without a domain there is nothing to map to, and all of it is there in the next. */
TEST_F_TIMEOUT(dmabuf, unbind_importer, 180)
{
	pthread_t thread;

	map_slice(self);
	ASSERT_TRUE(whole_arrives(self));
	thread = start_unbind(dma_bdf);
	ASSERT_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
	ASSERT_TRUE(whole_arrives(self));

	close_dma_device(self);
	ASSERT_TRUE(unbinds(thread));
	ASSERT_TRUE(bufinfo_says(self, false));
	set_decode(self, false);
	ASSERT_TRUE(bufinfo_says(self, true));
	ASSERT_EQ(0, __dmabuf_unmap(self->iommu, IOVA_SLICE, SLICE_LENGTH));
	set_decode(self, true);
	ASSERT_TRUE(bufinfo_says(self, false));

	ASSERT_TRUE(bind_again(dma_bdf));
	open_dma_device(self);
	ASSERT_TRUE(is_back(self));
	ASSERT_TRUE(slice_is_lost(self));
}

/*
 * Whichever allocation of an export or a map fails, nothing is left of it: all
 * is as before, the next try succeeds, and the device can be unbound, which waits
 * for what the exporter has registered.
 */
TEST_F_TIMEOUT(dmabuf, fail_nth, 180)
{
	struct bufinfo before, after;
	bool failed = true;
	pthread_t thread;
	int fd = -1, n, ret;

	if (!set_up_fault_injection())
		SKIP(return, "cannot let allocations fail, see config");

	for (n = 1; n < 200 && failed; n++) {
		ASSERT_TRUE(fail_nth(n));
		fd = __vfio_pci_dmabuf_export(self->exporter, self->bar_index,
					      self->ranges, self->nr_ranges);
		failed = has_failed();
		if (fd >= 0 && failed)
			ASSERT_EQ(0, close(fd));
	}
	ksft_print_msg("%d allocations of an export\n", n - 2);
	ASSERT_LT(2, n);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(fd));

	ASSERT_TRUE(read_bufinfo(self, &before));
	for (n = 1, failed = true; n < 200 && failed; n++) {
		ASSERT_TRUE(fail_nth(n));
		ret = __dmabuf_map_fixed(self->iommu, self->fd, 0, BUF_SIZE,
					 IOVA_FREE);
		failed = has_failed();
		if (ret) {
			ASSERT_TRUE(failed);
		} else if (failed) {
			ASSERT_EQ(0, __dmabuf_unmap(self->iommu, IOVA_FREE,
						    BUF_SIZE));
		}
	}
	ksft_print_msg("%d allocations of a map\n", n - 2);
	ASSERT_LT(2, n);
	ASSERT_EQ(0, ret);
	ASSERT_TRUE(read_bufinfo(self, &after));
	ASSERT_EQ(before.attachments + 1, after.attachments);
	ASSERT_TRUE(dma_arrives(self, IOVA_FREE + PAGE, PAGE, 3 * PAGE));
	ASSERT_TRUE(is_back(self));

	thread = start_unbind(exporter_bdf);
	vfio_pci_device_cleanup(self->exporter);
	self->exporter = NULL;
	ASSERT_TRUE(unbinds(thread));
	ASSERT_TRUE(is_away(self));
	ASSERT_TRUE(bind_again(exporter_bdf));
}

/* A dma-buf of which the exporter knows no mapping types. */
TEST_F(dmabuf, legacy_exporter)
{
	int fd = __udmabuf_create(PAGE);

	if (fd == -ENOENT)
		SKIP(return, "no /dev/udmabuf");
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, __dmabuf_map_fixed(self->iommu, fd, 0, PAGE,
						  IOVA_FREE));
	ASSERT_EQ(0, close(fd));
}

/* Only what was mapped as a whole is unmapped, and only as a whole. */
TEST_F(dmabuf, unmap_part)
{
	map_slice(self);
	EXPECT_EQ(-ENOENT, __dmabuf_unmap(self->iommu, IOVA_WHOLE, PAGE));
	EXPECT_EQ(-ENOENT, __dmabuf_unmap(self->iommu,
					  IOVA_WHOLE + BUF_SIZE - PAGE, PAGE));
	EXPECT_EQ(-ENOENT, __dmabuf_unmap(self->iommu, IOVA_WHOLE + PAGE, PAGE));

	ASSERT_TRUE(bufinfo_says(self, false));
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));
}

/* Maps that are refused, and leave nothing behind. */
static const struct {
	const char *what;
	u64 start;
	u64 length;
	iova_t iova;
	int wanted;
} bad_maps[] = {
	{ "slice that begins behind the buffer",
	  BUF_SIZE, PAGE, IOVA_FREE, -EINVAL },
	{ "slice that ends behind the buffer",
	  BUF_SIZE - PAGE, 2 * PAGE, IOVA_FREE, -EINVAL },
	{ "slice longer than the buffer",
	  0, BUF_SIZE + PAGE, IOVA_FREE, -EINVAL },
	{ "slice whose end overflows",
	  -PAGE, 2 * PAGE, IOVA_FREE, -EOVERFLOW },
	{ "zero length",
	  0, 0, IOVA_FREE, -EINVAL },
	{ "zero length within the buffer",
	  PAGE, 0, IOVA_FREE, -EINVAL },
	{ "length that is not aligned",
	  0, PAGE + 512, IOVA_FREE, -EINVAL },
	{ "IOVA that is not aligned",
	  0, PAGE, IOVA_FREE + 512, -EINVAL },
	{ "offset that is not aligned",
	  512, PAGE, IOVA_FREE, -EINVAL },
	{ "IOVA and offset that are not aligned alike",
	  512, PAGE, IOVA_FREE + 512, -EINVAL },
	{ "IOVA that is mapped",
	  0, BUF_SIZE, IOVA_WHOLE, -EEXIST },
	{ "IOVA whose end is mapped",
	  0, BUF_SIZE, IOVA_WHOLE - PAGE, -EEXIST },
};

TEST_F(dmabuf, refused_maps)
{
	struct bufinfo before, after;
	int i;

	map_slice(self);
	ASSERT_TRUE(read_bufinfo(self, &before));
	for (i = 0; i < ARRAY_SIZE(bad_maps); i++) {
		EXPECT_EQ(bad_maps[i].wanted,
			  __dmabuf_map_fixed(self->iommu, self->fd,
					     bad_maps[i].start,
					     bad_maps[i].length,
					     bad_maps[i].iova)) {
			TH_LOG("%s", bad_maps[i].what);
		}
		ASSERT_TRUE(read_bufinfo(self, &after));
		EXPECT_EQ(before.attachments, after.attachments) {
			TH_LOG("%s", bad_maps[i].what);
		}
	}

	ASSERT_TRUE(bufinfo_says(self, false));
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));
}

/* Exports that are refused. */
TEST_F(dmabuf, refused_exports)
{
	const struct {
		const char *what;
		struct vfio_region_dma_range range;
		u32 nr_ranges;
		u32 index;
		int wanted;
	} bad_exports[] = {
		{ "no range", {}, 0, self->bar_index, -EINVAL },
		{ "offset that is not aligned",
		  { 512, PAGE }, 1, self->bar_index, -EINVAL },
		{ "length that is not aligned",
		  { 0, PAGE + 512 }, 1, self->bar_index, -EINVAL },
		{ "zero length",
		  { 0, 0 }, 1, self->bar_index, -EINVAL },
		{ "range that ends behind the BAR",
		  { self->bar_size - PAGE, 2 * PAGE }, 1, self->bar_index,
		  -EINVAL },
		{ "range whose end overflows",
		  { -PAGE, 2 * PAGE }, 1, self->bar_index, -EOVERFLOW },
		{ "config space",
		  { 0, PAGE }, 1, VFIO_PCI_CONFIG_REGION_INDEX, -ENODEV },
	};
	int i;

	ASSERT_TRUE(vfio_pci_dmabuf_supported(self->exporter));
	for (i = 0; i < ARRAY_SIZE(bad_exports); i++) {
		EXPECT_EQ(bad_exports[i].wanted,
			  __vfio_pci_dmabuf_export(self->exporter,
						   bad_exports[i].index,
						   &bad_exports[i].range,
						   bad_exports[i].nr_ranges)) {
			TH_LOG("%s", bad_exports[i].what);
		}
	}
}

/* A dma-buf that is closed stays mapped. */
TEST_F_TIMEOUT(dmabuf, close_buffer, 120)
{
	map_slice(self);
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	ASSERT_TRUE(bufinfo_says(self, false));
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));

	set_decode(self, false);
	set_decode(self, true);
	ASSERT_TRUE(whole_arrives(self));
}

/* What a device that is closed has exported is gone for good. */
TEST_F_TIMEOUT(dmabuf, close_exporter, 180)
{
	map_slice(self);
	ASSERT_EQ(0, copy_to_second(self, IOVA_SLICE, SLICE_LENGTH, IOVA_COPY));
	ASSERT_TRUE(whole_arrives(self));
	ASSERT_TRUE(slice_arrives(self));

	ksft_print_msg("close %s\n", exporter_bdf);
	vfio_pci_device_cleanup(self->exporter);
	self->exporter = NULL;
	ASSERT_TRUE(bufinfo_says(self, true));
	ASSERT_TRUE(whole_is_lost(self));
	ASSERT_TRUE(slice_is_lost(self));

	/* Nothing has changed in the BAR, nor is it reached again. */
	open_exporter(self);
	ASSERT_TRUE(bar_is_right(self));
	ASSERT_TRUE(bufinfo_says(self, true));
	ASSERT_TRUE(whole_is_lost(self));
	ASSERT_TRUE(bar_is_right(self));

	ASSERT_EQ(0, __dmabuf_unmap(self->iommu, IOVA_WHOLE, BUF_SIZE));
	ASSERT_EQ(0, __dmabuf_unmap(self->iommu, IOVA_SLICE, SLICE_LENGTH));
	ASSERT_EQ(0, unmap_second(self, IOVA_COPY, SLICE_LENGTH));
	ASSERT_EQ(0, close(self->fd));

	self->fd = export_ranges(self);
	take_inode(self);
	map_whole(self);
	ASSERT_TRUE(whole_arrives(self));
}

/*
 * Physical address and chosen IOVA agree in as many bits as a large page has,
 * if the slice has such a page.
 */
TEST_F(dmabuf, aligned_iova)
{
	struct vfio_region_dma_range range = {
		.offset = 0x55000,
		.length = SZ_4M - 0x55000,
	};
	size_t start = SZ_2M - range.offset - PAGE;
	iova_t iova;
	u64 phys;
	int fd;

	if (self->bar_size < SZ_4M)
		SKIP(return, "BAR %u of %s has less than 4 MiB",
		     self->bar_index, exporter_bdf);

	phys = sysfs_bar_start_get(exporter_bdf, self->bar_index);
	fd = vfio_pci_dmabuf_export(self->exporter, self->bar_index, &range, 1);
	iova = dmabuf_map(self->iommu, fd, 0, range.length);
	ksft_print_msg("the kernel chose IOVA 0x%lx for physical address 0x%llx\n",
		       iova, phys + range.offset);
	EXPECT_EQ((phys + range.offset) % SZ_2M, iova % SZ_2M);

	/* From small pages to the large one. */
	self->ranges = &range;
	ASSERT_TRUE(dma_arrives(self, iova + start, start, 3 * PAGE));
	ASSERT_EQ(0, close(fd));
}

int main(int argc, char *argv[])
{
	if (getpagesize() != PAGE)
		ksft_exit_skip("needs pages of 4 KiB\n");
	vfio_selftests_get_dmabuf_bdfs(&argc, argv, SZ_1M, &exporter_bdf,
				       &dma_bdf);
	if (!sysfs_iommu_present(dma_bdf))
		ksft_exit_skip("%s is not behind an IOMMU\n", dma_bdf);

	return test_harness_run(argc, argv);
}
