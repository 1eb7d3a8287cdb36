#!/usr/bin/env python3
"""Dependencies of the workspace's packages that no source file names."""
import json
import re
import subprocess
import sys
from pathlib import Path

# Crates whose library has another name than their package.
LIBRARY = {"md-5": "md5"}

metadata = json.loads(subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], stdout=subprocess.PIPE, check=True).stdout)
unused = []
for package in metadata["packages"]:
    folders = {Path(target["src_path"]).parent for target in package["targets"]}
    files = [path for folder in folders for path in folder.rglob("*.rs")]
    # Guides hold code that doc tests compile.
    files += Path(package["manifest_path"]).parent.glob("docs/*.md")
    text = "\n".join(path.read_text() for path in files)
    for dependency in package["dependencies"]:
        name = LIBRARY.get(dependency["name"], dependency["rename"] or dependency["name"]).replace("-", "_")
        # One that is there to turn on a feature need not be named.
        if dependency["features"]:
            continue
        if not re.search(rf"\b{name}\b", text):
            unused.append(f"{package['name']}: {dependency['name']} ({dependency['kind'] or 'normal'})")
print("\n".join(unused) or "every dependency is used")
sys.exit(bool(unused))
