// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything that can happen to a dma-buf in an IOAS, all of it at once: slices
 * are mapped, copied and unmapped, domains and devices come and go, buffers are
 * revoked, restored and closed, and so are whole iommufd contexts.
 *
 * Usage: iommufd_dmabuf_stress [SECONDS [SEED]]
 *
 * What holds all the time is checked all the time:
 *  - from the return of a revoke to the call of the restore no domain
 *    translates an IOVA where the buffer is mapped;
 *  - after the return of a restore each slice that is mapped is whole in each
 *    domain of its IOAS;
 *  - where nothing is mapped nothing is translated;
 *  - each call succeeds, but for what it has to be refused for.
 *
 * The locks here keep what is checked still while it is checked: a slot is what
 * one mapping may use, and its lock keeps others from mapping and unmapping
 * there; a domain has one against its destruction, a buffer one against further
 * revokes. None of them is shared by two calls that have to race: map, copy and
 * unmap run under locks of slots, attach and detach under those of domains,
 * revoke and restore under the one of the buffer, and close of a buffer under
 * none. Locks of a revoke nest: buffer, context, slot, domain. Whoever else
 * holds a slot only tries to lock its buffer.
 *
 * The seed decides what each thread does, but not how they interleave.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "iommufd_utils.h"

#define NR_BUFFERS	4
#define NR_CONTEXTS	2
#define NR_SPACES	2
#define NR_SLOTS	6
#define NR_DOMAINS	3
#define MAX_RANGES	64

#define SZ_1M		0x100000UL
/* The kernel chooses below it, each slot has its own window from it on */
#define FIXED_START	(MOCK_APERTURE_START + 64 * SZ_1M)
#define WINDOW		(4 * SZ_1M)
#define IOVA_END	(FIXED_START + NR_SLOTS * WINDOW)

/* What of a buffer's life it is in, modulo the number of them */
enum phase { ACTIVE, REVOKING, REVOKED, RESTORING, NR_PHASES };

struct buffer {
	/* Held over revoke and restore, and what has to come between them */
	pthread_mutex_t lock;
	/* Changes by the holder of the lock, see enum phase */
	atomic_uint seq;
	/* The last of its files is closed, or about to be */
	atomic_bool closed;
	/* Slots that have it, or are about to */
	atomic_uint users;
	/* O_PATH of something else after close, so that the number stays */
	int fd;
	size_t size;
	unsigned int nr_ranges;
	struct iommu_test_dmabuf_range ranges[MAX_RANGES];
};

struct slot {
	pthread_mutex_t lock;
	/* NULL if nothing is mapped; without the lock it may be read as a hint */
	struct buffer *buffer;
	__u64 window;
	__u64 iova;
	size_t offset;
	size_t length;
	bool chosen;
};

struct domain {
	pthread_mutex_t lock;
	/* 0 if there is none */
	__u32 hwpt;
};

/* The first domain is the automatic one, which lives by the device in it */
#define AUTOMATIC 0

/* An IOAS */
struct space {
	__u32 ioas;
	/* Slices start and end at multiples of it */
	size_t step;
	struct slot slots[NR_SLOTS];
	struct domain domains[NR_DOMAINS];
	/* Slots that have a buffer mapped */
	atomic_uint mapped[NR_BUFFERS];
};

struct context {
	/* Written by who closes it */
	pthread_rwlock_t lock;
	int fd;
	/* A device that domains are allocated for, in an IOAS of its own */
	__u32 anchor;
	/* Held by who moves the other device; 0 if there is none */
	pthread_mutex_t device_lock;
	__u32 device;
	/* Where the device is; changes under the lock of the domain as well */
	struct domain *attached;
	struct space spaces[NR_SPACES];
};

enum operation {
	OP_MAP_FIXED, OP_MAP_CHOSEN, OP_MAP_REFUSED, OP_COPY, OP_UNMAP,
	OP_REVOKE, OP_RESTORE,
	OP_ALLOC_DOMAIN, OP_DESTROY_DOMAIN,
	OP_CREATE_DEVICE, OP_REPLACE_DEVICE, OP_DESTROY_DEVICE,
	OP_CLOSE_BUFFER, OP_CLOSE_CONTEXT,
	OP_CHECK_GONE, OP_CHECK_WHOLE, OP_CHECK_EMPTY,
	NR_OPS,
};

static const struct {
	const char *name;
	/* Has to be seen while a buffer is revoked */
	bool revoked;
	/* Has to be seen while one begins or ends to be revoked */
	bool across;
} operations[NR_OPS] = {
	[OP_MAP_FIXED] = { "map at a fixed IOVA", .across = true },
	[OP_MAP_CHOSEN] = { "map at a chosen IOVA", .across = true },
	[OP_MAP_REFUSED] = { "map that is refused", .revoked = true },
	[OP_COPY] = { "copy", .revoked = true, .across = true },
	[OP_UNMAP] = { "unmap", .revoked = true, .across = true },
	[OP_REVOKE] = { "revoke" },
	[OP_RESTORE] = { "restore" },
	[OP_ALLOC_DOMAIN] = { "alloc of a domain", true, true },
	[OP_DESTROY_DOMAIN] = { "destroy of a domain", true, true },
	[OP_CREATE_DEVICE] = { "create of a device", true, true },
	[OP_REPLACE_DEVICE] = { "replace of a domain", true, true },
	[OP_DESTROY_DEVICE] = { "destroy of a device", true, true },
	[OP_CLOSE_BUFFER] = { "close of a buffer", true, true },
	[OP_CLOSE_CONTEXT] = { "close of an iommufd", true, true },
	[OP_CHECK_GONE] = { "check of a revoked slice" },
	[OP_CHECK_WHOLE] = { "check of a mapped slice" },
	[OP_CHECK_EMPTY] = { "check of empty IOVA" },
};

static struct {
	atomic_ulong done;
	/* With a buffer that was revoked from start to end */
	atomic_ulong revoked;
	/* With one that began or ended to be so meanwhile */
	atomic_ulong across;
} counts[NR_OPS];

static struct buffer buffers[NR_BUFFERS];
static struct context contexts[NR_CONTEXTS];
/* An iommufd for what needs any, and a dma-buf likewise */
static int control_fd, any_dmabuf, path_fd;
static atomic_bool stop;
static atomic_uint failures;

#define fail(fmt, ...)                                               \
	do {                                                         \
		if (!atomic_fetch_add(&failures, 1))                 \
			ksft_print_msg("FAILED: " fmt "\n", ##__VA_ARGS__); \
		stop = true;                                         \
	} while (0)

static __thread unsigned int random_state;

/* Less than @n */
static unsigned int any(unsigned int n)
{
	/* The high bits are the better ones */
	return (unsigned int)((rand_r(&random_state) & 0x7fffffffULL) * n >> 31);
}

static bool one_in(unsigned int n)
{
	return !any(n);
}

/*
 * When a call began, as each buffer's life goes, to tell afterwards what it met.
 * Buffers that it is not about are not looked at.
 */
struct watch {
	bool about[NR_BUFFERS];
	unsigned int seq[NR_BUFFERS];
};

static void watch_buffer(struct watch *w, const struct buffer *b)
{
	w->about[b - buffers] = true;
	w->seq[b - buffers] = b->seq;
}

static void watch_space(struct watch *w, struct space *s)
{
	unsigned int i;

	for (i = 0; i != NR_BUFFERS; i++)
		if (s->mapped[i])
			watch_buffer(w, &buffers[i]);
}

/* Was the buffer in this one phase all the time? */
static bool was(const struct watch *w, const struct buffer *b,
		enum phase phase)
{
	unsigned int seq = w->seq[b - buffers];

	return seq % NR_PHASES == phase && b->seq == seq;
}

static bool changed(const struct watch *w, const struct buffer *b)
{
	return !was(w, b, ACTIVE) && !was(w, b, REVOKED);
}

/*
 * Half of the time, waits for a revoke or a restore to begin, if one does soon.
 * It is no more than a hint, and so needs no lock.
 */
static void aim(const struct buffer *b)
{
	unsigned int patience = b && one_in(2) ? 100 : 0;

	for (; patience && b->seq % 2 == 0; patience--)
		sched_yield();
}

static void count(enum operation op, const struct watch *w)
{
	bool revoked = false, across = false;
	unsigned int i;

	for (i = 0; w && i != NR_BUFFERS; i++) {
		if (!w->about[i])
			continue;
		revoked |= was(w, &buffers[i], REVOKED);
		across |= changed(w, &buffers[i]);
	}
	counts[op].done++;
	counts[op].revoked += revoked;
	counts[op].across += across;
}

/* The calls of the selftest return -1 */
static int error_of(int ret)
{
	return ret < 0 ? -errno : ret;
}

static int check_domain(struct context *c, __u32 hwpt, int dmabuf, __u64 iova,
			size_t length, size_t offset, bool mapped)
{
	return error_of(_test_cmd_check_dmabuf(c->fd, hwpt, dmabuf, iova,
					       length, offset, mapped));
}

static void check_empty_in(struct context *c, struct domain *d, __u64 iova,
			   size_t length)
{
	int ret;

	if (!length)
		return;
	pthread_mutex_lock(&d->lock);
	if (d->hwpt) {
		ret = check_domain(c, d->hwpt, any_dmabuf, iova, length, 0,
				   false);
		if (ret)
			fail("%zx bytes at %llx should be empty in domain %u: %s",
			     length, iova, d->hwpt, strerror(-ret));
		count(OP_CHECK_EMPTY, NULL);
	}
	pthread_mutex_unlock(&d->lock);
}

static void check_empty(struct context *c, struct space *s, __u64 iova,
			size_t length)
{
	unsigned int i;

	for (i = 0; i != NR_DOMAINS; i++)
		check_empty_in(c, &s->domains[i], iova, length);
}

/* With the locks of slot and domain, and that of the buffer in a still phase */
static void check_slot_in(struct context *c, struct domain *d, struct slot *t)
{
	bool mapped = t->buffer->seq % NR_PHASES == ACTIVE;
	int ret;

	if (mapped) {
		ret = check_domain(c, d->hwpt, t->buffer->fd, t->iova,
				   t->length, t->offset, true);
		/* There is no way to ask for what is closed */
		if (ret == -EBADF && t->buffer->closed)
			return;
	} else {
		ret = check_domain(c, d->hwpt, any_dmabuf, t->iova, t->length,
				   0, false);
	}
	if (ret)
		fail("%zx bytes of buffer %zd from %zx on at %llx should be %s in domain %u: %s",
		     t->length, t->buffer - buffers, t->offset, t->iova,
		     mapped ? "mapped" : "gone", d->hwpt, strerror(-ret));
	count(mapped ? OP_CHECK_WHOLE : OP_CHECK_GONE, NULL);
}

static void check_slot(struct context *c, struct space *s, struct slot *t)
{
	unsigned int i;

	for (i = 0; i != NR_DOMAINS; i++) {
		struct domain *d = &s->domains[i];

		pthread_mutex_lock(&d->lock);
		if (d->hwpt)
			check_slot_in(c, d, t);
		pthread_mutex_unlock(&d->lock);
	}
	/* Not each time, as a window is large */
	if (!t->chosen && one_in(16)) {
		__u64 end = t->iova + t->length;

		check_empty(c, s, t->window, t->iova - t->window);
		check_empty(c, s, end, t->window + WINDOW - end);
	}
}

/* With the slot's lock only: if its buffer is not about to change */
static void try_check_slot(struct context *c, struct space *s, struct slot *t)
{
	struct buffer *b = t->buffer;

	if (!b) {
		check_empty_in(c, &s->domains[any(NR_DOMAINS)], t->window,
			       WINDOW);
	} else if (!pthread_mutex_trylock(&b->lock)) {
		check_slot(c, s, t);
		pthread_mutex_unlock(&b->lock);
	}
}

/* With the buffer's lock: wherever it is mapped */
static void check_buffer(struct buffer *b)
{
	unsigned int i, j, k;

	for (i = 0; i != NR_CONTEXTS; i++) {
		struct context *c = &contexts[i];

		pthread_rwlock_rdlock(&c->lock);
		for (j = 0; j != NR_SPACES; j++) {
			struct space *s = &c->spaces[j];

			for (k = 0; k != NR_SLOTS; k++) {
				struct slot *t = &s->slots[k];

				pthread_mutex_lock(&t->lock);
				if (t->buffer == b)
					check_slot(c, s, t);
				pthread_mutex_unlock(&t->lock);
			}
		}
		pthread_rwlock_unlock(&c->lock);
	}
}

/* Reserves a buffer for a slot, so that it is not opened anew meanwhile */
static bool get_buffer(struct buffer *b)
{
	b->users++;
	if (!b->closed)
		return true;
	b->users--;
	return false;
}

static void fill_slot(struct space *s, struct slot *t, struct buffer *b,
		      __u64 iova, size_t offset, size_t length)
{
	t->buffer = b;
	t->iova = iova;
	t->offset = offset;
	t->length = length;
	t->chosen = iova < FIXED_START;
	s->mapped[b - buffers]++;
}

static void clear_slot(struct space *s, struct slot *t)
{
	s->mapped[t->buffer - buffers]--;
	t->buffer->users--;
	t->buffer = NULL;
}

static __u64 fixed_iova(struct space *s, struct slot *t)
{
	return t->window + any(SZ_1M / s->step) * s->step;
}

/* What a map of the buffer may return */
static bool map_may(int ret, const struct watch *w, const struct buffer *b)
{
	if (ret == -EBADF)
		return b->closed;
	if (ret == -ENODEV)
		return !was(w, b, ACTIVE);
	return !ret && !was(w, b, REVOKED);
}

static void map_slot(struct context *c, struct space *s, struct slot *t,
		     struct buffer *b)
{
	unsigned int steps = b->size / s->step;
	unsigned int first = one_in(2) ? 0 : any(steps);
	unsigned int nr = one_in(2) ? steps - first : 1 + any(steps - first);
	bool chosen = one_in(3);
	unsigned int flags = chosen ? IOAS_MAP_RW : IOAS_MAP_RW_FIXED;
	__u64 iova = fixed_iova(s, t);
	struct watch w = {};
	int ret;

	if (!get_buffer(b))
		return;
	watch_buffer(&w, b);
	ret = _test_ioctl_ioas_map_file(c->fd, s->ioas, b->fd, first * s->step,
					nr * s->step, &iova, flags);
	ret = error_of(ret);
	if (!map_may(ret, &w, b))
		fail("map of buffer %zd to %llx: %s", b - buffers, iova,
		     ret ? strerror(-ret) : "not refused while revoked");
	if (ret == -ENODEV)
		count(OP_MAP_REFUSED, &w);
	if (ret) {
		b->users--;
		return;
	}
	fill_slot(s, t, b, iova, first * s->step, nr * s->step);
	count(chosen ? OP_MAP_CHOSEN : OP_MAP_FIXED, &w);
}

static void unmap_slot(struct context *c, struct space *s, struct slot *t)
{
	struct watch w = {};
	uint64_t length;
	int ret;

	watch_buffer(&w, t->buffer);
	ret = error_of(_test_ioctl_ioas_unmap(c->fd, s->ioas, t->iova,
					      t->length, &length));
	if (ret || length != t->length)
		fail("unmap of %zx bytes at %llx: %s, %lx bytes", t->length,
		     t->iova, strerror(-ret), length);
	clear_slot(s, t);
	count(OP_UNMAP, &w);
}

/* Some of what is in one slot to another, with the locks of both */
static void copy_slot(struct context *c, struct space *from, struct slot *src,
		      struct space *to, struct slot *dst)
{
	size_t first = (src->offset + to->step - 1) / to->step;
	size_t last = (src->offset + src->length) / to->step;
	__u64 iova = fixed_iova(to, dst);
	struct buffer *b = src->buffer;
	struct watch w = {};
	size_t offset, length;
	int ret;

	if (first >= last)
		return;
	first += one_in(2) ? 0 : any(last - first);
	last -= one_in(2) ? 0 : any(last - first);
	offset = first * to->step;
	length = (last - first) * to->step;

	b->users++;
	watch_buffer(&w, b);
	ret = _test_ioctl_ioas_copy(c->fd, to->ioas, from->ioas, &iova,
				    src->iova + (offset - src->offset), length,
				    IOAS_MAP_RW_FIXED);
	ret = error_of(ret);
	if (ret) {
		fail("copy from %llx to %llx: %s", src->iova, iova,
		     strerror(-ret));
		b->users--;
		return;
	}
	fill_slot(to, dst, b, iova, offset, length);
	count(OP_COPY, &w);
}

/* Two slots of a context are locked in the order of their addresses */
static void copy_to(struct context *c, struct space *to, struct slot *dst)
{
	struct space *from = &c->spaces[any(NR_SPACES)];
	struct slot *src = &from->slots[any(NR_SLOTS)];

	if (src == dst)
		return;
	aim(dst->buffer ? NULL : src->buffer);
	pthread_mutex_lock(src < dst ? &src->lock : &dst->lock);
	pthread_mutex_lock(src < dst ? &dst->lock : &src->lock);
	if (src->buffer && !dst->buffer)
		copy_slot(c, from, src, to, dst);
	pthread_mutex_unlock(&src->lock);
	pthread_mutex_unlock(&dst->lock);
}

/* @b is what to map if nothing is */
static void use_slot(struct context *c, struct space *s, struct slot *t,
		     struct buffer *b)
{
	if (one_in(2))
		copy_to(c, s, t);
	else
		aim(t->buffer ?: b);

	pthread_mutex_lock(&t->lock);
	if (!t->buffer)
		map_slot(c, s, t, b);
	else if (t->buffer->closed || one_in(2))
		unmap_slot(c, s, t);
	if (one_in(4))
		try_check_slot(c, s, t);
	pthread_mutex_unlock(&t->lock);
}

static void mapper(void)
{
	struct context *c = &contexts[any(NR_CONTEXTS)];
	struct space *s = &c->spaces[any(NR_SPACES)];

	pthread_rwlock_rdlock(&c->lock);
	use_slot(c, s, &s->slots[any(NR_SLOTS)], &buffers[any(NR_BUFFERS)]);
	pthread_rwlock_unlock(&c->lock);
}

/* A step in the life of a buffer; it stays as it was if that is closed first */
static bool set_revoked(struct buffer *b, bool revoked)
{
	int ret;

	b->seq++;
	ret = error_of(_test_cmd_revoke_dmabuf(control_fd, b->fd, revoked));
	if (!ret) {
		b->seq++;
		count(revoked ? OP_REVOKE : OP_RESTORE, NULL);
		return true;
	}
	if (ret != -EBADF || !b->closed)
		fail("%s of buffer %zd: %s", revoked ? "revoke" : "restore",
		     b - buffers, strerror(-ret));
	b->seq += NR_PHASES - 1;
	return false;
}

static void revoker(void)
{
	struct buffer *b = &buffers[any(NR_BUFFERS)];

	if (pthread_mutex_trylock(&b->lock))
		return;
	if (set_revoked(b, true)) {
		check_buffer(b);
		if (set_revoked(b, false))
			check_buffer(b);
	}
	pthread_mutex_unlock(&b->lock);
	/* Also some time without */
	usleep(any(2000));
}

static void alloc_domain(struct context *c, struct space *s, struct domain *d)
{
	struct watch w = {};
	int ret;

	watch_space(&w, s);
	ret = error_of(_test_cmd_hwpt_alloc(c->fd, c->anchor, s->ioas, 0, 0,
					    &d->hwpt, IOMMU_HWPT_DATA_NONE,
					    NULL, 0));
	if (ret) {
		d->hwpt = 0;
		fail("alloc of a domain: %s", strerror(-ret));
		return;
	}
	count(OP_ALLOC_DOMAIN, &w);
}

static void destroy_domain(struct context *c, struct space *s, struct domain *d)
{
	struct watch w = {};
	int ret;

	if (c->attached == d)
		return;
	watch_space(&w, s);
	ret = error_of(_test_ioctl_destroy(c->fd, d->hwpt));
	if (ret)
		fail("destroy of domain %u: %s", d->hwpt, strerror(-ret));
	d->hwpt = 0;
	count(OP_DESTROY_DOMAIN, &w);
}

static bool is_automatic(const struct space *s, const struct domain *d)
{
	return d == &s->domains[AUTOMATIC];
}

static struct space *space_of(struct context *c, const struct domain *d)
{
	return d < c->spaces[1].domains ? &c->spaces[0] : &c->spaces[1];
}

static void create_device(struct context *c, struct space *s)
{
	struct domain *d = &s->domains[AUTOMATIC];
	struct watch w = {};
	int ret;

	pthread_mutex_lock(&d->lock);
	watch_space(&w, s);
	ret = error_of(_test_cmd_mock_domain(c->fd, s->ioas, &c->device,
					     &d->hwpt, NULL));
	if (ret)
		fail("create of a device: %s", strerror(-ret));
	else
		count(OP_CREATE_DEVICE, &w);
	c->attached = d;
	pthread_mutex_unlock(&d->lock);
}

static void destroy_device(struct context *c)
{
	struct domain *d = c->attached;
	struct space *s = space_of(c, d);
	struct watch w = {};
	int ret;

	pthread_mutex_lock(&d->lock);
	watch_space(&w, s);
	ret = error_of(_test_ioctl_destroy(c->fd, c->device));
	if (ret)
		fail("destroy of a device: %s", strerror(-ret));
	if (is_automatic(s, d))
		d->hwpt = 0;
	c->device = 0;
	c->attached = NULL;
	count(OP_DESTROY_DEVICE, &w);
	pthread_mutex_unlock(&d->lock);
}

/* With the locks of both domains: of this one and of where the device is */
static void replace_with(struct context *c, struct space *s, struct domain *d)
{
	struct space *old = space_of(c, c->attached);
	struct watch w = {};
	__u32 pt = is_automatic(s, d) ? s->ioas : d->hwpt;
	__u32 hwpt = 0;
	int ret;

	if (!pt)
		return;
	watch_space(&w, s);
	watch_space(&w, old);
	ret = error_of(_test_cmd_mock_domain_replace(c->fd, c->device, pt,
						     &hwpt));
	if (ret) {
		fail("replace of the domain of a device: %s", strerror(-ret));
		return;
	}
	if (is_automatic(old, c->attached))
		c->attached->hwpt = 0;
	d->hwpt = hwpt;
	c->attached = d;
	count(OP_REPLACE_DEVICE, &w);
}

static void replace_device(struct context *c, struct space *s, struct domain *d)
{
	struct domain *old = c->attached;

	if (d == old)
		return;
	pthread_mutex_lock(d < old ? &d->lock : &old->lock);
	pthread_mutex_lock(d < old ? &old->lock : &d->lock);
	replace_with(c, s, d);
	pthread_mutex_unlock(&old->lock);
	pthread_mutex_unlock(&d->lock);
}

static void move_device(struct context *c, struct space *s, struct domain *d)
{
	pthread_mutex_lock(&c->device_lock);
	if (!c->device)
		create_device(c, s);
	else if (one_in(4))
		destroy_device(c);
	else
		replace_device(c, s, d);
	pthread_mutex_unlock(&c->device_lock);
}

static void change_domain(struct context *c, struct space *s, struct domain *d)
{
	pthread_mutex_lock(&d->lock);
	if (!d->hwpt)
		alloc_domain(c, s, d);
	else
		destroy_domain(c, s, d);
	pthread_mutex_unlock(&d->lock);
}

static void attacher(void)
{
	struct context *c = &contexts[any(NR_CONTEXTS)];
	struct space *s = &c->spaces[any(NR_SPACES)];
	struct domain *d = &s->domains[any(NR_DOMAINS)];
	struct slot *t = &s->slots[any(NR_SLOTS)];

	pthread_rwlock_rdlock(&c->lock);
	aim(t->buffer);
	if (is_automatic(s, d) || one_in(2))
		move_device(c, s, d);
	else
		change_domain(c, s, d);

	if (one_in(2)) {
		pthread_mutex_lock(&t->lock);
		try_check_slot(c, s, t);
		pthread_mutex_unlock(&t->lock);
	}
	pthread_rwlock_unlock(&c->lock);
}

static void open_space(struct context *c, struct space *s)
{
	bool huge = s == &c->spaces[0];

	s->step = huge ? MOCK_PAGE_SIZE : PAGE_SIZE;
	if (_test_ioctl_ioas_alloc(c->fd, &s->ioas) ||
	    _test_ioctl_ioas_set_huge_pages(c->fd, s->ioas, huge) ||
	    _test_ioctl_ioas_allow_iovas(c->fd, s->ioas, MOCK_APERTURE_START,
					 FIXED_START - 1))
		fail("no IOAS: %s", strerror(errno));
}

static void open_context(struct context *c)
{
	unsigned int i;
	__u32 parking;

	c->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (c->fd < 0 || _test_ioctl_ioas_alloc(c->fd, &parking) ||
	    _test_cmd_mock_domain(c->fd, parking, NULL, NULL, &c->anchor))
		fail("no iommufd context: %s", strerror(errno));
	for (i = 0; i != NR_SPACES; i++)
		open_space(c, &c->spaces[i]);
}

static void empty_space(struct context *c, struct space *s)
{
	unsigned int i;

	for (i = 0; i != NR_SLOTS; i++)
		if (s->slots[i].buffer)
			unmap_slot(c, s, &s->slots[i]);
	check_empty(c, s, MOCK_APERTURE_START, IOVA_END - MOCK_APERTURE_START);
}

static void forget_space(struct space *s)
{
	unsigned int i;

	for (i = 0; i != NR_SLOTS; i++)
		if (s->slots[i].buffer)
			clear_slot(s, &s->slots[i]);
	for (i = 0; i != NR_DOMAINS; i++)
		s->domains[i].hwpt = 0;
}

/* With nobody else in it, but the buffers mapped there go on with their life */
static void close_context(struct context *c, bool empty)
{
	struct watch w = {};
	unsigned int i;

	for (i = 0; empty && i != NR_SPACES; i++)
		empty_space(c, &c->spaces[i]);
	for (i = 0; i != NR_SPACES; i++)
		watch_space(&w, &c->spaces[i]);
	close(c->fd);
	count(OP_CLOSE_CONTEXT, &w);
	for (i = 0; i != NR_SPACES; i++)
		forget_space(&c->spaces[i]);
	c->device = 0;
	c->attached = NULL;
}

static void context_closer(void)
{
	struct context *c = &contexts[any(NR_CONTEXTS)];

	usleep(any(100000));
	pthread_rwlock_wrlock(&c->lock);
	close_context(c, one_in(8));
	open_context(c);
	pthread_rwlock_unlock(&c->lock);
}

static void open_buffer(struct buffer *b)
{
	int ret, fd;

	ret = _test_cmd_get_dmabuf_ranges(control_fd, b->size, b->ranges,
					  b->nr_ranges, 0, &fd);
	if (ret || dup2(fd, b->fd) < 0)
		fail("no dma-buf: %s", strerror(errno));
	close(fd);
	b->seq += NR_PHASES - b->seq % NR_PHASES;
	b->closed = false;
}

static void close_buffer(struct buffer *b)
{
	struct watch w = {};

	watch_buffer(&w, b);
	b->closed = true;
	/* Nobody may get the number of the file for another one */
	dup2(path_fd, b->fd);
	count(OP_CLOSE_BUFFER, &w);
}

static void buffer_closer(void)
{
	struct buffer *b = &buffers[any(NR_BUFFERS)];

	usleep(any(20000));
	if (!b->closed) {
		aim(b);
		close_buffer(b);
	} else if (!b->users) {
		pthread_mutex_lock(&b->lock);
		open_buffer(b);
		pthread_mutex_unlock(&b->lock);
	}
}

/* One range, a few, many small ones, and large ones with small ones between */
static const struct {
	unsigned int nr_ranges;
	/* In pages, of each fourth range */
	unsigned int lengths[4];
} layouts[NR_BUFFERS] = {
	{ 1, { 512 } },
	{ 8, { 7, 1, 32, 8 } },
	{ MAX_RANGES, { 1, 1, 2, 1 } },
	{ 8, { 128, 1, 64, 3 } },
};

/* Two ranges each are adjacent, and one pair comes before the other */
static void lay_out(struct buffer *b, unsigned int layout)
{
	struct iommu_test_dmabuf_range *r = b->ranges;
	size_t at;
	unsigned int i;

	b->nr_ranges = layouts[layout].nr_ranges;
	for (i = 0; i != b->nr_ranges; i++) {
		r[i].length = layouts[layout].lengths[i % 4] * PAGE_SIZE;
		b->size += r[i].length;
	}
	at = b->size;
	for (i = 0; i != b->nr_ranges; i++) {
		if (i % 2) {
			r[i].offset = r[i - 1].offset + r[i - 1].length;
			continue;
		}
		at -= r[i].length;
		if (i + 1 != b->nr_ranges)
			at -= r[i + 1].length;
		r[i].offset = at;
	}
}

static void setup(void)
{
	const int kind = PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
	pthread_rwlockattr_t attr;
	unsigned int i, j, k;

	PAGE_SIZE = sysconf(_SC_PAGE_SIZE);
	control_fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (control_fd < 0)
		ksft_exit_skip("no /dev/iommu: %s\n", strerror(errno));
	path_fd = open("/", O_PATH | O_CLOEXEC);
	if (_test_cmd_get_dmabuf(control_fd, PAGE_SIZE, &any_dmabuf))
		ksft_exit_skip("no mock dma-buf, is there CONFIG_IOMMUFD_TEST? %s\n",
			       strerror(errno));

	for (i = 0; i != NR_BUFFERS; i++) {
		pthread_mutex_init(&buffers[i].lock, NULL);
		lay_out(&buffers[i], i);
		buffers[i].fd = dup(path_fd);
		open_buffer(&buffers[i]);
	}

	/* Or those who only read keep out who wants to close */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, kind);
	for (i = 0; i != NR_CONTEXTS; i++) {
		struct context *c = &contexts[i];

		pthread_rwlock_init(&c->lock, &attr);
		pthread_mutex_init(&c->device_lock, NULL);
		for (j = 0; j != NR_SPACES; j++) {
			struct space *s = &c->spaces[j];

			for (k = 0; k != NR_SLOTS; k++) {
				pthread_mutex_init(&s->slots[k].lock, NULL);
				s->slots[k].window = FIXED_START + k * WINDOW;
			}
			for (k = 0; k != NR_DOMAINS; k++)
				pthread_mutex_init(&s->domains[k].lock, NULL);
		}
		open_context(c);
	}
}

static void teardown(void)
{
	unsigned int i;

	for (i = 0; i != NR_CONTEXTS; i++)
		close_context(&contexts[i], true);
	for (i = 0; i != NR_BUFFERS; i++)
		close(buffers[i].fd);
	close(any_dmabuf);
	close(path_fd);
	close(control_fd);
}

static void (*const actors[])(void) = {
	mapper, mapper, mapper, revoker, revoker, attacher, attacher,
	context_closer, buffer_closer,
};

static struct actor {
	pthread_t thread;
	unsigned int seed;
	void (*act)(void);
} threads[ARRAY_SIZE(actors)];

static void *run_actor(void *arg)
{
	struct actor *a = arg;

	random_state = a->seed;
	while (!stop)
		a->act();
	return NULL;
}

static unsigned long sum(enum operation first, enum operation last)
{
	unsigned long done = 0;

	for (; first <= last; first++)
		done += counts[first].done;
	return done;
}

static void print_progress(unsigned int second)
{
	ksft_print_msg("%5u s: map %lu unmap %lu revoke %lu domain %lu close %lu check %lu\n",
		       second, sum(OP_MAP_FIXED, OP_COPY),
		       sum(OP_UNMAP, OP_UNMAP), sum(OP_REVOKE, OP_RESTORE),
		       sum(OP_ALLOC_DOMAIN, OP_DESTROY_DEVICE),
		       sum(OP_CLOSE_BUFFER, OP_CLOSE_CONTEXT),
		       sum(OP_CHECK_GONE, OP_CHECK_EMPTY));
}

static void run(unsigned int seconds, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(actors); i++) {
		threads[i].seed = seed + i;
		threads[i].act = actors[i];
		if (pthread_create(&threads[i].thread, NULL, run_actor,
				   &threads[i]))
			ksft_exit_fail_msg("no thread\n");
	}
	for (i = 1; i <= seconds && !stop; i++) {
		sleep(1);
		if (i % 10 == 0 || i == seconds)
			print_progress(i);
	}
	stop = true;
	for (i = 0; i != ARRAY_SIZE(actors); i++)
		pthread_join(threads[i].thread, NULL);
}

/*
 * What did not happen was not tested: each call once in four seconds, some of
 * them in each minute on a revoked buffer and across a change of that. Most are
 * seen a thousand times as often, but not with sanitizers on a busy host.
 */
static bool seen(enum operation op, unsigned int seconds)
{
	return counts[op].done >= seconds / 4 &&
	       (!operations[op].revoked ||
		counts[op].revoked >= (seconds + 59) / 60) &&
	       (!operations[op].across || counts[op].across >= seconds / 60);
}

static void report(unsigned int seconds)
{
	unsigned int i;

	ksft_test_result(!failures, "all that was checked was right\n");
	for (i = 0; i != NR_OPS; i++) {
		if (failures) {
			ksft_test_result_skip("%s: stopped by the failure\n",
					      operations[i].name);
			continue;
		}
		ksft_test_result(seen(i, seconds),
				 "%s: %lu, %lu while revoked, %lu while that changed\n",
				 operations[i].name, sum(i, i),
				 counts[i].revoked + 0UL,
				 counts[i].across + 0UL);
	}
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? atoi(argv[1]) : 10;
	unsigned int seed = argc > 2 ? strtoul(argv[2], NULL, 0) : time(NULL);

	ksft_print_header();
	if (!seconds || argc > 3)
		ksft_exit_fail_msg("usage: iommufd_dmabuf_stress [SECONDS [SEED]]\n");
	ksft_set_plan(1 + NR_OPS);
	ksft_print_msg("%u seconds, seed %u\n", seconds, seed);
	setup();
	run(seconds, seed);
	teardown();
	report(seconds);
	ksft_finished();
}
