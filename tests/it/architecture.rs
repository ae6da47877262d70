//! ARCHITECTURE.md says what the code does.

use freehold_core::lifecycle;

#[test]
fn the_diagram_in_the_architecture_page_is_the_lifecycle_table() {
    let page = include_str!("../../ARCHITECTURE.md");
    let diagram = page
        .split_once("```mermaid\n")
        .and_then(|(_, rest)| rest.split_once("\n```"))
        .map(|(diagram, _)| diagram)
        .expect("ARCHITECTURE.md has a mermaid diagram");
    assert_eq!(diagram, lifecycle::diagram(), "replace the diagram in ARCHITECTURE.md by the second text");
}
