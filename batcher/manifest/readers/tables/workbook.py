"""Spreadsheets (Excel, OpenDocument), read with python-calamine, an extra: the first sheet that is not hidden.

Whole numbers are read without a decimal point; dates become text. The whole sheet is held in memory, so its size is
checked before it is opened: two cells far apart make a sheet of billions.
"""

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from functools import reduce
from importlib.util import find_spec
from itertools import islice
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.suggest import fold_name, listed, printable, quoted
from batcher.manifest.extras import install_command
from batcher.manifest.readers.special_columns import prompt_names
from batcher.manifest.readers.tables.table import CellTable, filled

_MOST_TITLES = 10
_MOST_CELLS = 20_000_000
_MOST_BYTES = 2**30  # of all sheets, unpacked
_PIECE = 2**20
_CELL = re.compile(rb"""[ <]r=["']([A-Z]{1,3})([0-9]{1,7})["']""")
_SAVE = "save the sheet as CSV UTF-8 (in Excel: Save As, CSV UTF-8)"


class Workbook(CellTable):
    """A reader of one spreadsheet file."""

    def _opened(self) -> tuple[list[str], Iterator[Iterator[tuple[Any, ...]]]]:
        if find_spec("python_calamine") is None:
            what = "is read with python-calamine, which is not installed"
            raise self._source.failure(what, f"{install_command('xlsx')}, or {_SAVE}")
        rows = self._sheet()
        header = self._header(rows)
        self._first = header + 2
        names = ["" if cell is None else str(cell).strip() for cell in map(_plain, rows[header])]
        return filled(names), iter([map(tuple, (map(_plain, cells) for cells in rows[header + 1 :]))])

    def _header(self, rows: list[list[Any]]) -> int:
        """Index of the header: the first row that is not empty, or the one that names the prompt below titles."""
        given = ((at, [cell for cell in cells if cell not in {"", None}]) for at, cells in enumerate(rows))
        filled = list(islice(((at, cells) for at, cells in given if cells), _MOST_TITLES))
        if not filled:
            raise self._source.failure("is empty", "give a header row and a row for each prompt")
        wanted = prompt_names(self._reading.prompt_column)
        for at, cells in filled:
            if any(fold_name(str(cell).strip()) in wanted for cell in cells):
                if at > filled[0][0]:
                    self._warn("the rows above its header are left out")
                return at
            if len(cells) > 1:
                break
        return filled[0][0]

    def _sheet(self) -> list[list[Any]]:
        import python_calamine as calamine  # noqa: PLC0415  an extra

        try:
            self._check_size()
            book = calamine.CalamineWorkbook.from_path(self._source.path)
            visible = [one.name for one in book.sheets_metadata if one.visible == calamine.SheetVisibleEnum.Visible]
            names = visible or book.sheet_names
            rows: list[list[Any]] = book.get_sheet_by_name(names[0]).to_python(skip_empty_area=False)
        except ManifestError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a damaged file makes of a foreign reader
            if self._source.start(8)[:2] not in {b"PK", b"\xd0\xcf"}:
                what = "is not a spreadsheet, whatever its name says"
                raise self._source.failure(what, "--format csv or tsv reads a table of text") from None
            what = f"can't be read as a spreadsheet: {printable(str(error)[:120]) or type(error).__name__}"
            raise self._source.failure(what, _SAVE) from None
        if len(names) > 1:
            self._warn(f"the sheet {quoted(names[0])} is read, and not {listed(names[1:6])}")
        return rows

    def _check_size(self) -> None:
        """Raise ManifestError for a file whose sheets would not fit into memory."""
        if not zipfile.is_zipfile(self._source.path):
            return
        with zipfile.ZipFile(self._source.path) as packed:
            if sum(info.file_size for info in packed.infolist()) > _MOST_BYTES:
                raise self._source.failure("is larger than 1 GB unpacked", _SAVE)
            for info in packed.infolist():
                if info.filename.startswith("xl/worksheets/") and info.filename.endswith(".xml"):
                    with packed.open(info) as sheet:
                        self._refuse_vast(sheet)

    def _refuse_vast(self, sheet: Any) -> None:
        widest = longest = read = 0
        rest = b""
        while piece := sheet.read(_PIECE):
            read += len(piece)
            text = rest + piece
            for column, row in _CELL.findall(text):
                widest, longest = max(widest, _number(column)), max(longest, int(row))
            rest = text[-40:]
            if widest * longest > _MOST_CELLS or read > _MOST_BYTES:
                what = f"has a sheet of {longest:,} rows and {widest:,} columns, filled or not"
                raise self._source.failure(what, _SAVE)


def _number(column: bytes) -> int:
    """``AB`` is column 28."""
    return reduce(lambda number, letter: number * 26 + letter - 64, column, 0)  # A is 1


def _plain(cell: Any) -> Any:
    """A cell as JSON data: whole numbers as int, dates as text, None for an empty cell."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if cell is None or cell == "":
        return None
    return cell if isinstance(cell, str | int | float) else str(cell)
