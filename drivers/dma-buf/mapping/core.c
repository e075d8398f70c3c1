// SPDX-License-Identifier: GPL-2.0-only
/*
 * Core of the DMA-buf mapping types: the registry, the negotiation between
 * exporter and importer, and the attachments that come of it.
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <trace/events/dma_buf.h>

#include "hooks.h"
#include "internal.h"

/* Protects both lists, and what is registered against going away in a match */
static DECLARE_RWSEM(registry_lock);
static LIST_HEAD(registered_types);
static LIST_HEAD(registered_converters);

static bool type_name_taken(const char *name)
{
	struct dma_buf_mapping_type *type;

	list_for_each_entry(type, &registered_types, node)
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

	guard(rwsem_write)(&registry_lock);
	if (type->registered || type_name_taken(type->name))
		return -EEXIST;
	atomic_set(&type->users, 0);
	type->registered = true;
	list_add_tail(&type->node, &registered_types);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_type_register, "DMA_BUF");

static bool type_is_converted(const struct dma_buf_mapping_type *type)
{
	struct dma_buf_mapping_converter *conv;

	list_for_each_entry(conv, &registered_converters, node)
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
 * a converter uses it.
 */
int dma_buf_mapping_type_unregister(struct dma_buf_mapping_type *type)
{
	guard(rwsem_write)(&registry_lock);
	if (!type->registered)
		return -ENOENT;
	if (atomic_read(&type->users) || type_is_converted(type))
		return -EBUSY;
	list_del(&type->node);
	type->registered = false;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_type_unregister, "DMA_BUF");

static struct dma_buf_mapping_converter *
find_converter(const struct dma_buf_mapping_type *exp_type,
	       const struct dma_buf_mapping_type *imp_type)
{
	struct dma_buf_mapping_converter *conv;

	list_for_each_entry(conv, &registered_converters, node)
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
	guard(rwsem_write)(&registry_lock);
	if (!conv->exp_type->registered || !conv->imp_type->registered ||
	    conv->exp_type == conv->imp_type)
		return -EINVAL;
	if (find_converter(conv->exp_type, conv->imp_type))
		return -EEXIST;
	atomic_set(&conv->users, 0);
	conv->registered = true;
	list_add_tail(&conv->node, &registered_converters);
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
 * uses it.
 */
int dma_buf_mapping_converter_unregister(struct dma_buf_mapping_converter *conv)
{
	guard(rwsem_write)(&registry_lock);
	if (!conv->registered)
		return -ENOENT;
	if (atomic_read(&conv->users))
		return -EBUSY;
	list_del(&conv->node);
	conv->registered = false;
	return 0;
}

/* A module on its way out counts as one that never stated its type */
static int get_type(struct dma_buf_mapping_type *type)
{
	if (!try_module_get(type->owner))
		return -EOPNOTSUPP;
	atomic_inc(&type->users);
	return 0;
}

static void put_type(struct dma_buf_mapping_type *type)
{
	atomic_dec(&type->users);
	module_put(type->owner);
}

/*
 * Keeps the two types and the converter from being unregistered or unloaded.
 * Without a converter the types are the same one.
 */
static int get_agreed(struct dma_buf_mapping_type *exp_type,
		      struct dma_buf_mapping_type *imp_type,
		      struct dma_buf_mapping_converter *conv)
{
	int ret;

	ret = get_type(exp_type);
	if (ret || !conv)
		return ret;
	ret = get_type(imp_type);
	if (ret)
		goto err_exp;
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

static void put_agreed(struct dma_buf_mapping *m)
{
	if (m->converter) {
		atomic_dec(&m->converter->users);
		module_put(m->converter->owner);
		put_type(m->converter->imp_type);
	}
	put_type(m->exp_type);
}

static const struct dma_buf_sgt_exp_ops *
sgt_ops(const struct dma_buf_mapping_match *exp,
	const struct dma_buf_mapping_match *imp,
	const struct dma_buf_mapping_converter *conv)
{
	const struct dma_buf_sgt_exp_ops *ops = conv ? conv->sgt : exp->exp_ops;

	if (imp->type != &dma_buf_mapping_sgt || !ops)
		return &dma_buf_no_sgt_ops;
	return ops;
}

static int try_pair(struct dma_buf_mapping *m,
		    const struct dma_buf_mapping_match *exp,
		    const struct dma_buf_mapping_match *imp,
		    struct dma_buf_mapping_converter *conv)
{
	int ret = 0;

	m->attach.dev = imp->dev;
	if (conv)
		ret = conv->match(&m->attach, exp, imp);
	else if (exp->type->match)
		ret = exp->type->match(&m->attach, exp, imp);
	if (!ret)
		ret = get_agreed(exp->type, imp->type, conv);
	if (ret)
		return ret;

	m->exp_type = exp->type;
	m->exp_ops = exp->exp_ops;
	m->converter = conv;
	m->sgt = sgt_ops(exp, imp, conv);
	if (conv && conv->core_owned)
		m->attach.peer2peer = true;
	return 0;
}

/* One pass over all pairs; -EOPNOTSUPP of one pair means to go on looking */
static int match_pass(struct dma_buf_match_args *args,
		      const struct dma_buf_mapping_match *exp,
		      unsigned int num_exp, bool convert)
{
	struct dma_buf_mapping *m = to_mapping(args->attach);
	struct dma_buf_mapping_converter *conv = NULL;
	unsigned int e, i;
	int ret;

	for (e = 0; e < num_exp; e++) {
		for (i = 0; i < args->num_imp; i++) {
			const struct dma_buf_mapping_match *imp = &args->imp[i];

			if (convert)
				conv = find_converter(exp[e].type, imp->type);
			if (convert ? !conv : exp[e].type != imp->type)
				continue;
			ret = try_pair(m, &exp[e], imp, conv);
			if (ret != -EOPNOTSUPP)
				return ret;
		}
	}
	return -EOPNOTSUPP;
}

static bool exporter_entries_valid(const struct dma_buf_mapping_match *exp,
				   unsigned int num)
{
	for (; num; num--, exp++)
		if (!exp->type || !exp->type->registered ||
		    exp->type->importer_only)
			return false;
	return true;
}

static bool importer_entries_valid(const struct dma_buf_mapping_match *imp,
				   unsigned int num)
{
	for (; num; num--, imp++)
		if (!imp->type || !imp->type->registered ||
		    imp->type->exporter_only)
			return false;
	return true;
}

/**
 * dma_buf_match_mapping - negotiate for an exporter that builds its list
 * @args: as given to &dma_buf_ops.match_mapping
 * @exp: what this buffer's exporter can do, best first
 * @num_exp: number of entries in @exp
 *
 * Tries the pairs in the order of @exp, and within one of its entries in the
 * order of the importer's list: first those of equal types, then those that
 * core has a converter for. The lists are not needed after the call.
 *
 * Context: May sleep. Takes the registry's lock for reading; the reservation
 * lock must not be held.
 * Return: 0; -EINVAL if a list is empty, has an unregistered type, or has a
 * type that its side cannot state, and, with a WARN, if something is agreed
 * already; -EOPNOTSUPP if nothing fits; any errno that a match callback ended
 * the negotiation with.
 */
int dma_buf_match_mapping(struct dma_buf_match_args *args,
			  const struct dma_buf_mapping_match *exp,
			  unsigned int num_exp)
{
	int ret;

	if (WARN_ON(to_mapping(args->attach)->exp_type))
		return -EINVAL;

	guard(rwsem_read)(&registry_lock);
	if (!num_exp || !exporter_entries_valid(exp, num_exp) ||
	    !args->num_imp || !importer_entries_valid(args->imp, args->num_imp))
		return -EINVAL;

	ret = match_pass(args, exp, num_exp, false);
	if (ret == -EOPNOTSUPP)
		ret = match_pass(args, exp, num_exp, true);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_match_mapping, "DMA_BUF");

/* An empty table states nothing */
static bool has_table(const struct dma_buf_ops *ops)
{
	return ops->mappings && ops->num_mappings;
}

static bool states_types(const struct dma_buf_ops *ops)
{
	return ops->match_mapping || has_table(ops);
}

static int negotiate(struct dma_buf_match_args *args)
{
	static const struct dma_buf_mapping_match legacy =
		DMA_BUF_EMAPPING_SGT(&dma_buf_legacy_sgt_ops);
	const struct dma_buf_ops *ops = args->attach->dmabuf->ops;

	if (ops->match_mapping)
		return ops->match_mapping(args);
	if (has_table(ops))
		return dma_buf_match_mapping(args, ops->mappings,
					     ops->num_mappings);
	return dma_buf_match_mapping(args, &legacy, 1);
}

/* An exporter that says yes without having asked core has agreed on nothing */
static int negotiate_mapping(struct dma_buf_mapping *m,
			     const struct dma_buf_mapping_match *imp,
			     unsigned int num_imp)
{
	struct dma_buf_match_args args = {
		.attach = &m->attach,
		.imp = imp,
		.num_imp = num_imp,
	};
	int ret;

	ret = negotiate(&args);
	if (!ret && WARN_ON(!m->exp_type))
		return -EINVAL;
	if (ret && WARN_ON(m->exp_type))
		put_agreed(m);
	return ret;
}

/* In one go, so that no revoke can come between the use and the list */
static int publish(struct dma_buf_mapping *m)
{
	struct dma_buf *dmabuf = m->attach.dmabuf;
	int ret = 0;

	dma_resv_lock(dmabuf->resv, NULL);
	if (m->converter && m->converter->attach)
		ret = m->converter->attach(m);
	if (!ret)
		list_add(&m->attach.node, &dmabuf->attachments);
	dma_resv_unlock(dmabuf->resv);
	return ret;
}

static struct dma_buf_mapping *
new_mapping(struct dma_buf *dmabuf,
	    const struct dma_buf_attach_ops *importer_ops, void *importer_priv)
{
	struct dma_buf_mapping *m = kmalloc_obj(*m);

	if (m)
		*m = (struct dma_buf_mapping){
			.attach = {
				.dmabuf = dmabuf,
				.importer_ops = importer_ops,
				.importer_priv = importer_priv,
				.peer2peer = importer_ops &&
					     importer_ops->allow_peer2peer,
			},
		};
	return m;
}

/* Attaches by what was agreed; frees @m if that fails */
static struct dma_buf_attachment *join(struct dma_buf_mapping *m)
{
	struct dma_buf *dmabuf = m->attach.dmabuf;
	int ret;

	if (dmabuf->ops->attach) {
		ret = dmabuf->ops->attach(dmabuf, &m->attach);
		if (ret)
			goto err_free;
	}
	ret = publish(m);
	if (ret)
		goto err_detach;

	/* Reads no name of the dma-buf, and so needs no name_lock */
	trace_dma_buf_dynamic_attach(dmabuf, &m->attach,
				     !!m->attach.importer_ops, m->attach.dev);
	return &m->attach;

err_detach:
	if (dmabuf->ops->detach)
		dmabuf->ops->detach(dmabuf, &m->attach);
err_free:
	put_agreed(m);
	kfree(m);
	return ERR_PTR(ret);
}

static struct dma_buf_attachment *
negotiate_and_join(struct dma_buf_mapping *m,
		   const struct dma_buf_mapping_match *imp,
		   unsigned int num_imp)
{
	int ret;

	ret = negotiate_mapping(m, imp, num_imp);
	if (ret) {
		kfree(m);
		return ERR_PTR(ret);
	}
	return join(m);
}

/**
 * dma_buf_mapping_attach - attach an importer that states its mapping types
 * @dmabuf: buffer to attach to; the caller keeps its reference
 * @imp: what the importer can do, best first; not needed after the call
 * @num_imp: number of entries in @imp
 * @importer_ops: importer's callbacks, NULL if it has none
 * @importer_priv: for &dma_buf_attachment.importer_priv
 *
 * The attachment is freed by dma_buf_detach().
 *
 * Context: May sleep. Takes the reservation lock, and so must be called with
 * none of the importer's locks held that it takes inside of that.
 * Return: The attachment, or an ERR_PTR(): -EINVAL if a list is empty, the
 * importer's has an entry that it cannot state or one of SGT without a device,
 * or the exporter's is wrong; -EOPNOTSUPP if exporter and importer have nothing
 * in common; -ENODEV if the buffer is revoked and the mapping begins here, as in
 * an iommu_domain; -ENOMEM; what the exporter refused with.
 */
struct dma_buf_attachment *
dma_buf_mapping_attach(struct dma_buf *dmabuf,
		       const struct dma_buf_mapping_match *imp,
		       unsigned int num_imp,
		       const struct dma_buf_attach_ops *importer_ops,
		       void *importer_priv)
{
	struct dma_buf_mapping *m;

	if (WARN_ON(!dmabuf))
		return ERR_PTR(-EINVAL);

	m = new_mapping(dmabuf, importer_ops, importer_priv);
	if (!m)
		return ERR_PTR(-ENOMEM);

	return negotiate_and_join(m, imp, num_imp);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_attach, "DMA_BUF");

/* Its entry is not to be on the stack of all those who need none */
static noinline_for_stack struct dma_buf_attachment *
negotiate_sgt(struct dma_buf_mapping *m)
{
	struct dma_buf_mapping_match sgt = DMA_BUF_IMAPPING_SGT(m->attach.dev);

	return negotiate_and_join(m, &sgt, 1);
}

/*
 * There is nothing to choose between two drivers of old, and SGT is never
 * unregistered: they pay for no negotiation.
 */
static void agree_on_legacy_sgt(struct dma_buf_mapping *m)
{
	atomic_inc(&dma_buf_mapping_sgt.users);
	m->exp_type = &dma_buf_mapping_sgt;
	m->exp_ops = &dma_buf_legacy_sgt_ops;
	m->sgt = &dma_buf_legacy_sgt_ops;
}

/**
 * dma_buf_mapping_attach_sgt - attach an importer that states no types
 * @dmabuf: buffer to attach to
 * @dev: device of the importer
 * @importer_ops: importer's callbacks, NULL if it has none
 * @importer_priv: for &dma_buf_attachment.importer_priv
 *
 * Context: May sleep. Takes the reservation lock.
 * Return: As dma_buf_mapping_attach().
 */
struct dma_buf_attachment *
dma_buf_mapping_attach_sgt(struct dma_buf *dmabuf, struct device *dev,
			   const struct dma_buf_attach_ops *importer_ops,
			   void *importer_priv)
{
	struct dma_buf_mapping *m;

	m = new_mapping(dmabuf, importer_ops, importer_priv);
	if (!m)
		return ERR_PTR(-ENOMEM);

	m->attach.dev = dev;
	if (states_types(dmabuf->ops))
		return negotiate_sgt(m);

	agree_on_legacy_sgt(m);
	return join(m);
}

/**
 * dma_buf_mapping_detach - end the use of the buffer by an attachment
 * @attach: the attachment
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_mapping_detach(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping *m = to_mapping(attach);

	list_del(&attach->node);
	if (m->converter && m->converter->detach)
		m->converter->detach(m);
}

/**
 * dma_buf_mapping_invalidate - remove what core mapped for an attachment
 * @attach: the attachment, shown as revoked from here on
 *
 * Context: May sleep. The reservation lock is held.
 */
void dma_buf_mapping_invalidate(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping *m = to_mapping(attach);

	m->revoked = true;
	if (m->converter && m->converter->invalidate)
		m->converter->invalidate(m);
}

static void restore(struct dma_buf_mapping *m)
{
	int ret = 0;

	if (!m->revoked)
		return;
	if (m->converter && m->converter->restore)
		ret = m->converter->restore(m);
	if (ret && !m->restore_failed)
		pr_warn("dma-buf of %s: a mapping cannot be restored and stays revoked: %pe\n",
			m->attach.dmabuf->exp_name, ERR_PTR(ret));
	m->restore_failed = ret;
	m->revoked = ret;
}

/**
 * dma_buf_restore_mappings - make again what a revoke removed
 * @dmabuf: buffer whose memory is usable again
 *
 * For the exporter to call once what made it call dma_buf_invalidate_mappings()
 * is over. Where core owns the mappings it takes the exporter's list anew, which
 * may be another one than before, and installs everything that the importer
 * has mapped, or asked for since, and not unmapped. An attachment for which
 * that fails stays wholly revoked, says so once in the kernel log, and is tried
 * again by the next call. Attachments that are not revoked are not touched, and
 * an importer that makes its own mappings has to ask for them itself.
 *
 * Context: May sleep, and allocates memory with GFP_KERNEL_ACCOUNT, so that page
 * tables are charged to the caller's memory cgroup, whoever has mapped. The
 * reservation lock is held. &dma_buf_pal_exp_ops.map_phys is called and must not
 * refuse any more.
 */
void dma_buf_restore_mappings(struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach;

	dma_resv_assert_held(dmabuf->resv);

	list_for_each_entry(attach, &dmabuf->attachments, node)
		restore(to_mapping(attach));
}
EXPORT_SYMBOL_NS_GPL(dma_buf_restore_mappings, "DMA_BUF");

/**
 * dma_buf_mapping_core_owned - does core own the mappings of an attachment
 * @attach: the attachment
 *
 * Context: Any.
 * Return: true if dma_buf_mapping_invalidate() is all that a revoke needs.
 */
bool dma_buf_mapping_core_owned(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping *m = to_mapping(attach);

	return m->converter && m->converter->core_owned;
}

/**
 * dma_buf_mapping_free - free an attachment and what was agreed for it
 * @attach: the attachment, after dma_buf_mapping_detach()
 *
 * Context: May sleep. The reservation lock is not held.
 */
void dma_buf_mapping_free(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping *m = to_mapping(attach);

	put_agreed(m);
	kfree(m);
}

/**
 * dma_buf_mapping_ops_valid - can anybody map what this exporter exports
 * @ops: the exporter's operations
 *
 * Context: Any.
 * Return: true if the exporter states types, or has the calls of old.
 */
bool dma_buf_mapping_ops_valid(const struct dma_buf_ops *ops)
{
	return states_types(ops) || (ops->map_dma_buf && ops->unmap_dma_buf);
}

/**
 * dma_buf_mapping_name - what was agreed for an attachment
 * @attach: the attachment
 *
 * Context: Any.
 * Return: The name of the type that both sides use, or of the conversion, such
 * as "SGT". Valid until dma_buf_detach(); not to be freed.
 */
const char *dma_buf_mapping_name(struct dma_buf_attachment *attach)
{
	struct dma_buf_mapping *m = to_mapping(attach);

	return m->converter ? m->converter->name : m->exp_type->name;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_name, "DMA_BUF");

/**
 * dma_buf_mapping_exp_ops - the exporter's operations of a driver's own type
 * @attach: the attachment
 * @type: the type that the caller knows the operations of
 *
 * Context: Any.
 * Return: &dma_buf_mapping_match.exp_ops of the exporter's entry, valid until
 * dma_buf_detach(); NULL if something else than @type was agreed.
 */
const void *dma_buf_mapping_exp_ops(struct dma_buf_attachment *attach,
				    const struct dma_buf_mapping_type *type)
{
	struct dma_buf_mapping *m = to_mapping(attach);

	return !m->converter && m->exp_type == type ? m->exp_ops : NULL;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_exp_ops, "DMA_BUF");

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
	seq_printf(s, "\t%s\t%s%s\n",
		   attach->dev ? dev_name(attach->dev) : "-",
		   dma_buf_mapping_name(attach),
		   to_mapping(attach)->revoked ? "\trevoked" : "");
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

static int mapping_types_show(struct seq_file *s, void *unused)
{
	struct dma_buf_mapping_converter *conv;
	struct dma_buf_mapping_type *type;

	guard(rwsem_read)(&registry_lock);
	seq_puts(s, "Types:\n");
	list_for_each_entry(type, &registered_types, node)
		seq_printf(s, "\t%s\t%s\t%s\t%d uses\n", type->name,
			   type_sides(type), owner_name(type->owner),
			   atomic_read(&type->users));
	seq_puts(s, "Converters:\n");
	list_for_each_entry(conv, &registered_converters, node)
		seq_printf(s, "\t%s\t%s\t%d uses\n", conv->name,
			   owner_name(conv->owner), atomic_read(&conv->users));
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
