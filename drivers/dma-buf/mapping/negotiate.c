// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negotiation: which pair of match entries, one of the exporter and one of the
 * importer, an attachment uses.
 */
#include <linux/bug.h>
#include <linux/cleanup.h>
#include <linux/dma-buf.h>
#include <linux/export.h>
#include <linux/rwsem.h>

#include "hooks.h"
#include "internal.h"

static int try_pair(struct dma_buf_mapping_attachment *ma,
		    const struct dma_buf_mapping_match *exp,
		    const struct dma_buf_mapping_match *imp,
		    struct dma_buf_mapping_converter *conv)
{
	int ret = 0;

	ma->attach.dev = imp->dev;
	if (conv)
		ret = conv->match(&ma->attach, exp, imp);
	else if (exp->type->match)
		ret = exp->type->match(&ma->attach, exp, imp);
	if (!ret)
		ret = dma_buf_mapping_get_agreed(exp->type, imp->type, conv);
	if (ret)
		return ret;

	ma->exp_type = exp->type;
	ma->exp_ops = exp->exp_ops;
	ma->imp_type = imp->type;
	ma->imp_ops = conv ? conv->imp_ops : exp->exp_ops;
	ma->converter = conv;
	if (conv && conv->core_revokes)
		ma->attach.peer2peer = true;
	return 0;
}

/* One pass over all pairs; -EOPNOTSUPP of one pair means to go on looking */
static int match_pass(struct dma_buf_match_args *args,
		      const struct dma_buf_mapping_match *exp,
		      unsigned int num_exp, bool convert)
{
	struct dma_buf_mapping_attachment *ma =
		to_mapping_attachment(args->attach);
	struct dma_buf_mapping_converter *conv = NULL;
	unsigned int e, i;
	int ret;

	for (e = 0; e < num_exp; e++) {
		for (i = 0; i < args->num_imp; i++) {
			const struct dma_buf_mapping_match *imp = &args->imp[i];

			if (convert)
				conv = dma_buf_mapping_find_converter(exp[e].type,
								      imp->type);
			if (convert ? !conv : exp[e].type != imp->type)
				continue;
			ret = try_pair(ma, &exp[e], imp, conv);
			if (ret != -EOPNOTSUPP)
				return ret;
		}
	}
	return -EOPNOTSUPP;
}

static bool exporter_entry_valid(const struct dma_buf_mapping_match *exp)
{
	const struct dma_buf_mapping_type *type = exp->type;

	return type && type->registered && !type->importer_only &&
	       (!type->exp_ops_valid || type->exp_ops_valid(exp));
}

static bool exporter_entries_valid(const struct dma_buf_mapping_match *exp,
				   unsigned int num)
{
	for (; num; num--, exp++)
		if (!exporter_entry_valid(exp))
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

static const struct dma_buf_mapping_match legacy_sgt =
	DMA_BUF_EMAPPING_SGT(&dma_buf_legacy_sgt_ops);

/* The legacy calls state SGT, unless the exporter says where in its list it is */
static bool implies_sgt(const struct dma_buf_ops *ops,
			const struct dma_buf_mapping_match *exp,
			unsigned int num)
{
	for (; num; num--, exp++)
		if (exp->type == &dma_buf_mapping_sgt)
			return false;
	return ops->map_dma_buf;
}

static int match_lists(struct dma_buf_match_args *args,
		       const struct dma_buf_mapping_match *exp,
		       unsigned int num_exp, bool sgt, bool convert)
{
	int ret = -EOPNOTSUPP;

	if (sgt)
		ret = match_pass(args, &legacy_sgt, 1, convert);
	if (ret == -EOPNOTSUPP)
		ret = match_pass(args, exp, num_exp, convert);
	return ret;
}

/**
 * dma_buf_match_mapping - negotiate for an exporter, which says what it can do
 * @args: as given to &dma_buf_ops.match_mapping
 * @exp: what this buffer's exporter can do, best first; may be NULL if it has
 *	@num_exp of 0
 * @num_exp: number of entries in @exp
 *
 * Tries the pairs in the order of @exp, and within one of its entries in the
 * order of the importer's list: first those of equal types, then those that
 * core has a converter for. For an exporter with &dma_buf_ops.map_dma_buf SGT
 * comes before all of @exp, which may be empty then. If another order is better
 * it puts an entry of SGT where that belongs. The lists are not needed after
 * the call.
 *
 * Context: May sleep. Takes the registry's lock for reading; the reservation
 * lock must not be held.
 * Return: 0; -EINVAL if a list is empty, or has an entry of an unregistered
 * type, of a type that its side cannot state, or without the operations that
 * its type needs, and, with a WARN, if something is agreed already; -EOPNOTSUPP
 * if nothing fits; any errno that a match callback ended the negotiation with.
 */
int dma_buf_match_mapping(struct dma_buf_match_args *args,
			  const struct dma_buf_mapping_match *exp,
			  unsigned int num_exp)
{
	bool sgt = implies_sgt(args->attach->dmabuf->ops, exp, num_exp);
	int ret;

	if (WARN_ON(to_mapping_attachment(args->attach)->exp_type))
		return -EINVAL;

	guard(rwsem_read)(&dma_buf_mapping_registry_lock);
	if (!(num_exp || sgt) || !exporter_entries_valid(exp, num_exp) ||
	    !args->num_imp || !importer_entries_valid(args->imp, args->num_imp))
		return -EINVAL;

	ret = match_lists(args, exp, num_exp, sgt, false);
	if (ret == -EOPNOTSUPP)
		ret = match_lists(args, exp, num_exp, sgt, true);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_match_mapping, "DMA_BUF");

static int ask_exporter(struct dma_buf_match_args *args)
{
	const struct dma_buf_ops *ops = args->attach->dmabuf->ops;

	if (ops->match_mapping)
		return ops->match_mapping(args);
	return dma_buf_match_mapping(args, NULL, 0);
}

static int negotiate(struct dma_buf_mapping_attachment *ma,
		     const struct dma_buf_mapping_match *imp,
		     unsigned int num_imp)
{
	struct dma_buf_match_args args = {
		.attach = &ma->attach,
		.imp = imp,
		.num_imp = num_imp,
	};
	int ret;

	ret = ask_exporter(&args);
	/* One that says yes without having asked core has agreed on nothing */
	if (!ret && WARN_ON(!ma->exp_type))
		return -EINVAL;
	if (ret && WARN_ON(ma->exp_type))
		dma_buf_mapping_put_agreed(ma);
	return ret;
}

/* Keeps its entry off the stack of those who need none */
static noinline_for_stack int
negotiate_sgt(struct dma_buf_mapping_attachment *ma)
{
	struct dma_buf_mapping_match sgt = DMA_BUF_IMAPPING_SGT(ma->attach.dev);

	return negotiate(ma, &sgt, 1);
}

/* Two drivers with the legacy calls have nothing to choose */
static void agree_on_legacy_sgt(struct dma_buf_mapping_attachment *ma)
{
	ma->exp_type = &dma_buf_mapping_sgt;
	ma->exp_ops = &dma_buf_legacy_sgt_ops;
	ma->imp_type = &dma_buf_mapping_sgt;
	ma->imp_ops = &dma_buf_legacy_sgt_ops;
}

/**
 * dma_buf_mapping_negotiate - agree on how an importer maps
 * @ma: the new attachment, which gets the result
 * @imp: what the importer can do, best first; NULL for a legacy importer,
 *	which wants SGT for &dma_buf_attachment.dev
 * @num_imp: number of entries in @imp
 *
 * Undone by dma_buf_mapping_put_agreed().
 *
 * Context: May sleep. Takes the registry's lock for reading; the reservation
 * lock is not held.
 * Return: 0, or an errno as of dma_buf_match_mapping(), or of an exporter that
 * refused, with nothing agreed on.
 */
int dma_buf_mapping_negotiate(struct dma_buf_mapping_attachment *ma,
			      const struct dma_buf_mapping_match *imp,
			      unsigned int num_imp)
{
	if (imp)
		return negotiate(ma, imp, num_imp);
	if (!ma->attach.dmabuf->ops->map_dma_buf)
		return negotiate_sgt(ma);
	agree_on_legacy_sgt(ma);
	return 0;
}

/**
 * dma_buf_mapping_ops_valid - tell whether an exporter can be mapped at all
 * @ops: the exporter's operations
 *
 * Context: Any.
 * Return: true if the exporter has &dma_buf_ops.match_mapping, both of the
 * legacy calls, or all three.
 */
bool dma_buf_mapping_ops_valid(const struct dma_buf_ops *ops)
{
	return !ops->map_dma_buf == !ops->unmap_dma_buf &&
	       (ops->match_mapping || ops->map_dma_buf);
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
	struct dma_buf_mapping_attachment *ma = to_mapping_attachment(attach);

	return ma->converter ? ma->converter->name : ma->exp_type->name;
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
	struct dma_buf_mapping_attachment *ma = to_mapping_attachment(attach);

	return !ma->converter && ma->exp_type == type ? ma->exp_ops : NULL;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_exp_ops, "DMA_BUF");

/**
 * dma_buf_mapping_agreed_on - ask which entry of the exporter was agreed on
 * @attach: the attachment
 * @exp_ops: the operations of one of the exporter's entries, which have to be
 *	its alone; &dma_buf_ops.map_dma_buf has none
 *
 * For the exporter, whose policy may depend on it, from &dma_buf_ops.attach on.
 *
 * Context: Any.
 * Return: true if @attach uses the entry, be it directly or converted.
 */
bool dma_buf_mapping_agreed_on(struct dma_buf_attachment *attach,
			       const void *exp_ops)
{
	return to_mapping_attachment(attach)->exp_ops == exp_ops;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_agreed_on, "DMA_BUF");
