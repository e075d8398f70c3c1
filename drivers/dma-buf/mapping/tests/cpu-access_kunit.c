// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that core synchronises what it has mapped when the CPU accesses a
 * buffer: what it asks of the DMA API, in which order with the exporter's calls.
 * Whether the data is right then, machines with bounce buffers show.
 */
#include <kunit/test.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <trace/events/dma.h>

#include "helpers.h"

#define MAX_STEPS 16

enum what {
	BEGIN = 1,		/* the exporter's begin_cpu_access */
	FOR_CPU,		/* a sync by the DMA API */
	FOR_DEVICE,
	END,			/* the exporter's end_cpu_access */
};

/**
 * struct step - something that happens in an access by the CPU
 * @what: happens
 * @dir: direction of the sync, or of the access
 * @addr: what is synchronised
 * @len: how much of it
 */
struct step {
	enum what what;
	enum dma_data_direction dir;
	dma_addr_t addr;
	size_t len;
};

static struct step steps[MAX_STEPS];
static unsigned int nr_steps;
/* Syncs without the reservation lock, which keeps the table from going away */
static unsigned int nr_unlocked;
static struct dma_resv *resv_of_test;

static void add_step(struct step step)
{
	if (nr_steps < MAX_STEPS)
		steps[nr_steps] = step;
	nr_steps++;
}

static void add_sync(struct step step)
{
	add_step(step);
	nr_unlocked += !dma_resv_is_locked(resv_of_test);
}

static void exporter_called(struct test_exporter *exp, bool begin,
			    enum dma_data_direction dir)
{
	add_step((struct step){ .what = begin ? BEGIN : END, .dir = dir });
}

/* The devices of a test have its task, and the machine has others */
static bool of_this_test(void *task)
{
	return current == task;
}

static void probe_for_cpu(void *task, struct device *dev, dma_addr_t addr,
			  size_t len, enum dma_data_direction dir)
{
	if (of_this_test(task))
		add_sync((struct step){ FOR_CPU, dir, addr, len });
}

static void probe_for_device(void *task, struct device *dev, dma_addr_t addr,
			     size_t len, enum dma_data_direction dir)
{
	if (of_this_test(task))
		add_sync((struct step){ FOR_DEVICE, dir, addr, len });
}

static int cpu_access_init(struct kunit *test)
{
	int ret;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS) || !IS_ENABLED(CONFIG_DMA_NEED_SYNC))
		kunit_skip(test, "needs TRACEPOINTS and DMA_NEED_SYNC");

	nr_steps = 0;
	nr_unlocked = 0;
	ret = register_trace_dma_sync_single_for_cpu(probe_for_cpu, current);
	if (ret)
		return ret;
	ret = register_trace_dma_sync_single_for_device(probe_for_device,
							current);
	if (ret)
		unregister_trace_dma_sync_single_for_cpu(probe_for_cpu, current);
	test->priv = current;
	return ret;
}

static void cpu_access_exit(struct kunit *test)
{
	if (!test->priv)
		return;
	unregister_trace_dma_sync_single_for_cpu(probe_for_cpu, test->priv);
	unregister_trace_dma_sync_single_for_device(probe_for_device,
						    test->priv);
	tracepoint_synchronize_unregister();
}

static void expect_steps(struct kunit *test, const struct step *expected,
			 unsigned int nr)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, nr_unlocked, 0);
	KUNIT_EXPECT_EQ(test, nr_steps, nr);
	for (i = 0; i < min3(nr, nr_steps, MAX_STEPS); i++) {
		KUNIT_EXPECT_EQ_MSG(test, steps[i].what, expected[i].what,
				    "step %u", i);
		KUNIT_EXPECT_EQ_MSG(test, steps[i].dir, expected[i].dir,
				    "step %u", i);
		KUNIT_EXPECT_EQ_MSG(test, steps[i].addr, expected[i].addr,
				    "step %u", i);
		KUNIT_EXPECT_EQ_MSG(test, steps[i].len, expected[i].len,
				    "step %u", i);
	}
	nr_steps = 0;
}

#define EXPECT_STEPS(_test, ...)                                             \
do {                                                                         \
	const struct step expected[] = { __VA_ARGS__ };                      \
									     \
	expect_steps(_test, expected, ARRAY_SIZE(expected));                 \
} while (0)

static const struct phys_vec ranges[] = {
	{ SZ_2G, SZ_64K }, { SZ_1G, SZ_32K }, { SZ_1G + SZ_32K, SZ_32K },
};

/* As entries of a table, the second and third are one */
#define FIRST(_what, _dir)	{ _what, _dir, SZ_2G, SZ_64K }
#define SECOND(_what, _dir)	{ _what, _dir, SZ_1G, SZ_64K }

static struct test_exporter *exporter(struct kunit *test)
{
	struct test_exporter *exp;

	exp = test_pal_exporter(test, test_list(test, ranges, 3));
	exp->on_cpu_access = exporter_called;
	resv_of_test = exp->dmabuf->resv;
	return exp;
}

static struct dma_buf_attachment *attach_to(struct test_exporter *exp)
{
	struct dma_buf_attachment *attach;

	attach = test_attach_sgt(exp, test_device(exp->test, DMA_BIT_MASK(64)),
				 &test_p2p_importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(exp->test, attach);
	return attach;
}

static struct sg_table *map(struct kunit *test,
			    struct dma_buf_attachment *attach,
			    enum dma_data_direction dir)
{
	struct sg_table *sgt = dma_buf_map_attachment_unlocked(attach, dir);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	nr_steps = 0;
	return sgt;
}

static void both_ends_sync_each_entry(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct sg_table *sgt = map(test, attach, DMA_BIDIRECTIONAL);
	int ret;

	ret = dma_buf_begin_cpu_access(exp->dmabuf, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, ret, 0);
	EXPECT_STEPS(test, { BEGIN, DMA_BIDIRECTIONAL },
		     FIRST(FOR_CPU, DMA_BIDIRECTIONAL),
		     SECOND(FOR_CPU, DMA_BIDIRECTIONAL));

	ret = dma_buf_end_cpu_access(exp->dmabuf, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, ret, 0);
	EXPECT_STEPS(test, FIRST(FOR_DEVICE, DMA_BIDIRECTIONAL),
		     SECOND(FOR_DEVICE, DMA_BIDIRECTIONAL),
		     { END, DMA_BIDIRECTIONAL });

	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	test_detach(exp, attach);
}

static const struct direction_case {
	const char *name;
	enum dma_data_direction mapped;
	enum dma_data_direction access;
	enum dma_data_direction for_cpu;
	enum dma_data_direction for_device;
} directions[] = {
	{ "CPU writes, device reads", DMA_TO_DEVICE, DMA_TO_DEVICE,
	  DMA_TO_DEVICE, DMA_TO_DEVICE },
	{ "CPU reads, device writes", DMA_FROM_DEVICE, DMA_FROM_DEVICE,
	  DMA_FROM_DEVICE, DMA_FROM_DEVICE },
	{ "both read", DMA_TO_DEVICE, DMA_FROM_DEVICE,
	  DMA_TO_DEVICE, DMA_TO_DEVICE },
	{ "both write", DMA_FROM_DEVICE, DMA_TO_DEVICE,
	  DMA_FROM_DEVICE, DMA_FROM_DEVICE },
	/* What it does not write has to be there */
	{ "CPU writes, device does both", DMA_BIDIRECTIONAL, DMA_TO_DEVICE,
	  DMA_BIDIRECTIONAL, DMA_BIDIRECTIONAL },
	/* And there is nothing to give back */
	{ "CPU reads, device does both", DMA_BIDIRECTIONAL, DMA_FROM_DEVICE,
	  DMA_BIDIRECTIONAL, DMA_FROM_DEVICE },
	{ "CPU does both, device reads", DMA_TO_DEVICE, DMA_BIDIRECTIONAL,
	  DMA_TO_DEVICE, DMA_TO_DEVICE },
};

KUNIT_ARRAY_PARAM_DESC(directions, directions, name);

static void directions_of_the_syncs(struct kunit *test)
{
	const struct direction_case *d = test->param_value;
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct sg_table *sgt = map(test, attach, d->mapped);

	dma_buf_begin_cpu_access(exp->dmabuf, d->access);
	dma_buf_end_cpu_access(exp->dmabuf, d->access);
	EXPECT_STEPS(test, { BEGIN, d->access },
		     FIRST(FOR_CPU, d->for_cpu), SECOND(FOR_CPU, d->for_cpu),
		     FIRST(FOR_DEVICE, d->for_device),
		     SECOND(FOR_DEVICE, d->for_device), { END, d->access });

	dma_buf_unmap_attachment_unlocked(attach, sgt, d->mapped);
	test_detach(exp, attach);
}

/* Of one attachment and of another, each in its own direction */
static void every_table_is_synced(struct kunit *test)
{
	static const struct phys_vec moved[] = { { SZ_512M, SZ_128K } };
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *a = attach_to(exp), *b = attach_to(exp);
	struct sg_table *one = map(test, a, DMA_TO_DEVICE);
	struct sg_table *three = map(test, b, DMA_FROM_DEVICE);
	struct sg_table *two;

	/*
	 * The debug code of the DMA API does not know which one is meant where
	 * a device has mapped the same twice
	 */
	exp->list = test_list(test, moved, 1);
	two = map(test, a, DMA_TO_DEVICE);

	KUNIT_EXPECT_EQ(test, exp->dmabuf->cpu_synced, 3);
	dma_buf_begin_cpu_access(exp->dmabuf, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, nr_steps, 1 + 2 + 2 + 1);
	nr_steps = 0;

	dma_buf_unmap_attachment_unlocked(a, one, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, exp->dmabuf->cpu_synced, 2);
	nr_steps = 0;
	/* The one that attached last comes first */
	dma_buf_end_cpu_access(exp->dmabuf, DMA_BIDIRECTIONAL);
	EXPECT_STEPS(test, FIRST(FOR_DEVICE, DMA_FROM_DEVICE),
		     SECOND(FOR_DEVICE, DMA_FROM_DEVICE),
		     { FOR_DEVICE, DMA_TO_DEVICE, SZ_512M, SZ_128K },
		     { END, DMA_BIDIRECTIONAL });

	dma_buf_unmap_attachment_unlocked(b, three, DMA_FROM_DEVICE);
	dma_buf_unmap_attachment_unlocked(a, two, DMA_TO_DEVICE);
	test_detach(exp, b);
	test_detach(exp, a);
}

static void nothing_is_synced_once_unmapped(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct sg_table *sgt = map(test, attach, DMA_BIDIRECTIONAL);

	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, exp->dmabuf->cpu_synced, 0);
	nr_steps = 0;
	dma_buf_begin_cpu_access(exp->dmabuf, DMA_FROM_DEVICE);
	dma_buf_end_cpu_access(exp->dmabuf, DMA_FROM_DEVICE);
	EXPECT_STEPS(test, { BEGIN, DMA_FROM_DEVICE },
		     { END, DMA_FROM_DEVICE });
	test_detach(exp, attach);
}

/* Its memory is there until it is unmapped, and the CPU may still read it */
static void table_of_a_revoked_buffer_is_synced(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct sg_table *sgt = map(test, attach, DMA_BIDIRECTIONAL);

	test_revoke(exp);
	dma_buf_begin_cpu_access(exp->dmabuf, DMA_FROM_DEVICE);
	EXPECT_STEPS(test, { BEGIN, DMA_FROM_DEVICE },
		     FIRST(FOR_CPU, DMA_BIDIRECTIONAL),
		     SECOND(FOR_CPU, DMA_BIDIRECTIONAL));
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	test_detach(exp, attach);
}

static void device_that_needs_none(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct sg_table *sgt;

	dev_set_dma_skip_sync(attach->dev);
	sgt = map(test, attach, DMA_BIDIRECTIONAL);
	/* The debug code of the DMA API wants to see it of every device */
	KUNIT_EXPECT_EQ(test, exp->dmabuf->cpu_synced,
			IS_ENABLED(CONFIG_DMA_API_DEBUG));
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, exp->dmabuf->cpu_synced, 0);
	test_detach(exp, attach);
}

static void map_that_failed_is_not_counted(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);

	exp->err.map_phys = -EINTR;
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_map_attachment_unlocked(attach,
							    DMA_TO_DEVICE),
			    ERR_PTR(-EINTR));
	KUNIT_EXPECT_EQ(test, exp->dmabuf->cpu_synced, 0);
	test_detach(exp, attach);
}

static void begin_that_failed_syncs_nothing(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct sg_table *sgt = map(test, attach, DMA_BIDIRECTIONAL);
	int ret;

	exp->err.begin_cpu_access = -ENXIO;
	ret = dma_buf_begin_cpu_access(exp->dmabuf, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, ret, -ENXIO);
	EXPECT_STEPS(test, { BEGIN, DMA_FROM_DEVICE });
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	test_detach(exp, attach);
}

/* The device is to see what was written, whatever the exporter says */
static void end_that_failed_has_synced(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct sg_table *sgt = map(test, attach, DMA_BIDIRECTIONAL);
	int ret;

	exp->err.end_cpu_access = -ENXIO;
	ret = dma_buf_end_cpu_access(exp->dmabuf, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, ret, -ENXIO);
	EXPECT_STEPS(test, FIRST(FOR_DEVICE, DMA_BIDIRECTIONAL),
		     SECOND(FOR_DEVICE, DMA_BIDIRECTIONAL),
		     { END, DMA_TO_DEVICE });
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	test_detach(exp, attach);
}

static void exporter_without_callbacks(struct kunit *test)
{
	struct dma_buf_phys_list *list = test_list(test, ranges, 3);
	struct dma_buf_attachment *attach;
	struct test_exporter *exp;
	struct dma_buf_ops *ops;
	struct sg_table *sgt;

	ops = kunit_kzalloc(test, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	*ops = test_stated_ops;
	ops->begin_cpu_access = NULL;
	ops->end_cpu_access = NULL;
	exp = test_exporter(test, ops, test_list_size(list));
	exp->list = list;
	exp->entries[0] = DMA_BUF_EMAPPING_PAL(&test_pal_ops, 0, NULL);
	exp->num_entries = 1;
	resv_of_test = exp->dmabuf->resv;
	attach = attach_to(exp);
	sgt = map(test, attach, DMA_BIDIRECTIONAL);
	dma_buf_begin_cpu_access(exp->dmabuf, DMA_TO_DEVICE);
	dma_buf_end_cpu_access(exp->dmabuf, DMA_TO_DEVICE);
	EXPECT_STEPS(test, FIRST(FOR_CPU, DMA_BIDIRECTIONAL),
		     SECOND(FOR_CPU, DMA_BIDIRECTIONAL),
		     FIRST(FOR_DEVICE, DMA_BIDIRECTIONAL),
		     SECOND(FOR_DEVICE, DMA_BIDIRECTIONAL));
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	test_detach(exp, attach);
}

static const char *fence_name(struct dma_fence *fence)
{
	return "kunit";
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_name,
	.get_timeline_name = fence_name,
};

/* A device that is not done, as the fence says, may go on writing */
static void begin_that_was_interrupted_syncs_nothing(struct kunit *test)
{
	struct test_exporter *exp = exporter(test);
	struct dma_buf_attachment *attach = attach_to(exp);
	struct sg_table *sgt = map(test, attach, DMA_BIDIRECTIONAL);
	struct dma_resv *resv = exp->dmabuf->resv;
	struct dma_fence *fence;
	int ret;

	fence = kzalloc_obj(*fence);
	KUNIT_ASSERT_NOT_NULL(test, fence);
	dma_fence_init(fence, &fence_ops, NULL, dma_fence_context_alloc(1), 1);
	dma_resv_lock(resv, NULL);
	ret = dma_resv_reserve_fences(resv, 1);
	if (!ret)
		dma_resv_add_fence(resv, fence, DMA_RESV_USAGE_WRITE);
	dma_resv_unlock(resv);
	KUNIT_EXPECT_EQ(test, ret, 0);

	set_thread_flag(TIF_SIGPENDING);
	ret = dma_buf_begin_cpu_access(exp->dmabuf, DMA_FROM_DEVICE);
	clear_thread_flag(TIF_SIGPENDING);
	KUNIT_EXPECT_EQ(test, ret, -ERESTARTSYS);
	EXPECT_STEPS(test, { BEGIN, DMA_FROM_DEVICE });

	dma_fence_signal(fence);
	dma_fence_put(fence);
	ret = dma_buf_begin_cpu_access(exp->dmabuf, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, nr_steps, 3);
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	test_detach(exp, attach);
}

static struct kunit_case cpu_access_cases[] = {
	KUNIT_CASE(both_ends_sync_each_entry),
	KUNIT_CASE_PARAM(directions_of_the_syncs, directions_gen_params),
	KUNIT_CASE(every_table_is_synced),
	KUNIT_CASE(nothing_is_synced_once_unmapped),
	KUNIT_CASE(table_of_a_revoked_buffer_is_synced),
	KUNIT_CASE(device_that_needs_none),
	KUNIT_CASE(map_that_failed_is_not_counted),
	KUNIT_CASE(begin_that_failed_syncs_nothing),
	KUNIT_CASE(end_that_failed_has_synced),
	KUNIT_CASE(exporter_without_callbacks),
	KUNIT_CASE(begin_that_was_interrupted_syncs_nothing),
	{}
};

static struct kunit_suite cpu_access_suite = {
	.name = "dma-buf-mapping-cpu-access",
	.init = cpu_access_init,
	.exit = cpu_access_exit,
	.test_cases = cpu_access_cases,
};

kunit_test_suite(cpu_access_suite);

MODULE_DESCRIPTION("KUnit tests of accesses by the CPU to what DMA-buf core mapped");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
