#!/usr/bin/env python3
"""Drives the test server with pyvespa: a package, feeds over HTTP/1.1 and HTTP/2, queries, visits, removal by selection.

Needs pyvespa 1.2.9 and cargo. Prints each check, and at the end how many passed.
Usage: pyvespa_client.py
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

from vespa.application import Vespa
from vespa.package import ApplicationPackage, Document, Field, Schema

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = 1000
CLUSTER = "notes_content"
checks = 0


def check(name, holds, detail=""):
    global checks
    if not holds:
        sys.exit(f"pyvespa: FAILED: {name}: {detail}")
    checks += 1
    print(f"ok {name}")


def start():
    command = ["cargo", "run", "-q", "-p", "vespa-testkit", "--", "--port", "0", "--config-port", "0"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    found = re.fullmatch(r"listening on (\S+) \(config (\S+)\)\n", line)
    if not found:
        server.kill()
        server.wait()
        sys.exit(f"pyvespa: FAILED: the server did not start: {line!r}")
    return server, found[1], found[2]


def deploy(config_url):
    schema = Schema(
        name="note",
        document=Document(
            fields=[
                Field(name="title", type="string", indexing=["summary", "index"]),
                Field(name="number", type="int", indexing=["summary", "attribute"]),
            ]
        ),
    )
    package = ApplicationPackage(name="notes", schema=[schema], create_query_profile_by_default=False)
    url = f"{config_url}/application/v2/tenant/default/prepareandactivate"
    headers = {"content-type": "application/zip"}
    request = urllib.request.Request(url, data=package.to_zip().getvalue(), headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def feed(app, name, operation, documents, **options):
    answers = []
    getattr(app, name)(
        documents,
        schema="note",
        namespace="test",
        operation_type=operation,
        callback=lambda response, document: answers.append((document, response)),
        **options,
    )
    bad = [(document, answer.status_code, answer.json) for document, answer in answers if not answer.is_successful()]
    distinct = {document for document, _ in answers}
    check(f"{name}, {operation}", not bad and len(distinct) == len(documents), f"{len(answers)} answers, bad: {bad[:3]}")


def documents(numbers):
    # Every tenth is long enough to be sent packed.
    long = " word" * 400
    return [
        {"id": str(n), "fields": {"title": f"note {n} grün" + (long if n % 10 == 0 else ""), "number": n}}
        for n in numbers
    ]


def visited(app, **options):
    ids = []
    for part in app.visit(content_cluster_name=CLUSTER, schema="note", namespace="test", **options):
        for page in part:
            if not page.is_successful():
                sys.exit(f"pyvespa: FAILED: visit: {page.status_code} {page.json}")
            ids += [document["id"] for document in page.documents]
    return ids


def count(app, condition):
    body = {"yql": f"select * from note where {condition}", "model.restrict": "note", "hits": 5}
    answer = app.query(body=body)
    return answer.json["root"]["fields"]["totalCount"], [hit["fields"].get("number") for hit in answer.hits]


def run(app):
    check("the application is up", app.get_application_status().status_code == 200)
    half = DOCUMENTS // 2
    feed(app, "feed_iterable", "feed", documents(range(half)))
    feed(app, "feed_async_iterable", "feed", documents(range(half, DOCUMENTS)))
    wanted = {f"id:test:note::{n}" for n in range(DOCUMENTS)}
    for slices in (1, 4):
        ids = visited(app, slices=slices, wanted_document_count=100)
        check(f"visit in {slices} slices", len(ids) == DOCUMENTS and set(ids) == wanted, f"{len(ids)} came")
    changes = [{"id": str(n), "fields": {"title": "changed"}} for n in range(10)]
    feed(app, "feed_iterable", "update", changes)
    one = app.get_data(schema="note", namespace="test", data_id="7")
    check("get", one.status_code == 200 and one.json["fields"] == {"title": "changed", "number": 7}, str(one.json))
    missing = app.get_data(schema="note", namespace="test", data_id="nosuch")
    check("get of what is not there", missing.status_code == 404, str(missing.status_code))
    check("query", count(app, "number = 79") == (1, [79]), str(count(app, "number = 79")))
    check("query of all", count(app, "true")[0] == DOCUMENTS, str(count(app, "true")))
    feed(app, "feed_iterable", "delete", [{"id": str(n)} for n in range(100)])
    check("what was deleted is gone", count(app, "true")[0] == DOCUMENTS - 100, str(count(app, "true")))
    app.delete_all_docs(content_cluster_name=CLUSTER, schema="note", namespace="test")
    check("delete_all_docs", visited(app) == [] and count(app, "true")[0] == 0, str(count(app, "true")))


def main():
    server, url, config_url = start()
    try:
        answer = deploy(config_url)
        check("pyvespa's package is deployed", '"activated":true' in answer, answer)
        with tempfile.TemporaryFile("w") as quiet:
            run(Vespa(url=url, output_file=quiet))
    finally:
        server.terminate()
        server.wait()
    check("the server stops when told to", server.returncode == 0, str(server.returncode))
    print(f"pyvespa: {checks} checks passed")


if __name__ == "__main__":
    main()
