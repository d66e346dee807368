//! Owns the self-service page: what is put into it, and the answer to `GET /` of the HTTP API.
//!
//! Anyone can get the page, so it contains only where people sign in, and the client ID.

mod settings;

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use key_policy::json::Json;
use serde_json::json;
use sha2::{Digest as _, Sha256};

pub use self::settings::{ClientId, Issuer, Origin, PageSettings};
use crate::{envelope::Envelope, reply::Reply};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// A request for the page.
#[derive(Debug, Clone, PartialEq)]
pub struct PageVisit {
    /// Whether the browser reads gzip.
    pub reads_gzip: bool,
    /// The answer of a deployment without a page: there is no such route.
    pub no_page: Envelope,
}

/// The page of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    document: String,
    /// The same, in base64.
    gzipped: Option<String>,
    policy: String,
}

impl Page {
    /// The page on which people sign in as these settings say.
    pub fn new(settings: &PageSettings) -> Self {
        let document = document(settings);
        let gzipped = gzipped(&document).map(|bytes| STANDARD.encode(bytes));
        Self { gzipped, policy: policy(settings), document }
    }

    /// The answer in API Gateway's form, compressed for a browser that reads gzip.
    pub fn reply(&self, reads_gzip: bool) -> Reply {
        let gzipped = self.gzipped.as_deref().filter(|_| reads_gzip);
        let mut headers = serde_json::Map::new();
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            // After an update of the stack, an old page could use a route that no longer exists.
            ("cache-control", "no-cache"),
            ("content-security-policy", &self.policy),
            ("referrer-policy", "no-referrer"), // the address has the issuer's code for a moment
            ("vary", "accept-encoding"),
            ("x-content-type-options", "nosniff"),
        ] {
            headers.insert(name.to_owned(), json!(value));
        }
        if gzipped.is_some() {
            headers.insert("content-encoding".to_owned(), json!("gzip"));
        }
        let body = gzipped.unwrap_or(&self.document);
        Reply::Document(
            json!({"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": gzipped.is_some()}),
        )
    }
}

/// The page with its style, its script and the settings in it.
fn document(settings: &PageSettings) -> String {
    let mut pieces = HTML.split("{{");
    let mut document = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or(("", piece));
        match name {
            "style" => document.push_str(STYLE),
            "script" => document.push_str(SCRIPT),
            "issuer" => document.push_str(&escaped(settings.issuer.as_str())),
            "token-origin" => {
                document.push_str(&escaped(settings.token_origin.as_ref().map_or("", Origin::as_str)));
            }
            "client-id" => document.push_str(&escaped(settings.client_id.as_str())),
            _ => {}
        }
        document.push_str(rest);
    }
    document
}

/// The text as the value of an HTML attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Its Content-Security-Policy: this script, this style, and calls only to this API and to the issuer.
/// <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy>
fn policy(settings: &PageSettings) -> String {
    let mut policy = format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src '{}'; style-src \
         '{}'; connect-src 'self' {}",
        hash(SCRIPT),
        hash(STYLE),
        settings.issuer.origin()
    );
    if let Some(origin) = settings.token_origin.as_ref().filter(|origin| *origin != settings.issuer.origin()) {
        policy.push(' ');
        policy.push_str(origin.as_str());
    }
    policy
}

/// The hash of an inline script or style, as a policy names it.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

fn gzipped(document: &str) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(document.as_bytes()).ok()?;
    encoder.finish().ok()
}

/// Whether the header `Accept-Encoding` lets the answer be gzip. Without the header, it does.
/// <https://www.rfc-editor.org/rfc/rfc9110.html#name-accept-encoding>
pub(super) fn reads_gzip(event: &Json) -> bool {
    let headers = event.get("headers").and_then(Json::as_object).unwrap_or_default();
    let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"));
    let Some(accepted) = header.and_then(|(_, value)| value.as_str()) else { return true };
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let is_refused = matches!(parameters.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            name.trim().eq_ignore_ascii_case(wanted).then_some(!is_refused)
        })
    };
    weight("gzip").or_else(|| weight("*")).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn settings(issuer: &str, client: &str, token_origin: Option<&str>) -> PageSettings {
        PageSettings {
            issuer: issuer.parse().unwrap(),
            client_id: client.parse().unwrap(),
            token_origin: token_origin.map(|origin| origin.parse().unwrap()),
        }
    }

    /// The text between two marks, the only ones of their kind.
    fn between<'a>(text: &'a str, opening: &str, closing: &str) -> &'a str {
        assert_eq!((text.matches(opening).count(), text.matches(closing).count()), (1, 1), "{opening} {closing}");
        text.split_once(opening).unwrap().1.split_once(closing).unwrap().0
    }

    #[test]
    fn the_policy_names_the_script_and_the_style_that_are_in_the_page() {
        let settings = settings("https://login.example.com/tenant", "page", None);
        let document = document(&settings);
        let of = |text: &str| STANDARD.encode(Sha256::digest(text));
        let (script, style) = (
            of(between(&document, "<script type=\"module\">", "</script>")),
            of(between(&document, "<style>", "</style>")),
        );
        assert_eq!(
            policy(&settings),
            format!(
                "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                 script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self' https://login.example.com"
            )
        );
    }

    #[test]
    fn the_page_has_its_settings_as_text_of_html() {
        let page = document(&settings("https://login.example.com/a&b", "page", Some("https://tokens.example.com")));
        for text in ["https://login.example.com/a&amp;b", "https://tokens.example.com", "page"] {
            assert!(page.contains(&format!("\"{text}\"")), "{text}");
        }
        assert!(!page.contains("{{token-origin}}") && !page.contains("a&b"));
    }

    #[test]
    fn the_token_origin_is_named_where_it_is_another() {
        let connect = |origin| {
            let policy = policy(&settings("https://login.example.com", "page", origin));
            policy.split_once("connect-src ").unwrap().1.to_owned()
        };
        let both = "'self' https://login.example.com https://tokens.example.com:8443";
        assert_eq!(connect(Some("https://tokens.example.com:8443")), both);
        assert_eq!(connect(Some("https://login.example.com")), "'self' https://login.example.com");
        assert_eq!(connect(None), "'self' https://login.example.com");
    }

    #[test]
    fn only_the_settings_are_put_in_and_they_stay_text() {
        let document = document(&settings("https://i.example/a'b", r#""><script>alert(1)</script>{{script}}&"#, None));
        assert!(document.contains(r#"content="https://i.example/a&#39;b""#), "{document}");
        let client = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{script}}&amp;";
        assert!(document.contains(&format!(r#"content="{client}""#)));
        assert_eq!(document.matches("{{").count(), 1, "only the one that the client ID has");
        assert_eq!(document.matches("<script").count(), 1);
    }

    /// No file beside it, no address but those of the settings, and nothing that writes markup from text.
    #[test]
    fn the_page_is_one_small_file_that_asks_nobody_else() {
        let settings = settings("https://login.example.com", "page", None);
        let document = document(&settings);
        assert!(document.len() <= 60_000, "{} bytes", document.len());
        let addresses: Vec<_> = document.match_indices("://").collect();
        assert_eq!(addresses.len(), 1, "the issuer's");
        for word in [" src=", "@import", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!document.contains(word), "{word}");
        }
        assert!(!STYLE.contains("url("));
        for storage in ["localStorage", "document.cookie", "indexedDB"] {
            assert!(!SCRIPT.contains(storage), "{storage}");
        }
    }

    #[test]
    fn the_answer_is_compressed_for_who_reads_it() {
        let page = Page::new(&settings("https://login.example.com", "page", None));
        let answer = |reads_gzip| {
            let Reply::Document(answer) = page.reply(reads_gzip) else { panic!("a document") };
            answer
        };
        let (gzipped, plain) = (answer(true), answer(false));
        assert_eq!((&plain["isBase64Encoded"], &plain["headers"]["content-encoding"]), (&json!(false), &json!(null)));
        assert_eq!(gzipped["headers"]["content-encoding"], "gzip");
        assert_eq!(gzipped["headers"]["x-content-type-options"], "nosniff");
        let bytes = STANDARD.decode(gzipped["body"].as_str().unwrap()).unwrap();
        assert!(bytes.len() < 21_000, "{} bytes", bytes.len());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        assert_eq!(json!(text), plain["body"]);
    }

    #[test]
    fn gzip_is_sent_unless_the_header_leaves_it_out() {
        for (header, expect) in [
            (r#"{}"#, true),
            (r#"{"accept-encoding": "gzip, deflate, br"}"#, true),
            (r#"{"Accept-Encoding": "br;q=1.0, GZIP;q=0.5"}"#, true),
            (r#"{"accept-encoding": "*"}"#, true),
            (r#"{"accept-encoding": "*;q=0"}"#, false),
            (r#"{"accept-encoding": "gzip;q=0, *"}"#, false),
            (r#"{"accept-encoding": "identity"}"#, false),
            (r#"{"accept-encoding": ""}"#, false),
        ] {
            assert_eq!(reads_gzip(&Json::parse(&format!(r#"{{"headers": {header}}}"#)).unwrap()), expect, "{header}");
        }
        assert!(reads_gzip(&Json::Null));
    }
}
