// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whom the page tables of an imported dma-buf are charged to, in particular those
 * that a restore makes anew: two processes, each with a device and an iommufd of
 * its own, in a memory cgroup each. The importer gets the exporter's dma-buf of a
 * BAR by its fd, and maps it often, in pages of 4 KiB. The exporter then turns
 * memory decode off and on, or resets its device.
 *
 * Usage: vfio_dmabuf_memcg_test [options] BDF BDF
 *
 * The devices are those of vfio_dmabuf_test.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/limits.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "cgroup_util.h"
#include "kselftest_harness.h"

#define PAGE		SZ_4K
#define PROBE		256

/* How often the BAR is mapped, which has to take more than one CPU caches */
#define COPIES		256
#define IOVA_FIRST	0x100000000UL
#define IOVA_SCRATCH	0x4000000UL
#define IOVA_OTHER	0x4001000UL
#define IOVA_DRIVER	0xc000000UL

static const char *exporter_bdf;
static const char *dma_bdf;

/* What a process is asked for. It answers with an int, 0 or an errno if not said */
enum request {
	DECODE_OFF,
	DECODE_ON,
	RESET,
	/* How many dma-bufs the last restore left something out of */
	INCOMPLETE,
	/* Whether DMA to the last mapping reads the BAR: 1 or 0 */
	ARRIVES,
};

struct process {
	char *cgroup;
	pid_t pid;
	/* Pipes whose other ends are in the process */
	int requests;
	int answers;
};

FIXTURE(memcg) {
	struct process exporter;
	struct process importer;
	/* What the page tables of all that is mapped take at least */
	long page_tables;
};

/* What the importer is told of the exporter's dma-buf */
struct buffer {
	pid_t pid;
	int fd;
	int size;
};

static u8 byte_of_bar(size_t offset)
{
	return 0x80 | (offset * 31 ^ offset >> 8);
}

static void send_int(int fd, int value)
{
	VFIO_ASSERT_EQ(write(fd, &value, sizeof(value)),
		       (ssize_t)sizeof(value));
}

/* Returns false if the other side is gone */
static bool receive_int(int fd, int *value)
{
	return read(fd, value, sizeof(*value)) == sizeof(*value);
}

/* The exporter's process */

static int incomplete(struct vfio_pci_device *device)
{
	struct {
		struct vfio_device_feature header;
		struct vfio_device_feature_dma_buf_restore restore;
	} args = {
		.header.argsz = sizeof(args),
		.header.flags = VFIO_DEVICE_FEATURE_GET |
				VFIO_DEVICE_FEATURE_DMA_BUF_RESTORE,
	};

	ioctl_assert(device->fd, VFIO_DEVICE_FEATURE, &args);
	return args.restore.nr_incomplete;
}

static int reset(struct vfio_pci_device *device)
{
	if (device->info.flags & VFIO_DEVICE_FLAGS_RESET)
		return -__vfio_pci_device_reset(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MEMORY);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	return 0;
}

static void run_exporter(int requests, int answers, const struct buffer *unused)
{
	struct vfio_region_dma_range range = {};
	struct vfio_pci_device *device;
	struct vfio_pci_bar *bar;
	struct iommu *iommu;
	int fd, request;
	size_t i;

	iommu = iommu_init(MODE_IOMMUFD);
	device = vfio_pci_device_init(exporter_bdf, iommu);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	bar = vfio_pci_largest_mapped_bar(device);
	for (i = 0; i < bar->info.size; i++)
		((u8 *)bar->vaddr)[i] = byte_of_bar(i);

	range.length = bar->info.size;
	fd = vfio_pci_dmabuf_export(device, bar - device->bars, &range, 1);
	send_int(answers, fd);
	send_int(answers, range.length);

	while (receive_int(requests, &request)) {
		switch (request) {
		case DECODE_OFF:
			vfio_pci_cmd_clear(device, PCI_COMMAND_MEMORY);
			send_int(answers, 0);
			break;
		case DECODE_ON:
			vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
			send_int(answers, 0);
			break;
		case RESET:
			send_int(answers, reset(device));
			break;
		case INCOMPLETE:
			send_int(answers, incomplete(device));
			break;
		default:
			_exit(1);
		}
	}
	_exit(0);
}

/* The importer's */

static void *map_memory(struct iommu *iommu, struct dma_region *region,
			size_t size, iova_t iova)
{
	region->size = size;
	region->iova = iova;
	region->vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	VFIO_ASSERT_NE(region->vaddr, MAP_FAILED);
	iommu_map(iommu, region);
	return region->vaddr;
}

static void map_often(struct iommu *iommu, int fd, u64 size)
{
	u32 flags = DMABUF_MAP_FLAGS | IOMMU_IOAS_MAP_FIXED_IOVA;
	iova_t iova;
	int i;

	dmabuf_map_fixed(iommu, fd, 0, size, IOVA_FIRST);
	for (i = 1; i < COPIES; i++) {
		iova = IOVA_FIRST + i * size;
		VFIO_ASSERT_EQ(__iommu_ioas_copy(iommu, flags, iommu->ioas_id,
						 IOVA_FIRST, size,
						 iommu->ioas_id, &iova), 0);
	}
}

/* Without other bytes before, the device would still have those of the BAR */
static bool arrives(struct vfio_pci_device *device, u8 *scratch, u64 size)
{
	iova_t last = IOVA_FIRST + (COPIES - 1) * size;
	size_t offset = size - PAGE, i;

	VFIO_ASSERT_EQ(vfio_pci_driver_memcpy(device, IOVA_OTHER, IOVA_SCRATCH,
					      PROBE), 0);
	VFIO_ASSERT_EQ(vfio_pci_driver_memcpy(device, last + offset,
					      IOVA_SCRATCH, PROBE), 0);
	for (i = 0; i < PROBE; i++)
		if (scratch[i] != byte_of_bar(offset + i))
			return false;
	return true;
}

static int get_fd(const struct buffer *buffer)
{
	int fd, pidfd = syscall(SYS_pidfd_open, buffer->pid, 0);

	VFIO_ASSERT_GE(pidfd, 0);
	fd = syscall(SYS_pidfd_getfd, pidfd, buffer->fd, 0);
	VFIO_ASSERT_GE(fd, 0);
	VFIO_ASSERT_EQ(close(pidfd), 0);
	return fd;
}

static void run_importer(int requests, int answers, const struct buffer *buffer)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
	};
	struct dma_region scratch, other;
	struct vfio_pci_device *device;
	const u64 size = buffer->size;
	struct iommu *iommu;
	int fd, request;

	iommu = iommu_init(MODE_IOMMUFD);
	option.object_id = iommu->ioas_id;
	ioctl_assert(iommu->iommufd, IOMMU_OPTION, &option);
	device = vfio_pci_device_init(dma_bdf, iommu);
	map_memory(iommu, &device->driver.region, SZ_2M, IOVA_DRIVER);
	vfio_pci_driver_init(device);
	map_memory(iommu, &scratch, PAGE, IOVA_SCRATCH);
	map_memory(iommu, &other, PAGE, IOVA_OTHER);

	fd = get_fd(buffer);
	map_often(iommu, fd, size);
	VFIO_ASSERT_EQ(close(fd), 0);
	send_int(answers, size / SZ_2M * COPIES * PAGE);

	while (receive_int(requests, &request)) {
		if (request != ARRIVES)
			_exit(1);
		send_int(answers, arrives(device, scratch.vaddr, size));
	}
	_exit(0);
}

/* This one */

static void start(struct process *process, const char *root, const char *name,
		  void (*run)(int requests, int answers,
			      const struct buffer *buffer),
		  const struct buffer *buffer)
{
	int requests[2], answers[2];

	process->cgroup = cg_name(root, name);
	VFIO_ASSERT_NOT_NULL(process->cgroup);
	VFIO_ASSERT_EQ(cg_create(process->cgroup), 0);
	VFIO_ASSERT_EQ(pipe(requests), 0);
	VFIO_ASSERT_EQ(pipe(answers), 0);
	process->pid = fork();
	VFIO_ASSERT_GE(process->pid, 0);
	if (!process->pid) {
		VFIO_ASSERT_EQ(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
		VFIO_ASSERT_EQ(cg_enter_current(process->cgroup), 0);
		run(requests[0], answers[1], buffer);
	}
	close(requests[0]);
	close(answers[1]);
	process->requests = requests[1];
	process->answers = answers[0];
}

static void stop(struct process *process)
{
	if (!process->pid)
		return;
	kill(process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
	close(process->requests);
	close(process->answers);
	cg_write(process->cgroup, "memory.max", "max");
	cg_destroy(process->cgroup);
	free(process->cgroup);
}

static int answer(struct process *process)
{
	int value;

	if (receive_int(process->answers, &value))
		return value;
	ksft_print_msg("the process of %s is gone\n", process->cgroup);
	return -1;
}

static int ask(struct process *process, int request)
{
	if (write(process->requests, &request, sizeof(request)) < 0)
		ksft_print_msg("%s hears nothing\n", process->cgroup);
	return answer(process);
}

/* The kernel adds up what the CPUs have counted, and not all, every two seconds */
static void settle(void)
{
	usleep(3000000);
}

/* All that is charged to the kernel, and that the page tables of IOMMUs take */
static long kernel_memory(struct process *process)
{
	long value = cg_read_key_long(process->cgroup, "memory.stat",
				      "kernel ");

	ksft_print_msg("%s has %ld bytes of kernel memory, %ld of them page tables of IOMMUs\n",
		       process->cgroup, value,
		       cg_read_key_long(process->cgroup, "memory.stat",
					"sec_pagetables "));
	return value;
}

static long iommu_memory(struct process *process)
{
	return cg_read_key_long(process->cgroup, "memory.stat",
				"sec_pagetables ");
}

static long oom_kills(struct process *process)
{
	return cg_read_key_long(process->cgroup, "memory.events", "oom_kill ");
}

/* To what it has, so that more than the CPUs have cached of it is too much */
static void limit_memory(struct process *process)
{
	long bytes = cg_read_long(process->cgroup, "memory.current");

	ksft_print_msg("limit %s to %ld bytes\n", process->cgroup, bytes);
	VFIO_ASSERT_EQ(cg_write_numeric(process->cgroup, "memory.max", bytes),
		       0);
}

static void unlimit_memory(struct process *process)
{
	ksft_print_msg("no limit of %s any more\n", process->cgroup);
	VFIO_ASSERT_EQ(cg_write(process->cgroup, "memory.max", "max"), 0);
}

FIXTURE_SETUP(memcg)
{
	struct buffer buffer;
	char root[PATH_MAX];

	if (cg_find_unified_root(root, sizeof(root), NULL))
		SKIP(return, "the unified cgroup hierarchy is not mounted");
	if (cg_read_strstr(root, "cgroup.controllers", "memory"))
		SKIP(return, "needs CONFIG_MEMCG");
	ASSERT_EQ(0, cg_write(root, "cgroup.subtree_control", "+memory"));

	signal(SIGPIPE, SIG_IGN);
	start(&self->exporter, root, "dmabuf-exporter", run_exporter, NULL);
	buffer.pid = self->exporter.pid;
	buffer.fd = answer(&self->exporter);
	ASSERT_LE(0, buffer.fd);
	buffer.size = answer(&self->exporter);
	start(&self->importer, root, "dmabuf-importer", run_importer, &buffer);
	self->page_tables = answer(&self->importer);
	ASSERT_LT(0, self->page_tables);
	ASSERT_EQ(1, ask(&self->importer, ARRIVES));
}

FIXTURE_TEARDOWN(memcg)
{
	stop(&self->importer);
	stop(&self->exporter);
}

/* What both have, while all is mapped: the importer's share, as nothing grows */
static bool importer_pays(FIXTURE_DATA(memcg) * self, long exporter_kernel)
{
	long exporter, importer;
	bool ok = true;

	settle();
	exporter = kernel_memory(&self->exporter);
	importer = kernel_memory(&self->importer);

	if (iommu_memory(&self->importer) < self->page_tables ||
	    importer < self->page_tables) {
		ksft_print_msg("expected the importer to be charged for %ld bytes\n",
			       self->page_tables);
		ok = false;
	}
	/* It allocates other things, too */
	if (exporter > exporter_kernel + self->page_tables / 8) {
		ksft_print_msg("expected the exporter to have not much more than %ld bytes\n",
			       exporter_kernel);
		ok = false;
	}
	return ok;
}

TEST_F_TIMEOUT(memcg, importer_pays, 600)
{
	long exporter;
	int i;

	settle();
	exporter = kernel_memory(&self->exporter);
	ASSERT_TRUE(importer_pays(self, exporter));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ask(&self->exporter, DECODE_OFF));
		ksft_print_msg("revoked\n");
		settle();
		EXPECT_GT(self->page_tables / 2, iommu_memory(&self->importer));
		kernel_memory(&self->importer);
		ASSERT_EQ(0, ask(&self->importer, ARRIVES));

		ASSERT_EQ(0, ask(&self->exporter, DECODE_ON));
		ksft_print_msg("restored\n");
		EXPECT_EQ(1, ask(&self->importer, ARRIVES));
		EXPECT_TRUE(importer_pays(self, exporter));
	}
	ASSERT_EQ(0, ask(&self->exporter, RESET));
	ksft_print_msg("reset\n");
	EXPECT_EQ(1, ask(&self->importer, ARRIVES));
	EXPECT_TRUE(importer_pays(self, exporter));
}

/* An exporter without room for the page tables of others does not need it */
TEST_F_TIMEOUT(memcg, exporter_at_limit, 600)
{
	limit_memory(&self->exporter);
	ASSERT_EQ(0, ask(&self->exporter, RESET));
	ASSERT_EQ(0, ask(&self->exporter, INCOMPLETE));
	EXPECT_EQ(0, oom_kills(&self->exporter));
	ASSERT_EQ(1, ask(&self->importer, ARRIVES));
	unlimit_memory(&self->exporter);
}

/* One that has no room for its own stays without, and hurts nobody else */
TEST_F_TIMEOUT(memcg, importer_at_limit, 600)
{
	ASSERT_EQ(0, ask(&self->exporter, DECODE_OFF));
	limit_memory(&self->importer);
	ASSERT_EQ(0, ask(&self->exporter, DECODE_ON));
	ksft_print_msg("restored as far as that goes\n");
	EXPECT_EQ(1, ask(&self->exporter, INCOMPLETE));
	EXPECT_EQ(0, oom_kills(&self->exporter));
	EXPECT_EQ(0, oom_kills(&self->importer));
	settle();
	EXPECT_GT(self->page_tables, iommu_memory(&self->importer));

	/* The same by a reset, which succeeds */
	ASSERT_EQ(0, ask(&self->exporter, RESET));
	EXPECT_EQ(1, ask(&self->exporter, INCOMPLETE));

	/* Room alone brings nothing back */
	unlimit_memory(&self->importer);
	ASSERT_EQ(0, ask(&self->importer, ARRIVES));
	ASSERT_EQ(0, ask(&self->exporter, DECODE_ON));
	EXPECT_EQ(0, ask(&self->exporter, INCOMPLETE));
	ASSERT_EQ(1, ask(&self->importer, ARRIVES));
	settle();
	EXPECT_LE(self->page_tables, iommu_memory(&self->importer));
}

int main(int argc, char *argv[])
{
	if (getpagesize() != PAGE)
		ksft_exit_skip("needs pages of 4 KiB\n");
	vfio_selftests_get_dmabuf_bdfs(&argc, argv, SZ_2M, &exporter_bdf,
				       &dma_bdf);
	if (!sysfs_iommu_present(dma_bdf))
		ksft_exit_skip("%s is not behind an IOMMU\n", dma_bdf);

	return test_harness_run(argc, argv);
}
