// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs all measurements of a machine: those of the kernel, by reading them, and
 * that of IOMMU_IOAS_MAP_FILE for a dma-buf of a BAR, by the calls themselves.
 *
 * Usage: bench [GROUP...], default are all groups that the kernel has.
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

/* What the tests of the series have for it */
#include "dmabuf_ioctls.h"
#include "pci_vdev.h"

#define GROUPS "/sys/kernel/debug/dma-buf-bench/"
#define TRANSLATIONS "/sys/kernel/debug/iommu/intel/%s/domain_translation_struct"

#define SZ_4K 0x1000ULL
#define SZ_2M 0x200000ULL
#define SZ_64M 0x4000000ULL
#define SZ_1G 0x40000000ULL

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
	struct pci_vdev device;
	int iommufd;
	__u32 ioas;
	int dmabuf;
	__u64 call_map;
	__u64 call_unmap;
};

/* For calls that return -errno: what they return, unless they fail */
static int check(int ret, const char *what)
{
	if (ret < 0) {
		errno = -ret;
		die("%s", what);
	}
	return ret;
}

static void open_device(struct bar *bar)
{
	const char *failed;

	if (!pci_vdev_find_ivshmem(&bar->device))
		die("no ivshmem device");
	bar->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (bar->iommufd < 0)
		die("/dev/iommu");
	failed = pci_vdev_bind_driver(&bar->device) ?:
		 pci_vdev_open(&bar->device, bar->iommufd);
	if (failed)
		die("%s", failed);
	check(ioas_alloc(bar->iommufd, &bar->ioas), "allocate an IOAS");
	check(pci_vdev_attach(&bar->device, bar->ioas), "attach");
}

static int export(struct bar *bar)
{
	struct vfio_region_dma_range range = { .length = SZ_1G };
	unsigned int index;
	size_t size;

	index = pci_vdev_largest_bar(&bar->device, &size);
	if (size != SZ_1G) {
		errno = EINVAL;
		die("the BAR has %zu bytes", size);
	}
	return check(pci_vdev_export(&bar->device, index, &range, 1), "export");
}

static __u64 map(const struct bar *bar, __u64 start, __u64 length, __u64 *count)
{
	__u64 iova = 0, before = __rdtsc();

	check(ioas_map_file(bar->iommufd, bar->ioas, IOVA_RW, bar->dmabuf,
			    start, length, &iova), "map");
	before = __rdtsc() - before;
	if (before < *count)
		*count = before;
	return iova;
}

static void unmap(const struct bar *bar, __u64 iova, __u64 length, __u64 *count)
{
	__u64 before = __rdtsc();

	check(ioas_unmap(bar->iommufd, bar->ioas, iova, &length), "unmap");
	before = __rdtsc() - before;
	if (before < *count)
		*count = before;
}

static void report(const char *place, __u64 length, const char *operation,
		   const char *by, __u64 value)
{
	printf("bench,map_file,%s,%llu,-,1,%s,%s,%llu\n", place,
	       (unsigned long long)length, operation, by,
	       (unsigned long long)value);
}

static void report_times(const char *place, __u64 length, const char *by,
			 __u64 mapped, __u64 unmapped)
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
			   __u64 length)
{
	static const char *const names[] = {
		[1] = "4K entries", [2] = "2M entries", [3] = "1G entries",
	};
	unsigned int i, entries[4] = {};
	char path[PATH_MAX], line[256];
	FILE *file;

	snprintf(path, sizeof(path), TRANSLATIONS, bar->device.bdf);
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

static void measure(const struct bar *bar, const char *place, __u64 start,
		    __u64 length)
{
	__u64 iova, mapped = -1, unmapped = -1, none = -1;
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
	__u64 iova = SZ_4K;

	check(ioas_map(bar->iommufd, bar->ioas,
		       IOMMU_IOAS_MAP_READABLE | IOVA_AT, page, SZ_4K, &iova),
	      "map a page of memory");
}

static void measure_call(struct bar *bar)
{
	static char page[SZ_4K] __attribute__((aligned(SZ_4K))) = { 1 };
	__u64 iova, before, count;
	int i;

	bar->call_map = -1;
	bar->call_unmap = -1;
	for (i = 0; i < REPEATS; i++) {
		iova = 0;
		before = __rdtsc();
		check(ioas_map(bar->iommufd, bar->ioas, IOVA_RW, page, SZ_4K,
			       &iova), "map a page of memory");
		count = __rdtsc() - before;
		if (count < bar->call_map)
			bar->call_map = count;
		unmap(bar, iova, SZ_4K, &bar->call_unmap);
	}
}

static void map_file(void)
{
	struct bar bar = {};

	open_device(&bar);
	bar.dmabuf = export(&bar);
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
	char **groups = argc > 1 ? argv + 1 : all;
	int i, count = argc > 1 ? argc - 1 : (int)(sizeof(all) / sizeof(*all));
	static char output[1 << 20];

	/* Interrupts of the console, which waits for the host, would be counted too */
	tcdrain(STDOUT_FILENO);
	setvbuf(stdout, output, _IOFBF, sizeof(output));
	for (i = 0; i < count; i++) {
		if (!strcmp(groups[i], "map_file"))
			map_file();
		else if (!strcmp(groups[i], "identity"))
			set_identity();
		else
			show(groups[i]);
	}
	return 0;
}
