//! A workbook: which of its sheets holds the list, and the reader that its format takes.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
};

use zip::ZipArchive;

use super::{
    ods::Ods,
    sheet::{Archive, Book, Meter, SheetFault, SheetInfo, Sink, no_spreadsheet, temporary},
    xlsx::Xlsx,
};

/// A spreadsheet is not larger than this, packed; 100,000 people with twenty columns take 10 MB.
const MAX_PACKED: u64 = 256 << 20;

/// Whether a file that begins so is a zip archive (PKWARE, APPNOTE.TXT, 4.3.7).
pub(super) fn is_archive(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// The text of the sheet that holds the list: the one that is named, else the first for which
/// `holds_list` says so, else the first that is not empty. Of the parts `most` bytes are unpacked, and as
/// many make the text.
pub(super) fn read(
    from: &mut dyn Read,
    wanted: Option<&str>,
    most: u64,
    holds_list: &mut dyn FnMut(&File) -> bool,
) -> Result<(File, SheetInfo), SheetFault> {
    let mut packed = tempfile::tempfile().map_err(|error| temporary(&error))?;
    let copied = io::copy(&mut from.take(MAX_PACKED + 1), &mut packed);
    if copied.map_err(|error| temporary(&error))? > MAX_PACKED {
        let what = format!("the spreadsheet is larger than {} MiB", MAX_PACKED >> 20);
        return Err(SheetFault::too_large(what));
    }
    packed.rewind()?;
    let mut archive = ZipArchive::new(packed)?;
    let meter = Meter::new(most);
    let has = |archive: &Archive, part: &str| archive.index_for_name(part).is_some();
    if has(&archive, "xl/vbaProject.bin") {
        let what = "this is an Excel workbook with macros, which are not looked into";
        return Err(SheetFault::new(what, "save it as `.xlsx`, which has none"));
    }
    if has(&archive, "xl/workbook.bin") {
        let what = "this is a binary Excel workbook (.xlsb)";
        return Err(SheetFault::new(what, "save it as `.xlsx`"));
    }
    if has(&archive, "[Content_Types].xml") {
        let mut book = Xlsx::open(&mut archive, &meter)?;
        return choose(&mut book, most, wanted, holds_list);
    }
    if has(&archive, "content.xml") {
        Ods::check(&mut archive, &meter)?;
        let mut book = Ods::open(&mut archive, &meter)?;
        return choose(&mut book, most, wanted, holds_list);
    }
    Err(no_spreadsheet())
}

fn choose(
    book: &mut dyn Book,
    most: u64,
    wanted: Option<&str>,
    holds_list: &mut dyn FnMut(&File) -> bool,
) -> Result<(File, SheetInfo), SheetFault> {
    let (mut names, mut first, mut chosen) = (Vec::new(), None, None);
    while let Some(name) = book.next_sheet()? {
        names.push(name.clone());
        if chosen.is_some() || wanted.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let mut sink = Sink::new(&name, most)?;
        book.read_rows(&mut sink)?;
        let (file, info) = sink.finish()?;
        if wanted.is_some() || info.rows.is_some() && holds_list(&file) {
            chosen = Some((file, info));
        } else if first.is_none() && info.rows.is_some() {
            first = Some((file, info));
        }
    }
    let Some((file, mut info)) = chosen.or(first) else {
        let names: Vec<String> = names.iter().take(40).map(|name| format!("`{name}`")).collect();
        return Err(match wanted {
            Some(wanted) => SheetFault::new(
                format!("--sheet {wanted}: there is no such sheet; there are {}", names.join(", ")),
                "name one of them",
            ),
            None => SheetFault::new("no sheet holds anything", "export the list again"),
        });
    };
    names.retain(|name| *name != info.name);
    info.others = names;
    Ok((file, info))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// What comes of an `.ods` with this content, of which a megabyte may be unpacked.
    fn read_ods(content: &str) -> Result<u64, String> {
        let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file("content.xml", options).expect("a part");
        archive.write_all(content.as_bytes()).expect("its text");
        let mut bytes = archive.finish().expect("an archive");
        bytes.rewind().expect("its start");
        let read = read(&mut bytes, None, 1 << 20, &mut |_| true);
        let (file, _) = read.map_err(|fault| fault.what)?;
        Ok(file.metadata().expect("its size").len())
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let sheet = |rows: &str| format!("<x><table:table table:name='S'>{rows}</table:table></x>");
        let cell =
            |text: &str| format!("<table:table-cell><text:p>{text}</text:p></table:table-cell>");
        let row = |cells: &str| format!("<table:table-row>{cells}</table:table-row>");
        assert_eq!(read_ods(&sheet(&row(&cell("id")))), Ok(3));
        let large = Err("the spreadsheet unpacks to more than 1024 MiB".to_owned());
        // Many cells; one long text; little that is repeated often.
        assert_eq!(read_ods(&sheet(&row(&cell("7")).repeat(20_000))), large);
        assert_eq!(read_ods(&sheet(&row(&cell(&"x".repeat(1 << 20))))), large);
        let often = "<table:table-row table:number-rows-repeated='1000000'>";
        assert_eq!(read_ods(&sheet(&row(&cell("7")).replace("<table:table-row>", often))), large);
        // What is empty is none: a sheet that claims to be as large as a sheet can be.
        let empty = "<table:table-cell table:number-columns-repeated='16383'/>";
        let empty = row(empty).replace("<table:table-row>", often);
        assert_eq!(read_ods(&sheet(&(empty + &row(&cell("7"))))), Ok(1_000_002));
        let blanks = "<text:s text:c='65536'/>".repeat(1_000);
        assert!(
            read_ods(&sheet(&row(&cell(&blanks)))).is_err_and(|told| told.contains("too long"))
        );
    }
}
