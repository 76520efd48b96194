//! Which hosts may see a credential, and where Graph and its sign-in live in each cloud.
//!
//! Promises that a [`GraphHost`] is a known Graph host or a trusted one over `https`, or this very
//! machine, and that a next page is fetched from the host that the first page came from. A token
//! handed to another host is as good as published, so there is no way round this check: every
//! address that gets a credential is made here.

use std::fmt;

use strum::{Display, EnumString, VariantArray};
use url::{Host, Url};

/// One of Microsoft's clouds: Graph and sign-in belong together, tokens do not cross.
///
/// Source: `concepts/deployments.md` of microsoft-graph-docs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = HostError, parse_err_fn = unknown_cloud)]
pub enum Cloud {
    /// The global service, GCC included.
    #[default]
    Global,
    /// US Government L4 (GCC High).
    UsGov,
    /// US Government L5 (`DoD`).
    Dod,
    /// China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// The host of Microsoft Graph.
    pub fn graph_host(self) -> &'static str {
        match self {
            Self::Global => "graph.microsoft.com",
            Self::UsGov => "graph.microsoft.us",
            Self::Dod => "dod-graph.microsoft.us",
            Self::China => "microsoftgraph.chinacloudapi.cn",
        }
    }

    /// The host that issues tokens.
    pub fn login_host(self) -> &'static str {
        match self {
            Self::Global => "login.microsoftonline.com",
            Self::UsGov | Self::Dod => "login.microsoftonline.us",
            Self::China => "login.chinacloudapi.cn",
        }
    }

    /// Whether meeting registrants and webinar registrations are offered in this cloud.
    ///
    /// Only the global one: each of their reference pages says so, and the metadata of the others
    /// does not hold them.
    pub fn offers_registration(self) -> bool {
        self == Self::Global
    }

    /// The scope that a token for Graph is asked with: every permission already granted.
    pub fn scope(self) -> String {
        format!("https://{}/.default", self.graph_host())
    }
}

fn unknown_cloud(given: &str) -> HostError {
    HostError::UnknownCloud { given: given.to_owned() }
}

/// The hosts that the user vouches for, beyond Microsoft's own (`--trust-host`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedHosts(Vec<String>);

impl TrustedHosts {
    /// Takes host names, without scheme or port.
    ///
    /// # Errors
    /// [`HostError::NotAHost`] for anything else.
    pub fn new(hosts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, HostError> {
        hosts
            .into_iter()
            .map(|host| {
                // `Url` decides what a host is, so that both sides of a comparison are spelt alike.
                Host::parse(host.as_ref())
                    .map(|parsed| parsed.to_string())
                    .map_err(|_| HostError::NotAHost { given: host.as_ref().to_owned() })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a credential may be sent to `url`.
    ///
    /// # Errors
    /// [`HostError::Insecure`] or [`HostError::Untrusted`], with the host in it.
    pub fn permit(&self, url: &Url) -> Result<(), HostError> {
        let Some(host) = url.host() else {
            return Err(HostError::NotAnAddress { reason: "it has no host" });
        };
        if is_loopback(&host) && matches!(url.scheme(), "http" | "https") {
            return Ok(());
        }
        let host = host.to_string();
        if url.scheme() != "https" {
            return Err(HostError::Insecure { host });
        }
        let known = Cloud::VARIANTS
            .iter()
            .any(|cloud| host == cloud.graph_host() || host == cloud.login_host());
        if known || self.0.contains(&host) { Ok(()) } else { Err(HostError::Untrusted { host }) }
    }
}

/// Whether `host` is this machine by its very name or number: no look-up can lead it elsewhere.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        // RFC 6761, section 6.3: resolvers answer it with the loopback address.
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Where Graph is: scheme and authority, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphHost {
    origin: Url,
}

impl GraphHost {
    /// The host of `cloud`.
    ///
    /// # Panics
    /// Never: the four names are addresses.
    pub fn of(cloud: Cloud) -> Self {
        let origin = Url::parse(&format!("https://{}/", cloud.graph_host()))
            .expect("Microsoft's host names are addresses");
        Self { origin }
    }

    /// Reads `--graph-url`.
    ///
    /// # Errors
    /// [`HostError`] when it is no plain `https://host[:port]`, or the host is neither known,
    /// trusted nor loopback.
    pub fn parse(text: &str, trusted: &TrustedHosts) -> Result<Self, HostError> {
        let origin = Url::parse(text.trim())
            .map_err(|_| HostError::NotAnAddress { reason: "write https://HOST" })?;
        let not = |reason| Err(HostError::NotAnAddress { reason });
        if !matches!(origin.scheme(), "http" | "https") {
            return not("write https://HOST");
        }
        if !origin.username().is_empty() || origin.password().is_some() {
            return not("a user name has no place in it");
        }
        if origin.query().is_some() || origin.fragment().is_some() {
            return not("leave out everything after the host");
        }
        if origin.path() != "/" {
            return not("leave out the path: the program itself adds the version, /v1.0 or /beta");
        }
        trusted.permit(&origin)?;
        Ok(Self { origin })
    }

    /// Scheme, host and port, ending in `/`.
    pub fn origin(&self) -> &Url {
        &self.origin
    }

    /// Whether this is the machine itself.
    pub fn is_loopback(&self) -> bool {
        self.origin.host().as_ref().is_some_and(is_loopback)
    }

    /// The cloud whose Graph this is; none for a simulator or a gateway.
    pub fn cloud(&self) -> Option<Cloud> {
        Cloud::VARIANTS
            .iter()
            .copied()
            .find(|cloud| self.origin.host_str() == Some(cloud.graph_host()))
    }

    /// The request target of the next page, from an `@odata.nextLink`.
    ///
    /// The link is opaque but for its host: a page from anywhere else would carry the token there.
    ///
    /// # Errors
    /// [`HostError::ForeignLink`] when it leads to another scheme, host or port.
    pub fn next_target(&self, link: &str) -> Result<String, HostError> {
        let url = self.origin.join(link).map_err(|_| HostError::BadLink)?;
        // Between the ports of this machine a link is followed by its path: a proxy before a
        // simulator hands its links through as they are.
        let both_here = self.is_loopback() && url.host().as_ref().is_some_and(is_loopback);
        let same = (url.origin() == self.origin.origin() || both_here)
            && url.username().is_empty()
            && url.password().is_none();
        if !same {
            let host = url.host_str().unwrap_or_default().to_owned();
            return Err(HostError::ForeignLink { host });
        }
        Ok(match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        })
    }
}

impl fmt::Display for GraphHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.origin.as_str().trim_end_matches('/'))
    }
}

/// An address that the program will not use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// `--cloud` has four values.
    #[error("there is no cloud {given:?}: choose global, usgov, dod or china")]
    UnknownCloud { given: String },
    /// `--trust-host` takes a name.
    #[error("{given:?} is not a host name: write it without scheme, port and path")]
    NotAHost { given: String },
    /// Not `https://HOST[:PORT]`. The text itself is not repeated: it may hold a password.
    #[error("the address cannot be used: {reason}")]
    NotAnAddress {
        /// What to change.
        reason: &'static str,
    },
    /// Plain `http` beyond this machine.
    #[error("no credential is sent to {host} over plain http: use https")]
    Insecure { host: String },
    /// Not one of Microsoft's hosts.
    #[error(
        "no credential is sent to {host}: it is none of Microsoft's hosts; if it is yours, add \
         --trust-host {host}"
    )]
    Untrusted { host: String },
    /// A page that sends the reader to another host.
    #[error("the list goes on at another address ({host}), which gets no credential from here")]
    ForeignLink { host: String },
    /// A next page that is no address.
    #[error("the list goes on at something that is no address")]
    BadLink,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<GraphHost, HostError> {
        GraphHost::parse(text, &TrustedHosts::new(["gateway.example"]).expect("a host"))
    }

    #[test]
    fn known_trusted_and_loopback_hosts_are_accepted() {
        for (given, shown) in [
            ("https://graph.microsoft.com", "https://graph.microsoft.com"),
            ("https://GRAPH.microsoft.com:443/", "https://graph.microsoft.com"),
            ("https://dod-graph.microsoft.us", "https://dod-graph.microsoft.us"),
            ("https://gateway.example:8443", "https://gateway.example:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("http://localhost:1", "http://localhost:1"),
        ] {
            assert_eq!(parse(given).map(|host| host.to_string()), Ok(shown.to_owned()), "{given}");
        }
    }

    #[test]
    fn every_other_host_is_refused() {
        for given in [
            "https://graph.microsoft.com.evil.example",
            "https://evil.example",
            "https://sub.gateway.example",
            "http://graph.microsoft.com",
            "http://gateway.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://169.254.169.254",
            "ftp://graph.microsoft.com",
            "https://graph.microsoft.com@evil.example",
            "https://graph.microsoft.com/v1.0",
            "https://graph.microsoft.com?x",
            "https://graph.microsoft.com#x",
            "graph.microsoft.com",
            "file:///etc/passwd",
            "",
        ] {
            assert!(parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_refused_address_is_not_repeated_with_its_password() {
        let error = parse("https://me:hunter2@graph.microsoft.com").expect_err("a password");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_next_page_stays_on_its_host() {
        let host = GraphHost::of(Cloud::Global);
        assert_eq!(
            host.next_target("https://graph.microsoft.com/beta/me/x?$skiptoken=a%2Fb"),
            Ok("/beta/me/x?$skiptoken=a%2Fb".to_owned())
        );
        assert_eq!(host.next_target("/beta/x"), Ok("/beta/x".to_owned()));
        for link in [
            "https://evil.example/beta",
            "//evil.example/beta",
            "http://graph.microsoft.com/beta",
            "https://graph.microsoft.com:444/beta",
            "https://graph.microsoft.com@evil.example/",
            "https://user@graph.microsoft.com/",
            "\\\\evil.example/",
            "data:,x",
        ] {
            assert!(matches!(host.next_target(link), Err(HostError::ForeignLink { .. })), "{link}");
        }
        let simulator = parse("http://127.0.0.1:8080").expect("loopback");
        let by_proxy = simulator.next_target("http://127.0.0.1:8081/beta?a=b");
        assert_eq!(by_proxy.expect("this machine"), "/beta?a=b");
        assert!(simulator.next_target("http://192.0.2.1:8080/beta").is_err());
    }

    #[test]
    fn clouds_are_read_by_name_and_know_their_offer() {
        for &cloud in Cloud::VARIANTS {
            assert_eq!(cloud.to_string().parse(), Ok(cloud));
            assert_eq!(GraphHost::of(cloud).cloud(), Some(cloud));
        }
        assert!("germany".parse::<Cloud>().is_err());
        assert!(Cloud::Global.offers_registration() && !Cloud::China.offers_registration());
        assert_eq!(Cloud::Dod.scope(), "https://dod-graph.microsoft.us/.default");
    }
}
