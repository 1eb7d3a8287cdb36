#!/usr/bin/env python3
"""Lists in docs/invariants.md the tests of each invariant, found by their names. `--check` fails where the page is stale."""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/invariants.md"
COUNT = 25
BLOCK = re.compile(r"<!-- tests of (\d+) -->\n.*?<!-- end -->", re.DOTALL)


def tests():
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in sorted(ROOT.rglob("*.rs")):
        parts = path.relative_to(ROOT).parts
        if "target" in parts or any(part.startswith(".") for part in parts):
            continue
        for numbers, name in re.findall(r"fn invariant_((?:\d\d_)+)(\w+)", path.read_text()):
            for number in numbers.split("_")[:-1]:
                found[int(number)]["/".join(parts)].append(name)
    return found


def main():
    found = tests()
    unknown = sorted(number for number in found if not 1 <= number <= COUNT)
    if unknown:
        sys.exit(f"tests are named for invariants that do not exist: {unknown}")
    page = PAGE.read_text()
    blocks = [int(number) for number in BLOCK.findall(page)]
    if blocks != list(range(1, COUNT + 1)):
        sys.exit(f"{PAGE} has lists for {blocks}, not for 1 to {COUNT} in order")

    def listed(match):
        files = found[int(match[1])]
        if not files:
            sys.exit(f"invariant {match[1]} has no test: name one invariant_{int(match[1]):02}_…")
        lines = [f"- `{path}`: {', '.join(f'`{name}`' for name in names)}" for path, names in files.items()]
        return f"<!-- tests of {match[1]} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    renewed = BLOCK.sub(listed, page)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(renewed)
    elif renewed != page:
        sys.exit("docs/invariants.md is stale: run python3 .ci/invariants.py")


main()
