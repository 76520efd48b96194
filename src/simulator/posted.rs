//! The body of a registrant's POST: read strictly, then held against the meeting's mode.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::registrant::Mode;

use super::problem::Problem;

pub(super) const REGISTRANT_TYPE: &str = "#microsoft.graph.externalMeetingRegistrant";

/// The body of a registrant's POST, read but not yet held against the mode.
pub(super) struct Posted {
    pub(super) id: String,
    tenant: Option<Value>,
    user: Option<Value>,
}

impl Posted {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut members = object(body)?;
        if members.remove("@odata.type").as_ref().and_then(Value::as_str) != Some(REGISTRANT_TYPE) {
            return Err(Problem::bad_request(
                "Invalid request. Provide microsoft.graph.meetingRegistrant or \
                 microsoft.graph.externalMeetingRegistrant in request body.",
            ));
        }
        let id = match members.remove("id") {
            Some(Value::String(id)) if !id.is_empty() => id,
            _ => return Err(Problem::bad_request("The registrant's id is missing.")),
        };
        let tenant = members.remove("tenantId");
        let user = members.remove("userId");
        no_more(&members, "microsoft.graph.externalMeetingRegistrant")?;
        Ok(Self { id, tenant, user })
    }

    /// The person's tenant and user, as the mode wants them.
    pub(super) fn person(&self, mode: Mode) -> Result<Option<Box<(Uuid, Uuid)>>, Problem> {
        match (mode, &self.tenant, &self.user) {
            (Mode::Everyone, None, None) => Ok(None),
            (Mode::Everyone, ..) => Err(Problem::bad_request(
                "tenantId and userId must not be provided when allowedRegistrant is everyone.",
            )),
            (Mode::Organization, Some(tenant), Some(user)) => {
                Ok(Some(Box::new((guid("tenantId", tenant)?, guid("userId", user)?))))
            }
            (Mode::Organization, ..) => Err(Problem::bad_request(
                "tenantId and userId must be provided when allowedRegistrant is organization.",
            )),
        }
    }
}

/// A GUID in the one spelling that Graph writes.
fn guid(name: &str, value: &Value) -> Result<Uuid, Problem> {
    value
        .as_str()
        .filter(|text| text.len() == 36)
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or_else(|| Problem::bad_request(format!("{name} is not a valid GUID.")))
}

pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    serde_json::from_slice(body)
        .map_err(|_| Problem::bad_request("Unable to read JSON request payload."))
}

/// `OData` refuses a member that the type does not declare.
pub(super) fn no_more(members: &Map<String, Value>, kind: &str) -> Result<(), Problem> {
    members.keys().next().map_or(Ok(()), |name| {
        Err(Problem::bad_request(format!(
            "The property '{name}' does not exist on type '{kind}'. Make sure to only use property \
             names that are defined by the type."
        )))
    })
}
