//! Answers to a form's questions: from a cell to a value of the type that the question wants.
//!
//! Nothing is guessed: a cell that is not clearly one of the choices, or clearly yes or no, is a
//! fault of its row, and says which choices there are.

use super::{AnswerInput, Fault, FaultCode, Form, Question};

/// One answer, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question, as it was mapped.
    pub question: String,
    /// Graph's id of it; `None` where the form is not known.
    pub question_id: Option<String>,
    /// What was answered.
    pub value: AnswerValue,
}

/// What was answered.
#[derive(Clone, PartialEq, Eq)]
pub enum AnswerValue {
    /// A text, or the one choice as the form spells it.
    Text(String),
    /// Choices as the form spells them, in the form's order, each once.
    Choices(Vec<String>),
    /// Yes or no.
    Flag(bool),
}

impl AnswerValue {
    /// The value as one text: equal texts are equal answers.
    pub fn canonical(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Choices(choices) => choices.join("\n"),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// Words for yes and for no: what people and spreadsheets write, and the same in other languages
/// where the word means one of the two in all of them.
const YES: &str =
    "true yes y 1 on x ✓ ✔ ☑ wahr ja j vrai oui verdadero sí si vero sì verdadeiro sim waar";
const NO: &str = "false no n 0 off falsch nein faux non falso não nao onwaar nee nej nei";

/// What stands between the choices of one cell, in the order in which they are tried.
const BETWEEN: [char; 4] = [';', '\n', '|', ','];

/// More choices than these are not listed in a sentence.
const LISTED: usize = 20;

/// All answers of a row that has one, in the order of the mapping.
pub(super) fn answers(form: &Form, cells: &[(&str, &str)], faults: &mut Vec<Fault>) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(cells.len());
    let mut mapped = Vec::new();
    for &(name, cell) in cells {
        let cell = cell.trim();
        let meant = form.meant(name);
        let question = meant.first().map(|&at| &form.questions[at]);
        mapped.extend(meant.first());
        if cell.is_empty() {
            if let Some(question) = question.filter(|question| question.required) {
                faults.push(Fault::new(
                    FaultCode::MissingAnswer,
                    format!("the answer to “{}” is empty, and required", question.display_name),
                ));
            }
            continue;
        }
        let value = match question {
            Some(question) => value(question, cell),
            None if form.questions.is_empty() => Ok(AnswerValue::Text(cell.to_owned())),
            None => Err(format!("the event asks no question “{name}”")),
        };
        match value {
            Ok(value) => answers.push(Answer {
                question: name.to_owned(),
                question_id: question.map(|question| question.id.clone()),
                value,
            }),
            Err(sentence) => faults.push(Fault::new(FaultCode::BadAnswer, sentence)),
        }
    }
    let required = form.questions.iter().enumerate().filter(|(_, question)| question.required);
    for (_, question) in required.filter(|(at, _)| !mapped.contains(at)) {
        faults.push(Fault::new(
            FaultCode::MissingAnswer,
            format!("no column answers “{}”, which is required", question.display_name),
        ));
    }
    answers
}

/// Reads a cell that is not empty.
fn value(question: &Question, cell: &str) -> Result<AnswerValue, String> {
    let asked = &question.display_name;
    match &question.input {
        AnswerInput::Text => Ok(AnswerValue::Text(cell.to_owned())),
        AnswerInput::SingleChoice(choices) => match choice(choices, cell) {
            Some(at) => Ok(AnswerValue::Text(choices[at].clone())),
            None => Err(format!(
                "the answer to “{asked}” must be one of {} and is `{cell}`",
                listed(choices)
            )),
        },
        // Without choices that can be read Graph judges the parts; a comma may belong to one.
        AnswerInput::MultiChoice(choices) if choices.is_empty() => {
            let parts = cell.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty());
            let parts: Vec<String> = parts.map(str::to_owned).collect();
            if parts.is_empty() {
                return Err(format!("the answer to “{asked}” names nothing and is `{cell}`"));
            }
            Ok(AnswerValue::Choices(parts))
        }
        AnswerInput::MultiChoice(choices) => match several(choices, cell) {
            Some(places) => {
                Ok(AnswerValue::Choices(places.into_iter().map(|at| choices[at].clone()).collect()))
            }
            None => Err(format!(
                "the answer to “{asked}” must be any of {}, with “;” between several, and is `{cell}`",
                listed(choices)
            )),
        },
        AnswerInput::Boolean => match flag(cell) {
            Some(flag) => Ok(AnswerValue::Flag(flag)),
            None => Err(format!(
                "the answer to “{asked}” must be yes or no (true or false, 1 or 0) and is `{cell}`"
            )),
        },
    }
}

/// The one choice that a text is: to the letter, else without regard to case.
fn choice(choices: &[String], text: &str) -> Option<usize> {
    if let Some(at) = choices.iter().position(|choice| choice.trim() == text) {
        return Some(at);
    }
    let folded = text.to_lowercase();
    let mut alike = (0..choices.len()).filter(|&at| choices[at].trim().to_lowercase() == folded);
    // Two choices that differ in case alone: which one is meant cannot be told.
    alike.next().filter(|_| alike.next().is_none())
}

/// The choices of a cell, in the form's order.
fn several(choices: &[String], cell: &str) -> Option<Vec<usize>> {
    if let Some(at) = choice(choices, cell) {
        return Some(vec![at]);
    }
    BETWEEN.into_iter().find_map(|between| {
        let parts = cell.split(between).map(str::trim).filter(|part| !part.is_empty());
        let mut places: Vec<usize> =
            parts.map(|part| choice(choices, part)).collect::<Option<_>>()?;
        places.sort_unstable();
        places.dedup();
        (!places.is_empty()).then_some(places)
    })
}

fn flag(cell: &str) -> Option<bool> {
    let word = cell.to_lowercase();
    let is_one = |words: &str| words.split(' ').any(|one| one == word);
    if is_one(YES) { Some(true) } else { is_one(NO).then_some(false) }
}

fn listed(choices: &[String]) -> String {
    let mut listed: Vec<String> =
        choices.iter().take(LISTED).map(|choice| format!("“{choice}”")).collect();
    if choices.len() > LISTED {
        listed.push(format!("{} more", choices.len() - LISTED));
    }
    listed.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question(input: AnswerInput, required: bool) -> Question {
        Question { id: "q".into(), display_name: "City".into(), required, input }
    }

    fn form(input: AnswerInput, required: bool) -> Form {
        Form { questions: vec![question(input, required)] }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn read(input: &AnswerInput, cell: &str) -> Option<AnswerValue> {
        value(&question(input.clone(), false), cell).ok()
    }

    #[test]
    fn one_choice_is_sent_as_the_form_spells_it() {
        let input = AnswerInput::SingleChoice(owned(&["Seattle", "New York, NY", "ok", "OK"]));
        for (cell, sent) in [
            ("Seattle", Some("Seattle")),
            ("sEATTLE", Some("Seattle")),
            ("new york, ny", Some("New York, NY")),
            ("OK", Some("OK")),
            ("Ok", None),
            ("Seattle; ok", None),
            ("Seattl", None),
        ] {
            let sent = sent.map(|sent| AnswerValue::Text(sent.to_owned()));
            assert!(read(&input, cell) == sent, "{cell}");
        }
    }

    #[test]
    fn where_the_form_does_not_tell_its_choices_graph_judges_them() {
        let input = AnswerInput::MultiChoice(Vec::new());
        let sent = |texts| Some(AnswerValue::Choices(owned(texts)));
        assert!(read(&input, "Paris, France; London ;") == sent(&["Paris, France", "London"]));
        assert!(read(&input, "Ghent") == sent(&["Ghent"]));
        assert!(read(&input, ";").is_none());
    }

    #[test]
    fn several_choices_are_parted_where_every_part_is_one() {
        let input = AnswerInput::MultiChoice(owned(&["London", "Paris, France", "A|B", "A", "B"]));
        for (cell, sent) in [
            ("london", Some(&["London"][..])),
            ("Paris, France", Some(&["Paris, France"])),
            ("B; paris, france ;london;", Some(&["London", "Paris, France", "B"])),
            ("B,A,B", Some(&["A", "B"])),
            ("A\r\nB", Some(&["A", "B"])),
            ("A|B", Some(&["A|B"])),
            ("A|London", Some(&["London", "A"])),
            ("A; London, B", None),
            ("A; Rome", None),
            (";", None),
        ] {
            let sent = sent.map(|sent| AnswerValue::Choices(owned(sent)));
            assert!(read(&input, cell) == sent, "{cell}");
        }
    }

    #[test]
    fn yes_and_no_have_many_words_and_none_is_both() {
        for (cell, flag) in [
            ("TRUE", Some(true)),
            ("Y", Some(true)),
            ("x", Some(true)),
            ("WAHR", Some(true)),
            ("SÍ", Some(true)),
            ("off", Some(false)),
            ("0", Some(false)),
            ("Nein", Some(false)),
            ("perhaps", None),
            ("2", None),
            ("-", None),
        ] {
            assert!(read(&AnswerInput::Boolean, cell) == flag.map(AnswerValue::Flag), "{cell}");
        }
        assert!(NO.split(' ').all(|word| flag(word) == Some(false)));
        assert!([YES, NO].iter().all(|words| **words == words.to_lowercase()));
    }

    fn told(form: &Form, cells: &[(&str, &str)]) -> Vec<String> {
        let mut faults = Vec::new();
        let answers = answers(form, cells, &mut faults);
        let told = |fault: &Fault| format!("{}: {}", fault.code, fault.told());
        let given = answers.iter().map(|answer| {
            let id = answer.question_id.as_deref().unwrap_or("-");
            format!("{} {id} {}", answer.question, answer.value.canonical())
        });
        given.chain(faults.iter().map(told)).collect()
    }

    #[test]
    fn an_empty_cell_is_no_answer_and_a_fault_where_one_is_required() {
        let (free, must) = (form(AnswerInput::Text, false), form(AnswerInput::Boolean, true));
        assert_eq!(told(&free, &[("City", " ")]), [""; 0]);
        assert_eq!(told(&free, &[("city", " a b ")]), ["city q a b"]);
        assert_eq!(
            told(&must, &[("City", " ")]),
            ["missing-answer: the answer to “City” is empty, and required"]
        );
        assert_eq!(
            told(&must, &[]),
            ["missing-answer: no column answers “City”, which is required"]
        );
        assert_eq!(told(&must, &[("q", "no")]), ["q q false"]);
        assert_eq!(
            told(&must, &[("q", "no"), ("Town", "a")]),
            ["q q false", "bad-answer: the event asks no question “Town”"]
        );
        assert_eq!(told(&Form::default(), &[("Town", "a"), ("b", "")]), ["Town - a"]);
    }

    #[test]
    fn a_bad_answer_says_which_choices_there_are_and_shows_the_cell_in_the_file_alone() {
        let many = (0..25).map(|n| n.to_string()).collect();
        for (input, cell, sentence) in [
            (
                AnswerInput::SingleChoice(owned(&["A", "B"])),
                "C`D",
                "the answer to “City” must be one of “A”, “B” and is `…`",
            ),
            (
                AnswerInput::MultiChoice(owned(&["A", "B"])),
                "C",
                "the answer to “City” must be any of “A”, “B”, with “;” between several, and is `…`",
            ),
            (
                AnswerInput::Boolean,
                "C",
                "the answer to “City” must be yes or no (true or false, 1 or 0) and is `…`",
            ),
        ] {
            let form = form(input, true);
            assert_eq!(told(&form, &[("City", cell)]), [format!("bad-answer: {sentence}")]);
            let mut faults = Vec::new();
            answers(&form, &[("City", cell)], &mut faults);
            assert!(faults[0].sentence.contains(cell));
        }
        let [told] = &told(&form(AnswerInput::SingleChoice(many), true), &[("q", "x")])[..] else {
            panic!("one fault")
        };
        assert!(told.contains("“19”, 5 more and"), "{told}");
    }

    proptest! {
        /// Whatever is chosen comes back, in the form's order, however the cell parts and spells it.
        #[test]
        fn what_was_chosen_is_read_back(
            choices in proptest::collection::btree_set("[a-zà-ý]{1,3}( [a-z]{1,3})?", 1..8),
            picked in proptest::collection::vec(any::<prop::sample::Index>(), 1..8),
            between in prop::sample::select(vec!["; ", ";", "\n", "\r\n", "|", " | ", ",", ", "]),
            loud in any::<bool>(),
        ) {
            let choices: Vec<String> = choices.into_iter().collect();
            let picked: Vec<&String> = picked.iter().map(|at| at.get(&choices)).collect();
            let cell = picked.iter().map(|text| text.as_str()).collect::<Vec<_>>().join(between);
            let cell = if loud { cell.to_uppercase() } else { cell };
            let wanted: Vec<String> =
                choices.iter().filter(|choice| picked.contains(choice)).cloned().collect();
            let read = read(&AnswerInput::MultiChoice(choices), &cell);
            prop_assert!(read == Some(AnswerValue::Choices(wanted)));
        }

        /// No cell makes a value that the form does not know, and none makes the reader panic.
        #[test]
        fn nothing_but_a_choice_is_sent(
            choices in proptest::collection::vec("[aAbB;,| ]{0,4}", 1..5),
            cell in "[aAbB;,|\n ]{1,8}",
        ) {
            let cell = cell.trim();
            prop_assume!(!cell.is_empty());
            match read(&AnswerInput::MultiChoice(choices.clone()), cell) {
                Some(AnswerValue::Choices(read)) => {
                    prop_assert!(!read.is_empty());
                    prop_assert!(read.iter().all(|choice| choices.contains(choice)));
                }
                Some(_) => prop_assert!(false, "not choices"),
                None => {}
            }
            if let Some(AnswerValue::Text(read)) = read(&AnswerInput::SingleChoice(choices.clone()), cell) {
                prop_assert!(choices.contains(&read));
            }
        }
    }
}
