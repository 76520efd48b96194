//! A webinar's JSON: the registration that is posted, and what is read of the webinar before.
//!
//! Sources: Microsoft Graph reference v1.0, "Create virtualEventRegistration", "Get
//! virtualEventWebinar", "Get virtualEventWebinarRegistrationConfiguration", "List
//! virtualEventRegistrationQuestions", and their examples. These contradict each other (a webinar
//! bare or wrapped in `value`, members left out), so a reader here takes each member by itself: one
//! that is missing or of another type is not known, and hinders no other.

use serde::Serialize;
use serde_json::Value;

use super::{encode, is_word};
use crate::registrant::{
    Answer, AnswerInput, AnswerValue, Attendee, Details, Question, Registrant,
};

/// The time zone that is sent where neither the list nor a setting names one: the reference requires
/// `preferredTimezone`. UTC is the one zone whose Windows name every system knows.
pub const DEFAULT_TIMEZONE: &str = "UTC";

/// The language that is sent where neither the list nor a setting names one: the reference requires
/// `preferredLanguage`, and writes `en-us` in all of its examples.
pub const DEFAULT_LANGUAGE: &str = "en-us";

/// The body of "Create virtualEventRegistration". An application registers a person by name and
/// address; a signed-in person registers nobody but themselves, and the reference's example for that
/// has neither.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    external_registration_information: ExternalInformation<'a>,
    preferred_timezone: &'a str,
    preferred_language: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    registration_question_answers: Vec<AnswerBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalInformation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer: Option<&'a str>,
    registration_id: &'a str,
}

/// One answer. As in the examples, the members of the other types are there and empty.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    question_id: Option<&'a str>,
    /// Stands for the id where the form was never read.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    value: Option<&'a str>,
    boolean_value: Option<bool>,
    multi_choice_values: &'a [String],
}

impl<'a> From<&'a Answer> for AnswerBody<'a> {
    fn from(answer: &'a Answer) -> Self {
        let question_id = answer.question_id.as_deref();
        let display_name = question_id.is_none().then_some(answer.question.as_str());
        let (value, boolean_value, multi_choice_values): (_, _, &[String]) = match &answer.value {
            AnswerValue::Text(text) => (Some(text.as_str()), None, &[]),
            AnswerValue::Flag(flag) => (None, Some(*flag), &[]),
            AnswerValue::Choices(choices) => (None, None, choices),
        };
        Self { question_id, display_name, value, boolean_value, multi_choice_values }
    }
}

/// The JSON by which an application registers `registrant` for a webinar.
#[must_use]
pub fn webinar_registration(registrant: &Registrant) -> Vec<u8> {
    let attendee = match &registrant.details {
        Details::Webinar(attendee) => Some(&**attendee),
        Details::Everyone | Details::Organization { .. } => None,
    };
    let or =
        |given: fn(&Attendee) -> Option<&str>, default| attendee.and_then(given).unwrap_or(default);
    encode(&RegistrationBody {
        first_name: attendee.map(|person| person.first_name.as_str()),
        last_name: attendee.map(|person| person.last_name.as_str()),
        email: attendee.map(|person| person.email.as_str()),
        external_registration_information: ExternalInformation {
            referrer: attendee.and_then(|attendee| attendee.referrer.as_deref()),
            registration_id: registrant.id.as_str(),
        },
        preferred_timezone: or(|them| them.preferred_timezone.as_deref(), DEFAULT_TIMEZONE),
        preferred_language: or(|them| them.preferred_language.as_deref(), DEFAULT_LANGUAGE),
        registration_question_answers: attendee
            .map_or_else(Vec::new, |attendee| attendee.answers.iter().map(Into::into).collect()),
    })
}

/// What a webinar says of itself. `None`: it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebinarAnswer {
    /// Who may register: `everyone` or `organization`.
    pub audience: Option<String>,
    /// `draft`, `published` or `canceled`.
    pub status: Option<String>,
    /// Whether Teams mails everybody who is registered (`isAttendeeEmailNotificationEnabled`).
    pub mails_attendees: Option<bool>,
}

/// Reads the answer to a webinar's GET, bare or wrapped; `None` if it is no object.
#[must_use]
pub fn webinar(body: &[u8]) -> Option<WebinarAnswer> {
    let read = serde_json::from_slice::<Value>(body).ok()?;
    let webinar = match &read["value"] {
        Value::Array(only) if only.len() == 1 => &only[0],
        wrapped @ Value::Object(_) => wrapped,
        _ => &read,
    };
    webinar.as_object()?;
    Some(WebinarAnswer {
        audience: word(&webinar["audience"]),
        status: word(&webinar["status"]),
        mails_attendees: webinar["settings"]["isAttendeeEmailNotificationEnabled"].as_bool(),
    })
}

/// How a webinar takes registrations. `None`: it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// How many may register.
    pub capacity: Option<u64>,
    /// Whether the organizer approves each.
    pub manual_approval: Option<bool>,
    /// Whether those beyond the capacity wait.
    pub waitlist: Option<bool>,
}

/// Reads the answer to a registration configuration's GET; `None` if it is no object.
#[must_use]
pub fn configuration(body: &[u8]) -> Option<Configuration> {
    let read = serde_json::from_slice::<Value>(body).ok()?;
    read.as_object()?;
    Some(Configuration {
        capacity: read["capacity"].as_u64(),
        manual_approval: read["isManualApprovalEnabled"].as_bool(),
        waitlist: read["isWaitlistEnabled"].as_bool(),
    })
}

/// Reads a page of the form's questions, and where the next page is; `None` if it is no page. A
/// question without an id cannot be answered, and is left out.
#[must_use]
pub fn questions(body: &[u8]) -> Option<(Vec<Question>, Option<String>)> {
    let read = serde_json::from_slice::<Value>(body).ok()?;
    let questions = read["value"].as_array()?.iter().filter_map(question).collect();
    Some((questions, read["@odata.nextLink"].as_str().map(str::to_owned)))
}

/// One question, custom or predefined: the latter has a `label`, and no type of its own.
fn question(read: &Value) -> Option<Question> {
    let text = |member: &str| read[member].as_str().filter(|text| !text.trim().is_empty());
    let id = text("id")?.to_owned();
    let choices = || -> Vec<String> {
        let choices = read["answerChoices"].as_array().into_iter().flatten();
        choices.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Some(Question {
        display_name: text("displayName").or(text("label")).unwrap_or(&id).to_owned(),
        id,
        required: read["isRequired"].as_bool().unwrap_or(false),
        input: match text("answerInputType") {
            // Without choices that can be read Graph judges the text.
            Some("singleChoice") => match choices() {
                none if none.is_empty() => AnswerInput::Text,
                choices => AnswerInput::SingleChoice(choices),
            },
            Some("multiChoice") => AnswerInput::MultiChoice(choices()),
            Some("boolean") => AnswerInput::Boolean,
            // `text`, `multilineText`, none, and what Microsoft may add: then Graph judges the text.
            _ => AnswerInput::Text,
        },
    })
}

/// A member whose value is one of Graph's own words, and may be shown.
fn word(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty() && is_word(text)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::registrant::{Fields, Form, Rule};

    fn read<T>(reader: fn(&[u8]) -> Option<T>, body: &Value) -> Option<T> {
        reader(body.to_string().as_bytes())
    }

    const QUESTIONS: [&str; 4] = ["city", "local", "cities", "why"];

    fn form() -> Form {
        let page = json!({"value": [
            {"id": "city", "displayName": "City", "answerInputType": "singleChoice",
             "answerChoices": ["Seattle", "London"]},
            {"id": "local", "displayName": "Local", "answerInputType": "boolean"},
            {"id": "cities", "displayName": "Cities", "answerInputType": "multiChoice",
             "answerChoices": ["Seattle", "London"]},
            {"id": "why", "displayName": "Why", "answerInputType": "multilineText"},
        ]});
        Form { questions: read(questions, &page).expect("a page").0 }
    }

    fn fields<'a>() -> Fields<'a> {
        Fields {
            id: Some("é \"1\""),
            first_name: Some(" Diane "),
            last_name: Some("Demoss"),
            email: Some("DianeDemoss@contoso.com"),
            ..Fields::default()
        }
    }

    fn body(fields: &Fields<'_>) -> Value {
        let rule = Rule::Webinar(Arc::new(form()));
        let registrant = Registrant::parse(fields, &rule).expect("valid");
        serde_json::from_slice(&webinar_registration(&registrant)).expect("JSON")
    }

    #[test]
    fn the_least_that_is_sent_is_what_the_reference_requires_and_the_id() {
        let least = json!({
            "firstName": "Diane", "lastName": "Demoss", "email": "DianeDemoss@contoso.com",
            "externalRegistrationInformation": {"registrationId": "é \"1\""},
            "preferredTimezone": "UTC", "preferredLanguage": "en-us",
        });
        assert_eq!(body(&fields()), least);
    }

    #[test]
    fn an_answer_uses_the_member_of_its_type_and_leaves_the_others_empty() {
        let cells = ["LONDON", "ja", "London;Seattle", "Because.\nReally."];
        let given = Fields {
            answers: QUESTIONS.into_iter().zip(cells).collect(),
            referrer: Some("Fabrikam"),
            preferred_timezone: Some("Pacific Standard Time"),
            preferred_language: Some("de-de"),
            ..fields()
        };
        let sent = body(&given);
        assert_eq!(sent["externalRegistrationInformation"]["referrer"], "Fabrikam");
        assert_eq!(sent["preferredTimezone"], "Pacific Standard Time");
        assert_eq!(sent["preferredLanguage"], "de-de");
        assert_eq!(
            sent["registrationQuestionAnswers"],
            json!([
                {"questionId": "city", "value": "London", "booleanValue": null,
                 "multiChoiceValues": []},
                {"questionId": "local", "value": null, "booleanValue": true,
                 "multiChoiceValues": []},
                {"questionId": "cities", "value": null, "booleanValue": null,
                 "multiChoiceValues": ["Seattle", "London"]},
                {"questionId": "why", "value": "Because.\nReally.", "booleanValue": null,
                 "multiChoiceValues": []},
            ])
        );
        let empty =
            Fields { answers: QUESTIONS.map(|question| (question, " ")).to_vec(), ..fields() };
        assert!(body(&empty).get("registrationQuestionAnswers").is_none());
    }

    #[test]
    fn a_question_is_read_with_as_much_as_there_is() {
        let page = json!({"value": [
            {"id": "a", "displayName": "Job title", "isRequired": true, "label": "jobTitle"},
            {"id": "b", "displayName": null, "isRequired": null, "label": "city"},
            {"id": "c", "displayName": 7, "answerInputType": "unknownFutureValue"},
            {"id": "d", "displayName": "D", "answerInputType": "singleChoice",
             "answerChoices": ["x", null]},
            {"displayName": "no id"},
            null,
        ], "@odata.nextLink": "https://graph.microsoft.com/next"});
        let (read, next) = read(questions, &page).expect("a page");
        let told: Vec<(&str, &str, bool)> = read
            .iter()
            .map(|question| {
                (question.id.as_str(), question.display_name.as_str(), question.required)
            })
            .collect();
        assert_eq!(
            told,
            [("a", "Job title", true), ("b", "city", false), ("c", "c", false), ("d", "D", false)]
        );
        assert_eq!(read[3].input, AnswerInput::SingleChoice(vec!["x".into()]));
        assert!(read[..3].iter().all(|question| question.input == AnswerInput::Text));
        assert_eq!(next.as_deref(), Some("https://graph.microsoft.com/next"));
        for no_page in [json!({}), json!([]), json!({"value": {}}), json!(null)] {
            assert_eq!(super::tests::read(questions, &no_page), None, "{no_page}");
        }
        assert_eq!(questions(b"<html>"), None);
        assert_eq!(super::tests::read(questions, &json!({"value": []})), Some((vec![], None)));
    }

    #[test]
    fn a_webinar_is_read_bare_and_wrapped() {
        let bare = json!({
            "audience": "organization", "status": "published",
            "settings": {"isAttendeeEmailNotificationEnabled": false},
        });
        let wanted = WebinarAnswer {
            audience: Some("organization".into()),
            status: Some("published".into()),
            mails_attendees: Some(false),
        };
        for shape in [bare.clone(), json!({"value": bare}), json!({"value": [bare]})] {
            assert_eq!(read(webinar, &shape), Some(wanted.clone()), "{shape}");
        }
        let hostile = json!({"audience": "ada\u{1b}[2J", "status": 1, "settings": null});
        assert_eq!(read(webinar, &hostile), Some(WebinarAnswer::default()));
        for none in [json!([]), json!(7), json!(null)] {
            assert_eq!(read(webinar, &none), None, "{none}");
        }
        let two = json!({"value": [bare, bare]});
        assert_eq!(read(webinar, &two), Some(WebinarAnswer::default()), "which one is not known");
    }

    #[test]
    fn a_configuration_says_what_it_says() {
        let full =
            json!({"capacity": 1000, "isManualApprovalEnabled": true, "isWaitlistEnabled": false});
        let wanted = Configuration {
            capacity: Some(1000),
            manual_approval: Some(true),
            waitlist: Some(false),
        };
        assert_eq!(read(configuration, &full), Some(wanted));
        let odd =
            json!({"capacity": -1, "isManualApprovalEnabled": "yes", "registrationWebUrl": ""});
        assert_eq!(read(configuration, &odd), Some(Configuration::default()));
        assert_eq!(configuration(b""), None);
    }
}
