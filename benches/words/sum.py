"""Adds the numbers of each word; equal words follow each other."""

import itertools
import sys

pairs = (line.rstrip("\n").split("\t") for line in sys.stdin)
for word, group in itertools.groupby(pairs, key=lambda pair: pair[0]):
    print(word, sum(int(n) for _, n in group), sep="\t")
