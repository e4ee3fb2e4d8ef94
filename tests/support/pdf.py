"""What a PDF says, read back with PDFium, and what its QR code says."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import zxingcpp

PIXELS_PER_POINT = 3


def text_of(content: bytes) -> str:
    """Return the text of all pages."""
    document = pypdfium2.PdfDocument(content)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def qr_codes_of(content: bytes) -> list[str]:
    """Return what the QR codes on the first page say."""
    document = pypdfium2.PdfDocument(content)
    try:
        image = document[0].render(scale=PIXELS_PER_POINT).to_numpy()
        return [found.text for found in zxingcpp.read_barcodes(image)]
    finally:
        document.close()


def write_pages(content: bytes, folder: Path) -> list[Path]:
    """Draw every page into a PNG, to be looked at."""
    document = pypdfium2.PdfDocument(content)
    try:
        paths = []
        for number, page in enumerate(document, 1):
            path = folder / f"page-{number}.png"
            page.render(scale=2).to_pil().save(path)
            paths.append(path)
        return paths
    finally:
        document.close()
