#!/usr/bin/env python3
"""The instructions of each kernel, counted by callgrind, beside cogniverse-embedded/benches/instructions.tsv: instructions.py [--write].

Fails where a count differs by more than 3 %, up or down; where the table is of another compiler, by more than 10 %. `--write`
renews the table. Counts repeat where times do not; they are no times. Exits 2 where nothing can be counted."""
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "cogniverse-embedded/benches/instructions.tsv"
HEADER = "set\tkernel\tinstructions"
WITHIN, WITHIN_OF_ANOTHER_COMPILER = 0.03, 0.10


def give_up(message):
    print(f"instructions.py: {message}", file=sys.stderr)
    sys.exit(2)


def output(command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout


def build():
    """The path of the bench."""
    command = ["cargo", "bench", "-q", "-p", "cogniverse-embedded", "--bench", "instructions", "--no-run", "--message-format", "json-render-diagnostics"]
    for line in output(command).splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "instructions":
            return message["executable"]
    return give_up("cargo names no executable of the bench")


def count(bench, kernel):
    """The instructions of one kernel of one set. The bench is named by its path, as the toggle is by its function."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind"
        command = ["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=instructions::measured*"]
        run = subprocess.run([*command, f"--callgrind-out-file={out}", bench, *kernel], capture_output=True, text=True, cwd=folder)
        found = re.search(r"^totals: (\d+)$", out.read_text(), re.M) if out.exists() else None
        if run.returncode or not found or int(found.group(1)) == 0:
            give_up(f"{' '.join(kernel)} was not counted:\n{run.stdout}{run.stderr}")
        return int(found.group(1))


def read():
    """The table's compiler and counts."""
    if not TABLE.exists():
        return None, {}
    compiler, header, *rows = TABLE.read_text().splitlines()
    if header != HEADER:
        give_up(f"the second line of {TABLE} is not {HEADER!r}")
    rows = [row.split("\t") for row in rows]
    return compiler.removeprefix("# "), {(kernel_set, name): int(number) for kernel_set, name, number in rows}


def main():
    if sys.argv[1:] not in ([], ["--write"]):
        give_up("the only argument is --write")
    if platform.machine() not in ("x86_64", "AMD64"):
        give_up(f"the table is of x86-64, and this is {platform.machine()}")
    if not shutil.which("valgrind"):
        give_up("valgrind is missing; apt-get install valgrind")
    compiler = output(["rustc", "--version"]).strip()
    bench = build()
    kernels = [tuple(line.split("\t")) for line in output([bench, "list"]).splitlines()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(kernels, pool.map(lambda kernel: count(bench, kernel), kernels)))
    before_by, before = read()
    within = WITHIN if compiler == before_by else WITHIN_OF_ANOTHER_COMPILER
    if before and compiler != before_by:
        print(f"the table is of {before_by}, and this is {compiler}: up to {within:.0%} is allowed")
    failed = []
    print(f"{'set':<8}{'kernel':<30}{'table':>12}{'now':>12}{'change':>10}")
    for kernel in dict.fromkeys([*counts, *before]):
        now, then = counts.get(kernel), before.get(kernel)
        change = now / then - 1 if now and then else None
        wrong = change is None or abs(change) > within
        failed += [kernel] if wrong else []
        shown = "" if change is None else f"{change:+.2%}"
        print(f"{kernel[0]:<8}{kernel[1]:<30}{then or 'none':>12}{now or 'none':>12}{shown:>10}{'  <--' if wrong else ''}")
    if sys.argv[1:]:
        rows = [f"{kernel_set}\t{name}\t{number}" for (kernel_set, name), number in counts.items()]
        TABLE.write_text("\n".join([f"# {compiler}", HEADER, *rows]) + "\n")
        print(f"written: {TABLE.relative_to(ROOT)}")
    elif failed:
        print(f"{len(failed)} of {len(counts)} differ by more than {within:.0%} or are not in both. If that is meant: make instructions WRITE=1")
        sys.exit(1)


main()
