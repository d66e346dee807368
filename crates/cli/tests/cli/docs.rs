//! What the documentation shows is what the program prints.

use crate::{root, run};

#[test]
fn every_command_of_the_docs_prints_what_they_show() {
    let mut tried = 0;
    for page in ["README.md", "docs/allowlist.md", "docs/key-access.md", "crates/cli/README.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for shown in text.split("```console\n$ ami-share ").skip(1) {
            let shown = shown.split("```").next().unwrap().replace("\\\n", " ");
            let (arguments, output) = shown.split_once('\n').unwrap();
            assert_eq!(run(arguments, "").stdout, output, "{page}: {arguments}");
            tried += 1;
        }
    }
    assert_eq!(tried, 2);
}
