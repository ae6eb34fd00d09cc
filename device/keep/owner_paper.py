"""A page to print: the key that opens clips, as QR codes and in letters.

Rule 1: what is on the page is enough to open a clip in twenty years, with nothing but age.
"""

from __future__ import annotations

import segno

_QR_MM = 60

_PAGE = """\
<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="210mm" height="297mm" viewBox="0 0 210 297">
<rect width="210" height="297" fill="#fff"/>
<g font-family="sans-serif" font-size="4">
<text x="20" y="28" font-size="8">Doorstep: the key that opens your clips</text>
<text x="20" y="38">Made {created}. Keep it as you keep a house key:</text>
<text x="20" y="44">whoever has it can open your clips, and without it nobody can.</text>
<text x="20" y="62" font-size="5">Secret key</text>
{secret_qr}
<text x="20" y="136" font-family="monospace" font-size="3.6">{secret}</text>
<text x="20" y="146">To open a clip, put this line into a file, identity.txt, and then:</text>
<text x="20" y="153" font-family="monospace" font-size="3.6">age -d -i identity.txt -o clip.ts clip-000001.ts.age</text>
<text x="20" y="176" font-size="5">Public key (recipients in doorstep.toml; no secret)</text>
{recipient_qr}
<text x="20" y="250" font-family="monospace" font-size="3.6">{recipient}</text>
</g>
</svg>
"""


def page(secret: str, recipient: str, created: str) -> str:
    """Return the page, A4, as SVG."""
    return _PAGE.format(created=created, secret=secret, recipient=recipient,
                        secret_qr=_qr(secret, 68), recipient_qr=_qr(recipient, 182))


def _qr(text: str, y_mm: int) -> str:
    """Return a QR code as a drawing of its dark modules, one unit each."""
    rows = segno.make(text, micro=False).matrix
    dark = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, module in enumerate(row) if module)
    return (f'<svg x="20" y="{y_mm}" width="{_QR_MM}" height="{_QR_MM}" viewBox="0 0 {len(rows)} {len(rows)}" '
            f'shape-rendering="crispEdges"><path d="{dark}"/></svg>')
