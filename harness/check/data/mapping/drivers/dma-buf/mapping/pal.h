/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What scripts/coccinelle/dma-buf-mapping/internal.cocci must not report: the one
 * header that shows physical addresses.
 */
phys_addr_t my_address(void);
int my_ranges(const struct phys_vec *ranges);
