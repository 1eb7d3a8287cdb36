#!/usr/bin/env python3
"""Reads text in pictures with RapidOCR, for cogniverse's `CommandScreenReader` and `HttpScreenReader`.

    pip install rapidocr-onnxruntime==1.4.4     # the models come with the package; nothing else is downloaded
    python3 examples/screen_reader.py           # JSON lines on standard input and output
    python3 examples/screen_reader.py --port 8090   # POST /read on 127.0.0.1

The models are loaded once. A line {"id": 1, "pictures": ["/tmp/a.jpg"]} is answered by {"id": 1, "screens": [{"lines": ["..."]}]},
one screen per picture in order; or by {"id": 1, "error": "..."}. Over HTTP, pictures are base64 and there is no id.
"""
import argparse
import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import cv2
import numpy

# The largest request body, in bytes.
MOST = 256 << 20
# The side to which pictures are enlarged, and how far at most.
SIDE, FACTOR = 2000, 1.5


def prepared(picture):
    """Returns a picture (a path or bytes) as dark letters on a light ground, a little enlarged.

    Coloured and compressed text loses the blanks between its words otherwise: the models are trained on Chinese."""
    data = numpy.frombuffer(picture, numpy.uint8) if isinstance(picture, bytes) else numpy.fromfile(picture, numpy.uint8)
    grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ValueError("this is no picture")
    if numpy.median(grey) < 128:
        grey = 255 - grey
    dark, light = numpy.percentile(grey, (0.5, 99.5))
    grey = numpy.clip((grey.astype(numpy.float32) - dark) * (255 / max(light - dark, 1)), 0, 255).astype(numpy.uint8)
    factor = min(FACTOR, SIDE / max(grey.shape))
    if factor > 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def load():
    """Returns a function from a picture (a path or bytes) to (box, text, score) of each line."""
    try:
        from rapidocr_onnxruntime import RapidOCR

        engine = RapidOCR()
        return lambda picture: engine(prepared(picture))[0] or []
    except ImportError:
        from rapidocr import RapidOCR

        engine = RapidOCR()

        def read(picture):
            found = engine(prepared(picture))
            return [] if found.txts is None else list(zip(found.boxes, found.txts, found.scores))

        return read


def in_reading_order(found):
    """Sorts lines from the top to the bottom; those of one row, from the left to the right."""
    placed = []
    for box, text, _ in found:
        ys, xs = [point[1] for point in box], [point[0] for point in box]
        placed.append((min(ys), max(ys), min(xs), text))
    placed.sort(key=lambda line: (line[0], line[2]))
    rows = []
    for top, bottom, left, text in placed:
        # A line that begins above the middle of the row's first one belongs to that row.
        if rows and top < (rows[-1][0] + rows[-1][1]) / 2:
            rows[-1][2].append((left, text))
        else:
            rows.append((top, bottom, [(left, text)]))
    return [text for _, _, row in rows for _, text in sorted(row)]


def screens(read, pictures, least):
    return [{"lines": in_reading_order([line for line in read(picture) if float(line[2]) >= least])} for picture in pictures]


def on_lines(read, least):
    for line in sys.stdin:
        answer = {}
        try:
            asked = json.loads(line)
            answer["id"] = asked.get("id")
            answer["screens"] = screens(read, asked["pictures"], least)
        except Exception as problem:  # The program goes on; the request is refused.
            answer["error"] = f"{type(problem).__name__}: {problem}"
        print(json.dumps(answer), flush=True)


def on_http(read, least, port):
    one_at_a_time = Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("content-length") or 0)
            if self.path.rstrip("/") != "/read" or not 0 < length <= MOST:
                return self.answer(404, {"error": "POST /read with at most 256 MiB"})
            try:
                pictures = [base64.b64decode(picture) for picture in json.loads(self.rfile.read(length))["pictures"]]
                with one_at_a_time:
                    self.answer(200, {"screens": screens(read, pictures, least)})
            except Exception as problem:
                self.answer(422, {"error": f"{type(problem).__name__}: {problem}"})

        def answer(self, status, body):
            body = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description="Reads text in pictures with RapidOCR")
    parser.add_argument("--port", type=int, help="serve POST /read on 127.0.0.1 in place of JSON lines; 0 for any port")
    parser.add_argument("--least", type=float, default=0.5, help="the least confidence of a line, from 0 to 1 (default 0.5)")
    options = parser.parse_args()
    read = load()
    if options.port is None:
        on_lines(read, options.least)
    else:
        on_http(read, options.least, options.port)


if __name__ == "__main__":
    main()
