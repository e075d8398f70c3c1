// SPDX-License-Identifier: GPL-2.0-only
/*
 * An exporter for the tests of the mapping types: it says what it is told, and
 * counts what it is asked.
 */
#include <kunit/device.h>
#include <kunit/static_stub.h>
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kmsg_dump.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "helpers.h"

static struct test_exporter *to_exporter(struct dma_buf_attachment *attach)
{
	return attach->dmabuf->priv;
}

static int exp_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct test_exporter *exp = dmabuf->priv;

	exp->saw_p2p = attach->peer2peer;
	exp->saw_revocable = dma_buf_attach_revocable(attach);
	if (exp->err.attach)
		return exp->err.attach;
	if (exp->deny_p2p)
		attach->peer2peer = false;
	exp->calls.attach++;
	return 0;
}

static void exp_detach(struct dma_buf *dmabuf,
		       struct dma_buf_attachment *attach)
{
	struct test_exporter *exp = dmabuf->priv;

	exp->calls.detach++;
}

static bool is_listed(const struct dma_buf_attachment *attach)
{
	const struct dma_buf_attachment *other;

	list_for_each_entry(other, &attach->dmabuf->attachments, node)
		if (other == attach)
			return true;
	return false;
}

static int exp_pin(struct dma_buf_attachment *attach)
{
	struct test_exporter *exp = to_exporter(attach);

	dma_resv_assert_held(attach->dmabuf->resv);
	exp->saw_itself = is_listed(attach);
	if (exp->err.pin)
		return exp->err.pin;
	exp->calls.pin++;
	if (exp->on_pin)
		exp->on_pin(exp);
	return 0;
}

static void exp_unpin(struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);
	to_exporter(attach)->calls.unpin++;
}

static int exp_begin_cpu_access(struct dma_buf *dmabuf,
				enum dma_data_direction dir)
{
	struct test_exporter *exp = dmabuf->priv;

	if (exp->on_cpu_access)
		exp->on_cpu_access(exp, true, dir);
	return exp->err.begin_cpu_access;
}

static int exp_end_cpu_access(struct dma_buf *dmabuf,
			      enum dma_data_direction dir)
{
	struct test_exporter *exp = dmabuf->priv;

	if (exp->on_cpu_access)
		exp->on_cpu_access(exp, false, dir);
	return exp->err.end_cpu_access;
}

static void exp_release(struct dma_buf *dmabuf)
{
	struct test_exporter *exp = dmabuf->priv;

	complete(&exp->released);
}

static int exp_match(struct dma_buf_match_args *args)
{
	struct test_exporter *exp = to_exporter(args->attach);
	struct dma_buf_mapping_match entries[TEST_MAX_ENTRIES];
	unsigned int i;
	int ret = 0;

	memcpy(entries, exp->entries, sizeof(entries));
	for (i = 0; i < exp->match_calls && !ret; i++)
		ret = dma_buf_match_mapping(args, entries, exp->num_entries);
	/* Core has to have copied what it needs of the list */
	memset(entries, 0xff, sizeof(entries));
	return exp->err.match ?: ret;
}

static const struct dma_buf_phys_list *
exp_map_phys(struct dma_buf_attachment *attach)
{
	struct test_exporter *exp = to_exporter(attach);

	dma_resv_assert_held(attach->dmabuf->resv);
	if (exp->err.map_phys)
		return ERR_PTR(exp->err.map_phys);
	if (exp->list)
		exp->calls.map_phys++;
	return exp->list;
}

static void exp_unmap_phys(struct dma_buf_attachment *attach,
			   const struct dma_buf_phys_list *list)
{
	struct test_exporter *exp = to_exporter(attach);

	dma_resv_assert_held(attach->dmabuf->resv);
	/* And no other lock, which the exporter could wait for in vain */
	KUNIT_EXPECT_LE(exp->test, lockdep_depth(current), 1);
	exp->calls.unmap_phys++;
	if (exp->on_unmap_phys)
		exp->on_unmap_phys(exp);
}

const struct dma_buf_pal_exp_ops test_pal_ops = {
	.map_phys = exp_map_phys,
	.unmap_phys = exp_unmap_phys,
};

/* One entry, at an address that a test recognises as that of this exporter */
static struct sg_table *exp_map_sgt(struct dma_buf_attachment *attach,
				    enum dma_data_direction dir)
{
	struct test_exporter *exp = to_exporter(attach);
	struct sg_table *sgt;

	if (exp->null_table)
		return NULL;
	if (exp->err.map_sgt)
		return ERR_PTR(exp->err.map_sgt);

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	if (sg_alloc_table(sgt, 1, GFP_KERNEL)) {
		kfree(sgt);
		return ERR_PTR(-ENOMEM);
	}
	sg_dma_address(sgt->sgl) = SZ_1G;
	sg_dma_len(sgt->sgl) = attach->dmabuf->size;
	exp->calls.map_sgt++;
	return sgt;
}

static void exp_unmap_sgt(struct dma_buf_attachment *attach,
			  struct sg_table *sgt, enum dma_data_direction dir)
{
	to_exporter(attach)->calls.unmap_sgt++;
	sg_free_table(sgt);
	kfree(sgt);
}

const struct dma_buf_sgt_exp_ops test_sgt_ops = {
	.map = exp_map_sgt,
	.unmap = exp_unmap_sgt,
};

const struct dma_buf_ops test_stated_ops = {
	.match_mapping = exp_match,
	.attach = exp_attach,
	.detach = exp_detach,
	.pin = exp_pin,
	.unpin = exp_unpin,
	.begin_cpu_access = exp_begin_cpu_access,
	.end_cpu_access = exp_end_cpu_access,
	.release = exp_release,
};

const struct dma_buf_ops test_stated_nopin_ops = {
	.match_mapping = exp_match,
	.attach = exp_attach,
	.detach = exp_detach,
	.release = exp_release,
};

const struct dma_buf_ops test_legacy_ops = {
	.attach = exp_attach,
	.detach = exp_detach,
	.pin = exp_pin,
	.unpin = exp_unpin,
	.map_dma_buf = exp_map_sgt,
	.unmap_dma_buf = exp_unmap_sgt,
	.release = exp_release,
};

const struct dma_buf_ops test_both_ops = {
	.match_mapping = exp_match,
	.attach = exp_attach,
	.detach = exp_detach,
	.pin = exp_pin,
	.unpin = exp_unpin,
	.map_dma_buf = exp_map_sgt,
	.unmap_dma_buf = exp_unmap_sgt,
	.release = exp_release,
};

static void importer_invalidate(struct dma_buf_attachment *attach)
{
	unsigned int *calls = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (calls)
		(*calls)++;
}

const struct dma_buf_attach_ops test_p2p_importer = {
	.allow_peer2peer = true,
	.invalidate_mappings = importer_invalidate,
};

const struct dma_buf_attach_ops test_nop2p_importer = {
	.invalidate_mappings = importer_invalidate,
};

/**
 * test_expect_idle - expect that nothing of the buffer is in use any more
 * @exp: the exporter
 *
 * Every test ends with it by itself, see test_exporter().
 */
void test_expect_idle(struct test_exporter *exp)
{
	struct kunit *test = exp->test;

	KUNIT_EXPECT_EQ(test, exp->calls.attach, exp->calls.detach);
	KUNIT_EXPECT_EQ(test, exp->calls.pin, exp->calls.unpin);
	KUNIT_EXPECT_EQ(test, exp->calls.map_phys, exp->calls.unmap_phys);
	KUNIT_EXPECT_EQ(test, exp->calls.map_sgt, exp->calls.unmap_sgt);
	KUNIT_EXPECT_TRUE(test, list_empty(&exp->dmabuf->attachments));
	KUNIT_EXPECT_TRUE(test, list_empty(&exp->dmabuf->pal_indexes));
	KUNIT_EXPECT_EQ(test, exp->dmabuf->cpu_synced, 0);
}

static void exporter_free(void *data)
{
	struct test_exporter *exp = data;

	test_expect_idle(exp);
	dma_buf_put(exp->dmabuf);
	/* The last reference of a file is dropped by a worker */
	KUNIT_EXPECT_NE(exp->test, 0,
			wait_for_completion_timeout(&exp->released, 10 * HZ));
}

/**
 * test_exporter - make an exporter and its buffer
 * @test: test that it lives as long as
 * @ops: what sort of an exporter it is
 * @size: of the buffer in bytes
 *
 * Return: The exporter. The test ends if there is none.
 */
struct test_exporter *test_exporter(struct kunit *test,
				    const struct dma_buf_ops *ops, size_t size)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct test_exporter *exp;
	int ret;

	exp = kunit_kzalloc(test, sizeof(*exp), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, exp);
	exp->test = test;
	exp->match_calls = 1;
	init_completion(&exp->released);

	info.ops = ops;
	info.size = size;
	info.flags = O_RDWR;
	info.priv = exp;
	exp->dmabuf = dma_buf_export(&info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, exp->dmabuf);
	ret = kunit_add_action_or_reset(test, exporter_free, exp);
	KUNIT_ASSERT_EQ(test, ret, 0);
	return exp;
}

/**
 * test_stating - make an exporter of a few types, with a buffer of 64 KiB
 * @test: test that it lives as long as
 * @entries: what it states
 * @num: number of @entries
 *
 * Return: The exporter. The test ends if there is none.
 */
struct test_exporter *test_stating(struct kunit *test,
				   const struct dma_buf_mapping_match *entries,
				   unsigned int num)
{
	struct test_exporter *exp = test_exporter(test, &test_stated_ops, SZ_64K);

	KUNIT_ASSERT_LE(test, num, TEST_MAX_ENTRIES);
	memcpy(exp->entries, entries, num * sizeof(*entries));
	exp->num_entries = num;
	return exp;
}

/**
 * test_pal_exporter - make an exporter of PAL that can pin
 * @test: test that it lives as long as
 * @list: its ranges, which give the buffer its size, and their attributes
 *
 * Return: The exporter. The test ends if there is none.
 */
struct test_exporter *test_pal_exporter(struct kunit *test,
					const struct dma_buf_phys_list *list)
{
	struct test_exporter *exp;

	exp = test_exporter(test, &test_stated_ops, test_list_size(list));
	exp->list = list;
	exp->entries[0] = DMA_BUF_EMAPPING_PAL(&test_pal_ops, list->attrs,
					       list->provider);
	exp->num_entries = 1;
	return exp;
}

size_t test_list_size(const struct dma_buf_phys_list *list)
{
	size_t sum = 0, i;

	for (i = 0; i < list->nr_ranges; i++)
		sum += list->ranges[i].len;
	return sum;
}

KUNIT_DEFINE_ACTION_WRAPPER(list_free, kvfree, const void *);

/* CONFIG_DMABUF_DEBUG would not */
static bool takes_made_up_memory(const struct phys_vec *range)
{
	return false;
}

struct dma_buf_phys_list *test_list_alloc(struct kunit *test, size_t nr)
{
	struct dma_buf_phys_list *list;
	int ret;

	kunit_activate_static_stub(test, dma_buf_pal_lacks_pages,
				   takes_made_up_memory);
	list = kvzalloc(struct_size(list, ranges, nr), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, list);
	ret = kunit_add_action_or_reset(test, list_free, list);
	KUNIT_ASSERT_EQ(test, ret, 0);
	list->nr_ranges = nr;
	return list;
}

struct dma_buf_phys_list *test_list(struct kunit *test,
				    const struct phys_vec *ranges, size_t nr)
{
	struct dma_buf_phys_list *list = test_list_alloc(test, nr);

	memcpy(list->ranges, ranges, nr * sizeof(*ranges));
	return list;
}

u32 test_random(struct rnd_state *rnd, u32 below)
{
	return prandom_u32_state(rnd) % below;
}

/**
 * test_random_list - ranges in random order, some of them adjacent
 * @test: test that the list lives as long as
 * @rnd: where the randomness comes from
 * @nr: number of ranges
 * @max_pages: that a range has
 *
 * No range is at address 0, which iommu_iova_to_phys() has another use for.
 *
 * Return: The list. The test ends if there is no memory for it.
 */
struct dma_buf_phys_list *test_random_list(struct kunit *test,
					   struct rnd_state *rnd, size_t nr,
					   size_t max_pages)
{
	struct dma_buf_phys_list *list = test_list_alloc(test, nr);
	size_t i;

	for (i = 0; i < nr; i++) {
		struct phys_vec *range = &list->ranges[i];

		if (i && !test_random(rnd, 3))
			range->paddr = range[-1].paddr + range[-1].len;
		else
			range->paddr = SZ_1G +
				(u64)test_random(rnd, 1 << 24) * PAGE_SIZE;
		range->len = (1 + test_random(rnd, max_pages)) * PAGE_SIZE;
	}
	return list;
}

/* The reference: one range after the other until the offset is reached */
phys_addr_t test_list_paddr(const struct dma_buf_phys_list *list, size_t offset)
{
	size_t i;

	for (i = 0; offset >= list->ranges[i].len; i++)
		offset -= list->ranges[i].len;
	return list->ranges[i].paddr + offset;
}

/*
 * Goes along table and list side by side, range by range. Tells the first
 * offset at which they differ, or the size.
 */
size_t test_sgt_difference(struct sg_table *sgt,
			   const struct dma_buf_phys_list *list)
{
	const struct phys_vec *range = list->ranges;
	size_t size = test_list_size(list);
	size_t offset = 0, used = 0;
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		dma_addr_t addr = sg_dma_address(sg);
		size_t left = sg_dma_len(sg);

		while (left && offset < size) {
			size_t len = min(left, range->len - used);

			if (addr != range->paddr + used)
				return offset;
			addr += len;
			left -= len;
			offset += len;
			used += len;
			if (used == range->len) {
				range++;
				used = 0;
			}
		}
		/* Longer than the list */
		if (left)
			return size + left;
	}
	return offset;
}

static void detach(void *data)
{
	struct dma_buf_attachment *attach = data;

	dma_buf_detach(attach->dmabuf, attach);
}

/**
 * test_attach - attach, until test_detach() or the end of the test
 * @exp: the exporter
 * @imp: importer's list
 * @num_imp: entries in it
 * @ops: importer's callbacks
 *
 * Return: The attachment, or the ERR_PTR() of dma_buf_mapping_attach().
 */
struct dma_buf_attachment *
test_attach(struct test_exporter *exp, const struct dma_buf_mapping_match *imp,
	    unsigned int num_imp, const struct dma_buf_attach_ops *ops)
{
	struct dma_buf_attachment *attach;
	int ret;

	attach = dma_buf_mapping_attach(exp->dmabuf, imp, num_imp, ops, NULL);
	if (IS_ERR(attach))
		return attach;
	ret = kunit_add_action_or_reset(exp->test, detach, attach);
	return ret ? ERR_PTR(ret) : attach;
}

struct dma_buf_attachment *test_attach_sgt(struct test_exporter *exp,
					   struct device *dev,
					   const struct dma_buf_attach_ops *ops)
{
	const struct dma_buf_mapping_match imp = DMA_BUF_IMAPPING_SGT(dev);

	return test_attach(exp, &imp, 1, ops);
}

void test_detach(struct test_exporter *exp, struct dma_buf_attachment *attach)
{
	kunit_release_action(exp->test, detach, attach);
}

void test_invalidate(struct test_exporter *exp)
{
	dma_resv_lock(exp->dmabuf->resv, NULL);
	dma_buf_invalidate_mappings(exp->dmabuf);
	dma_resv_unlock(exp->dmabuf->resv);
}

/* As vfio does it: from here on the memory is not to be used */
void test_revoke(struct test_exporter *exp)
{
	exp->err.map_phys = -ENODEV;
	test_invalidate(exp);
}

int test_restore(struct test_exporter *exp)
{
	int ret;

	exp->err.map_phys = 0;
	dma_resv_lock(exp->dmabuf->resv, NULL);
	ret = dma_buf_restore_mappings(exp->dmabuf);
	dma_resv_unlock(exp->dmabuf->resv);
	return ret;
}

static const char *fence_name(struct dma_fence *fence)
{
	return "kunit";
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_name,
	.get_timeline_name = fence_name,
};

static void fence_put(void *fence)
{
	dma_fence_put(fence);
}

/**
 * test_fence - make a fence that is not signalled
 * @test: test that it lives at least as long as
 *
 * Return: The fence. The test ends if there is none.
 */
struct dma_fence *test_fence(struct kunit *test)
{
	struct dma_fence *fence = kzalloc_obj(*fence);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, fence);
	dma_fence_init(fence, &fence_ops, NULL, dma_fence_context_alloc(1), 1);
	ret = kunit_add_action_or_reset(test, fence_put, fence);
	KUNIT_ASSERT_EQ(test, ret, 0);
	return fence;
}

/* The reservation lock is held */
void test_add_fence(struct test_exporter *exp, struct dma_fence *fence,
		    enum dma_resv_usage usage)
{
	struct dma_resv *resv = exp->dmabuf->resv;

	KUNIT_ASSERT_EQ(exp->test, dma_resv_reserve_fences(resv, 1), 0);
	dma_resv_add_fence(resv, fence, usage);
}

/* As if the task had been sent SIGKILL, which a kernel thread would not notice */
void test_be_killed_begin(void)
{
	spin_lock_irq(&current->sighand->siglock);
	sigaddset(&current->pending.signal, SIGKILL);
	set_tsk_thread_flag(current, TIF_SIGPENDING);
	spin_unlock_irq(&current->sighand->siglock);
}

void test_be_killed_end(void)
{
	flush_signals(current);
}

/* The line that bufinfo of debugfs has for an attachment */
const char *test_describe(struct test_exporter *exp,
			  struct dma_buf_attachment *attach)
{
	struct seq_file s = { .size = 256 };

	s.buf = kunit_kzalloc(exp->test, s.size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(exp->test, s.buf);
	dma_resv_lock(exp->dmabuf->resv, NULL);
	dma_buf_mapping_describe(attach, &s);
	dma_resv_unlock(exp->dmabuf->resv);
	return s.buf;
}

static ssize_t read_seq_file(struct vfsmount *mnt, const char *path,
			     struct kvec *vec)
{
	struct file *file = file_open_root_mnt(mnt, path, O_RDONLY, 0);
	struct iov_iter iter;
	struct kiocb kiocb;
	ssize_t ret;

	if (IS_ERR(file))
		return PTR_ERR(file);
	init_sync_kiocb(&kiocb, file);
	iov_iter_kvec(&iter, ITER_DEST, vec, 1, vec->iov_len);
	ret = seq_read_iter(&kiocb, &iter);
	/* Not by a worker, who would come after the mount is gone */
	__fput_sync(file);
	return ret;
}

/* What userspace reads from a file of debugfs, which has to be a seq_file */
const char *test_read_debugfs(struct kunit *test, const char *path)
{
	struct kvec vec = { .iov_len = SZ_16K - 1 };
	struct file_system_type *type;
	struct vfsmount *mnt;
	ssize_t ret;

	if (!IS_ENABLED(CONFIG_DEBUG_FS))
		kunit_skip(test, "needs DEBUG_FS");

	vec.iov_base = kunit_kzalloc(test, vec.iov_len + 1, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vec.iov_base);
	type = get_fs_type("debugfs");
	KUNIT_ASSERT_NOT_NULL(test, type);
	mnt = kern_mount(type);
	put_filesystem(type);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	ret = read_seq_file(mnt, path, &vec);
	kern_unmount(mnt);
	KUNIT_ASSERT_GT(test, ret, 0);
	return vec.iov_base;
}

/* The variable behind a file of debugfs, NULL if there is none */
void *test_debugfs_value(const char *dir_name, const char *name)
{
	struct dentry *dir = debugfs_lookup(dir_name, NULL);
	struct dentry *file = dir ? debugfs_lookup(name, dir) : NULL;
	void *value = file ? d_inode(file)->i_private : NULL;

	dput(file);
	dput(dir);
	return value;
}

/* Where the next line of the kernel's log will be */
u64 test_log_end(void)
{
	struct kmsg_dump_iter iter = {};

	kmsg_dump_rewind(&iter);
	return iter.next_seq;
}

/* Lines of the kernel's log from @since on that have @text in them */
unsigned int test_log_lines(u64 since, const char *text)
{
	struct kmsg_dump_iter iter = {};
	unsigned int lines = 0;
	char line[256];
	size_t len;

	kmsg_dump_rewind(&iter);
	iter.cur_seq = since;
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = 0;
		lines += !!strstr(line, text);
	}
	return lines;
}

void test_expect_text(struct kunit *test, const char *text, const char *part)
{
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, part),
				  "no '%s' in '%s'", part, text);
}

/*
 * A device that does DMA as far as @mask goes, without an IOMMU, and takes
 * entries as long as they can be
 */
struct device *test_device(struct kunit *test, u64 mask)
{
	struct device_dma_parameters *parms;
	static unsigned int nr;
	struct device *dev;
	char name[16];

	parms = kunit_kzalloc(test, sizeof(*parms), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, parms);
	snprintf(name, sizeof(name), "importer%u", nr++);
	dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	/* Not by dma_set_mask(), which refuses what some tests are about */
	*dev->dma_mask = mask;
	dev->dma_parms = parms;
	dma_set_max_seg_size(dev, UINT_MAX);
	return dev;
}

MODULE_DESCRIPTION("Helpers for the KUnit tests of DMA-buf mapping types");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
