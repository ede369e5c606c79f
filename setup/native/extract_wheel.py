"""Takes the two shared objects and the headers that the binding needs out of a TensorFlow wheel.

usage: extract_wheel.py WHEEL FOLDER
"""
import sys
import zipfile

LIBRARIES = ("tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2")
HEADERS = tuple(
    "tensorflow/include/" + part
    for part in ("absl/", "tensorflow/c/", "tensorflow/core/platform/", "tsl/", "xla/tsl/")
)
CUDA = "nvidia/"

wheel, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    names = archive.namelist()
    if not any(name.startswith(CUDA) for name in names):
        missing = [name for name in LIBRARIES if name not in names]
        if missing:
            sys.exit("the wheel has no " + " and no ".join(missing))
    for name in names:
        # zipfile itself keeps members inside the folder.
        if name in LIBRARIES or name.startswith(HEADERS) or (name.startswith(CUDA) and ".so" in name):
            archive.extract(name, folder)
