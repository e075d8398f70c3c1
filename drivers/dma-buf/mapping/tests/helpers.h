/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share: an exporter that says what it is told and counts what
 * it is asked.
 */
/*
 * Notes of the bugs that the code which the mapping types replace had, numbered
 * for the tests to refer to, and what keeps each of them from coming back: a
 * KUnit test, a program of tools/testing/selftests/iommu, or the design.
 *
 * 33 SG offset computed in 32 bits       pal-to-sgt: notes33_one_range_above_8g,
 *                                        pal-to-iommu: notes33_notes34_*
 * 34 length cut at 4 GiB, no range,      pal: notes34_*, pal-to-sgt: notes34_*
 *    sum of lengths overflows
 * 35 entries split off page boundaries   pal-to-sgt: notes35_*
 * 36 unmap of an error or of no table    sgt: notes36_unmap_of_error_or_null
 * 37 memory goes while it is mapped      pal-to-sgt: notes37_*, and the counts
 *                                        of test_expect_idle() after each test
 * 38 revoke waits for what only it       pal-to-iommu: notes38_*;
 *    itself can unmap                    dmabuf_pci: decode, reset, close
 * 39 disabled with mappings live         dmabuf_pci: "once the exporter is closed"
 * 40 second cleanup of a revoked buffer  pal-to-iommu: notes40_notes42_*;
 *                                        dmabuf_pci: close, then unmap
 * 41 double free when an export fails    not by the series: vfio's export path
 *                                        is as it was, fixed
 * 42 export while revoked, un-revoke     pal, pal-to-iommu: notes42_*;
 *    that revokes                        dmabuf_pci: "without memory decode"
 * 43 revoke after the device is off      dmabuf_pci: reset, low power
 * 44 access by the CPU                   iommufd_dmabuf: access
 * 45 unpin without the lock              pal-to-iommu: notes45_*; all exporters'
 *                                        calls here assert it
 * 46 lock destroyed before the detach    cannot be: core detaches, and iommufd
 *                                        has no lock in a revoke;
 *                                        iommufd_dmabuf: close_before_unmap
 * 47 addresses read back from a domain   pal-to-iommu: notes47_*;
 *                                        iommufd_dmabuf: domains_come_and_go
 * 48 a single range only                 pal-to-iommu: notes48_*;
 *                                        iommufd_dmabuf: every_slice
 * 49 unmapped twice                      pal-to-iommu: notes49_*;
 *                                        iommufd_dmabuf: unmap_while_revoked
 * 50 attachment known after the lock     cannot be: iommufd has no callback that
 *                                        would use it
 * 51 dirty bits, leaks of a selftest     cannot be: no dirty bits of a dma-buf
 *                                        are read; iommufd_fail_nth: ranges
 * 52 uverbs' release, Kconfig            compile tests: with all users, with none
 * 53 exporter maps for DMA by itself     cannot be: a PAL exporter has no device
 *                                        to map for; pal-to-sgt does it
 */
#ifndef __DMA_BUF_MAPPING_TESTS_HELPERS_H
#define __DMA_BUF_MAPPING_TESTS_HELPERS_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/dma-buf.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "../hooks.h"
#include "../internal.h"

#define TEST_MAX_ENTRIES 4

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
 * @on_unmap_phys: called when a list is given back, may be NULL
 * @priv: for @on_unmap_phys
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
	void (*on_unmap_phys)(struct test_exporter *exp);
	void *priv;
	char tried[64];
};

/* States @entries; with pin, without pin; of old; with a table; with both */
extern const struct dma_buf_ops test_stated_ops;
extern const struct dma_buf_ops test_stated_nopin_ops;
extern const struct dma_buf_ops test_legacy_ops;
extern const struct dma_buf_ops test_table_ops;
extern const struct dma_buf_ops test_table_and_match_ops;

extern const struct dma_buf_pal_exp_ops test_pal_ops;
extern const struct dma_buf_sgt_exp_ops test_sgt_ops;

/* Importer's callbacks: revocable with p2p, and revocable without */
extern const struct dma_buf_attach_ops test_p2p_importer;
extern const struct dma_buf_attach_ops test_nop2p_importer;

struct test_exporter *test_exporter(struct kunit *test,
				    const struct dma_buf_ops *ops, size_t size);
struct test_exporter *test_pal_exporter(struct kunit *test,
					const struct dma_buf_phys_list *list);
void test_expect_idle(struct test_exporter *exp);

size_t test_list_size(const struct dma_buf_phys_list *list);
struct dma_buf_phys_list *test_list_alloc(struct kunit *test, size_t nr);
struct dma_buf_phys_list *test_list(struct kunit *test,
				    const struct phys_vec *ranges, size_t nr);
struct dma_buf_phys_list *test_random_list(struct kunit *test,
					   struct rnd_state *rnd, size_t nr,
					   size_t max_pages);
phys_addr_t test_list_paddr(const struct dma_buf_phys_list *list,
			    size_t offset);

struct dma_buf_attachment *
test_attach(struct test_exporter *exp, const struct dma_buf_mapping_match *imp,
	    unsigned int num_imp, const struct dma_buf_attach_ops *ops);
struct dma_buf_attachment *test_attach_sgt(struct test_exporter *exp,
					   struct device *dev,
					   const struct dma_buf_attach_ops *ops);
void test_detach(struct test_exporter *exp, struct dma_buf_attachment *attach);

void test_invalidate(struct test_exporter *exp);
void test_revoke(struct test_exporter *exp);
void test_restore(struct test_exporter *exp);

const char *test_describe(struct test_exporter *exp,
			  struct dma_buf_attachment *attach);
const char *test_read_debugfs(struct kunit *test, const char *path);
u64 test_log_end(void);
unsigned int test_log_lines(u64 since, const char *text);
struct device *test_device(struct kunit *test, u64 mask);
u32 test_random(struct rnd_state *rnd, u32 below);

#endif /* __DMA_BUF_MAPPING_TESTS_HELPERS_H */
