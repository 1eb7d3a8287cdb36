#!/usr/bin/env python3
"""Compares an application package of ours with pyvespa's for the same base schemas, by what the two mean.

    compare_packages.py PACKAGE_DIR     (Python with pyvespa 1.2.9; run from anywhere)

PACKAGE_DIR is what `deploy_schemas --backend vespa --package-out` wrote for one tenant. Where the two differ, the difference
must be one of DIFFERENCES, and each of these must occur: another one, or one that is gone, is a failure. Both packages are
given to Vespa's own check (../shared/vespa-model) too. Prints `N fields and M rank profiles mean the same`.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

from vespa import package as pyvespa

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASES = ["video_colpali_smol500_mv_frame", "video_videoprism_lvt_base_sv_chunk_6s"]


def is_text(field):
    return field["type"] == "string" and "index" in field["indexing"]


def is_word(field):
    return field["type"] in ("string", "array<string>") and "index" not in field["indexing"]


# What ours says besides, and pyvespa's does not: the part, when it may differ, and why it does.
# A condition sees our value, pyvespa's, and what pyvespa's schema says of the thing (a field, a profile, or the schema).
DIFFERENCES = {
    "field indexing": (
        lambda ours, theirs, field: (is_text(field) and ours == theirs | {"attribute"})
        or (is_word(field) and ours == theirs | {"set_language"}),
        "text is an attribute too: hits show it without a read of the document store; and words are analyzed by their document's language",
    ),
    "field match": (
        lambda ours, theirs, field: is_word(field) and (ours, theirs) == ({"word", "cased"}, set()),
        "filters compare ids as they are written",
    ),
    "field dictionary": (
        lambda ours, theirs, field: is_word(field) and "fast-search" in field["attribute"] and ours == {"btree", "cased"},
        "the dictionary of such an attribute must be cased as its match is",
    ),
    "field rank": (
        lambda ours, theirs, field: is_word(field) and "fast-search" in field["attribute"] and (ours, theirs) == ("filter", None),
        "a filter gives no score",
    ),
    "schema documentid": (
        lambda ours, theirs, schema: (ours, theirs) == ("attribute", None),
        "the id comes with each hit from memory",
    ),
    "schema summaries": (
        lambda ours, theirs, schema: theirs == {} and ours == {
            "cogniverse": {"documentid"} | {name for name, field in schema["fields"].items() if not field["type"].startswith("tensor")}
        },
        "the summary of searches has all but the tensors",
    ),
    "schema profiles": (
        lambda ours, theirs, schema: set(ours) - set(theirs) == {"cogniverse_unranked"} and set(theirs) < set(ours)
        and ours["cogniverse_unranked"]["first"] == "0.0",
        "counting computes no feature",
    ),
    "profile inline": (
        lambda ours, theirs, profile: ours == set(profile["functions"]) and theirs == set(),
        "functions are computed in place",
    ),
    "profile match-features": (
        lambda ours, theirs, profile: (profile["second"] or profile["global"]) is not None
        and ours == theirs | {"firstPhase"} | {f"rankingExpression({name})" for name in signals(profile)},
        "the scores of every phase come back, and the container is given the signals that it fuses in place of documents' tensors",
    ),
}


def blocks(text):
    """A schema's text as nested (head, children) pairs; a line without a block has no children."""
    stack = [("", [])]
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line == "}":
            head, children = stack.pop()
            stack[-1][1].append((head, children))
        elif line.endswith("{"):
            stack.append((line[:-1].strip(), []))
        elif line.endswith("{}"):
            stack[-1][1].append((line[:-2].strip(), []))
        else:
            stack[-1][1].append((line, []))
    assert len(stack) == 1, "a block is not closed"
    return stack[0][1]


def plain(text):
    """Without the white space, which has no meaning in an expression or a type."""
    return "".join(text.split())


def value(children, key):
    """`key: value`, or `key { value }`; none where there is neither."""
    for head, inner in children:
        if head.startswith(key + ":"):
            return head[len(key) + 1 :].strip()
        if head == key:
            return " ".join(line for line, _ in inner)
    return None


def lines(children, key):
    return {" ".join(line.split()) for head, inner in children if head == key for line, _ in inner}


def the(children, kind):
    """The blocks of a kind, as (name and what follows, children)."""
    return [(head[len(kind) + 1 :], inner) for head, inner in children if head.startswith(kind + " ")]


def signals(profile):
    """The functions whose values a global phase compares."""
    return set(re.findall(r"(?:normalize_linear|reciprocal_rank)\((\w+)", (profile["global"] or ("",))[0]))


def field_of(rest, inner):
    name, _, field_type = rest.partition(" type ")
    graph = {line: children for head, nested in inner if head == "index" for line, children in nested}
    bare = {head.partition(":")[2].strip() for head, _ in inner if head.startswith("index:")}
    return name, {
        "type": plain(field_type),
        "indexing": {part.strip() for part in (value(inner, "indexing") or "").split("|")},
        "index": bare | {line for line in graph if line != "hnsw"},
        "hnsw": {line for line, _ in graph["hnsw"]} if "hnsw" in graph else None,
        "attribute": lines(inner, "attribute"),
        "match": lines(inner, "match"),
        "dictionary": lines(inner, "dictionary"),
        "rank": value(inner, "rank"),
        "other": {head for head, _ in inner if head.partition(":")[0] not in
                  ("indexing", "index", "attribute", "match", "dictionary", "rank")},
    }


def profile_of(name, inner):
    functions, inline = {}, set()
    for head, body in the(inner, "function"):
        is_inline, head = head.startswith("inline "), head.removeprefix("inline ")
        function = head.removesuffix("()")
        functions[function] = plain(value(body, "expression"))
        inline |= {function} if is_inline else set()
    phase = {head: body for head, body in inner}
    second, fusion = phase.get("second-phase"), phase.get("global-phase")
    # A function by itself, and as a feature that comes with the hit, have one value; 60 is what Vespa adds to a rank unasked.
    fused = fusion and re.sub(r"rankingExpression\((\w+)\)", r"\1", plain(value(fusion, "expression")))
    fused = fused and re.sub(r"(reciprocal_rank\(\w+),60\)", r"\1)", fused)
    return name, {
        "inputs": {line.split(" ", 1)[0]: plain(line.split(" ", 1)[1]) for line in lines(inner, "inputs")},
        "functions": functions,
        "inline": inline,
        "first": plain(value(phase["first-phase"], "expression")),
        "second": second and (plain(value(second, "expression")), value(second, "rerank-count")),
        "global": fusion and (fused, value(fusion, "rerank-count")),
        "match-features": {plain(line) for line in lines(inner, "match-features")},
        "other": {head for head in phase if head.split(" ")[0] not in
                  ("inputs", "function", "first-phase", "second-phase", "global-phase", "match-features")},
    }


def meaning(text):
    ((_, top),) = blocks(text)
    ((_, document),) = the(top, "document")
    return {
        "fields": dict(field_of(*field) for field in the(document, "field")),
        "fieldsets": {name: {part.strip() for part in value(inner, "fields").split(",")} for name, inner in the(top, "fieldset")},
        "summaries": {name: {line.split()[1] for line, _ in inner} for name, inner in the(top, "document-summary")},
        "profiles": dict(profile_of(*profile) for profile in the(top, "rank-profile")),
        "documentid": value(top, "documentid"),
        "other": {head for head, _ in top if head.split(" ")[0].rstrip(":") not in
                  ("document", "fieldset", "document-summary", "rank-profile", "documentid")},
    }


def by_pyvespa(base, name):
    def field(of):
        attribute, index = list(of.get("attribute", [])), of.get("index")
        options = {}
        if isinstance(index, dict):
            (metric,) = [setting for setting in attribute if setting.startswith("distance-metric:")]
            attribute.remove(metric)
            graph = {key.replace("-", "_"): number for key, number in index["hnsw"].items()}
            options["ann"] = pyvespa.HNSW(distance_metric=metric.partition(":")[2].strip(), **graph)
        elif index:
            options["index"] = index
        return pyvespa.Field(of["name"], of["type"], indexing=of["indexing"], attribute=attribute or None, **options)

    def profile(of):
        second, fusion = of.get("second_phase"), of.get("global_phase")
        return pyvespa.RankProfile(
            of["name"],
            first_phase=of["first_phase"]["expression"],
            second_phase=second and pyvespa.SecondPhaseRanking(second["expression"], second["rerank_count"]),
            global_phase=fusion and pyvespa.GlobalPhaseRanking(fusion["expression"], fusion["rerank_count"]),
            functions=[pyvespa.Function(function["name"], function["expression"]) for function in of.get("functions", [])],
            inputs=[(given["name"], given["type"]) for given in of.get("inputs", [])],
            match_features=of.get("match_features"),
        )

    return pyvespa.Schema(
        name,
        pyvespa.Document([field(of) for of in base["document"]["fields"]]),
        fieldsets=[pyvespa.FieldSet(of["name"], of["fields"]) for of in base["fieldsets"]],
        rank_profiles=[profile(of) for of in base["rank_profiles"]],
    )


def compare(ours, theirs):
    """Every part that differs: (kind of part, where, ours, theirs, what theirs says of the thing)."""
    def part(kind, where, ours, theirs):
        return [(f"{kind} {key}", where, ours[key], theirs[key], theirs) for key in theirs if ours[key] != theirs[key]]

    found = []
    for kind, things in (("field", "fields"), ("profile", "profiles")):
        for name in sorted(ours[things].keys() & theirs[things].keys()):
            found += part(kind, name, ours[things][name], theirs[things][name])
        if ours[things].keys() != theirs[things].keys():
            found.append((f"schema {things}", "", ours[things], theirs[things], theirs))
    rest = ("fieldsets", "summaries", "documentid", "other")
    return found + [(f"schema {key}", "", ours[key], theirs[key], theirs) for key in rest if ours[key] != theirs[key]]


def document_types(folder):
    cluster = xml.parse(folder / "services.xml").getroot().find("content")
    return {(of.get("type"), of.get("mode")) for of in cluster.find("documents").findall("document")}


def checked_by_vespa(folders):
    script = ROOT.parent / "shared" / "vespa-model" / "run"
    if not script.exists():
        assert "COGNIVERSE_CI" not in os.environ, f"CI has no {script}"
        return print(f"skipped: {script} is not there")
    answer = subprocess.run(["bash", script, "check", *folders], stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        sys.exit(f"Vespa's own check refuses a package:\n{answer.stdout}")


def main():
    ours = pathlib.Path(sys.argv[1])
    fields = profiles = 0
    used, wrong, schemas = set(), [], []
    for base_name in BASES:
        base = json.loads((ROOT / "cogniverse-core" / "schemas" / f"{base_name}_schema.json").read_text())
        (path,) = ours.glob(f"schemas/{base_name}_*.sd")
        schema = by_pyvespa(base, path.stem)
        schemas.append(schema)
        left, right = meaning(path.read_text()), meaning(schema.schema_to_text)
        assert len(right["fields"]) == len(base["document"]["fields"]), "pyvespa's schema was not understood"
        assert len(right["profiles"]) == len(base["rank_profiles"]), "pyvespa's schema was not understood"
        for kind, where, mine, other, thing in compare(left, right):
            if kind in DIFFERENCES and DIFFERENCES[kind][0](mine, other, thing):
                used.add(kind)
            else:
                wrong.append(f"{path.stem}, {kind} {where}:\n  ours     {mine}\n  pyvespa's {other}")
        fields += len(right["fields"])
        profiles += len(right["profiles"])
    wrong += [f"the difference \"{kind}\" is listed and does not occur" for kind in DIFFERENCES.keys() - used]
    with tempfile.TemporaryDirectory() as folder:
        theirs = pathlib.Path(folder)
        pyvespa.ApplicationPackage("cogniverse", schema=schemas).to_files(theirs)
        missing = document_types(theirs) - document_types(ours)
        wrong += [f"services.xml: no document type {missing}"] if missing else []
        if wrong:
            sys.exit("\n".join(wrong))
        checked_by_vespa([ours, theirs])
    for kind in sorted(used):
        print(f"differs: {kind} ({DIFFERENCES[kind][1]})")
    print(f"{fields} fields and {profiles} rank profiles mean the same")


main()
