//! The rule that rows are held against, by the target's own setting of who may register, and the check:
//! from a row's mapped cells to a registrant that can be sent, or all its faults.

use std::{borrow::Cow, sync::Arc};

use icu_normalizer::ComposingNormalizerBorrowed;
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::{
    Answer, Fault, FaultCode, Fields, Form, RegistrantId, answer::answers, fingerprint::plain,
};

/// The target's `allowedRegistrant` (meeting) or `audience` (virtual event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownMode, parse_err_fn = unknown_mode)]
pub enum Mode {
    /// Anybody: a meeting takes the id alone.
    Everyone,
    /// Members of an organization: a meeting takes id, tenant and user.
    Organization,
}

impl Mode {
    /// The value as Graph spells it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A mode that this program does not know, `unknownFutureValue` among them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mode; the modes are everyone and organization")]
pub struct UnknownMode(pub String);

fn unknown_mode(text: &str) -> UnknownMode {
    UnknownMode(text.to_owned())
}

/// The two kinds of virtual event that take registrations: one resource of Graph, one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum EventKind {
    Webinar,
    TownHall,
}

impl EventKind {
    /// As options, ledgers and the summary spell it: `webinar` or `townhall`.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// As sentences call it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Webinar => "webinar",
            Self::TownHall => "town hall",
        }
    }

    /// The collection of Graph that it is found in.
    pub fn collection(self) -> &'static str {
        match self {
            Self::Webinar => "webinars",
            Self::TownHall => "townhalls",
        }
    }
}

/// What a row must hold: follows from the kind of the target and its mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A meeting's registrant; mode `everyone` sends the id alone, `organization` two GUIDs more.
    Meeting(Mode),
    /// A virtual event's registration: names, e-mail, and answers to the questions of its form.
    Event(Arc<Form>),
}

impl Rule {
    /// A virtual event's rule, as far as it is known without its form.
    pub fn event() -> Self {
        Self::Event(Arc::default())
    }

    /// The same, where a form's questions are all left open: for people who answered an earlier one.
    pub fn without_questions(&self) -> Self {
        match self {
            Self::Meeting(mode) => Self::Meeting(*mode),
            Self::Event(_) => Self::event(),
        }
    }

    /// Whether answers are read by the form that they are for: without it they are texts.
    pub fn knows_answers(&self) -> bool {
        match self {
            Self::Meeting(_) => true,
            Self::Event(form) => !form.questions.is_empty(),
        }
    }
}

/// The most characters of a webinar's `externalRegistrationInformation.registrationId`.
/// Source: Microsoft Graph reference, resource `virtualEventExternalRegistrationInformation`.
pub const MAX_REGISTRATION_ID: usize = 256;

/// The longest e-mail address that can be delivered to (RFC 5321, 4.5.3.1.3: a path of 256
/// octets with its two angle brackets).
const MAX_EMAIL: usize = 254;

/// The time zone that is sent where neither the list nor a setting names one: the reference requires
/// `preferredTimezone`. UTC is the one zone whose Windows name every system knows.
pub const DEFAULT_TIMEZONE: &str = "UTC";

/// The language that is sent where neither the list nor a setting names one: the reference requires
/// `preferredLanguage`, and writes `en-us` in all of its examples.
pub const DEFAULT_LANGUAGE: &str = "en-us";

/// A person who can be enrolled: the id, and what the target wants to know beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registrant {
    /// The external system's id.
    pub id: RegistrantId,
    /// What is sent with the id.
    pub details: Details,
}

/// What is sent beside the id.
#[derive(Clone, PartialEq, Eq)]
pub enum Details {
    /// A meeting in mode `everyone`: nothing.
    Everyone,
    /// A meeting in mode `organization`: the person's Entra identity.
    Organization {
        /// The tenant's id.
        tenant_id: Uuid,
        /// The user's object id.
        user_id: Uuid,
    },
    /// A webinar's attendee.
    Event(Box<Attendee>),
}

/// The personal data of a webinar's registration.
#[derive(Clone, PartialEq, Eq)]
pub struct Attendee {
    /// Given name, not blank.
    pub first_name: String,
    /// Family name, not blank.
    pub last_name: String,
    /// E-mail address, plausible.
    pub email: String,
    /// Language of Teams' mails, where given.
    pub preferred_language: Option<String>,
    /// Time zone by its Windows name, where given.
    pub preferred_timezone: Option<String>,
    /// Where the person came from, where given.
    pub referrer: Option<String>,
    /// The answers that were given, in the order of the mapping.
    pub answers: Vec<Answer>,
}

impl std::fmt::Debug for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Everyone => "Everyone",
            Self::Organization { .. } => "Organization { … }",
            Self::Event(_) => "Event(…)",
        })
    }
}

/// Names and values.
type SentFields<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl Registrant {
    /// Checks a row's cells against the rule: the one place that knows what a row must hold.
    ///
    /// # Errors
    /// Every fault of the row, in the order of [`FaultCode::ALL`].
    pub fn parse(fields: &Fields<'_>, rule: &Rule) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let id = noted(RegistrantId::parse(fields.id.unwrap_or_default()), &mut faults);
        let details = match rule {
            Rule::Meeting(Mode::Everyone) => Some(Details::Everyone),
            Rule::Meeting(Mode::Organization) => organization(fields, &mut faults),
            Rule::Event(form) => {
                if let Some(id) = &id {
                    check_id_length(id, &mut faults);
                }
                attendee(fields, form, &mut faults)
            }
        };
        match (id, details) {
            (Some(id), Some(details)) if faults.is_empty() => Ok(Self { id, details }),
            _ => Err(faults),
        }
    }

    /// The fields that are sent beside the id, by name, in one form whatever their spelling: what "the
    /// row has changed since it was enrolled" is judged by. An address counts without regard to case,
    /// letters in one form of Unicode, and what is left out as the default that is sent for it.
    pub fn sent_fields<'a>(&'a self) -> SentFields<'a> {
        match &self.details {
            Details::Everyone => Vec::new(),
            Details::Organization { tenant_id, user_id } => vec![
                ("tenantId".into(), tenant_id.to_string().into()),
                ("userId".into(), user_id.to_string().into()),
            ],
            Details::Event(attendee) => {
                let nfc = |text: &'a str| ComposingNormalizerBorrowed::new_nfc().normalize(text);
                let or = |given: &'a Option<String>, default| given.as_deref().unwrap_or(default);
                let language = or(&attendee.preferred_language, DEFAULT_LANGUAGE);
                let timezone = or(&attendee.preferred_timezone, DEFAULT_TIMEZONE);
                let mut sent: SentFields<'a> = vec![
                    ("firstName".into(), nfc(&attendee.first_name)),
                    ("lastName".into(), nfc(&attendee.last_name)),
                    (EMAIL.into(), plain(&attendee.email).into()),
                    ("preferredLanguage".into(), nfc(language)),
                    ("preferredTimezone".into(), nfc(timezone)),
                ];
                let referrer = attendee.referrer.as_deref();
                sent.extend(referrer.map(|text| ("referrer".into(), nfc(text))));
                for Answer { question, value, .. } in &attendee.answers {
                    let value = value.canonical();
                    let value = ComposingNormalizerBorrowed::new_nfc().normalize(&value);
                    sent.push((format!("answer:{question}").into(), value.into_owned().into()));
                }
                sent
            }
        }
    }
}

/// The field by which a webinar tells people apart.
pub const EMAIL: &str = "email";

fn noted<T>(parsed: Result<T, Fault>, faults: &mut Vec<Fault>) -> Option<T> {
    parsed.map_err(|fault| faults.push(fault)).ok()
}

fn check_id_length(id: &RegistrantId, faults: &mut Vec<Fault>) {
    let length = id.as_str().chars().count();
    if length > MAX_REGISTRATION_ID {
        faults.push(Fault::new(
            FaultCode::LongId,
            format!("the id has {length} characters; an event takes at most {MAX_REGISTRATION_ID}"),
        ));
    }
}

fn organization(fields: &Fields<'_>, faults: &mut Vec<Fault>) -> Option<Details> {
    let tenant_id = noted(
        guid(fields.tenant_id, "tenantId", FaultCode::MissingTenantId, FaultCode::BadTenantId),
        faults,
    );
    let user_id = noted(
        guid(fields.user_id, "userId", FaultCode::MissingUserId, FaultCode::BadUserId),
        faults,
    );
    Some(Details::Organization { tenant_id: tenant_id?, user_id: user_id? })
}

/// A cell that must not be blank, trimmed.
fn required<'a>(cell: Option<&'a str>, name: &str, missing: FaultCode) -> Result<&'a str, Fault> {
    let text = cell.unwrap_or_default().trim();
    if text.is_empty() { Err(Fault::new(missing, format!("{name} is empty"))) } else { Ok(text) }
}

/// A GUID in any spelling that Microsoft's own tools print: hyphenated, bare, in braces, as a
/// URN; upper or lower case; blanks around it.
fn guid(cell: Option<&str>, name: &str, missing: FaultCode, bad: FaultCode) -> Result<Uuid, Fault> {
    let text = required(cell, name, missing)?;
    Uuid::try_parse(text).map_err(|_| Fault::new(bad, format!("{name} `{text}` is no GUID")))
}

fn attendee(fields: &Fields<'_>, form: &Form, faults: &mut Vec<Fault>) -> Option<Details> {
    let first_name = required(fields.first_name, "firstName", FaultCode::MissingFirstName);
    let first_name = noted(first_name, faults);
    let last_name =
        noted(required(fields.last_name, "lastName", FaultCode::MissingLastName), faults);
    let email = required(fields.email, "email", FaultCode::MissingEmail);
    let email = noted(email.and_then(plausible_email), faults);
    let given =
        |cell: Option<&str>| cell.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let answers = answers(form, &fields.answers, faults);
    // Those of answers come in the order of the mapping.
    faults.sort_by_key(|fault| fault.code);
    Some(Details::Event(Box::new(Attendee {
        first_name: first_name?.to_owned(),
        last_name: last_name?.to_owned(),
        email: email?.to_owned(),
        preferred_language: given(fields.preferred_language),
        preferred_timezone: given(fields.preferred_timezone),
        referrer: given(fields.referrer),
        answers,
    })))
}

/// One `@` with something before it and a dotted domain behind it, no blanks, deliverable length.
/// Plausible, not valid: only the mail server knows.
fn plausible_email(text: &str) -> Result<&str, Fault> {
    let plausible = text.len() <= MAX_EMAIL
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ','))
        && text.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !local.contains('@')
                && domain.contains('.')
                && domain.split('.').all(|label| !label.is_empty())
        });
    if plausible {
        Ok(text)
    } else {
        Err(Fault::new(FaultCode::BadEmail, format!("email `{text}` cannot be an address")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "909c6581-5130-43e9-88f3-fcb3582cde37";
    const USER: &str = "cc515404-b55c-466e-b896-992c918ecc01";

    fn codes(fields: &Fields<'_>, rule: &Rule) -> Vec<FaultCode> {
        Registrant::parse(fields, rule)
            .map_or_else(|faults| faults.into_iter().map(|f| f.code).collect(), |_| Vec::new())
    }

    #[test]
    fn everyone_takes_the_id_alone_and_leaves_the_guids_aside() {
        let fields = Fields { id: Some("a"), tenant_id: Some("nonsense"), ..Fields::default() };
        let registrant = Registrant::parse(&fields, &Rule::Meeting(Mode::Everyone)).expect("valid");
        assert_eq!(registrant.details, Details::Everyone);
        assert!(registrant.sent_fields().is_empty());
    }

    #[test]
    fn organization_takes_any_spelling_of_a_guid_and_sends_one() {
        let spellings = [
            USER.to_owned(),
            USER.to_uppercase(),
            format!("{{{USER}}}"),
            format!("urn:uuid:{USER}"),
            USER.replace('-', ""),
            format!("  {USER}\u{a0}"),
        ];
        for spelling in &spellings {
            let fields = Fields {
                id: Some("a"),
                tenant_id: Some(TENANT),
                user_id: Some(spelling),
                ..Fields::default()
            };
            let registrant =
                Registrant::parse(&fields, &Rule::Meeting(Mode::Organization)).expect(spelling);
            assert_eq!(registrant.sent_fields()[1].1, USER);
        }
    }

    #[test]
    fn every_fault_of_a_row_is_reported() {
        let fields = Fields { id: Some(""), user_id: Some("42"), ..Fields::default() };
        assert_eq!(
            codes(&fields, &Rule::Meeting(Mode::Organization)),
            [FaultCode::MissingId, FaultCode::MissingTenantId, FaultCode::BadUserId]
        );
        assert_eq!(
            codes(&Fields::default(), &Rule::event()),
            [
                FaultCode::MissingId,
                FaultCode::MissingFirstName,
                FaultCode::MissingLastName,
                FaultCode::MissingEmail
            ]
        );
    }

    #[test]
    fn a_webinar_bounds_the_id_and_wants_an_address() {
        let long = "é".repeat(MAX_REGISTRATION_ID + 1);
        let with = |id, email| Fields {
            id: Some(id),
            first_name: Some("Ada"),
            last_name: Some("Byron"),
            email: Some(email),
            ..Fields::default()
        };
        assert_eq!(codes(&with(&long, "a@b.org"), &Rule::event()), [FaultCode::LongId]);
        assert_eq!(codes(&with(&long[2..], "a@b.org"), &Rule::event()), []);
        for bad in
            ["ada", "@b.org", "a@", "a@b", "a b@c.org", "a@b@c.org", "a@b..org", "Info Requested"]
        {
            assert_eq!(codes(&with("1", bad), &Rule::event()), [FaultCode::BadEmail], "{bad}");
        }
        for good in ["a@b.org", "o'hara+tag@sub.example.co.uk", "ü@exämple.org"] {
            assert_eq!(codes(&with("1", good), &Rule::event()), [], "{good}");
        }
    }
}
