"""What bench/nodes.ts has done by nodes, done by Pillow: CPU milliseconds and peak bytes as JSON."""

import io
import json
import resource
import sys

from PIL import Image, ImageFilter


def run(picture):
    small = Image.open(io.BytesIO(picture)).convert("RGB")
    large = small.resize((1024, 1024), Image.Resampling.LANCZOS)
    large = large.filter(ImageFilter.GaussianBlur(5))
    large.paste(small, (112, 112))
    large.save(io.BytesIO(), "PNG", compress_level=4)


def cpu_ms():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (usage.ru_utime + usage.ru_stime)


picture = open(sys.argv[1], "rb").read()
run(picture)
before = cpu_ms()
for _ in range(int(sys.argv[2])):
    run(picture)
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpuMs": cpu_ms() - before, "peakBytes": usage.ru_maxrss * 1024}))
