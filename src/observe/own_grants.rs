//! Owns finding our own grants when access is removed.
//!
//! A key has up to 50,000 grants, and any account that may use the key can create nearly all of them. So if the first
//! page is not the last, two searches run at the same time: the grants of the grantees that we create grants for, and
//! all pages, one after the other, as long as there is time.

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

/// The most pages of one grantee's grants that are read. If a grantee has more, only the other search can find ours.
pub(super) const GRANTEE_PAGES: usize = 20;

/// The number of grants made by a target that are kept as examples.
const EXAMPLES: usize = 3;

/// Reads the grants on a key that may belong to this request.
pub(super) async fn scan(aws: &Aws, wanted: &OwnGrants, arn: &KeyArn) -> Reading<(Vec<Grant>, GrantScan)> {
    let first = match aws.page_of_grants(arn, None, None).await {
        Ok(page) => page,
        // The grants of a deleted key are deleted too.
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

/// The other pages of grants, one after the other.
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

/// Our grants for the grantees of shares, or `None` if some could not be listed.
async fn by_grantee(aws: &Aws, wanted: &OwnGrants, arn: &KeyArn) -> Option<Vec<Grant>> {
    let grantees = wanted.grantees(arn);
    let read = concurrently(grantees, async |grantee| aws.grants(arn, Some(grantee), GRANTEE_PAGES).await).await;
    let mut ours = Vec::new();
    for found in read.into_values() {
        match found {
            Ok(found) => ours.extend(found.into_iter().filter(|grant| wanted.include(grant))),
            // KMS does not know this principal, so there is no grant for it.
            Err(error) if error.failure.code == ErrorCode::NotFound => {}
            Err(_) => return None,
        }
    }
    Some(ours)
}

/// The grants that are kept.
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

    /// Both searches may find the same grant.
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
