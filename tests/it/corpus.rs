//! Hard files and what must come of each: the corpus in `tests/corpus` and its `table.txt`.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use registrant_import::{
    input::{Input, InputError, Keep, Options, Row, RowCheck, Source, Validator, open},
    registrant::{Mode, Rule},
};

/// One entry of the table.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) options: Vec<String>,
    expected: String,
}

/// The table: `== FILE [OPTION…]`, then what must come of it, up to the next `==`.
pub(crate) fn cases(table: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with("// ")) {
        if let Some(head) = line.strip_prefix("== ") {
            let mut words = head.split(" --");
            let name = words.next().unwrap_or_default().trim().to_owned();
            let options = words.map(|option| option.trim().to_owned()).collect();
            cases.push(Case { name, options, expected: String::new() });
        } else if let Some(case) = cases.last_mut()
            && !line.trim().is_empty()
        {
            case.expected.push_str(line.trim_end());
            case.expected.push('\n');
        }
    }
    cases
}

pub(crate) fn parse_options(words: &[String]) -> (Options, Rule) {
    let mut options = Options::default();
    let mut rule = Rule::Meeting(Mode::Everyone);
    for word in words {
        let (name, value) = word.split_once(' ').unwrap_or((word, ""));
        match name {
            "map" => options.map.push(value.parse().expect("a mapping")),
            "set" => options.set.push(value.parse().expect("a value")),
            "where" => options.filters.push(value.parse().expect("a filter")),
            "preset" => options.preset = Some(value.parse().expect("a preset")),
            "delimiter" => options.delimiter = Some(value.parse().expect("a delimiter")),
            "encoding" => options.encoding = Some(value.parse().expect("an encoding")),
            "skip-lines" => options.skip_lines = Some(value.parse().expect("a number")),
            "id-prefix" => options.id_prefix = Some(value.to_owned()),
            "keep-all" => options.keep = Keep::All,
            "organization" => rule = Rule::Meeting(Mode::Organization),
            "webinar" => rule = Rule::event(),
            other => panic!("the table has an option --{other}"),
        }
    }
    (options, rule)
}

/// What came of a file, in the table's words: what was detected, each row as `LINE OUTCOME`, what
/// was said aloud, the trap; or the error.
pub(crate) fn outcome(path: &Path, options: &Options, rule: &Rule) -> String {
    let read = || -> Result<String, InputError> {
        let input = open(&Source::File(path.to_owned()), options)?;
        input.require(rule)?;
        let mut told = detected(&input);
        let snapshot = input.snapshot(&std::env::temp_dir())?;
        let mut rows = snapshot.rows()?;
        let mut validator = Validator::new(rule.clone());
        let mut row = Row::new();
        while rows.read(&mut row)? {
            let check = validator.check(&row);
            let faults = check.as_ref().map(|check| check.faults(&row)).unwrap_or_default();
            let outcome = match check {
                None => "excluded".to_owned(),
                Some(RowCheck { registrant: Ok(registrant), repeats, .. }) if faults.is_empty() => {
                    let again = repeats.map_or_else(String::new, |line| format!(" repeats {line}"));
                    format!("<{}>{again}", registrant.id.as_str())
                }
                Some(_) => {
                    faults.iter().map(|fault| fault.code.as_str()).collect::<Vec<_>>().join("+")
                }
            };
            let _ = writeln!(told, "{} {outcome}", row.line());
        }
        for note in snapshot.notes() {
            let _ = writeln!(told, "note: {note}");
        }
        if let Some(trap) = validator.id_trap() {
            let _ = writeln!(told, "trap: {trap}");
        }
        Ok(told)
    };
    let told = read().unwrap_or_else(|error| format!("error: {error}\n"));
    told.replace(&format!("{}/", path.parent().unwrap_or(path).display()), "")
}

fn detected(input: &Input) -> String {
    let detected = input.detected();
    format!(
        "{}{} {} header {} {}\n",
        detected.encoding,
        if detected.gzip { " gzip" } else { "" },
        detected.delimiter,
        detected.header_line,
        detected.preset.unwrap_or("-"),
    )
}

/// `REGISTRANT_IMPORT_BLESS=1` writes what comes of the files now; read the difference before it is
/// committed.
fn check_table(folder: &Path, table: &Path) {
    let text = fs::read_to_string(table).expect("the table");
    let mut blessed = String::new();
    let mut wrong = String::new();
    for line in text.lines().take_while(|line| line.starts_with("// ")) {
        let _ = writeln!(blessed, "{line}");
    }
    for case in cases(&text) {
        let (options, rule) = parse_options(&case.options);
        let found = outcome(&folder.join(&case.name), &options, &rule);
        let words: String = case.options.iter().fold(String::new(), |mut words, word| {
            let _ = write!(words, " --{word}");
            words
        });
        let _ = write!(blessed, "\n== {}{words}\n{found}", case.name);
        if found != case.expected {
            let _ = writeln!(
                wrong,
                "== {}{words}\nexpected:\n{}found:\n{found}",
                case.name, case.expected
            );
        }
    }
    if std::env::var_os("REGISTRANT_IMPORT_BLESS").is_some() {
        fs::write(table, blessed).expect("the table is written");
    } else {
        assert!(wrong.is_empty(), "{wrong}");
    }
}

pub(crate) fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

#[test]
fn every_hard_file_comes_out_as_its_table_says() {
    check_table(&corpus(), &corpus().join("table.txt"));
}

#[test]
fn every_file_of_the_corpus_stands_in_the_table() {
    let table = fs::read_to_string(corpus().join("table.txt")).expect("the table");
    let cases = cases(&table);
    let mut files = 0;
    for entry in fs::read_dir(corpus()).expect("the corpus") {
        let name = entry.expect("a file").file_name().to_string_lossy().into_owned();
        if name != "table.txt" && name != "README.md" {
            files += 1;
            assert!(cases.iter().any(|case| case.name == name), "{name} is in no table");
        }
    }
    assert!(files >= 40, "{files} files");
}
