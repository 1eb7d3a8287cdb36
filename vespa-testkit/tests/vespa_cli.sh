#!/usr/bin/env bash
# Drives the test server with Vespa's own command line: deploy, status, fetch, feed, get, visit, query.
#
# Needs the `vespa` binary (PyPI: vespacli), python3, cargo. Prints each check, and at the end how many passed.
# Usage: vespa_cli.sh VESPA_BINARY
set -euo pipefail

VESPA=$(realpath "${1:?usage: vespa_cli.sh VESPA_BINARY}")
ROOT=$(realpath "$(dirname "$0")/../..")
DOCUMENTS=10000
WORK=$(mktemp -d)
SERVERS=()
CHECKS=0

finish() {
    for server in "${SERVERS[@]}"; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    rm -rf "$WORK"
}
trap finish EXIT

fail() {
    echo "vespa CLI: FAILED: $1" >&2
    [ $# -lt 2 ] || printf '%s\n' "$2" | head -40 >&2
    exit 1
}

# check NAME PATTERN TEXT: the text has a line that matches.
check() {
    grep -Eq -- "$2" <<<"$3" || fail "$1: no line like /$2/ in:" "$3"
    passed "$1"
}

passed() {
    CHECKS=$((CHECKS + 1))
    echo "ok $1"
}

# vespa ARGUMENTS...: the command line with a home of its own; its output, errors included.
vespa() {
    HOME="$WORK/home" VESPA_CLI_HOME="$WORK/home/.vespa" NO_COLOR=1 timeout 120 "$VESPA" --color never "$@" 2>&1 ||
        fail "vespa $* ended with $?"
}

# start NAME ARGUMENTS...: a server; sets URL and CONFIG.
start() {
    local name=$1
    shift
    (cd "$ROOT" && exec cargo run -q -p vespa-testkit -- "$@") >"$WORK/$name.out" 2>"$WORK/$name.err" &
    SERVERS+=("$!")
    for _ in $(seq 3000); do
        if grep -q '^listening on ' "$WORK/$name.out"; then
            URL=$(sed -nE 's/^listening on (\S+) \(config (\S+)\)$/\1/p' "$WORK/$name.out")
            CONFIG=$(sed -nE 's/^listening on (\S+) \(config (\S+)\)$/\2/p' "$WORK/$name.out")
            return
        fi
        kill -0 "$!" 2>/dev/null || fail "the server $name did not start:" "$(cat "$WORK/$name.err")"
        sleep 0.1
    done
    fail "the server $name was not ready within 300 seconds"
}

mkdir -p "$WORK/home/.vespa" "$WORK/app/schemas"
cat >"$WORK/app/services.xml" <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<services version="1.0">
  <container id="default" version="1.0">
    <search/>
    <document-api/>
    <nodes><node hostalias="node1"/></nodes>
  </container>
  <content id="content" version="1.0">
    <min-redundancy>1</min-redundancy>
    <documents><document type="note" mode="index"/></documents>
    <nodes><node hostalias="node1" distribution-key="0"/></nodes>
  </content>
</services>
XML
cat >"$WORK/app/schemas/note.sd" <<'SD'
schema note {
  document note {
    field title type string {
      indexing: summary | index
    }
    field number type int {
      indexing: summary | attribute
    }
  }
}
SD
python3 - "$DOCUMENTS" "$WORK/feed.jsonl" <<'PY'
import json, sys
with open(sys.argv[2], "w", encoding="utf-8") as out:
    for number in range(int(sys.argv[1])):
        # Every tenth is long enough to be sent packed.
        title = f"note {number} grün" + " word" * (200 if number % 10 == 0 else 0)
        out.write(json.dumps({"put": f"id:test:note::{number}", "fields": {"title": title, "number": number}}) + "\n")
PY

start main --port 0 --config-port 0

check "status deploy" "ready" "$(vespa -t "$CONFIG" status deploy)"
check "deploy" "^Success: Deployed .* with session ID 1$" "$(vespa -t "$CONFIG" deploy --wait 30 "$WORK/app")"
check "status deployment" "ready on config generation 1$" "$(vespa -t "$CONFIG" status deployment --wait 30)"
check "status of the container" "^Container at $URL is ready$" "$(vespa -t "$URL" status --wait 30)"

vespa -t "$CONFIG" fetch "$WORK/fetched" >/dev/null
python3 - "$WORK/fetched" "$WORK/app" <<'PY' || fail "fetch: what was fetched is not what was deployed"
import pathlib, sys, zipfile
archive, app = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
fetched = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
sent = {str(path.relative_to(app)): path.read_bytes() for path in app.rglob("*") if path.is_file()}
sys.exit(0 if fetched == sent else f"{sorted(fetched)} is not {sorted(sent)}")
PY
passed "fetch"

check "prepare" "^Success: Prepared .* with session 2$" "$(vespa -t "$CONFIG" prepare "$WORK/app")"
check "activate" "^Success: Activated application with session 2$" "$(vespa -t "$CONFIG" activate --wait 30)"

vespa -t "$URL" feed "$WORK/feed.jsonl" >"$WORK/feed.json"
python3 - "$WORK/feed.json" "$DOCUMENTS" <<'PY' || fail "feed: not every document was taken" "$(cat "$WORK/feed.json")"
import json, sys
said, count = json.load(open(sys.argv[1])), int(sys.argv[2])
want = {"feeder.operation.count": count, "feeder.ok.count": count, "feeder.error.count": 0, "http.response.error.count": 0}
wrong = {key: said.get(key) for key in want if said.get(key) != want[key]}
sys.exit(f"{wrong} instead of {want}" if wrong else 0)
PY
passed "feed of $DOCUMENTS documents"

check "document get" '"title": "note 77 grün"' "$(vespa -t "$URL" document get id:test:note::77)"
echo '{"update":"id:test:note::77","fields":{"title":{"assign":"changed"}}}' >"$WORK/update.json"
check "document update" "^Success: update id:test:note::77$" "$(vespa -t "$URL" document "$WORK/update.json")"
check "the update is there" '"title": "changed"' "$(vespa -t "$URL" document get id:test:note::77)"
check "document remove" "^Success: remove id:test:note::78$" "$(vespa -t "$URL" document remove id:test:note::78)"

vespa -t "$URL" visit >"$WORK/visited.jsonl"
python3 - "$WORK/visited.jsonl" "$DOCUMENTS" <<'PY' || fail "visit: not every document came once"
import json, sys
ids = [json.loads(line)["id"] for line in open(sys.argv[1], encoding="utf-8") if line.strip()]
want = {f"id:test:note::{number}" for number in range(int(sys.argv[2])) if number != 78}
sys.exit(0 if len(ids) == len(want) and set(ids) == want else f"{len(ids)} came, {len(set(ids))} of them distinct")
PY
passed "visit"

vespa -t "$URL" query 'select * from note where number = 79' 'model.restrict=note' >"$WORK/query.json"
python3 - "$WORK/query.json" <<'PY' || fail "query: not the one document" "$(cat "$WORK/query.json")"
import json, sys
root = json.load(open(sys.argv[1]))["root"]
hits = root.get("children", [])
found = [hit["fields"].get("number") for hit in hits]
sys.exit(0 if root["fields"]["totalCount"] == 1 and found == [79] else f"found {found}")
PY
passed "query"

# The target "local" is the only one that looks the container up in the deployment; its port is fixed.
if python3 -c 'import socket; socket.socket().bind(("127.0.0.1", 19071))' 2>/dev/null; then
    start local --port 0 --config-port 19071 --app "$WORK/app"
    check "the container is found by its deployment" "at http://127.0.0.1:${URL##*:} is ready$" "$(vespa -t local status --wait 30)"
elif [ -n "${COGNIVERSE_CI:-}" ]; then
    fail "port 19071 is taken"
else
    echo "skipped: the target local, as port 19071 is taken"
fi

echo "vespa CLI: $CHECKS checks passed"
