//! Who may register: the target's own setting, and the rule that follows from it.

use std::{fmt, str::FromStr, sync::Arc};

use super::Form;

/// The target's `allowedRegistrant` (meeting) or `audience` (webinar).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Anybody: a meeting takes the id alone.
    Everyone,
    /// Members of an organization: a meeting takes id, tenant and user.
    Organization,
}

impl Mode {
    /// The value as Graph spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Organization => "organization",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A mode that this program does not know, `unknownFutureValue` among them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mode; the modes are everyone and organization")]
pub struct UnknownMode(pub String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        [Self::Everyone, Self::Organization]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownMode(text.to_owned()))
    }
}

/// What a row must hold: follows from the kind of the target and its mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A meeting's registrant; mode `everyone` sends the id alone, `organization` two GUIDs more.
    Meeting(Mode),
    /// A webinar's registration: names, e-mail, and answers to the questions of its form.
    Webinar(Arc<Form>),
}

impl Rule {
    /// A webinar's rule, as far as it is known without the webinar's form.
    pub fn webinar() -> Self {
        Self::Webinar(Arc::default())
    }

    /// Whether answers are read by the form that they are for: without it they are texts.
    pub fn knows_answers(&self) -> bool {
        match self {
            Self::Meeting(_) => true,
            Self::Webinar(form) => !form.questions.is_empty(),
        }
    }
}
