//! Owns the check that an answer of EC2 is a whole document. The SDK's reader treats the end of the input as the end of
//! a list. So from an answer that is cut off, it would make an image without its encrypted snapshots, and that image
//! would need no key.

use aws_sdk_ec2::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::AfterDeserializationInterceptorContextRef},
    error::BoxError,
};

/// Fails an attempt if its answer is not a whole document.
#[derive(Debug)]
pub(super) struct WholeDocuments;

impl Intercept for WholeDocuments {
    fn name(&self) -> &'static str {
        "WholeDocuments"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        match response.body().bytes() {
            Some(body) if response.status().is_success() && !is_whole(body) => {
                Err("the answer is not a whole document".into())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether the root element is closed at the end.
fn is_whole(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    let text = text.trim();
    let declared = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let start = declared.map_or(text, |(_, rest)| rest.trim_start());
    let name = start.strip_prefix('<').and_then(|rest| rest.split([' ', '>', '\n', '\t', '\r']).next());
    let end = |name| text.strip_suffix('>').and_then(|rest| rest.strip_suffix(name));
    name.filter(|name| !name.is_empty()).and_then(end).is_some_and(|rest| rest.ends_with("</"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_whole_when_its_root_is_closed() {
        let whole = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet><item/></imagesSet></DescribeImagesResponse>
"#;
        assert!(is_whole(whole.as_bytes()));
        assert!(is_whole(b"<R><a>1</a></R>"));
        let end = whole.trim_end().len();
        for length in 0..end {
            assert!(!is_whole(&whole.as_bytes()[..length]), "the first {length} bytes");
        }
        for garbage in ["", "<", "<>", "</>", "<html", "R></R>", "{\"a\": 1}", "<a></b>", "no </a>"] {
            assert!(!is_whole(garbage.as_bytes()), "{garbage}");
        }
        assert!(!is_whole(b"\xff\xfe</R>"));
    }
}
