/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What scripts/coccinelle/dma-buf-mapping/internal.cocci has to catch of core's
 * headers: phys_addr_t and struct phys_vec in any but pal.h.
 */
#include "internal.h"
#include "pal.h"

/* A phys_addr_t that is only spoken of */
phys_addr_t my_address(void);				/* caught */
int my_ranges(const struct phys_vec *ranges);		/* caught */
int my_list(const struct dma_buf_phys_list *list);
