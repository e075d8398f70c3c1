// SPDX-License-Identifier: GPL-2.0-only
/*
 * The BAR of one PCI device as a dma-buf of several ranges in an IOAS, where
 * another PCI device reads and writes through it: while it is mapped, while it
 * is revoked and after it is restored.
 *
 * Usage: dmabuf_pci [EXPORTER DMA]
 *
 * EXPORTER is the PCI address of a device with a BAR that behaves as memory,
 * DMA that of QEMU's edu device. The default are the ivshmem and the edu device
 * that are found. Both are bound to vfio-pci, and stay bound to it.
 *
 * Whether a DMA arrived is decided by the bytes alone: a copy in memory says
 * what each byte of the BAR has to be.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../kselftest.h"
#include "dmabuf_ioctls.h"
#include "pci_vdev.h"

#define SZ_1M			0x100000UL
#define PAGE			0x1000UL

#define BUFINFO			"/sys/kernel/debug/dma_buf/bufinfo"
#define MAPPING_NAME		"PAL -> iommu_domain"

/* Where things are mapped, all within the reach of edu */
#define IOVA_WHOLE		0x1000000UL
#define IOVA_SLICE		0x2000000UL
#define IOVA_READ_ONLY		0x2800000UL
#define IOVA_COPY		0x3000000UL
#define IOVA_LATE		0x3800000UL
#define IOVA_SCRATCH		0x4000000UL
#define IOVA_FREE		0x5000000UL
#define IOVA_ALLOWED		0x8000000UL
#define IOVA_ALLOWED_LAST	0x80fffffUL

/* What is exported of the BAR: out of order, with holes between */
static const struct vfio_region_dma_range ranges[] = {
	{ .offset = 0x80000, .length = 2 * PAGE },
	{ .offset = 0x10000, .length = PAGE },
	{ .offset = 0x40000, .length = PAGE },
};

#define BUF_SIZE	(4 * PAGE)

/* Crosses both borders of the ranges, and begins within the first one */
#define SLICE_START	PAGE
#define SLICE_LENGTH	(3 * PAGE)

static struct pci_vdev exporter = { .fd = -1 };
static struct pci_vdev dma_dev = { .fd = -1 };
static unsigned int bar_index;
static size_t bar_size;
static __u8 *bar;
static __u8 *expected;
static __u8 *edu;
static __u8 *scratch;

static int iommufd = -1;
static __u32 ioas;
static __u32 second_ioas;
static __u32 late_hwpt;
static int buffer = -1;
static unsigned long long buffer_ino;
static int kmsg = -1;

/* Calls: 0 or what is useful on success, -errno otherwise */

static int map_at(int fd, __u64 start, __u64 length, __u64 iova)
{
	return ioas_map_file(iommufd, ioas, IOVA_RW | IOVA_AT, fd, start,
			     length, &iova);
}

static int copy_to_second(__u64 src, __u64 length, __u64 dst)
{
	return ioas_copy(iommufd, IOVA_RW | IOVA_AT, ioas, src, length,
			 second_ioas, &dst);
}

static int unmap(__u32 id, __u64 iova, __u64 length)
{
	return ioas_unmap(iommufd, id, iova, &length);
}

static int attach_dma_dev(__u32 pt_id)
{
	return pci_vdev_attach(&dma_dev, pt_id);
}

static int export_ranges(void)
{
	return pci_vdev_export(&exporter, bar_index, ranges,
			       ARRAY_SIZE(ranges));
}

static int low_power(__u32 flags)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = flags,
	};

	return call(exporter.fd, VFIO_DEVICE_FEATURE, &feature);
}

static int set_decode(bool on)
{
	ksft_print_msg("turn memory decode of %s %s\n", exporter.bdf,
		       on ? "on" : "off");
	return pci_vdev_set_decode(&exporter, on);
}

static const char *result_text(int ret)
{
	return ret < 0 ? strerror(-ret) : "success";
}

/* Prints and returns false if a call did not return what it should */
static bool returned(const char *what, int ret, int wanted)
{
	/* A success may carry a file descriptor */
	if (ret == wanted || (ret > 0 && !wanted))
		return true;
	ksft_print_msg("%s: expected %s (%d), found %s (%d)\n", what,
		       result_text(wanted), wanted, result_text(ret), ret);
	return false;
}

static bool succeeded(const char *what, int ret)
{
	return returned(what, ret, 0);
}

/* Bytes: where they are in the BAR, and what they should be there */

static void fresh_bytes(__u8 *bytes, size_t count)
{
	static __u64 state = 0x9e3779b97f4a7c15ULL;

	for (; count; count--) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		*bytes++ = state >> 32;
	}
}

/* Offset in the BAR of a byte of the buffer */
static size_t in_bar(size_t offset)
{
	unsigned int i;

	for (i = 0; offset >= ranges[i].length; i++)
		offset -= ranges[i].length;
	return ranges[i].offset + offset;
}

static void expect_bytes(size_t start, const __u8 *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		expected[in_bar(start + i)] = bytes[i];
}

static void get_expected(size_t start, __u8 *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		bytes[i] = expected[in_bar(start + i)];
}

static void write_by_cpu(size_t start, const __u8 *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		bar[in_bar(start + i)] = bytes[i];
	expect_bytes(start, bytes, count);
}

/* All of the BAR is compared, so that a stray write anywhere is seen */
static bool bar_is_right(void)
{
	size_t i, first = 0, wrong = 0;

	if (!memcmp(bar, expected, bar_size))
		return true;
	for (i = 0; i < bar_size; i++)
		if (bar[i] != expected[i] && !wrong++)
			first = i;
	ksft_print_msg("%zu bytes of the BAR are wrong; at 0x%zx expected 0x%02x, found 0x%02x\n",
		       wrong, first, expected[first], bar[first]);
	return false;
}

static bool run_edu(__u32 src, __u32 dst, __u32 count, __u32 direction)
{
	return succeeded("DMA of edu",
			 edu_run(edu, src, dst, count, direction));
}

/* Lets edu write bytes to an IOVA */
static bool dma_write(__u64 iova, const __u8 *bytes, size_t count)
{
	memcpy(scratch, bytes, count);
	return run_edu(IOVA_SCRATCH, EDU_BUFFER, count, EDU_TO_BUFFER) &&
	       run_edu(EDU_BUFFER, iova, count, EDU_TO_MEMORY);
}

/* Lets edu read bytes from an IOVA */
static bool dma_read(__u64 iova, __u8 *bytes, size_t count)
{
	memset(scratch, 0, count);
	if (!run_edu(iova, EDU_BUFFER, count, EDU_TO_BUFFER) ||
	    !run_edu(EDU_BUFFER, IOVA_SCRATCH, count, EDU_TO_MEMORY))
		return false;
	memcpy(bytes, scratch, count);
	return true;
}

/* Pieces of half a DMA and then whole ones put page borders inside of a DMA */
static size_t next_piece(size_t done, size_t length)
{
	size_t piece = done ? EDU_MAX : EDU_MAX / 2;

	return length - done < piece ? length - done : piece;
}

static bool writes_arrive(__u64 iova, size_t start, size_t length)
{
	__u8 bytes[EDU_MAX];
	size_t done, piece;

	for (done = 0; done < length; done += piece) {
		piece = next_piece(done, length);
		fresh_bytes(bytes, piece);
		if (!dma_write(iova + done, bytes, piece))
			return false;
		expect_bytes(start + done, bytes, piece);
	}
	return bar_is_right();
}

static bool same_bytes(__u64 iova, const __u8 *found, const __u8 *wanted,
		       size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (found[i] == wanted[i])
			continue;
		ksft_print_msg("DMA read of IOVA 0x%llx: expected 0x%02x, found 0x%02x\n",
			       iova + i, wanted[i], found[i]);
		return false;
	}
	return true;
}

static bool reads_arrive(__u64 iova, size_t start, size_t length)
{
	__u8 bytes[EDU_MAX], found[EDU_MAX];
	size_t done, piece;

	for (done = 0; done < length; done += piece) {
		piece = next_piece(done, length);
		fresh_bytes(bytes, piece);
		write_by_cpu(start + done, bytes, piece);
		if (!dma_read(iova + done, found, piece) ||
		    !same_bytes(iova + done, found, bytes, piece))
			return false;
	}
	return bar_is_right();
}

/*
 * A shorter look at a mapping: beyond its first page, where the next range
 * begins for the ones looked at, and back from its first bytes.
 */
static bool dma_arrives(__u64 iova, size_t start, size_t length)
{
	size_t probe = PAGE + EDU_MAX / 2;

	if (length < probe)
		probe = length;
	ksft_print_msg("DMA to and from IOVA 0x%llx\n", iova);
	return writes_arrive(iova, start, probe) &&
	       reads_arrive(iova, start, EDU_MAX / 2);
}

/* Ranges begin at two and three pages into the buffer */
static bool whole_arrives(void)
{
	return dma_arrives(IOVA_WHOLE + PAGE, PAGE, 3 * PAGE);
}

static bool slice_arrives(void)
{
	return dma_arrives(IOVA_SLICE, SLICE_START, SLICE_LENGTH);
}

/*
 * What is written is not seen here if decode is off: bar_is_right() tells when
 * it is on again.
 */
static bool dma_is_lost(__u64 iova, size_t start)
{
	__u8 bytes[EDU_MAX], found[EDU_MAX], kept[EDU_MAX];

	ksft_print_msg("DMA to and from IOVA 0x%llx, which should be lost\n",
		       iova);
	get_expected(start, kept, EDU_MAX);
	fresh_bytes(bytes, EDU_MAX);
	if (!dma_write(iova, bytes, EDU_MAX) ||
	    !dma_read(iova, found, EDU_MAX))
		return false;
	if (memcmp(found, kept, EDU_MAX))
		return true;
	ksft_print_msg("DMA read of IOVA 0x%llx: expected nothing, found bytes of the BAR\n",
		       iova);
	return false;
}

/* Without a translation the IOMMU complains, whatever the BAR does */
static bool iommu_faulted(__u64 iova)
{
	char record[1024], address[32];
	unsigned int ms;
	ssize_t len;

	snprintf(address, sizeof(address), "%llx", iova);
	for (ms = 0; ms < 1000; ms += 10) {
		while ((len = read(kmsg, record, sizeof(record) - 1)) > 0) {
			record[len] = 0;
			if (!strcasestr(record, "fault") ||
			    !strcasestr(record, address))
				continue;
			record[strcspn(record, "\n")] = 0;
			ksft_print_msg("kernel log: %s\n",
				       strchr(record, ';') + 1);
			return true;
		}
		usleep(10000);
	}
	ksft_print_msg("expected a fault at IOVA 0x%llx in the kernel log, found none\n",
		       iova);
	return false;
}

static void forget_faults(void)
{
	lseek(kmsg, 0, SEEK_END);
}

/* What debugfs says of the buffer */

struct bufinfo {
	unsigned int attachments;
	unsigned int to_domain;
	unsigned int revoked;
};

static bool is_our_entry(const char *line)
{
	unsigned long long ino;

	return sscanf(line, "%*s %*s %*s %*s %*s %llu", &ino) == 1 &&
	       ino == buffer_ino;
}

static void count_line(struct bufinfo *info, const char *line)
{
	if (strncmp(line, "\t-\t", 3))
		return;
	info->attachments++;
	info->to_domain += !!strstr(line, MAPPING_NAME);
	info->revoked += !!strstr(line, "\trevoked");
}

static bool read_bufinfo(struct bufinfo *info, bool show)
{
	char line[512];
	bool ours = false, found = false;
	FILE *file = fopen(BUFINFO, "r");

	memset(info, 0, sizeof(*info));
	if (!file) {
		ksft_print_msg("%s: %s\n", BUFINFO, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), file)) {
		if (is_our_entry(line)) {
			found = true;
			ours = true;
		}
		if (!ours)
			continue;
		if (show)
			ksft_print_msg("bufinfo: %s", line);
		count_line(info, line);
		if (!strncmp(line, "Total", 5))
			ours = false;
	}
	fclose(file);
	if (!found)
		ksft_print_msg("expected inode %llu in %s, found it not\n",
			       buffer_ino, BUFINFO);
	return found;
}

static bool bufinfo_says(bool revoked)
{
	struct bufinfo info;

	if (!read_bufinfo(&info, true))
		return false;
	if (info.attachments && info.to_domain == info.attachments &&
	    info.revoked == (revoked ? info.attachments : 0))
		return true;
	ksft_print_msg("expected all to be '%s' and %s, found %u of %u, %u revoked\n",
		       MAPPING_NAME, revoked ? "revoked" : "not revoked",
		       info.to_domain, info.attachments, info.revoked);
	return false;
}

/* The steps, each of which starts with what the one before left */

#define PASS_IF(_condition) ((_condition) ? KSFT_PASS : KSFT_FAIL)

static bool take_inode(void)
{
	struct stat st;

	if (fstat(buffer, &st)) {
		ksft_print_msg("fstat of the dma-buf: %s\n", strerror(errno));
		return false;
	}
	buffer_ino = st.st_ino;
	return true;
}

static int step_export(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		ksft_print_msg("range %u: 0x%llx bytes at 0x%llx of BAR %u of %s\n",
			       i, ranges[i].length, ranges[i].offset, bar_index,
			       exporter.bdf);
	buffer = export_ranges();
	return PASS_IF(succeeded("VFIO_DEVICE_FEATURE_DMA_BUF", buffer) &&
		       take_inode());
}

static int step_map_whole(void)
{
	ksft_print_msg("IOMMU_IOAS_MAP_FILE of 0x%lx bytes to IOVA 0x%lx\n",
		       BUF_SIZE, IOVA_WHOLE);
	return PASS_IF(succeeded("IOMMU_IOAS_MAP_FILE",
				 map_at(buffer, 0, BUF_SIZE, IOVA_WHOLE)));
}

static int step_write_whole(void)
{
	ksft_print_msg("%s writes 0x%lx bytes to IOVA 0x%lx\n", dma_dev.bdf,
		       BUF_SIZE, IOVA_WHOLE);
	return PASS_IF(writes_arrive(IOVA_WHOLE, 0, BUF_SIZE));
}

static int step_read_whole(void)
{
	ksft_print_msg("%s reads 0x%lx bytes from IOVA 0x%lx\n", dma_dev.bdf,
		       BUF_SIZE, IOVA_WHOLE);
	return PASS_IF(reads_arrive(IOVA_WHOLE, 0, BUF_SIZE));
}

static int step_bufinfo(void)
{
	return PASS_IF(bufinfo_says(false));
}

static int step_slice(void)
{
	ksft_print_msg("IOMMU_IOAS_MAP_FILE of 0x%lx bytes from offset 0x%lx to IOVA 0x%lx\n",
		       SLICE_LENGTH, SLICE_START, IOVA_SLICE);
	return PASS_IF(succeeded("IOMMU_IOAS_MAP_FILE",
				 map_at(buffer, SLICE_START, SLICE_LENGTH,
					IOVA_SLICE)) &&
		       writes_arrive(IOVA_SLICE, SLICE_START, SLICE_LENGTH) &&
		       reads_arrive(IOVA_SLICE, SLICE_START, SLICE_LENGTH));
}

static int step_chosen_iova(void)
{
	__u64 iova = 0;
	bool ok;

	if (!succeeded("IOMMU_IOAS_ALLOW_IOVAS",
		       ioas_allow_iovas(iommufd, ioas, IOVA_ALLOWED,
					IOVA_ALLOWED_LAST)) ||
	    !succeeded("IOMMU_IOAS_MAP_FILE",
		       ioas_map_file(iommufd, ioas, IOVA_RW, buffer, 0,
				     BUF_SIZE, &iova)))
		return KSFT_FAIL;
	ksft_print_msg("the kernel chose IOVA 0x%llx\n", iova);
	ok = iova >= IOVA_ALLOWED && iova + BUF_SIZE - 1 <= IOVA_ALLOWED_LAST;
	if (!ok)
		ksft_print_msg("expected an IOVA within 0x%lx to 0x%lx, found 0x%llx\n",
			       IOVA_ALLOWED, IOVA_ALLOWED_LAST, iova);
	return PASS_IF(ok && dma_arrives(iova + PAGE, PAGE, 3 * PAGE) &&
		       succeeded("IOMMU_IOAS_UNMAP",
				 unmap(ioas, iova, BUF_SIZE)) &&
		       dma_is_lost(iova, 0) && bar_is_right());
}

static int step_read_only(void)
{
	__u64 iova = IOVA_READ_ONLY;
	__u8 bytes[EDU_MAX];

	if (!succeeded("IOMMU_IOAS_MAP_FILE",
		       ioas_map_file(iommufd, ioas,
				     IOMMU_IOAS_MAP_READABLE | IOVA_AT, buffer,
				     0, BUF_SIZE, &iova)))
		return KSFT_FAIL;
	fresh_bytes(bytes, sizeof(bytes));
	return PASS_IF(reads_arrive(iova, 0, 2 * EDU_MAX) &&
		       dma_write(iova, bytes, sizeof(bytes)) &&
		       bar_is_right() &&
		       succeeded("IOMMU_IOAS_UNMAP",
				 unmap(ioas, iova, BUF_SIZE)));
}

/* With the DMA device moved to another domain and back */
static bool arrives_in(__u32 pt_id, __u64 iova, size_t start, size_t length)
{
	bool ok;

	if (!succeeded("VFIO_DEVICE_ATTACH_IOMMUFD_PT", attach_dma_dev(pt_id)))
		return false;
	ok = dma_arrives(iova, start, length);
	return succeeded("VFIO_DEVICE_ATTACH_IOMMUFD_PT",
			 attach_dma_dev(ioas)) && ok;
}

static int step_second_domain(void)
{
	__u32 hwpt;

	return PASS_IF(succeeded("IOMMU_HWPT_ALLOC",
				 hwpt_alloc(iommufd, dma_dev.devid, ioas, 0,
					    &hwpt)) &&
		       arrives_in(hwpt, IOVA_WHOLE + PAGE, PAGE, 3 * PAGE) &&
		       succeeded("IOMMU_DESTROY",
				 iommufd_destroy(iommufd, hwpt)) &&
		       whole_arrives());
}

static int step_copy(void)
{
	ksft_print_msg("IOMMU_IOAS_COPY of IOVA 0x%lx to IOVA 0x%lx of the second IOAS\n",
		       IOVA_WHOLE, IOVA_COPY);
	return PASS_IF(succeeded("IOMMU_IOAS_COPY",
				 copy_to_second(IOVA_WHOLE, BUF_SIZE,
						IOVA_COPY)) &&
		       arrives_in(second_ioas, IOVA_COPY + PAGE, PAGE,
				  3 * PAGE));
}

static int step_decode_off(void)
{
	forget_faults();
	return PASS_IF(succeeded("write of COMMAND", set_decode(false)) &&
		       bufinfo_says(true) && dma_is_lost(IOVA_WHOLE, 0) &&
		       iommu_faulted(IOVA_WHOLE) &&
		       dma_is_lost(IOVA_SLICE, SLICE_START));
}

static int step_import_revoked(void)
{
	return PASS_IF(returned("IOMMU_IOAS_MAP_FILE",
				map_at(buffer, 0, BUF_SIZE, IOVA_FREE),
				-ENODEV) && bufinfo_says(true));
}

static int step_import_born_revoked(void)
{
	int fd = export_ranges();
	bool ok;

	if (!succeeded("VFIO_DEVICE_FEATURE_DMA_BUF", fd))
		return KSFT_FAIL;
	ok = returned("IOMMU_IOAS_MAP_FILE",
		      map_at(fd, 0, BUF_SIZE, IOVA_FREE), -ENODEV);
	close(fd);
	return PASS_IF(ok);
}

static int step_add_while_revoked(void)
{
	ksft_print_msg("copy to IOVA 0x%lx of the second IOAS, add a domain to the first\n",
		       IOVA_LATE);
	return PASS_IF(succeeded("IOMMU_IOAS_COPY",
				 copy_to_second(IOVA_SLICE, SLICE_LENGTH,
						IOVA_LATE)) &&
		       succeeded("IOMMU_HWPT_ALLOC",
				 hwpt_alloc(iommufd, dma_dev.devid, ioas, 0,
					    &late_hwpt)));
}

static int step_unmap_while_revoked(void)
{
	ksft_print_msg("IOMMU_IOAS_UNMAP of IOVA 0x%lx of the second IOAS\n",
		       IOVA_COPY);
	return PASS_IF(succeeded("IOMMU_IOAS_UNMAP",
				 unmap(second_ioas, IOVA_COPY, BUF_SIZE)));
}

static int step_decode_on(void)
{
	if (!succeeded("write of COMMAND", set_decode(true)))
		return KSFT_FAIL;
	ksft_print_msg("no byte that was written meanwhile may be in the BAR\n");
	return PASS_IF(bar_is_right() && bufinfo_says(false) &&
		       whole_arrives() && slice_arrives());
}

static int step_late_copy(void)
{
	return PASS_IF(arrives_in(second_ioas, IOVA_LATE, SLICE_START,
				  SLICE_LENGTH));
}

static int step_late_domain(void)
{
	return PASS_IF(arrives_in(late_hwpt, IOVA_WHOLE + PAGE, PAGE,
				  3 * PAGE) &&
		       arrives_in(late_hwpt, IOVA_SLICE, SLICE_START,
				  SLICE_LENGTH) &&
		       succeeded("IOMMU_DESTROY",
				 iommufd_destroy(iommufd, late_hwpt)));
}

static int step_stays_unmapped(void)
{
	bool ok;

	if (!succeeded("VFIO_DEVICE_ATTACH_IOMMUFD_PT",
		       attach_dma_dev(second_ioas)))
		return KSFT_FAIL;
	ok = dma_is_lost(IOVA_COPY, 0) && bar_is_right();
	return PASS_IF(succeeded("VFIO_DEVICE_ATTACH_IOMMUFD_PT",
				 attach_dma_dev(ioas)) && ok);
}

static int step_toggle_often(void)
{
	unsigned int i;

	for (i = 0; i < 5; i++)
		if (!succeeded("write of COMMAND", set_decode(false)) ||
		    !succeeded("write of COMMAND", set_decode(true)))
			return KSFT_FAIL;
	return PASS_IF(whole_arrives() && slice_arrives());
}

static int step_reset(void)
{
	int ret;

	if (!pci_vdev_can_reset(&exporter)) {
		ksft_print_msg("%s has no reset of its own\n", exporter.bdf);
		return KSFT_SKIP;
	}
	ksft_print_msg("VFIO_DEVICE_RESET of %s\n", exporter.bdf);
	ret = pci_vdev_reset(&exporter);
	return PASS_IF(succeeded("VFIO_DEVICE_RESET", ret) &&
		       bar_is_right() && bufinfo_says(false) &&
		       whole_arrives() && slice_arrives());
}

static int step_low_power(void)
{
	__u32 entry = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
	__u32 leave = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
	int ret = low_power(VFIO_DEVICE_FEATURE_SET |
			    VFIO_DEVICE_FEATURE_PROBE | entry);
	bool ok;

	if (ret == -ENOTTY) {
		ksft_print_msg("%s has no low power state\n", exporter.bdf);
		return KSFT_SKIP;
	}
	ksft_print_msg("%s goes to low power and back\n", exporter.bdf);
	ret = low_power(VFIO_DEVICE_FEATURE_SET | entry);
	if (!succeeded("VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY", ret))
		return KSFT_FAIL;
	ok = bufinfo_says(true) && dma_is_lost(IOVA_WHOLE, 0);
	ret = low_power(VFIO_DEVICE_FEATURE_SET | leave);
	return PASS_IF(succeeded("VFIO_DEVICE_FEATURE_LOW_POWER_EXIT", ret) &&
		       ok && bar_is_right() && bufinfo_says(false) &&
		       whole_arrives());
}

static int step_legacy_exporter(void)
{
	int fd = udmabuf_create(PAGE);
	int ret;

	if (fd < 0) {
		ksft_print_msg("no udmabuf to be had: %s\n", strerror(-fd));
		return KSFT_SKIP;
	}
	ret = map_at(fd, 0, PAGE, IOVA_FREE);
	close(fd);
	return PASS_IF(returned("IOMMU_IOAS_MAP_FILE", ret, -EOPNOTSUPP));
}

static int step_unmap_part(void)
{
	ksft_print_msg("unmap the first page, the last page and one in the middle\n");
	return PASS_IF(returned("IOMMU_IOAS_UNMAP",
				unmap(ioas, IOVA_WHOLE, PAGE), -ENOENT) &&
		       returned("IOMMU_IOAS_UNMAP",
				unmap(ioas, IOVA_WHOLE + BUF_SIZE - PAGE, PAGE),
				-ENOENT) &&
		       returned("IOMMU_IOAS_UNMAP",
				unmap(ioas, IOVA_WHOLE + PAGE, PAGE), -ENOENT));
}

static int step_not_harmed(void)
{
	return PASS_IF(bufinfo_says(false) && whole_arrives() &&
		       slice_arrives());
}

static int step_close_buffer(void)
{
	ksft_print_msg("close the file descriptor of the dma-buf\n");
	close(buffer);
	buffer = -1;
	return PASS_IF(bufinfo_says(false) && whole_arrives() &&
		       slice_arrives() &&
		       succeeded("write of COMMAND", set_decode(false)) &&
		       succeeded("write of COMMAND", set_decode(true)) &&
		       whole_arrives());
}

static void close_exporter(void)
{
	ksft_print_msg("close %s\n", exporter.bdf);
	munmap(bar, bar_size);
	pci_vdev_close(&exporter);
}

static int step_close_exporter(void)
{
	close_exporter();
	return PASS_IF(bufinfo_says(true) && dma_is_lost(IOVA_WHOLE, 0) &&
		       dma_is_lost(IOVA_SLICE, SLICE_START));
}

static const char *open_exporter(void);

static int step_reopen_exporter(void)
{
	const char *error = open_exporter();

	if (error) {
		ksft_print_msg("cannot open %s again: %s\n", exporter.bdf,
			       error);
		return KSFT_FAIL;
	}
	ksft_print_msg("open again, nothing may have changed in the BAR, nor be reached\n");
	return PASS_IF(bar_is_right() && bufinfo_says(true) &&
		       dma_is_lost(IOVA_WHOLE, 0) && bar_is_right());
}

static int step_unmap_dead(void)
{
	return PASS_IF(succeeded("IOMMU_IOAS_UNMAP",
				 unmap(ioas, IOVA_WHOLE, BUF_SIZE)) &&
		       succeeded("IOMMU_IOAS_UNMAP",
				 unmap(ioas, IOVA_SLICE, SLICE_LENGTH)) &&
		       succeeded("IOMMU_IOAS_UNMAP",
				 unmap(second_ioas, IOVA_LATE, SLICE_LENGTH)));
}

static int step_export_again(void)
{
	buffer = export_ranges();
	return PASS_IF(succeeded("VFIO_DEVICE_FEATURE_DMA_BUF", buffer) &&
		       take_inode() &&
		       succeeded("IOMMU_IOAS_MAP_FILE",
				 map_at(buffer, 0, BUF_SIZE, IOVA_WHOLE)) &&
		       whole_arrives());
}

/* Maps that are refused, and leave nothing behind */
struct bad_map {
	const char *what;
	__u64 start;
	__u64 length;
	__u64 iova;
	int wanted;
};

static const struct bad_map bad_maps[] = {
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

static bool map_is_refused(const struct bad_map *bad)
{
	struct bufinfo before, after;

	ksft_print_msg("map 0x%llx bytes from offset 0x%llx to IOVA 0x%llx\n",
		       bad->length, bad->start, bad->iova);
	if (!read_bufinfo(&before, false) ||
	    !returned("IOMMU_IOAS_MAP_FILE",
		      map_at(buffer, bad->start, bad->length, bad->iova),
		      bad->wanted) ||
	    !read_bufinfo(&after, false))
		return false;
	if (before.attachments == after.attachments)
		return true;
	ksft_print_msg("expected %u attachments as before, found %u\n",
		       before.attachments, after.attachments);
	return false;
}

struct step {
	const char *what;
	int (*run)(void);
};

static const struct step first_steps[] = {
	{ "export three ranges, out of order and with holes, as one dma-buf",
	  step_export },
	{ "map the whole dma-buf", step_map_whole },
	{ "DMA writes arrive in all ranges and across their borders",
	  step_write_whole },
	{ "DMA reads arrive from all ranges and across their borders",
	  step_read_whole },
	{ "bufinfo names the mapping", step_bufinfo },
	{ "a slice from an offset that crosses ranges", step_slice },
	{ "an IOVA that the kernel chooses", step_chosen_iova },
	{ "a map without write permission", step_read_only },
	{ "a second domain of the IOAS", step_second_domain },
	{ "a copy in a second IOAS", step_copy },
	{ "without memory decode DMA does not arrive", step_decode_off },
	{ "a revoked dma-buf is not imported", step_import_revoked },
	{ "nor is one that is exported without memory decode",
	  step_import_born_revoked },
	{ "a copy and a domain are added while revoked",
	  step_add_while_revoked },
	{ "a mapping is removed while revoked", step_unmap_while_revoked },
	{ "with memory decode back DMA arrives, without any call",
	  step_decode_on },
	{ "the copy that was added while revoked is whole", step_late_copy },
	{ "the domain that was added while revoked is whole",
	  step_late_domain },
	{ "the mapping that was removed while revoked stays away",
	  step_stays_unmapped },
	{ "memory decode off and on, often", step_toggle_often },
	{ "DMA arrives after a reset, without any call", step_reset },
	{ "DMA does not arrive in low power, and does after", step_low_power },
	{ "a legacy exporter's dma-buf is refused", step_legacy_exporter },
	{ "a part of a mapping is not unmapped", step_unmap_part },
};

static const struct step last_steps[] = {
	{ "what was refused has changed nothing", step_not_harmed },
	{ "a dma-buf that is closed stays mapped", step_close_buffer },
	{ "DMA does not arrive once the exporter is closed",
	  step_close_exporter },
	{ "nor when the exporter is opened again", step_reopen_exporter },
	{ "mappings of a closed exporter are unmapped", step_unmap_dead },
	{ "the exporter can export again", step_export_again },
};

static void run_steps(const struct step *steps, unsigned int count)
{
	for (; count; count--, steps++)
		ksft_test_result_report(steps->run(), "%s\n", steps->what);
}

static void run_bad_maps(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_maps); i++)
		ksft_test_result(map_is_refused(&bad_maps[i]),
				 "refused: %s\n", bad_maps[i].what);
}

/* Finding the devices and making them ours */

static const char *open_exporter(void)
{
	const char *error = pci_vdev_open(&exporter, iommufd);

	if (error)
		return error;
	bar = pci_vdev_map_bar(&exporter, bar_index, &bar_size);
	return bar ? NULL : "mmap of the BAR";
}

static void check_setup(struct pci_vdev *dev, const char *error)
{
	if (error)
		ksft_exit_fail_msg("%s: %s: %s\n", dev->bdf, error,
				   strerror(errno));
}

static void bind_driver(struct pci_vdev *dev)
{
	const char *error = pci_vdev_bind_driver(dev);

	if (error)
		ksft_exit_skip("%s: %s: %s\n", dev->bdf, error,
			       strerror(errno));
}

static void set_up_exporter(void)
{
	bind_driver(&exporter);
	check_setup(&exporter, pci_vdev_open(&exporter, iommufd));
	bar_index = pci_vdev_largest_bar(&exporter, &bar_size);
	if (bar_size < SZ_1M)
		ksft_exit_skip("%s: the largest BAR has 0x%zx bytes, 0x%lx are needed\n",
			       exporter.bdf, bar_size, SZ_1M);
	bar = pci_vdev_map_bar(&exporter, bar_index, &bar_size);
	check_setup(&exporter, bar ? NULL : "mmap of the BAR");

	expected = malloc(bar_size);
	if (!expected)
		ksft_exit_fail_msg("no memory for a copy of the BAR\n");
	fresh_bytes(expected, bar_size);
	memcpy(bar, expected, bar_size);
	if (!bar_is_right())
		ksft_exit_skip("BAR %u of %s does not behave as memory\n",
			       bar_index, exporter.bdf);
}

static void set_up_ioas(__u32 *id)
{
	__u64 iova = IOVA_SCRATCH;
	int ret = ioas_alloc(iommufd, id);

	if (!ret)
		ret = ioas_map(iommufd, *id, IOVA_RW | IOVA_AT, scratch, PAGE,
			       &iova);
	if (ret)
		ksft_exit_fail_msg("cannot make an IOAS: %s\n", strerror(-ret));
}

static void set_up_dma_dev(void)
{
	size_t size;
	int ret;

	bind_driver(&dma_dev);
	check_setup(&dma_dev, pci_vdev_open(&dma_dev, iommufd));
	edu = pci_vdev_map_bar(&dma_dev, 0, &size);
	check_setup(&dma_dev, edu ? NULL : "mmap of BAR 0");
	ret = attach_dma_dev(ioas);
	if (ret)
		ksft_exit_fail_msg("%s: VFIO_DEVICE_ATTACH_IOMMUFD_PT: %s\n",
				   dma_dev.bdf, strerror(-ret));
}

static void set_up_memory(void)
{
	scratch = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (scratch == MAP_FAILED)
		ksft_exit_fail_msg("no memory: %s\n", strerror(errno));
}

static void open_files(void)
{
	if (sysconf(_SC_PAGESIZE) != PAGE)
		ksft_exit_skip("needs pages of 0x%lx bytes\n", PAGE);
	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		ksft_exit_skip("cannot open /dev/iommu: %s\n", strerror(errno));
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		ksft_exit_skip("cannot open /dev/kmsg: %s\n", strerror(errno));
	if (access(BUFINFO, R_OK))
		ksft_exit_skip("cannot read %s: %s\n", BUFINFO,
			       strerror(errno));
}

static void choose_devices(int argc, char **argv)
{
	if (argc == 3) {
		snprintf(exporter.bdf, sizeof(exporter.bdf), "%s", argv[1]);
		snprintf(dma_dev.bdf, sizeof(dma_dev.bdf), "%s", argv[2]);
	} else if (argc != 1) {
		ksft_exit_fail_msg("usage: %s [EXPORTER DMA], PCI addresses such as 0000:00:03.0\n",
				   argv[0]);
	}
	if (!pci_vdev_find_ivshmem(&exporter))
		ksft_exit_skip("no ivshmem device in " PCI_DEVICES "\n");
	if (!pci_vdev_find_edu(&dma_dev))
		ksft_exit_skip("no edu device in " PCI_DEVICES "\n");
	if (!pci_vdev_has_iommu(&dma_dev))
		ksft_exit_skip("%s is not behind an IOMMU\n", dma_dev.bdf);
}

int main(int argc, char **argv)
{
	ksft_print_header();
	choose_devices(argc, argv);
	open_files();
	set_up_memory();
	set_up_exporter();
	set_up_ioas(&ioas);
	set_up_ioas(&second_ioas);
	set_up_dma_dev();
	ksft_print_msg("%s exports its BAR %u, %s does DMA\n", exporter.bdf,
		       bar_index, dma_dev.bdf);

	ksft_set_plan(ARRAY_SIZE(first_steps) + ARRAY_SIZE(bad_maps) +
		      ARRAY_SIZE(last_steps));
	run_steps(first_steps, ARRAY_SIZE(first_steps));
	run_bad_maps();
	run_steps(last_steps, ARRAY_SIZE(last_steps));
	ksft_finished();
}
