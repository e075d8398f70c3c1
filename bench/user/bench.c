// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs all measurements of a machine: those of the kernel, by reading them, and
 * that of IOMMU_IOAS_MAP_FILE for a dma-buf of a BAR, by the calls themselves.
 *
 * Usage: bench [GROUP...] BDF, default are all groups that the kernel has. BDF
 * is the PCI device with the BAR, which vfio-pci has to be bound to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <termios.h>
#include <x86intrin.h>

#include <linux/sizes.h>

/* The library of Linux's vfio selftests, with what the series adds to it */
#include <libvfio.h>

#define GROUPS "/sys/kernel/debug/dma-buf-bench/"
#define TRANSLATIONS "/sys/kernel/debug/iommu/intel/%s/domain_translation_struct"

#define REPEATS 5

static void die(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s", path);
	close(fd);
}

/* The kernel's measurements */

static void show(const char *group)
{
	char path[PATH_MAX], text[4096];
	ssize_t length;
	int fd;

	if (access(GROUPS, F_OK))
		die(GROUPS);
	snprintf(path, sizeof(path), GROUPS "%s", group);
	fd = open(path, O_RDONLY);
	/* The untouched kernel has fewer of them */
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0)
		die("%s", path);
	while ((length = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, length, stdout);
	if (length < 0)
		die("%s", path);
	close(fd);
}

/* From here on the device that does DMA is not behind the IOMMU any more */
static void set_identity(void)
{
	write_file(GROUPS "client/iommu_group/type", "identity");
}

/* Mapping a BAR */

/* With what it takes to map a page of memory, the floor of all such calls */
struct bar {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	/* Those of the first */
	int iommufd;
	u32 ioas_id;
	int dmabuf;
	u64 call_map;
	u64 call_unmap;
};

static void open_bar(struct bar *bar, const char *bdf)
{
	struct vfio_region_dma_range range = { .length = SZ_1G };
	struct vfio_pci_bar *largest;

	bar->iommu = iommu_init(MODE_IOMMUFD);
	bar->iommufd = bar->iommu->iommufd;
	bar->ioas_id = bar->iommu->ioas_id;
	bar->device = vfio_pci_device_init(bdf, bar->iommu);
	vfio_pci_cmd_set(bar->device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	largest = vfio_pci_largest_mapped_bar(bar->device);
	VFIO_ASSERT_NOT_NULL(largest);
	VFIO_ASSERT_EQ(largest->info.size, SZ_1G);
	bar->dmabuf = vfio_pci_dmabuf_export(bar->device,
					     largest - bar->device->bars,
					     &range, 1);
}

/* The calls themselves, as the library's would add their own to the counts */

static u64 map(const struct bar *bar, u64 start, u64 length, u64 *count)
{
	u64 before = __rdtsc();
	struct iommu_ioas_map_file args = {
		.size = sizeof(args),
		.flags = DMABUF_MAP_FLAGS,
		.ioas_id = bar->ioas_id,
		.fd = bar->dmabuf,
		.start = start,
		.length = length,
	};

	ioctl_assert(bar->iommufd, IOMMU_IOAS_MAP_FILE, &args);
	before = __rdtsc() - before;
	if (before < *count)
		*count = before;
	return args.iova;
}

static void unmap(const struct bar *bar, u64 iova, u64 length, u64 *count)
{
	u64 before = __rdtsc();
	struct iommu_ioas_unmap args = {
		.size = sizeof(args),
		.ioas_id = bar->ioas_id,
		.iova = iova,
		.length = length,
	};

	ioctl_assert(bar->iommufd, IOMMU_IOAS_UNMAP, &args);
	before = __rdtsc() - before;
	if (before < *count)
		*count = before;
}

static void report(const char *place, u64 length, const char *operation,
		   const char *by, u64 value)
{
	printf("bench,map_file,%s,%llu,-,1,%s,%s,%llu\n", place,
	       (unsigned long long)length, operation, by,
	       (unsigned long long)value);
}

static void report_times(const char *place, u64 length, const char *by,
			 u64 mapped, u64 unmapped)
{
	report(place, length, "map", by, mapped);
	report(place, length, "unmap", by, unmapped);
	report(place, length, "map+unmap", by, mapped + unmapped);
}

/* Each line is an entry that maps memory, behind those of the levels above it */
static int entry_level(const char *line)
{
	unsigned long long pfn, path[5];
	int found = sscanf(line, "%llx | %llx %llx %llx %llx %llx", &pfn,
			   &path[0], &path[1], &path[2], &path[3], &path[4]);

	return found < 4 ? 0 : 7 - found;
}

static void report_entries(const struct bar *bar, const char *place,
			   u64 length)
{
	static const char *const names[] = {
		[1] = "4K entries", [2] = "2M entries", [3] = "1G entries",
	};
	unsigned int i, entries[4] = {};
	char path[PATH_MAX], line[256];
	FILE *file;

	snprintf(path, sizeof(path), TRANSLATIONS, bar->device->bdf);
	file = fopen(path, "r");
	if (!file)
		die("%s", path);
	while (fgets(line, sizeof(line), file))
		entries[entry_level(line)]++;
	fclose(file);
	/* That of map_first_page() */
	entries[1]--;
	for (i = 1; i <= 3; i++)
		report(place, length, names[i], "core", entries[i]);
}

static void measure(const struct bar *bar, const char *place, u64 start,
		    u64 length)
{
	u64 iova, mapped = -1, unmapped = -1, none = -1;
	int i;

	for (i = 0; i < REPEATS; i++) {
		iova = map(bar, start, length, &mapped);
		unmap(bar, iova, length, &unmapped);
	}
	report_times(place, length, "core", mapped, unmapped);
	report_times(place, length, "call", bar->call_map, bar->call_unmap);

	iova = map(bar, start, length, &none);
	report_entries(bar, place, length);
	unmap(bar, iova, length, &none);
}

/*
 * A page at the start of the IOAS, as there is memory in that of any VMM. The
 * first IOVA that is free is not one that fits to any of the slices by chance.
 */
static void map_first_page(const struct bar *bar)
{
	static char page[SZ_4K] __attribute__((aligned(SZ_4K)));
	u32 flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_FIXED_IOVA;
	u64 iova = SZ_4K;

	VFIO_ASSERT_EQ(__iommu_ioas_map(bar->iommu, bar->iommu->ioas_id, flags,
					page, SZ_4K, &iova), 0);
}

static void measure_call(struct bar *bar)
{
	static char page[SZ_4K] __attribute__((aligned(SZ_4K))) = { 1 };
	u64 before, count;
	int i;

	bar->call_map = -1;
	bar->call_unmap = -1;
	for (i = 0; i < REPEATS; i++) {
		struct iommu_ioas_map args;

		before = __rdtsc();
		args = (struct iommu_ioas_map){
			.size = sizeof(args),
			.flags = DMABUF_MAP_FLAGS,
			.ioas_id = bar->ioas_id,
			.user_va = (uintptr_t)page,
			.length = SZ_4K,
		};
		ioctl_assert(bar->iommufd, IOMMU_IOAS_MAP, &args);
		count = __rdtsc() - before;
		if (count < bar->call_map)
			bar->call_map = count;
		unmap(bar, args.iova, SZ_4K, &bar->call_unmap);
	}
}

static void map_file(const char *bdf)
{
	struct bar bar = {};

	open_bar(&bar, bdf);
	map_first_page(&bar);
	measure_call(&bar);

	measure(&bar, "whole BAR", 0, SZ_1G);
	measure(&bar, "at 0", 0, SZ_64M);
	measure(&bar, "at 4 KiB", SZ_4K, SZ_64M);
	measure(&bar, "at 2 MiB + 4 KiB", SZ_2M + SZ_4K, SZ_64M);
	measure(&bar, "one page", 0, SZ_4K);
}

int main(int argc, char **argv)
{
	static char *all[] = {
		"map_file", "iommu", "slice", "attach", "revoke", "sgt",
		"legacy", "identity", "sgt", "legacy",
	};
	const char *bdf = vfio_selftests_get_bdf(&argc, argv);
	char **groups = argc > 1 ? argv + 1 : all;
	int i, count = argc > 1 ? argc - 1 : (int)(sizeof(all) / sizeof(*all));
	static char output[1 << 20];

	/* Interrupts of the console, which waits for the host, would be counted too */
	tcdrain(STDOUT_FILENO);
	setvbuf(stdout, output, _IOFBF, sizeof(output));
	for (i = 0; i < count; i++) {
		if (!strcmp(groups[i], "map_file"))
			map_file(bdf);
		else if (!strcmp(groups[i], "identity"))
			set_identity();
		else
			show(groups[i]);
	}
	return 0;
}
