// SPDX-License-Identifier: GPL-2.0-only
/// Only core may hold a physical address and an iommu_domain together. What an
/// exporter does for an importer must not depend on a domain, and the calls of
/// the mapping types that take one are for iommufd.
///
//# The functions that an exporter states are looked at, not those that they
//# call.
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: dma-buf, iommu_domain, exporter

virtual context
virtual org
virtual report

@initialize:python@
@@

import re

core = re.compile(r'drivers/dma-buf/mapping/|include/linux/dma-buf-mapping\.h$')
iommufd = re.compile(r'drivers/iommu/iommufd/')
callbacks = set()

def in_callback(place):
    return place[0].current_element in callbacks and not core.search(place[0].file)

def in_driver(place):
    return not core.search(place[0].file) and not iommufd.search(place[0].file)

def say(place, what):
    pass

@script:python depends on report@
@@

say = coccilib.report.print_report

@script:python depends on org@
@@

say = coccilib.org.print_todo

// A domain in what an exporter states

@stated@
identifier kind = {dma_buf_ops, dma_buf_pal_exp_ops, dma_buf_sgt_exp_ops};
identifier op = {attach, detach, match_mapping, pin, unpin, map_dma_buf, unmap_dma_buf, map_phys, unmap_phys, map, unmap};
identifier ops, fn;
@@

  struct kind ops = { ..., .op = fn, ... };

@script:python@
fn << stated.fn;
@@

callbacks.add(str(fn))

@declared@
identifier domain;
expression e;
position p : script:python() { in_callback(p) };
@@

(
* struct iommu_domain *domain@p;
|
* struct iommu_domain *domain@p = e;
)

@script:python@
p << declared.p;
@@

say(p[0], "an exporter of a dma-buf has no use for an iommu_domain")

@used@
identifier call =~ "^iommu_(map|unmap|iova_to_phys|get_domain_for_dev|get_dma_domain|attach_device|detach_device)";
position p : script:python() { in_callback(p) };
@@

* call@p(...)

@script:python@
p << used.p;
@@

say(p[0], "an exporter of a dma-buf must leave domains to core")

// A domain handed to core

@handed@
identifier call =~ "^dma_buf_iommu_";
position p : script:python() { in_driver(p) };
@@

* call@p(...)

@script:python@
p << handed.p;
@@

say(p[0], "only iommufd may hand a domain to core")

@entry@
symbol dma_buf_mapping_iommu;
position p : script:python() { in_driver(p) };
@@

(
* DMA_BUF_IMAPPING_IOMMU@p()
|
* &dma_buf_mapping_iommu@p
)

@script:python@
p << entry.p;
@@

say(p[0], "only iommufd may be an importer with domains")
