// SPDX-License-Identifier: GPL-2.0-only
/// The headers pal.h and internal.h of drivers/dma-buf/mapping/ are for core.
/// Nothing outside of that folder may include them, and pal.h is the only header
/// in it that shows a physical address.
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: dma-buf, internal.h, pal.h

virtual org
virtual report

@initialize:python@
@@

import os
import re

folder = 'drivers/dma-buf/mapping'
include = re.compile(r'\s*#\s*include\s+["<]((?:.*/)?(?:internal|pal)\.h)[">]')
address = re.compile(r'\s*(?!\s|\*|//|/\*).*\b(?:phys_addr_t|struct phys_vec)\b')

def included(name, what):
    """Is this one of core's, seen from the file or from any include folder?"""
    if folder in os.path.abspath(name):
        return False
    path = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(name)), what))
    header = os.path.join(folder, os.path.basename(what))
    return path.endswith(header) or what.endswith(header.removeprefix('drivers/'))

def shows_addresses(name):
    """Is this a header of core that may not have any?"""
    return (os.path.dirname(os.path.abspath(name)).endswith(folder) and
            name.endswith('.h') and os.path.basename(name) != 'pal.h')

def search(say):
    for name in cocci.files():
        guarded = shows_addresses(name)
        for number, line in enumerate(open(name, errors='replace'), 1):
            found = include.match(line)
            if found and included(name, found.group(1)):
                say(name, number, "only core may include its %s" % os.path.basename(found.group(1)))
            if guarded and address.match(line):
                say(name, number, "of core's headers only pal.h shows physical addresses")

@script:python depends on report@
@@

search(lambda name, number, what:
       print("%s:%d:0-0: %s" % (name, number, what)))

@script:python depends on org@
@@

search(lambda name, number, what:
       print("* TODO [[view:%s::face=ovl-face1::linb=%d::colb=0::cole=0][%s]]" % (name, number, what)))
