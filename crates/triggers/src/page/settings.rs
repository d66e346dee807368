//! Owns the page's settings: the issuer at which people sign in, the page's client ID there, and the origin of the
//! token endpoint.

use std::{fmt, str::FromStr};

/// Longer than any issuer in use; `jwt:` requesters have the same bound.
const MAX_ISSUER: usize = 512;
/// Longer than any client ID in use.
const MAX_CLIENT_ID: usize = 255;

/// What a deployment puts into its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSettings {
    /// Where people sign in.
    pub issuer: Issuer,
    /// The page's client at the issuer.
    pub client_id: ClientId,
    /// The origin of the issuer's token endpoint, where it is another than the issuer's.
    pub token_origin: Option<Origin>,
}

/// An issuer of OpenID Connect: an HTTPS address without query and fragment.
/// <https://openid.net/specs/openid-connect-core-1_0.html#IssuerIdentifier>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    url: String,
    origin: Origin,
}

impl Issuer {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl FromStr for Issuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte);
        let host =
            text.find("://").and_then(|scheme| Some((scheme.checked_add(3)?, text.get(scheme.checked_add(3)?..)?)));
        let end = host.and_then(|(start, rest)| start.checked_add(rest.find('/').unwrap_or(rest.len())));
        let (origin, path) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
        let origin = origin.parse()?;
        if text.len() > MAX_ISSUER || !path.bytes().all(is_of_path) {
            return Err(format!(
                "an issuer is an address of at most {MAX_ISSUER} characters without query and fragment, such as \
                 `https://login.example.com/tenant`"
            ));
        }
        Ok(Self { url: text.to_owned(), origin })
    }
}

/// The origin of an address, over HTTPS. HTTP is allowed only for the loopback address, to try the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// As a Content-Security-Policy names it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
        let is_host = (1..=253).contains(&host.len())
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        let is_safe = scheme == "https" || scheme == "http" && matches!(host, "127.0.0.1" | "localhost");
        if is_host && is_port && is_safe {
            Ok(Self(text.to_owned()))
        } else {
            Err("an address begins with an origin such as `https://login.example.com`".to_owned())
        }
    }
}

/// The ID of an OAuth client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    /// As the issuer knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = String;

    /// RFC 6749, appendix A.1: characters that can be seen, and spaces.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_text = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if is_text && (1..=MAX_CLIENT_ID).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("a client ID is 1 to {MAX_CLIENT_ID} ASCII characters that can be seen"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(issuer: &str, origin: Option<&str>) {
        let parsed = issuer.parse::<Issuer>();
        assert_eq!(parsed.as_ref().ok().map(|issuer| issuer.origin().as_str()), origin, "{issuer}");
        assert!(parsed.is_err() || parsed.unwrap().as_str() == issuer);
    }

    #[test]
    fn an_issuer_is_an_https_address_and_over_http_only_this_machines() {
        for (issuer, origin) in [
            ("https://login.example.com", "https://login.example.com"),
            ("https://tenant.example.com/", "https://tenant.example.com"),
            ("https://login.example.com:8443/a/v2.0", "https://login.example.com:8443"),
            ("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a", "https://cognito-idp.eu-west-1.amazonaws.com"),
            ("http://127.0.0.1:4000/people", "http://127.0.0.1:4000"),
            ("http://localhost:4000", "http://localhost:4000"),
        ] {
            check(issuer, Some(origin));
        }
        for issuer in [
            "",
            "login.example.com",
            "http://login.example.com",
            "http://127.0.0.1.example.com",
            "javascript://a",
            "https://",
            "https:///path",
            "https://a b",
            "https://a;script-src *",
            "https://a 'unsafe-inline'",
            "https://user@a",
            "https://a:0",
            "https://a:99999",
            "https://a?b",
            "https://a/b?c",
            "https://a/b#c",
            "https://a/\"b",
            "https://a/ b",
            "https://\u{e4}.example",
        ] {
            check(issuer, None);
        }
        check(&format!("https://a/{}", "x".repeat(MAX_ISSUER)), None);
    }

    #[test]
    fn an_origin_has_no_path() {
        assert!("https://a.example".parse::<Origin>().is_ok());
        assert!("https://a.example/".parse::<Origin>().is_err());
    }

    #[test]
    fn a_client_id_can_be_seen() {
        assert!("1h57kf5cpq17m0eml12EXAMPLE".parse::<ClientId>().is_ok());
        assert!(["", "a\n", "\u{202e}"].iter().all(|id| id.parse::<ClientId>().is_err()));
        assert!("x".repeat(256).parse::<ClientId>().is_err());
    }
}
