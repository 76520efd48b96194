//! What somebody fills in to register for a webinar: read strictly, and given back as Graph does.

use serde_json::{Map, Value, json};

use super::{
    answer::Problem,
    config::{Caller, EventQuestion, QuestionKind},
    request::no_more,
};

const KIND: &str = "microsoft.graph.virtualEventRegistration";

/// The most characters of a `registrationId`.
/// Source: Microsoft Graph reference, resource `virtualEventExternalRegistrationInformation`.
const MAX_REGISTRATION_ID: usize = 256;

/// A filled-in form. Texts that were not given are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RegistrationForm {
    pub(super) email: String,
    first_name: String,
    last_name: String,
    pub(super) registration_id: String,
    referrer: String,
    timezone: String,
    language: String,
    /// As posted.
    answers: Vec<Value>,
}

impl RegistrationForm {
    /// Reads a POST's body. A person who is signed in registers nobody else, and gives no name.
    pub(super) fn parse(mut members: Map<String, Value>, caller: Caller) -> Result<Self, Problem> {
        let kind = text(&mut members, "@odata.type")?;
        if !kind.is_empty() && kind.strip_prefix('#') != Some(KIND) {
            return Err(Problem::bad_request("The @odata.type is not a registration's."));
        }
        let mut form = Self {
            timezone: required_text(&mut members, "preferredTimezone")?,
            language: required_text(&mut members, "preferredLanguage")?,
            ..Self::default()
        };
        match caller {
            Caller::Application => {
                form.first_name = required_text(&mut members, "firstName")?;
                form.last_name = required_text(&mut members, "lastName")?;
                form.email = required_text(&mut members, "email")?;
                if !form.email.contains('@') {
                    return Err(Problem::bad_request("The email is invalid."));
                }
            }
            Caller::Delegated => {
                "Rehearsal".clone_into(&mut form.first_name);
                "Organizer".clone_into(&mut form.last_name);
                "organizer@rehearsal.example".clone_into(&mut form.email);
            }
        }
        if let Some(Value::Object(mut outside)) = members.remove("externalRegistrationInformation")
        {
            form.registration_id = text(&mut outside, "registrationId")?;
            form.referrer = text(&mut outside, "referrer")?;
            outside.remove("@odata.type");
            no_more(&outside, "microsoft.graph.virtualEventExternalRegistrationInformation")?;
            if form.registration_id.chars().count() > MAX_REGISTRATION_ID {
                return Err(Problem::bad_request("The registrationId is too long."));
            }
        }
        match members.remove("registrationQuestionAnswers") {
            None | Some(Value::Null) => {}
            Some(Value::Array(answers)) => form.answers = answers,
            Some(_) => return Err(Problem::bad_request("registrationQuestionAnswers is no list.")),
        }
        no_more(&members, KIND)?;
        Ok(form)
    }

    /// Whether every question that must be answered is, and each answer is one.
    pub(super) fn hold_against(&self, questions: &[EventQuestion]) -> Result<(), Problem> {
        for answer in &self.answers {
            let question = asked(questions, answer)
                .ok_or_else(|| Problem::bad_request("An answer's questionId is unknown."))?;
            if !answers_to(question, answer) {
                return Err(Problem::bad_request(format!(
                    "The answer to the question '{}' is invalid.",
                    question.display_name
                )));
            }
        }
        let open = questions.iter().find(|question| {
            question.required
                && !self.answers.iter().any(|answer| {
                    asked(questions, answer) == Some(*question) && given(question, answer)
                })
        });
        open.map_or(Ok(()), |question| {
            Err(Problem::bad_request(format!(
                "The required question '{}' is not answered.",
                question.display_name
            )))
        })
    }

    /// The members that were posted, as Graph gives them back.
    pub(super) fn to_json(&self, questions: &[EventQuestion]) -> Value {
        let mut answers = self.answers.clone();
        for answer in &mut answers {
            let words = asked(questions, answer).map(|question| question.display_name.clone());
            answer["displayName"] = json!(words);
            let Value::Object(members) = answer else { continue };
            members.entry("value").or_insert(Value::Null);
            members.entry("booleanValue").or_insert(Value::Null);
            members.entry("multiChoiceValues").or_insert_with(|| json!([]));
        }
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (referrer, registration_id) = (given(&self.referrer), given(&self.registration_id));
        let outside = (referrer.is_some() || registration_id.is_some())
            .then(|| json!({"referrer": referrer, "registrationId": registration_id}));
        json!({
            "firstName": self.first_name,
            "lastName": self.last_name,
            "email": self.email,
            "externalRegistrationInformation": outside,
            "preferredTimezone": self.timezone,
            "preferredLanguage": self.language,
            "registrationQuestionAnswers": answers,
        })
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<String, Problem> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Problem::bad_request(format!("The value of '{name}' is no string."))),
    }
}

fn required_text(members: &mut Map<String, Value>, name: &str) -> Result<String, Problem> {
    let text = text(members, name)?;
    if text.trim().is_empty() {
        return Err(Problem::bad_request(format!("The required property '{name}' is missing.")));
    }
    Ok(text)
}

/// The question that this answer is for.
fn asked<'a>(questions: &'a [EventQuestion], answer: &Value) -> Option<&'a EventQuestion> {
    let id = answer["questionId"].as_str()?;
    questions.iter().find(|question| question.id.to_string() == id)
}

/// Whether an answer says anything in the member that its question wants.
fn given(question: &EventQuestion, answer: &Value) -> bool {
    match question.kind {
        QuestionKind::Boolean => answer["booleanValue"].is_boolean(),
        QuestionKind::MultiChoice(_) => {
            answer["multiChoiceValues"].as_array().is_some_and(|values| !values.is_empty())
        }
        _ => answer["value"].as_str().is_some_and(|text| !text.trim().is_empty()),
    }
}

/// Whether an answer uses the member that its question wants and no other, with a value that the
/// question takes.
fn answers_to(question: &EventQuestion, answer: &Value) -> bool {
    let wanted = match question.kind {
        QuestionKind::Boolean => "booleanValue",
        QuestionKind::MultiChoice(_) => "multiChoiceValues",
        _ => "value",
    };
    let others_empty = ["value", "booleanValue", "multiChoiceValues"].iter().all(|&member| {
        member == wanted
            || answer[member].is_null()
            || answer[member].as_array().is_some_and(Vec::is_empty)
    });
    let fits = match &question.kind {
        QuestionKind::SingleChoice(choices) => {
            answer["value"].as_str().is_none_or(|value| choices.iter().any(|c| c == value))
        }
        QuestionKind::MultiChoice(choices) => answer["multiChoiceValues"]
            .as_array()
            .is_none_or(|values| values.iter().all(|v| choices.iter().any(|c| v == c))),
        _ => true,
    };
    others_empty && fits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference's example of an application's POST.
    fn body() -> Value {
        json!({
            "firstName": "Diane", "lastName": "Demoss", "email": "DianeDemoss@contoso.com",
            "externalRegistrationInformation":
                {"referrer": "Fabrikam", "registrationId": "myExternalRegistrationId"},
            "preferredTimezone": "Pacific Standard Time", "preferredLanguage": "en-us",
            "registrationQuestionAnswers": [
                {"questionId": id(1), "value": null, "booleanValue": null,
                 "multiChoiceValues": ["Seattle"]},
                {"questionId": id(2), "value": null, "booleanValue": true, "multiChoiceValues": []},
                {"questionId": id(3), "value": "Ada"},
            ],
        })
    }

    fn id(number: u128) -> String {
        uuid::Uuid::from_u128(number).to_string()
    }

    fn questions() -> Vec<EventQuestion> {
        let question = |number, display_name: &str, kind| EventQuestion {
            id: uuid::Uuid::from_u128(number),
            display_name: display_name.to_owned(),
            required: true,
            kind,
        };
        vec![
            question(1, "City", QuestionKind::MultiChoice(vec!["Seattle".into(), "Ghent".into()])),
            question(2, "Local", QuestionKind::Boolean),
            question(3, "Name", QuestionKind::Text),
        ]
    }

    fn members(body: &Value) -> Map<String, Value> {
        body.as_object().expect("an object").clone()
    }

    fn parse(body: &Value) -> Result<RegistrationForm, Problem> {
        RegistrationForm::parse(members(body), Caller::Application)
    }

    #[test]
    fn a_form_is_given_back_as_it_was_posted() {
        let form = parse(&body()).expect("a form");
        assert_eq!(form.hold_against(&questions()), Ok(()));
        let given = form.to_json(&questions());
        for member in ["firstName", "lastName", "email", "externalRegistrationInformation"] {
            assert_eq!(given[member], body()[member]);
        }
        let answer = &given["registrationQuestionAnswers"][2];
        let expected = json!({"questionId": id(3), "displayName": "Name", "value": "Ada",
                              "booleanValue": null, "multiChoiceValues": []});
        assert_eq!(answer, &expected);
    }

    #[test]
    fn what_the_reference_requires_is_required_and_nothing_else_is_taken() {
        for member in ["firstName", "lastName", "email", "preferredTimezone", "preferredLanguage"] {
            let mut body = body();
            body[member] = Value::Null;
            let message = parse(&body).expect_err(member).message;
            assert!(message.contains(member), "{message}");
        }
        for (member, value) in [
            ("phone", json!("1")),
            ("email", json!("nobody")),
            ("registrationQuestionAnswers", json!("yes")),
            ("externalRegistrationInformation", json!({"registrationId": "x".repeat(257)})),
        ] {
            let mut body = body();
            body[member] = value;
            assert!(parse(&body).is_err(), "{member}");
        }
        let signed_in = RegistrationForm::parse(members(&body()), Caller::Delegated);
        assert!(signed_in.is_err(), "who is signed in registers nobody else");
    }

    #[test]
    fn an_answer_fits_its_question_or_is_refused() {
        let with = |at: usize, member: &str, value: Value| {
            let mut body = body();
            body["registrationQuestionAnswers"][at][member] = value;
            parse(&body).expect("a form").hold_against(&questions())
        };
        assert!(with(0, "multiChoiceValues", json!(["Ghent", "Seattle"])).is_ok());
        for (at, member, value) in [
            (0, "multiChoiceValues", json!(["Cancun"])),
            (0, "value", json!("Seattle")),
            (1, "booleanValue", json!(null)),
            (2, "value", json!(" ")),
            (2, "questionId", json!(id(9))),
        ] {
            assert!(with(at, member, value).is_err(), "{at} {member}");
        }
        let message =
            RegistrationForm::default().hold_against(&questions()).expect_err("open").message;
        assert!(message.contains("'City'"), "{message}");
    }
}
