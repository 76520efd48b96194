//! What a webinar says of itself: the event, its registration configuration and its questions.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    call::Success,
    config::{Config, Question, QuestionKind, WebinarConfig, WebinarStatus},
    meeting,
};

/// How a webinar was called.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    pub(super) base: &'a str,
    pub(super) webinar: &'a str,
    pub(super) now: Duration,
}

impl Context<'_> {
    pub(super) fn settings(&self) -> &WebinarConfig {
        &self.config.webinar
    }

    /// A date as in the reference's examples: without a zone.
    pub(super) fn date(&self, at: Duration) -> String {
        jiff::Timestamp::try_from(self.config.epoch + at)
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string())
            .unwrap_or_default()
    }

    pub(super) fn organizer(&self) -> Uuid {
        meeting::organizer(self.config, None)
    }
}

pub(super) fn show(context: &Context<'_>) -> Success {
    let settings = context.settings();
    let time = |time: &str| json!({"dateTime": time, "timeZone": "Pacific Standard Time"});
    let words = "A webinar that nobody will ever attend.";
    let event = json!({
        "@odata.type": "#microsoft.graph.virtualEventWebinar",
        "id": context.webinar,
        "status": match settings.status {
            WebinarStatus::Draft => "draft",
            WebinarStatus::Published => "published",
            WebinarStatus::Canceled => "canceled",
        },
        "displayName": "Rehearsal",
        // The reference's example has a text, the metadata an itemBody.
        "description": if settings.wrapped {
            json!(words)
        } else {
            json!({"contentType": "text", "content": words})
        },
        "startDateTime": time("2026-03-30T10:00:00"),
        "endDateTime": time("2026-03-30T17:00:00"),
        "createdBy": {
            "application": null,
            "device": null,
            "user": {
                "@odata.type": "#microsoft.graph.communicationsUserIdentity",
                "id": context.organizer(),
                "displayName": "Organizer",
                "tenantId": context.config.tenant,
            },
        },
        "audience": settings.audience.as_str(),
        "isRegistrationRequired": true,
        "settings": {"isAttendeeEmailNotificationEnabled": settings.mails},
        "coOrganizers": [],
    });
    let body = if settings.wrapped { json!({"value": event}) } else { event };
    Success::json(StatusCode::OK, &body)
}

pub(super) fn configuration(context: &Context<'_>) -> Success {
    let settings = context.settings();
    let mut body = json!({
        "registrationWebUrl":
            format!("https://events.teams.microsoft.com/event/{}", context.webinar),
        "isManualApprovalEnabled": settings.approval,
        "isWaitlistEnabled": settings.waitlist,
    });
    if let Some(capacity) = settings.capacity {
        body["capacity"] = json!(capacity);
    }
    Success::json(StatusCode::OK, &body)
}

pub(super) fn questions(context: &Context<'_>) -> Success {
    let questions: Vec<Value> = context.settings().questions.iter().map(question).collect();
    Success::json(StatusCode::OK, &json!({"value": questions}))
}

fn question(question: &Question) -> Value {
    let mut body = json!({
        "@odata.type": "#microsoft.graph.virtualEventRegistrationCustomQuestion",
        "id": question.id,
        "displayName": question.display_name,
        "isRequired": question.required,
    });
    let (kind, choices): (_, &[String]) = match &question.kind {
        QuestionKind::Predefined(label) => {
            body["@odata.type"] =
                json!("#microsoft.graph.virtualEventRegistrationPredefinedQuestion");
            body["label"] = json!(label);
            return body;
        }
        QuestionKind::Text => ("text", &[]),
        QuestionKind::MultilineText => ("multilineText", &[]),
        QuestionKind::SingleChoice(choices) => ("singleChoice", choices),
        QuestionKind::MultiChoice(choices) => ("multiChoice", choices),
        QuestionKind::Boolean => ("boolean", &[]),
    };
    body["answerInputType"] = json!(kind);
    body["answerChoices"] = json!(choices);
    body
}
