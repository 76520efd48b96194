#!/usr/bin/env python3
"""Makes the spreadsheets of this folder with LibreOffice (`soffice`, Debian: libreoffice-calc).

Every sample and every file of tests/corpus that is a text is read as UTF-8 with the delimiter that the
program detects, every column as text, and saved as .xlsx and .ods; of an .ods only the parts that hold
the sheet are kept. Run it from the repository's folder; tests need none of it.
"""
import gzip, os, subprocess, tempfile, zipfile
from pathlib import Path

OUT = Path("tests/sheets")
PROGRAM = os.environ.get("PROGRAM", "target/debug/registrant-import")
LARGEST = 16_000  # bytes of a fixture


def detected(path, options):
    args = [PROGRAM, "check", str(path)] + options
    told = subprocess.run(args, capture_output=True, text=True).stdout
    found = dict(line.split(None, 1) for line in told.splitlines()[:2] if " " in line)
    delimiter = found.get("Delimiter", "`,`").strip().strip("`")
    names = {"tab": "\t", "space": " "}
    return {"encoding": found.get("Encoding", "utf-8").split()[0].strip(","), "delimiter": names.get(delimiter, delimiter)}


def cases():
    """The files, each with the delimiter and encoding that its table gives it."""
    for sample in sorted(Path("samples").glob("*.csv")):
        if not sample.name.endswith((".enrolled.csv", ".rejects.csv")):
            yield sample, []
    found = {}
    for line in Path("tests/corpus/table.txt").read_text().splitlines():
        if line.startswith("== "):
            name, *options = line[3:].split(" --")
            words = found.setdefault(name.strip(), [])
            for option in options:
                key, _, value = option.strip().partition(" ")
                if key in ("delimiter", "encoding"):
                    words += ["--" + key, value]
    for name, words in found.items():
        yield Path("tests/corpus") / name, words


def main():
    with tempfile.TemporaryDirectory() as work:
        groups = {}
        for path, options in cases():
            raw = path.read_bytes()
            if raw[:2] == b"\x1f\x8b":
                try:
                    raw = gzip.decompress(raw)
                except Exception:
                    continue
            found = detected(path, options)
            encoding = (found or {}).get("encoding", "utf-8")
            delimiter = (found or {}).get("delimiter", ",")
            try:
                text = raw.decode({"utf-16le": "utf-16-le", "utf-16be": "utf-16-be"}.get(encoding, encoding))
            except (UnicodeDecodeError, LookupError):
                continue
            text = text.removeprefix("\ufeff")
            if not text.strip() or path.suffix not in (".csv", ".gz"):
                continue
            name = path.name.removesuffix(".gz")
            if path.parent == Path("samples"):
                name = f"sample-{name}"
            group = Path(work) / f"d{ord(delimiter)}"
            group.mkdir(exist_ok=True)
            (group / name).write_bytes(text.encode())
            groups[ord(delimiter)] = group
        columns = "/".join(f"{n}/2" for n in range(1, 120))
        for delimiter, group in groups.items():
            files = sorted(str(f) for f in group.iterdir())
            for kind in ("xlsx", "ods"):
                out = group / kind
                subprocess.run(
                    ["soffice", "--headless", "--convert-to", kind, "--outdir", str(out),
                     f"--infilter=Text - txt - csv (StarCalc):{delimiter},34,76,1,{columns}"] + files,
                    check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                (OUT / kind).mkdir(exist_ok=True)
                for made in sorted(out.iterdir()):
                    small(made, OUT / kind / made.name)
        ids(Path(work))


def ids(work):
    """What a spreadsheet does to ids, by the hands of openpyxl and then of LibreOffice."""
    from openpyxl import Workbook
    import datetime
    book = Workbook()
    notes = book.active
    notes.title = "Notes"
    notes["A1"] = "Nothing to see here"
    sheet = book.create_sheet("People")
    sheet["A1"] = "People, November"
    rows = [
        ("id", "name", "Status"),
        ("00042", "text with zeros", "paid"),
        (42, "format 00000", "paid"),
        (123456789012345, "15 digits", "paid"),
        (1234567890123456, "16 digits", "paid"),
        (1.5, "decimals", "paid"),
        (datetime.date(2026, 11, 5), "date", "paid"),
        ("#N/A", "error", "paid"),
        ('="F-"&"7"', "formula", "paid"),
        (True, "truth value", "paid"),
        ("M-1", "merged", "paid"),
        (None, "merged below", "paid"),
        ("H-1", "hidden", "paid"),
        ("H-2", "filtered", "void"),
        (None, None, None),
        ("E-1", "below an empty row", "paid"),
        ("N-1", "#REF!", "paid"),
        ("L-1", "two\nlines", "paid"),
        (None, None, None),
        ("Cancellations", None, None),
        ("id", "name", "Status"),
        ("C-1", "cancelled", "paid"),
    ]
    for place, row in enumerate(rows, start=3):
        for column, value in enumerate(row, start=1):
            if value is not None:
                sheet.cell(place, column, value)
    sheet["A5"].number_format = "00000"
    sheet["A9"].number_format = "yyyy-mm-dd"
    sheet.merge_cells("A13:A14")
    sheet.row_dimensions[15].hidden = True
    sheet.row_dimensions[16].hidden = True
    plain = work / "ids.xlsx"
    book.save(plain)
    small(plain, OUT / "ids-openpyxl.xlsx")
    for kind in ("xlsx", "ods"):
        subprocess.run(["soffice", "--headless", "--convert-to", kind, "--outdir", str(work / "ids"), str(plain)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        small(work / "ids" / f"ids.{kind}", OUT / f"ids.{kind}")


KEPT = ("mimetype", "content.xml", "META-INF/manifest.xml")


def small(source, target):
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as kept:
        for item in archive.infolist():
            if source.suffix == ".xlsx" and not item.filename.startswith(("docProps", "xl/theme")) \
                    or item.filename in KEPT:
                fixed = zipfile.ZipInfo(item.filename, (2026, 1, 1, 0, 0, 0))
                fixed.compress_type = zipfile.ZIP_DEFLATED
                kept.writestr(fixed, archive.read(item))
    if target.stat().st_size > LARGEST:
        target.unlink()


main()
