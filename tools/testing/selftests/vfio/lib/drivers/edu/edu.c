// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's educational device, which docs/specs/edu in QEMU's sources describes.
 *
 * Its DMA engine moves data between memory and a buffer in the device, so a
 * memcpy takes two transfers. Each one takes QEMU 100 ms. The device does not
 * tell if an access was refused, and goes on with whatever the buffer has.
 *
 * Bits of an address that the device's property dma_mask does not have are
 * ignored. The default has 28 bits, "-device edu,dma_mask=0xffffffffffffffff"
 * has all of them.
 */
#include <unistd.h>

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/sizes.h>

#include <libvfio.h>

#define EDU_VENDOR_ID		0x1234
#define EDU_DEVICE_ID		0x11e8

#define EDU_ID			0x00
#define EDU_ID_MASK		0x0000ffff
#define EDU_ID_MAGIC		0x000000ed

#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64

#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_CMD		0x98
#define EDU_DMA_CMD_RUN		BIT(0)
#define EDU_DMA_CMD_TO_MEMORY	BIT(1)

/* Where the buffer is, as seen by the DMA engine. */
#define EDU_BUFFER		0x40000

/*
 * The buffer has 4096 bytes, but some versions of QEMU refuse a transfer that
 * includes the last one of them.
 */
#define EDU_MAX_SIZE		SZ_2K
/* So many copies take less than 10 seconds. */
#define EDU_MAX_COUNT		32

#define EDU_TIMEOUT_MS		5000

struct edu_state {
	/* What memcpy_start() was asked for, up to the end of memcpy_wait(). */
	iova_t src;
	iova_t dst;
	u64 size;
	u64 count;
};

static inline struct edu_state *to_edu_state(struct vfio_pci_device *device)
{
	return device->driver.region.vaddr;
}

static inline void *edu_registers(struct vfio_pci_device *device)
{
	return device->bars[0].vaddr;
}

static int edu_probe(struct vfio_pci_device *device)
{
	if (!vfio_pci_device_match(device, EDU_VENDOR_ID, EDU_DEVICE_ID))
		return -EINVAL;

	VFIO_ASSERT_NOT_NULL(edu_registers(device));

	return 0;
}

static void edu_dma_start(struct vfio_pci_device *device, u64 src, u64 dst,
			  u64 size, u32 direction)
{
	void *registers = edu_registers(device);

	writeq(src, registers + EDU_DMA_SRC);
	writeq(dst, registers + EDU_DMA_DST);
	writeq(size, registers + EDU_DMA_COUNT);
	writel(direction | EDU_DMA_CMD_RUN, registers + EDU_DMA_CMD);
}

static int edu_dma_wait(struct vfio_pci_device *device)
{
	void *registers = edu_registers(device);
	u32 ms;

	for (ms = 0; ms < EDU_TIMEOUT_MS; ms++) {
		if (!(readl(registers + EDU_DMA_CMD) & EDU_DMA_CMD_RUN))
			return 0;

		usleep(1000);
	}

	dev_err(device, "edu: Timed out waiting for the DMA engine\n");
	return -ETIMEDOUT;
}

static void edu_read_start(struct vfio_pci_device *device)
{
	struct edu_state *edu = to_edu_state(device);

	edu_dma_start(device, edu->src, EDU_BUFFER, edu->size, 0);
}

static void edu_write_start(struct vfio_pci_device *device)
{
	struct edu_state *edu = to_edu_state(device);

	edu_dma_start(device, EDU_BUFFER, edu->dst, edu->size,
		      EDU_DMA_CMD_TO_MEMORY);
}

static void edu_init(struct vfio_pci_device *device)
{
	u32 id;

	VFIO_ASSERT_GE(device->driver.region.size, sizeof(struct edu_state));

	vfio_pci_config_writew(device, PCI_COMMAND,
			       PCI_COMMAND_MEMORY |
			       PCI_COMMAND_MASTER |
			       PCI_COMMAND_INTX_DISABLE);

	id = readl(edu_registers(device) + EDU_ID);
	VFIO_ASSERT_EQ(id & EDU_ID_MASK, EDU_ID_MAGIC);

	vfio_pci_msi_enable(device, 0, 1);

	device->driver.msi = 0;
	device->driver.max_memcpy_size = EDU_MAX_SIZE;
	device->driver.max_memcpy_count = EDU_MAX_COUNT;
}

static void edu_remove(struct vfio_pci_device *device)
{
	vfio_pci_msi_disable(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
}

static void edu_memcpy_start(struct vfio_pci_device *device, iova_t src,
			     iova_t dst, u64 size, u64 count)
{
	struct edu_state *edu = to_edu_state(device);

	*edu = (struct edu_state) {
		.src = src,
		.dst = dst,
		.size = size,
		.count = count,
	};

	if (count)
		edu_read_start(device);
}

static int edu_memcpy_wait(struct vfio_pci_device *device)
{
	struct edu_state *edu = to_edu_state(device);
	int r;

	while (edu->count) {
		r = edu_dma_wait(device);
		if (r)
			return r;

		edu_write_start(device);
		r = edu_dma_wait(device);
		if (r)
			return r;

		if (--edu->count)
			edu_read_start(device);
	}

	return 0;
}

static void edu_send_msi(struct vfio_pci_device *device)
{
	void *registers = edu_registers(device);

	/* Without the second write the next interrupt finds this one pending. */
	writel(1, registers + EDU_IRQ_RAISE);
	writel(1, registers + EDU_IRQ_ACK);
}

const struct vfio_pci_driver_ops edu_ops = {
	.name = "edu",
	.probe = edu_probe,
	.init = edu_init,
	.remove = edu_remove,
	.memcpy_start = edu_memcpy_start,
	.memcpy_wait = edu_memcpy_wait,
	.send_msi = edu_send_msi,
};
