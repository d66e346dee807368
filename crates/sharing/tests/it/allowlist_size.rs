//! How much of Parameter Store's 8 KB the allowlist of a company takes, as docs/allowlist.md says it.

use std::fmt::Write as _;

use sharing::allowlist::Allowlist;

/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html>
const ADVANCED_TIER: usize = 8 * 1024;

/// A document of 44 accounts, each with this more about it, and ten rules.
fn document(more: &str) -> String {
    let mut text = "version: 1\naccounts:\n".to_owned();
    for number in 0..44_u64 {
        let id = 100_000_000_000 + number;
        writeln!(text, "  \"{id}\": {{name: team-{number:02}-prod, organizationId: o-a1b2c3d4e5{more}}}").unwrap();
    }
    text.push_str("rules:\n");
    for rule in 0..10 {
        let targets: Vec<_> = (0..6).map(|place| format!("team-{:02}-prod", (rule * 4 + place) % 44)).collect();
        writeln!(
            text,
            "  - name: team-{rule:02}-golden\n    requesters: [\"arn:aws:iam::999988887777:role/portal-{rule:02}\"]\n    \
             actions: [share, revoke, list, check]\n    images: {{names: [\"golden-{rule:02}-*\"], tags: {{Tier: \
             [gold]}}}}\n    targets: [{}]",
            targets.join(", ")
        )
        .unwrap();
    }
    text
}

#[test]
fn forty_four_accounts_and_ten_rules_fit_into_a_parameter_unless_each_account_has_its_path() {
    let page = include_str!("../../../../docs/allowlist.md");
    let named = document("");
    let with_paths = document(", organizationPath: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/");
    for (text, fits) in [(named, true), (with_paths, false)] {
        Allowlist::parse(&text).unwrap();
        assert_eq!(text.len() <= ADVANCED_TIER, fits, "{}", text.len());
        let size = format!("{},{:03} bytes", text.len() / 1000, text.len() % 1000);
        assert!(page.contains(&size), "docs/allowlist.md should say {size}");
    }
}
