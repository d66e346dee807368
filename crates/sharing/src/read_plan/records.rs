//! Owns [`RecordReads`]: which records of an image's shares are read.

use std::collections::BTreeSet;

use super::Need;
use crate::{
    decide::{Authority, Case},
    domain::{ExpiryName, ImageId},
    request::Action,
};

/// Which records of an image's shares are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordReads {
    /// What follows where they can't be read.
    pub need: Need,
    /// What the names begin with that are listed.
    pub prefix: String,
    /// What the names of a pair of image and target begin with, where only these pairs are asked about.
    pairs: Option<BTreeSet<String>>,
    which: Which,
}

/// Which of the listed records are read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    /// Every one.
    Every,
    /// The latest of each pair, and these where they are listed.
    Latest(Vec<ExpiryName>),
    /// This one, and the latest after it.
    Since(ExpiryName),
}

impl RecordReads {
    /// Those with the asked targets, or where none are asked about, all.
    pub(super) fn new(case: &Case<'_>, image_id: &ImageId) -> Self {
        let request = case.request;
        // Of a group in a URL only the id is known yet, and so not the names of its records.
        let has_targets = request.action.takes_targets() && request.group.is_none();
        let prefix = match request.targets.as_slice() {
            [asked] if has_targets => ExpiryName::pair_prefix(image_id, &asked.target),
            _ => ExpiryName::image_prefix(image_id),
        };
        let pairs = request.targets.iter().map(|asked| ExpiryName::pair_prefix(image_id, &asked.target));
        let very =
            request.targets.iter().filter_map(|asked| ExpiryName::new(image_id, &asked.target, request.expires_at?));
        let is_needed = request.expires_at.is_some() || matches!(case.authority, Authority::Expiry(_));
        Self {
            need: if is_needed { Need::Required } else { Need::Optional },
            prefix,
            pairs: has_targets.then(|| pairs.collect()),
            which: match case.authority {
                Authority::Expiry(own) => Which::Since(own.name.clone()),
                Authority::Requester(_) if request.action.is_about_sharing() || request.action == Action::List => {
                    Which::Latest(very.collect())
                }
                Authority::Requester(_) => Which::Every,
            },
        }
    }

    /// The names to read, in lists of which the first that is a record will do. What is looked at or shared has the expiry
    /// time of its latest record, and a share needs to know of the very record that it asks for; what is taken away has all.
    pub fn lists(&self, mut names: Vec<ExpiryName>) -> Vec<Vec<ExpiryName>> {
        if let Some(pairs) = &self.pairs {
            names.retain(|name| pairs.contains(&format!("{}-", name.pair())));
        }
        match &self.which {
            Which::Every => names.into_iter().map(|name| vec![name]).collect(),
            Which::Since(own) => {
                // All that it asks of the others is whether a later one has taken its place: of a share that is renewed
                // often there are too many to read.
                let since = names.into_iter().filter(|name| name >= own);
                let (own, mut later): (Vec<_>, Vec<_>) = since.partition(|name| name == own);
                later.reverse();
                [later, own].into_iter().filter(|names| !names.is_empty()).collect()
            }
            Which::Latest(very) => {
                let newest_first = |names: &[ExpiryName]| names.iter().rev().cloned().collect::<Vec<_>>();
                let mut lists: Vec<_> =
                    names.chunk_by(|one, other| one.pair() == other.pair()).map(newest_first).collect();
                let is_first = |name: &ExpiryName| lists.iter().any(|list| list.first() == Some(name));
                let very = very.iter().filter(|name| names.contains(name) && !is_first(name));
                let very: Vec<_> = very.map(|name| vec![name.clone()]).collect();
                lists.extend(very);
                lists
            }
        }
    }
}
