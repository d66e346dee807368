//! The example of the README is the one that is compiled and run with the tests.

#[test]
fn the_example_of_the_readme_is_the_one_that_runs() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(include_str!("../../examples/who_may_launch.rs")));
}
