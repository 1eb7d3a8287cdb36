#!/usr/bin/env bash
# Measures the Vespa client beside the clients that Vespa has, on one sink that answers at once, and fails below the bars.
# Usage: .ci/vespa-numbers.sh [--quick] VESPA_CLI PYTHON_WITH_PYVESPA    (5 minutes; --quick: fewer documents, loose bars)
set -euo pipefail
cd "$(dirname "$0")/.."
quick=
if [ "${1:-}" = --quick ]; then quick=1; shift; fi
cli=$1 python=$2
work=$(mktemp -d)
sink=
stop() { [ -z "$sink" ] || kill "$sink" 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
cargo build -q --release -p cogniverse-vespa --examples
built=${CARGO_TARGET_DIR:-target}/release/examples
"$built/sink" --port 0 >"$work/sink" & sink=$!
for _ in $(seq 100); do grep -q listening "$work/sink" && break; sleep 0.05; done
url=$(sed -n 's/^listening on //p' "$work/sink")
[ -n "$url" ]
HOME=$work VESPA_CLI_HOME=$work "$python" .ci/vespa_numbers.py ${quick:+--quick} --url "$url" --cli "$cli" --programs "$built" --work "$work"
