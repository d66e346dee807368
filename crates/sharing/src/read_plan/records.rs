//! Owns [`RecordReads`]: which records of an image's shares are read.

use std::collections::BTreeSet;

use super::Need;
use crate::{
    decide::{Authority, Case},
    domain::{ExpiryName, ImageId, Target},
    request::Action,
};

/// Which records of an image's shares are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordReads {
    /// What happens if they can't be read.
    pub need: Need,
    /// The prefix of the names that are listed.
    pub prefix: String,
    image_id: ImageId,
    /// The requested targets; `None` if the records of all are read.
    targets: Option<Vec<Target>>,
    which: Which,
}

/// Which of the listed records are read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    /// Every record.
    Every,
    /// The latest record of each pair, and these records if they are listed.
    Latest(Vec<ExpiryName>),
    /// This record, and the latest one after it.
    Since(ExpiryName),
}

impl RecordReads {
    /// The records for the requested targets; all records if the request has no targets.
    pub(super) fn new(case: &Case<'_>, image_id: &ImageId) -> Self {
        let request = case.request;
        // If a URL names a group, its ARN is not known yet, so the names of its records are not known either.
        let has_targets = request.action.takes_targets() && request.group.is_none();
        let prefix = match request.targets.as_slice() {
            [asked] if has_targets => ExpiryName::pair_prefix(image_id, &asked.target),
            _ => ExpiryName::image_prefix(image_id),
        };
        let very =
            request.targets.iter().filter_map(|asked| ExpiryName::new(image_id, &asked.target, request.expires_at?));
        let is_needed = request.expires_at.is_some() || matches!(case.authority, Authority::Expiry(_));
        Self {
            need: if is_needed { Need::Required } else { Need::Optional },
            prefix,
            image_id: image_id.clone(),
            targets: has_targets.then(|| request.targets.iter().map(|asked| asked.target.clone()).collect()),
            which: match case.authority {
                Authority::Expiry(own) => Which::Since(own.name.clone()),
                Authority::Requester(_) if request.action.is_about_sharing() || request.action == Action::List => {
                    Which::Latest(very.collect())
                }
                Authority::Requester(_) => Which::Every,
            },
        }
    }

    /// The names to read, in lists: of each list, the first name that is a record is enough. For a share or a list,
    /// that is the latest record of a pair, which gives the expiry time; a share also reads the record for the time
    /// that it asks for. An action that removes access reads every record.
    pub fn lists(&self, mut names: Vec<ExpiryName>) -> Vec<Vec<ExpiryName>> {
        if let Some(targets) = self.targets.as_ref().filter(|_| !names.is_empty()) {
            let pairs: BTreeSet<_> =
                targets.iter().map(|target| ExpiryName::pair_prefix(&self.image_id, target)).collect();
            names.retain(|name| pairs.contains(&format!("{}-", name.pair())));
        }
        match &self.which {
            Which::Every => names.into_iter().map(|name| vec![name]).collect(),
            Which::Since(own) => {
                // Of the others, only the latest matters: a later record means that the share was renewed. A share that
                // is renewed often has too many records to read them all.
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
