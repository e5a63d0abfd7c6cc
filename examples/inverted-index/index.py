#!/usr/bin/env python3
"""Lines of a document's name, a tab and its text become words with the names of their documents."""
import sys

for line in sys.stdin:
    document, text = line.rstrip("\n").split("\t", 1)
    for word in sorted(set(text.lower().split())):
        print(word, document, sep="\t")
