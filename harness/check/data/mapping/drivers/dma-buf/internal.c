// SPDX-License-Identifier: GPL-2.0-only
/*
 * What scripts/coccinelle/dma-buf-mapping/internal.cocci has to catch of includes.
 * Only ever parsed; a line that is not marked must not be reported.
 */
#include <linux/dma-buf-mapping.h>
#include "internal.h"
#include "pal.h"
#include "../mapping/internal.h"
#include "mapping/hooks.h"
#include "mapping/internal.h"			/* caught */
#include "mapping/pal.h"			/* caught */
#include "mapping/not-pal.h"
#include "../dma-buf/mapping/internal.h"	/* caught */
#include <drivers/dma-buf/mapping/internal.h>	/* caught */
#include <drivers/dma-buf/mapping/pal.h>	/* caught */

static int uses_internal;
