"""A4 paper with a Korean font, tables and a QR code; the same content gives the same bytes.

The font is Noto Sans KR from a package (SIL OFL 1.1), so no font of the machine is needed; only
the glyphs that are used are embedded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import pylopdf_fonts_ko
import segno
from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace

FONT: Final = "korean"
MARGIN_MM: Final = 12.0
QR_MM: Final = 30.0
QUIET_MODULES: Final = 4  # ISO/IEC 18004: light modules around a symbol
_GRAY: Final = 110
_RULE: Final = 190
_SHADE: Final = (238, 241, 245)
_SHADED: Final = FontFace(fill_color=_SHADE)

Align = Literal["L", "R", "C"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: Korean name, English name, width as a share, and where its text stands."""

    ko: str
    en: str
    share: int
    align: Align = "L"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: rows of text as wide as the columns, and the totals below them."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    totals: Sequence[str] = field(default=())


class Paper(FPDF):
    """One document, landscape, with page numbers."""

    def __init__(self, *, title: str, made_at: datetime, foot: str) -> None:
        super().__init__(orientation="landscape", format="A4")
        self._foot = foot
        self.add_font(FONT, fname=str(pylopdf_fonts_ko.sans_path()))
        self.set_font(FONT, size=9)
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=MARGIN_MM + 8)
        self.set_title(title)
        self.set_lang("ko-KR")
        self.set_creation_date(made_at)
        self.add_page()

    def footer(self) -> None:
        """Write what stands below every page; fpdf2 calls it."""
        self.set_y(-MARGIN_MM - 4)
        self.set_font(FONT, size=7)
        self.set_text_color(_GRAY)
        width = self.epw - 30
        self.cell(width, 4, self._foot)
        self.cell(30, 4, f"{self.page_no()} / {{nb}}", align="R")
        self.set_text_color(0)

    def heading(self, ko: str, en: str, *, size: int = 18) -> None:
        """Write a heading in both languages."""
        self.set_font(FONT, size=size)
        self.cell(self.get_string_width(ko) + 4, size / 2, ko)
        self.set_font(FONT, size=size * 0.6)
        self.set_text_color(_GRAY)
        self.cell(0, size / 2, en, new_x="LMARGIN", new_y="NEXT")
        self.set_text_color(0)
        self.set_font(FONT, size=9)

    def facts(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Write labelled lines: Korean label, English label, text."""
        for ko, en, text in rows:
            self.set_font(FONT, size=9)
            self.cell(26, 5, ko)
            self.set_font(FONT, size=7)
            self.set_text_color(_GRAY)
            self.cell(30, 5, en)
            self.set_text_color(0)
            self.set_font(FONT, size=9)
            self.multi_cell(
                self.epw - 56 - QR_MM, 5, text, align="L", new_x="LMARGIN", new_y="NEXT"
            )

    def sheet(self, sheet: Sheet) -> None:
        """Draw a table; its headings stand on every page that it goes over."""
        columns = sheet.columns
        self.set_font(FONT, size=8)
        self.set_draw_color(_RULE)
        with self.table(
            col_widths=[column.share for column in columns],
            text_align=[column.align for column in columns],
            headings_style=_SHADED,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            line_height=4.4,
            padding=(0.8, 1),
        ) as table:
            table.row([f"{column.ko}\n{column.en}" for column in columns])
            for cells in sheet.rows:
                table.row(list(cells))
            if sheet.totals:
                table.row(list(sheet.totals), style=_SHADED)
        self.ln(3)

    def qr(self, text: str, *, x: float, y: float) -> None:
        """Draw a QR code of ``QR_MM`` with its quiet zone, error correction M."""
        matrix = segno.make(text, error="m", micro=False).matrix
        step = QR_MM / (len(matrix) + 2 * QUIET_MODULES)
        self.set_fill_color(0)
        for row, modules in enumerate(matrix):
            start = 0
            while start < len(modules):
                end = start
                while end < len(modules) and modules[end]:
                    end += 1
                if end > start:
                    left = x + (start + QUIET_MODULES) * step
                    top = y + (row + QUIET_MODULES) * step
                    self.rect(left, top, (end - start) * step, step, style="F")
                start = end + 1

    def content(self) -> bytes:
        """Return the PDF."""
        return bytes(self.output())
