#!/usr/bin/env bash
# Measures the embedded backend's search against its peers on this machine, prints one table, and writes it to docs/performance.md.
#   bash benches/compare/run.sh [setup|a1|a2|b|c|feed|open|scale|bm25|builds|all|table]    (default: all)
#   SMALL=1 run.sh all      the same at a small size: proves that everything runs, its times mean nothing and are not written
# Environment: PERF (default $TMPDIR/perf) for data, venv, builds and results; SCALE (default 200000) documents.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PERF=${PERF:-${TMPDIR:-/tmp}/perf}
main=$(cd "$here/../.." && pwd)
data=$PERF/data idx=$PERF/idx scale=${SCALE:-200000} tenants=1000
export PERF_OUT=${PERF_OUT:-$PERF/results.jsonl}
if [[ ${SMALL:-} == 1 ]]; then data=$PERF/small idx=$PERF/idx-small scale=${SCALE:-4000} tenants=30 PERF_OUT=$PERF/small.jsonl; fi
mkdir -p "$PERF" "$data" "$idx"
ours=$PERF/target-ours/release/cogniverse-compare
rivals=$PERF/target/release/compare-rivals
# Slow down a current OpenBLAS; the peers run without them.
py() { env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE "$PERF/venv/bin/python" "$here/py/peers.py" "$@"; }
part() { printf '\n== %s  %s  load %s\n' "$1" "$(date +%T)" "$(cut -d' ' -f1-3 /proc/loadavg)" >&2; }
forget() { # what an earlier run said of a part
  [[ -f $PERF_OUT ]] && { grep -v "\"part\": *\"$1\"" "$PERF_OUT" > "$PERF_OUT.tmp" || true; mv "$PERF_OUT.tmp" "$PERF_OUT"; } || true
}

setup() {
  [[ -x $PERF/venv/bin/python ]] || python3 -m venv "$PERF/venv"
  # Quick where they are there, and right where only some are.
  nice -n 5 "$PERF/venv/bin/pip" install -q numpy==2.4.6 threadpoolctl maxsim-cpu==0.1.0 faiss-cpu==1.15.1 qdrant-edge-py==0.9.0
  (cd "$main" && CARGO_TARGET_DIR=$PERF/target-ours nice -n 5 cargo build --release -p cogniverse-compare)
  (cd "$here/rivals" && CARGO_TARGET_DIR=$PERF/target nice -n 5 cargo build --release)
  nice -n 5 "$PERF/venv/bin/python" "$here/py/gen.py" "$data" a1 a2 c b text
  [[ -f $data/hnsw.faiss && -f $idx/hnsw.jsonl ]] || build_hnsw
  [[ -f $idx/plaid_a2/built ]] || build_plaid
}
build_hnsw() { PERF_OUT=$idx/hnsw.jsonl.new py b-build "$data" && mv "$idx/hnsw.jsonl.new" "$idx/hnsw.jsonl"; }
build_plaid() { # about 80 s on two free cores
  rm -rf "$idx/plaid_a2" "$idx/plaid_a2.jsonl"
  PERF_OUT=$idx/plaid_a2.jsonl timeout "${PLAID_TIMEOUT:-300}" "$rivals" plaid-build a2 "$data" "$idx/plaid_a2" || echo "next-plaid's index is left out" >&2
}

ours_strategies() { # PART STRATEGY...
  local tag=$1; shift
  for strategy in "$@"; do
    CORES=1 "$ours" search "$tag" "$data" "$idx/ours_$tag" "$strategy"
    "$ours" search "$tag" "$data" "$idx/ours_$tag" "$strategy"
  done
}

mv_part() { # a1 | a2
  local tag=$1 batch=$2
  part "$tag"; forget "$tag"
  "$ours" feed "$tag" "$data" "$idx/ours_$tag" "$batch"
  ours_strategies "$tag" phased binary_binary float_binary float_float
  CORES=1 "$ours" search "$tag" "$data" "$idx/ours_$tag" phased after float_float
  py a "$tag" "$data" 1
  py a "$tag" "$data" 2 numpy maxsim
  "$rivals" plaid-kernels "$tag" "$data" 1
  "$rivals" plaid-kernels "$tag" "$data" 2
  if [[ $tag == a2 && -f $idx/plaid_a2/built ]]; then
    cat "$idx/plaid_a2.jsonl" >> "$PERF_OUT"
    "$rivals" plaid-search a2 "$data" "$idx/plaid_a2" 1
    "$rivals" plaid-search a2 "$data" "$idx/plaid_a2" 2
  fi
  py qdrant "$tag" "$data" "$idx/qdrant_$tag"
  rm -rf "$idx/qdrant_$tag"
}

run_b() {
  part b; forget b
  "$ours" feed b "$data" "$idx/ours_b" 1000
  ours_strategies b phased binary_binary float_binary float_float
  cat "$idx/hnsw.jsonl" >> "$PERF_OUT"
  py b "$data" 1
  py b "$data" 2
}

run_c() {
  part c; forget c
  "$ours" tenants-feed "$data" "$idx/ours_c"
  "$ours" tenants "$data" "$idx/ours_c"
  py c "$data" "$idx/qdrant_c"
  rm -rf "$idx/qdrant_c"
}

run_feed() {
  part feed; forget feed
  local batch
  for batch in 1 50 500; do FEED_AS=feed FEED_LIMIT=$((batch == 1 ? 300 : 10000)) "$ours" feed a2 "$data" "$idx/ours_feed" $batch; done
  FEED_AS=feed "$ours" feed a2 "$data" "$idx/ours_feed" 500 process-crash
  rm -rf "$idx/ours_feed"
}

run_open() {
  part open; forget open
  "$ours" open-feed $tenants "$idx/ours_open"
  "$ours" open $tenants "$idx/ours_open" 256
  "$ours" open $tenants "$idx/ours_open" 4096
  # The usual limit of a shell and of a systemd service.
  (ulimit -n 1024 && OPEN_NOTE="ulimit -n 1024" "$ours" open $tenants "$idx/ours_open" 256)
}

run_scale() {
  part scale; forget "scale$scale"
  "$ours" feed "scale$scale" "$data" "$idx/ours_scale" 1000
  ours_strategies_in "$idx/ours_scale" "scale$scale" phased binary_binary
  rm -rf "$idx/ours_scale"
}
ours_strategies_in() { local dir=$1 tag=$2; shift 2; for s in "$@"; do CORES=1 "$ours" search "$tag" "$data" "$dir" "$s"; "$ours" search "$tag" "$data" "$dir" "$s"; done; }

run_bm25() {
  part bm25; forget bm25
  "$ours" feed bm25 "$data" "$idx/ours_bm25" 1000
  "$ours" text "$data" "$idx/ours_bm25" "$idx/ours.ids"
  "$rivals" tantivy "$data" "$idx/tantivy" "$idx/tantivy.ids"
  py fts5 "$data" "$idx/fts5" "$idx/fts5.ids"
}

table() {
  "$PERF/venv/bin/python" "$here/py/table.py" "$PERF_OUT" "$idx" | tee "$PERF/table.md"
  [[ ${SMALL:-} == 1 ]] || "$PERF/venv/bin/python" "$here/py/write.py" "$main/docs/performance.md" "$PERF/table.md" "$PERF/machine.txt"
}

what=${1:-all}
[[ $what == table ]] && { table; exit; }
setup
[[ $what == setup ]] && exit
begun=$SECONDS
touch "$PERF/running"; trap 'rm -f "$PERF/running"' EXIT
case $what in
  a1) mv_part a1 50 ;;
  a2) mv_part a2 500 ;;
  b | c | feed | open | scale | bm25) "run_$what" ;;
  builds) build_hnsw && cat "$idx/hnsw.jsonl" >> "$PERF_OUT"; build_plaid && cat "$idx/plaid_a2.jsonl" >> "$PERF_OUT" ;;
  all)
    # One peer that fails does not end the run; the table says "not run" or leaves it out.
    for step in "mv_part a2 500" run_bm25 run_c run_b "mv_part a1 50" run_open run_feed run_scale; do $step || echo "failed: $step" >&2; done
    # Builds again, where the first ones ran beside other work and time is left.
    if ((SECONDS - begun < ${REBUILD_BEFORE:-1200})); then
      build_hnsw && cat "$idx/hnsw.jsonl" >> "$PERF_OUT"
      build_plaid && cat "$idx/plaid_a2.jsonl" >> "$PERF_OUT"
    fi ;;
  *) sed -n 2,5p "$0" >&2; exit 2 ;;
esac
rm -f "$PERF/running"
{
  date +%F
  grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'
  grep -m1 flags /proc/cpuinfo | grep -q avx512_vpopcntdq && echo AVX-512 || { grep -m1 flags /proc/cpuinfo | grep -q avx2 && echo AVX2 || uname -m; }
  echo "$(nproc) cores, commit $(git -C "$main" rev-parse --short HEAD), $(git -C "$main" status --porcelain | wc -l) files changed since"
  py kernels
} > "$PERF/machine.txt" 2>&1 || true
cat "$PERF/machine.txt"
echo "measured in $((SECONDS - begun)) s" >&2
table
