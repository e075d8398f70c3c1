// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs all measurements of a machine: those of the kernel, by reading them, and
 * that of IOMMU_IOAS_MAP_FILE for a dma-buf of a BAR, by the calls themselves.
 *
 * Usage: bench [GROUP...], default are all groups that the kernel has.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <x86intrin.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#define DEVICES "/sys/bus/pci/devices/"
#define GROUPS "/sys/kernel/debug/dma-buf-bench/"
#define TRANSLATIONS "/sys/kernel/debug/iommu/intel/%s/domain_translation_struct"

#define SZ_4K 0x1000ULL
#define SZ_2M 0x200000ULL
#define SZ_64M 0x4000000ULL
#define SZ_1G 0x40000000ULL

#define REPEATS 5
#define BAR 2

/* PCI vendor and device */
#define EDU "0x1234", "0x11e8"
#define IVSHMEM "0x1af4", "0x1110"

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

static void read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);

	if (length < 0)
		die("%s", path);
	text[length] = 0;
	close(fd);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s", path);
	close(fd);
}

static bool file_begins(const char *device, const char *file, const char *text)
{
	char path[PATH_MAX], found[16];

	snprintf(path, sizeof(path), DEVICES "%s/%s", device, file);
	read_file(path, found, sizeof(found));
	return !strncmp(found, text, strlen(text));
}

/* Address of the first PCI device of a kind */
static void find_device(char *address, const char *vendor, const char *device)
{
	struct dirent **entries;
	int i, count = scandir(DEVICES, &entries, NULL, alphasort);

	for (i = 0; i < count; i++) {
		if (entries[i]->d_name[0] == '.' ||
		    !file_begins(entries[i]->d_name, "vendor", vendor) ||
		    !file_begins(entries[i]->d_name, "device", device))
			continue;
		strcpy(address, entries[i]->d_name);
		return;
	}
	errno = ENODEV;
	die("no PCI device %s:%s", vendor, device);
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
	char address[32], path[PATH_MAX];

	find_device(address, EDU);
	snprintf(path, sizeof(path), DEVICES "%s/iommu_group/type", address);
	write_file(path, "identity");
}

/* Mapping a BAR */

struct bar {
	char address[32];
	int device;
	int iommufd;
	__u32 ioas;
	int dmabuf;
};

static int call(int fd, unsigned long request, void *arg, const char *what)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		die("%s", what);
	return ret;
}

static int open_vfio(const char *address)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), DEVICES "%s/driver_override", address);
	write_file(path, "vfio-pci");
	write_file("/sys/bus/pci/drivers_probe", address);
	snprintf(path, sizeof(path), DEVICES "%s/vfio-dev", address);
	dir = opendir(path);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.64s",
			 entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0)
		die("%s", path);
	closedir(dir);
	return fd;
}

static void attach(struct bar *bar)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt) };

	bar->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (bar->iommufd < 0)
		die("/dev/iommu");
	bind.iommufd = bar->iommufd;
	call(bar->device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "bind");
	call(bar->iommufd, IOMMU_IOAS_ALLOC, &ioas, "allocate an IOAS");
	bar->ioas = ioas.out_ioas_id;
	pt.pt_id = bar->ioas;
	call(bar->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt, "attach");
}

static int export(const struct bar *bar)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = BAR };
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf dmabuf;
		struct vfio_region_dma_range range;
	} arg = {
		.feature.argsz = sizeof(arg),
		.feature.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
		.dmabuf.region_index = BAR,
		.dmabuf.open_flags = O_RDWR | O_CLOEXEC,
		.dmabuf.nr_ranges = 1,
		.range.length = SZ_1G,
	};

	call(bar->device, VFIO_DEVICE_GET_REGION_INFO, &info, "region");
	if (info.size != SZ_1G) {
		errno = EINVAL;
		die("the BAR has %llu bytes", (unsigned long long)info.size);
	}
	return call(bar->device, VFIO_DEVICE_FEATURE, &arg, "export");
}

static __u64 map(const struct bar *bar, __u64 start, __u64 length, __u64 *count)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = bar->ioas,
		.fd = bar->dmabuf,
		.start = start,
		.length = length,
	};
	__u64 before = __rdtsc();

	call(bar->iommufd, IOMMU_IOAS_MAP_FILE, &cmd, "map");
	before = __rdtsc() - before;
	if (before < *count)
		*count = before;
	return cmd.iova;
}

static void unmap(const struct bar *bar, __u64 iova, __u64 length, __u64 *count)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = bar->ioas,
		.iova = iova,
		.length = length,
	};
	__u64 before = __rdtsc();

	call(bar->iommufd, IOMMU_IOAS_UNMAP, &cmd, "unmap");
	before = __rdtsc() - before;
	if (before < *count)
		*count = before;
}

static void report(const char *place, __u64 length, const char *operation,
		   __u64 value)
{
	printf("bench,map_file,%s,%llu,-,1,%s,core,%llu\n", place,
	       (unsigned long long)length, operation,
	       (unsigned long long)value);
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

	snprintf(path, sizeof(path), TRANSLATIONS, bar->address);
	file = fopen(path, "r");
	if (!file)
		die("%s", path);
	while (fgets(line, sizeof(line), file))
		entries[entry_level(line)]++;
	fclose(file);
	/* That of map_first_page() */
	entries[1]--;
	for (i = 1; i <= 3; i++)
		report(place, length, names[i], entries[i]);
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
	report(place, length, "map", mapped);
	report(place, length, "unmap", unmapped);
	report(place, length, "map+unmap", mapped + unmapped);

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
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = bar->ioas,
		.user_va = (uintptr_t)page,
		.length = SZ_4K,
		.iova = SZ_4K,
	};

	call(bar->iommufd, IOMMU_IOAS_MAP, &cmd, "map a page of memory");
}

static void map_file(void)
{
	struct bar bar;

	find_device(bar.address, IVSHMEM);
	bar.device = open_vfio(bar.address);
	attach(&bar);
	bar.dmabuf = export(&bar);
	map_first_page(&bar);

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
