# SPDX-License-Identifier: Apache-2.0
"""Draw the demo as docs/images/demo.svg: python -m tools.picture.

The picture is the output of `make demo` on this machine, with an empty cache. It uses a font of the viewer,
because no page loads one from a server.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console

from examples.digits import demo

TARGET: Final = Path(__file__).resolve().parents[1] / "docs" / "images" / "demo.svg"
COLUMNS: Final = 100
# Fields of Console.export_svg(). The format that rich brings loads its font from a server.
FORMAT: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <title>Output of make demo</title>
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: {char_height}px;
      line-height: {line_height}px;
      font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix" xml:space="preserve">
      {matrix}
    </g>
  </g>
</svg>
"""


def main() -> int:
    """Run the demo, write its output as a picture, and return the exit status of the demo."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    demo.console = console
    demo.track = lambda images, *_words, **_options: images  # type: ignore[attr-defined]  # no progress bar
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MICROTVM_CACHE_DIR"] = cache
        status = demo.main()
    if status == 0:
        svg = console.export_svg(title="make demo", code_format=FORMAT, unique_id="demo")
        TARGET.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
