// SPDX-License-Identifier: GPL-2.0-only
/// An importer of a dma-buf must not learn where the memory is. Its table has
/// DMA addresses and no pages, the physical addresses that an exporter states
/// are for core, and so are the translations that core puts in a domain.
///
//# A mapped table is followed through the function that maps it, and through
//# the file by the name of the struct member that it is stored in. A driver
//# that keeps tables of its own in that member as well is reported wrongly.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: dma-buf, scatterlist, physical address

virtual context
virtual org
virtual report

@initialize:python@
@@

import re

core = re.compile(r'drivers/dma-buf/mapping/|include/linux/dma-buf-mapping\.h$')
members = set()

def outside(place):
    return not core.search(place[0].file)

def say(place, what):
    pass

@script:python depends on report@
@@

say = coccilib.report.print_report

@script:python depends on org@
@@

say = coccilib.org.print_todo

// A table in the function that maps it

@mapped@
idexpression sgt;
expression e;
position p : script:python() { outside(p) };
@@

  sgt = \(dma_buf_map_attachment\|dma_buf_map_attachment_unlocked\)(...)
  ... when any
      when != sgt = e
* \(sg_page@p\|sg_phys@p\|sg_virt@p\)(<+... sgt ...+>)

@script:python@
p << mapped.p;
@@

say(p[0], "a mapped dma-buf has DMA addresses, and no pages to look at")

@looped@
idexpression sgt;
expression e, sg;
statement S;
iterator name for_each_sg, for_each_sgtable_sg, for_each_sgtable_dma_sg, for_each_sgtable_page;
position p : script:python() { outside(p) };
@@

  sgt = \(dma_buf_map_attachment\|dma_buf_map_attachment_unlocked\)(...)
  ... when any
      when != sgt = e
(
* for_each_sgtable_sg@p(sgt, ...) S
|
* for_each_sgtable_page@p(sgt, ...) S
|
  for_each_sgtable_dma_sg(sgt, sg, ...) {
  <+...
* \(sg_page@p\|sg_phys@p\|sg_virt@p\)(sg)
  ...+>
  }
|
  for_each_sg(sgt->sgl, sg, ...) {
  <+...
* \(sg_page@p\|sg_phys@p\|sg_virt@p\)(sg)
  ...+>
  }
)

@script:python@
p << looped.p;
@@

say(p[0], "a mapped dma-buf has DMA addresses, and no pages to look at")

// A table in the struct that it is kept in

@stored@
expression e;
identifier member;
@@

  e->member = \(dma_buf_map_attachment\|dma_buf_map_attachment_unlocked\)(...)

@script:python@
member << stored.member;
@@

members.add(str(member))

@stored_later@
idexpression sgt;
expression e, other;
identifier member;
@@

  sgt = \(dma_buf_map_attachment\|dma_buf_map_attachment_unlocked\)(...)
  ... when any
      when != sgt = other
  e->member = sgt

@script:python@
member << stored_later.member;
@@

members.add(str(member))

@kept@
expression e;
identifier member : script:python() { member in members };
position p : script:python() { outside(p) };
@@

* \(sg_page@p\|sg_phys@p\|sg_virt@p\)(<+... e->member ...+>)

@script:python@
p << kept.p;
@@

say(p[0], "a mapped dma-buf has DMA addresses, and no pages to look at")

@kept_looped@
expression e, sg;
identifier member : script:python() { member in members };
statement S;
iterator name for_each_sg, for_each_sgtable_sg, for_each_sgtable_dma_sg, for_each_sgtable_page;
position p : script:python() { outside(p) };
@@

(
* for_each_sgtable_sg@p(e->member, ...) S
|
* for_each_sgtable_page@p(e->member, ...) S
|
  for_each_sgtable_dma_sg(e->member, sg, ...) {
  <+...
* \(sg_page@p\|sg_phys@p\|sg_virt@p\)(sg)
  ...+>
  }
|
  for_each_sg(e->member->sgl, sg, ...) {
  <+...
* \(sg_page@p\|sg_phys@p\|sg_virt@p\)(sg)
  ...+>
  }
)

@script:python@
p << kept_looped.p;
@@

say(p[0], "a mapped dma-buf has DMA addresses, and no pages to look at")

// The list that an exporter states

@typed@
symbol dma_buf_mapping_pal;
position p : script:python() { outside(p) };
@@

* &dma_buf_mapping_pal@p

@script:python@
p << typed.p;
@@

say(p[0], "the type PAL is for exporters, by DMA_BUF_EMAPPING_PAL()")

@called@
expression e;
position p : script:python() { outside(p) };
@@

(
* e->map_phys@p(...)
|
* e->unmap_phys@p(...)
)

@script:python@
p << called.p;
@@

say(p[0], "only core may call for the list of an exporter")

@entry@
identifier imp;
@@

(
  struct dma_buf_mapping_match imp = DMA_BUF_EMAPPING_PAL(...);
|
  struct dma_buf_mapping_match imp[...] = { ..., DMA_BUF_EMAPPING_PAL(...), ... };
)

@stated@
identifier entry.imp;
expression e;
position p : script:python() { outside(p) };
@@

(
* dma_buf_mapping_attach@p(e, imp, ...)
|
* dma_buf_mapping_attach@p(e, &imp, ...)
)

@script:python@
p << stated.p;
@@

say(p[0], "an importer cannot state PAL")

// What core put in a domain

@mapped_by_core@
@@

  dma_buf_iommu_map(...)

@read_back depends on mapped_by_core@
position p : script:python() { outside(p) };
@@

* iommu_iova_to_phys@p(...)

@script:python@
p << read_back.p;
@@

say(p[0], "only core may read what it mapped into a domain")
