//! A webinar's registration form: its questions, and which of them a mapped `answer:QUESTION` means.

use std::fmt;

use super::field::normal;

/// A question of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Graph's id of it: the answer's `questionId`.
    pub id: String,
    /// What people read on the form.
    pub display_name: String,
    /// Whether everybody must answer it.
    pub required: bool,
    /// What an answer to it is.
    pub input: AnswerInput,
}

/// What an answer is. Texts of several lines and Teams' predefined questions (job title, city and
/// the like) are [`AnswerInput::Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerInput {
    /// Any text.
    Text,
    /// One of these.
    SingleChoice(Vec<String>),
    /// Any of these.
    MultiChoice(Vec<String>),
    /// Yes or no.
    Boolean,
}

/// The form. Its default has no questions, and stands for one that nobody has read yet: then
/// answers stay texts, whatever the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// In the form's order.
    pub questions: Vec<Question>,
}

/// Why the mapped answers do not fit the form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// Answers to what is not asked.
    #[error("the event asks no question {}; {asked}", in_quotes(mapped))]
    NotAsked {
        /// The questions as mapped.
        mapped: Vec<String>,
        /// What it asks, as a clause.
        asked: String,
    },
    /// A name that several questions have.
    #[error(
        "the event asks several questions called {}; name the one that is meant by its id: {}",
        in_quotes(std::slice::from_ref(mapped)),
        ids.iter().map(|id| map_option(id)).collect::<Vec<_>>().join(" or ")
    )]
    Ambiguous {
        /// The question as mapped.
        mapped: String,
        /// Those that it may mean.
        ids: Vec<String>,
    },
    /// Two columns for one question.
    #[error("{} are one question of the event; give it one column", in_quotes(mapped))]
    Twice {
        /// Both spellings.
        mapped: Vec<String>,
    },
    /// Required questions without a column.
    #[error(
        "the event requires an answer to {}; give each a column: {}",
        in_quotes(questions),
        options.join(" ")
    )]
    Unanswered {
        /// The questions, by their display names.
        questions: Vec<String>,
        /// The options that would answer them, ready to be typed but for the column.
        options: Vec<String>,
    },
}

impl Form {
    /// The question that is meant: by its id, else by its display name to the letter, else by its
    /// name without regard to case, blanks, `_` and `-`. Of several with one name the first.
    pub fn find(&self, mapped: &str) -> Option<&Question> {
        self.meant(mapped).first().map(|&at| &self.questions[at])
    }

    /// The places of all questions that may be meant.
    pub(super) fn meant(&self, mapped: &str) -> Vec<usize> {
        let places = |means: &dyn Fn(&Question) -> bool| -> Vec<usize> {
            let all = self.questions.iter().enumerate();
            all.filter(|(_, question)| means(question)).map(|(at, _)| at).collect()
        };
        let key = normal(mapped);
        let by_id = places(&|question| question.id.eq_ignore_ascii_case(mapped.trim()));
        [by_id, places(&|question| question.display_name == mapped)]
            .into_iter()
            .find(|found| !found.is_empty())
            .unwrap_or_else(|| {
                places(&|question| !key.is_empty() && normal(&question.display_name) == key)
            })
    }

    /// Compares the questions of the mapped `answer:` columns with a form that was read.
    ///
    /// # Errors
    /// [`FormFault`]: a question that is not asked, is not told apart from another, is mapped
    /// twice, or is required and not mapped.
    pub fn hold(&self, mapped: &[&str]) -> Result<(), FormFault> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let not_asked: Vec<&str> =
            mapped.iter().copied().filter(|name| self.find(name).is_none()).collect();
        if !not_asked.is_empty() {
            return Err(FormFault::NotAsked { mapped: owned(&not_asked), asked: self.asked() });
        }
        let mut answered: Vec<(usize, &str)> = Vec::new();
        for &name in mapped {
            let meant = self.meant(name);
            let [at] = meant.as_slice() else {
                let ids = meant.iter().map(|&at| self.questions[at].id.clone()).collect();
                return Err(FormFault::Ambiguous { mapped: name.to_owned(), ids });
            };
            if let Some((_, other)) = answered.iter().find(|(other, _)| other == at) {
                return Err(FormFault::Twice { mapped: owned(&[*other, name]) });
            }
            answered.push((*at, name));
        }
        let open: Vec<&Question> = (0..self.questions.len())
            .filter(|at| answered.iter().all(|(other, _)| other != at))
            .map(|at| &self.questions[at])
            .filter(|question| question.required)
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        Err(FormFault::Unanswered {
            questions: open.iter().map(|question| question.display_name.clone()).collect(),
            options: open.iter().map(|question| map_option(self.name(question))).collect(),
        })
    }

    /// What is asked, as a clause.
    fn asked(&self) -> String {
        if self.questions.is_empty() {
            return "it asks none".to_owned();
        }
        let asked = self.questions.iter().map(|question| {
            let required = if question.required { " (required)" } else { "" };
            format!("`{}`{required}", one_line(self.name(question)))
        });
        format!("it asks {}", asked.collect::<Vec<_>>().join(", "))
    }

    /// How `--map` names a question: as people read it where that leads back to it, else by its id.
    fn name<'a>(&self, question: &'a Question) -> &'a str {
        let name = question.display_name.trim();
        let meant = self.meant(name);
        let leads_back = meant.as_slice().first().is_some_and(|&at| {
            meant.len() == 1 && std::ptr::eq(&raw const self.questions[at], question)
        });
        if leads_back && !name.contains(['=', '\n', '\r']) { name } else { &question.id }
    }
}

/// `--map 'answer:City=COLUMN'`, as a POSIX shell takes it.
fn map_option(question: &str) -> String {
    format!("--map 'answer:{}=COLUMN'", question.replace('\'', "'\\''"))
}

fn in_quotes(names: &[String]) -> impl fmt::Display {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", one_line(name))).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

fn one_line(name: &str) -> String {
    name.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registrant::{FaultCode, Fields, Registrant, Rule};

    const CITY: &str = "95320781-96b3-4b8f-8cf8-e6561d23447a";

    fn question(id: &str, display_name: &str, required: bool) -> Question {
        let (id, display_name) = (id.to_owned(), display_name.to_owned());
        Question { id, display_name, required, input: AnswerInput::Text }
    }

    fn form() -> Form {
        let questions = vec![
            question(CITY, "Which city?", true),
            question("q2", "Job title", false),
            question("q3", "job-title", false),
            question("q4", "Is 1+1=2?", true),
            question("q5", "What's new", true),
            question("q6", "Twin", false),
            question("q7", "Twin", false),
        ];
        Form { questions }
    }

    #[test]
    fn a_question_is_found_by_id_then_by_name_then_by_its_letters() {
        for (mapped, id) in [
            (CITY, CITY),
            (&CITY.to_uppercase(), CITY),
            ("Which city?", CITY),
            ("WHICH_CITY?", CITY),
            ("Job title", "q2"),
            ("job-title", "q3"),
            ("q4", "q4"),
        ] {
            assert_eq!(form().find(mapped).map(|q| q.id.as_str()), Some(id), "{mapped}");
        }
        for mapped in ["Which city", "", " ", "q"] {
            assert_eq!(form().find(mapped), None, "{mapped}");
        }
    }

    fn told(mapped: &[&str]) -> String {
        form().hold(mapped).map_or_else(|fault| fault.to_string(), |()| "fits".to_owned())
    }

    #[test]
    fn each_fault_of_a_mapping_is_one_sentence_with_what_to_type() {
        assert_eq!(told(&["which city?", "q4", "What's new", "Job title", "q7"]), "fits");
        assert_eq!(
            told(&["Job title"]),
            r"the event requires an answer to `Which city?`, `Is 1+1=2?` and `What's new`; give each a column: --map 'answer:Which city?=COLUMN' --map 'answer:q4=COLUMN' --map 'answer:What'\''s new=COLUMN'"
        );
        assert_eq!(
            told(&["Twin"]),
            "the event asks several questions called `Twin`; name the one that is meant by its id: --map 'answer:q6=COLUMN' or --map 'answer:q7=COLUMN'"
        );
        assert_eq!(
            told(&["q4", "Is 1+1=2?"]),
            "`q4` and `Is 1+1=2?` are one question of the event; give it one column"
        );
        assert_eq!(
            told(&["Town", "which city?"]),
            "the event asks no question `Town`; it asks `Which city?` (required), `Job title`, `job-title`, `q4` (required), `What's new` (required), `q6`, `q7`"
        );
        assert_eq!(
            Form::default().hold(&["Town", "Size"]).expect_err("none is asked").to_string(),
            "the event asks no question `Town` and `Size`; it asks none"
        );
        assert_eq!(Form::default().hold(&[]), Ok(()));
    }

    #[test]
    fn a_webinar_is_told_what_was_given_and_its_answers_as_the_form_has_them() {
        let question = |id: &str, required, input| Question {
            input,
            ..question(id, &id.to_uppercase(), required)
        };
        let choices = || vec!["Seattle".to_owned(), "London".to_owned()];
        let form = Form {
            questions: vec![
                question("city", true, AnswerInput::SingleChoice(choices())),
                question("cities", false, AnswerInput::MultiChoice(choices())),
                question("local", false, AnswerInput::Boolean),
                question("why", false, AnswerInput::Text),
            ],
        };
        let rule = Rule::Event(Arc::new(form));
        let with = |answers: [&'static str; 4]| Fields {
            id: Some("1"),
            first_name: Some("Ada"),
            last_name: Some("Byron"),
            email: Some("ada@b.org"),
            referrer: Some(" Fabrikam "),
            preferred_timezone: Some(" "),
            answers: ["CITY", "cities", "Local", "why"].into_iter().zip(answers).collect(),
            ..Fields::default()
        };
        let registrant =
            Registrant::parse(&with(["LONDON", "london,seattle", "x", " "]), &rule).expect("valid");
        let sent: Vec<String> = registrant
            .sent_fields()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            sent,
            [
                "firstName=Ada",
                "lastName=Byron",
                "email=ada@b.org",
                "preferredLanguage=en-us",
                "preferredTimezone=UTC",
                "referrer=Fabrikam",
                "answer:CITY=London",
                "answer:cities=Seattle\nLondon",
                "answer:Local=true",
            ]
        );
        let spelt_otherwise = with(["london", "Seattle; London", "YES", ""]);
        let again = Registrant::parse(&spelt_otherwise, &rule).expect("valid");
        assert_eq!(again.sent_fields(), registrant.sent_fields());
        let codes = |fields: &Fields<'_>, rule: &Rule| -> Vec<FaultCode> {
            let faults = Registrant::parse(fields, rule).expect_err("invalid");
            faults.into_iter().map(|fault| fault.code).collect()
        };
        assert_eq!(
            codes(&with(["", "Rome", "maybe", "a"]), &rule),
            [FaultCode::MissingAnswer, FaultCode::BadAnswer, FaultCode::BadAnswer]
        );
        assert_eq!(
            codes(&Fields { email: None, ..with(["Rome", "", "", ""]) }, &rule),
            [FaultCode::MissingEmail, FaultCode::BadAnswer]
        );
    }
}
