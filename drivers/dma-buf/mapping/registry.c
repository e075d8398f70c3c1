// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registry of the mapping types and converters, and their use by attachments.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/string.h>

#include "internal.h"

DECLARE_RWSEM(dma_buf_mapping_registry_lock);
LIST_HEAD(dma_buf_mapping_types);
LIST_HEAD(dma_buf_mapping_converters);

static bool type_name_taken(const char *name)
{
	struct dma_buf_mapping_type *type;

	lockdep_assert_held(&dma_buf_mapping_registry_lock);

	list_for_each_entry(type, &dma_buf_mapping_types, node)
		if (!strcmp(type->name, name))
			return true;
	return false;
}

/**
 * dma_buf_mapping_type_register - make a mapping type known to core
 * @type: static instance with its name, owner and match set
 *
 * Context: May sleep. Takes the registry's lock.
 * Return: 0; -EINVAL if @type has no name; -EEXIST if it, or another one of
 * its name, is registered.
 */
int dma_buf_mapping_type_register(struct dma_buf_mapping_type *type)
{
	if (!type->name)
		return -EINVAL;

	guard(rwsem_write)(&dma_buf_mapping_registry_lock);
	if (type->registered || type_name_taken(type->name))
		return -EEXIST;
	atomic_set(&type->users, 0);
	type->registered = true;
	list_add_tail(&type->node, &dma_buf_mapping_types);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_type_register, "DMA_BUF");

static bool type_is_converted(const struct dma_buf_mapping_type *type)
{
	struct dma_buf_mapping_converter *conv;

	lockdep_assert_held(&dma_buf_mapping_registry_lock);

	list_for_each_entry(conv, &dma_buf_mapping_converters, node)
		if (conv->exp_type == type || conv->imp_type == type)
			return true;
	return false;
}

/**
 * dma_buf_mapping_type_unregister - undo dma_buf_mapping_type_register()
 * @type: the type
 *
 * A module whose type is in use cannot be unloaded, so its exit function never
 * sees -EBUSY.
 *
 * Context: May sleep. Takes the registry's lock.
 * Return: 0; -ENOENT if @type is not registered; -EBUSY while an attachment or
 * a converter uses it, and if it is core's own.
 */
int dma_buf_mapping_type_unregister(struct dma_buf_mapping_type *type)
{
	guard(rwsem_write)(&dma_buf_mapping_registry_lock);
	if (!type->registered)
		return -ENOENT;
	if (type->permanent || atomic_read(&type->users) ||
	    type_is_converted(type))
		return -EBUSY;
	list_del(&type->node);
	type->registered = false;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_type_unregister, "DMA_BUF");

/**
 * dma_buf_mapping_find_converter - find the converter for a pair of types
 * @exp_type: what the exporter states
 * @imp_type: what the importer states
 *
 * Context: Any. The registry's lock is held.
 * Return: The converter, NULL if there is none.
 */
struct dma_buf_mapping_converter *
dma_buf_mapping_find_converter(const struct dma_buf_mapping_type *exp_type,
			       const struct dma_buf_mapping_type *imp_type)
{
	struct dma_buf_mapping_converter *conv;

	lockdep_assert_held(&dma_buf_mapping_registry_lock);

	list_for_each_entry(conv, &dma_buf_mapping_converters, node)
		if (conv->exp_type == exp_type && conv->imp_type == imp_type)
			return conv;
	return NULL;
}

/**
 * dma_buf_mapping_converter_register - make a converter known to core
 * @conv: static instance
 *
 * Context: May sleep. Takes the registry's lock.
 * Return: 0; -EINVAL if one of its types is not registered or both are the
 * same; -EEXIST if there is a converter for the pair.
 */
int dma_buf_mapping_converter_register(struct dma_buf_mapping_converter *conv)
{
	guard(rwsem_write)(&dma_buf_mapping_registry_lock);
	if (!conv->exp_type->registered || !conv->imp_type->registered ||
	    conv->exp_type == conv->imp_type)
		return -EINVAL;
	if (dma_buf_mapping_find_converter(conv->exp_type, conv->imp_type))
		return -EEXIST;
	atomic_set(&conv->users, 0);
	conv->registered = true;
	list_add_tail(&conv->node, &dma_buf_mapping_converters);
	return 0;
}

/**
 * dma_buf_mapping_converter_unregister - undo
 * dma_buf_mapping_converter_register()
 * @conv: the converter
 *
 * Core's own converters stay for good; this is for those of tests.
 *
 * Context: May sleep. Takes the registry's lock.
 * Return: 0; -ENOENT if @conv is not registered; -EBUSY while an attachment
 * uses it, and if it is core's own.
 */
int dma_buf_mapping_converter_unregister(struct dma_buf_mapping_converter *conv)
{
	guard(rwsem_write)(&dma_buf_mapping_registry_lock);
	if (!conv->registered)
		return -ENOENT;
	if (conv->permanent || atomic_read(&conv->users))
		return -EBUSY;
	list_del(&conv->node);
	conv->registered = false;
	return 0;
}

/* The type of a module that is being unloaded does not match any more */
static int get_type(struct dma_buf_mapping_type *type)
{
	if (type->permanent)
		return 0;
	if (!try_module_get(type->owner))
		return -EOPNOTSUPP;
	atomic_inc(&type->users);
	return 0;
}

static void put_type(struct dma_buf_mapping_type *type)
{
	if (type->permanent)
		return;
	atomic_dec(&type->users);
	module_put(type->owner);
}

/**
 * dma_buf_mapping_get_agreed - keep what was agreed on for an attachment
 * @exp_type: the exporter's type
 * @imp_type: the importer's, the same one if @conv is NULL
 * @conv: converter from one to the other
 *
 * None of them can be unregistered or unloaded until
 * dma_buf_mapping_put_agreed(). Core's own never are, and are not counted, so
 * that attachments do not meet in a cache line for nothing.
 *
 * Context: Any. The registry's lock is held.
 * Return: 0; -EOPNOTSUPP if the module of one is on its way out.
 */
int dma_buf_mapping_get_agreed(struct dma_buf_mapping_type *exp_type,
			       struct dma_buf_mapping_type *imp_type,
			       struct dma_buf_mapping_converter *conv)
{
	int ret;

	lockdep_assert_held(&dma_buf_mapping_registry_lock);

	ret = get_type(exp_type);
	if (ret || !conv)
		return ret;
	ret = get_type(imp_type);
	if (ret)
		goto err_exp;
	if (conv->permanent)
		return 0;
	if (!try_module_get(conv->owner)) {
		ret = -EOPNOTSUPP;
		goto err_imp;
	}
	atomic_inc(&conv->users);
	return 0;

err_imp:
	put_type(imp_type);
err_exp:
	put_type(exp_type);
	return ret;
}

/**
 * dma_buf_mapping_put_agreed - undo dma_buf_mapping_get_agreed()
 * @ma: the attachment, for which something was agreed on
 *
 * Context: Any.
 */
void dma_buf_mapping_put_agreed(struct dma_buf_mapping_attachment *ma)
{
	struct dma_buf_mapping_converter *conv = ma->converter;

	if (conv) {
		if (!conv->permanent) {
			atomic_dec(&conv->users);
			module_put(conv->owner);
		}
		put_type(ma->imp_type);
	}
	put_type(ma->exp_type);
}

static int __init register_iommu(void)
{
	int ret;

	ret = dma_buf_mapping_type_register(&dma_buf_mapping_iommu);
	if (!ret)
		ret = dma_buf_mapping_converter_register(&dma_buf_pal_to_iommu);
	return ret;
}

static int __init dma_buf_mapping_init(void)
{
	int ret;

	ret = dma_buf_mapping_type_register(&dma_buf_mapping_sgt);
	if (!ret)
		ret = dma_buf_mapping_type_register(&dma_buf_mapping_pal);
	if (!ret)
		ret = dma_buf_mapping_converter_register(&dma_buf_pal_to_sgt);
	if (!ret && IS_ENABLED(CONFIG_IOMMU_API))
		ret = register_iommu();
	return ret;
}

/* Before any driver can export or attach */
core_initcall(dma_buf_mapping_init);
