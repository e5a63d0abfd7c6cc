#!/usr/bin/env python3
"""Words sorted, each with one document, become words with all of theirs."""
import sys
from itertools import groupby

pairs = (line.rstrip("\n").split("\t", 1) for line in sys.stdin)
for word, group in groupby(pairs, lambda pair: pair[0]):
    print(word, ",".join(sorted({document for _, document in group})), sep="\t")
