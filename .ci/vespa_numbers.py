"""Runs the programs that vespa-numbers.sh has built against its sink, in turn, and compares medians."""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

# The bars are 1.0 for throughput and for CPU. A ratio of medians of three rounds on a shared machine with two cores moves by
# up to a tenth from run to run, so a run fails only beyond that. Quick runs are too short to say more than "not broken".
# The bar of a search needs none: its ratio is a median over 15 rounds of both in one process.
TOLERANCE = 1.1
QUICK_TOLERANCE = 2.0
SEARCH_BAR = 1.5
PEAK_BAR_MIB = 200


def measured(command):
    """Wall clock, CPU and output of a whole process, ours and theirs alike."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, json.loads(output)


def pyvespa(url, body, count):
    """Searches per second, and CPU of each, of pyvespa with the same body on one connection."""
    from vespa.application import Vespa

    body = json.load(open(body))
    with Vespa(url=url).syncio(connections=1) as session:
        for _ in range(count // 10):
            session.query(body=body)
        started, used = time.monotonic(), time.process_time()
        for _ in range(count):
            assert len(session.query(body=body).hits) == 10
        return count / (time.monotonic() - started), (time.process_time() - used) / count


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    for name in ("url", "cli", "programs", "work"):
        options.add_argument(f"--{name}", required=True)
    options = options.parse_args()
    program = lambda name, *arguments: [os.path.join(options.programs, name), "--url", options.url, *arguments]
    documents = 10_000 if options.quick else 100_000
    rounds = 1 if options.quick else 3
    tolerance = QUICK_TOLERANCE if options.quick else TOLERANCE
    failures = []

    def bar(holds, what):
        print(f"{'ok  ' if holds else 'FAIL'} {what}")
        if not holds:
            failures.append(what)

    feed_file = os.path.join(options.work, "feed.jsonl")
    subprocess.run([os.path.join(options.programs, "feed_benchmark"), "--write", feed_file, "--documents", str(documents)], check=True)
    rates, costs = {"vespa feed": [], "cogniverse": []}, {"vespa feed": [], "cogniverse": []}
    for _ in range(rounds):
        for name, command in (
            ("vespa feed", [options.cli, "feed", "-t", options.url, feed_file]),
            ("cogniverse", program("feed_benchmark", "--input", feed_file, "--json")),
        ):
            seconds, cpu, report = measured(command)
            stored = report.get("feeder.ok.count", report.get("documents"))
            assert stored == documents, f"{name} fed {stored} of {documents}"
            rates[name].append(documents / seconds)
            costs[name].append(cpu / documents * 1e6)
    print(f"\n{documents} documents of 1 KB from one file, whole processes, medians of {rounds}")
    print(f"{'':12} {'docs/s':>10} {'us of CPU a document':>22}")
    rate = {name: statistics.median(values) for name, values in rates.items()}
    cost = {name: statistics.median(values) for name, values in costs.items()}
    for name in rates:
        print(f"{name:12} {rate[name]:10.0f} {cost[name]:22.1f}")
    faster, dearer = rate["cogniverse"] / rate["vespa feed"], cost["cogniverse"] / cost["vespa feed"]
    bar(faster >= 1 / tolerance, f"throughput {faster:.2f} x that of vespa feed")
    bar(dearer <= tolerance, f"CPU {dearer:.2f} x that of vespa feed")

    body = os.path.join(options.work, "body.json")
    subprocess.run(program("search_benchmark", "--write-body", body), check=True)
    searches = ["--searches", "100", "--rounds", "5"] if options.quick else []
    ours = measured(program("search_benchmark", "--json", *searches))[2]
    rate, cost = pyvespa(options.url, body, 200 if options.quick else 2000)
    print(f"\nsearches of 20 x 128 with 10 hits on one connection ({ours['body_bytes']} bytes)")
    print(f"{'':12} {'a second':>10} {'us of CPU a search':>22}")
    print(f"{'cogniverse':12} {ours['searches_per_second']:10.0f} {ours['cpu_micros']:22.1f}")
    print(f"{'by hand':12} {ours['searches_per_second_by_hand']:10.0f} {ours['cpu_micros_by_hand']:22.1f}")
    print(f"{'pyvespa':12} {rate:10.0f} {cost * 1e6:22.1f}")
    bar(ours["cpu_ratio"] <= SEARCH_BAR * (tolerance if options.quick else 1), f"CPU {ours['cpu_ratio']:.2f} x that of a call by hand (bar {SEARCH_BAR})")

    many = 50_000 if options.quick else 1_000_000
    report = measured(program("feed_benchmark", "--documents", str(many), "--json"))[2]
    print()
    bar(report["documents"] == many and report["peak_mib"] < PEAK_BAR_MIB, f"{many} documents in at most {report['peak_mib']:.0f} MiB")
    sys.exit(bool(failures))


main()
