//! Owns how an [`Allowlist`] is read from a document: the fields of the document as a whole.

mod copies;
mod directory;
mod fault;
mod images;
mod publish;
mod reader;
mod rule;
mod values;

use directory::Names;
pub use fault::{DocumentFault, InvalidAllowlist, Part};
use reader::Reader;

use super::{
    Allowlist,
    yaml::{Node, Unreadable, Value},
};

impl Allowlist {
    /// Reads JSON (a document that begins with `{`) or YAML, without tags, anchors, aliases and repeated keys, and
    /// names every fault.
    pub fn parse(text: &str) -> Result<Self, InvalidAllowlist> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader::default();
        let allowlist = match Node::parse(text) {
            Ok(root) => reader.document(&root),
            Err(Unreadable { line, message, rule }) => {
                reader.part = rule.map_or(Part::Document, Part::Rule);
                reader.fault(line, "", message);
                None
            }
        };
        let mut faults = reader.faults;
        faults.sort_by_key(|fault| fault.line);
        match allowlist {
            Some(allowlist) if faults.is_empty() => Ok(allowlist),
            Some(_) | None => Err(InvalidAllowlist { faults }),
        }
    }
}

impl Reader {
    fn document(&mut self, root: &Node) -> Option<Allowlist> {
        let mut fields = self.fields("", (root.line, root), &["version", "accounts", "groups", "rules"])?;
        match fields.take("version") {
            Some(field) if self.is_unreadable("version", field) => {}
            Some((_, Node { value: Value::Number(number), .. })) if number == "1" => {}
            Some((line, Node { value: Value::Number(number), .. })) => {
                self.fault(line, "version", format!("version {number}; this function reads version 1"));
            }
            Some(field) => self.wrong_kind("version", field, "the number 1"),
            None => self.fault(fields.line, "version", "missing; this function reads version 1"),
        }
        let mut names = Names::default();
        let accounts = fields.take("accounts").map(|field| self.accounts(field, &mut names)).unwrap_or_default();
        if let Some(field) = fields.take("groups") {
            self.groups(field, &mut names);
        }
        let rules = match fields.take("rules") {
            Some(field) => self.rules(field, &names),
            None => {
                self.fault(fields.line, "rules", "missing; nothing would be allowed to anybody");
                Vec::new()
            }
        };
        Some(Allowlist { accounts, rules })
    }
}
