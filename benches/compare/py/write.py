"""Puts a table into the section of this kind of machine. usage: write.py PERFORMANCE.md TABLE.md MACHINE.txt"""
import re, sys

page, table, machine = sys.argv[1:]
date, model, kind, *rest = open(machine).read().splitlines()
begin, end = f"<!-- compare: {kind} -->", f"<!-- end: {kind} -->"
section = f"{begin}\n### {kind}\n\n{model}, {rest[0]}, {date}.\n\n{open(table).read().strip()}\n{end}\n"
text = open(page).read()
found = re.compile(re.escape(begin) + ".*?" + re.escape(end) + "\n", re.S)
if found.search(text):
    text = found.sub(lambda _: section, text)
else:
    heading = "## Beside its peers\n\nMade by `bash benches/compare/run.sh`, one section for each kind of machine that it ran on.\n"
    if heading not in text:
        text = text.rstrip("\n") + "\n\n" + heading
    text = text.replace(heading, heading + "\n" + section)
open(page, "w").write(text)
