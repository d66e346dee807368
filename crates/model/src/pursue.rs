//! Owns an admitted request: it observes, decides and acts, or waits for approval. The order of calls of `execute::pursue`,
//! which is written here again.

use sharing::{
    decide::{self, Authority, Case, Judgements},
    facts::Fact,
    outcome::Outcome,
    plan::writes,
};

use crate::{
    act::act,
    desk,
    invocation::{Invocation, Pursued},
    planted::Planted,
    reading::observe,
    script::{Asked, read},
    world::{self, SLOTS},
};

/// Observes, decides and acts: the order of `execute::pursue`.
pub fn pursue(invocation: &Invocation<'_, '_>, case: &Case<'_>, outcome: Outcome) -> Asked<Pursued> {
    let judgements = Judgements::until(&|| false);
    let mut facts = match read(observe(invocation, case, &judgements))? {
        Ok(facts) => facts,
        Err(failure) => return Ok(Pursued::failed(outcome, failure)),
    };
    if let (Planted::NeverSuperseded, Authority::Expiry(own)) = (invocation.planted, case.authority) {
        facts.images.values_mut().for_each(|image| {
            if let Fact::Known(expiries) = &mut image.expiries {
                expiries.retain(|name, _| *name == own.name);
            }
        });
    }
    if case.request.action.takes_away() && invocation.planted.keeps_half(&facts) {
        facts.keys.values_mut().for_each(|key| key.grants = Fact::Known(Vec::new()));
    }
    if invocation.planted == Planted::BlindGrants {
        facts.keys.values_mut().filter(|key| key.grants.failed().is_some()).for_each(|key| {
            key.grants = Fact::Known(Vec::new());
        });
    }
    if invocation.planted == Planted::SeesGrants {
        let all = world::grants([[1; 2]; SLOTS]);
        facts.keys.values_mut().filter(|key| key.grants.failed().is_some()).for_each(|key| {
            key.grants = Fact::Known(all.clone());
        });
    }
    let sent = case.request;
    let copied = decide::resolve_copies(case, &facts);
    let case = Case { request: &copied, ..*case };
    let request = decide::resolve(&case, &facts).expect("no group is named").into_owned();
    let case = Case { request: &request, ..case };
    let decisions = decide::decide(&case, &facts, &judgements).expect("there is time");
    let asks = writes(&case, &facts, &decisions) && invocation.planted != Planted::AsksNobody;
    match decide::ask(&case, sent, &decisions).filter(|_| asks) {
        Some(ask) => desk::wait(invocation, &case, (&facts, decisions), ask, outcome),
        None => act(invocation, &case, &facts, decisions, outcome),
    }
}
