// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on dma-bufs of a PCI device's BAR, on the IOASs and domains that
 * they are mapped in, and on the devices, against a model of what is mapped
 * where.
 *
 * Usage: vfio_dmabuf_fuzz_test [-t SECONDS] [-s SEED] [-r] BDF BDF
 *
 * Each call has to return what the model says, bad arguments their one errno.
 * The page tables that the Intel IOMMU walks, as debugfs shows them, have to
 * hold each page of the model with its physical address, and nothing else;
 * no page of a BAR at all while memory decode is off. Now and then the DMA of
 * edu has to see the same, as the IOTLB may know more than page tables do.
 *
 * The same seed makes the same calls, as many as there is time for. With -r
 * a second thread races: it turns memory decode off and on all the time, except
 * while the page tables are looked at.
 *
 * One of the devices has to be QEMU's edu, the other one has a BAR that behaves
 * as memory, such as QEMU's ivshmem.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "kselftest.h"

#define PAGE		SZ_4K
#define TABLES		"/sys/kernel/debug/iommu/intel/%s/domain_translation_struct"
#define PTE_ADDRESS	0x000ffffffffff000ULL
#define PTE_WRITE	0x2

#define NR_IOAS		3
#define NR_HWPT		4
#define NR_BUFS		5
#define NR_AREAS	64
#define MAX_RANGES	5
#define RANGE_PAGES	8
#define MEMORY_PAGES	64

/* Small, for areas to meet, and within the reach of edu */
#define WINDOW		0x1000000UL
#define WINDOW_PAGES	256
#define EDU_IOVA_LAST	0xfffffffUL

/* No object has it */
#define NO_ID		0x7fffff00
#define NONE		(-1)
/* So many calls that each kind of them must have come to its end */
#define MANY_CALLS	3000

/* The model */

struct buf {
	/* NONE if it is closed, and 0 ranges if there is none */
	int fd;
	/* Its device was closed: revoked for good */
	bool dead;
	size_t size;
	unsigned int nr_ranges;
	struct vfio_region_dma_range ranges[MAX_RANGES];
};

struct area {
	/* In which IOAS, or NONE */
	int ioas;
	u64 iova;
	u64 length;
	/* NULL for the memory of this process */
	const struct buf *buf;
	size_t offset;
	bool writable;
	/* Whether a copy may be */
	bool pages_writable;
};

struct ioas {
	bool used;
	bool small_pages;
	u32 id;
};

struct hwpt {
	/* Of which IOAS, or NONE */
	int ioas;
	u32 id;
};

struct device {
	const char *bdf;
	/* NULL while it is closed */
	struct vfio_pci_device *vdev;
	/* Where it is attached; the IOAS's own domain if @hwpt is NONE */
	int ioas;
	int hwpt;
};

static struct buf bufs[NR_BUFS];
static struct area areas[NR_AREAS];
static struct ioas ioases[NR_IOAS];
static struct hwpt hwpts[NR_HWPT];
static struct device exporter;
static struct device dma_dev;
static bool decode;

/* What does not change */
static struct iommu *iommu;
static int legacy_dmabuf = -1;
static unsigned int bar;
static size_t bar_size;
static u64 bar_phys;
static bool can_reset;
static u8 *memory;
/* What the driver of edu remembers, to which there is no DMA */
static u8 *driver_memory;
static bool racing;
/* While racing: who has it keeps memory decode as it is */
static pthread_mutex_t decode_lock = PTHREAD_MUTEX_INITIALIZER;

/* Random numbers that depend on nothing but the seed */

static u64 seed;

static u64 random_number(void)
{
	static u64 state;

	if (!state)
		state = seed * 0x9e3779b97f4a7c15ULL + 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

static unsigned int below(unsigned int limit)
{
	return random_number() % limit;
}

static bool one_in(unsigned int count)
{
	return !below(count);
}

/* What was called last, shown if something goes wrong */

#define NR_NOTES 40

static char notes[NR_NOTES][160];
static unsigned long nr_notes;

static __printf(1, 2) void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(notes[nr_notes++ % NR_NOTES], sizeof(notes[0]), format, args);
	va_end(args);
}

static void show_notes(void)
{
	unsigned long i = nr_notes < NR_NOTES ? 0 : nr_notes - NR_NOTES;

	ksft_print_msg("the last calls were:\n");
	for (; i < nr_notes; i++)
		ksft_print_msg("%lu: %s\n", i, notes[i % NR_NOTES]);
}

enum outcome {
	SUCCESS,
	REFUSED,
	/* There was nothing to call it for */
	NOTHING,
	WRONG,
};

static enum outcome expect(int ret, int wanted)
{
	if (ret < 0 && ret == wanted)
		return REFUSED;
	if (ret >= 0 && !wanted)
		return SUCCESS;
	ksft_print_msg("expected %s, found %s\n",
		       wanted ? strerror(-wanted) : "success",
		       ret < 0 ? strerror(-ret) : "success");
	return WRONG;
}

/* For calls that a revoke may get ahead of */
static enum outcome expect_or_revoked(int ret, int wanted)
{
	return racing && ret == -ENODEV ? REFUSED : expect(ret, wanted);
}

/* Choosing: an index, or NONE */

#define CHOOSE(_array, _condition)					\
	({								\
		__auto_type _all = &(_array);				\
		unsigned int _left = ARRAY_SIZE(*_all);			\
		unsigned int _at = below(_left);			\
		for (; _left; _left--, _at = (_at + 1) % ARRAY_SIZE(*_all)) { \
			__auto_type each = &(*_all)[_at];		\
			if (_condition)					\
				break;					\
		}							\
		_left ? (int)_at : NONE;				\
	})

static int choose_ioas(void)
{
	return CHOOSE(ioases, each->used);
}

static int choose_buf(void)
{
	return CHOOSE(bufs, each->fd != NONE);
}

static int choose_area(void)
{
	return CHOOSE(areas, each->ioas != NONE);
}

static struct device *choose_device(void)
{
	return one_in(2) && exporter.vdev ? &exporter : &dma_dev;
}

static bool has_domain(int ioas)
{
	unsigned int i;

	for (i = 0; i < NR_HWPT; i++)
		if (hwpts[i].ioas == ioas)
			return true;
	return exporter.ioas == ioas || dma_dev.ioas == ioas;
}

static struct area *area_within(int ioas, u64 first, u64 last)
{
	struct area *lowest = NULL;
	unsigned int i;

	for (i = 0; i < NR_AREAS; i++) {
		struct area *area = &areas[i];

		if (area->ioas == ioas && area->iova <= last &&
		    area->iova + area->length - 1 >= first &&
		    (!lowest || area->iova < lowest->iova))
			lowest = area;
	}
	return lowest;
}

static bool has_room(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < NR_AREAS; i++)
		count -= count && areas[i].ioas == NONE;
	return !count;
}

static void add_area(const struct area *new)
{
	areas[CHOOSE(areas, each->ioas == NONE)] = *new;
}

static bool is_used(const struct buf *buf)
{
	unsigned int i;

	for (i = 0; i < NR_AREAS; i++)
		if (areas[i].ioas != NONE && areas[i].buf == buf)
			return true;
	return buf->fd != NONE;
}

static bool is_visible(const struct buf *buf)
{
	return !buf || (!buf->dead && decode);
}

static size_t offset_in_bar(const struct buf *buf, size_t offset)
{
	unsigned int i;

	for (i = 0; offset >= buf->ranges[i].length; i++)
		offset -= buf->ranges[i].length;
	return buf->ranges[i].offset + offset;
}

/* The page tables, compared with the model */

static bool page_is_right(int ioas, u64 iova, u64 phys, bool writable)
{
	const struct area *area = area_within(ioas, iova, iova);
	u64 offset = phys - bar_phys;
	size_t wanted;

	if (!area || !is_visible(area->buf)) {
		ksft_print_msg("IOVA 0x%lx: expected no translation, found 0x%lx\n",
			       iova, phys);
		return false;
	}
	if (writable != area->writable) {
		ksft_print_msg("IOVA 0x%lx: expected it %swritable\n", iova,
			       area->writable ? "" : "not ");
		return false;
	}
	if (!area->buf) {
		if (phys - bar_phys >= bar_size)
			return true;
		ksft_print_msg("IOVA 0x%lx: expected memory, found 0x%lx of the BAR\n",
			       iova, offset);
		return false;
	}
	wanted = offset_in_bar(area->buf, area->offset + iova - area->iova);
	if (offset == wanted)
		return true;
	ksft_print_msg("IOVA 0x%lx: expected 0x%zx of the BAR, found 0x%lx\n",
		       iova, wanted, offset);
	return false;
}

/* Returns false if wrong; adds what the line maps to @mapped */
static bool line_is_right(int ioas, const char *line, size_t *mapped)
{
	u64 pfn, entry[5], iova, phys;
	size_t size, done;
	int columns;

	columns = sscanf(line, "%lx |\t%lx\t%lx\t%lx\t%lx\t%lx", &pfn,
			 &entry[0], &entry[1], &entry[2], &entry[3],
			 &entry[4]) - 1;
	if (columns < 3)
		return true;
	/* The last one is the leaf: of 1 GiB, 2 MiB or 4 KiB */
	size = PAGE << 9 * (5 - columns);
	iova = pfn * PAGE;
	phys = entry[columns - 1] & PTE_ADDRESS & ~(size - 1);
	for (done = 0; done < size; done += PAGE)
		if (!page_is_right(ioas, iova + done, phys + done,
				   entry[columns - 1] & PTE_WRITE))
			return false;
	*mapped += size;
	return true;
}

static size_t expected_size(int ioas)
{
	size_t size = 0;
	unsigned int i;

	for (i = 0; i < NR_AREAS; i++)
		if (ioas != NONE && areas[i].ioas == ioas &&
		    is_visible(areas[i].buf))
			size += areas[i].length;
	return size;
}

static unsigned long nr_looks;

/* As no IOVA is there twice, the size tells whether something is missing */
static bool tables_are_right(const struct device *dev)
{
	char path[128], line[256];
	size_t mapped = 0;
	bool ok = true;
	FILE *file;

	snprintf(path, sizeof(path), TABLES, dev->bdf);
	file = fopen(path, "r");
	if (!file) {
		ksft_print_msg("%s: %s\n", path, strerror(errno));
		return false;
	}
	while (ok && fgets(line, sizeof(line), file))
		ok = line_is_right(dev->ioas, line, &mapped);
	fclose(file);
	nr_looks++;
	if (ok && mapped != expected_size(dev->ioas)) {
		ksft_print_msg("expected 0x%zx bytes to be mapped, found 0x%zx\n",
			       expected_size(dev->ioas), mapped);
		ok = false;
	}
	if (!ok)
		ksft_print_msg("in the domain of %s, IOAS %d, HWPT %d, with memory decode %s\n",
			       dev->bdf, dev->ioas, dev->hwpt,
			       decode ? "on" : "off");
	return ok;
}

static u32 pt_id(int ioas, int hwpt)
{
	return hwpt == NONE ? ioases[ioas].id : hwpts[hwpt].id;
}

static int attach(struct device *dev, int ioas, int hwpt)
{
	int fd = dev->vdev->fd, ret;

	if (ioas == NONE)
		ret = __vfio_device_detach_iommufd_pt(fd);
	else
		ret = __vfio_device_attach_iommufd_pt(fd, pt_id(ioas, hwpt));

	if (!ret) {
		dev->ioas = ioas;
		dev->hwpt = hwpt;
	}
	return ret;
}

/* Moves edu through the domains that no device is attached to, and back */
static bool others_are_right(void)
{
	int ioas = dma_dev.ioas, hwpt = dma_dev.hwpt, i;

	for (i = 0; i < NR_HWPT; i++) {
		if (hwpts[i].ioas == NONE || i == hwpt || i == exporter.hwpt)
			continue;
		if (expect(attach(&dma_dev, hwpts[i].ioas, i), 0) == WRONG ||
		    !tables_are_right(&dma_dev))
			return false;
	}
	return (ioas == dma_dev.ioas && hwpt == dma_dev.hwpt) ||
	       expect(attach(&dma_dev, ioas, hwpt), 0) != WRONG;
}

static bool all_is_right(bool everywhere)
{
	bool ok;

	pthread_mutex_lock(&decode_lock);
	ok = (!exporter.vdev || tables_are_right(&exporter)) &&
	     tables_are_right(&dma_dev) && (!everywhere || others_are_right());
	pthread_mutex_unlock(&decode_lock);
	return ok;
}

/* Mapping */

struct map {
	u32 ioas;
	u32 flags;
	int fd;
	u64 start;
	u64 length;
	u64 iova;
};

/* Makes an argument wrong; returns what the kernel has to say of it, or 0 */
static int spoil(struct map *map)
{
	switch (below(7)) {
	case 0:
		map->ioas = NO_ID;
		return -ENOENT;
	case 1:
		/* Bit 16 means something to kernels with IOMMUFD_TEST */
		map->flags |= 1 << (3 + below(13));
		return -EOPNOTSUPP;
	case 2:
		map->flags &= ~DMABUF_MAP_FLAGS;
		return -EINVAL;
	case 3:
		map->length = 0;
		return -EINVAL;
	case 4:
		map->length = UINT64_MAX;
		return -EOVERFLOW;
	case 5:
		map->iova = UINT64_MAX;
		return -EOVERFLOW;
	}
	return 0;
}

/* The same of the ones that only dma-bufs have */
static int spoil_slice(struct map *map, const struct buf *buf)
{
	switch (below(6)) {
	case 0:
		map->fd = -1;
		return -EBADF;
	case 1:
		map->start = buf->size;
		return -EINVAL;
	case 2:
		map->length = buf->size - map->start + PAGE;
		return -EINVAL;
	case 3:
		map->start = -PAGE;
		map->length = 2 * PAGE;
		return -EOVERFLOW;
	case 4:
		if (legacy_dmabuf < 0)
			return 0;
		map->fd = legacy_dmabuf;
		map->start = 0;
		map->length = PAGE;
		return -EOPNOTSUPP;
	}
	return 0;
}

/* The same of what is looked at last */
static int spoil_alignment(struct map *map, int ioas)
{
	/* Without a domain anything goes */
	if (!has_domain(ioas) && !ioases[ioas].small_pages)
		return 0;
	if (one_in(2)) {
		map->flags |= IOMMU_IOAS_MAP_FIXED_IOVA;
		map->iova += 512;
	} else {
		map->length -= 512;
	}
	return -EINVAL;
}

static u32 random_flags(void)
{
	return IOMMU_IOAS_MAP_READABLE |
	       (one_in(4) ? 0 : IOMMU_IOAS_MAP_WRITEABLE) |
	       (one_in(3) ? 0 : IOMMU_IOAS_MAP_FIXED_IOVA);
}

static u64 random_iova(void)
{
	return WINDOW + below(WINDOW_PAGES) * PAGE;
}

static int check_free(int ioas, u32 flags, u64 iova, u64 length)
{
	if ((flags & IOMMU_IOAS_MAP_FIXED_IOVA) && area_within(ioas, iova, iova + length - 1))
		return -EEXIST;
	return 0;
}

/* What the kernel chose has to be free as well */
static enum outcome mapped(int ioas, const struct buf *buf,
			   const struct map *map)
{
	struct area area = {
		.ioas = ioas,
		.iova = map->iova,
		.length = map->length,
		.buf = buf,
		.offset = map->start,
		.writable = map->flags & IOMMU_IOAS_MAP_WRITEABLE,
		.pages_writable = map->flags & IOMMU_IOAS_MAP_WRITEABLE,
	};

	if (map->iova % PAGE ||
	    area_within(ioas, map->iova, map->iova + map->length - 1)) {
		ksft_print_msg("expected another IOVA than 0x%lx\n",
			       map->iova);
		return WRONG;
	}
	add_area(&area);
	return SUCCESS;
}

static enum outcome map_file(void)
{
	int ioas = choose_ioas(), chosen = choose_buf(), wanted = 0, ret;
	const struct buf *buf = &bufs[chosen];
	enum outcome outcome;
	struct map map;

	if (ioas == NONE || chosen == NONE || !has_room(1))
		return NOTHING;
	map.ioas = ioases[ioas].id;
	map.flags = random_flags();
	map.fd = buf->fd;
	map.start = below(buf->size / PAGE) * PAGE;
	map.length = (1 + below((buf->size - map.start) / PAGE)) * PAGE;
	map.iova = random_iova();

	if (one_in(8))
		wanted = spoil(&map);
	else if (one_in(8))
		wanted = spoil_slice(&map, buf);
	if (!wanted && (buf->dead || (!racing && !decode)))
		wanted = -ENODEV;
	if (!wanted && one_in(16))
		wanted = spoil_alignment(&map, ioas);
	if (!wanted)
		wanted = check_free(ioas, map.flags, map.iova, map.length);

	ret = __iommu_ioas_map_file(iommu, map.ioas, map.flags, map.fd,
				    map.start, map.length, &map.iova);
	note("map buffer %d, 0x%lx bytes from 0x%lx to IOAS %d, IOVA 0x%lx, flags 0x%x: %d",
	     chosen, map.length, map.start, ioas, map.iova, map.flags, ret);
	outcome = expect_or_revoked(ret, wanted);
	return outcome == SUCCESS ? mapped(ioas, buf, &map) : outcome;
}

static enum outcome map_memory(void)
{
	int ioas = choose_ioas(), wanted = 0, ret;
	enum outcome outcome;
	struct map map;
	void *address;

	if (ioas == NONE || !has_room(1))
		return NOTHING;
	map.ioas = ioases[ioas].id;
	map.flags = random_flags();
	map.start = below(MEMORY_PAGES) * PAGE;
	map.length = (1 + below(MEMORY_PAGES - map.start / PAGE)) * PAGE;
	map.iova = random_iova();
	address = memory + map.start;

	if (one_in(8)) {
		wanted = spoil(&map);
	} else if (one_in(16)) {
		wanted = spoil_alignment(&map, ioas);
	} else if (one_in(16) && has_domain(ioas)) {
		/* Where there never is something */
		address = (void *)PAGE;
		map.flags &= ~IOMMU_IOAS_MAP_FIXED_IOVA;
		wanted = -EFAULT;
	}
	if (!wanted)
		wanted = check_free(ioas, map.flags, map.iova, map.length);

	ret = __iommu_ioas_map(iommu, map.ioas, map.flags, address, map.length,
			       &map.iova);
	note("map memory, 0x%lx bytes from 0x%lx to IOAS %d, IOVA 0x%lx, flags 0x%x: %d",
	     map.length, map.start, ioas, map.iova, map.flags, ret);
	outcome = expect(ret, wanted);
	return outcome == SUCCESS ? mapped(ioas, NULL, &map) : outcome;
}

/* Splits [iova, iova + length) into copies of areas; returns how many, or 0 */
static unsigned int find_sources(int ioas, u64 iova, u64 length,
				 struct area *copies)
{
	u64 last = iova + length - 1;
	unsigned int count = 0;

	for (;; count++) {
		const struct area *area = area_within(ioas, iova, iova);
		u64 area_last;

		if (!area)
			return 0;
		area_last = area->iova + area->length - 1;
		copies[count] = *area;
		copies[count].offset += iova - area->iova;
		copies[count].length =
			(area_last < last ? area_last : last) - iova + 1;
		if (area_last >= last)
			return count + 1;
		iova = area_last + 1;
	}
}

static int may_copy(const struct area *copies, unsigned int count, u32 flags)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if ((flags & IOMMU_IOAS_MAP_WRITEABLE) &&
		    !copies[i].pages_writable)
			return -EPERM;
	return 0;
}

static void add_copies(int ioas, u64 iova, struct area *copies,
		       unsigned int count, u32 flags)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		copies[i].ioas = ioas;
		copies[i].iova = iova;
		copies[i].writable = flags & IOMMU_IOAS_MAP_WRITEABLE;
		add_area(&copies[i]);
		iova += copies[i].length;
	}
}

static enum outcome copy_range(void)
{
	int dst = choose_ioas(), from = choose_area(), wanted = 0, ret;
	const struct area *src = &areas[from];
	struct area copies[NR_AREAS];
	u32 flags = random_flags();
	u64 iova, length, dst_iova;
	enum outcome outcome;
	unsigned int count;
	struct map map;

	if (dst == NONE || from == NONE)
		return NOTHING;
	iova = src->iova + below(src->length / PAGE) * PAGE;
	length = src->iova + src->length - iova;
	/* A part of it, or into what may follow */
	if (one_in(2))
		length = (1 + below(length / PAGE)) * PAGE;
	else if (one_in(4))
		length += PAGE;
	count = find_sources(src->ioas, iova, length, copies);
	if (!has_room(count))
		return NOTHING;

	map = (struct map){ ioases[dst].id, flags, NONE, 0, length,
			    random_iova() };
	dst_iova = map.iova;
	if (one_in(8))
		wanted = spoil(&map);
	/* The source is looked at before the destination */
	if (!count && (!wanted || wanted == -ENOENT))
		wanted = -ENOENT;
	if (!wanted)
		wanted = check_free(dst, flags, dst_iova, length);
	if (!wanted)
		wanted = may_copy(copies, count, flags);

	ret = __iommu_ioas_copy(iommu, map.flags, ioases[src->ioas].id, iova,
				map.length, map.ioas, &map.iova);
	note("copy 0x%lx bytes from IOAS %d, IOVA 0x%lx to IOAS %d, IOVA 0x%lx, flags 0x%x: %d",
	     map.length, src->ioas, iova, dst, map.iova, map.flags, ret);
	outcome = expect(ret, wanted);
	if (outcome == SUCCESS)
		add_copies(dst, map.iova, copies, count, flags);
	return outcome;
}

/* Area after area, up to the first one that is not wholly within */
static int remove_areas(int ioas, u64 first, u64 last, u64 *removed)
{
	struct area *area;

	*removed = 0;
	while ((area = area_within(ioas, first, last))) {
		if (area->iova < first || area->iova + area->length - 1 > last)
			return -ENOENT;
		*removed += area->length;
		area->ioas = NONE;
	}
	return *removed ? 0 : -ENOENT;
}

static int choose_unmap(int ioas, u64 *iova, u64 *length, u64 *removed)
{
	unsigned int what = below(32);

	if (!what) {
		*length = 0;
		return -EINVAL;
	}
	if (what == 1) {
		*iova = -PAGE;
		*length = 2 * PAGE;
		return -EOVERFLOW;
	}
	if (what == 2) {
		*iova = 0;
		*length = UINT64_MAX;
		remove_areas(ioas, 0, UINT64_MAX, removed);
		return 0;
	}
	if (what < 8) {
		*iova = random_iova();
		*length = (1 + below(64)) * PAGE;
	}
	return remove_areas(ioas, *iova, *iova + *length - 1, removed);
}

static enum outcome expect_unmap(int ioas, u64 iova, u64 length, int wanted,
				 u64 removed)
{
	enum outcome outcome;
	u64 unmapped = 0;
	int ret;

	ret = __iommu_ioas_unmap(iommu, ioases[ioas].id, iova, length,
				 &unmapped);
	note("unmap IOAS %d, IOVA 0x%lx, length 0x%lx: %d", ioas, iova,
	     length, ret);
	outcome = expect(ret, wanted);
	if (outcome == SUCCESS && unmapped != removed) {
		ksft_print_msg("expected 0x%lx bytes to be unmapped, found 0x%lx\n",
			       removed, unmapped);
		return WRONG;
	}
	return outcome;
}

static enum outcome unmap_range(void)
{
	u64 iova, length, removed = 0;
	int chosen = choose_area();
	int ioas, wanted;

	if (chosen == NONE)
		return NOTHING;
	ioas = areas[chosen].ioas;
	iova = areas[chosen].iova;
	length = areas[chosen].length;
	wanted = choose_unmap(ioas, &iova, &length, &removed);
	return expect_unmap(ioas, iova, length, wanted, removed);
}

/* IOASs and their domains */

static int set_small_pages(u32 ioas)
{
	struct iommu_option args = {
		.size = sizeof(args),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
		.val64 = false,
	};

	return ioctl(iommu->iommufd, IOMMU_OPTION, &args) ? -errno : 0;
}

static enum outcome new_ioas(void)
{
	int at = CHOOSE(ioases, !each->used), ret;
	struct ioas *ioas = &ioases[at];

	if (at == NONE)
		return NOTHING;
	ret = __iommu_ioas_alloc(iommu, &ioas->id);
	ioas->small_pages = one_in(3);
	if (!ret && ioas->small_pages)
		ret = set_small_pages(ioas->id);
	note("new IOAS %d%s: %d", at,
	     ioas->small_pages ? " with small pages" : "", ret);
	ioas->used = !ret;
	return expect(ret, 0);
}

static enum outcome destroy_ioas(void)
{
	int at = choose_ioas(), ret;
	u64 removed;

	if (at == NONE)
		return NOTHING;
	ret = __iommu_destroy(iommu, ioases[at].id);
	note("destroy IOAS %d: %d", at, ret);
	if (has_domain(at))
		return expect(ret, -EBUSY);
	ioases[at].used = false;
	remove_areas(at, 0, UINT64_MAX, &removed);
	return expect(ret, 0);
}

static enum outcome new_hwpt(void)
{
	int at = CHOOSE(hwpts, each->ioas == NONE), ioas = choose_ioas(), ret;
	struct device *dev = choose_device();
	u32 id, flags = 0;
	int wanted = 0;

	if (at == NONE || ioas == NONE)
		return NOTHING;
	id = dev->vdev->devid;
	if (one_in(8)) {
		id = NO_ID;
		wanted = -ENOENT;
	} else if (one_in(8)) {
		flags = 1U << 31;
		wanted = -EOPNOTSUPP;
	}
	ret = __iommu_hwpt_alloc(iommu, id, ioases[ioas].id, flags,
				 &hwpts[at].id);
	note("new HWPT %d of IOAS %d: %d", at, ioas, ret);
	if (!ret)
		hwpts[at].ioas = ioas;
	return expect(ret, wanted);
}

static enum outcome destroy_hwpt(void)
{
	int at = CHOOSE(hwpts, each->ioas != NONE), ret;

	if (at == NONE)
		return NOTHING;
	ret = __iommu_destroy(iommu, hwpts[at].id);
	note("destroy HWPT %d: %d", at, ret);
	if (exporter.hwpt == at || dma_dev.hwpt == at)
		return expect(ret, -EBUSY);
	hwpts[at].ioas = NONE;
	return expect(ret, 0);
}

static enum outcome attach_device(void)
{
	int hwpt = CHOOSE(hwpts, each->ioas != NONE), ioas = choose_ioas(), ret;
	struct device *dev = choose_device();

	if (one_in(8)) {
		ret = __vfio_device_attach_iommufd_pt(dev->vdev->fd, NO_ID);
		note("attach %s to nothing: %d", dev->bdf, ret);
		return expect(ret, -ENOENT);
	}
	if (one_in(2))
		hwpt = NONE;
	if (hwpt != NONE)
		ioas = hwpts[hwpt].ioas;
	if (ioas == NONE)
		return NOTHING;
	ret = attach(dev, ioas, hwpt);
	note("attach %s to IOAS %d, HWPT %d: %d", dev->bdf, ioas, hwpt,
	     ret);
	return expect(ret, 0);
}

static enum outcome detach_device(void)
{
	struct device *dev = choose_device();
	int ret;

	if (dev->ioas == NONE)
		return NOTHING;
	ret = attach(dev, NONE, NONE);
	note("detach %s: %d", dev->bdf, ret);
	return expect(ret, 0);
}

/* The exporter */

static int spoil_ranges(struct buf *buf, unsigned int *index)
{
	struct vfio_region_dma_range *range = &buf->ranges[below(buf->nr_ranges)];

	switch (below(7)) {
	case 0:
		buf->nr_ranges = 0;
		return -EINVAL;
	case 1:
		range->offset += 512;
		return -EINVAL;
	case 2:
		range->length += 512;
		return -EINVAL;
	case 3:
		range->length = 0;
		return -EINVAL;
	case 4:
		range->offset = bar_size - range->length + PAGE;
		return -EINVAL;
	case 5:
		range->offset = -PAGE;
		return -EOVERFLOW;
	case 6:
		*index = VFIO_PCI_CONFIG_REGION_INDEX;
		return -ENODEV;
	}
	return 0;
}

static void random_ranges(struct buf *buf)
{
	unsigned int i;

	memset(buf, 0, sizeof(*buf));
	buf->nr_ranges = 1 + below(MAX_RANGES);
	for (i = 0; i < buf->nr_ranges; i++) {
		struct vfio_region_dma_range *range = &buf->ranges[i];

		range->length = (1 + below(RANGE_PAGES)) * PAGE;
		range->offset = below((bar_size - range->length) / PAGE + 1) *
				PAGE;
		/* Where the one before ends, if that fits */
		if (i && one_in(4) &&
		    range[-1].offset + range[-1].length + range->length <=
			    bar_size)
			range->offset = range[-1].offset + range[-1].length;
		buf->size += range->length;
	}
}

static enum outcome export_bar(void)
{
	int at = CHOOSE(bufs, !is_used(each)), wanted = 0;
	unsigned int index = bar;
	struct buf new;

	if (at == NONE || !exporter.vdev)
		return NOTHING;
	random_ranges(&new);
	if (one_in(4))
		wanted = spoil_ranges(&new, &index);
	new.fd = __vfio_pci_dmabuf_export(exporter.vdev, index, new.ranges,
					  new.nr_ranges);
	note("export buffer %d, %u ranges, 0x%zx bytes: %d", at, new.nr_ranges,
	     new.size, new.fd);
	if (new.fd >= 0)
		bufs[at] = new;
	return expect(new.fd, wanted);
}

static enum outcome close_buf(void)
{
	int at = CHOOSE(bufs, each->fd != NONE && each->dead);

	if (at == NONE || one_in(4))
		at = choose_buf();
	if (at == NONE)
		return NOTHING;
	note("close buffer %d", at);
	close(bufs[at].fd);
	bufs[at].fd = NONE;
	return SUCCESS;
}

static int write_decode(bool on)
{
	u16 command;
	int ret;

	ret = __vfio_pci_config_access(exporter.vdev, false, PCI_COMMAND,
				       sizeof(command), &command);
	if (ret)
		return ret;
	command &= ~PCI_COMMAND_MEMORY;
	if (on)
		command |= PCI_COMMAND_MEMORY;
	return __vfio_pci_config_access(exporter.vdev, true, PCI_COMMAND,
					sizeof(command), &command);
}

static enum outcome set_decode_to(bool on)
{
	int ret = write_decode(on);

	note("memory decode %s: %d", on ? "on" : "off", ret);
	decode = on;
	return expect(ret, 0);
}

static enum outcome set_decode(void)
{
	if (racing || !exporter.vdev)
		return NOTHING;
	return set_decode_to(!one_in(3));
}

static enum outcome reset_exporter(void)
{
	int ret;

	if (!exporter.vdev || !can_reset)
		return NOTHING;
	ret = __vfio_pci_device_reset(exporter.vdev);
	note("reset: %d", ret);
	return expect(ret, 0);
}

/* Each page of the BAR and of the memory tells which one it is */
struct stamp {
	u64 magic;
	u64 where;
};

#define BAR_MAGIC	0xba4ba4ba4ba4ba4bULL
#define MEMORY_MAGIC	0x3e303e303e303e30ULL

static void stamp_pages(u8 *pages, size_t size, u64 magic)
{
	struct stamp *stamp;
	u64 where;

	for (where = 0; where < size; where += PAGE) {
		stamp = (struct stamp *)(pages + where);
		__atomic_store_n(&stamp->magic, magic, __ATOMIC_RELAXED);
		__atomic_store_n(&stamp->where, where, __ATOMIC_RELAXED);
	}
}

/* Not attached to anything yet */
static struct vfio_pci_device *open_device(const struct device *dev)
{
	struct vfio_pci_device *vdev = vfio_pci_device_init(dev->bdf, iommu);

	vfio_device_detach_iommufd_pt(vdev->fd);
	vfio_pci_cmd_set(vdev, PCI_COMMAND_MEMORY);
	return vdev;
}

static void close_device(struct device *dev)
{
	vfio_pci_device_cleanup(dev->vdev);
	dev->vdev = NULL;
	dev->ioas = NONE;
	dev->hwpt = NONE;
}

static void open_exporter(void)
{
	exporter.vdev = open_device(&exporter);
	decode = true;
	stamp_pages(exporter.vdev->bars[bar].vaddr, bar_size, BAR_MAGIC);
}

static void close_exporter(void)
{
	unsigned int i;

	if (!exporter.vdev)
		return;
	close_device(&exporter);
	for (i = 0; i < NR_BUFS; i++)
		bufs[i].dead = true;
}

static enum outcome reopen_exporter(void)
{
	/* Without it there is little to do: to be opened soon */
	if (exporter.vdev && !one_in(8))
		return NOTHING;
	pthread_mutex_lock(&decode_lock);
	if (exporter.vdev) {
		note("close %s", exporter.bdf);
		close_exporter();
	} else {
		note("open %s", exporter.bdf);
		open_exporter();
	}
	pthread_mutex_unlock(&decode_lock);
	return SUCCESS;
}

static void open_dma_dev(void)
{
	dma_dev.vdev = open_device(&dma_dev);
	dma_dev.vdev->driver.region.vaddr = driver_memory;
	dma_dev.vdev->driver.region.size = PAGE;
	vfio_pci_driver_init(dma_dev.vdev);
}

static void forget_iommufd(void)
{
	unsigned int i;

	for (i = 0; i < NR_AREAS; i++)
		areas[i].ioas = NONE;
	for (i = 0; i < NR_HWPT; i++)
		hwpts[i].ioas = NONE;
	for (i = 0; i < NR_IOAS; i++)
		ioases[i].used = false;
}

/* In any order; the last one to go takes all mappings with it */
static void close_all(unsigned int first)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		switch ((first + i) % 3) {
		case 0:
			iommu_cleanup(iommu);
			break;
		case 1:
			close_exporter();
			break;
		case 2:
			close_device(&dma_dev);
			break;
		}
	}
	forget_iommufd();
}

static void open_all(void)
{
	iommu = iommu_init(MODE_IOMMUFD);
	open_exporter();
	open_dma_dev();
}

static enum outcome reopen_all(void)
{
	unsigned int first = below(3);

	note("close all, beginning with %u, and open it again", first);
	pthread_mutex_lock(&decode_lock);
	close_all(first);
	open_all();
	pthread_mutex_unlock(&decode_lock);
	return SUCCESS;
}

/* DMA: reads the stamp of a page by way of edu's buffer */

static bool is_stamp(const struct stamp *stamp)
{
	return stamp->magic == BAR_MAGIC || stamp->magic == MEMORY_MAGIC;
}

static int dma_read(u64 iova, u64 scratch_iova, struct stamp *scratch,
		    struct stamp *found)
{
	static bool buffer_has_stamp = true;
	struct stamp kept = *scratch;
	int ret = 0;

	/* A read that fails finds what the one before has left in the buffer */
	if (buffer_has_stamp) {
		*scratch = (struct stamp){};
		ret = vfio_pci_driver_memcpy(dma_dev.vdev, scratch_iova,
					     scratch_iova, sizeof(*scratch));
		*scratch = kept;
	}
	if (!ret)
		ret = vfio_pci_driver_memcpy(dma_dev.vdev, iova, scratch_iova,
					     sizeof(*scratch));
	*found = *scratch;
	*scratch = kept;
	buffer_has_stamp = is_stamp(found);
	return ret;
}

static struct stamp expected_stamp(const struct area *area, u64 iova)
{
	size_t offset;

	if (!area || !is_visible(area->buf))
		return (struct stamp){};
	offset = area->offset + (iova - area->iova);
	if (!area->buf)
		return (struct stamp){ MEMORY_MAGIC, offset };
	return (struct stamp){ BAR_MAGIC, offset_in_bar(area->buf, offset) };
}

static enum outcome check_dma(u64 iova, const struct area *scratch)
{
	const struct area *area = area_within(dma_dev.ioas, iova, iova);
	struct stamp wanted = expected_stamp(area, iova), found;

	if (dma_read(iova, scratch->iova,
		     (struct stamp *)(memory + scratch->offset), &found)) {
		ksft_print_msg("expected the DMA to end, found it running\n");
		return WRONG;
	}
	note("DMA read of IOVA 0x%lx: 0x%lx, 0x%lx", iova, found.magic,
	     found.where);
	if (wanted.magic && !memcmp(&found, &wanted, sizeof(found)))
		return SUCCESS;
	/* What is read from nowhere is anything, but no stamp */
	if (!wanted.magic && !is_stamp(&found))
		return REFUSED;
	ksft_print_msg("DMA read: expected 0x%lx, 0x%lx\n", wanted.magic,
		       wanted.where);
	return WRONG;
}

static bool edu_reaches(const struct area *area)
{
	return area->ioas != NONE && area->ioas == dma_dev.ioas &&
	       area->iova + area->length - 1 <= EDU_IOVA_LAST;
}

static bool shows_bar(const struct area *area)
{
	return area->buf && is_visible(area->buf);
}

static int choose_scratch(void)
{
	return CHOOSE(areas, edu_reaches(each) && !each->buf && each->writable);
}

static enum outcome dma(void)
{
	int scratch = choose_scratch();
	int target = CHOOSE(areas, edu_reaches(each));
	u64 iova = random_iova();
	enum outcome outcome;

	if (scratch == NONE)
		return NOTHING;
	if (!one_in(4))
		iova = areas[target].iova +
		       below(areas[target].length / PAGE) * PAGE;
	pthread_mutex_lock(&decode_lock);
	outcome = check_dma(iova, &areas[scratch]);
	pthread_mutex_unlock(&decode_lock);
	return outcome;
}

/* Every other time with a revoke before and a restore afterwards */
static bool unmap_area(const struct area *area)
{
	static bool revoke = true;
	u64 removed;
	int wanted;

	revoke = !revoke && !racing;
	if (revoke && set_decode_to(false) == WRONG)
		return false;
	wanted = remove_areas(area->ioas, area->iova,
			      area->iova + area->length - 1, &removed);
	return expect_unmap(area->ioas, area->iova, area->length, wanted,
			    removed) == SUCCESS &&
	       (!revoke || set_decode_to(true) == SUCCESS);
}

static enum outcome dma_around_unmap(int scratch, int target)
{
	struct area area = areas[target];
	u64 iova = area.iova + below(area.length / PAGE) * PAGE;

	if (check_dma(iova, &areas[scratch]) == SUCCESS && unmap_area(&area) &&
	    check_dma(iova, &areas[scratch]) == REFUSED)
		return SUCCESS;
	return WRONG;
}

/* A translation that the IOTLB has must not outlive the one in the tables */
static enum outcome dma_and_unmap(void)
{
	enum outcome outcome = NOTHING;
	int scratch = choose_scratch();
	int target;

	pthread_mutex_lock(&decode_lock);
	target = CHOOSE(areas, edu_reaches(each) && shows_bar(each));
	if (scratch != NONE && target != NONE)
		outcome = dma_around_unmap(scratch, target);
	pthread_mutex_unlock(&decode_lock);
	return outcome;
}

/* The main loop */

static const struct {
	const char *name;
	enum outcome (*call)(void);
	unsigned int weight;
	/* Whether there are arguments that the kernel has to refuse */
	bool refuses;
	/* After it all domains are looked at */
	bool look;
} kinds[] = {
	{ "map a slice of a dma-buf", map_file, 220, true, },
	{ "map memory", map_memory, 60, true, },
	{ "copy", copy_range, 120, true, },
	{ "unmap", unmap_range, 160, true, },
	{ "new IOAS", new_ioas, 60, },
	{ "destroy IOAS", destroy_ioas, 12, true, },
	{ "new HWPT", new_hwpt, 40, true, },
	{ "destroy HWPT", destroy_hwpt, 30, true, },
	{ "attach", attach_device, 50, true, },
	{ "detach", detach_device, 10, },
	{ "export", export_bar, 100, true, },
	{ "close dma-buf", close_buf, 40, },
	{ "memory decode", set_decode, 80, false, true },
	{ "reset", reset_exporter, 8, false, true },
	{ "close and open exporter", reopen_exporter, 60, false, true },
	{ "close and open all", reopen_all, 2, false, true },
	{ "DMA", dma, 8, true, },
	{ "DMA, unmap, DMA", dma_and_unmap, 20, },
};

#define NR_KINDS ARRAY_SIZE(kinds)

static unsigned long counts[NR_KINDS][WRONG + 1];
static unsigned long nr_calls;

static unsigned int choose_kind(void)
{
	unsigned int sum = 0, kind, at;

	for (kind = 0; kind < NR_KINDS; kind++)
		sum += kinds[kind].weight;
	at = below(sum);
	for (kind = 0; at >= kinds[kind].weight; kind++)
		at -= kinds[kind].weight;
	return kind;
}

static bool call_one(void)
{
	unsigned int kind = choose_kind();
	enum outcome outcome = kinds[kind].call();

	counts[kind][outcome]++;
	nr_calls++;
	if (outcome == WRONG) {
		ksft_print_msg("this was a call to: %s\n", kinds[kind].name);
		return false;
	}
	if (outcome == NOTHING || !(kinds[kind].look || one_in(4)))
		return true;
	return all_is_right(kinds[kind].look || one_in(4));
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static bool call_many(unsigned int duration)
{
	double end = seconds() + duration;

	while (seconds() < end) {
		if (call_one())
			continue;
		show_notes();
		return false;
	}
	return true;
}

/* Ended by the main thread */
static bool racer_ends;
static unsigned long nr_races;

static void *race(void *unused)
{
	bool off;

	while (!__atomic_load_n(&racer_ends, __ATOMIC_RELAXED)) {
		pthread_mutex_lock(&decode_lock);
		off = decode;
		if (exporter.vdev && !write_decode(!off)) {
			decode = !off;
			nr_races++;
		}
		pthread_mutex_unlock(&decode_lock);
		/* Mutexes are not fair */
		usleep(100);
	}
	return NULL;
}

static bool run(unsigned int duration)
{
	pthread_t racer;
	bool ok;

	if (racing && pthread_create(&racer, NULL, race, NULL))
		ksft_exit_fail_msg("cannot make a thread\n");
	ok = call_many(duration);
	if (racing) {
		__atomic_store_n(&racer_ends, true, __ATOMIC_RELAXED);
		pthread_join(racer, NULL);
		ksft_print_msg("memory decode changed %lu times meanwhile\n",
			       nr_races);
	}
	return ok;
}

static void report_kind(unsigned int kind)
{
	const unsigned long *count = counts[kind];
	bool missing = !count[SUCCESS] ||
		       (kinds[kind].refuses && !count[REFUSED]);
	const char *name = kinds[kind].name;

	ksft_print_msg("%s: %lu succeeded, %lu refused, %lu without an object\n",
		       name, count[SUCCESS], count[REFUSED], count[NOTHING]);
	if (!missing)
		ksft_test_result_pass("%s\n", name);
	else if (kinds[kind].call == set_decode && racing)
		ksft_test_result(nr_races, "%s, by the other thread\n", name);
	else if (kinds[kind].call == reset_exporter && !can_reset)
		ksft_test_result_skip("%s: the device has none\n", name);
	else if (nr_calls < MANY_CALLS)
		ksft_test_result_skip("%s: %lu calls are too few for each kind\n",
				      name, nr_calls);
	else
		ksft_test_result_fail("%s\n", name);
}

static void check_tables_exist(const struct device *dev)
{
	char path[128];

	snprintf(path, sizeof(path), TABLES, dev->bdf);
	if (access(path, R_OK))
		ksft_exit_skip("cannot read %s: %s\n", path, strerror(errno));
}

/* What is found with the devices open, and does not change afterwards */
static void look_at_devices(void)
{
	struct vfio_pci_device *device;

	iommu = iommu_init(MODE_IOMMUFD);

	device = vfio_pci_device_init(exporter.bdf, iommu);
	bar = vfio_pci_largest_mapped_bar(device) - device->bars;
	bar_size = device->bars[bar].info.size;
	bar_phys = sysfs_bar_start_get(exporter.bdf, bar);
	can_reset = device->info.flags & VFIO_DEVICE_FLAGS_RESET;
	vfio_pci_device_cleanup(device);

	/* Others need memory that is mapped all the time, which is in no model */
	device = vfio_pci_device_init(dma_dev.bdf, iommu);
	if (strcmp(device->driver.ops->name, "edu"))
		ksft_exit_skip("%s is no edu device\n", dma_dev.bdf);
	vfio_pci_device_cleanup(device);

	iommu_cleanup(iommu);
}

static void *alloc_memory(size_t size)
{
	void *address = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (address == MAP_FAILED)
		ksft_exit_fail_msg("no memory: %s\n", strerror(errno));
	return address;
}

static void set_up(void)
{
	unsigned int i;

	check_tables_exist(&exporter);
	check_tables_exist(&dma_dev);
	look_at_devices();

	memory = alloc_memory(MEMORY_PAGES * PAGE);
	stamp_pages(memory, MEMORY_PAGES * PAGE, MEMORY_MAGIC);
	driver_memory = alloc_memory(PAGE);
	legacy_dmabuf = __udmabuf_create(PAGE);
	for (i = 0; i < NR_BUFS; i++)
		bufs[i].fd = NONE;
	exporter.ioas = NONE;
	exporter.hwpt = NONE;
	dma_dev.ioas = NONE;
	dma_dev.hwpt = NONE;
	forget_iommufd();
	open_all();
}

static void tear_down(void)
{
	unsigned int i;

	close_all(below(3));
	for (i = 0; i < NR_BUFS; i++)
		if (bufs[i].fd != NONE)
			close(bufs[i].fd);
	close(legacy_dmabuf);
}

static unsigned int parse_options(int argc, char **argv)
{
	unsigned int duration = 10;
	int option;

	seed = 1;
	while ((option = getopt(argc, argv, "t:s:r")) != -1) {
		switch (option) {
		case 't':
			duration = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			racing = true;
			break;
		default:
			ksft_exit_fail_msg("usage: %s [-t SECONDS] [-s SEED] [-r] BDF BDF\n",
					   argv[0]);
		}
	}
	return duration;
}

int main(int argc, char **argv)
{
	unsigned int duration, kind;
	bool ok;

	ksft_print_header();
	if (getpagesize() != PAGE)
		ksft_exit_skip("needs pages of 4 KiB\n");
	vfio_selftests_get_dmabuf_bdfs(&argc, argv, RANGE_PAGES * PAGE,
				       &exporter.bdf, &dma_dev.bdf);
	duration = parse_options(argc, argv);
	set_up();
	ksft_print_msg("%u seconds, seed %lu%s\n", duration, seed,
		       racing ? ", racing" : "");
	ksft_set_plan(1 + NR_KINDS);
	ok = run(duration);
	ksft_print_msg("%lu calls, %lu looks at page tables\n", nr_calls,
		       nr_looks);
	ksft_test_result(ok, "each call and each page table is right, seed %lu\n",
			 seed);
	for (kind = 0; kind < NR_KINDS; kind++)
		report_kind(kind);
	tear_down();
	ksft_finished();
}
