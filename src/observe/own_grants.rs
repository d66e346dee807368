//! Owns the look for grants that access was given by, where it is taken away.
//!
//! A key has up to 50,000 grants, and whoever may use it can make nearly all of them. So where the first page is not all,
//! two ways are gone at once: the grants of those whom ours are for, and page after page as long as there is time.

use std::collections::BTreeMap;

use futures_util::future;
use key_policy::Grant;
use sharing::{
    domain::{AccountId, KeyArn},
    facts::{Failure, GrantScan, Reading},
    outcome::ErrorCode,
    read_plan::OwnGrants,
};

use super::answers::{concurrently, left_out};
use crate::aws::{ALL_GRANT_PAGES, Aws};

/// So many pages are read of the grants of one grantee; one with more of them is found by the other way, or not at all.
pub(super) const GRANTEE_PAGES: usize = 20;

/// So many grants that a target made are kept as examples.
const EXAMPLES: usize = 3;

/// Reads the grants of a key as far as they may be of this request.
pub(super) async fn scan(aws: &Aws, wanted: &OwnGrants, arn: &KeyArn) -> Reading<(Vec<Grant>, GrantScan)> {
    let first = match aws.page_of_grants(arn, None, None).await {
        Ok(page) => page,
        // A key that was deleted has taken its grants along.
        Err(error) if error.failure.code == ErrorCode::NotFound => return Ok(Default::default()),
        Err(error) => return Err(error.failure),
    };
    let mut kept = Kept::default();
    kept.take(wanted, first.grants);
    if first.marker.is_none() {
        return Ok(kept.end(None, false));
    }
    let (by_grantee, unseen) =
        future::join(by_grantee(aws, wanted, arn), scan_on(aws, wanted, arn, first.marker, &mut kept)).await;
    let is_complete = wanted.are_of_grantees && by_grantee.is_some();
    kept.add(by_grantee.into_iter().flatten());
    Ok(kept.end(unseen.err(), !is_complete))
}

/// The rest of the grants, page after page.
async fn scan_on(
    aws: &Aws,
    wanted: &OwnGrants,
    arn: &KeyArn,
    mut marker: Option<String>,
    kept: &mut Kept,
) -> Reading<()> {
    for _ in 0..ALL_GRANT_PAGES {
        let page = aws.page_of_grants(arn, None, marker).await?;
        kept.take(wanted, page.grants);
        marker = page.marker;
        if marker.is_none() {
            return Ok(());
        }
    }
    Err(left_out("kms:ListGrants", arn, format!("{arn} has more grants than {ALL_GRANT_PAGES} pages hold")))
}

/// The grants of ours for those whom a share makes grants for, or nothing where some of them could not be listed.
async fn by_grantee(aws: &Aws, wanted: &OwnGrants, arn: &KeyArn) -> Option<Vec<Grant>> {
    let grantees = wanted.grantees(arn);
    let read = concurrently(grantees, async |grantee| aws.grants(arn, Some(grantee), GRANTEE_PAGES).await).await;
    let mut ours = Vec::new();
    for found in read.into_values() {
        match found {
            Ok(found) => ours.extend(found.into_iter().filter(|grant| wanted.include(grant))),
            // KMS knows no such principal, and so no grant for it.
            Err(error) if error.failure.code == ErrorCode::NotFound => {}
            Err(_) => return None,
        }
    }
    Some(ours)
}

/// What is kept of the grants that were seen.
#[derive(Default)]
struct Kept {
    grants: Vec<Grant>,
    made_by: BTreeMap<AccountId, usize>,
}

impl Kept {
    fn take(&mut self, wanted: &OwnGrants, grants: Vec<Grant>) {
        for grant in grants {
            if wanted.include(&grant) {
                self.add([grant]);
                continue;
            }
            let Some(issuer) = grant.issuer().filter(|issuer| *issuer != wanted.owner) else { continue };
            let count = self.made_by.entry(issuer).or_default();
            if *count < EXAMPLES {
                self.grants.push(grant);
            }
            *count = count.saturating_add(1);
        }
    }

    /// Both ways may come upon the same grant.
    fn add(&mut self, ours: impl IntoIterator<Item = Grant>) {
        for grant in ours {
            if !self.grants.iter().any(|known| known.grant_id == grant.grant_id) {
                self.grants.push(grant);
            }
        }
    }

    fn end(self, unseen: Option<Failure>, may_hide_ours: bool) -> (Vec<Grant>, GrantScan) {
        let may_hide_ours = unseen.is_some() && may_hide_ours;
        (self.grants, GrantScan { made_by: self.made_by, unseen, may_hide_ours })
    }
}
