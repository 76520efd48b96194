//! Spreadsheets: read as the CSV is that they were made of; ids in numbers, dates and
//! formulas; hostile files. `tests/sheets/make.py` makes the files.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
};

use insta::assert_snapshot;
use registrant_import::{
    input::Options,
    registrant::{Mode, Rule},
};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    context::Context,
    corpus::{cases, corpus, outcome, parse_options},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sheets")
}

/// The preset, and what came of each row, without lines, which differ where a cell has several; or
/// which error it was.
fn rows(outcome: &str) -> Vec<String> {
    if let Some(error) = outcome.strip_prefix("error: ") {
        let words = error.split_once(": ").map_or(error, |(_, words)| words);
        return vec![format!("error: {}", words.split([':', ';']).next().unwrap_or_default())];
    }
    let mut lines = outcome.lines();
    let preset = lines.next().and_then(|head| head.rsplit(' ').next());
    let mut rows = vec![preset.unwrap_or_default().to_owned()];
    rows.extend(lines.filter(|line| !line.starts_with("note: ")).map(|line| {
        let line = line.strip_prefix("trap: ").unwrap_or(line);
        let outcome = line.split_once(' ').map_or(line, |(_, outcome)| outcome);
        outcome.split_once(" repeats ").map_or(outcome, |(id, _)| id).to_owned()
    }));
    rows
}

/// The files whose sheets are read otherwise, with the reason.
fn exceptions() -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join("exceptions.txt")).expect("the exceptions");
    let lines = text.lines().filter(|line| !line.starts_with("//") && !line.is_empty());
    lines
        .map(|line| {
            let (name, why) = line.split_once(": ").expect("a file and a reason");
            (name.to_owned(), why.to_owned())
        })
        .collect()
}

#[test]
fn a_sheet_is_read_as_the_csv_that_it_was_made_of() {
    let exceptions = exceptions();
    let table = fs::read_to_string(corpus().join("table.txt")).expect("the table");
    let mut files: Vec<(PathBuf, Options, Rule)> = cases(&table)
        .iter()
        .map(|case| {
            let (options, rule) = parse_options(&case.options);
            (corpus().join(&case.name), options, rule)
        })
        .collect();
    for entry in fs::read_dir(folder().join("../../samples")).expect("the samples") {
        let path = entry.expect("a sample").path();
        if path.extension().is_some_and(|ending| ending == "csv") {
            files.push((path, Options::default(), Rule::Meeting(Mode::Everyone)));
        }
    }
    let (mut compared, mut told, mut differing) = (0, String::new(), Vec::new());
    for (path, options, rule) in &files {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let name = if path.starts_with(corpus()) { name } else { format!("sample-{name}") };
        let stem = name.trim_end_matches(".gz").rsplit_once('.').map_or(name.as_str(), |(s, _)| s);
        for kind in ["xlsx", "ods"] {
            let sheet = folder().join(kind).join(format!("{stem}.{kind}"));
            if !sheet.exists() {
                continue;
            }
            compared += 1;
            let [of_text, of_sheet] =
                [path, &sheet].map(|path| rows(&outcome(path, options, rule)));
            if of_text == of_sheet {
                continue;
            }
            differing.push(name.clone());
            if !exceptions.contains_key(&name) {
                told.push_str(&format!(
                    "== {name} as {kind}\nof the text:  {of_text:?}\nof the sheet: {of_sheet:?}\n"
                ));
            }
        }
    }
    assert!(told.is_empty(), "{told}");
    assert!(compared > 300, "{compared} sheets were read");
    for name in exceptions.keys() {
        assert!(differing.contains(name), "{name} is no exception any more");
    }
}

#[test]
fn ids_are_what_the_sheet_shows_or_are_refused() {
    let [openpyxl, xlsx, ods] = ["ids-openpyxl.xlsx", "ids.xlsx", "ids.ods"].map(|name| {
        let rule = Rule::Meeting(Mode::Everyone);
        outcome(&folder().join(name), &Options::default(), &rule)
    });
    assert_snapshot!(xlsx, @r"
    utf-8 `,` header 3 -
    4 <00042>
    5 duplicate-id
    6 <123456789012345>
    7 spreadsheet-id
    8 spreadsheet-id
    9 spreadsheet-id
    10 spreadsheet-id
    11 <F-7>
    12 spreadsheet-id
    13 <M-1>
    14 missing-id
    15 <H-1>
    16 <H-2>
    18 <E-1>
    19 <N-1>
    20 <L-1>
    24 other-table
    note: the list is taken from the sheet `People`; there are also `Notes`: choose with --sheet NAME
    note: 2 rows are hidden in the sheet (by a filter or by hand) and are read, the first is row 15
    note: the header is taken from row 3
    note: no row is left out: if `Status` tells who comes, choose rows with --where 'Status=VALUE,VALUE'
    note: the data ends before line 22: another table begins there; what follows is not read, but line 24 has an id and is rejected (other-table)
    ");
    assert_eq!(ods, xlsx);
    // A formula whose value nobody has worked out yet.
    assert!(openpyxl.contains("\n11 spreadsheet-id+duplicate-id\n"), "{openpyxl}");
    assert!(openpyxl.contains("note: 1 formula has no kept value, the first in row 11"));
}

#[test]
fn a_refused_id_of_a_sheet_is_refused_again_until_it_is_another() {
    let context = Context::offline();
    let sheet = folder().join("ids.xlsx");
    context.run(&format!("check {} --rejects rejects.csv", sheet.display())).expect(3);
    let rejects = context.read("rejects.csv");
    assert!(rejects.starts_with("id,name,Status,_line,_outcome,_code,_reason\n"), "{rejects}");
    let again = context.run("check rejects.csv --json").json();
    assert_eq!(again["valid"], 0, "{again}");
    context.file("rejects.csv", rejects.replace("\n1.5,", "\nA-15,").replace("\n#N/A,", "\nA-16,"));
    let again = context.run("check rejects.csv --json").json();
    assert_eq!(again["valid"], 2, "{again}");
}

#[test]
fn a_sheet_may_be_named() {
    let context = Context::offline();
    let check = |sheet: &str| {
        let path = folder().join("ids.ods");
        context.run(&format!("check {} {sheet}", path.display()))
    };
    assert!(check("--sheet People").stdout.starts_with("Sheet       `People`, A1:C24\n"));
    let ran = check("--sheet Notes").expect(2);
    assert!(ran.stderr.contains("no rows: nothing stands under the header"), "{ran}");
    let ran = check("--sheet Others").expect(2);
    assert!(ran.stderr.contains("no such sheet; there are `Notes`, `People`; name one"), "{ran}");
    context.file("people.csv", "id\n7\n");
    let ran = context.run("check people.csv --sheet People").expect(2);
    assert!(ran.stderr.contains("is a text and has no sheets; leave --sheet out"), "{ran}");
}

/// A workbook with one sheet, of these parts of XML.
fn workbook(sheet: &str, more: &[(&str, &str)]) -> Vec<u8> {
    const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relation = |id: &str, kind: &str, part: &str| {
        format!("<Relationship Id='{id}' Type='{RELATIONS}/{kind}' Target='{part}'/>")
    };
    let all = |inner: &str| format!("<Relationships>{inner}</Relationships>");
    let book =
        "<workbook xmlns:r='r'><sheets><sheet name='S' sheetId='1' r:id='r1'/></sheets></workbook>";
    let sheets = relation("r1", "worksheet", "worksheets/sheet1.xml")
        + &relation("r2", "sharedStrings", "sharedStrings.xml");
    let parts = [
        ("[Content_Types].xml", "<Types/>".to_owned()),
        ("_rels/.rels", all(&relation("r1", "officeDocument", "xl/workbook.xml"))),
        ("xl/workbook.xml", book.to_owned()),
        ("xl/_rels/workbook.xml.rels", all(&sheets)),
        ("xl/worksheets/sheet1.xml", format!("<worksheet>{sheet}</worksheet>")),
    ];
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let own = parts.iter().map(|(name, text)| (*name, text.as_str()));
    let is_replaced = |name: &str| more.iter().any(|(other, _)| *other == name);
    for (name, text) in own.filter(|(name, _)| !is_replaced(name)).chain(more.iter().copied()) {
        archive.start_file(name, SimpleFileOptions::default()).expect("a part");
        archive.write_all(text.as_bytes()).expect("its text");
    }
    archive.finish().expect("an archive").into_inner()
}

const PEOPLE: &str = "<sheetData><row r='1'><c r='A1' t='inlineStr'><is><t>id</t></is></c></row>\
    <row r='2'><c r='A2' t='inlineStr'><is><t>A-1</t></is></c></row></sheetData>";

/// What `check` says of a file, which it must refuse, in less memory than 256 MiB.
fn refused(context: &Context, name: &str, bytes: &[u8]) -> String {
    context.file(name, bytes);
    let ran = context.run(&format!("check {name}")).expect(2);
    ran.stderr.trim_end().replace(&format!("error: {name}: "), "")
}

#[test]
fn hostile_files_are_refused_with_a_sentence() {
    let context = Context::offline();
    context.file("good.xlsx", workbook(PEOPLE, &[]));
    assert!(context.run("check good.xlsx").expect(0).stdout.contains("1 rows read: 1 valid"));
    let refused = |name: &str, bytes: &[u8]| refused(&context, name, bytes);
    let sheet = |sheet: &str| refused("sheet.xlsx", &workbook(sheet, &[]));
    let with = |part: &str, text: &str| refused("part.xlsx", &workbook(PEOPLE, &[(part, text)]));

    let entities = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>";
    let told =
        with("xl/worksheets/sheet1.xml", &format!("{entities}<worksheet>{PEOPLE}</worksheet>"));
    assert!(told.contains("its XML has a document type"), "{told}");
    let told = sheet("<sheetData><row><c t='str'><v>&b;</v></c></row></sheetData>");
    assert!(told.contains("its XML names an entity"), "{told}");

    let empty = "<dimension ref='A1:XFD1048576'/><sheetData/>";
    assert_eq!(sheet(empty), "no sheet holds anything; export the list again");
    let far = "<sheetData><row r='1048577'><c><v>1</v></c></row></sheetData>";
    assert!(sheet(far).contains("its rows are out of order"));
    let back =
        "<sheetData><row r='2'><c r='B2'><v>1</v></c><c r='A2'><v>1</v></c></row></sheetData>";
    assert!(sheet(back).contains("its cells are out of order"));

    let (mut names, mut relations) = (String::new(), String::new());
    for nth in 0..1_000 {
        names += &format!("<sheet name='S{nth}' r:id='r{nth}'/>");
        relations += &format!("<Relationship Id='r{nth}' Type='x/worksheet' Target='e.xml'/>");
    }
    let told = refused(
        "many.xlsx",
        &workbook(
            "",
            &[
                ("xl/workbook.xml", &format!("<workbook><sheets>{names}</sheets></workbook>")),
                (
                    "xl/_rels/workbook.xml.rels",
                    &format!("<Relationships>{relations}</Relationships>"),
                ),
                ("xl/e.xml", "<worksheet><sheetData/></worksheet>"),
            ],
        ),
    );
    assert_eq!(told, "no sheet holds anything; export the list again");

    assert!(with("xl/vbaProject.bin", "").contains("an Excel workbook with macros"));
    assert!(with("xl/workbook.bin", "").contains("a binary Excel workbook (.xlsb)"));
    let compound = [b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".as_slice(), &[0; 600]].concat();
    let old = refused("old.xls", &compound);
    assert!(old.contains("an old Excel workbook (.xls), or a new one with a password"), "{old}");
    let manifest =
        "<manifest><file-entry full-path='content.xml'><encryption-data/></file-entry></manifest>";
    let locked = [("META-INF/manifest.xml", manifest), ("content.xml", "x")];
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in &locked {
        archive.start_file(*name, SimpleFileOptions::default()).expect("a part");
        archive.write_all(text.as_bytes()).expect("its text");
    }
    let locked = archive.finish().expect("an archive").into_inner();
    let told = refused("locked.ods", &locked);
    assert_eq!(told, "the spreadsheet is encrypted; save it without a password");
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("list.csv", SimpleFileOptions::default()).expect("a part");
    let other = archive.finish().expect("an archive").into_inner();
    assert_eq!(
        refused("list.zip", &other),
        "this is a zip archive and no spreadsheet; unpack it first"
    );
}

#[test]
fn a_sheet_that_is_cut_anywhere_is_refused() {
    let folder = folder();
    for name in ["ids.xlsx", "ids.ods"] {
        let whole = fs::read(folder.join(name)).expect("the sheet");
        for end in (0..whole.len()).step_by(1_000) {
            let file = tempfile::NamedTempFile::new().expect("a file");
            fs::write(file.path(), &whole[..end]).expect("writes");
            let told = outcome(file.path(), &Options::default(), &Rule::Meeting(Mode::Everyone));
            assert!(told.starts_with("error: "), "{name} cut at {end}: {told}");
        }
        // A byte that is another: an error, or the rows as they are.
        let mut damaged = whole.clone();
        for at in (0..whole.len()).step_by(131) {
            damaged[at] ^= 0x55;
            let file = tempfile::NamedTempFile::new().expect("a file");
            fs::write(file.path(), &damaged).expect("writes");
            outcome(file.path(), &Options::default(), &Rule::Meeting(Mode::Everyone));
            damaged[at] ^= 0x55;
        }
    }
}
