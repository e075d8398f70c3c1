// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault injection for the tests, see faults.h.
 */
#include <linux/sched.h>
#include <linux/string.h>

#include "faults.h"
#include "helpers.h"

#if IS_ENABLED(CONFIG_FAULT_INJECTION)
static void fail_nth(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

/* Ends the injection; has the allocation that was to fail been reached? */
static bool has_failed(void)
{
	bool failed = !READ_ONCE(current->fail_nth);

	fail_nth(0);
	return failed;
}
#else
static void fail_nth(unsigned int nth)
{
}

static bool has_failed(void)
{
	return false;
}
#endif

/*
 * By default the kernel spares allocations that may sleep and single pages, and
 * prints a stack for each that it makes fail. All of these are off at zero.
 */
static struct knob {
	const char *dir;
	const char *name;
	size_t size;
	void *value;
	u64 saved;
} knobs[] = {
	{ "failslab", "ignore-gfp-wait", sizeof(bool) },
	{ "failslab", "verbose", sizeof(unsigned long) },
	{ "fail_page_alloc", "ignore-gfp-wait", sizeof(bool) },
	{ "fail_page_alloc", "ignore-gfp-highmem", sizeof(bool) },
	{ "fail_page_alloc", "min-order", sizeof(u32) },
	{ "fail_page_alloc", "verbose", sizeof(unsigned long) },
};

static void restore_knobs(void *unused)
{
	struct knob *knob;

	for (knob = knobs; knob < knobs + ARRAY_SIZE(knobs); knob++) {
		if (knob->value)
			memcpy(knob->value, &knob->saved, knob->size);
		knob->value = NULL;
	}
}

/**
 * test_needs_faults - set up fault injection until the end of the test
 * @test: the test, which is skipped in a kernel that has no fault injection
 */
void test_needs_faults(struct kunit *test)
{
	struct knob *knob;

	if (!IS_ENABLED(CONFIG_FAULT_INJECTION_DEBUG_FS) ||
	    !IS_ENABLED(CONFIG_FAILSLAB) || !IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC))
		kunit_skip(test, "needs FAULT_INJECTION_DEBUG_FS, FAILSLAB and FAIL_PAGE_ALLOC");

	KUNIT_ASSERT_EQ(test, kunit_add_action(test, restore_knobs, NULL), 0);
	for (knob = knobs; knob < knobs + ARRAY_SIZE(knobs); knob++) {
		knob->value = test_debugfs_value(knob->dir, knob->name);
		KUNIT_ASSERT_NOT_NULL_MSG(test, knob->value, "%s/%s", knob->dir,
					  knob->name);
		memcpy(&knob->saved, knob->value, knob->size);
		memset(knob->value, 0, knob->size);
	}
}

/* More allocations than any step has */
#define NEVER 5000

/* One try; says whether there was an nth allocation to fail */
static bool try_step(struct kunit *test, const struct test_step *step,
		     void *ctx, unsigned int nth, int *ret)
{
	bool reached;

	if (step->prepare)
		step->prepare(ctx);
	fail_nth(nth);
	*ret = step->run(ctx);
	reached = has_failed();

	if (*ret) {
		KUNIT_EXPECT_EQ(test, *ret, -ENOMEM);
		KUNIT_EXPECT_TRUE(test, reached);
		step->failed(ctx);
		KUNIT_ASSERT_EQ_MSG(test, step->run(ctx), 0,
				    "tried again after allocation %u", nth);
	}
	step->done(ctx);
	step->undo(ctx);
	return reached;
}

/*
 * Makes one allocation after the other fail, until there are no more. Returns
 * how many have made the step fail: some, like that of a larger slab, have a
 * second best.
 */
static unsigned int sweep(struct kunit *test, const struct test_step *step,
			  void *ctx, unsigned int *tried)
{
	unsigned int failures = 0;
	bool reached;
	int ret;

	*tried = 0;
	do {
		reached = try_step(test, step, ctx, *tried + 1, &ret);
		*tried += reached;
		failures += !!ret;
		KUNIT_ASSERT_LT(test, *tried, NEVER);
	} while (reached);
	return failures;
}

/**
 * test_fail_each - fail each allocation of a step
 * @test: the test
 * @step: the step
 * @ctx: for the calls of @step
 * @least: how many allocations the step cannot do without
 *
 * A slab that gets a new page at one try and not at the next makes the count
 * skip an allocation, so a sweep that found too few is not the last one. A try
 * without a failure in between keeps it from meeting the slab just as the one
 * before did.
 */
void test_fail_each(struct kunit *test, const struct test_step *step, void *ctx,
		    unsigned int least)
{
	unsigned int tried, failures, sweeps;
	int ret;

	failures = sweep(test, step, ctx, &tried);
	for (sweeps = 1; failures < least && sweeps < 5; sweeps++) {
		try_step(test, step, ctx, NEVER, &ret);
		failures = sweep(test, step, ctx, &tried);
	}

	KUNIT_EXPECT_GE(test, failures, least);
	kunit_info(test, "%u allocations, %u of them needed", tried, failures);
}

/* From here on an allocation fails, and test_no_alloc_end() will know of it */
void test_no_alloc_begin(void)
{
	fail_nth(1);
}

void test_no_alloc_end(struct kunit *test, const char *what)
{
	KUNIT_EXPECT_FALSE_MSG(test, has_failed(), "%s allocates", what);
}
