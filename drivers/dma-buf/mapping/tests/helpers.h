/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share: an exporter that says what it is told and counts what
 * it is asked.
 */
#ifndef __DMA_BUF_MAPPING_TESTS_HELPERS_H
#define __DMA_BUF_MAPPING_TESTS_HELPERS_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "../hooks.h"
#include "../internal.h"
#include "../pal.h"

#define TEST_MAX_ENTRIES 4
#define PAGES(_n) ((size_t)(_n) * PAGE_SIZE)

/**
 * struct test_exporter - an exporter and its one buffer
 * @test: the test that it belongs to
 * @dmabuf: the buffer
 * @released: when @dmabuf is gone
 * @entries: what it states, of the ops that state something
 * @num_entries: number of @entries in use
 * @list: what its map_phys returns
 * @err: errno that a call fails with, 0 for none. For match_mapping it is
 *	returned after the negotiation, which makes the exporter a faulty one.
 * @match_calls: how often match_mapping asks core
 * @null_table: let map of SGT return no table at all
 * @calls: how often each call was made with success
 * @saw_p2p: attach found the importer to accept p2p
 * @saw_revocable: attach found the importer to be revocable
 * @saw_itself: pin found the attachment among those of the buffer
 * @deny_p2p: let attach clear peer2peer
 * @on_pin: called at the end of pin, may be NULL
 * @on_unmap_phys: called when a list is given back, may be NULL
 * @on_cpu_access: called when the CPU begins or ends to access the buffer, may
 *	be NULL
 * @priv: for @on_pin, @on_unmap_phys and @on_cpu_access
 * @tried: pairs that the match of a private type was asked about
 */
struct test_exporter {
	struct kunit *test;
	struct dma_buf *dmabuf;
	struct completion released;
	struct dma_buf_mapping_match entries[TEST_MAX_ENTRIES];
	unsigned int num_entries;
	const struct dma_buf_phys_list *list;
	struct {
		int match;
		int attach;
		int pin;
		int map_phys;
		int map_sgt;
		int begin_cpu_access;
		int end_cpu_access;
	} err;
	unsigned int match_calls;
	bool null_table;
	struct {
		unsigned int attach, detach;
		unsigned int pin, unpin;
		unsigned int map_phys, unmap_phys;
		unsigned int map_sgt, unmap_sgt;
	} calls;
	bool saw_p2p;
	bool saw_revocable;
	bool saw_itself;
	bool deny_p2p;
	void (*on_pin)(struct test_exporter *exp);
	void (*on_unmap_phys)(struct test_exporter *exp);
	void (*on_cpu_access)(struct test_exporter *exp, bool begin,
			      enum dma_data_direction dir);
	void *priv;
	char tried[64];
};

/* States @entries; legacy; both, so that SGT comes before @entries */
extern const struct dma_buf_ops test_stated_ops;
extern const struct dma_buf_ops test_legacy_ops;
extern const struct dma_buf_ops test_both_ops;
/* As test_stated_ops, but cannot pin */
extern const struct dma_buf_ops test_stated_nopin_ops;

extern const struct dma_buf_sgt_exp_ops test_sgt_ops;
extern const struct dma_buf_pal_exp_ops test_pal_ops;

/* Importer's callbacks: revocable with p2p, and revocable without */
extern const struct dma_buf_attach_ops test_p2p_importer;
extern const struct dma_buf_attach_ops test_nop2p_importer;

struct test_exporter *test_exporter(struct kunit *test,
				    const struct dma_buf_ops *ops, size_t size);
struct test_exporter *test_stating(struct kunit *test,
				   const struct dma_buf_mapping_match *entries,
				   unsigned int num);
void test_expect_idle(struct test_exporter *exp);

struct test_exporter *test_pal_exporter(struct kunit *test,
					const struct dma_buf_phys_list *list);
size_t test_list_size(const struct dma_buf_phys_list *list);
struct dma_buf_phys_list *test_list_alloc(struct kunit *test, size_t nr);
struct dma_buf_phys_list *test_list(struct kunit *test,
				    const struct phys_vec *ranges, size_t nr);
struct dma_buf_phys_list *test_random_list(struct kunit *test,
					   struct rnd_state *rnd, size_t nr,
					   size_t max_pages);
phys_addr_t test_list_paddr(const struct dma_buf_phys_list *list,
			    size_t offset);
size_t test_sgt_difference(struct sg_table *sgt,
			   const struct dma_buf_phys_list *list);
u32 test_random(struct rnd_state *rnd, u32 below);

struct dma_buf_attachment *
test_attach(struct test_exporter *exp, const struct dma_buf_mapping_match *imp,
	    unsigned int num_imp, const struct dma_buf_attach_ops *ops);
struct dma_buf_attachment *test_attach_sgt(struct test_exporter *exp,
					   struct device *dev,
					   const struct dma_buf_attach_ops *ops);
void test_detach(struct test_exporter *exp, struct dma_buf_attachment *attach);

void test_invalidate(struct test_exporter *exp);
void test_revoke(struct test_exporter *exp);
int test_restore(struct test_exporter *exp);
void test_add_fence(struct test_exporter *exp, struct dma_fence *fence,
		    enum dma_resv_usage usage);
struct dma_fence *test_fence(struct kunit *test);
void test_be_killed_begin(void);
void test_be_killed_end(void);

const char *test_describe(struct test_exporter *exp,
			  struct dma_buf_attachment *attach);
const char *test_read_debugfs(struct kunit *test, const char *path);
void *test_debugfs_value(const char *dir, const char *name);
u64 test_log_end(void);
unsigned int test_log_lines(u64 since, const char *text);
void test_expect_text(struct kunit *test, const char *text, const char *part);
struct device *test_device(struct kunit *test, u64 mask);

#endif /* __DMA_BUF_MAPPING_TESTS_HELPERS_H */
