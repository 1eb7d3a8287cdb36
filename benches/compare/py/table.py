"""One table: ours, each peer, and how many times faster ours is. usage: table.py RESULTS.jsonl IDX"""
import json, os, sys

rows = {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    rows[r["part"], r["who"], r["what"], r["metric"], r.get("threads") if r["metric"] == "ms" else None] = r


def get(part, who, what, metric="ms", threads=None):
    found = [r for (p, w, t, m, n), r in rows.items() if (p, w, t, m) == (part, who, what, metric) and (threads is None or n == threads)]
    return found[-1] if found else None


def number(v):
    return "-" if v is None else f"{v:,.0f}" if abs(v) >= 100 else f"{v:.1f}" if abs(v) >= 10 else f"{v:.2f}" if abs(v) >= 0.1 else f"{v:.3f}"


def cell(r):
    if r is None:
        return "not run"
    out = number(r["value"])
    if r.get("recall") is not None:
        out += f" @{r['recall']:.3f}"
    if (r.get("other_cores") or 0) > 0.15:
        out += f" (others {r['other_cores']:.1f})"
    return out


def line(*cells):
    print("| " + " | ".join(cells) + " |")


def compare(part, task, ours, peers, ours_metric="ms"):
    """ms: peer / ours; a rate (searches/s, docs/s): ours / peer. Above 1: ours is faster."""
    mine = get(part, "ours", ours, ours_metric)
    if mine is None:
        return
    shown, first = [], True
    for who, what, threads, metric in peers:
        r = get(part, who, what, metric, threads)
        if r is None:
            continue
        theirs = r["value"]
        if ours_metric in ("ms", "open ms", "cold ms", "MB", "anon MB"):
            ratio = theirs / mine["value"]
        elif metric == "ms":  # a rate against a latency of a peer that uses all threads in one search
            ratio = mine["value"] / (1000 / theirs)
        else:
            ratio = mine["value"] / theirs
        name = f"{who}: {what}" + (f", {threads}T" if threads and who not in ("qdrant-edge",) else "")
        line(part if first else "", task if first else "", cell(mine) if first else "", name, cell(r) + ("" if metric == "ms" else f" {metric}"), f"{ratio:.2f}x")
        first = False
    if first:
        line(part, task, cell(mine), "-", "", "")


print("Times are ms (median), recall@10 after @; T: the peer's threads. Ratio above 1: ours is that many times faster, or smaller.\n")
line("part", "task", "ours", "peer", "peer's", "ratio")
line(*["---"] * 6)
scales = sorted({p for p, *_ in rows if p.startswith("scale")})
for part in ("a1", "a2"):
    exact = [("numpy", "exact f32", 1, "ms"), ("maxsim-cpu", "exact f32", 1, "ms"), ("next-plaid", "exact f32", 1, "ms")]
    both = [(w, t, 2, m) for w, t, _, m in exact]
    compare(part, "float_float, one core", "float_float", exact)
    compare(part, "float_float, every core", "float_float, every core", both)
    compare(part, "float_float, searches/s at 2", "float_float", both, "searches/s, 2 at once")
    compare(part, "float_float, searches/s at 16", "float_float", both, "searches/s, 16 at once")
    compare(part, "binary_binary, every core", "binary_binary, every core", [("qdrant-edge", "bits, no rescore", 2, "ms")])
    compare(part, "binary_binary, one core", "binary_binary", [("numpy", "bits, symmetric", 1, "ms"), ("qdrant-edge", "bits, no rescore", 2, "ms")])
    compare(part, "binary_binary, searches/s at 2", "binary_binary", [("next-plaid", "bits, int8 query", 2, "ms")], "searches/s, 2 at once")
    compare(part, "float_binary, one core", "float_binary", [("next-plaid", "bits, int8 query", 1, "ms")])
    compare(part, "float_binary, every core", "float_binary, every core", [("next-plaid", "bits, int8 query", 2, "ms")])
    compare(part, "float_binary, searches/s at 2", "float_binary", [("next-plaid", "bits, int8 query", 2, "ms")], "searches/s, 2 at once")
    two = [("qdrant-edge", "bits, rescore x2", 2, "ms"), ("qdrant-edge", "bits, rescore x5", 2, "ms"), ("numpy", "bits, then f32 on 100", 1, "ms"),
           ("next-plaid", "pq4 index, probe 8, full 256", 1, "ms"), ("next-plaid", "pq4 index, probe 4, full 128", 1, "ms"),
           ("next-plaid", "pq4 index, probe 4, full 128", 2, "ms")]
    compare(part, "phased (floats from disk), one core", "phased", two[:5])
    compare(part, "phased (floats from disk), every core", "phased, every core", two[:2] + two[5:])
    compare(part, "phased (floats in memory)", "phased (after float_float)", two)
    fast = [("next-plaid", "pq4 index, probe 4, full 128", 2, "ms"), ("qdrant-edge", "bits, rescore x5", 2, "ms")]
    for n in (2, 16):
        compare(part, f"phased (disk), searches/s at {n}", "phased", fast, f"searches/s, {n} at once")
        compare(part, f"phased (memory), searches/s at {n}", "phased (after float_float)", fast, f"searches/s, {n} at once")
    compare(part, "phased: open the folder, load the index", "phased", [("qdrant-edge", "open", None, "ms")], "open ms")
    compare(part, "phased: cold (open and first search)", "phased", [("qdrant-edge", "open and first search", None, "ms")], "cold ms")
    compare(part, "float_float: cold", "float_float", [], "cold ms")
    compare(part, "memory MB (anon), phased", "phased", [], "anon MB")
    compare(part, "memory MB (anon), float_float", "float_float", [], "anon MB")
    compare(part, "disk MB", "on disk", [("qdrant-edge", "on disk", None, "MB"), ("next-plaid", "pq4 index, on disk", None, "MB")], "MB")
    batch = next((t for (p, w, t, m, _) in rows if p == part and w == "ours" and m == "docs/s"), "")
    compare(part, f"{batch}: segments/s", batch, [("qdrant-edge", "feed and optimise", None, "docs/s"), ("next-plaid", "pq4 index, build", None, "docs/s")], "docs/s")
flat = [("numpy", "flat f32", 1, "ms"), ("numpy", "flat f32", 2, "ms"), ("faiss", "IndexFlatIP", 1, "ms")]
hnsw = [("faiss", "HNSW16 ef 64", 1, "ms")]
for strategy in ("float_float", "binary_binary", "float_binary", "phased"):
    compare("b", f"{strategy}, one core", strategy, flat[::2] + hnsw if strategy == "float_float" else hnsw)
    compare("b", f"{strategy}, every core", f"{strategy}, every core", flat[1:2] if strategy == "float_float" else hnsw)
for n in (2, 16):
    compare("b", f"float_float, searches/s at {n}", "float_float", [("numpy", "flat f32", 2, "ms"), ("faiss", "HNSW16 ef 64", 2, "ms")], f"searches/s, {n} at once")
    compare("b", f"phased, searches/s at {n}", "phased", [("numpy", "flat f32", 2, "ms"), ("faiss", "HNSW16 ef 64", 2, "ms")], f"searches/s, {n} at once")
compare("b", "open the folder, load the index", "phased", [], "open ms")
compare("b", "cold, phased", "phased", [], "cold ms")
compare("b", "cold, float_float", "float_float", [], "cold ms")
compare("b", "memory MB (anon), phased", "phased", [], "anon MB")
compare("b", "memory MB (anon), float_float", "float_float", [], "anon MB")
compare("b", "disk MB", "on disk", [("faiss", "HNSW16, on disk", None, "MB")], "MB")
batch = next((t for (p, w, t, m, _) in rows if p == "b" and w == "ours" and m == "docs/s"), "")
compare("b", f"{batch}: segments/s", batch, [("faiss", "HNSW16 efC100, build", None, "docs/s")], "docs/s")
warm, cold = [("qdrant-edge", "shared + tenant filter, warm", None, "ms"), ("qdrant-edge", "shard per tenant, warm", None, "ms")], [("qdrant-edge", "shard per tenant, cold (opened anew)", None, "ms")]
for s in ("phased", "float_float"):
    compare("c", f"{s}, warm", f"{s}, warm", warm)
    compare("c", f"{s}, cold", f"{s}, cold (opened anew)", cold)
    for n in (2, 16):
        compare("c", f"{s}, warm, searches/s at {n}", f"{s}, warm", warm[:1], f"searches/s, {n} at once")
compare("c", "memory MB, 100 tenants open, phased", "all tenants open, phased", [], "anon MB")
compare("c", "memory MB, 100 tenants open, float_float", "all tenants open, float_float", [], "anon MB")
compare("c", "disk MB", "on disk", [], "MB")
compare("c", "feed: segments/s", "feed, a batch of 200 a tenant", [("qdrant-edge", "shared: feed and optimise", None, "docs/s")], "docs/s")
compare("c", "deploy a schema, ms", "deploy a tenant's schema", [])
for kind, words in (("w3", "3 keywords"), ("w10", "10 words")):
    text = [("tantivy", kind, 1, "ms"), ("SQLite FTS5", kind, 1, "ms")]
    compare("bm25", words, kind, text)
    compare("bm25", f"{words}, searches/s at 2", kind, [], "searches/s, 2 at once")
    compare("bm25", f"{words}, searches/s at 16", kind, [], "searches/s, 16 at once")
compare("bm25", "open, ms", "open", [("tantivy", "open", None, "ms")])
compare("bm25", "memory MB (rss)", "memory", [("tantivy", "memory", None, "MB"), ("SQLite FTS5", "memory", None, "MB")], "MB")
compare("bm25", "disk MB", "on disk", [("tantivy", "on disk", None, "MB"), ("SQLite FTS5", "on disk", None, "MB")], "MB")
compare("bm25", "feed, segments/s", "feed, 1000 a batch", [("tantivy", "feed, one commit, 1 thread", None, "docs/s"), ("SQLite FTS5", "feed, one transaction", None, "docs/s")], "docs/s")
for part in ["open", "feed", *scales]:
    for (p, w, t, m, _), r in rows.items():
        if p == part:
            keep = ("p90", "p99", "max", "n", "threads", "p95_ms", "seconds", "folder_ms", "first_search_ms", "anon_mb", "rss", "open_schemas", "all_seconds", "anon_grown_mb")
            more = ", ".join([f"{k} {number(r[k])}" for k in keep if isinstance(r.get(k), (int, float))] + ([r["why"]] if r.get("why") else []))
            line(part, f"{t}: {m}", cell(r), "", more, "")

names = {n: f"{sys.argv[2]}/{n}.ids" for n in ("ours", "tantivy", "fts5")}
if all(os.path.exists(f) for f in names.values()):
    ids = {n: json.load(open(f)) for n, f in names.items()}
    for kind in ("w3", "w10"):
        same = lambda a, b: sum(len(set(x) & set(y)) / max(1, len(y)) for x, y in zip(ids[a][kind], ids[b][kind])) / len(ids[b][kind])
        print(f"\nbm25 {kind}: of the peer's top ten ours has: tantivy {same('ours', 'tantivy'):.3f}, FTS5 {same('ours', 'fts5'):.3f}; tantivy has of FTS5's {same('tantivy', 'fts5'):.3f}")
busy = [r for r in rows.values() if (r.get("other_cores") or 0) > 0.15]
print(f"\n{len(rows)} figures, {len(busy)} while others used more than 0.15 core" + (": " + "; ".join(f"{r['part']} {r['who']} {r['what']} {r['metric']}" for r in busy[:20]) if busy else ""))
