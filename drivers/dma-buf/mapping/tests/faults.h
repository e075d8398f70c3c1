/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocations that fail, each one of a step in turn, by the kernel's own fault
 * injection. What fails has to leave nothing, and has to succeed when it is
 * tried again. What has nobody to tell of a failure may not allocate at all.
 */
#ifndef __DMA_BUF_MAPPING_TESTS_FAULTS_H
#define __DMA_BUF_MAPPING_TESTS_FAULTS_H

#include <kunit/test.h>

/**
 * struct test_step - something that allocates
 * @prepare: done before each try, may be NULL
 * @run: the step, returns 0 or an errno
 * @failed: expects that a try that failed has left nothing
 * @done: expects what the step is to do
 * @undo: undoes @run and @prepare
 */
struct test_step {
	void (*prepare)(void *ctx);
	int (*run)(void *ctx);
	void (*failed)(void *ctx);
	void (*done)(void *ctx);
	void (*undo)(void *ctx);
};

void test_needs_faults(struct kunit *test);
void test_fail_each(struct kunit *test, const struct test_step *step, void *ctx,
		    unsigned int least);
void test_no_alloc_begin(void);
void test_no_alloc_end(struct kunit *test, const char *what);

#endif /* __DMA_BUF_MAPPING_TESTS_FAULTS_H */
