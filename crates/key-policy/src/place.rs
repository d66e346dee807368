//! Owns what is known about the place of a target in AWS Organizations.

use super::{
    caller::{Known, OrganizationFacts},
    context::Form,
    key_use::AskedUse,
    truth::Truth,
};
use crate::domain::{OrganizationalUnitArn, Target};

/// The place of the target in its organization, with the facts that follow from other facts.
pub(super) fn known_place(asked: &AskedUse) -> OrganizationFacts {
    let mut place = asked.organization.clone();
    if let Known::Is(paths) = &mut place.paths {
        for path in paths.iter_mut().filter(|path| !path.ends_with('/')) {
            path.push('/');
        }
    }
    match &asked.target {
        Target::Account(_) => {
            if let (Known::Unknown, Known::Is(paths)) = (&place.organization_id, &place.paths) {
                let named = paths.first().and_then(|path| path.split('/').next()).map(ToOwned::to_owned);
                place.organization_id = named.map_or(Known::Unknown, |id| Known::Is(Some(id)));
            }
            // An account of an organization always has a path, so an empty list means that it is not known.
            if let (Known::Is(Some(_)), Known::Is(paths)) = (&place.organization_id, &place.paths)
                && paths.is_empty()
            {
                place.paths = Known::Unknown;
            }
            if place.organization_id == Known::Is(None) {
                place.paths = Known::Is(Vec::new());
            }
        }
        Target::Organization(organization) => {
            place.organization_id = Known::Is(Some(organization.organization_id().to_owned()));
        }
        Target::OrganizationalUnit(unit) => place.organization_id = Known::Is(Some(unit.organization_id().to_owned())),
    }
    place
}

/// The forms that `aws:PrincipalOrgPaths` can have for the target. There are none if the path of an account is
/// known, or where nothing is known.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalorgpaths>
pub(super) fn path_forms(target: &Target, place: &OrganizationFacts) -> Vec<Form> {
    match (target, &place.organization_id, &place.paths) {
        (Target::Account(_), Known::Is(Some(organization)), Known::Unknown) => {
            vec![Form::new(&format!("{organization}/r-*/"))]
        }
        (Target::Account(_), _, _) => Vec::new(),
        (Target::Organization(organization), _, paths) => {
            let organization = organization.organization_id();
            let top = path_to(paths, |part| part.starts_with("r-"));
            let top = top.filter(|path| path.strip_prefix(organization).is_some_and(|rest| rest.starts_with('/')));
            vec![Form::new(&top.map_or_else(|| format!("{organization}/r-*/"), |path| format!("{path}*")))]
        }
        (Target::OrganizationalUnit(unit), _, paths) => match unit_path(unit, paths) {
            Some(path) => vec![Form::new(&format!("{path}*"))],
            None => forms_below(unit).to_vec(),
        },
    }
}

/// The forms of the paths at or below a unit whose path is not known: its ID, `ou-<root>-<unit>`, names the root, but
/// not the units between.
fn forms_below(unit: &OrganizationalUnitArn) -> [Form; 2] {
    let (organization, unit) = (unit.organization_id(), unit.unit_id());
    let root = unit.strip_prefix("ou-").and_then(|id| id.split_once('-')).map_or("*", |(root, _)| root);
    ["", "*/"].map(|between| Form::new(&format!("{organization}/r-{root}/{between}{unit}/*")))
}

/// Whether the path may be the unit's own.
pub(super) fn may_be_path_of(unit: &OrganizationalUnitArn, path: &str) -> bool {
    forms_below(unit).iter().any(|form| form.may_be(path) != Truth::False)
}

/// The unit's own path with its final slash, taken from a path at or below it.
pub(super) fn unit_path(unit: &OrganizationalUnitArn, paths: &Known<Vec<String>>) -> Option<String> {
    path_to(paths, |part| part == unit.unit_id())
        .filter(|path| path.strip_prefix(unit.organization_id()).is_some_and(|rest| rest.starts_with('/')))
}

/// The first path that has a part for which `is_last` is true, up to and including that part.
fn path_to(paths: &Known<Vec<String>>, is_last: impl Fn(&str) -> bool) -> Option<String> {
    let Known::Is(paths) = paths else { return None };
    paths.iter().find_map(|path| {
        let parts: Vec<&str> = path.split('/').collect();
        let last = parts.iter().position(|part| is_last(part))?;
        Some(parts.iter().take(last.saturating_add(1)).map(|part| format!("{part}/")).collect())
    })
}
