"""Prints the requirements of a TensorFlow wheel's extra `and-cuda`, one `name==version` (or range) on each line.

usage: list_cuda_wheels.py WHEEL
"""
import re
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as archive:
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = archive.read(name).decode("utf-8")

for line in metadata.splitlines():
    match = re.match(r"Requires-Dist:\s*(nvidia[^;]*);.*extra == ['\"]and-cuda['\"]", line)
    if match:
        print(re.sub(r"[\s()]", "", match.group(1)))
