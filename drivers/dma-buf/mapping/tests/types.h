/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapping types that are the tests' own, and a converter between two of them.
 */
#ifndef __DMA_BUF_MAPPING_TESTS_TYPES_H
#define __DMA_BUF_MAPPING_TESTS_TYPES_H

#include <kunit/test.h>

#include "../internal.h"

/**
 * struct test_label - what an entry of a test's type has as its data
 * @name: for &struct test_exporter.tried
 * @ret: what the match says of this entry, 0 if it fits
 */
struct test_label {
	const char *name;
	int ret;
};

#define ENTRY_RET(_type, _label, _ret) {                               \
	.type = &(_type),                                              \
	.data = &(const struct test_label){ .name = (_label),          \
					    .ret = (_ret) },           \
}

#define ENTRY(_type, _label) ENTRY_RET(_type, _label, 0)

extern struct dma_buf_mapping_type test_type_a;
extern struct dma_buf_mapping_type test_type_b;
/* Has no match callback, and so fits without a label */
extern struct dma_buf_mapping_type test_type_c;
/* Only an exporter can state it, only an importer can, nobody can */
extern struct dma_buf_mapping_type test_type_exporter;
extern struct dma_buf_mapping_type test_type_importer;
extern struct dma_buf_mapping_type test_type_unregistered;

/* From A to B, and from A to SGT by tables that test_sgt_ops makes */
extern struct dma_buf_mapping_converter test_a_to_b;
extern struct dma_buf_mapping_converter test_a_to_sgt;

/**
 * struct test_converter_state - what became of attachments that convert A to B
 * @attach_ret: what the next attach returns
 * @attached: calls of attach
 * @detached: calls of detach
 * @invalidated: calls of invalidate
 * @restore_ret: what each restore returns
 * @restore_ret_once: what the next one returns instead, 0 for nothing else
 * @restore_clears: it has the exporter's list, whatever it returns
 * @restored: calls of restore
 * @count: what count tells
 */
struct test_converter_state {
	int attach_ret;
	unsigned int attached;
	unsigned int detached;
	unsigned int invalidated;
	int restore_ret;
	int restore_ret_once;
	bool restore_clears;
	unsigned int restored;
	struct dma_buf_mapping_count count;
};

extern struct test_converter_state test_a_to_b_state;

int test_types_init(struct kunit *test);
void test_types_exit(struct kunit *test);
void test_expect_unused(struct kunit *test);

#endif /* __DMA_BUF_MAPPING_TESTS_TYPES_H */
