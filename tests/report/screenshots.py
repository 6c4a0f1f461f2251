"""Takes pictures of a report: python -m tests.report.screenshots reports/reference --out reports/reference."""

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=20000",
)  # fmt: skip
DARK = "--blink-settings=preferredColorScheme=0"
MAX_BYTES = 250_000
PHONE = 390
"""Pixels; Chromium's own window is never as narrow, so the page stands in a frame."""


def main() -> None:
    """Write page.png, figure.png and phone.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--figure", default="exercise-deep-rnn-3-figure-1-1", help="the id of the drawing to show alone"
    )
    chosen = parser.parse_args()
    page = (chosen.run / "index.html").read_text(encoding="utf-8")
    chosen.out.mkdir(parents=True, exist_ok=True)
    shoot(page, chosen.out / "page.png", 1200, 1400)
    shoot(alone(page, chosen.figure), chosen.out / "figure.png", 760, 480)
    shoot(page, chosen.out / "phone.png", PHONE, 844, DARK)


def alone(page: str, drawing: str) -> str:
    """Return the page with one figure to be seen; what names no drawing on it is an error."""
    if f'id="{drawing}"' not in page:
        known = re.findall(r'class="drawing[^"]*" id="([^"]+)"', page)
        raise SystemExit(f"There is no drawing {drawing!r} on the page; it has {', '.join(known)}.")
    only = f"""
      body * {{ visibility: hidden; }}
      figure:has(#{drawing}), figure:has(#{drawing}) * {{ visibility: visible; }}
      figure:has(#{drawing}) {{ position: fixed; inset: 1.5rem; }}
      .save {{ display: none; }}
    """
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    return page.replace("</style>", f"{only}</style>", 1)


def shoot(page: str, picture: Path, width: int, height: int, *flags: str) -> None:
    """Take one picture, in fewer colours where it would be large otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        source, frame, taken = (Path(folder) / name for name in ("index.html", "frame.html", "taken.png"))
        source.write_text(page, encoding="utf-8")
        frame.write_text(
            f'<body style="margin:0"><iframe src="index.html" style="width:{width}px;height:{height}px;border:0">',
            encoding="utf-8",
        )
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
        places = [f"--user-data-dir={folder}/profile", f"--window-size={max(width, 500)},{height}"]
        command = [chromium, *FLAGS, *flags, *places, f"--screenshot={taken}", frame.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
        image = Image.open(taken).convert("RGB").crop((0, 0, width, height))
    image.save(picture, optimize=True)
    for colours in (256, 64, 16):
        if picture.stat().st_size <= MAX_BYTES:
            break
        # The palette that covers most colours keeps those of the figures' thin lines.
        image.quantize(colours, method=Image.Quantize.MAXCOVERAGE).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
