// SPDX-License-Identifier: GPL-2.0-only
/*
 * What debugfs says of the mapping types: an attachment's line in bufinfo, and
 * mapping_types.
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/seq_file.h>

#include "hooks.h"
#include "internal.h"

/**
 * dma_buf_mapping_describe - print an attachment's line of debugfs bufinfo
 * @attach: the attachment
 * @s: file to print to
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_mapping_describe(struct dma_buf_attachment *attach,
			      struct seq_file *s)
{
	struct dma_buf_mapping_attachment *ma = to_mapping_attachment(attach);
	struct dma_buf_mapping_count count;

	seq_printf(s, "\t%s\t%s", attach->dev ? dev_name(attach->dev) : "-",
		   dma_buf_mapping_name(attach));
	if (dma_buf_mapping_core_revokes(attach)) {
		count = dma_buf_mapping_count(ma);
		seq_printf(s, "\t%zu of %zu mappings in place",
			   count.recorded - count.out, count.recorded);
	}
	seq_puts(s, ma->revoked ? "\trevoked\n" : "\n");
}

static const char *owner_name(struct module *owner)
{
	return owner ? module_name(owner) : "built-in";
}

static const char *type_sides(const struct dma_buf_mapping_type *type)
{
	if (type->exporter_only)
		return "exporter";
	if (type->importer_only)
		return "importer";
	return "exporter, importer";
}

/* Core's own are not counted */
static void show_uses(struct seq_file *s, bool permanent, const atomic_t *users)
{
	if (!permanent)
		seq_printf(s, "\t%d uses", atomic_read(users));
	seq_putc(s, '\n');
}

static int mapping_types_show(struct seq_file *s, void *unused)
{
	struct dma_buf_mapping_converter *conv;
	struct dma_buf_mapping_type *type;

	guard(rwsem_read)(&dma_buf_mapping_registry_lock);
	seq_puts(s, "Types:\n");
	list_for_each_entry(type, &dma_buf_mapping_types, node) {
		seq_printf(s, "\t%s\t%s\t%s", type->name, type_sides(type),
			   owner_name(type->owner));
		show_uses(s, type->permanent, &type->users);
	}
	seq_puts(s, "Converters:\n");
	list_for_each_entry(conv, &dma_buf_mapping_converters, node) {
		seq_printf(s, "\t%s\t%s", conv->name, owner_name(conv->owner));
		show_uses(s, conv->permanent, &conv->users);
	}
	return 0;
}

DEFINE_SHOW_ATTRIBUTE(mapping_types);

/**
 * dma_buf_mapping_init_debugfs - add the list of types and converters
 * @dir: the dma_buf folder of debugfs
 *
 * Context: May sleep.
 */
void dma_buf_mapping_init_debugfs(struct dentry *dir)
{
	debugfs_create_file("mapping_types", 0444, dir, NULL,
			    &mapping_types_fops);
}
