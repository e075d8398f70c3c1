// SPDX-License-Identifier: GPL-2.0-only
/// drivers/dma-buf/mapping/internal.h is the header where physical addresses and
/// domains meet. Nothing outside of its folder may include it.
///
// Confidence: High
// Options: --no-includes --include-headers
// Keywords: dma-buf, internal.h

virtual org
virtual report

@initialize:python@
@@

import os
import re

header = 'drivers/dma-buf/mapping/internal.h'
include = re.compile(r'\s*#\s*include\s+["<](.*internal\.h)[">]')

def included(name, what):
    """Is this the header, seen from the file or from any include folder?"""
    if os.path.dirname(header) in os.path.abspath(name):
        return False
    path = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(name)), what))
    return path.endswith(header) or what.endswith('dma-buf/mapping/internal.h')

def search(say):
    for name in cocci.files():
        for number, line in enumerate(open(name, errors='replace'), 1):
            found = include.match(line)
            if found and included(name, found.group(1)):
                say(name, number)

@script:python depends on report@
@@

search(lambda name, number:
       print("%s:%d:0-0: only core may include its internal.h" % (name, number)))

@script:python depends on org@
@@

search(lambda name, number:
       print("* TODO [[view:%s::face=ovl-face1::linb=%d::colb=0::cole=0][only core may include its internal.h]]" % (name, number)))
