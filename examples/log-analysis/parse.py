#!/usr/bin/env python3
"""Lines of a web server's log (combined format) become an address, a time, an hour, a path, a status and a size."""
import re
import sys
from datetime import datetime

REQUEST = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "\S+ (\S+)[^"]*" (\d{3}) (\d+|-)')

for line in sys.stdin:
    found = REQUEST.match(line)
    if not found:
        print("reporter:counter:log,not a request,1", file=sys.stderr)
        continue
    address, when, path, status, size = found.groups()
    time = datetime.strptime(when, "%d/%b/%Y:%H:%M:%S %z")
    print(address, int(time.timestamp()), f"{time:%H:00}", path, status, size.replace("-", "0"), sep="\t")
