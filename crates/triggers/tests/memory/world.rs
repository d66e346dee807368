//! Owns [`World`]: a share with everything that AWS would answer, for the bench and for the count of its allocations.
//!
//! The facts are those of the waves in `python/ami_share_tools/benches/aws.py`: so many images with four snapshots on two keys, whose policies
//! let in every account that is asked for.

use ami_share_testing::key_policies::open_to;
use key_policy::Policy;
use serde_json::json;
use sharing::{
    allowlist::Allowlist,
    decide::{self, Approval, Authority, Case, Setup},
    domain::{ImageId, KeyArn, Requester, SnapshotId},
    facts::{Backing, CreateVolumePermissions, Fact, Facts, Image, ImageState, Key, KeyMetadata, Snapshot},
    log_record::LogRecord,
    outcome::{Outcome, Status},
    plan::plan,
    progress::ImageResult,
    report,
};
use time::OffsetDateTime;
use triggers::{Event, Incoming, Invocation, Trigger, reply};

/// Why there is no world, or no answer.
pub(crate) type Failure = Box<dyn std::error::Error>;

const ACCOUNT: &str = "999988887777";
const SNAPSHOTS: usize = 4;
const KEYS: usize = 2;

/// What is asked, what is allowed and what AWS said.
pub(crate) struct World {
    event: String,
    pub(crate) allowlist_text: String,
    pub(crate) policy_text: String,
    allowlist: Allowlist,
    facts: Facts,
}

impl World {
    pub(crate) fn new(images: usize, accounts: usize) -> Result<Self, Failure> {
        let ids: Vec<_> = (0..images).map(|n| format!("ami-{n:017x}")).collect();
        let accounts: Vec<_> = (1..=accounts).map(|n| format!("{n:012}")).collect();
        let names: Vec<_> = accounts.iter().map(String::as_str).collect();
        let policy = open_to(&names);
        let rule = json!({"name": "portal", "requesters": ["lambda:invoke"], "actions": ["share"], "images": {"names": ["golden-*"]}, "targets": accounts});
        let allowlist_text = json!({"version": 1, "rules": [rule]}).to_string();
        let policy_text = policy.to_string();
        let mut facts = Facts::default();
        for number in 0..KEYS {
            let metadata =
                KeyMetadata { is_aws_managed: false, unusable_state: None, is_symmetric: true, ends_at: None };
            let key = Key {
                metadata: Fact::Known(metadata),
                policy: Fact::Known(Policy::parse(&policy_text)?),
                grants: Fact::Known(Vec::new()),
            };
            facts.keys.insert(key_arn(number)?, key);
        }
        for (place, id) in ids.iter().enumerate() {
            facts.images.insert(id.parse::<ImageId>()?, image(place)?);
        }
        Ok(Self {
            event: json!({"action": "share", "imageIds": ids, "accountIds": accounts}).to_string(),
            allowlist: Allowlist::parse(&allowlist_text)?,
            allowlist_text,
            policy_text,
            facts,
        })
    }

    /// The whole way of a request but for AWS, to the bytes of its answer and of its record in the log.
    pub(crate) fn answer(&self) -> Result<String, Failure> {
        self.put(|case, requester| {
            let mut outcome = Outcome { requester: Some(requester.clone()), ..Outcome::new("bench", Status::Refused) };
            report::report(&mut outcome, case, &self.facts, self.planned(case)?, "eu-west-1");
            let record = LogRecord { outcome: &outcome, trigger: "direct", lambda_request_id: "bench", at: case.now };
            let log: usize = record.lines().iter().map(String::len).sum();
            let reply = reply(Trigger::Direct, outcome).map_err(|error| error.error_message)?;
            if log == 0 { Err("nothing is logged".into()) } else { Ok(serde_json::to_string(&reply)?) }
        })
    }

    /// Measures the decision and the plans alone, with `measure`.
    pub(crate) fn decided<T>(&self, measure: impl FnOnce(&dyn Fn()) -> T) -> Result<T, Failure> {
        self.put(|case, _| {
            self.planned(case)?;
            Ok(measure(&|| drop(self.planned(case))))
        })
    }

    /// Decides and plans.
    fn planned<'a>(&'a self, case: &Case<'a>) -> Result<Vec<ImageResult<'a>>, Failure> {
        let mut planned = Vec::new();
        for decision in
            decide::decide(case, &self.facts, &decide::Judgements::until(&|| false)).map_err(|error| error.message)?
        {
            let image = self.facts.images.get(decision.image_id).ok_or("no image")?;
            if plan(case, &decision, image, &self.facts).len() != 1 {
                return Err("not one step".into());
            }
            planned.push(ImageResult { decision, steps: Vec::new(), lost: Vec::new() });
        }
        Ok(planned)
    }

    /// Opens the event, and calls `look` with the case.
    fn put<T>(&self, look: impl FnOnce(&Case<'_>, &Requester) -> Result<T, Failure>) -> Result<T, Failure> {
        let event: Event = serde_json::from_str(&self.event)?;
        let now = OffsetDateTime::UNIX_EPOCH;
        let Incoming::One(envelope) =
            triggers::open(&event, &Invocation { request_id: "bench", now, groups_claim: "groups" })
        else {
            return Err("no request".into());
        };
        let (request, requester) = (envelope.asked.map_err(|_| "turned away")?, envelope.requester.ok_or("nobody")?);
        let case = Case {
            request: &request,
            named: &request.image_ids,
            authority: Authority::Requester(&requester),
            allowlist: &self.allowlist,
            account: ACCOUNT.parse()?,
            entity_quota: 1000,
            unset_for_expiry: &[],
            is_automatic: false,
            region: "eu-west-1",
            request_id: "request",
            unset_for_copies: &[],
            hint: None,
            approval: Approval::Asked,
            setup: Setup { key_grants: true, copy_access: true, copies: true, approvals: true },
            now,
            deadline: now,
        };
        look(&case, &requester)
    }
}

fn key_arn(number: usize) -> Result<KeyArn, Failure> {
    Ok(format!("arn:aws:kms:eu-west-1:{ACCOUNT}:key/{number:08}-1111-2222-3333-444444444444").parse()?)
}

fn image(place: usize) -> Result<Image, Failure> {
    let snapshot = |number: usize| {
        let id: SnapshotId = format!("snap-{:017x}", place.saturating_mul(SNAPSHOTS).saturating_add(number)).parse()?;
        let snapshot = Snapshot {
            id: id.clone(),
            owner: ACCOUNT.parse()?,
            key: Some(key_arn(number.checked_rem(KEYS).unwrap_or_default())?),
            create_volume_permissions: Fact::Known(CreateVolumePermissions::default()),
            needed_by: Fact::Known(Default::default()),
        };
        Ok(Backing { id, snapshot: Fact::Known(snapshot) })
    };
    Ok(Image {
        owner: ACCOUNT.parse()?,
        state: ImageState::Available,
        state_reason: None,
        name: Some(format!("golden-{place}")),
        tags: Default::default(),
        provenance: Default::default(),
        architecture: None,
        volume_sizes: Vec::new(),
        deprecation_time: None,
        has_product_codes: false,
        launch_permissions: Fact::Known(Vec::new()),
        expiries: Fact::Known(Default::default()),
        remembered_keys: Vec::new(),
        source_naming: None,
        waiting: Fact::NotRead,
        is_instance_store: false,
        is_encrypted: false,
        snapshots: (0..SNAPSHOTS).map(snapshot).collect::<Result<_, Failure>>()?,
    })
}
