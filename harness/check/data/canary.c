// SPDX-License-Identifier: GPL-2.0-only
/*
 * One defect for each tool of 'make check'. Built along with the series: a tool
 * that is silent here has checked nothing.
 */
#include <linux/module.h>
#include <linux/slab.h>

/* gcc and clang, by W=1 */
static const int canary_unused = 1;

/* gcc for a 32-bit machine */
unsigned long long canary_shift(void);
unsigned long long canary_shift(void)
{
	return 1UL << 40;
}

/* sparse */
int canary_user(int __user *arg);
int canary_user(int __user *arg)
{
	return *arg;
}

/**
 * canary_doc - kernel-doc
 */
void canary_doc(void *canary_argument);
void canary_doc(void *canary_argument)
{
	/* coccinelle */
	if (canary_argument)
		kfree(canary_argument);
}

MODULE_DESCRIPTION("Canary of the checks");
MODULE_LICENSE("GPL");
