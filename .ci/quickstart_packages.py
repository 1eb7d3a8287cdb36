#!/usr/bin/env python3
"""How many packages the README's first command compiles, and that they are no more than a bound: quickstart_packages.py BOUND.

Nothing is compiled: Cargo says what it would build. All default members count, as their features are unified."""
import json
import os
import subprocess
import sys

command = ["cargo", "build", "--release", "--example", "quickstart", "--unit-graph", "-Z", "unstable-options"]
graph = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, "RUSTC_BOOTSTRAP": "1"}).stdout)
packages = sorted({unit["pkg_id"] for unit in graph["units"]})
bound = int(sys.argv[1])
print(f"the quickstart compiles {len(packages)} packages in {len(graph['units'])} units; at most {bound} packages are allowed")
if len(packages) > bound:
    print("\n".join(packages))
    sys.exit(1)
