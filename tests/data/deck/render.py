#!/usr/bin/env python3
"""Renders slides.txt to PNG files: render.py SLIDES FOLDER. Needs Pillow, which comes with RapidOCR.

A slide is a title, then its lines, up to an empty line."""
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

slides = [block.splitlines() for block in Path(sys.argv[1]).read_text().strip().split("\n\n")]
folder = Path(sys.argv[2])
# Pillow's own font, so that the picture is the same on every machine.
title_font, line_font, foot_font = (ImageFont.load_default(size) for size in (56, 36, 22))
looks = [("#ffffff", "#1a237e", "#212121"), ("#0d1b2a", "#ffd166", "#e0e1dd"), ("#f4f1de", "#3d405b", "#3d405b")]
for number, (title, *lines) in enumerate(slides):
    back, accent, ink = looks[number % len(looks)]
    picture = Image.new("RGB", (1280, 720), back)
    draw = ImageDraw.Draw(picture)
    draw.text((80, 70), title, font=title_font, fill=accent)
    draw.rectangle((80, 150, 1200, 154), fill=accent)
    for row, line in enumerate(lines):
        draw.text((110, 210 + row * 90), f"\u2022 {line}", font=line_font, fill=ink)
    draw.text((80, 670), f"Team meeting, page {number + 1}", font=foot_font, fill=ink)
    picture.save(folder / f"{number:03}.png")
print(len(slides))
